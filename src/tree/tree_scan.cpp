#include "tree/tree_scan.h"

#include <algorithm>
#include <cstring>

#include "base/mark.h"
#include "base/sanitizer.h"
#include "base/span.h"
#include "base/variation.h"

namespace tonearm {

void TreeScan::open(Tree& tree, ScanBuffer& buffer, const KeyRange& range, Direction direction,
                    bool cache_read) {
  static_assert(TableMemory::runs_max + 1 + levels_max <= merge_streams_max);
  ASSERT(state_ == State::closed);
  ASSERT(!tree.scope_active());  // The suffix is sorted below, which a discard could not undo.
  ASSERT(buffer.acquired && !buffer.scanned);
  ASSERT(buffer.level_count == tree.manifest().levels());
  tree_ = &tree;
  buffer_ = &buffer;
  buffer.scanned = true;
  unpoison(buffer.memory.data(), buffer.memory.size());
  tree.scan_opened();
  levels_count_ = buffer.level_count;
  range_ = range;
  direction_ = direction;
  cache_read_ = cache_read;
  error_ = {};
  blocks_read_ = 0;
  reads_pending_ = 0;
  values_since_read_ = 0;
  values_ = 0;
  run_count_ = 0;
  level_streams_.clear();
  ahead_at_ = ahead_count_ = 0;
  ahead_wanted_ = 1;
  last_ = nullptr;
  last_key_.reset();
  if (range.max < range.min) {
    state_ = State::finished;
    return;
  }
  open_runs();
  open_levels();
  state_ = State::idle;
}

void TreeScan::open_levels() {
  for (u32 i = 0; i < levels_count_; ++i) {
    Level& level = levels_[i];
    level.scan = this;
    level.index = i;
    level.index_block = buffer_->levels[i].index_block;
    level.value_block = buffer_->levels[i].value_block;
    level_next_table(level, nullptr);
    if (level.stage == Level::Stage::finished) continue;
    level.stream = run_count_ + level_streams_.count();
    heads_[level.stream] = {};
    level_streams_.push(&level);
  }
}

// Memory streams in order of precedence: the newest run first, the immutable table last.
void TreeScan::open_runs() {
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

StreamHead TreeScan::head_of(std::span<const std::byte> values) const {
  ASSERT(!values.empty());
  const u32 value_size = tree_->layout().value_size;
  const u64 last = values.size() - value_size;
  return {.next = values.data() + (ascending() ? 0 : last),
          .left = static_cast<u32>(values.size() / value_size)};
}

// Without `exclusive`: the first table that overlaps what is left of the range. A table on the near side of
// it is no end: a probe may have moved the range beyond the table that was read last, and further ones.
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

// One behind the last value block that holds a key up to `key`.
u32 TreeScan::blocks_up_to(const IndexBlock& index, const Key& key) {
  const u32 end = index.lower_bound(key);
  return end < index.count() && index.key_min(end) <= key ? end + 1 : end;
}

// Selects the value blocks of the table that overlap the range; maybe none.
void TreeScan::level_index_ready(Level& level) {
  const IndexBlock index(tree_->layout(), tree_->kernel(), level.index_block);
  const u32 first = index.lower_bound(range_.min);
  const u32 end = blocks_up_to(index, range_.max);
  if (first >= end) {
    mark(Mark::scan_table_gap, tree_->config().id, &range_.min);
    return level_leave_table(level);
  }
  level.block_first = first;
  level.block_last = end - 1;
  level.block_next = ascending() ? first : end - 1;
  level.stage = Level::Stage::value_wanted;
}

// `block` is the grid's, which shows it until the read's callback returns. Only what the scan wants of it
// is copied.
void TreeScan::level_value_ready(Level& level, const std::byte* block) {
  const std::span<const std::byte> values = in_range(value_block_values(tree_->layout(), block));
  level.stage = Level::Stage::buffered;
  if (values.empty()) {
    mark(Mark::scan_block_gap, tree_->config().id, &range_.min);
    return level_next_block(level);
  }
  std::memcpy(level.value_block, values.data(), values.size());
  heads_[level.stream] = head_of({level.value_block, values.size()});
}

// Behind the block at hand: the next one of the table, else the next table.
void TreeScan::level_next_block(Level& level) {
  if (level.block_next == (ascending() ? level.block_last : level.block_first)) {
    return level_leave_table(level);
  }
  level.block_next = ascending() ? level.block_next + 1 : level.block_next - 1;
  level.stage = Level::Stage::value_wanted;
}

void TreeScan::level_leave_table(Level& level) {
  const Key exclusive = ascending() ? level.table.key_max : level.table.key_min;
  level_next_table(level, &exclusive);
}

void TreeScan::read(Callback<> done) {
  ASSERT(state_ == State::idle || state_ == State::needs_data);
  ASSERT(ahead_at_ == ahead_count_);  // Its values are about to be overwritten.
  if (last_ != nullptr) last_key_ = tree_->kernel().key_of(last_);
  last_ = nullptr;
  state_ = State::buffering;
  span_begins(SpanKind::scan_refill, this, {.tree = tree_->config().id});
  values_since_read_ = 0;
  done_ = done;
  dispatch();
}

// Submits what each level wants until every level is buffered or finished; then completes on a tick.
void TreeScan::dispatch() {
  ASSERT(state_ == State::buffering);
  if (!error_) {
    for (u32 i = 0; i < levels_count_; ++i) level_submit(levels_[i]);
  }
  if (reads_pending_ > 0) return;
  next_tick_.done = Callback<Storage::NextTick&>::to<&TreeScan::tick_done>(this);
  tree_->storage().next_tick(next_tick_);
}

void TreeScan::tick_done(Storage::NextTick&) {
  ASSERT(state_ == State::buffering);
  ASSERT(reads_pending_ == 0);
  span_ends(SpanKind::scan_refill, this);
  state_ = error_ ? State::failed : State::seeking;
  done_();
}

void TreeScan::level_submit(Level& level) {
  const bool index_wanted = level.stage == Level::Stage::index_wanted;
  if (!index_wanted && level.stage != Level::Stage::value_wanted) return;
  // Nothing is read that lies outside what is left of the range.
  if (index_wanted) {
    ASSERT(level.table.range().overlaps(range_));
    level.read.block = level.table.index_block();
    level.read.buffer = level.index_block;
    level.stage = Level::Stage::index_reading;
  } else {
    const IndexBlock index(tree_->layout(), tree_->kernel(), level.index_block);
    const KeyRange block{.min = index.key_min(level.block_next), .max = index.key_max(level.block_next)};
    ASSERT(block.overlaps(range_));
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
  span_begins(SpanKind::scan_level, &level, {.tree = level.read.tag.tree, .level = level.read.tag.level});
  ++reads_pending_;
  ++blocks_read_;
  tree_->grid().read(level.read);
}

void TreeScan::level_read_done(Level& level, const Grid::Read& read) {
  ASSERT(reads_pending_ > 0);
  --reads_pending_;
  span_ends(SpanKind::scan_level, &level);
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

TreeScan::Next TreeScan::next(const std::byte** value) {
  if (state_ != State::seeking) return next_state();
  // Legal: read_again may come at any time. A value between two of them, so that the scan gets on.
  if (values_since_read_ > 0 && variation(Variation::scan_refilled_early, tree_->config().id, values_)) {
    state_ = State::needs_data;
    return Next::read_again;
  }
  // Each turn drops one tombstone; the streams are finite, so the loop is.
  for (;;) {
    if (ahead_at_ == ahead_count_) {
      for (const Level* level : level_streams_) {
        if (level->wanted()) return read_again();
      }
      work_ahead();
      if (ahead_count_ == 0) {
        state_ = State::finished;
        return Next::end;
      }
    }
    last_ = ahead_[ahead_at_++];
    ++values_since_read_;
    ++values_;
    *value = last_;
    if (!tree_->kernel().is_tombstone(last_)) return Next::value;
    mark(Mark::scan_tombstone, tree_->config().id);
  }
}

// Every stream has a value or is at its end. The values stay in their buffers until the next read().
void TreeScan::work_ahead() {
  ASSERT(ahead_at_ == ahead_count_);
  const u32 wanted = varied(Variation::scan_refilled_early) ? 1 : ahead_wanted_;
  const MergedHeads merged = tree_->kernel().merge_heads(
      {heads_.data(), run_count_ + level_streams_.count()}, direction_, {ahead_.data(), wanted});
  ASSERT(merged.count <= wanted);
  ASSERT_IMPLIES(merged.count > 0, !passed(tree_->kernel().key_of(ahead_[0])));
  ahead_at_ = 0;
  ahead_count_ = merged.count;
  ahead_wanted_ = std::min(2 * ahead_wanted_, ahead_max);
  const u16 id = tree_->config().id;
  if (merged.versions_dropped > 0) mark(Mark::scan_merge_versions, id);
  if (merged.versions_dropped_max >= 2) mark(Mark::scan_three_versions, id);
  if (merged.versions_dropped_max >= 2 && run_count_ == 0) mark(Mark::scan_three_levels, id);
  for (Level* level : level_streams_) {
    if (level->stage == Level::Stage::buffered && heads_[level->stream].left == 0) level_next_block(*level);
  }
}

// What next() says in a state that yields nothing.
TreeScan::Next TreeScan::next_state() {
  switch (state_) {
    case State::idle: return read_again();
    case State::needs_data: return Next::read_again;
    case State::aborted:
    case State::finished: return Next::end;
    case State::failed: return Next::failed;
    case State::closed:
    case State::buffering:
    case State::seeking: break;
  }
  UNREACHABLE();
}

TreeScan::Next TreeScan::read_again() {
  state_ = State::needs_data;
  for (const Level* level : level_streams_) {
    if (!level->wanted()) continue;
    switch (level->index) {
      case 0: mark(Mark::scan_read_again_level0, tree_->config().id); break;
      case 1: mark(Mark::scan_read_again_level1, tree_->config().id); break;
      default: mark(Mark::scan_read_again_deep, tree_->config().id); break;
    }
  }
  return Next::read_again;
}

void TreeScan::probe(const Key& key) {
  ASSERT(state_ != State::closed);
  ASSERT(state_ != State::buffering);
  const u16 id = tree_->config().id;
  if (over()) return;
  if (!before(ascending() ? range_.min : range_.max, key)) return mark(Mark::scan_probe_idle, id, &key);
  if (before(far_end(range_), key)) {
    mark(Mark::scan_probe_ended, id, &key);
    return abort();
  }
  if (state_ == State::needs_data) mark(Mark::scan_probe_needs_data, id, &key);
  (ascending() ? range_.min : range_.max) = key;
  // A caller that was given one key may ask for an earlier one: tombstones were skipped, or what it probes
  // for comes from somebody who lags behind. Every stream is beyond the key already.
  if (passed(key)) return mark(Mark::scan_probe_lagging, id, &key);
  ahead_wanted_ = 1;
  if (ahead_probe(key)) return;
  for (u32 i = 0; i < run_count_; ++i) (void)head_probe(heads_[i], key);
  for (Level* level : level_streams_) level_probe(*level, key);
}

// Whether next() took this key or one beyond it.
bool TreeScan::passed(const Key& key) const {
  if (last_ == nullptr) return last_key_ && !before(*last_key_, key);
  return !before(tree_->kernel().key_of(last_), key);
}

// Drops what was merged before the key. True: there is more, and so nothing before the key in the streams.
bool TreeScan::ahead_probe(const Key& key) {
  const u32 at = ahead_at_;
  while (ahead_at_ < ahead_count_ && before(tree_->kernel().key_of(ahead_[ahead_at_]), key)) ++ahead_at_;
  if (ahead_at_ == ahead_count_) return false;
  if (ahead_at_ > at) mark(Mark::scan_probe_resliced, tree_->config().id, &key);
  return true;
}

// How many of the values, from the head on, lie before the key.
u32 TreeScan::count_before(const StreamHead& head, const Key& key) const {
  ASSERT(head.left > 0);
  const TableKernel& kernel = tree_->kernel();
  if (!before(kernel.key_of(head.next), key)) return 0;
  if (ascending()) return kernel.lower_bound(head.next, head.left, key);
  const u32 value_size = tree_->layout().value_size;
  const std::byte* first = head.next - u64{head.left - 1} * value_size;
  u32 stay = kernel.lower_bound(first, head.left, key);
  if (stay < head.left && kernel.key_of(first + u64{stay} * value_size) == key) ++stay;
  return head.left - stay;
}

// Drops the values before the key. True: there were some.
bool TreeScan::head_probe(StreamHead& head, const Key& key) const {
  if (head.left == 0) return false;
  const u32 dropped = count_before(head, key);
  if (dropped == 0) return false;
  ASSERT(dropped <= head.left);
  head.left -= dropped;
  const u64 size = u64{dropped} * tree_->layout().value_size;
  if (head.left > 0) head.next = ascending() ? head.next + size : head.next - size;
  if (head.left > 0) mark(Mark::scan_probe_resliced, tree_->config().id, &key);
  return true;
}

void TreeScan::level_probe(Level& level, const Key& key) {
  switch (level.stage) {
    case Level::Stage::finished: return;
    case Level::Stage::index_wanted:
    case Level::Stage::value_wanted: return level_skip(level, key);
    case Level::Stage::buffered: {
      StreamHead& head = heads_[level.stream];
      if (!head_probe(head, key) || head.left > 0) return;
      level_next_block(level);
      return level_skip(level, key);
    }
    case Level::Stage::index_reading:
    case Level::Stage::value_reading: break;
  }
  UNREACHABLE();
}

// Whether the table behind the level's table lies before the key, too.
bool TreeScan::leaps_next_table(const Level& level, const Key& key) const {
  const ManifestLevel& tables = tree_->manifest().level(level.index);
  const u64 at = tables.lower_bound(level.table.key_max);
  ASSERT(at < tables.count());
  if (ascending()) return at + 1 < tables.count() && before(tables.at(at + 1).key_max, key);
  return at > 0 && before(tables.at(at - 1).key_min, key);
}

// Of what the level has still to read, what lies before the key is not read: tables, or value blocks of the
// table whose index block is here.
void TreeScan::level_skip(Level& level, const Key& key) {
  if (level.stage == Level::Stage::finished) return;
  if (before(ascending() ? level.table.key_max : level.table.key_min, key)) {
    mark(Mark::scan_probe_table_skipped, tree_->config().id, &key);
    if (leaps_next_table(level, key)) mark(Mark::scan_probe_tables_leapt, tree_->config().id, &key);
    return level_next_table(level, nullptr);
  }
  if (level.stage == Level::Stage::index_wanted) return;
  ASSERT(level.stage == Level::Stage::value_wanted);
  const IndexBlock index(tree_->layout(), tree_->kernel(), level.index_block);
  const u32 block_before = level.block_next;
  if (ascending()) {
    const u32 first = index.lower_bound(key);
    if (first > level.block_last) return level_leave_table(level);
    level.block_next = std::max(level.block_next, first);
  } else {
    const u32 end = blocks_up_to(index, key);
    if (end <= level.block_first) return level_leave_table(level);
    level.block_next = std::min(level.block_next, end - 1);
  }
  if (level.block_next != block_before) mark(Mark::scan_probe_block_skipped, tree_->config().id, &key);
}

void TreeScan::abort() {
  ASSERT(state_ != State::closed);
  ASSERT(state_ != State::buffering);
  if (over()) return;
  mark(Mark::scan_aborted, tree_->config().id);
  state_ = State::aborted;
}

void TreeScan::close() {
  ASSERT(state_ != State::closed);
  ASSERT(state_ != State::buffering);
  ASSERT(reads_pending_ == 0);
  state_ = State::closed;
  poison(buffer_->memory.data(), buffer_->memory.size());
  buffer_->scanned = false;
  buffer_ = nullptr;
  tree_->scan_closed();
  tree_ = nullptr;
}

}  // namespace tonearm
