// Decides at which variation points the engine does otherwise in this run (see base/variation.h).
//
// Each site has a ratio and a stream of its own, `vary.NAME`. What reaches the disk is keyed by what the
// engine says it is about and by nothing else, so that first run, replay and twin decide alike. What does
// not is keyed by the operation at hand as well: a block may be missing in the cache once, and not again. For
// the same reason a reseed changes what reaches the disk for later ops only: earlier ones may be replayed.
#pragma once

#include <array>
#include <vector>

#include "base/variation.h"
#include "sim/scenario/run_options.h"

namespace tonearm::sim {

class Variations {
 public:
  Variations(const RunOptions& options, u64 seed);

  // Bit by site: those that may fire.
  u32 sites() const { return sites_; }
  u64 ask(Variation site, u64 a, u64 b, const Attribution& attribution, u64 op);
  // From now on, and for ops behind this one.
  void reseed(u64 seed, u64 after_op);

  using Counts = std::array<u64, variation_count>;
  const Counts& fired() const { return fired_; }
  const Counts& armed() const { return armed_; }

 private:
  std::array<Ratio, variation_count> ratios_;
  struct Epoch {
    u64 after_op;
    std::array<Stream, variation_count> streams;
  };
  std::vector<Epoch> epochs_;  // Ascending.
  u32 sites_ = 0;
  Counts fired_{};
  Counts armed_{};
};

}  // namespace tonearm::sim
