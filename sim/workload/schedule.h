// The lines of a run that are not about its data: commits and scopes at computed places, and the rare ones,
// which are crashes, reopens and checkpoints. The same for every generator.
//
//   chunk    `period` lines with one commit, usually the last, and before it at most one burst of scans
//            and one span of scopes: one, or some in a row, with a few lines between them or none.
//   episode  every so many chunks the first lines of one belong to episode.h, and it has neither scopes nor
//            burst.
//   rare     drawn line by line. A line asks what its predecessors are, so that crash lines come in rows
//            and storms, and checkpoints right behind them.
#pragma once

#include <array>

#include "sim/scenario/operation.h"
#include "sim/scenario/run_options.h"
#include "sim/workload/line_stream.h"

namespace tonearm::sim {

// A line of an episode: of which one of the run, where in it, and what its lines have in common.
struct EpisodePlace {
  u64 number;
  u64 place;
  u64 random;
};
inline constexpr u64 episode_lines_max = 28;

// Where a line lies: no rare line and no burst is in a span of scopes.
enum class ScopePlace : u8 { outside, inside, between };

class Schedule {
 public:
  struct Chunk {
    u64 commit;       // Positions in the chunk; period: there is none.
    u64 scope_begin;  // Of the first scope,
    u64 scope_end;    // and of the last one.
    u64 burst_begin;
    u64 burst_end;  // Exclusive; not behind the beginning: there is none.
    u64 random;
  };

  // `drawn`: the weights of all lines about data. `scope_lead`: lines of a chunk that come before a scope.
  Schedule(u64 seed, const RunOptions& options, u64 drawn, u64 scope_lead, bool grooves,
           const Reseeds& reseeds);

  u64 period() const { return period_; }  // Lines of a chunk; 0: no commits.
  u64 total() const { return total_; }    // Weights of all lines.
  Chunk chunk_of(u64 chunk) const;

  // Whether the line lies between open scans; its place among those lines, and what they have in common.
  bool in_burst(u64 index, u64* place, u64* random) const;

  // Whether the line may be one of an episode.
  bool in_episode(u64 index, EpisodePlace* at) const;

  // Whether the line is one of these; else where it lies.
  bool commit_or_scope(u64 index, Operation* operation, ScopePlace* place) const;
  bool rare(u64 index, u64 random, Operation* operation) const;

 private:
  void plan_burst(Chunk* plan) const;
  static bool span(const Chunk& chunk, u64 at, Operation* operation, ScopePlace* place);
  bool of_episode(u64 chunk) const { return episode_every_ > 0 && chunk % episode_every_ < episode_chunks_; }
  u64 rare_seed(u64 index) const { return rare_.seed_at(index) + index; }
  u64 rare_drawn(u64 index) const;
  bool storm(u64 index, u64 random, Operation* operation) const;
  void crash(u64 random, bool follows, Operation* operation) const;
  void reopen(u64 index, u64 random, Operation* operation) const;
  u64 reopen_value(u64 setting, u64 index, u64 random) const;

  u64 period_ = 0;
  u64 episode_every_ = 0;  // Chunks from one to the next; 0: none.
  u64 episode_chunks_ = 0;
  u64 total_;
  LineStream chunks_;
  LineStream episodes_;  // Of the same name: what the lines of one have in common.
  LineStream rare_;
  u32 weight_crash_, weight_reopen_, weight_checkpoint_, weight_heal_;
  u32 prefetch_keys_max_;
  u64 blocks_count_;
  u64 lines_;
  u32 reopen_first_;  // Only a disk of one side may grow.
  u64 scope_lead_;
  bool long_scopes_;      // A scope may hold more changes than a set of the object cache.
  Ratio scope_chance_{};  // Of a chunk.
  Ratio burst_chance_{};  // Of a chunk.
  Ratio times_chance_{};  // Of a commit.
  u64 times_max_;
  std::array<u16, 12> reopen_settings_{};
  u32 reopen_setting_count_ = 0;
};

}  // namespace tonearm::sim
