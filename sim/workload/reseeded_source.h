// The lines of a seed with its `reseed` lines among them. A reseed can come while the lines are played: what
// was yielded before stays what it was, and the reseed is the next line.
//
//     --seed 7 --reseed 2:9      lines 1 and 2 of seed 7, `2.1 reseed seed=0x9`, lines 3, 4, ... of seed 9
#pragma once

#include <memory>

#include "sim/workload/workload.h"

namespace tonearm::sim {

class ReseededSource final : public OperationSource {
 public:
  ReseededSource(const Workload& workload, u64 seed, const RunOptions& options, const Reseeds& reseeds);

  u64 count() const override { return lines_.front()->count() + reseeds_.size(); }
  void at(u64 index, Operation* operation) const override;

  // The line at `index` becomes a reseed; the one that was there is drawn again, and comes behind it. Not in
  // front of an earlier reseed.
  void reseed(u64 index, u64 seed);
  const Reseeds& reseeds() const { return reseeds_; }

 private:
  void add(const Reseed& reseed);
  void draw_lines() { lines_.push_back(workload_->source(seed_, options_, reseeds_)); }

  const Workload* workload_;
  u64 seed_;
  RunOptions options_;
  Reseeds reseeds_;
  // Without the reseed lines; by how many of those have come. Each of its own, because a line may look ahead:
  // one in front of a reseed knows nothing of it.
  std::vector<std::unique_ptr<OperationSource>> lines_;
};

// Whether runs of this workload can be reseeded: those of components have no harness around them.
bool can_reseed(std::string_view workload);

}  // namespace tonearm::sim
