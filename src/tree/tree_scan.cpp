#include "tree/tree_scan.h"

#include <cstring>

#include "base/mark.h"
#include "base/variation.h"

namespace tonearm {

using Merge = KWayMergeOf<TreeScan>;

void TreeScan::measure(Arena& arena, const FormatOptions& format) {
  arena.take<std::byte>(u64{format.levels} * 2 * format.block_size, 4096);
}

TreeScan::TreeScan(Grid& grid, Arena& arena, const FormatOptions& format)
    : grid_(&grid), levels_count_(format.levels) {
  static_assert(TableMemory::runs_max + 1 + levels_max <= merge_streams_max);
  std::byte* memory = arena.take<std::byte>(u64{format.levels} * 2 * format.block_size, 4096).data();
  for (u32 i = 0; i < levels_count_; ++i) {
    Level& level = levels_[i];
    level.scan = this;
    level.index = i;
    level.index_block = memory;
    level.value_block = memory + format.block_size;
    memory += u64{2} * format.block_size;
  }
  poison_buffers();
}

// Both buffers of a level, which lie side by side.
void TreeScan::poison_buffers() {
  for (u32 i = 0; i < levels_count_; ++i) poison(levels_[i].index_block, u64{2} * grid_->block_size());
}

void TreeScan::open(Tree& tree, const KeyRange& range, Direction direction, bool cache_read) {
  ASSERT(state_ == State::idle);
  ASSERT(!tree.scope_active());  // The suffix is sorted below, which a discard could not undo.
  ASSERT(tree.manifest().levels() == levels_count_);
  tree_ = &tree;
  for (u32 i = 0; i < levels_count_; ++i) unpoison(levels_[i].index_block, u64{2} * grid_->block_size());
  tree.scan_opened();
  range_ = range;
  direction_ = direction;
  cache_read_ = cache_read;
  error_ = {};
  blocks_read_ = 0;
  reads_pending_ = 0;
  values_since_read_ = 0;
  values_ = 0;
  if (range.max < range.min) {
    state_ = State::finished;
    return;
  }
  open_runs();
  level_streams_.clear();
  for (u32 i = 0; i < levels_count_; ++i) {
    level_start(levels_[i]);
    if (levels_[i].stage == Level::Stage::finished) continue;
    levels_[i].stream = run_count_ + level_streams_.count();
    heads_[levels_[i].stream] = {};
    level_streams_.push(&levels_[i]);
  }
  merge_.init(*this, run_count_ + level_streams_.count(), direction);
  state_ = State::needs_data;
}

// Memory streams in order of precedence: the newest run first, the immutable table last.
void TreeScan::open_runs() {
  run_count_ = 0;
  TableMemory& table_mutable = tree_->table_mutable();
  table_mutable.sort_suffix();
  for (u32 i = table_mutable.run_count(); i-- > 0;) add_run(table_mutable.run(i));
  add_run(tree_->table_immutable().values());
  ASSERT(run_count_ <= table_mutable.run_count() + 1);  // Those without a value in the range are left out.
}

void TreeScan::add_run(std::span<const std::byte> values) {
  const std::span<const std::byte> selected = in_range(values);
  if (!selected.empty()) heads_[run_count_++] = head_of(selected);
}

// Those of sorted values whose keys the scan wants.
std::span<const std::byte> TreeScan::in_range(std::span<const std::byte> values) const {
  const u32 value_size = tree_->layout().value_size;
  const TableKernel& kernel = tree_->kernel();
  const u32 count = static_cast<u32>(values.size() / value_size);
  const u32 first = kernel.lower_bound(values.data(), count, range_.min);
  u32 end = kernel.lower_bound(values.data(), count, range_.max);
  if (end < count && kernel.key_of(values.data() + u64{end} * value_size) == range_.max) ++end;
  ASSERT(first <= end);
  return values.subspan(u64{first} * value_size, u64{end - first} * value_size);
}

TreeScan::Head TreeScan::head_of(std::span<const std::byte> values) const {
  ASSERT(!values.empty());
  const u32 value_size = tree_->layout().value_size;
  const u64 last = values.size() - value_size;
  return {.next = values.data() + (direction_ == Direction::ascending ? 0 : last),
          .left = static_cast<u32>(values.size() / value_size)};
}

void TreeScan::level_start(Level& level) { level_next_table(level, nullptr); }

void TreeScan::level_next_table(Level& level, const Key* exclusive) {
  const TableInfo* table = tree_->manifest().level(level.index).next(range_, exclusive, direction_);
  if (table == nullptr) {
    level.stage = Level::Stage::finished;
    return;
  }
  if (exclusive != nullptr) mark(Mark::scan_across_tables, tree_->config().id, &table->key_min);
  level.table = *table;
  level.stage = Level::Stage::index_wanted;
}

// Selects the value blocks of the table that overlap the range; maybe none.
void TreeScan::level_index_ready(Level& level) {
  const IndexBlock index(tree_->layout(), tree_->kernel(), level.index_block);
  const u32 first = index.lower_bound(range_.min);
  u32 end = index.lower_bound(range_.max);
  if (end < index.count() && index.key_min(end) <= range_.max) ++end;
  if (first >= end) {
    mark(Mark::scan_table_gap, tree_->config().id, &range_.min);
    const Key exclusive = direction_ == Direction::ascending ? level.table.key_max : level.table.key_min;
    level_next_table(level, &exclusive);
    return;
  }
  level.block_first = first;
  level.block_last = end - 1;
  level.block_next = direction_ == Direction::ascending ? first : end - 1;
  level.stage = Level::Stage::value_wanted;
}

// `block` is the grid's, which shows it until the read's callback returns. Only what the scan wants of it
// is copied.
void TreeScan::level_value_ready(Level& level, const std::byte* block) {
  const std::span<const std::byte> values = in_range(value_block_values(tree_->layout(), block));
  level.stage = Level::Stage::buffered;
  if (values.empty()) return level_next_block(level);  // The range lies in a gap inside the block.
  std::memcpy(level.value_block, values.data(), values.size());
  heads_[level.stream] = head_of({level.value_block, values.size()});
}

// Behind the block at hand: the next one of the table, else the next table.
void TreeScan::level_next_block(Level& level) {
  const bool ascending = direction_ == Direction::ascending;
  if (level.block_next != (ascending ? level.block_last : level.block_first)) {
    level.block_next = ascending ? level.block_next + 1 : level.block_next - 1;
    level.stage = Level::Stage::value_wanted;
    return;
  }
  const Key exclusive = ascending ? level.table.key_max : level.table.key_min;
  level_next_table(level, &exclusive);
}

void TreeScan::read(Callback<> done) {
  ASSERT(state_ == State::needs_data);
  state_ = State::reading;
  values_since_read_ = 0;
  done_ = done;
  dispatch();
}

// Submits what each level wants until every level is buffered or finished; then completes on a tick.
void TreeScan::dispatch() {
  ASSERT(state_ == State::reading);
  if (!error_) {
    for (u32 i = 0; i < levels_count_; ++i) level_submit(levels_[i]);
  }
  if (reads_pending_ > 0) return;
  next_tick_.done = Callback<Storage::NextTick&>::to<&TreeScan::tick_done>(this);
  grid_->storage().next_tick(next_tick_);
}

void TreeScan::tick_done(Storage::NextTick&) {
  ASSERT(state_ == State::reading);
  ASSERT(reads_pending_ == 0);
  state_ = error_ ? State::finished : State::seeking;
  done_();
}

void TreeScan::level_submit(Level& level) {
  const bool index_wanted = level.stage == Level::Stage::index_wanted;
  if (!index_wanted && level.stage != Level::Stage::value_wanted) return;
  if (index_wanted) {
    level.read.block = level.table.index_block();
    level.read.buffer = level.index_block;
    level.stage = Level::Stage::index_reading;
  } else {
    const IndexBlock index(tree_->layout(), tree_->kernel(), level.index_block);
    level.read.block = index.value_block(level.block_next);
    level.read.buffer = nullptr;
    level.stage = Level::Stage::value_reading;
  }
  level.read.tag = {
      .purpose = IoPurpose::scan, .level = static_cast<u8>(level.index), .tree = tree_->config().id};
  level.read.cache_read = cache_read_;
  level.read.cache_write = true;
  level.read.done = Callback<Grid::Read&>::plain(&level, [](void* context, Grid::Read& read) {
    static_cast<Level*>(context)->scan->level_read_done(*static_cast<Level*>(context), read);
  });
  ++reads_pending_;
  ++blocks_read_;
  grid_->read(level.read);
}

void TreeScan::level_read_done(Level& level, const Grid::Read& read) {
  ASSERT(reads_pending_ > 0);
  --reads_pending_;
  if (read.result != BlockResult::valid) {
    error_ = {.kind = ErrorKind::block_damaged,
              .address = read.block.address,
              .checksum = read.block.checksum,
              .reason = block_result_name(read.result)};
  } else if (level.stage == Level::Stage::index_reading) {
    level_index_ready(level);
  } else {
    ASSERT(level.stage == Level::Stage::value_reading);
    level_value_ready(level, read.data);
  }
  dispatch();
}

PeekResult TreeScan::peek(u32 stream, Key* key) {
  const Head& head = heads_[stream];
  if (head.left > 0) {
    *key = tree_->kernel().key_of(head.next);
    return PeekResult::value;
  }
  if (stream < run_count_) return PeekResult::end;
  switch (level_streams_[stream - run_count_]->stage) {
    case Level::Stage::finished: return PeekResult::end;
    case Level::Stage::index_wanted:
    case Level::Stage::value_wanted: return PeekResult::pending;
    case Level::Stage::buffered:
    case Level::Stage::index_reading:
    case Level::Stage::value_reading: break;
  }
  UNREACHABLE();
}

const std::byte* TreeScan::pop(u32 stream) {
  Head& head = heads_[stream];
  ASSERT(head.left > 0);
  const std::byte* value = head.next;
  const u32 value_size = tree_->layout().value_size;
  --head.left;
  if (head.left > 0) {
    head.next = direction_ == Direction::ascending ? value + value_size : value - value_size;
  } else if (stream >= run_count_) {
    // The values stay in their buffer until the next read(), so the pointer outlives the move.
    Level& level = *level_streams_[stream - run_count_];
    ASSERT(level.stage == Level::Stage::buffered);
    level_next_block(level);
  }
  return value;
}

TreeScan::Next TreeScan::next(const std::byte** value) {
  ASSERT(state_ != State::idle);
  ASSERT(state_ != State::reading);
  if (error_) return Next::failed;
  if (state_ == State::finished) return Next::end;
  if (state_ == State::needs_data) return Next::read_again;
  // Legal: read_again may come at any time. A value between two of them, so that the scan gets on.
  if (values_since_read_ > 0 && variation(Variation::scan_refilled_early, tree_->config().id, values_)) {
    state_ = State::needs_data;
    return Next::read_again;
  }
  // Each turn drops one tombstone; the streams are finite, so the loop is.
  for (;;) {
    const u64 dropped = merge_.versions_dropped();
    u32 stream = 0;
    switch (merge_.pop(value, &stream)) {
      case Merge::Result::end: state_ = State::finished; return Next::end;
      case Merge::Result::pending: state_ = State::needs_data; return Next::read_again;
      case Merge::Result::value: break;
    }
    if (merge_.versions_dropped() != dropped) mark(Mark::scan_merge_versions, tree_->config().id);
    ++values_since_read_;
    ++values_;
    if (!tree_->kernel().is_tombstone(*value)) return Next::value;
    mark(Mark::scan_tombstone, tree_->config().id);
  }
}

void TreeScan::close() {
  ASSERT(state_ != State::idle);
  ASSERT(state_ != State::reading);
  state_ = State::idle;
  tree_->scan_closed();
  tree_ = nullptr;
  poison_buffers();
}

}  // namespace tonearm
