// Options of the component workloads that need no more of the geometry than sizes.
#include <algorithm>

#include "base/math.h"
#include "sim/workload/draw.h"
#include "sim/workload/geometry.h"
#include "sim/workload/swarm.h"

namespace tonearm::sim {

namespace {

// The least tables, for a part that has none: any block will do.
void draw_least_format(u32 block_size, RunOptions* options) {
  FormatOptions& f = options->format;
  f.beats = 2;
  f.checkpoint_interval = 4;
  options->durability_delay_ops_max = 0;
  f.batch_values_max = 1;
  f.values_per_block_max = f.value_blocks_max = 0;
  f.block_size = std::max(f.sector_size, block_size);
  while (!index_fits(f, world_tree)) f.block_size *= 2;
  options->disk.block_size = f.block_size;
}

}  // namespace

void draw_cache(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  const Draw draw(seed);
  RuntimeOptions& r = options->runtime;
  static constexpr u32 sets[] = {1, 1, 1, 2, 2, 3, 4, 5, 8, 16, 32};
  r.cache_blocks = 16 * draw.one_of("cache sets", sets);
  r.cache_hash_bits = draw.happens("cache hash few", 1, 2) ? draw.between("cache hash bits", 0, 4)
                                                           : draw.between("cache hash bits", 5, 64);
  options->key_universe = static_cast<u32>(draw.skewed("cache addresses", 12, u64{6} * r.cache_blocks));
  options->ops = std::min<u64>(options->ops, 4000);
}

void draw_grid(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  const Draw draw(seed);
  RuntimeOptions& r = options->runtime;
  static constexpr u32 iops[] = {1, 1, 2, 3, 4, 8, 16};
  const bool many = draw.happens("grid iops many", 1, 6);
  r.read_iops = many ? draw.between("grid read iops many", 33, 128) : draw.one_of("grid read iops", iops);
  r.write_iops = many ? draw.between("grid write iops many", 17, 128) : draw.one_of("grid write iops", iops);
  r.read_attempts_max = draw.happens("grid attempts many", 1, 12) ? draw.between("grid attempts", 6, 64)
                                                                  : draw.between("grid read attempts", 1, 5);
  r.cache_blocks = 16 * draw.between("grid cache sets", 1, 4);
  r.blocks_count = u64{64} << draw.below("grid blocks", 3);
  options->disk.mirror = draw.happens("grid mirror", 1, 2);
  options->disk.blocks_count = r.blocks_count;
  options->ops = std::min<u64>(options->ops, 4000);
}

void draw_free_set(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  const Draw draw(seed);
  const bool large = draw.happens("free set large", 1, 10);
  const bool vast = draw.happens("free set vast", 1, 10);
  const u64 blocks = vast    ? draw.magnitude("free set blocks", 16, 17)
                     : large ? draw.magnitude("free set blocks", 13, 14)
                             : draw.magnitude("free set blocks", 5, 11);
  options->runtime.blocks_count = round_up(blocks, 64);
  // Comparing all blocks takes its time.
  if (large) options->ops = std::min<u64>(options->ops, 3000);
  if (vast) options->ops = std::min<u64>(options->ops, 300);
  // Nobody writes to them; but no disk is larger than a run may have.
  if (large || vast) draw_least_format(4096, options);
  options->runtime.compaction_blocks = draw.between("free set prior", compaction_blocks_min, 64);
  options->disk.blocks_count = options->runtime.blocks_count;
}

void draw_table_memory(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  const Draw draw(seed);
  FormatOptions& f = options->format;
  static constexpr u32 beats[] = {2, 2, 4, 4, 8, 16, 64};
  f.beats = draw.one_of("memory beats", beats);
  f.checkpoint_interval = 2 * f.beats;
  options->durability_delay_ops_max = 0;
  // More values than 16 bits count are seldom needed, and take their time.
  const bool large = draw.happens("memory large", 1, 32);
  if (large) options->ops = std::min<u64>(options->ops, 100);
  // The largest table still has an index block for it.
  const u64 capacity = std::max<u64>(
      f.beats, large ? draw.magnitude("memory capacity", 16, 17) : draw.magnitude("memory capacity", 0, 13));
  f.batch_values_max = static_cast<u32>(std::min<u64>(capacity / f.beats, 65536));
  f.values_per_block_max = 0;
  f.value_blocks_max = 0;
  f.block_size = 4096;
  while (!index_fits(f, world_tree)) f.block_size *= 2;
  options->disk.block_size = f.block_size;
  // Few keys: versions meet. Many: they hardly do.
  const u64 keys = large ? draw.magnitude("memory keys", 15, 18) : draw.magnitude("memory keys", 2, 12);
  options->key_universe = static_cast<u32>(keys);
}

void draw_merge(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  options->key_universe = static_cast<u32>(Draw(seed).magnitude("merge universe", 2, 11));
}

void draw_trailer(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  const Draw draw(seed);
  RuntimeOptions& r = options->runtime;
  // Many blocks for few bytes.
  static constexpr u32 sizes[] = {512, 512, 1024, 4096};
  draw_least_format(draw.one_of("trailer block", sizes), options);
  static constexpr u32 iops[] = {1, 1, 2, 3, 8, 32};
  r.read_iops = draw.one_of("trailer read iops", iops);
  r.write_iops = draw.one_of("trailer write iops", iops);
  r.read_attempts_max = draw.between("trailer attempts", 1, 4);
  r.blocks_count = u64{64} << draw.below("trailer blocks", 3);
  options->disk.blocks_count = r.blocks_count;
  options->ops = std::min<u64>(options->ops, 1000);
}

void draw_superblock(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  options->ops = Draw(seed).skewed("superblock lines", 3000, 6000);
}

}  // namespace tonearm::sim
