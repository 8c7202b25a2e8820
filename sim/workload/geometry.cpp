#include "sim/workload/geometry.h"

#include <algorithm>

#include "base/assert.h"
#include "base/math.h"
#include "sim/scenario/setting_relations.h"

namespace tonearm::sim {

namespace {

u64 table_values(const FormatOptions& format, const TreeSizes& sizes) {
  return bar_changes(format) * sizes.values_per_change;
}

u64 table_blocks(const FormatOptions& format, const TreeSizes& sizes) {
  return div_ceil(table_values(format, sizes), values_per_block(format, sizes));
}

}  // namespace

TreeSizes tree_sizes(TreeName tree) {
  const TreeSpec& spec = tree_spec(tree);
  const u32 values = spec.secondary_index && spec.groove != GrooveName::none ? 2 : 1;
  switch (spec.shape) {
    case KeyShape::number: return {.key_size = 8, .value_size = 16, .values_per_change = values};
    case KeyShape::index: return {.key_size = 16, .value_size = 16, .values_per_change = values};
    case KeyShape::wide_number: return {.key_size = 16, .value_size = 32, .values_per_change = values};
    case KeyShape::wide_index: return {.key_size = 32, .value_size = 32, .values_per_change = values};
    case KeyShape::timestamp: break;
  }
  const u32 value_size = spec.secondary_index ? 8 : groove_spec(spec.groove).object_bytes;
  return {.key_size = 8, .value_size = value_size, .values_per_change = values};
}

u64 body_bytes(const FormatOptions& format) { return format.block_size - block_header_bytes; }
u64 bar_changes(const FormatOptions& format) { return u64{format.beats} * format.batch_values_max; }

u64 values_per_block(const FormatOptions& format, const TreeSizes& sizes) {
  const u64 fit = body_bytes(format) / sizes.value_size;
  return format.values_per_block_max == 0 ? fit : std::min<u64>(fit, format.values_per_block_max);
}

u64 level_tables(const FormatOptions& format, u32 level) {
  u64 tables = 1;
  for (u32 i = 0; i <= level; ++i) tables *= format.growth;
  return tables;
}

u64 value_blocks_needed(const FormatOptions& format, const World& world) {
  u64 needed = 0;
  for (u32 i = 0; i < world.count; ++i) {
    needed = std::max(needed, table_blocks(format, tree_sizes(world.tree(i))));
  }
  return needed;
}

u64 merged_blocks_max(const FormatOptions& format, const World& world) {
  // Value blocks at both ends of a beat, with a value too many, and index blocks.
  constexpr u64 cut_short_max = 6;
  const u64 tables = u64{format.growth} + 1;
  u64 blocks = 0;
  for (u32 i = 0; i < world.count; ++i) {
    blocks += tables * (1 + table_blocks(format, tree_sizes(world.tree(i)))) + cut_short_max;
  }
  return div_ceil(format.levels, 2) * blocks;
}

bool index_fits(const FormatOptions& format, const World& world) {
  constexpr u64 slot_bytes = 32 + 8;  // Checksum and address, beside two keys.
  for (u32 i = 0; i < world.count; ++i) {
    const TreeSizes sizes = tree_sizes(world.tree(i));
    if (values_per_block(format, sizes) == 0) return false;
    const u64 needed = table_blocks(format, sizes);
    if (format.value_blocks_max != 0 && format.value_blocks_max < needed) return false;
    const u64 slots = std::max<u64>(needed, format.value_blocks_max);
    if (slots * (slot_bytes + 2 * sizes.key_size) > body_bytes(format)) return false;
  }
  return true;
}

// Each table of the last level holds a key at least, and more than a quarter of a full table on average
// even when deletions, forced flushes and moves leave many small ones. With a third, 3 seeds in 10,000
// filled their last level, which is the end of a tree.
//
// A groove never writes an object or an index entry twice under one key: an object that comes again has
// another timestamp. So the last level also holds what tombstones further up will take away, which can be
// as much again. (The object tree decides: the tables of an index hold twice as much.)
u64 universe_max(const FormatOptions& format, const World& world) {
  const u64 tables = level_tables(format, format.levels - 1);
  u64 keys = std::max(tables, tables * bar_changes(format) / 4);
  if (world.groove_count > 0) keys = keys / 2;
  return keys > 2 * limit_keys ? keys - limit_keys : 0;
}

u64 blocks_needed(const FormatOptions& f, u64 universe, const World& world) {
  const u64 keys = (world.groove_count > 0 ? 2 : 1) * (universe + limit_keys);
  u64 tables = 0;  // Live, all trees.
  u64 blocks = 0;  // Theirs.
  u64 churn = 0;   // Blocks that one bar replaces: half of what a table overlaps at worst.
  u64 tables_max = 0;
  for (u32 i = 0; i < world.count; ++i) {
    const TreeSizes sizes = tree_sizes(world.tree(i));
    const u64 values = table_values(f, sizes);
    const u64 per_block = values_per_block(f, sizes);
    for (u32 level = 0; level < f.levels; ++level) {
      const u64 level_max = level_tables(f, level) + 1;
      const u64 level_keys = std::min(keys, level_max * values);
      const u64 level_count = std::min({level_max, level_keys, 3 * level_keys / values + 2});
      const u64 level_blocks = 2 * level_count + 2 * div_ceil(level_keys, per_block);
      tables += level_count;
      tables_max += level_max;
      blocks += level_blocks;
      churn += std::min(level_blocks, (2 + u64{f.growth} / 2) * (1 + table_blocks(f, sizes)));
      if (level_max * values > 8 * keys) break;  // Deeper levels stay empty.
    }
  }
  // The manifest log is as long as its compaction lets it become, in proportion to the live tables.
  const u64 entries = body_bytes(f) / manifest_entry_bytes;
  const u64 append = div_ceil(u64{world.count} * div_ceil(f.levels, 2) * 3 * (1 + f.growth), entries);
  const u64 compact = append + f.manifest_extra_blocks;
  const u64 cycle = div_ceil(tables_max, entries) * compact / f.manifest_extra_blocks + append;
  const u64 log = std::min(cycle, cycle * tables / tables_max + append) + 4 * (append + compact);

  // Released blocks stay until the second checkpoint after their release.
  const u64 bars = u64{f.checkpoint_interval} / f.beats + 2;
  const u64 needed = 2 * blocks + 2 * bars * churn + 2 * log;
  const u64 most = world.groove_count > 0 ? u64{1} << 17 : u64{1} << 15;
  return std::clamp<u64>(round_up(needed, 64), 512, most);
}

bool disk_fits(const FormatOptions& format, u64 universe, const World& world) {
  return blocks_needed(format, universe, world) <= disk_bytes_max / format.block_size;
}

}  // namespace tonearm::sim
