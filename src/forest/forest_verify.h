// Deep verification: whether all that the forest reaches on the disk is intact and agrees with itself.
//
//   levels      tables disjoint and in order, no more than a level may hold, each said to be where it is
//   tables      every block authenticates; index and values agree with the table's entry and with each
//               other: tree, snapshot, numbers, key ranges, order; keys unique
//   versions    in a secondary index the versions of a key alternate from level to level, the oldest
//               being a put: so the last level has no tombstone
//   log         its blocks authenticate and form a chain; the latest record of each table is what the
//               level holds, and each table has one
//   trailers    their blocks authenticate; each is released and part of nothing else
//   free set    the blocks reached are the acquired ones that are not released, each reached once (of those
//               that are not reached, the one with the least address is named)
//
// It reads the blocks of the disk, never the cache, each once; keys are compared as a scan does, the levels
// of a tree side by side. Memory: two blocks for each level, and a bit for each block of the grid.
//
// What lies in memory tables and in manifest blocks not yet written is not looked at. Nothing may change
// meanwhile; lookups may go on. It ends at the first error: block_damaged, or inconsistent if intact blocks
// contradict each other, with the address of the block and the reason.
#pragma once

#include <array>
#include <optional>

#include "base/bit_set.h"
#include "base/bounded_array.h"
#include "forest/forest.h"

namespace tonearm {

class ForestVerify {
 public:
  // Sees the newest version of every key that is on the disk, tree by tree in key order, tombstones left
  // out: for what only a layer above can check (objects against their indexes).
  class Visitor {
   public:
    // Null, or why this cannot be; static text.
    virtual const char* value(u32 tree, const std::byte* value) = 0;
    // All trees were seen.
    virtual const char* end() = 0;

   protected:
    ~Visitor() = default;
  };

  struct Counts {
    u64 index = 0;  // Blocks that were found good.
    u64 value = 0;
    u64 manifest = 0;
    u64 trailer = 0;
    u64 versions = 0;  // Values of all levels.
    u64 keys = 0;      // Of which the newest version is a put.

    u64 blocks() const { return index + value + manifest + trailer; }
  };

  static void measure(Arena& arena, const ForestOptions& options);
  ForestVerify(Forest& forest, Arena& arena);
  ForestVerify(const ForestVerify&) = delete;

  // Between half-bars (not forest.compacting()), while the forest is not busy and has no error. `visitor`
  // may be null. `done` never runs inside the call; look at error() then.
  void run(Visitor* visitor, Callback<> done);
  // The same, but of the trees alone whose positions have their bit in `trees`, and of nothing else: for
  // another look at what a run has found whole.
  void run_trees(u64 trees, Visitor* visitor, Callback<> done);

  const Error& error() const { return error_; }
  const Counts& counts() const { return counts_; }

 private:
  enum class Stage : u8 { idle, trees, manifest, trailer_acquired, trailer_released };

  // One level of the tree at hand, walked from its first value to its last.
  struct Cursor {
    enum class State : u8 { index, value, ready, end };

    ForestVerify* verify = nullptr;
    std::byte* index_block = nullptr;
    std::byte* value_block = nullptr;
    u32 level = 0;
    State state = State::end;  // index, value: the block is being read.
    Grid::Read read;
    u64 table = 0;        // Position in the level.
    u32 block = 0;        // Of the table.
    u32 value = 0;        // Of the block.
    u32 value_count = 0;  // Of the block.
    u64 table_values = 0;
    Key key{};  // Of the value at hand, if ready; before, of the last one of the table so far.

    void done(Grid::Read&) { verify->cursor_read_done(*this); }
  };

  struct Memory {
    Memory(Arena& arena, const FormatOptions& format, u64 blocks_count);
    std::span<std::byte> buffers;
    std::span<u64> reached;
  };

  const Tree& tree() const { return *at_hand_; }
  const ManifestLevel& level_of(const Cursor& cursor) const { return tree().manifest().level(cursor.level); }
  const TableInfo& table_of(const Cursor& cursor) const { return level_of(cursor).at(cursor.table); }
  IndexBlock index_of(const Cursor& cursor) const {
    return {tree().layout(), tree().kernel(), cursor.index_block};
  }
  const std::byte* value_of(const Cursor& cursor) const {
    return body_of(cursor.value_block) + u64{cursor.value} * tree().layout().value_size;
  }

  void begin(u64 trees, Visitor* visitor, Callback<> done);
  void advance();
  void begin_tree();
  void read_manifest_block();
  void read_trailer_block(const CheckpointTrailer& trailer);
  void read(Grid::Read& read, const BlockReference& block, std::byte* buffer, Callback<Grid::Read&> done);
  void log_read_done(Grid::Read& read);
  void next_tick_done(Storage::NextTick&);
  void finish();
  void finish_later();

  bool check_level(u32 tree, u32 level);
  bool check_manifest_block(const std::byte* block);
  bool check_entry(const TableInfo& entry);
  bool check_free_set();

  void cursor_table(Cursor& cursor);
  void cursor_block(Cursor& cursor);
  void cursor_read_done(Cursor& cursor);
  const char* cursor_index(Cursor& cursor);
  const char* cursor_value_block(Cursor& cursor);
  void cursor_key(Cursor& cursor);
  void cursor_next(Cursor& cursor);
  void merge();
  bool visit(std::span<Cursor* const> versions);

  bool reach(const BlockReference& block);
  bool wrong(ErrorKind kind, const BlockReference& block, const char* reason);
  bool inconsistent(const BlockReference& block, const char* reason) {
    return wrong(ErrorKind::inconsistent, block, reason);
  }

  // Constant after construction.
  Forest* forest_;
  u32 levels_;
  Memory memory_;

  // Of a run.
  Visitor* visitor_ = nullptr;
  Callback<> done_;
  Stage stage_ = Stage::idle;
  bool whole_ = false;  // More than trees.
  u64 trees_ = 0;       // A bit each.
  BitSet reached_;
  u64 reached_count_ = 0;  // Trailers apart.
  u32 tree_ = 0;
  const Tree* at_hand_ = nullptr;  // That one.
  u32 depth_ = 0;                  // Of its levels those that have tables end here.
  std::array<Cursor, levels_max> cursors_;
  u32 reads_in_flight_ = 0;
  Grid::Read read_;  // Of manifest and trailers; into the first buffer.
  u64 serial_ = 0;
  u64 entries_live_ = 0;
  u32 trailer_block_ = 0;
  Storage::NextTick next_tick_;
  Error error_;
  Counts counts_;
};

}  // namespace tonearm
