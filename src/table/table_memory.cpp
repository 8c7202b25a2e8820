#include "table/table_memory.h"

#include <cstring>

#include "base/assert.h"
#include "base/mark.h"

namespace tonearm {

namespace {

constexpr u64 values_align = 64;

// Holds the scratch for one sort or merge; nobody else may be using it.
class ScratchUse {
 public:
  ScratchUse(ScratchMemory& scratch, u64 size) : scratch_(scratch) {
    ASSERT(!scratch.busy);
    ASSERT(size <= scratch.bytes.size());
    scratch.busy = true;
    unpoison(scratch.bytes.data(), scratch.bytes.size());
  }
  ScratchUse(const ScratchUse&) = delete;
  ~ScratchUse() {
    scratch_.busy = false;
    poison(scratch_.bytes.data(), scratch_.bytes.size());
  }
  std::byte* data() const { return scratch_.bytes.data(); }

 private:
  ScratchMemory& scratch_;
};

}  // namespace

void TableMemory::measure(Arena& arena, const TableLayout& layout) {
  ASSERT(arena.measuring());
  (void)arena.take<std::byte>(u64{layout.value_count_max} * layout.value_size, values_align);
  KeyFilter::measure(arena, layout.value_count_max);
}

TableMemory::TableMemory(Arena& arena, const TableLayout& layout, const TableKernel& kernel,
                         ScratchMemory& scratch, State state)
    : layout_(&layout),
      kernel_(&kernel),
      scratch_(&scratch),
      values_(arena.take<std::byte>(u64{layout.value_count_max} * layout.value_size, values_align)),
      filter_(arena, layout.value_count_max),
      state_(state) {
  ASSERT(layout.value_count_max >= 1);
  ASSERT(layout.key_size == kernel.key_size());
  ASSERT(layout.value_size == kernel.value_size());
}

void TableMemory::put(const std::byte* value) {
  ASSERT(state_ == State::mutable_);
  ASSERT(puts_since_bar_start_ < capacity());
  ASSERT(count_ <= puts_since_bar_start_);
  const Key key = kernel_->key_of(value);
  ASSERT(key <= kernel_->key_max());
  if (count_ > suffix_begin() && suffix_sorted_) suffix_sorted_ = kernel_->key_of(at(count_ - 1)) < key;
  std::memcpy(at(count_), value, layout_->value_size);
  filter_.add(key);
  ++count_;
  ++puts_since_bar_start_;
}

void TableMemory::sort_suffix() {
  ASSERT(state_ == State::mutable_);
  if (suffix_sorted_) return;
  const u32 begin = suffix_begin();
  {
    const u32 suffix_count = count_ - begin;
    ASSERT(suffix_count >= 2);
    const ScratchUse scratch(*scratch_, u64{suffix_count} * layout_->value_size);
    kernel_->sort(at(begin), suffix_count, scratch.data());
  }
  dedupe_from(begin);
  suffix_sorted_ = true;
  ++sorts_;
}

void TableMemory::op_end() {
  sort_suffix();
  if (count_ == suffix_begin()) return;
  ASSERT(run_count_ < runs_max);
  run_end_[run_count_++] = count_;
  ++sorts_;  // A scope cannot reach behind the end of its op.
}

TableMemory::ValueContext TableMemory::value_context() const {
  ASSERT(state_ == State::mutable_);
  return {.count = count_, .puts_since_bar_start = puts_since_bar_start_, .sorts = sorts_};
}

void TableMemory::restore(const ValueContext& context) {
  ASSERT(state_ == State::mutable_);
  ASSERT(context.sorts == sorts_);
  ASSERT(context.count >= suffix_begin() && context.count <= count_);
  ASSERT(context.puts_since_bar_start <= puts_since_bar_start_);
  ASSERT(puts_since_bar_start_ - context.puts_since_bar_start == count_ - context.count);
  count_ = context.count;
  puts_since_bar_start_ = context.puts_since_bar_start;
  // What is left may be sorted although the whole was not; sort_suffix finds out soon enough.
  if (count_ - suffix_begin() <= 1) suffix_sorted_ = true;
}

const std::byte* TableMemory::get(const Key& key) const {
  if (!filter_.may_hold(key)) return nullptr;
  const u32 begin = suffix_begin();
  if (suffix_sorted_) {
    if (const std::byte* value = find_sorted(begin, count_, key)) return value;
  } else if (const std::byte* value = kernel_->find_last(at(begin), count_ - begin, key)) {
    return value;
  }
  for (u32 index = run_count_; index > 0; --index) {
    const u32 run_begin = index == 1 ? 0 : run_end_[index - 2];
    if (const std::byte* value = find_sorted(run_begin, run_end_[index - 1], key)) return value;
  }
  return nullptr;
}

u32 TableMemory::run_count() const {
  ASSERT(suffix_sorted_);
  return run_count_ + (count_ > suffix_begin() ? 1 : 0);
}

std::span<const std::byte> TableMemory::run(u32 index) const {
  ASSERT(index < run_count());
  const u32 begin = index == 0 ? 0 : run_end_[index - 1];
  const u32 end = index < run_count_ ? run_end_[index] : count_;
  ASSERT(begin < end);
  return values_.subspan(u64{begin} * layout_->value_size, u64{end - begin} * layout_->value_size);
}

std::span<const std::byte> TableMemory::values() const {
  ASSERT(state_ == State::immutable);
  return values_.first(u64{count_} * layout_->value_size);
}

void TableMemory::mark_flushed() {
  ASSERT(state_ == State::immutable);
  flushed_ = true;
}

void TableMemory::make_immutable(u64 snapshot_min) {
  ASSERT(state_ == State::mutable_);
  merge_all_runs();
  dedupe_from(0);
  become_one_run();
  state_ = State::immutable;
  flushed_ = count_ == 0;
  absorbed_ = false;
  snapshot_min_ = snapshot_min;
}

void TableMemory::make_mutable() {
  ASSERT(state_ == State::immutable);
  ASSERT(flushed_);
  clear();
  state_ = State::mutable_;
  absorbed_ = false;
  snapshot_min_ = 0;
}

void TableMemory::absorb(TableMemory& mutable_table, u64 snapshot_min) {
  ASSERT(state_ == State::immutable && !flushed_);
  ASSERT(mutable_table.state_ == State::mutable_);
  ASSERT(&mutable_table != this);
  ASSERT(layout_ == mutable_table.layout_ && kernel_ == mutable_table.kernel_);

  mutable_table.merge_all_runs();
  ASSERT(count_ + mutable_table.count_ <= capacity());
  if (mutable_table.count_ > 0) {
    std::memcpy(at(count_), mutable_table.at(0), u64{mutable_table.count_} * layout_->value_size);
    merge_adjacent(0, count_, mutable_table.count_);
    count_ += mutable_table.count_;
    filter_.add_all(mutable_table.filter_);
    dedupe_from(0);
  }
  become_one_run();
  puts_since_bar_start_ += mutable_table.puts_since_bar_start_;
  flushed_ = count_ == 0;
  absorbed_ = true;
  snapshot_min_ = snapshot_min;
  mutable_table.clear();
  mark(Mark::table_memory_absorbed, layout_->tree_id);
}

const std::byte* TableMemory::find_sorted(u32 begin, u32 end, const Key& key) const {
  const u32 index = begin + kernel_->lower_bound(at(begin), end - begin, key);
  if (index == end || kernel_->key_of(at(index)) != key) return nullptr;
  return at(index);
}

void TableMemory::dedupe_from(u32 begin) {
  const u32 before = count_ - begin;
  Key dropped{};
  const u32 after = kernel_->dedupe(at(begin), before, &dropped);
  ASSERT(after <= before);
  if (after == before) return;
  count_ = begin + after;
  const bool annihilated = kernel_->usage() == TableUsage::secondary_index;
  mark(annihilated ? Mark::table_memory_annihilated : Mark::table_memory_superseded, layout_->tree_id,
       &dropped);
  if (count_ == 0) mark(Mark::table_memory_emptied, layout_->tree_id, &dropped);
}

void TableMemory::merge_adjacent(u32 begin, u32 left, u32 right) {
  const ScratchUse scratch(*scratch_, u64{left} * layout_->value_size);
  kernel_->merge_runs(at(begin), left, right, scratch.data());
}

// Only neighbours are merged, the older on the left: so versions stay in the order of their puts.
void TableMemory::merge_all_runs() {
  op_end();
  while (run_count_ > 1) {
    u32 begin = 0;
    u32 merged = 0;
    for (u32 index = 0; index < run_count_; index += 2) {
      const u32 middle = run_end_[index];
      const u32 end = index + 1 < run_count_ ? run_end_[index + 1] : middle;
      if (middle < end) merge_adjacent(begin, middle - begin, end - middle);
      run_end_[merged++] = end;
      begin = end;
    }
    ASSERT(merged < run_count_ && begin == count_);
    run_count_ = merged;
  }
}

void TableMemory::become_one_run() {
  run_count_ = count_ > 0 ? 1 : 0;
  run_end_[0] = count_;
  suffix_sorted_ = true;
  ++sorts_;
}

void TableMemory::clear() {
  filter_.clear();
  count_ = 0;
  puts_since_bar_start_ = 0;
  become_one_run();
}

}  // namespace tonearm
