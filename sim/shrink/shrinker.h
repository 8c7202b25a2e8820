// From a scenario that fails to the smallest one that fails in the same way.
//
// First what goes in bulk, while the scenario is long and each candidate dear:
//
//   tail       what comes behind the failure
//   groups     settings that belong together: all latencies, all variations, all faults, each kind of fault,
//              the zone that it may strike
//   kinds      all lines of one kind: every scan, every put of a tree, every fault of a kind or a zone
//   chunks     long runs of lines
//   formats    if there are still many: smaller tables, which are full after fewer lines; and chunks again
//   scales     if there are still many: fewer keys in tables that are smaller by as much (scaling.h)
//
// Then faults that came by chance are spelled out, if the caller knows how: what has become of them by now
// is few. Then passes, again and again until none of them finds anything:
//
//   lines      fewer operations: runs of them are left out, long runs first, then each by itself. This is
//              the delta debugging of Zeller and Hildebrandt ("Simplifying and Isolating Failure-Inducing
//              Input", 2002) without its complements, which deletable lines make needless. Faults go first,
//              among themselves. A run that cannot go may still shrink to as many empty commits as it had:
//              an engine that does its work by the number of the op then does it at the same ops as before.
//   scales     as above, while there are more than a few; and the finest step, a line and a value of room
//   pairs      two lines; a commit that becomes part of another
//   settings   options at their defaults: all at once, then each
//   details    within a line: fewer commits, an earlier crash, no cold, no limit, fields that are zero, a
//              fault of one bit
//   numbers    small keys, ids and values, in the same order
//   ids        lines numbered from 1
//
// Which candidates are tried depends on the scenario and the answers alone, not on how many are played at
// the same time. What is smaller: fewer lines first, then whatever a pass thinks simpler. A pass over lines
// costs as much as it copies: what is left, never what goes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/scenario/scenario.h"
#include "sim/shrink/setting_groups.h"

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
  // One answer for each candidate, in order; may be fewer when told to stop. It may move candidates about
  // while it plays them: they are long.
  using Play = std::function<std::vector<Trial>(std::span<Scenario>)>;
  using Stop = std::function<bool()>;
  using Progress = std::function<void(const char* pass, const Scenario& best)>;
  // Another form of a scenario that fails alike, to go on with; nothing: there is none.
  using Freeze = std::function<std::optional<Scenario>(const Scenario&)>;

  // `scenario` must fail. `batch`: candidates played at the same time, at least 1.
  Shrinker(Scenario scenario, u32 batch, Play play, Stop stop, Progress progress);
  void set_freeze(Freeze freeze) { freeze_ = std::move(freeze); }

  // Until nothing helps any more, or stop() says so: then best() is what there is so far.
  void run();
  const Scenario& best() const { return best_; }
  const ShrinkCounts& counts() const { return counts_; }
  bool stopped() const { return stopped_; }

 private:
  // Candidate number i of a pass, made from best(); nothing: there is none (any more).
  using Make = std::function<std::optional<Scenario>(u64 i)>;
  enum class Lines : u8 { all, asking };  // Asking the disk for a fault or a latency.
  // What a run of lines leaves behind.
  enum class Leave : u8 { nothing, commits };

  bool try_one(Scenario candidate);
  // Plays candidates first.. in order until one is the same; that becomes the best. Its number, or
  // `count`.
  u64 first_kept(u64 first, u64 count, const Make& make);
  Scenario without_lines() const;  // The best, to be filled.
  std::optional<Scenario> take_out(std::span<const u64> places, Leave leave) const;

  void bulk();
  bool pass_tail();
  void pass_groups(SettingGroups (*groups_of)(const RunOptions&));
  void pass_kinds();
  void pass_chunks();
  bool pass_lines();
  void remove_all(u64 length_min, Lines lines);
  bool remove_runs(u64 length, Lines lines, Leave leave);
  void join_commits();
  std::optional<Scenario> with_commits_moved(u64 from, u64 to) const;
  std::vector<u64> places_of(Lines lines) const;
  bool pass_scales();
  bool pass_pairs();
  bool pass_settings();
  bool pass_details();
  bool pass_numbers();
  bool pass_ids();

  Scenario best_;
  u32 batch_;
  Play play_;
  Stop stop_;
  Progress progress_;
  Freeze freeze_;
  ShrinkCounts counts_;
  bool stopped_ = false;
};

// How many settings differ from their defaults: what is left to explain beside the lines.
u64 settings_changed(const Scenario& scenario);

}  // namespace tonearm::sim
