#include "base/options.h"

#include <algorithm>

#include "base/assert.h"
#include "base/math.h"

namespace tonearm {

namespace {

struct Rule {
  bool ok;
  const char* field;
  const char* expected;
  u64 given;
};

}  // namespace

OptionsError validate(const FormatOptions& f, const RuntimeOptions& r) {
  const Rule rules[] = {
      {is_power_of_two(f.sector_size) && f.sector_size >= 512 && f.sector_size <= 4096, "sector_size",
       "a power of two from 512 to 4096", f.sector_size},
      {is_power_of_two(f.block_size) && f.block_size >= f.sector_size && f.block_size >= 512 &&
           f.block_size <= 1_MiB,
       "block_size", "a power of two from the sector size to 1048576", f.block_size},
      {f.levels >= 2 && f.levels <= levels_max, "levels", "2 to 10", f.levels},
      {f.growth >= 2 && f.growth <= growth_max, "growth", "2 to 16", f.growth},
      {f.beats >= 2 && f.beats <= 64 && f.beats % 2 == 0, "beats", "an even number from 2 to 64", f.beats},
      {f.beats != 0 && f.checkpoint_interval % f.beats == 0 && f.checkpoint_interval >= 2 * f.beats &&
           f.checkpoint_interval <= 65536,
       "checkpoint_interval", "a multiple of beats, from 2 bars to 65536", f.checkpoint_interval},
      {f.batch_values_max >= 1 && f.batch_values_max <= 65536, "batch_values_max", "1 to 65536",
       f.batch_values_max},
      {f.coalescing_percent <= 100, "coalescing_percent", "0 to 100", f.coalescing_percent},
      {f.manifest_extra_blocks >= 1 && f.manifest_extra_blocks <= 64, "manifest_extra_blocks", "1 to 64",
       f.manifest_extra_blocks},
      {f.values_per_block_max <= 65536, "values_per_block_max", "0 to 65536", f.values_per_block_max},
      {f.value_blocks_max <= 65536, "value_blocks_max", "0 to 65536", f.value_blocks_max},
      {f.reserved == 0 && f.reserved2 == 0, "reserved", "0", f.reserved != 0 ? f.reserved : f.reserved2},
      {r.blocks_count >= 64 && r.blocks_count % 64 == 0 && r.blocks_count <= storage_blocks_max,
       "blocks_count", "a multiple of 64, from 64 to 4294967296", r.blocks_count},
      {r.cache_blocks >= 16 && r.cache_blocks % 16 == 0 && r.cache_blocks <= (1U << 24), "cache_blocks",
       "a multiple of 16, from 16 to 16777216", r.cache_blocks},
      {r.cache_hash_bits <= 64, "cache_hash_bits", "0 to 64", r.cache_hash_bits},
      {r.read_iops >= 1 && r.read_iops <= 1024, "read_iops", "1 to 1024", r.read_iops},
      {r.write_iops >= 1 && r.write_iops <= 1024, "write_iops", "1 to 1024", r.write_iops},
      {r.compaction_blocks >= compaction_blocks_min && r.compaction_blocks <= 1024, "compaction_blocks",
       "6 to 1024", r.compaction_blocks},
      {r.read_attempts_max >= 1 && r.read_attempts_max <= 64, "read_attempts_max", "1 to 64",
       r.read_attempts_max},
      {r.scans_max >= 1 && r.scans_max <= scans_limit, "scans_max", "1 to 64", r.scans_max},
      {r.manifest_node_size >= manifest_node_size_min && r.manifest_node_size <= manifest_node_size_max &&
           r.manifest_node_size % manifest_node_size_min == 0,
       "manifest_node_size", "a multiple of 256, from 256 to 65536", r.manifest_node_size},
  };
  for (const Rule& rule : rules) {
    if (!rule.ok) return {.field = rule.field, .expected = rule.expected, .given = rule.given};
  }
  return {};
}

u64 level_tables_max(const FormatOptions& format, u32 level) {
  ASSERT(level < format.levels);
  u64 tables = 1;
  for (u32 i = 0; i <= level; ++i) tables *= format.growth;
  return tables;
}

u64 tree_tables_max(const FormatOptions& format, u64 blocks_count) {
  u64 sum = 0;
  for (u32 level = 0; level < format.levels; ++level) sum += level_tables_max(format, level);
  return std::min(sum, blocks_count / 2);
}

bool checkpoint_trigger(const FormatOptions& format, u64 op) {
  return op > format.beats && (op - format.beats + 1) % format.checkpoint_interval == 0;
}

}  // namespace tonearm
