// Geometry is chosen at run time, so that one build explores all of it.
//
// Format options decide the bytes on disk. They are stored in the superblock and must be the same
// at every open. Run-time options may differ at every open and never reach the disk's bytes.
#pragma once

#include <type_traits>

#include "base/types.h"

namespace tonearm {

inline constexpr u32 levels_max = 10;
inline constexpr u32 growth_max = 16;
inline constexpr u32 trees_max = 64;

// On-disk struct (superblock header): no padding, native byte order. 64 bytes.
struct FormatOptions {
  u32 sector_size = 4096;         // Bytes; power of two, 512..4096. Unit of reads and writes.
  u32 block_size = 4096;          // Bytes; power of two, 512..1 MiB, at least a sector.
  u32 levels = 7;                 // 2..levels_max.
  u32 growth = 4;                 // 2..growth_max: level l holds up to growth^(l+1) tables.
  u32 beats = 4;                  // Ops per bar; even, 2..64.
  u32 checkpoint_interval = 20;   // Ops; a multiple of `beats`, at least two bars.
  u32 batch_values_max = 60;      // Values one op may put into each tree: changes in a groove.
  u32 coalescing_percent = 50;    // 0..100: a last output below this fill is coalesced.
  u32 manifest_extra_blocks = 5;  // Manifest blocks compacted per half-bar beyond what it appends.
  u32 values_per_block_max = 0;   // Cap; 0: as many as fit. Small caps make block boundaries common.
  u32 value_blocks_max = 0;       // Slots of an index block; 0: as many as a full table needs.
  u32 reserved = 0;               // Zero.
  u64 schema_hash = 0;            // Over the trees: ids, sizes, usage. Set by the forest.
  u64 reserved2 = 0;              // Zero.

  friend bool operator==(const FormatOptions&, const FormatOptions&) = default;
};
static_assert(sizeof(FormatOptions) == 64);
static_assert(std::has_unique_object_representations_v<FormatOptions>);

struct RuntimeOptions {
  u64 blocks_count = 4096;        // Storage limit: blocks of the grid. A multiple of 64.
  u32 cache_blocks = 2048;        // Blocks cached; a multiple of 16 (one set has 16 ways).
  u32 cache_hash_bits = 64;       // 0..64: fewer make equal tags and crowded sets common.
  u32 read_iops = 16;             // Grid reads in flight, at least 1.
  u32 write_iops = 16;            // Grid writes in flight, at least 1.
  u32 compaction_blocks = 32;     // Block buffers of compaction, at least compaction_blocks_min.
  u32 read_attempts_max = 4;      // Tries to read a block before it counts as damaged, at least 1.
  u32 scans_max = 8;              // Scans open at the same time: 1..scans_limit.
  u32 manifest_node_size = 4096;  // Bytes of a node of a level's tables in memory; a multiple of the least.
};

inline constexpr u64 storage_blocks_max = u64{1} << 32;

// What compaction needs to make progress: an index block and a value block for each of its two
// inputs, and an index block and a value block of output.
inline constexpr u32 compaction_blocks_min = 6;

inline constexpr u32 scans_limit = 64;

// Two tables: a node splits in halves.
inline constexpr u32 manifest_node_size_min = 256;
inline constexpr u32 manifest_node_size_max = 65536;

struct [[nodiscard]] OptionsError {
  const char* field = nullptr;     // Null: valid.
  const char* expected = nullptr;  // For instance "a power of two from 512 to 4096".
  u64 given = 0;

  explicit operator bool() const { return field != nullptr; }
};

// Checks each field and every relation that does not depend on the trees. (Those that do, an index
// block that does not fit, are checked by the forest: see Forest::validate.)
OptionsError validate(const FormatOptions& format, const RuntimeOptions& runtime);

// growth^(level+1), the tables that a level may hold between bars.
u64 level_tables_max(const FormatOptions& format, u32 level);

// Tables of one tree: min(sum over the levels, blocks / 2), since a table has two blocks or more.
u64 tree_tables_max(const FormatOptions& format, u64 blocks_count);

// Where an op stands in its bar. Op 0 is the formatted root.
struct Beat {
  u64 op;
  u32 beats;  // Per bar.

  u32 index() const { return static_cast<u32>(op % beats); }
  bool first() const { return index() == 0; }
  bool half() const { return index() == beats / 2; }           // First beat of the second half-bar.
  bool last_of_half() const { return index() == beats / 2 - 1; }  // Last beat of the first half-bar.
  bool last() const { return index() == beats - 1; }
};

// True iff a checkpoint is due after op T = `op`: T = C + beats for C + 1 a multiple of the interval.
bool checkpoint_trigger(const FormatOptions& format, u64 op);
// The op C whose effects the checkpoint taken at trigger T contains.
inline u64 checkpoint_op(const FormatOptions& format, u64 trigger) { return trigger - format.beats; }

}  // namespace tonearm
