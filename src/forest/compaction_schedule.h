// Which compactions run in a half-bar, and how much of them in each beat.
//
// A half-bar begins by planning a job for every (level, tree) that is due, in that order. Every beat
// consumes its share of the input values, ceil(left / beats left), going through the jobs one after
// another; the last beat finishes them all. Then complete() changes the manifest, job by job in the
// same order, so that the manifest log's bytes do not depend on I/O.
//
// The reservation of a beat covers the most blocks that its share can need, for all jobs together, and
// is taken before anything runs: if the disk is full, nothing of the beat has happened.
#pragma once

#include <span>

#include "tree/compaction.h"

namespace tonearm {

class CompactionSchedule {
 public:
  static void measure(Arena& arena, const FormatOptions& format, u32 trees, u32 blocks);
  CompactionSchedule(Grid& grid, Arena& arena, const FormatOptions& format, u32 trees, u32 blocks);
  CompactionSchedule(const CompactionSchedule&) = delete;

  // First beat of a half-bar.
  void half_bar_commence(u64 op, std::span<Tree* const> trees);
  // Reserves for the share of this beat. False: storage full. May reserve nothing.
  [[nodiscard]] bool beat_reserve(u64 op);
  // Runs the share; `done` (never inside the call) when it is consumed, or error() is set.
  void beat(Callback<> done);
  void beat_forfeit();
  // Last beat of a half-bar: all jobs are done, the manifest log accepts entries. Takes effect wholly, or
  // not at all with error() manifest_full: a merge would leave more tables than the last level may hold.
  void half_bar_complete();

  bool active() const { return active_; }  // Between commence and complete.
  u64 jobs_done() const { return jobs_done_; }
  const Error& error() const { return error_; }

 private:
  void plan(Tree& tree, u32 level_b, u64 op);
  bool flush_due(const Tree& tree, u64 op) const;
  void plan_flush(Tree& tree, u64 op, CompactionJob* job);
  // `table`: the one with the least overlap, of the level above.
  void plan_merge(Tree& tree, const TableInfo* table, u32 level_b, u64 op, CompactionJob* job);
  void plan_inputs(Tree& tree, const KeyRange& range, u64 op, CompactionJob* job);
  u32 coalescing(const Tree& tree, u32 level_b, u64 op) const;
  bool drops_tombstones(const Tree& tree, u32 level_b, const KeyRange& range, u64 op) const;
  void dispatch();
  void run_done();
  void tick_done(Storage::NextTick& next_tick);
  bool overflows(const CompactionJob& job) const;
  void complete(CompactionJob& job);

  Grid* grid_;
  FormatOptions format_;
  Compaction compaction_;

  // Of the half-bar.
  std::span<CompactionJob> jobs_;
  u32 job_count_ = 0;
  bool active_ = false;
  u64 values_left_ = 0;

  // Of the beat.
  u32 job_ = 0;  // The one at hand; those before are done.
  u64 values_beat_left_ = 0;
  Reservation reservation_;
  bool reserved_ = false;
  Callback<> done_;
  Storage::NextTick next_tick_;

  u64 jobs_done_ = 0;
  Error error_;
};

}  // namespace tonearm
