// The engine: trees over one grid, one manifest log and one superblock, compacted in step.
//
// Time is counted in ops. An op is any number of puts, removes and lookups, then compact(op) exactly
// once, then, if checkpoint_due(op), checkpoint(). A bar is `beats` ops. Compaction of the levels
// alternates by half-bars:
//
//     first half-bar    0 -> 1, 2 -> 3, 4 -> 5, ...
//     second half-bar   immutable -> 0, 1 -> 2, 3 -> 4, ...
//
// and its work is spread evenly over the beats. At the end of a half-bar the outputs enter the
// manifest and the inputs leave it; at the end of a bar the memory tables swap.
//
// Trigger and checkpoint: a checkpoint taken after compact(T) holds the effects of ops <= C = T -
// beats, because ops C+1..T are in the immutable table only. After open(), the caller applies ops
// C+1.. again, each with its compact(); those up to T skip compaction, whose result the checkpoint
// holds already, so the replayed forest allocates the same blocks as one that never crashed.
//
// Errors of the environment (a damaged block, a failed sync, a full disk) in compact, checkpoint or
// open are sticky: error() stays set, lookups and scans go on as far as they can, and everything else
// is refused with the same error until the forest is destroyed and opened again.
//
// With a mirror a block that is damaged on one side is read from the other one and repaired, by a read or by
// the scrubber. Opening reads from the mirror as well, but repairs nothing, and after an error nothing is
// repaired any more.
//
// All memory is one buffer of memory_required() bytes, aligned to 4096, owned by the caller; its old
// contents do not matter. A crash is: drop the storage's queues, destroy the forest.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "base/arena.h"
#include "base/callback.h"
#include "base/error.h"
#include "base/options.h"
#include "base/span.h"
#include "forest/compaction_schedule.h"
#include "grid/checkpoint_trailer.h"
#include "grid/grid.h"
#include "storage/superblock.h"
#include "tree/manifest_log.h"
#include "tree/scan_buffer.h"
#include "tree/tree.h"
#include "tree/tree_scan.h"

namespace tonearm {

struct ForestOptions {
  FormatOptions format;  // schema_hash is filled in by the forest.
  RuntimeOptions runtime;
  std::span<const TreeConfig> trees;  // Ids strictly ascending. Must outlive the forest.
  u128 cluster = 1;                   // Identity of the data file, for format().
  // Null, or a second storage for the grid zone: see grid/grid.h. The superblock has one side.
  Storage* mirror = nullptr;
};

class Forest {
 public:
  // Every rule that options must obey, those that depend on the trees included.
  static OptionsError validate(const ForestOptions& options);
  // Bytes of the buffer. The options must be valid.
  static u64 memory_required(const ForestOptions& options);

  Forest(Storage& storage, const ForestOptions& options, std::span<std::byte> memory);
  Forest(const Forest&) = delete;
  ~Forest() { arena_.give_back(); }

  // One of these at a time; `done` never runs inside the call. Look at error() afterwards.
  void format(Callback<> done);  // Writes an empty data file at op 0. Then open().
  void open(Callback<> done);
  void compact(u64 op, Callback<> done);  // Ops are consecutive, starting at op() + 1 after open.
  void checkpoint(Callback<> done);       // Only when checkpoint_due(the op just compacted).

  bool checkpoint_due(u64 op) const;
  // Blocks released before the last checkpoint become reusable. The caller says when, some ops after
  // the checkpoint or at once; before the next checkpoint. open() leaves it to be called too. After an
  // error nothing is reused any more.
  void mark_checkpoint_durable();
  bool checkpoint_durable() const { return grid_.free_set().checkpoint_durable(); }

  u32 tree_count() const { return tree_count_; }
  Tree& tree(u32 index);
  const Tree& tree(u32 index) const;
  // Of the scans that are open, runtime.scans_max at most; see tree/tree_scan.h. None may be open when an op
  // changes anything or ends, nor when a scope opens or closes.
  ScanBufferPool& scan_buffers() { return scan_buffers_; }
  const ScanBufferPool& scan_buffers() const { return scan_buffers_; }
  // One scan beside those, for a caller who needs one at a time: with a buffer of its own. To be closed.
  TreeScan& scan_open(Tree& tree, const KeyRange& range, Direction direction, bool cache_read);
  const TreeScan& scan() const { return scan_; }

  // Opens or closes a scope over all trees. False: refused, see error(); no scope is open.
  bool scope_open();
  void scope_close(ScopeMode mode);
  bool scope_active() const { return scope_active_; }

  const Error& error() const { return error_; }
  bool busy() const { return progress_ != Progress::none; }
  u64 op() const { return op_; }  // Last op compacted (or C after open).
  u64 checkpoint_op() const;      // C of the last verified checkpoint.
  u128 checkpoint_id() const { return superblock_.checkpoint_id(); }
  const SuperblockHeader& superblock() const { return superblock_.working(); }
  const FormatOptions& format_options() const { return options_.format; }
  Grid& grid() { return grid_; }
  const Grid& grid() const { return grid_; }
  const ManifestLog& manifest_log() const { return manifest_log_; }
  // Of the last checkpoint; while one is being written, those of that.
  const CheckpointTrailer& trailer_acquired() const { return trailer_acquired_; }
  const CheckpointTrailer& trailer_released() const { return trailer_released_; }
  const RuntimeOptions& runtime_options() const { return options_.runtime; }
  bool opened() const { return opened_; }
  // Within a half-bar: blocks are acquired that no table has yet.
  bool compacting() const { return schedule_.active(); }
  u64 compactions_done() const { return schedule_.jobs_done(); }

  // --- readers beside the ops. A scrubber may have reads in flight while an op is compacted and a
  // checkpoint is taken, but not when blocks become reusable. While a verification runs, nothing changes.
  void scrub_read_begun() { ++scrub_reads_; }
  void scrub_read_ended() {
    ASSERT(scrub_reads_ > 0);
    --scrub_reads_;
  }
  void verification_begun() { ++verifications_; }
  void verification_ended() {
    ASSERT(verifications_ > 0);
    --verifications_;
  }

  // No compaction active, level counts legal, mutable tables empty, extents equal to tables.
  void assert_between_bars() const;

 private:
  enum class Progress : u8 { none, format, open, compact, checkpoint };
  enum class Stage : u8 {
    idle,
    superblock,
    trailer_acquired,
    trailer_released,
    manifest,
    beat,
    manifest_compact,
    sync,
    finish,
  };

  struct Parts;  // Sizes shared by measure and construction.
  static Parts parts(const ForestOptions& options);
  Forest(Storage& storage, const ForestOptions& options, std::span<std::byte> memory, const Parts& parts);
  static void measure(Arena& arena, const ForestOptions& options);

  static SpanKind span_of(Progress progress);
  bool begin(Progress progress, Callback<> done);  // False: refused with the error there is.
  void stage_done();                               // The running stage completed: decide what is next.
  void sync_start();
  void sync_done(Storage::Sync& sync);
  void tick_done(Storage::NextTick& next_tick);
  void advance_format();
  void advance_open();
  void advance_compact();
  void advance_checkpoint();
  bool open_free_set();
  void open_table(const TableInfo& table);
  void compact_start();
  void compact_op_end();
  void checkpoint_trailers_start();
  CheckpointState checkpoint_state() const;
  void fail(const Error& error);
  void finish();
  void assert_no_scan() const;

  Storage* storage_;
  ForestOptions options_;
  Arena arena_;
  Superblock superblock_;
  Grid grid_;
  CheckpointTrailer trailer_acquired_;
  CheckpointTrailer trailer_released_;
  ManifestLog manifest_log_;
  NodePool node_pool_;
  ScratchMemory scratch_;
  std::span<u64> trailer_addresses_;  // Of both trailers; for open.
  u32 tree_count_ = 0;
  std::array<Tree*, trees_max> trees_{};
  CompactionSchedule schedule_;
  ScanBufferPool scan_buffers_;
  ScanBufferPool scan_own_buffer_;  // Has one: that of scan_.
  ScanBuffer* scan_buffer_;
  TreeScan scan_;

  Error error_;
  bool opened_ = false;
  bool scope_active_ = false;
  u32 scrub_reads_ = 0;
  u32 verifications_ = 0;
  u64 op_ = 0;
  Progress progress_ = Progress::none;
  Stage stage_ = Stage::idle;
  Callback<> done_;
  Storage::NextTick next_tick_;

  // Of the checkpoint in progress.
  Storage::Sync sync_;
  Storage::Sync mirror_sync_;
  u32 syncs_left_ = 0;
  Reservation trailer_reservation_;
  bool trailer_reserved_ = false;
  u64 payload_acquired_size_ = 0;
  u64 payload_released_size_ = 0;
};

}  // namespace tonearm
