#include "sim/run/crash_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "sim/disk/keyed.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

namespace {

constexpr u32 unit_max = 4096;

using UnitBytes = std::array<std::byte, unit_max>;

// The same for a place in every outcome: of two it would be a difference that is none.
void fill_garbage(std::span<std::byte> bytes, u64 offset) {
  for (u64 at = 0; at < bytes.size(); at += sizeof(u64)) {
    const u64 word = remix(~offset, at);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
}

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

CrashState::CrashState(SimStorage& disk)
    : durable_(disk.durable_image()), unit_size_(disk.options().tear_unit) {
  for (const MediumWrite& write : disk.undurable()) {
    writes_.push_back({.number = static_cast<u32>(writes_.size()),
                       .offset = write.offset,
                       .data = {write.data.begin(), write.data.end()},
                       .name = request_text(write.attribution, write.tag, write.n)});
  }
}

void CrashState::carry(const CrashState& before, const Unit& unit) {
  for (u32 i = 0; i < unit.count; ++i) {
    const std::span<const std::byte> bytes = before.bytes(unit, i);
    carried_.push_back({.offset = unit.offset,
                        .data = {bytes.begin(), bytes.end()},
                        .name = before.writes()[before.writer(unit, i)].name});
  }
}

void CrashState::index() {
  ASSERT(units_.empty());
  writes_.insert(writes_.begin(), std::make_move_iterator(carried_.begin()),
                 std::make_move_iterator(carried_.end()));
  struct Place {
    u64 offset;
    u32 write;
  };
  std::vector<Place> places;
  for (u32 i = 0; i < writes_.size(); ++i) {
    ASSERT(writes_[i].data.size() % unit_size_ == 0);
    for (u64 at = 0; at < writes_[i].data.size(); at += unit_size_) {
      places.push_back({.offset = writes_[i].offset + at, .write = i});
    }
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.write < b.write;
  });
  for (const Place& place : places) {
    if (units_.empty() || units_.back().offset != place.offset) {
      units_.push_back({.offset = place.offset, .first = static_cast<u32>(candidates_.size()), .count = 0});
    }
    ++units_.back().count;
    candidates_.push_back(place.write);
  }
}

std::span<const std::byte> CrashState::bytes(const Unit& unit, u32 i) const {
  const UndecidedWrite& write = writes_[writer(unit, i)];
  return std::span(write.data).subspan(unit.offset - write.offset, unit_size_);
}

u32 CrashState::lower_bound(u64 offset) const {
  const auto found = std::lower_bound(units_.begin(), units_.end(), offset,
                                      [](const Unit& unit, u64 value) { return unit.offset < value; });
  return static_cast<u32>(found - units_.begin());
}

// --- the path

u32 DecisionPath::choose(u32 alternatives) {
  ASSERT(alternatives > 1);
  const u64 at = at_++;
  if (sampled_) return static_cast<u32>(below(remix(key_, at), alternatives));
  if (at < forks_.size()) {
    ASSERT(forks_[at].alternatives == alternatives);  // Recovery is deterministic.
    return forks_[at].chosen;
  }
  forks_.push_back({.chosen = 0, .alternatives = alternatives});
  return 0;
}

bool DecisionPath::next() {
  ASSERT(!sampled_);
  while (!forks_.empty() && forks_.back().chosen + 1 == forks_.back().alternatives) forks_.pop_back();
  if (forks_.empty()) return false;
  ++forks_.back().chosen;
  return true;
}

DecisionPath DecisionPath::fixed() const {
  DecisionPath path = *this;
  path.begin();
  return path;
}

// --- decisions

void Decisions::read(SimStorage& disk, DecisionPath& path, u64 begin, u64 end) {
  const std::span<const CrashState::Unit> units = state_->units();
  for (u32 i = state_->lower_bound(begin); i < units.size() && units[i].offset < end; ++i) {
    if (decided_[i] == Known::nothing) decide(disk, path, i);
  }
}

// What was there, then each write by its age, and garbage last: of those that are equal, the first.
void Decisions::decide(SimStorage& disk, DecisionPath& path, u32 index) {
  const CrashState::Unit& unit = state_->units()[index];
  const u32 size = state_->unit_size();
  UnitBytes buffer;
  const std::span<std::byte> old = std::span(buffer).first(size);
  state_->durable().read(unit.offset, old);
  constexpr u32 alternatives_max = 64;
  std::array<u32, alternatives_max> chosen{};  // 0, then those that differ.
  u32 count = 1;
  for (u32 i = 0; i < unit.count && count + 1 < alternatives_max; ++i) {
    const std::span<const std::byte> bytes = state_->bytes(unit, i);
    bool known = equal(bytes, old);
    for (u32 k = 1; k < count && !known; ++k) known = equal(bytes, state_->bytes(unit, chosen[k] - 1));
    if (!known) chosen[count++] = i + 1;
  }
  const u32 newest = state_->writer(unit, unit.count - 1);
  const bool one_already = std::find(garbage_of_.begin(), garbage_of_.end(), newest) != garbage_of_.end();
  if (!one_already && state_->durable().written(unit.offset, size)) chosen[count++] = garbage_chosen;
  const u32 taken = chosen[count == 1 ? 0 : path.choose(count)];
  decided_[index] = Known::read;
  made_.push_back({.unit = index, .chosen = taken});
  if (taken == garbage_chosen) {
    garbage_ = true;
    garbage_of_.push_back(newest);
    fill_garbage(old, unit.offset);
    disk.settle(unit.offset, old);
  } else if (taken != 0) {
    disk.settle(unit.offset, state_->bytes(unit, taken - 1));
  }
  hash_ = hash_of(hash_ ^ unit.offset) + taken;
}

void Decisions::mark(u64 begin, u64 end, Known known) {
  const std::span<const CrashState::Unit> units = state_->units();
  for (u32 i = state_->lower_bound(begin); i < units.size() && units[i].offset < end; ++i) {
    if (decided_[i] < known) decided_[i] = known;
  }
}

void Decisions::overwritten(u64 begin, u64 end) { mark(begin, end, Known::covered); }
void Decisions::made_durable(u64 begin, u64 end) { mark(begin, end, Known::gone); }

void Decisions::carry_into(CrashState* next) const {
  for (u32 i = 0; i < decided_.size(); ++i) {
    if (decided_[i] == Known::nothing || decided_[i] == Known::covered)
      next->carry(*state_, state_->units()[i]);
  }
}

void Decisions::publish(SweepPoint* point) const {
  point->count = 0;
  point->exact = true;
  const auto write_of = [&](u32 number) -> CrashWrite* {
    for (u32 i = 0; i < point->count; ++i) {
      if (point->writes[i].write == number) return &point->writes[i];
    }
    if (number > crash_write_max || point->count == point->writes.size()) {
      point->exact = false;
      return nullptr;
    }
    point->writes[point->count++] = {
        .write = static_cast<u16>(number), .outcome = CrashOutcome::torn, .exact = true};
    return &point->writes[point->count - 1];
  };
  for (const Made& made : made_) {
    const CrashState::Unit& unit = state_->units()[made.unit];
    for (u32 i = 0; i < unit.count; ++i) {
      const UndecidedWrite& write = state_->writes()[state_->writer(unit, i)];
      CrashWrite* const to = write_of(write.number);
      if (to == nullptr) continue;
      const u64 number = (unit.offset - write.offset) / state_->unit_size();
      if (made.chosen == garbage_chosen && i + 1 == unit.count) {
        to->outcome = CrashOutcome::torn_garbage;
        to->garbage = number & 127;
      } else if (made.chosen == i + 1) {
        if (number < CrashWrite::units_max) to->units |= u32{1} << number;
        if (number >= CrashWrite::units_max) point->exact = false;
      }
    }
  }
  std::sort(point->writes.begin(), point->writes.begin() + point->count,
            [](const CrashWrite& a, const CrashWrite& b) { return a.write < b.write; });
}

std::string Decisions::text() const {
  std::string text;
  for (const Made& made : made_) {
    const CrashState::Unit& unit = state_->units()[made.unit];
    const u32 writer = state_->writer(unit, unit.count - 1);
    const u64 number = (unit.offset - state_->writes()[writer].offset) / state_->unit_size();
    const char* what = "old";
    if (made.chosen == garbage_chosen)
      what = "garbage";
    else if (made.chosen == unit.count)
      what = "new";
    else if (made.chosen != 0)
      what = "of an older write";
    text += fmt::format("  write {} ({}), unit {}, at {}: {}\n", writer, state_->writes()[writer].name,
                        number, unit.offset, what);
  }
  return text.empty() ? "  it has read nothing that was not decided\n" : text;
}

}  // namespace tonearm::sim
