// A table in memory. Each tree has two: one mutable, which takes the puts of the current bar, and
// one immutable, which holds those of the bar before until it is flushed to level 0.
//
//     mutable(empty) -> mutable(filling) -> [bar end] immutable(unflushed) -> immutable(flushed)
//                    -> mutable(empty)
//     immutable(unflushed) + mutable -> absorb -> immutable(unflushed)
//
// The values of a mutable table are a list of sorted runs, oldest first, one a beat, followed by the
// suffix: the puts of the current op in order of arrival. So a put is an append, a get looks at the
// suffix from its newest value backwards and then at the runs, newest first, and no read ever has to
// reorder the table. (A read that sorts can change what a later flush decides: here it cannot.)
// Becoming immutable merges the runs into one and resolves versions by usage. A filter spares the search
// of most keys that are not there.
//
// The capacity is what a full bar can put, whatever the batch limit of this run.
#pragma once

#include <array>
#include <span>

#include "base/arena.h"
#include "base/key.h"
#include "table/kernel.h"
#include "table/key_filter.h"
#include "table/schema.h"

namespace tonearm {

// One buffer for all sorting of the engine: as large as the largest memory table.
struct ScratchMemory {
  std::span<std::byte> bytes;
  bool busy = false;
};

class TableMemory {
 public:
  enum class State : u8 { mutable_, immutable };
  static constexpr u32 runs_max = 66;  // beats_max + the run of an absorbed immutable + the suffix.

  // What a scope saves, and a discard restores.
  struct ValueContext {
    u32 count = 0;
    u32 puts_since_bar_start = 0;
    u32 sorts = 0;  // Tells a discard that the suffix was reordered, and so cannot be restored.
  };

  static void measure(Arena& arena, const TableLayout& layout);
  TableMemory(Arena& arena, const TableLayout& layout, const TableKernel& kernel, ScratchMemory& scratch,
              State state);
  TableMemory(const TableMemory&) = delete;

  State state() const { return state_; }
  u32 count() const { return count_; }
  u32 capacity() const { return layout_->value_count_max; }
  bool empty() const { return count_ == 0; }
  // Raw puts, not yet deduplicated: what the flush decision uses, because no read can change it. Of an
  // immutable table: the puts of all bars it holds.
  u32 puts_since_bar_start() const { return puts_since_bar_start_; }

  // --- mutable
  void put(const std::byte* value);
  // Sorts and dedupes the suffix, so that it can be scanned. Not inside a scope (it reorders).
  void sort_suffix();
  // End of an op: the sorted suffix becomes a run (nothing if it is empty).
  void op_end();
  ValueContext value_context() const;
  void restore(const ValueContext& context);  // The suffix must not have been sorted since.

  // --- both
  // The newest version of the key, maybe a tombstone; null if there is none.
  const std::byte* get(const Key& key) const;
  // Sorted runs, oldest first, none of them empty (so an immutable table has one or none). The suffix
  // must be sorted.
  u32 run_count() const;
  std::span<const std::byte> run(u32 index) const;

  // --- immutable
  bool flushed() const { return flushed_; }
  bool absorbed() const { return absorbed_; }
  u64 snapshot_min() const { return snapshot_min_; }
  std::span<const std::byte> values() const;  // Sorted, unique.
  void mark_flushed();

  // --- the swap at the end of a bar
  void make_immutable(u64 snapshot_min);  // Born flushed if empty.
  void make_mutable();                    // Requires: immutable and flushed. Empties it.
  // Appends `mutable_table` (and empties it, ready for the next bar) to this immutable, unflushed one.
  void absorb(TableMemory& mutable_table, u64 snapshot_min);

 private:
  std::byte* at(u32 index) { return values_.data() + u64{index} * layout_->value_size; }
  const std::byte* at(u32 index) const { return values_.data() + u64{index} * layout_->value_size; }
  u32 suffix_begin() const { return run_count_ == 0 ? 0 : run_end_[run_count_ - 1]; }
  const std::byte* find_sorted(u32 begin, u32 end, const Key& key) const;
  void dedupe_from(u32 begin);
  void merge_adjacent(u32 begin, u32 left, u32 right);
  void merge_all_runs();
  void become_one_run();
  void clear();

  const TableLayout* layout_;
  const TableKernel* kernel_;
  ScratchMemory* scratch_;
  std::span<std::byte> values_;
  KeyFilter filter_;  // Of all puts since the table was last emptied.
  State state_;
  u32 count_ = 0;

  std::array<u32, runs_max> run_end_{};  // One behind the last value of each run.
  u32 run_count_ = 0;
  bool suffix_sorted_ = true;  // And without duplicates.
  u32 sorts_ = 0;
  u32 puts_since_bar_start_ = 0;

  bool flushed_ = true;
  bool absorbed_ = false;
  u64 snapshot_min_ = 0;
};

}  // namespace tonearm
