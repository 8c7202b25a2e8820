// Reads every block that the forest reaches, in the background, to find damage while it can be repaired.
//
// A tour goes from its origin, which the caller chooses, through all tables (the index block of each, then
// its value blocks), the manifest log from its newest block to its oldest, both checkpoint trailers, and
// the tables before the origin. It advances by step(), between ops or while nothing else happens: each step
// submits reads until `reads_max` are in flight, and returns. What completes is counted, or reported.
//
// With a mirror each block is read on both sides. One that is intact on one of them is no damage: the other
// side is written again, unless somebody else is reading the block just now or the block is released.
//
// The requests are the scrubber's own. They take no slot of the grid, so that no lookup waits behind them;
// the cache cannot answer them and gets nothing from them; no byte of the disk depends on them.
//
// What may go on meanwhile: everything but mark_checkpoint_durable(). The forest never writes to a block
// before its address was freed by that, so until then a read in flight meets the block that was meant,
// although it may have been released. Results for released blocks are ignored: nobody needs them any more.
// Before mark_checkpoint_durable() let the reads finish: drain().
//
// Whatever is reached from the begin of a tour to its end is read. With an origin behind the first table
// that is not true of a table that sinks past the origin meanwhile; the next tour meets it.
#pragma once

#include <optional>
#include <span>

#include "forest/table_iterator.h"

namespace tonearm {

class Scrubber {
 public:
  struct Options {
    u32 reads_max = 1;     // In flight; each has a buffer of a block.
    u32 damages_max = 32;  // Listed of a tour. More are counted.
    bool mirror = false;   // The forest has one: each read takes a second buffer.
  };

  struct Damage {
    BlockReference block;
    BlockType type = BlockType::none;  // What it should be.
    u16 tree = 0;                      // Of table blocks.
    u8 level = 0;
    const char* reason = "";  // Static text. With a mirror: of the first side.
  };

  struct Counters {  // Of all tours.
    u64 index = 0;   // Blocks that were read and found intact.
    u64 value = 0;
    u64 manifest = 0;
    u64 trailer = 0;
    u64 damaged = 0;
    u64 released = 0;         // Ignored, or left out, because they were released meanwhile, or moved.
    u64 retries = 0;          // Reads and repairs that were tried again, on the same side.
    u64 repaired = 0;         // Blocks whose first side was written again.
    u64 repaired_mirror = 0;  // Blocks whose mirror was.
    u64 unrepaired = 0;       // Blocks that are damaged on one side, and stay so.
    u64 tours = 0;            // Finished.

    u64 intact() const { return index + value + manifest + trailer; }
  };

  static void measure(Arena& arena, const FormatOptions& format, const Options& options);
  // The forest is an open one, and outlives the scrubber. A crash drops both.
  Scrubber(Forest& forest, Arena& arena, const Options& options);
  Scrubber(const Scrubber&) = delete;

  // Begins a tour at the `origin`-th table, modulo how many there are. Not while one is going on.
  void begin(u64 origin);
  // Submits the next reads. While the forest is not busy and has no error.
  void step();
  // Calls `done` as soon as no read is in flight; never inside the call. No step() until then.
  void drain(Callback<> done);

  bool touring() const { return stage_ != Stage::idle; }  // Until the last read of a tour has completed.
  bool idle() const { return reads_in_flight_ == 0; }     // No read is in flight.
  // Of this tour, or of the last one, in the order in which they were found.
  std::span<const Damage> damages() const { return memory_.damages.first(damage_count_); }
  const Counters& counters() const { return counters_; }

 private:
  enum class Stage : u8 { idle, tables, manifest, trailer_acquired, trailer_released, tables_before, ending };
  enum class Index : u8 { none, reading, ready };  // Of the table at hand.

  struct Slot {
    Storage::Read io;
    Storage::Write repair_io;
    Grid::Visit visit;
    Scrubber* scrubber = nullptr;
    std::byte* buffer = nullptr;  // Of the side at hand.
    std::byte* other = nullptr;   // Of the side before that, if there is a mirror.
    Damage target;                // What is read.
    u128 checkpoint = 0;          // Whose trailer it is.
    GridSide side = GridSide::first;
    BlockResult first = BlockResult::valid;  // What was wrong on the first side.
    u32 attempts = 0;
    bool in_flight = false;

    void begin(Grid::Visit&) { scrubber->attempt(*this); }
    void done(Storage::Read&) { scrubber->read_done(*this); }
    void repair_done(Storage::Write&) { scrubber->repair_done(*this); }
  };

  struct Memory {
    Memory(Arena& arena, const FormatOptions& format, const Options& options);
    std::span<Slot> slots;
    std::span<std::byte> buffers;  // One or two for each slot, and that of the index block at hand.
    std::span<Damage> damages;
  };

  const Tree& tree() const { return forest_->tree(tree_); }
  std::byte* index_block() const { return &memory_.buffers[memory_.buffers.size() - block_size_]; }
  bool submit_next();
  bool submit_of_table();
  bool submit_of_manifest();
  bool submit_of_trailer(const CheckpointTrailer& trailer);
  void submit(const Damage& target);
  void attempt(Slot& slot);
  void read_done(Slot& slot);
  void sides_done(Slot& slot, BlockResult mirror);
  void repair(Slot& slot, GridSide side);
  void repair_attempt(Slot& slot);
  void repair_done(Slot& slot);
  void end(Slot& slot, BlockResult result);
  const char* fault(const Slot& slot, BlockResult result) const;
  bool released(const Slot& slot) const;
  void settle(Slot& slot, const char* fault);
  void count(BlockType type);
  void skip(u64 count);
  void find_table();
  void end_tour();
  void next_tick_done(Storage::NextTick&);
  void drained();

  // Constant after construction.
  Forest* forest_;
  u32 block_size_;
  u32 attempts_max_;
  Memory memory_;

  // Of the tour.
  Stage stage_ = Stage::idle;
  ForestTableIterator::Position origin_;
  std::optional<ForestTableIterator> tables_;
  u64 op_ = 0;      // As of which the table at hand was seen in the manifest.
  u64 serial_ = 0;  // Of the manifest log: the blocks before it are to be read.
  u32 trailer_block_ = 0;
  u32 damage_count_ = 0;

  // The table at hand.
  TableInfo table_{};
  u32 tree_ = 0;
  Index index_ = Index::none;
  u32 value_block_ = 0;  // The next one.
  u32 value_block_count_ = 0;

  u32 reads_in_flight_ = 0;
  Callback<> drained_;
  Storage::NextTick next_tick_;
  Counters counters_;
};

}  // namespace tonearm
