// What a geometry holds, in numbers and without the engine: how many values make a table of each tree of a
// world, whether its index block has room for them, how many keys fill the last levels, and how many blocks
// all of that takes.
#pragma once

#include "base/options.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

inline constexpr u32 block_header_bytes = 256;
inline constexpr u32 manifest_entry_bytes = 128;
inline constexpr u64 limit_keys = 8;  // Keys outside the universe: the limits of the types.

struct TreeSizes {
  u32 key_size;
  u32 value_size;
  u32 values_per_change;  // An index takes back an entry and gets another.
};
TreeSizes tree_sizes(TreeName tree);

u64 body_bytes(const FormatOptions& format);
u64 bar_changes(const FormatOptions& format);  // Of a tree or groove, at most.
u64 values_per_block(const FormatOptions& format, const TreeSizes& sizes);
u64 level_tables(const FormatOptions& format, u32 level);

// The value blocks that a full table of any tree has at most.
u64 value_blocks_needed(const FormatOptions& format, const World& world);
// The index block of a table of every tree must hold all value blocks of a full memory table.
bool index_fits(const FormatOptions& format, const World& world);

// What the merges of a half-bar can want at most: of each tree and every second level one, of a table with as
// many as `growth` below it, and what such a merge counts because its blocks may be cut short.
u64 merged_blocks_max(const FormatOptions& format, const World& world);

// How many different keys a tree may have, or a groove objects, so that no last level is ever too small.
u64 universe_max(const FormatOptions& format, const World& world);

// Blocks that are enough for the whole run, so that the disk never fills.
u64 blocks_needed(const FormatOptions& format, u64 universe, const World& world);
// Whether a disk may have as many.
bool disk_fits(const FormatOptions& format, u64 universe, const World& world);

}  // namespace tonearm::sim
