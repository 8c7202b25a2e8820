#include "sim/workload/reseeded_source.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/scenario/verb.h"

namespace tonearm::sim {

bool can_reseed(std::string_view workload) { return find_alphabet(workload) == nullptr; }

ReseededSource::ReseededSource(const Workload& workload, u64 seed, const RunOptions& options,
                               const Reseeds& reseeds)
    : workload_(&workload), seed_(seed), options_(options) {
  ASSERT(can_reseed(workload.name));
  draw_lines();
  for (const Reseed& reseed : reseeds) add(reseed);
}

void ReseededSource::add(const Reseed& reseed) {
  ASSERT(reseed.from <= lines_.front()->count());
  ASSERT(reseeds_.empty() || reseed.from >= reseeds_.back().from);
  reseeds_.push_back(reseed);
  draw_lines();
}

void ReseededSource::reseed(u64 index, u64 seed) {
  ASSERT(index >= reseeds_.size());
  add({.from = index - reseeds_.size(), .seed = seed});
}

void ReseededSource::at(u64 index, Operation* operation) const {
  u64 before = 0;  // Reseed lines in front of this one.
  while (before < reseeds_.size() && reseeds_[before].from + before < index) ++before;
  if (before == reseeds_.size() || reseeds_[before].from + before != index) {
    return lines_[before]->at(index - before, operation);
  }
  reset(operation);
  operation->kind = OperationKind::reseed;
  operation->value = reseeds_[before].seed;
  // A child of the line that it follows, which has the number `from`; in front of all lines, of the first.
  const u64 number = std::max<u64>(1, reseeds_[before].from);
  const auto same = [&](const Reseed& each) { return std::max<u64>(1, each.from) == number; };
  const auto end = reseeds_.begin() + static_cast<std::ptrdiff_t>(before);
  const u64 children = static_cast<u64>(std::count_if(reseeds_.begin(), end, same));
  operation->id = {.number = number, .child = static_cast<u32>(children + 1)};
}

}  // namespace tonearm::sim
