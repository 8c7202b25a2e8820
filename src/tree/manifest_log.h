// One append-only log of the table events of all trees, compacted a little in every half-bar.
//
// A manifest block holds up to entry_count_max TableInfos, each labelled with its event and level.
// Blocks form a chain from the newest to the oldest; the superblock keeps the references of both
// ends and their number. The oldest block's `previous` may dangle: the chain ends at the oldest
// reference, never at "previous == 0".
//
// `extents` maps each live table's address to the (block, entry) of its latest record. Compaction
// reads the oldest block, appends again those entries whose extent points exactly there, drops all
// others, and releases the block. Replay goes from the newest entry to the oldest: the first record
// met of a table is its latest; a remove hides all older ones, down to the insert that began the
// table whose address may have been used before.
//
// Sequence, in the last beat of each half-bar:
//
//     reserve() -> compact(done) -> append()s of the trees -> compact_end()
//
// and at a checkpoint: checkpoint(done). The order of append() calls decides the bytes, so callers
// append in a fixed order. Blocks that fill up are written by the next compact() or checkpoint().
//
// After an error (see error()) nothing may be called but the const methods.
#pragma once

#include <span>

#include "base/arena.h"
#include "base/bit_set.h"
#include "base/callback.h"
#include "base/error.h"
#include "base/options.h"
#include "base/ring_buffer.h"
#include "grid/grid.h"
#include "tree/table_extents.h"
#include "tree/table_info.h"

namespace tonearm {

struct ManifestMetadata {  // 96 bytes, in the block header.
  Checksum previous_checksum;
  u128 previous_checksum_padding;
  u64 previous_address;
  u32 entry_count;
  u8 reserved[52];
};
static_assert(sizeof(ManifestMetadata) == 96);

// How fast the log must be compacted so that it stays bounded.
//   A (append_blocks): blocks that one half-bar may append: each active compaction removes up to
//      1 + growth tables and inserts as many.
//   C (compact_blocks_max) = A + extra.
//   T (live_blocks): blocks that hold the entries of all live tables.
//   cycle: blocks appended while the whole log is compacted once, the least x = T + A * ceil(x / C).
//      Below that, compaction is slower in proportion, so that a log of few tables stays short.
//   log_blocks_max: what the log never exceeds. While the log of `cycle` blocks is compacted at full
//      rate, its first T blocks may all be live. And a checkpoint may close a block of few entries.
struct ManifestPace {
  u32 entry_count_max = 0;  // Per block.
  u64 tables_max = 0;       // All trees.
  u64 append_blocks = 0;
  u64 compact_blocks_max = 0;
  u64 live_blocks = 0;
  u64 cycle_blocks = 0;
  u64 log_blocks_max = 0;

  static ManifestPace of(const FormatOptions& format, u32 trees, u64 tables_max);
  // Blocks to compact in this half-bar.
  u64 compact_blocks(u64 log_blocks, u64 tables) const;
  // As long as a log of so many tables may become: only then is the full rate due.
  bool is_long(u64 log_blocks, u64 tables) const;
  u64 buffer_blocks() const { return 1 + append_blocks + compact_blocks_max; }
  u64 append_entries_max() const { return append_blocks * entry_count_max; }
};

struct ManifestReferences {
  BlockReference oldest;
  BlockReference newest;
  u32 block_count = 0;
};

class ManifestLog {
 public:
  // What the sizes follow from. The pace follows from the format alone: run-time options, to which
  // the limit of blocks belongs, must not reach the disk's bytes.
  struct Sizes {
    Sizes(const FormatOptions& format, u32 trees, u64 tables_max, u64 blocks_count);
    ManifestPace pace;
    u64 tables_max;  // Each table has two blocks at least.
    u64 log_blocks_max;
    u64 blocks_count;
    u32 levels;
    u32 block_size;
  };

  struct Memory {
    Memory(Arena& arena, const Sizes& sizes);
    std::span<BlockReference> log;
    std::span<u64> removed;
    std::span<Grid::Write> writes;  // One for each buffer.
    std::span<std::byte> buffers;
  };

  // `tables_max`: of all trees.
  static void measure(Arena& arena, const FormatOptions& format, u32 trees, u64 tables_max, u64 blocks_count);
  ManifestLog(Grid& grid, Arena& arena, const FormatOptions& format, u32 trees, u64 tables_max);
  ManifestLog(const ManifestLog&) = delete;

  // Reads the log and hands each live table to `table`, in reverse order of its latest record; then
  // `done` (never inside the call), with error() set to block_damaged if a block could not be
  // authenticated, is not the one it should be or holds what nobody appends, or to manifest_full if
  // there are more than tables_max live tables. The first call, also for an empty log.
  void open(const ManifestReferences& references, Callback<const TableInfo&> table, Callback<> done);

  // Before the trees reserve theirs, so that manifest addresses do not depend on theirs. False: the
  // grid is full, and nothing has happened.
  [[nodiscard]] bool reserve();
  // Writes closed blocks and compacts; `done` never runs inside the call. Appending may begin then,
  // unless error() is set: block_damaged or write_failed.
  void compact(Callback<> done);
  // Insert: the address must not be live; update and remove: it must.
  void append(const TableInfo& entry);
  // Forfeits the reservation.
  void compact_end();

  // Closes the partly filled block and writes whatever is not written; `done` when all blocks are.
  // Nothing to reserve: every open block has its address already.
  void checkpoint(Callback<> done);
  // What the superblock must keep. After checkpoint().
  ManifestReferences references() const;

  u64 table_count() const { return extents_.count(); }  // Live tables, all trees.
  u64 log_block_count() const { return log_.count(); }  // Including blocks not yet written.
  const ManifestPace& pace() const { return pace_; }
  const Error& error() const { return error_; }
  bool idle() const { return stage_ == Stage::idle; }  // No I/O, no reservation.
  // Addresses of the written and buffered blocks, oldest first: 0..log_block_count().
  u64 log_block_address(u64 index) const { return log_.at(static_cast<u32>(index)).address; }

  // --- for those who read the log while it goes on. Every block has a serial number, one more than the
  // block before it, that it keeps: first() is the oldest block's, written_end() is behind the newest one
  // that is on the disk, end() behind the newest at all.
  u64 first() const { return first_; }
  u64 end() const { return first_ + log_.count(); }
  u64 written_end() const { return first_ + closed_count() - unwritten_; }
  // Without a checksum, if it is not closed yet.
  const BlockReference& block(u64 serial) const {
    ASSERT(serial >= first() && serial < end());
    return log_.at(static_cast<u32>(serial - first_));
  }
  // Whether this is the latest record of a live table.
  bool latest(u64 table, u64 block_address, u32 entry) const {
    return extents_.at(table, {.block = block_address, .entry = entry});
  }
  // Why an authentic block cannot be a block of this log, or null.
  const char* misfit(const std::byte* block) const;

 private:
  enum class Stage : u8 {
    closed,
    opening,
    idle,
    reserved,
    flushing,
    compacting,
    appending,
    checkpointing,
    failed,
  };

  ManifestLog(Grid& grid, Arena& arena, const Sizes& sizes);

  void advance_on_next_tick();
  void next_tick_done(Storage::NextTick&);
  void advance();
  void finish(Stage stage);
  void damaged(const BlockReference& block, const char* reason);

  void flush();
  void write_done(Grid::Write& write);

  void read_block(const BlockReference& block, IoPurpose purpose);
  void read_done(Grid::Read& read);
  bool may_read(const BlockReference& block) const;
  const char* entry_misfit(const TableInfo& entry) const;
  void assert_entry(const TableInfo& entry) const;

  void open_block(const BlockReference& block, const std::byte* data);
  const char* open_misfit(const TableInfo& entry) const;
  bool behind_limit(const TableInfo& entry) const;
  bool open_entry(const TableInfo& entry, TableExtents::Location location);
  void compact_next();
  void compact_block(const BlockReference& block, const std::byte* data);

  void append_entry(const TableInfo& entry);
  void close_block();

  u32 closed_count() const { return log_.count() - (entry_count_ > 0 ? 1 : 0); }
  u32 buffer_index(u32 offset) const {
    return (buffer_first_ + offset) % static_cast<u32>(memory_.writes.size());
  }
  std::byte* buffer(u32 index) const { return memory_.buffers.data() + u64{index} * block_size_; }

  // Constant after construction.
  Grid& grid_;
  ManifestPace pace_;
  u32 levels_;
  u32 block_size_;
  Memory memory_;

  // The log.
  RingBuffer<BlockReference> log_;  // Oldest first. The open block, the last one, has no checksum yet.
  TableExtents extents_;
  u64 first_ = 0;         // Blocks that were compacted since open.
  u32 entry_count_ = 0;   // In the open block; 0: there is none, not even an address for it.
  u32 unwritten_ = 0;     // Blocks that are closed and not written; then comes the open one.
  u32 buffer_first_ = 0;  // Buffer of the first of them.

  // Of open().
  BitSet removed_;                // Addresses of tables whose remove was met, and their insert not yet.
  u64 removed_behind_limit_ = 0;  // The number of such tables behind the storage limit.
  ManifestReferences references_;
  Callback<const TableInfo&> table_;

  // Of the half-bar.
  Reservation reservation_;
  u32 compact_left_ = 0;
  u64 appended_ = 0;

  // Of the operation in progress.
  Stage stage_ = Stage::closed;
  Callback<> done_;
  u32 writes_left_ = 0;
  Grid::Read read_;
  Storage::NextTick next_tick_;
  Error error_;
};

}  // namespace tonearm
