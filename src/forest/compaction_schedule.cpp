#include "forest/compaction_schedule.h"

#include <algorithm>
#include <new>

#include "base/mark.h"
#include "base/math.h"
#include "base/span.h"
#include "base/variation.h"

namespace tonearm {

namespace {

u32 jobs_max(const FormatOptions& format, u32 trees) { return trees * (format.levels / 2 + 1); }

// First half-bar: odd targets; second: even ones, level 0 (the flush) among them.
bool level_active(const FormatOptions& format, u64 op, u32 level_b) {
  const bool first_half = op % format.beats < format.beats / 2;
  return first_half == (level_b % 2 == 1);
}

// What a variation of the layout is asked about.
u64 place(const Tree& tree, u32 level) { return u64{tree.config().id} | u64{level} << 16; }

u32 beats_left(const FormatOptions& format, u64 op) {
  const u32 half = format.beats / 2;
  return half - static_cast<u32>(op % half);
}

}  // namespace

void CompactionSchedule::measure(Arena& arena, const FormatOptions& format, u32 trees, u32 blocks) {
  Compaction::measure(arena, format, blocks);
  arena.take<CompactionJob>(jobs_max(format, trees));
}

CompactionSchedule::CompactionSchedule(Grid& grid, Arena& arena, const FormatOptions& format, u32 trees,
                                       u32 blocks)
    : grid_(&grid),
      format_(format),
      compaction_(grid, arena, format, blocks),
      jobs_(arena.take<CompactionJob>(jobs_max(format, trees))) {}

void CompactionSchedule::half_bar_commence(u64 op, std::span<Tree* const> trees) {
  ASSERT(!active_);
  ASSERT(op % (format_.beats / 2) == 0);
  active_ = true;
  span_begins(SpanKind::half_bar, this);
  job_count_ = 0;
  job_ = 0;
  values_left_ = 0;
  for (u32 level_b = 0; level_b < format_.levels; ++level_b) {
    if (!level_active(format_, op, level_b)) continue;
    for (Tree* tree : trees) plan(*tree, level_b, op);
  }
}

void CompactionSchedule::plan(Tree& tree, u32 level_b, u64 op) {
  // Most often there is nothing to do, and a job is large.
  const TableInfo* table_a = level_b == 0 ? nullptr : tree.manifest().compaction_table(level_b - 1);
  if (level_b == 0 ? !flush_due(tree, op) : table_a == nullptr) return;
  CompactionJob job;
  job.tree = &tree;
  job.level_b = level_b;
  job.snapshot_min = op + format_.beats / 2;
  if (level_b == 0) {
    plan_flush(tree, op, &job);
  } else {
    plan_merge(tree, table_a, level_b, op, &job);
  }
  job.done = job.move;
  if (!job.move) values_left_ += job.values_in;
  ASSERT(job_count_ < jobs_.size());
  new (&jobs_[job_count_++]) CompactionJob(job);
}

bool CompactionSchedule::flush_due(const Tree& tree, u64 op) const {
  const TableMemory& immutable = tree.table_immutable();
  if (immutable.flushed()) return false;
  const u64 capacity = immutable.capacity();
  const u64 bar_end = op - op % format_.beats + format_.beats - 1;
  // Raw puts, not the table's count: no read may change what is written. What the second half of the
  // bar may still put is at most half the capacity.
  const bool fits =
      immutable.count() + tree.table_mutable().puts_since_bar_start() + capacity / 2 <= capacity;
  // Legal: a flush is always allowed; to defer it saves work.
  const bool wait = fits && variation(Variation::flush_not_deferred, op, place(tree, 0)) == 0;
  if (wait && !checkpoint_trigger(format_, bar_end)) {
    mark(Mark::flush_deferred, tree.config().id);
    return false;
  }
  if (wait) mark(Mark::flush_forced, tree.config().id);
  return true;
}

void CompactionSchedule::plan_flush(Tree& tree, u64 op, CompactionJob* job) {
  const TableMemory& immutable = tree.table_immutable();
  const std::span<const std::byte> values = immutable.values();
  const TableKernel& kernel = tree.kernel();
  const KeyRange range{.min = kernel.key_of(values.data()),
                       .max = kernel.key_of(values.data() + values.size() - kernel.value_size())};
  mark(Mark::merge_into_level0, tree.config().id, &range.min);
  job->values_in = immutable.count();
  plan_inputs(tree, range, op, job);
}

// The tables of level B that A, whose values are counted already, is merged with.
void CompactionSchedule::plan_inputs(Tree& tree, const KeyRange& range, u64 op, CompactionJob* job) {
  const ManifestLevel& level = tree.manifest().level(job->level_b);
  bool coalesced = false;
  const ManifestLevel::Overlap overlap =
      tree.manifest().merge_range(job->level_b, range, job->values_in, tree.layout().values_max(),
                                  coalescing(tree, job->level_b, op), &coalesced);
  if (coalesced) {
    const Mark mark_of_level = job->level_b == 0 ? Mark::level0_coalesced : Mark::deeper_coalesced;
    mark(mark_of_level, tree.config().id, &overlap.range.min);
  }
  for (u32 i = 0; i < overlap.count; ++i) {
    job->tables_b.push(level.at(overlap.first + i));
    job->values_in += job->tables_b[i].value_count;
  }
  job->drop_tombstones = drops_tombstones(tree, job->level_b, overlap.range, op);
}

// Percent of a table below which a merge takes neighbours along. Legal: any, since what goes along adds no
// table to the outputs.
u32 CompactionSchedule::coalescing(const Tree& tree, u32 level_b, u64 op) const {
  if (variation(Variation::coalescing_refused, op, place(tree, level_b)) != 0) return 0;
  if (variation(Variation::coalescing_eager, op, place(tree, level_b)) != 0) return 100;
  return format_.coalescing_percent;
}

bool CompactionSchedule::drops_tombstones(const Tree& tree, u32 level_b, const KeyRange& range,
                                          u64 op) const {
  if (tree.kernel().usage() != TableUsage::general) return false;
  if (!tree.manifest().must_drop_tombstones(level_b, range)) return false;
  // Legal: a tombstone with nothing below hides nothing. On the last level none would ever go.
  if (level_b == format_.levels - 1) return true;
  return variation(Variation::tombstones_kept, op, place(tree, level_b)) == 0;
}

void CompactionSchedule::plan_merge(Tree& tree, const TableInfo* table, u32 level_b, u64 op,
                                    CompactionJob* job) {
  // Legal: the least overlap saves work. What a compaction is made for is an overlap of `growth`.
  if (const u64 choice = variation(Variation::table_not_least, op, place(tree, level_b)); choice != 0) {
    const ManifestLevel& level_a = tree.manifest().level(level_b - 1);
    const TableInfo& other = level_a.at(choice % level_a.count());
    if (tree.manifest().level(level_b).overlapping(other.range()).count <= format_.growth) table = &other;
  }
  job->table_a = *table;
  job->values_in = table->value_count;
  plan_inputs(tree, table->range(), op, job);
  ASSERT(job->tables_b.count() <= format_.growth);
  // Legal: a merge with no table B, whose output takes the place of A.
  job->move = job->tables_b.empty() && variation(Variation::move_rewritten, op, place(tree, level_b)) == 0;
  if (!job->move) {
    mark(level_b == 1 ? Mark::merge_into_level1 : Mark::merge_into_deeper, tree.config().id, &table->key_min);
    if (job->tables_b.count() > 1) mark(Mark::merge_several_tables, tree.config().id, &table->key_min);
  }
}

bool CompactionSchedule::beat_reserve(u64 op) {
  ASSERT(active_);
  ASSERT(!reserved_);
  const u32 beats = beats_left(format_, op);
  const u64 even = div_ceil(values_left_, beats);
  // Legal: the last beat takes what is left. What the disk has room for may not decide: the same op on
  // another disk must lay out the same blocks.
  const u64 uneven = beats == 1 ? 0 : variation(Variation::beat_uneven, op);
  values_beat_left_ = uneven == 0 ? even : uneven % (values_left_ + 1);

  u64 blocks = 0;
  u64 share = values_beat_left_;
  for (u32 i = job_; i < job_count_ && share > 0; ++i) {
    const CompactionJob& job = jobs_[i];
    if (job.done) continue;
    // A run may overshoot its share by one value.
    const u64 values = std::min(job.values_in - job.values_consumed, share);
    blocks += Compaction::blocks_needed_max(job.tree->layout(), values);
    share -= values;
  }
  if (blocks == 0) return true;
  const std::optional<Reservation> reservation = grid_->reserve(static_cast<u32>(blocks));
  if (!reservation) return false;
  reservation_ = *reservation;
  reserved_ = true;
  return true;
}

void CompactionSchedule::beat(Callback<> done) {
  ASSERT(active_);
  done_ = done;
  dispatch();
}

void CompactionSchedule::dispatch() {
  while (job_ < job_count_ && jobs_[job_].done) ++job_;
  if (error_ || job_ == job_count_ || values_beat_left_ == 0) {
    next_tick_.done = Callback<Storage::NextTick&>::to<&CompactionSchedule::tick_done>(this);
    grid_->storage().next_tick(next_tick_);
    return;
  }
  ASSERT(reserved_);
  if (!compaction_.active()) compaction_.start(jobs_[job_]);
  compaction_.run(values_beat_left_, reservation_, Callback<>::to<&CompactionSchedule::run_done>(this));
}

void CompactionSchedule::run_done() {
  const u64 consumed = compaction_.values_run();
  ASSERT(consumed <= values_left_);
  values_left_ -= consumed;
  values_beat_left_ -= std::min(values_beat_left_, consumed);
  error_ = compaction_.error();
  dispatch();
}

void CompactionSchedule::tick_done(Storage::NextTick&) { done_(); }

void CompactionSchedule::beat_forfeit() {
  if (!reserved_) return;
  reserved_ = false;
  grid_->forfeit(reservation_);
}

void CompactionSchedule::half_bar_complete() {
  ASSERT(active_);
  ASSERT(!error_);
  ASSERT(values_left_ == 0);
  ASSERT(!compaction_.active());
  // The last level has nowhere to go: a table more than it may hold is the end of this tree. Only now is
  // it known how many tables a merge left; none of the half-bar has taken effect yet.
  for (u32 i = 0; i < job_count_; ++i) {
    if (!overflows(jobs_[i])) continue;
    error_ = {.kind = ErrorKind::manifest_full, .reason = "the last level is full"};
    return;
  }
  for (u32 i = 0; i < job_count_; ++i) complete(jobs_[i]);
  jobs_done_ += job_count_;
  job_count_ = 0;
  active_ = false;
  span_ends(SpanKind::half_bar, this);
}

bool CompactionSchedule::overflows(const CompactionJob& job) const {
  if (job.level_b != format_.levels - 1) return false;
  const u64 count = job.tree->manifest().level(job.level_b).count();
  ASSERT(count >= job.tables_b.count());
  const u64 added = job.move ? 1 : job.tables_out.count();
  return count - job.tables_b.count() + added > level_tables_max(format_, job.level_b);
}

void CompactionSchedule::complete(CompactionJob& job) {
  ASSERT(job.done);
  Manifest& manifest = job.tree->manifest();
  const u16 tree_id = job.tree->config().id;
  if (job.move) {
    mark(Mark::table_moved, tree_id, &job.table_a.key_min);
    manifest.move_table(job.level_b - 1, job.level_b, job.table_a);
    return;
  }
  ASSERT(job.values_consumed == job.values_in);
  if (job.level_b == 0) {
    job.tree->table_immutable().mark_flushed();
  } else {
    manifest.remove_table(job.level_b - 1, job.table_a);
  }
  for (const TableInfo& table : job.tables_b) manifest.remove_table(job.level_b, table);
  for (const TableInfo& table : job.tables_out) manifest.insert_table(job.level_b, table);
  if (manifest.level(job.level_b).empty()) mark(Mark::level_emptied, tree_id);
}

}  // namespace tonearm
