// Workload `grid`: visitors. One is at a block, and may write one of its sides again, as a scrubber does;
// that needs the block for itself. The model is who is where; what is being read, the taps know.
#include <fmt/format.h>

#include <algorithm>

#include "sim/component/grid_component.h"

namespace tonearm::sim {

namespace {

constexpr u64 visits_max = 12;

}  // namespace

bool GridComponent::visit(u64 address) {
  const bool there = address != 0 && (blocks_.at(address).state == State::written ||
                                      blocks_.at(address).state == State::released);
  const auto count =
      std::count_if(visits_.begin(), visits_.end(), [](const auto& one) { return used(*one); });
  if (!there || static_cast<u64>(count) == visits_max) return false;
  const bool expected = !repairing(address);
  Visiting& one = take(visits_);
  one.address = address;
  one.mends = false;
  one.visit = Grid::Visit{.address = address, .begin = Callback<Grid::Visit&>::to<&Visiting::begin>(&one)};
  const bool begins = grid_->visit_begin(one.visit);
  one.waits = !begins;
  check(*referee_, begins == expected, "visit: begins or waits", [&] {
    return fmt::format("block {}, which {} being repaired", address, expected ? "is not" : "is");
  });
  return true;
}

void GridComponent::visit_begun(Visiting& one) {
  const HarnessCode harness;
  note(one.waits && !repairing(one.address), "visit: begins while the block is repaired",
       [&] { return fmt::format("block {}", one.address); });
  one.waits = false;
}

// Refused, it leaves.
bool GridComponent::mend(u64 place, GridSide side) {
  Visiting* one = visiting(place);
  if (!mirrored() || one == nullptr || one->waits) return false;
  const u64 address = one->address;
  u64 readers = 0;  // And those of them that have certainly begun: see compare_slots().
  u64 reading = 0;
  for (const auto& asked : asked_) {
    if (!used(*asked) || asked->read.block.address != address) continue;
    ++readers;
    reading += asked->step + 2 <= disk_.steps() ? 1 : 0;
  }
  const bool alone = allowed_ && !visited(address, one);
  const bool may = grid_->may_repair(one->visit);
  check(*referee_, may ? alone && reading == 0 : !alone || readers > 0, "visit: may repair or not", [&] {
    return fmt::format("block {}: {}, with {} readers, {}", address, may ? "yes" : "no", readers,
                       alone ? "nobody else there" : "other visitors, or not allowed");
  });
  referee_->answer(address, may ? 1 : 0);
  if (!may) {
    visit_end(*one);
    return true;
  }
  for (const auto& asked : asked_) {
    if (used(*asked) && asked->read.block.address == address) asked->mended = true;
  }
  make(address, blocks_.at(address).version, bytes_of(one->block));
  one->mends = true;
  one->visit.repairing = bytes_of(one->block);
  const bool mirror = side == GridSide::mirror;
  one->io = Storage::Write{
      .buffer = {bytes_of(one->block), options_.format.block_size},
      .offset = (address - 1) * options_.format.block_size,
      .zone = Zone::grid,
      .durability = Durability::on_completion,
      .tag = {.purpose = mirror ? IoPurpose::mirror_repair : IoPurpose::repair, .tree = new_id()},
      .done = Callback<Storage::Write&>::to<&Visiting::done>(one)};
  ++mending_;
  grid_->storage(side).write(one->io);
  return true;
}

void GridComponent::mend_done(Visiting& one) {
  const HarnessCode harness;
  each_side([&one](GridTap& side, GridSide) { side.forget(one.io.tag.tree); });
  --mending_;
  visit_end(one);
  check_visits();
  ended();
}

void GridComponent::leave(u64 place) {
  Visiting* one = visiting(place);
  if (one == nullptr || one->waits) return referee_->skip();
  visit_end(*one);
}

// Nothing is being repaired: none waits.
void GridComponent::leave_all() {
  for (auto& one : visits_) {
    if (used(*one)) visit_end(*one);
  }
}

void GridComponent::visit_end(Visiting& one) {
  one.mends = false;
  grid_->visit_end(one.visit);
  one.address = 0;
}

// Of those that write nothing.
GridComponent::Visiting* GridComponent::visiting(u64 place) {
  std::vector<Visiting*> idle;
  for (auto& one : visits_) {
    if (used(*one) && !one->mends) idle.push_back(one.get());
  }
  return idle.empty() ? nullptr : idle[place % idle.size()];
}

bool GridComponent::visited(u64 address, const Visiting* but) const {
  return std::any_of(visits_.begin(), visits_.end(),
                     [&](const auto& one) { return one.get() != but && one->address == address; });
}

bool GridComponent::mending(u64 address) const {
  return std::any_of(visits_.begin(), visits_.end(),
                     [&](const auto& one) { return one->address == address && one->mends; });
}

// By whomever.
bool GridComponent::repairing(u64 address) const {
  return first_.repairing(address) || (mirrored() && mirror_->repairing(address));
}

void GridComponent::check_visits() {
  for (const auto& one : visits_) {
    if (!used(*one) || !one->waits) continue;
    note(repairing(one->address), "visit: waits for nothing",
         [&] { return fmt::format("block {}", one->address); });
  }
}

}  // namespace tonearm::sim
