// Compaction: merging a table into the next level, a beat's worth of values at a time.
//
// A job merges A, the immutable table or one table of level_b - 1, with every table of level_b that
// A's key range overlaps (B). Its outputs replace A and B at the end of the half-bar. Where B is
// empty and A is on disk the job is a move: the manifest changes, no block does.
//
// The jobs of a half-bar run one after another, each to its end, in a fixed order (level, tree). When
// a beat has done its share, the job at hand is suspended with its input and output blocks; the next
// beat goes on from there. So there is one pipeline for the whole engine, no input is read twice, and
// the order in which blocks acquire their addresses depends on the values alone, never on I/O timing.
//
//     A: index block -> value blocks (queue) --+
//                                              +--> merge --> value block, index block --> writes
//     B: index block -> value blocks (queue) --+
//
// Buffers: one index block and one value block for each input, a value block and an index block of
// output; what the budget allows beyond these six deepens the three queues. Each queue owns its
// buffers, so that no part of the pipeline can starve another.
#pragma once

#include <array>
#include <span>

#include "base/arena.h"
#include "base/bounded_array.h"
#include "base/error.h"
#include "base/options.h"
#include "table/table_builder.h"
#include "tree/tree.h"

namespace tonearm {

// |B| <= growth: the table of A with the least overlap. Outputs <= inputs, since all but the last are full.
using CompactionTables = BoundedArray<TableInfo, growth_max + 2>;

struct CompactionJob {
  Tree* tree = nullptr;
  u32 level_b = 0;
  bool move = false;             // No merge: table_a goes to level_b as it is.
  bool drop_tombstones = false;  // Nothing deeper overlaps the union of A and B.
  TableInfo table_a{};           // Unless level_b is 0: then A is the immutable table.
  CompactionTables tables_b;
  u64 snapshot_min = 0;          // Of the outputs.
  u64 values_in = 0;             // A and B together.

  // Progress.
  u64 values_consumed = 0;
  u64 values_produced = 0;
  u64 values_dropped = 0;
  bool done = false;
  CompactionTables tables_out;
};

class Compaction {
 public:
  static void measure(Arena& arena, const FormatOptions& format, u32 blocks);
  Compaction(Grid& grid, Arena& arena, const FormatOptions& format, u32 blocks);
  Compaction(const Compaction&) = delete;

  // Makes `job` the current one (it stays the caller's). None may be current.
  void start(CompactionJob& job);
  bool active() const { return job_ != nullptr; }

  // Consumes up to `values` more input values, then waits until no I/O is in flight; blocks come from
  // `reservation`. `done` never runs inside the call. Afterwards the job is done (and no longer
  // current), or suspended, or error() is set.
  void run(u64 values, Reservation& reservation, Callback<> done);
  u64 values_run() const { return values_run_; }  // Consumed by the last run().

  // Most blocks that `values` more values of this tree can need, whatever was done before.
  static u64 blocks_needed_max(const TableLayout& layout, u64 values);

  const Error& error() const { return error_; }

 private:
  // A value block of an input: being read, or read and partly consumed.
  struct Slot {
    Compaction* compaction = nullptr;
    std::byte* buffer = nullptr;
    Grid::Read read;
    bool ready = false;
    u32 count = 0;     // Values.
    u32 position = 0;  // Consumed of them.
    void read_done(Grid::Read& done);
  };

  struct Input {
    enum class Index : u8 { wanted, reading, ready };
    Compaction* compaction = nullptr;
    std::byte* index_block = nullptr;
    Grid::Read index_read;
    Index index = Index::wanted;
    std::span<Slot> slots;  // A ring: `slot_count` from `slot_head` on are in use, in key order.
    u32 slot_head = 0;
    u32 slot_count = 0;
    const TableInfo* tables = nullptr;
    u32 table_count = 0;
    u32 table = 0;       // Whose value blocks are being scheduled; table_count: all are.
    u32 block_next = 0;  // Of that table.
    u32 level = 0;
    std::span<const std::byte> memory;  // The immutable table instead; no tables then.

    bool all_scheduled() const { return table == table_count; }
    bool exhausted() const { return memory.empty() && all_scheduled() && slot_count == 0; }
    bool ready() const;
    bool last() const;  // Nothing follows what values() shows.
    std::span<const std::byte> values(u32 value_size) const;
    void index_read_done(Grid::Read& done);
  };

  struct Output {
    enum class Stage : u8 { idle, filling, writing };
    Compaction* compaction = nullptr;
    std::byte* buffer = nullptr;
    Grid::Write write;
    Stage stage = Stage::idle;
    void write_done(Grid::Write& done);
  };

  void dispatch();
  bool read_index(Input& input);
  bool read_value(Input& input);
  bool merge();
  bool output_ready();
  void consume(Input& input, u32 count);
  void count_marks(const MergeResult& result);
  void finish_value_block();
  void finish_index_block();
  void finish_outputs();
  void release_table(Input& input);
  Output* output_idle();
  void output_fill(Output& output);
  void output_empty(Output& output);
  void output_drop(const std::byte* buffer);
  void output_write(const std::byte* buffer);
  TableBuilder::Finish finish_next();
  void input_start(Input& input, const TableInfo* tables, u32 count, u32 level);
  void read_failed(const Grid::Read& read);
  bool wants_input() const { return !error_ && !merged_ && values_run_ < values_allowed_; }
  void tick_done(Storage::NextTick& next_tick);

  Grid* grid_;
  u32 block_size_;
  u32 sector_size_;
  std::array<Input, 2> inputs_;
  std::span<Output> outputs_;

  // Of the current job.
  CompactionJob* job_ = nullptr;
  TableBuilder builder_;
  bool merged_ = false;

  // Of the current run.
  bool running_ = false;
  bool completing_ = false;
  u64 values_run_ = 0;
  u64 values_allowed_ = 0;
  bool narrow_ = false;  // No more buffers than the least budget has.
  u32 in_flight_ = 0;
  Reservation* reservation_ = nullptr;
  Callback<> done_;
  Storage::NextTick next_tick_;
  Error error_;
};

}  // namespace tonearm
