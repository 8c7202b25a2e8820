#include "sim/run/repair_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace tonearm::sim {

RepairWatch::Step RepairWatch::step_of(IoTag tag) {
  if (tag.purpose == IoPurpose::scrub) return Step::scrub_first;
  if (tag.purpose == IoPurpose::mirror_scrub) return Step::scrub_mirror;
  if (tag.purpose == IoPurpose::mirror_read) return Step::read_mirror;
  if (tag.purpose == IoPurpose::repair) return Step::repair_first;
  return tag.purpose == IoPurpose::mirror_repair ? Step::repair_mirror : Step::none;
}

const char* RepairWatch::name_of(Step step) {
  constexpr const char* names[] = {"nothing",
                                   "read by the scrubber",
                                   "read by the scrubber on the mirror",
                                   "read on the mirror",
                                   "written again on the first side",
                                   "written again on the mirror"};
  return names[static_cast<u32>(step)];
}

RepairWatch::Counts RepairWatch::counts_of(const Scrubber::Counters& scrubber, const Grid::Counters& grid) {
  return {.intact = scrubber.intact(),
          .damaged = scrubber.damaged,
          .retries = scrubber.retries,
          .repaired = scrubber.repaired,
          .repaired_mirror = scrubber.repaired_mirror,
          .unrepaired = scrubber.unrepaired,
          .repairs = grid.repairs,
          .repairs_left = grid.repairs_left,
          .repairs_failed = grid.repairs_failed};
}

RepairWatch::Visit* RepairWatch::visit_at(u64 address, bool scrubs) {
  const auto found = std::find_if(visits_.begin(), visits_.end(), [&](const Visit& each) {
    return each.address == address && each.scrubs == scrubs;
  });
  return found == visits_.end() ? nullptr : &*found;
}

void RepairWatch::complain(u64 address, std::string what) {
  if (complaint_.empty()) complaint_ = fmt::format("block {} {}", address, what);
}

void RepairWatch::submitted(IoTag tag, u64 address, u128 checkpoint) {
  const Step step = step_of(tag);
  if (due_.address == address && (step == due_.step || step == due_.instead)) {
    const Due due = std::exchange(due_, {});
    if (step == due.instead) return;
    Visit* visit = visit_at(address, due.scrubs);
    if (visit == nullptr) {
      visits_.push_back({.address = address, .step = step});
      return;
    }
    visit->attempts = visit->step == step ? visit->attempts + 1 : 1;
    if (visit->step == step && visit->scrubs) ++counts_.retries;
    visit->step = step;
    ++visit->in_flight;
    return;
  }
  if (step == Step::read_mirror) return;  // A read of the first side has turned.
  Visit* const visit = visit_at(address, true);
  const bool two = visit != nullptr && visit->in_flight > 0 && step == Step::scrub_first;
  if (visit != nullptr && (visit->vague || two)) {
    give_up(*visit);
    ++visit->in_flight;
    return;
  }
  if (step != Step::scrub_first) return complain(address, fmt::format("is {} for no reason", name_of(step)));
  // One that waited until this one had written.
  if (visit != nullptr) std::erase_if(visits_, [visit](const Visit& each) { return &each == visit; });
  visits_.push_back({.address = address, .step = step, .checkpoint = checkpoint, .scrubs = true});
}

void RepairWatch::give_up(Visit& visit) {
  if (!visit.vague) ++unwatched_;
  visit.vague = vague_ = true;
}

void RepairWatch::settle_last() {
  unsettled_ = false;
  if (const Due due = std::exchange(due_, {}); due.address != 0) {
    if (due.must) complain(due.address, fmt::format("is not {}", name_of(due.step)));
    if (due.scrubs) {
      ++counts_.unrepaired;
      ++counts_.intact;
      left_.push_back(due.address);
    } else if (due.known) {
      ++counts_.repairs_left;
    }
  }
  std::erase_if(visits_, [](const Visit& each) { return each.in_flight == 0; });
}

std::string RepairWatch::complaint(const Scrubber::Counters& scrubber, const Grid::Counters& grid) {
  settle();
  if (!complaint_.empty()) return complaint_;
  const Counts said = counts_of(scrubber, grid);
  if (std::exchange(vague_, false)) counts_ = said;
  for (const Visit& visit : visits_) vague_ |= visit.vague;
  struct Count {
    const char* name;
    u64 Counts::*field;
  };
  static constexpr Count all[] = {{"intact blocks", &Counts::intact},
                                  {"damaged blocks", &Counts::damaged},
                                  {"retries", &Counts::retries},
                                  {"repairs of the first side", &Counts::repaired},
                                  {"repairs of the mirror", &Counts::repaired_mirror},
                                  {"blocks that it did not repair", &Counts::unrepaired},
                                  {"repairs by reads", &Counts::repairs},
                                  {"repairs that reads left", &Counts::repairs_left},
                                  {"repairs by reads that failed", &Counts::repairs_failed}};
  for (const Count& each : all) {
    if (said.*each.field == counts_.*each.field) continue;
    return fmt::format("the engine counts {} {}; there were {}", said.*each.field, each.name,
                       counts_.*each.field);
  }
  return {};
}

void RepairWatch::completed(IoTag tag, u64 address, const Sight& sight) {
  ASSERT(!unsettled_);
  unsettled_ = true;
  const Step step = step_of(tag);
  if (step == Step::read_mirror) return grid_read(address, sight);
  const bool repairs = step == Step::repair_first || step == Step::repair_mirror;
  Visit* visit = visit_at(address, true);
  if (repairs && (visit == nullptr || visit->step != step) && visit_at(address, false) != nullptr) {
    visit = visit_at(address, false);
  }
  if (visit == nullptr) return;  // It was complained about.
  --visit->in_flight;
  visit->released = sight.trailer ? sight.checkpoint != visit->checkpoint : sight.released;
  if (!sight.known) give_up(*visit);
  if (visit->vague) return;
  if (repairs) return repair_written(*visit, sight);
  scrub_read(*visit, sight);
}

// It may also look at what it has found once more.
void RepairWatch::grid_read(u64 address, const Sight& sight) {
  if (!sight.allowed || (sight.known && !sight.valid)) return;
  const bool visited = visit_at(address, true) != nullptr;
  due_ = {.address = address,
          .step = sight.known && visited ? Step::none : Step::repair_first,
          .instead = Step::read_mirror,
          .must = sight.known && !visited,
          .known = sight.known};
  if (sight.known) return;
  vague_ = true;
  ++unwatched_;
}

void RepairWatch::scrub_read(Visit& visit, const Sight& sight) {
  if (!sight.valid && visit.attempts < attempts_max_ && !visit.released) return again(visit);
  const auto decide = [&](bool any) {
    if (!visit.released) ++(any ? counts_.intact : counts_.damaged);
  };
  if (!mirror_) return decide(sight.valid);
  if (visit.step == Step::scrub_first) {
    visit.first_valid = sight.valid;
    due_ = {.address = visit.address, .step = Step::scrub_mirror, .scrubs = true};
    return;
  }
  const bool one = visit.first_valid != sight.valid;
  if (!one || visit.released) return decide(visit.first_valid || sight.valid);
  due_ = {.address = visit.address,
          .step = visit.first_valid ? Step::repair_mirror : Step::repair_first,
          .must = sight.allowed && !sight.reading,
          .scrubs = true};
  if (!sight.allowed) due_.step = Step::none;
}

void RepairWatch::repair_written(Visit& visit, const Sight& sight) {
  if (!sight.valid && visit.attempts < attempts_max_) return again(visit);
  if (!visit.scrubs) {
    ++(sight.valid ? counts_.repairs : counts_.repairs_failed);
    return;
  }
  const bool first = visit.step == Step::repair_first;
  ++(!sight.valid ? counts_.unrepaired : first ? counts_.repaired : counts_.repaired_mirror);
  if (!sight.valid) left_.push_back(visit.address);
  if (!visit.released) ++counts_.intact;
}

void RepairWatch::again(const Visit& visit) {
  due_ = {.address = visit.address, .step = visit.step, .scrubs = visit.scrubs};
}

}  // namespace tonearm::sim
