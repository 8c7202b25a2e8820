// Episodes: a few lines in a row with one aim that lines drawn one by one almost never meet.
//
//   emptied   keys are put and flushed, then all of them removed and flushed: a merge yields no table, and
//             its level is empty, unless older tables lie there.
//   cancelled puts into the secondary index are taken back before their bar ends, and nothing else
//             happens in it: the memory table is empty.
//   still     checkpoint upon checkpoint without a change.
//   torn      crashes around the writes of the superblock's copies, first in a checkpoint and then in the
//             repair of what the one before has left.
//
// What a seed does not do (a weight is 0) its episodes do not do either. Like all lines they are a function
// of their place, and know nothing of what is there.
#pragma once

#include "sim/scenario/operation.h"
#include "sim/scenario/run_options.h"
#include "sim/workload/key_space.h"
#include "sim/workload/salts.h"
#include "sim/workload/schedule.h"

namespace tonearm::sim {

enum class Episode : u8 { emptied, cancelled, still, torn };
inline constexpr u32 episode_count = 4;

class Episodes {
 public:
  Episodes(u64 seed, const RunOptions& options, const KeySpace& keys);

  // False: the episode has nothing to do in this line (any more).
  bool line(const EpisodePlace& at, Operation* operation) const;

 private:
  bool can(Episode kind) const;
  Episode kind_of(u64 number) const;
  bool overture(const EpisodePlace& at, Operation* operation) const;
  u64 emptied_keys(u64 random) const;
  u64 emptied_lines(u64 random) const { return 2 * emptied_keys(random) + 2; }
  static u64 torn_lines(u64 random) { return 2 * (1 + below(remix(random, salt_times), 2)); }
  bool emptied(u64 place, u64 random, Operation* operation) const;
  bool cancelled(u64 place, u64 random, Operation* operation) const;
  bool still(u64 place, u64 random, Operation* operation) const;
  bool torn(u64 place, u64 random, Operation* operation) const;
  void checkpoint(Operation* operation) const;
  void change(OperationKind kind, TreeName tree, u64 number, Operation* operation) const;
  void crash(u64 random, Operation* operation) const;
  TreeName tree_of(u64 random) const;

  RunOptions options_;
  KeySpace keys_;
  u64 first_;        // Of the episodes of a run.
  u32 enabled_ = 0;  // Bit by Episode.
};

}  // namespace tonearm::sim
