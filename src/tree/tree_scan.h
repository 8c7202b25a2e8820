// A range scan over one tree: all keys of [min, max] in order, newest versions, without tombstones.
//
// Streams of the merge, by precedence: the runs of the mutable table (newest first), the immutable
// table, then one stream per level, which walks the level's tables and their value blocks. What has
// nothing in the range is no stream: a merge costs by the number of its streams.
//
//     idle --open--> needs_data --read--> reading --(callback)--> seeking --next--> ...
//                        ^                                            |
//                        +--------------- next says read_again -------+
//
// next() answers from what is buffered; when a level has run dry it says `read_again`: call read(),
// wait for its callback, call next() again. Values returned already are never repeated. No put,
// compaction or checkpoint between open and close.
#pragma once

#include <array>
#include <optional>

#include "base/bounded_array.h"
#include "table/k_way_merge.h"
#include "tree/tree.h"

namespace tonearm {

class TreeScan {
 public:
  enum class State : u8 { idle, needs_data, reading, seeking, finished };
  enum class [[nodiscard]] Next : u8{value, end, read_again, failed};

  static void measure(Arena& arena, const FormatOptions& format);
  TreeScan(Grid& grid, Arena& arena, const FormatOptions& format);
  TreeScan(const TreeScan&) = delete;

  // `cache_read` false: a cold scan, which no cached block may answer.
  void open(Tree& tree, const KeyRange& range, Direction direction, bool cache_read);
  void read(Callback<> done);          // Only when next() said read_again (or right after open).
  Next next(const std::byte** value);  // `value` is valid until the next call.
  void close();                        // Not while reading.

  State state() const { return state_; }
  const Error& error() const { return error_; }  // After Next::failed.
  u64 blocks_read() const { return blocks_read_; }

 private:
  // One level's stream.
  struct Level {
    enum class Stage : u8 { index_wanted, index_reading, value_wanted, value_reading, buffered, finished };
    TreeScan* scan = nullptr;
    u32 index = 0;
    Stage stage = Stage::finished;
    std::byte* index_block = nullptr;  // Buffers, block_size each.
    std::byte* value_block = nullptr;
    TableInfo table{};
    u32 block_next = 0;  // Value blocks of the table still to read: [block_first, block_last].
    u32 block_first = 0;
    u32 block_last = 0;
    u32 stream = 0;
    Grid::Read read;
  };
  // Of a stream: its next value in the direction of the scan, and how many there are, of a run or of the
  // value block that is buffered.
  struct Head {
    const std::byte* next = nullptr;
    u32 left = 0;
  };

  friend class KWayMergeOf<TreeScan>;
  PeekResult peek(u32 stream, Key* key);
  const std::byte* pop(u32 stream);
  std::span<const std::byte> in_range(std::span<const std::byte> values) const;
  Head head_of(std::span<const std::byte> values) const;

  void poison_buffers();
  void open_runs();
  void add_run(std::span<const std::byte> values);
  void level_start(Level& level);
  void level_next_table(Level& level, const Key* exclusive);
  void level_index_ready(Level& level);
  void level_value_ready(Level& level, const std::byte* block);
  void level_next_block(Level& level);
  void level_submit(Level& level);
  void level_read_done(Level& level, const Grid::Read& read);
  void tick_done(Storage::NextTick& next_tick);
  void dispatch();

  Grid* grid_;
  u32 levels_count_;
  std::array<Level, levels_max> levels_;
  u32 run_count_ = 0;
  std::array<Head, merge_streams_max> heads_;  // Of the streams: runs, then levels.
  BoundedArray<Level*, levels_max> level_streams_;
  Tree* tree_ = nullptr;
  KeyRange range_{};
  Direction direction_ = Direction::ascending;
  bool cache_read_ = true;
  State state_ = State::idle;
  KWayMergeOf<TreeScan> merge_;
  Callback<> done_;
  Storage::NextTick next_tick_;
  u32 reads_pending_ = 0;
  u64 values_since_read_ = 0;  // Tombstones included.
  u64 values_ = 0;             // Since the scan was opened.
  Error error_;
  u64 blocks_read_ = 0;
};

}  // namespace tonearm
