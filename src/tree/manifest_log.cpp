#include "tree/manifest_log.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/mark.h"
#include "base/variation.h"

namespace tonearm {

namespace {

constexpr u32 entry_size = sizeof(TableInfo);

constexpr u32 block_size_of(u32 entry_count) { return block_header_size + entry_count * entry_size; }

const TableInfo& entry_of(const std::byte* block, u32 index) {
  return reinterpret_cast<const TableInfo*>(body_of(block))[index];
}

}  // namespace

ManifestLog::Sizes::Sizes(const FormatOptions& format, u32 trees, u64 tables_of_trees_max, u64 blocks)
    : pace(ManifestPace::of(format, trees, trees * tree_tables_max(format, u64_max))),
      tables_max(std::min(tables_of_trees_max, blocks / 2)),
      log_blocks_max(std::min(pace.log_blocks_max, blocks)),
      blocks_count(blocks),
      levels(format.levels),
      block_size(format.block_size) {
  ASSERT(tables_max <= pace.tables_max);
}

ManifestLog::Memory::Memory(Arena& arena, const Sizes& sizes) {
  log = arena.take<BlockReference>(sizes.log_blocks_max);
  removed = arena.take<u64>(BitSet::words_for(sizes.blocks_count));
  writes = arena.take<Grid::Write>(sizes.pace.buffer_blocks());
  buffers = arena.take<std::byte>(sizes.pace.buffer_blocks() * sizes.block_size, Arena::align_max);
}

void ManifestLog::measure(Arena& arena, const FormatOptions& format, u32 trees, u64 tables_max,
                          u64 blocks_count) {
  ASSERT(arena.measuring());
  const Sizes sizes(format, trees, tables_max, blocks_count);
  Memory(arena, sizes);
  TableExtents::measure(arena, sizes.tables_max);
}

ManifestLog::ManifestLog(Grid& grid, Arena& arena, const FormatOptions& format, u32 trees, u64 tables_max)
    : ManifestLog(grid, arena, Sizes(format, trees, tables_max, grid.blocks_count())) {}

ManifestLog::ManifestLog(Grid& grid, Arena& arena, const Sizes& sizes)
    : grid_(grid),
      pace_(sizes.pace),
      levels_(sizes.levels),
      block_size_(sizes.block_size),
      memory_(arena, sizes),
      log_(memory_.log),
      extents_(arena, sizes.tables_max),
      removed_(memory_.removed) {
  ASSERT(block_size_ == grid.block_size());
  for (Grid::Write& write : memory_.writes) write = Grid::Write{};
  poison(memory_.buffers.data(), memory_.buffers.size());
}

// --- Steps. An operation begins with a request or on the next tick, so `done` runs later.

void ManifestLog::advance_on_next_tick() {
  ASSERT(done_);
  next_tick_.done = Callback<Storage::NextTick&>::to<&ManifestLog::next_tick_done>(this);
  grid_.storage().next_tick(next_tick_);
}

void ManifestLog::next_tick_done(Storage::NextTick&) { advance(); }

void ManifestLog::advance() {
  if (error_) return finish(Stage::failed);
  switch (stage_) {
    case Stage::opening: {
      ASSERT(log_.count() == references_.block_count);
      return finish(Stage::idle);
    }
    case Stage::flushing: {
      stage_ = Stage::compacting;
      return compact_next();
    }
    case Stage::compacting: return compact_next();
    case Stage::checkpointing: return finish(Stage::idle);
    case Stage::closed:
    case Stage::idle:
    case Stage::reserved:
    case Stage::appending:
    case Stage::failed: break;
  }
  UNREACHABLE();
}

void ManifestLog::finish(Stage stage) {
  ASSERT(writes_left_ == 0);
  ASSERT(!read_.in_flight);
  ASSERT((stage == Stage::failed) == static_cast<bool>(error_));
  stage_ = stage;
  const Callback<> done = done_;
  done_ = {};
  done();
}

void ManifestLog::damaged(const BlockReference& block, const char* reason) {
  ASSERT(!error_);
  error_ = {.kind = ErrorKind::block_damaged,
            .address = block.address,
            .checksum = block.checksum,
            .reason = reason};
}

// --- Open.

void ManifestLog::open(const ManifestReferences& references, Callback<const TableInfo&> table,
                       Callback<> done) {
  ASSERT(stage_ == Stage::closed);
  ASSERT(table);
  ASSERT(done);
  stage_ = Stage::opening;
  references_ = references;
  table_ = table;
  done_ = done;
  removed_.clear();
  removed_behind_limit_ = 0;
  if (references.block_count == 0) {
    const bool none = references.newest == BlockReference{} && references.oldest == BlockReference{};
    if (!none) damaged(references.newest, "an empty manifest log has a block");
    advance_on_next_tick();
  } else if (references.block_count > log_.capacity()) {
    damaged(references.newest, "the manifest log is longer than it can be");
    advance_on_next_tick();
  } else if (!may_read(references.newest)) {
    damaged(references.newest, "address out of range");
    advance_on_next_tick();
  } else {
    read_block(references.newest, IoPurpose::manifest_read);
  }
}

bool ManifestLog::may_read(const BlockReference& block) const {
  if (block.address < 1 || block.address > grid_.blocks_count()) return false;
  return !grid_.free_set().opened() || !grid_.free_set().is_free(block.address);
}

// The chain is bounded by the number of blocks that the superblock gives, whatever the blocks say.
void ManifestLog::open_block(const BlockReference& block, const std::byte* data) {
  ASSERT(log_.count() < references_.block_count);
  if (const char* reason = misfit(data); reason != nullptr) {
    damaged(block, reason);
    return advance();
  }
  log_.push_front(block);
  const bool last = log_.count() == references_.block_count;
  if (last != (block == references_.oldest)) {
    damaged(block,
            last ? "the manifest log has more blocks than it should" : "the manifest log is too short");
    return advance();
  }
  const ManifestMetadata& metadata = metadata_of<ManifestMetadata>(data);
  for (u32 i = metadata.entry_count; i > 0; --i) {
    if (const char* reason = open_misfit(entry_of(data, i - 1)); reason != nullptr) {
      damaged(block, reason);
      return advance();
    }
    if (open_entry(entry_of(data, i - 1), {.block = block.address, .entry = i - 1})) continue;
    error_ = {.kind = ErrorKind::manifest_full,
              .address = block.address,
              .checksum = block.checksum,
              .reason = "more tables than the manifest can hold",
              .given = extents_.count_max()};
    return advance();
  }
  if (last) return advance();
  const BlockReference previous{.address = metadata.previous_address, .checksum = metadata.previous_checksum};
  if (!may_read(previous)) {
    damaged(previous, "the manifest log's chain is broken");
    return advance();
  }
  read_block(previous, IoPurpose::manifest_read);
}

// What an authentic block says was said by somebody, not necessarily by this log.
const char* ManifestLog::open_misfit(const TableInfo& entry) const {
  if (const char* reason = entry_misfit(entry); reason != nullptr) return reason;
  const bool remove = entry.event() == ManifestEvent::remove;
  if (behind_limit(entry)) {
    return remove || removed_behind_limit_ > 0 ? nullptr : "a table is behind the storage limit";
  }
  return remove && removed_.test(entry.address - 1) ? "a table is removed twice" : nullptr;
}

bool ManifestLog::behind_limit(const TableInfo& entry) const { return entry.address > grid_.blocks_count(); }

// False: more tables than fit.
bool ManifestLog::open_entry(const TableInfo& entry, TableExtents::Location location) {
  assert_entry(entry);
  if (behind_limit(entry)) {
    // Which ones were removed would take a bit for every block that there ever was; their number is enough to
    // see a table that is there.
    if (entry.event() == ManifestEvent::remove) ++removed_behind_limit_;
    if (entry.event() == ManifestEvent::insert) --removed_behind_limit_;
    return true;
  }
  const u64 bit = entry.address - 1;
  if (entry.event() == ManifestEvent::remove) {
    mark(Mark::manifest_removed_at_open, entry.tree_id, &entry.key_min);
    // The insert in between is newer than the older remove: compaction cannot have dropped only that.
    ASSERT(!removed_.test(bit));
    removed_.set(bit);
    return true;
  }
  if (removed_.test(bit)) {
    if (entry.event() == ManifestEvent::insert) removed_.unset(bit);
    return true;
  }
  if (extents_.contains(entry.address)) return true;
  if (extents_.count() == extents_.count_max()) return false;
  if (entry.event() == ManifestEvent::update) {
    mark(Mark::manifest_moved_at_open, entry.tree_id, &entry.key_min);
  }
  extents_.insert(entry.address, location);
  table_(entry);
  return true;
}

// --- The half-bar.

bool ManifestLog::reserve() {
  ASSERT(stage_ == Stage::idle);
  ASSERT(!error_);
  const u64 wanted = pace_.compact_blocks(log_block_count(), table_count());
  if (wanted == pace_.compact_blocks_max) ASSERT(pace_.is_long(log_block_count(), table_count()));
  // Legal: up to the full rate there is room for what a block holds.
  const bool more = wanted < pace_.compact_blocks_max && !log_.empty() &&
                    variation(Variation::manifest_compacted_more, log_.back().address, log_.count()) != 0;
  // Legal: the full rate alone bounds the log, and is due when the log is long for its tables.
  const bool late = wanted < pace_.compact_blocks_max && !log_.empty() &&
                    variation(Variation::manifest_compacted_late, log_.back().address, log_.count()) != 0;
  const u64 due = late ? 0 : wanted + (more ? 1 : 0);
  const u32 compact = static_cast<u32>(std::min<u64>(due, closed_count()));
  const std::optional<Reservation> reservation =
      grid_.reserve(compact + static_cast<u32>(pace_.append_blocks));
  if (!reservation) return false;
  reservation_ = *reservation;
  compact_left_ = compact;
  if (compact == pace_.compact_blocks_max) mark(Mark::manifest_compacted_full_rate);
  appended_ = 0;
  stage_ = Stage::reserved;
  return true;
}

void ManifestLog::compact(Callback<> done) {
  ASSERT(stage_ == Stage::reserved);
  ASSERT(done);
  stage_ = Stage::flushing;
  done_ = done;
  flush();
}

void ManifestLog::compact_next() {
  ASSERT(stage_ == Stage::compacting);
  if (compact_left_ == 0) return finish(Stage::appending);
  // Only what was closed before this half-bar is compacted, and the flush has written all of that.
  ASSERT(unwritten_ < closed_count());
  read_block(log_.front(), IoPurpose::manifest_compact);
}

// Never skips a block, even if nothing is dropped: the blocks behind it are the oldest next.
void ManifestLog::compact_block(const BlockReference& block, const std::byte* data) {
  ASSERT(misfit(data) == nullptr);
  ASSERT(compact_left_ > 0);
  --compact_left_;
  const BlockReference oldest = log_.pop_front();
  ASSERT(oldest == block);
  ++first_;
  const u32 count = metadata_of<ManifestMetadata>(data).entry_count;
  for (u32 i = 0; i < count; ++i) {
    const TableInfo& entry = entry_of(data, i);
    assert_entry(entry);
    const bool latest = extents_.at(entry.address, {.block = block.address, .entry = i});
    if (latest) ASSERT(entry.event() != ManifestEvent::remove);
    mark(latest ? Mark::manifest_entry_kept : Mark::manifest_entry_dropped, entry.tree_id, &entry.key_min);
    if (latest) append_entry(entry);
  }
  grid_.release(block.address);
  mark(Mark::manifest_compacted);
}

void ManifestLog::append(const TableInfo& entry) {
  ASSERT(stage_ == Stage::appending);
  ASSERT(appended_ < pace_.append_entries_max());
  ++appended_;
  switch (entry.event()) {
    case ManifestEvent::insert: ASSERT(!extents_.contains(entry.address)); break;
    case ManifestEvent::update:
    case ManifestEvent::remove: ASSERT(extents_.contains(entry.address)); break;
    case ManifestEvent::none: UNREACHABLE();
  }
  append_entry(entry);
}

void ManifestLog::compact_end() {
  ASSERT(stage_ == Stage::appending);
  ASSERT(compact_left_ == 0);
  // Legal: as if the room were used up by appends, of which the pace allows so many in a half-bar.
  const u64 room = pace_.entry_count_max - entry_count_;
  if (entry_count_ > 0 && appended_ + room <= pace_.append_entries_max() &&
      variation(Variation::manifest_block_cut, log_.back().address, entry_count_) != 0) {
    mark(Mark::manifest_block_closed_partial);
    close_block();
  }
  ASSERT(log_block_count() <= pace_.log_blocks_max);
  grid_.forfeit(reservation_);
  reservation_ = {};
  stage_ = Stage::idle;
}

// --- Blocks.

void ManifestLog::append_entry(const TableInfo& entry) {
  assert_entry(entry);
  ASSERT(!behind_limit(entry));
  ASSERT(entry_count_ < pace_.entry_count_max);
  ASSERT(unwritten_ < memory_.writes.size());
  std::byte* block = buffer(buffer_index(unwritten_));
  if (entry_count_ == 0) {
    // Now, not when it is closed: extents refer to the block by its address.
    log_.push_back({.address = grid_.acquire(reservation_), .checksum = 0});
    unpoison(block, block_size_);
    block_init(block);
  }
  const TableExtents::Location location{.block = log_.back().address, .entry = entry_count_};
  std::memcpy(body_of(block) + entry_count_ * entry_size, &entry, entry_size);
  ++entry_count_;

  if (entry.event() == ManifestEvent::remove) {
    extents_.remove(entry.address);
  } else if (extents_.contains(entry.address)) {
    extents_.update(entry.address, location);
  } else {
    ASSERT(entry.event() == ManifestEvent::insert);
    extents_.insert(entry.address, location);
  }
  if (entry_count_ == pace_.entry_count_max) {
    mark(Mark::manifest_block_closed_full);
    close_block();
  }
}

void ManifestLog::close_block() {
  ASSERT(entry_count_ >= 1);
  ASSERT(entry_count_ <= pace_.entry_count_max);
  std::byte* block = buffer(buffer_index(unwritten_));
  ManifestMetadata& metadata = metadata_of<ManifestMetadata>(block);
  if (log_.count() > 1) {
    const BlockReference& previous = log_.at(log_.count() - 2);
    ASSERT(previous.checksum != 0);
    metadata.previous_checksum = previous.checksum;
    metadata.previous_address = previous.address;
  }
  metadata.entry_count = entry_count_;
  const BlockSeal seal{
      .type = BlockType::manifest,
      .address = log_.back().address,
      .snapshot = 0,
      .size = block_size_of(entry_count_),
      .cluster = grid_.cluster(),
  };
  log_.back().checksum = block_seal(block, seal, grid_.sector_size());
  ASSERT(misfit(block) == nullptr);
  entry_count_ = 0;
  ++unwritten_;
}

void ManifestLog::flush() {
  ASSERT(writes_left_ == 0);
  if (unwritten_ == 0) return advance_on_next_tick();
  writes_left_ = unwritten_;
  for (u32 i = 0; i < unwritten_; ++i) {
    const u32 index = buffer_index(i);
    Grid::Write& write = memory_.writes[index];
    ASSERT(!write.in_flight);
    ASSERT(header_of(buffer(index)).address == log_.at(closed_count() - unwritten_ + i).address);
    write = Grid::Write{
        .block = buffer(index),
        .tag = {.purpose = IoPurpose::manifest_write},
        .done = Callback<Grid::Write&>::to<&ManifestLog::write_done>(this),
    };
    grid_.write(write);
  }
}

void ManifestLog::write_done(Grid::Write& write) {
  ASSERT(stage_ == Stage::flushing || stage_ == Stage::checkpointing);
  ASSERT(writes_left_ > 0);
  if (write.result == IoResult::failed && !error_) {
    const BlockHeader& header = header_of(write.block);
    error_ = {.kind = ErrorKind::write_failed,
              .address = header.address,
              .checksum = header.checksum,
              .reason = "a manifest block could not be written"};
  }
  if (--writes_left_ > 0) return;
  for (u32 i = 0; i < unwritten_; ++i) poison(buffer(buffer_index(i)), block_size_);
  buffer_first_ = buffer_index(unwritten_);
  unwritten_ = 0;
  advance();
}

void ManifestLog::read_block(const BlockReference& block, IoPurpose purpose) {
  ASSERT(stage_ == Stage::opening || stage_ == Stage::compacting);
  ASSERT(!read_.in_flight);
  read_ = Grid::Read{
      .block = block,
      .tag = {.purpose = purpose},
      .done = Callback<Grid::Read&>::to<&ManifestLog::read_done>(this),
  };
  grid_.read(read_);
}

void ManifestLog::read_done(Grid::Read& read) {
  ASSERT(&read == &read_);
  const BlockReference block = read.block;
  if (read.result != BlockResult::valid) {
    damaged(block, block_result_name(read.result));
    return advance();
  }
  if (stage_ == Stage::opening) return open_block(block, read.data);
  ASSERT(stage_ == Stage::compacting);
  compact_block(block, read.data);
  advance();
}

const char* ManifestLog::misfit(const std::byte* block) const {
  const BlockHeader& header = header_of(block);
  const ManifestMetadata& metadata = metadata_of<ManifestMetadata>(block);
  if (header.block_type != BlockType::manifest) return "not a manifest block";
  if (metadata.entry_count < 1) return "a manifest block is empty";
  if (metadata.entry_count > pace_.entry_count_max) return "a manifest block has too many entries";
  if (header.size != block_size_of(metadata.entry_count)) return "a manifest block has another size";
  const bool zero =
      metadata.previous_checksum_padding == 0 && all_zero(metadata.reserved, sizeof metadata.reserved);
  if (!zero) return "a manifest block's reserved bytes are not zero";
  return nullptr;
}

const char* ManifestLog::entry_misfit(const TableInfo& entry) const {
  return manifest_entry_misfit(entry, levels_);
}

void ManifestLog::assert_entry(const TableInfo& entry) const { ASSERT(entry_misfit(entry) == nullptr); }

// --- Checkpoint.

void ManifestLog::checkpoint(Callback<> done) {
  ASSERT(stage_ == Stage::idle);
  ASSERT(!error_);
  ASSERT(done);
  stage_ = Stage::checkpointing;
  done_ = done;
  if (entry_count_ > 0) {
    mark(Mark::manifest_block_closed_partial);
    close_block();
  }
  flush();
}

ManifestReferences ManifestLog::references() const {
  ASSERT(stage_ == Stage::idle);
  ASSERT(entry_count_ == 0);
  ASSERT(unwritten_ == 0);
  if (log_.empty()) return {};
  return {.oldest = log_.at(0), .newest = log_.at(log_.count() - 1), .block_count = log_.count()};
}

}  // namespace tonearm
