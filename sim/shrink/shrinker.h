// From a scenario that fails to the smallest one that fails in the same way.
//
// A scenario is made smaller in passes, again and again until none of them finds anything:
//
//   lines      fewer operations: runs of them are left out, long runs first, then each by itself. This is
//              the delta debugging of Zeller and Hildebrandt ("Simplifying and Isolating Failure-Inducing
//              Input", 2002) without its complements, which deletable lines make needless.
//   settings   options at their defaults: latencies, faults, variations, geometry; all at once, then each
//   details    within a line: fewer commits, an earlier crash, no cold, no limit, fields that are zero, a
//              fault of one bit
//   numbers    small keys, ids and values, in the same order
//   ids        lines numbered from 1
//
// Which candidates are tried depends on the scenario and the answers alone, not on how many are played at
// the same time. What is smaller: fewer lines first, then whatever a pass thinks simpler.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

enum class Trial : u8 {
  same,   // Fails with the signature that is being shrunk.
  other,  // Passes, or fails in another way, or cannot be played.
};

struct ShrinkCounts {
  u64 trials = 0;  // Candidates played; those accepted on the way are more than `kept` only by batches.
  u64 kept = 0;
  u64 rounds = 0;
};

class Shrinker {
 public:
  // One answer for each candidate, in order; may be fewer when told to stop.
  using Play = std::function<std::vector<Trial>(std::span<const Scenario>)>;
  using Stop = std::function<bool()>;
  using Progress = std::function<void(const char* pass, const Scenario& best)>;

  // `scenario` must fail. `batch`: candidates played at the same time, at least 1.
  Shrinker(Scenario scenario, u32 batch, Play play, Stop stop, Progress progress);

  // Until nothing helps any more, or stop() says so: then best() is what there is so far.
  void run();
  const Scenario& best() const { return best_; }
  const ShrinkCounts& counts() const { return counts_; }
  bool stopped() const { return stopped_; }

 private:
  // Candidate number i of a pass, made from best(); false: there is none (any more).
  using Make = std::function<bool(u64 i, Scenario* candidate)>;

  bool try_one(Scenario candidate);
  // Plays candidates first.. in order until one is the same; that becomes the best. Its number, or
  // `count`.
  u64 first_kept(u64 first, u64 count, const Make& make);

  bool pass_tail();
  bool pass_lines();
  bool remove_runs(u64 length);
  bool pass_settings();
  bool pass_details();
  bool pass_numbers();
  bool pass_ids();

  Scenario best_;
  u32 batch_;
  Play play_;
  Stop stop_;
  Progress progress_;
  ShrinkCounts counts_;
  bool stopped_ = false;
};

// How many settings differ from their defaults: what is left to explain beside the lines.
u64 settings_changed(const Scenario& scenario);

}  // namespace tonearm::sim
