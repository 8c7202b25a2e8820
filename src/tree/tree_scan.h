// A range scan over one tree: all keys of [min, max] in order, newest versions, without tombstones.
//
// Streams of the merge, by precedence: the runs of the mutable table (newest first), the immutable
// table, then one stream per level, which walks the level's tables and their value blocks. What has
// nothing in the range is no stream: a merge costs by the number of its streams.
//
//     closed --open--> idle --read--> buffering --(callback)--> seeking --next--> ... finished
//                                         ^                        |
//                                         +---read--- needs_data <-+  next says read_again
//
// next() answers from what is buffered; when a level has run dry it says `read_again`: call read(),
// wait for its callback, call next() again. Values returned already are never repeated. A block that
// cannot be read ends the scan: `failed`, from then on always.
//
// probe(key) says that the caller wants nothing before `key` any more (in the direction of the scan): the
// range shrinks, what is buffered before the key is dropped, tables and blocks before it are not read. It may
// come whenever the scan is not buffering, and may lag behind what was returned. A probe beyond the range
// ends the scan as abort() does.
//
// Any number of scans may be open at once, over any trees, each over a ScanBuffer of its own. No put,
// compaction or checkpoint between open and close. While it is open a scan must stay where it is in memory.
#pragma once

#include <array>
#include <optional>

#include "base/bounded_array.h"
#include "tree/scan_buffer.h"
#include "tree/tree.h"

namespace tonearm {

class TreeScan {
 public:
  enum class State : u8 {
    closed,
    idle,       // Open; read_again.
    buffering,  // read() has not called back.
    seeking,
    needs_data,  // read_again.
    aborted,     // The last three: next() says the same for ever.
    finished,
    failed,
  };
  enum class [[nodiscard]] Next : u8{value, end, read_again, failed};

  TreeScan() = default;
  TreeScan(const TreeScan&) = delete;

  // `cache_read` false: a cold scan, which no cached block may answer.
  void open(Tree& tree, ScanBuffer& buffer, const KeyRange& range, Direction direction, bool cache_read);
  void read(Callback<> done);          // Only in `idle` or `needs_data`.
  Next next(const std::byte** value);  // Not while buffering. `value` is valid until the next call.
  void probe(const Key& key);          // Not while buffering.
  void abort();                        // Not while buffering.
  void close();                        // Not while buffering.

  State state() const { return state_; }
  Direction direction() const { return direction_; }
  const Error& error() const { return error_; }  // After Next::failed.
  u64 blocks_read() const { return blocks_read_; }

 private:
  // One level's stream.
  struct Level {
    enum class Stage : u8 { index_wanted, index_reading, value_wanted, value_reading, buffered, finished };
    TreeScan* scan = nullptr;
    u32 index = 0;
    Stage stage = Stage::finished;
    std::byte* index_block = nullptr;
    std::byte* value_block = nullptr;
    TableInfo table{};
    u32 block_next = 0;  // Value blocks of the table still to read: [block_first, block_last].
    u32 block_first = 0;
    u32 block_last = 0;
    u32 stream = 0;
    Grid::Read read;

    bool wanted() const { return stage == Stage::index_wanted || stage == Stage::value_wanted; }
  };

  std::span<const std::byte> in_range(std::span<const std::byte> values) const;
  StreamHead head_of(std::span<const std::byte> values) const;
  bool ascending() const { return direction_ == Direction::ascending; }
  // In the direction of the scan.
  bool before(const Key& a, const Key& b) const { return ascending() ? a < b : b < a; }
  Key far_end(const KeyRange& range) const { return ascending() ? range.max : range.min; }

  bool over() const { return state_ >= State::aborted; }

  void open_runs();
  void open_levels();
  void add_run(std::span<const std::byte> values);
  static u32 blocks_up_to(const IndexBlock& index, const Key& key);
  void level_next_table(Level& level, const Key* exclusive);
  void level_leave_table(Level& level);
  void level_index_ready(Level& level);
  void level_value_ready(Level& level, const std::byte* block);
  void level_next_block(Level& level);
  void level_submit(Level& level);
  void level_read_done(Level& level, const Grid::Read& read);
  u32 count_before(const StreamHead& head, const Key& key) const;
  bool head_probe(StreamHead& head, const Key& key) const;
  bool ahead_probe(const Key& key);
  bool passed(const Key& key) const;
  void level_probe(Level& level, const Key& key);
  void level_skip(Level& level, const Key& key);
  bool leaps_next_table(const Level& level, const Key& key) const;
  void tick_done(Storage::NextTick& next_tick);
  void dispatch();
  Next next_state();
  Next read_again();
  void work_ahead();

  u32 levels_count_ = 0;
  std::array<Level, levels_max> levels_;
  u32 run_count_ = 0;
  std::array<StreamHead, merge_streams_max> heads_;  // Of the streams: runs, then the levels' value blocks.
  BoundedArray<Level*, levels_max> level_streams_;
  Tree* tree_ = nullptr;
  ScanBuffer* buffer_ = nullptr;
  KeyRange range_{};  // What is still wanted.
  Direction direction_ = Direction::ascending;
  bool cache_read_ = true;
  State state_ = State::closed;
  // What the streams were merged to and next() has not said yet: so a call of the kernel serves for several
  // values, the more the longer nobody probes.
  static constexpr u32 ahead_max = 64;
  std::array<const std::byte*, ahead_max> ahead_;
  u32 ahead_at_ = 0;
  u32 ahead_count_ = 0;
  u32 ahead_wanted_ = 1;
  const std::byte* last_ = nullptr;  // What next() took last, a tombstone maybe; null behind a read().
  std::optional<Key> last_key_;      // Then its key.
  Callback<> done_;
  Storage::NextTick next_tick_;
  u32 reads_pending_ = 0;
  u64 values_since_read_ = 0;  // Tombstones included.
  u64 values_ = 0;             // Since the scan was opened.
  Error error_;
  u64 blocks_read_ = 0;
};

}  // namespace tonearm
