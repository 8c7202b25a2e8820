#include "sim/workload/swarm.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/math.h"
#include "sim/scenario/operation.h"
#include "sim/workload/geometry.h"
#include "sim/workload/swarm_faults.h"
#include "sim/workload/swarm_parts.h"

namespace tonearm::sim {

namespace {

constexpr u64 op_lines_min = 4;  // Fewer leave no room for a scope.

Rates rates_of(const RunOptions& o) {
  return {.others = u64{o.weight_put} + o.weight_remove + o.weight_get + o.weight_scan + o.weight_checkpoint +
                    o.weight_scope + o.weight_crash + o.weight_reopen + o.weight_scan_open,
          .writes = u64{o.weight_put} + o.weight_remove,
          .targets = u64{o.weight_kv} + o.weight_index + o.weight_id,
          .busiest = std::max({o.weight_kv, o.weight_index, o.weight_id})};
}

Pace pace_of(const RunOptions& o, u64 op_lines_max) {
  return {.rates = rates_of(o),
          .batch_use_percent_min = 35,
          .batch_use_percent_max = 85,
          .op_lines_min = op_lines_min,
          .op_lines_max = op_lines_max};
}

void draw_weights(const Draw& draw, RunOptions* o) {
  const auto weight = [&draw](std::string_view name, u32 numerator, u32 denominator, u64 min, u64 max) {
    // The name decides both: whether the kind exists, and how much of it there is.
    const u64 random = draw.random(name);
    if (!chance(remix(random, 1), {numerator, denominator})) return u32{0};
    return static_cast<u32>(between(random, min, max));
  };
  o->weight_put = weight("weight put", 1, 1, 900, 2200);
  o->weight_remove = weight("weight remove", 7, 8, 100, 1000);
  o->weight_get = weight("weight get", 7, 8, 200, 1200);
  o->weight_scan = weight("weight scan", 3, 4, 30, 400);
  o->weight_checkpoint = weight("weight checkpoint", 1, 2, 1, 6);
  // Checkpoint upon checkpoint flushes tables of a few values, which are coalesced.
  if (draw.happens("checkpoint storm", 1, 5)) {
    o->weight_checkpoint = draw.between("checkpoint storm weight", 20, 80);
  }
  o->weight_scope = weight("weight scope", 1, 2, 20, 160);
  o->weight_crash = weight("weight crash", 7, 8, 1, 6);
  o->weight_reopen = weight("weight reopen", 5, 8, 1, 3);
  o->weight_kv = weight("weight kv", 7, 8, 1, 4);
  o->weight_index = weight("weight index", 7, 8, 1, 3);
  o->weight_id = weight("weight id", 3, 4, 1, 3);
  if (o->weight_kv + o->weight_index + o->weight_id == 0) o->weight_kv = 1;

  o->bias_recent = weight("bias recent", 7, 8, 5, 40);
  o->bias_removed = weight("bias removed", 3, 4, 3, 20);
  o->bias_neighbour = weight("bias neighbour", 3, 4, 3, 20);
  o->bias_limit = weight("bias limit", 3, 4, 1, 4);
  o->bias_cold = draw.between("bias cold", 30, 70);
  o->ladder_victims = weight("ladder victims", 3, 4, 1, 6);
}

// Some in a run, each several times at best: what they do is dear.
void draw_episodes(const Draw& draw, RunOptions* o) {
  if (!draw.happens("episodes", 15, 16)) return;
  o->episode_lines = static_cast<u32>(o->ops / draw.between("episodes of a run", 2, 4));
}

// The deepest tree whose lower levels the run can fill; or a flat one, whose last level fills up.
u32 levels_for(const Draw& draw, const RunOptions& o, u32 levels_max) {
  if (draw.happens("levels few", 1, 6)) return 3;
  return draw_levels(draw, o.format, rates_of(o).values(o.ops) * 6 / 10, levels_max);
}

bool draw_tiny_geometry(const Draw& draw, RunOptions* o) {
  static constexpr u32 blocks[] = {512, 512, 1024, 1024, 2048};
  FormatOptions& f = o->format;
  draw_tiny_format(draw, blocks, &f);
  if (bar_changes(f) < 3 || !index_fits(f, world_tree)) return false;
  // Ops of four lines and up: smaller batches would mostly be full.
  if (rates_of(*o).values(op_lines_min - 1) > f.batch_values_max) return false;
  draw_pace(draw, pace_of(*o, 60), o);
  // Only the smallest tables are ever so many that they come down to level 7.
  const u32 deepest = bar_changes(f) <= 6 ? 9 : 7;
  f.levels = levels_for(draw, *o, f.growth == 2 ? deepest : f.growth == 3 ? 5 : 4);
  const u64 universe = std::min<u64>(universe_max(f, world_tree), 2048);
  if (universe < 32) return false;
  o->key_universe = draw.between("tiny universe", std::max<u64>(32, universe * 3 / 4), universe);
  draw_value_blocks(draw, world_tree, &f);
  return true;
}

bool draw_usual_geometry(const Draw& draw, RunOptions* o) {
  static constexpr u32 growths[] = {2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6, 8, 16};
  FormatOptions& f = o->format;
  draw_usual_format(draw, growths, &f);
  f.levels = f.growth > 5 ? 5 : draw.between("levels", f.growth < 4 ? 6 : 5, f.growth == 5 ? 6 : 7);
  // Narrow levels and short bars, so that a run of usual blocks comes to level 2, too.
  f.batch_values_max =
      static_cast<u32>(f.growth < 4 ? draw.skewed("batch", 9, 36) : draw.skewed("batch", 30, 120));
  const bool values_few = f.values_per_block_max == 1;
  if (f.block_size > 8192)
    f.batch_values_max = draw.between("batch of a large block", 64, values_few ? 112 : 200);
  if (!index_fits(f, world_tree)) return false;
  draw_pace(draw, pace_of(*o, 110), o);
  const u64 universe = std::min<u64>(universe_max(f, world_tree), values_few ? 2500 : 20'000);
  o->key_universe = draw_usual_universe(draw, f, universe);
  if (!disk_fits(f, o->key_universe, world_tree)) return false;
  return true;
}

// So many small tables that they come down to level 7: it takes many puts, best of all into one tree.
void draw_vast_weights(const Draw& draw, RunOptions* o) {
  o->weight_remove /= 4;
  o->weight_get /= 2;
  if (draw.happens("vast one tree", 1, 2)) o->weight_index = o->weight_id = 0;
  if (o->weight_kv == 0) o->weight_kv = 1;
}

bool draw_vast_geometry(const Draw& draw, RunOptions* o) {
  FormatOptions& f = o->format;
  draw_tiny_format(draw, std::array<u32, 2>{512, 1024}, &f);
  f.beats = draw.one_of("vast beats", {2, 2, 4});
  f.growth = 2;
  f.batch_values_max = 4;
  f.levels = 10;
  if (!index_fits(f, world_tree) || rates_of(*o).values(op_lines_min - 1) > f.batch_values_max) return false;
  draw_pace(draw, pace_of(*o, 60), o);
  const u64 universe = universe_max(f, world_tree);
  o->key_universe = draw.between("vast universe", universe * 3 / 4, universe);
  return true;
}

enum class Size : u8 { tiny, usual, vast };

// One in fifty is vast, and takes as long as fifteen others.
Size draw_size(u64 seed, u32 tiny_percent) {
  const Draw draw(seed);
  if (draw.happens("vast", 1, 50)) return Size::vast;
  return draw.happens("tiny", tiny_percent, 100) ? Size::tiny : Size::usual;
}

u64 draw_lines(const Draw& draw, Size size) {
  switch (size) {
    case Size::tiny: return draw.skewed("tiny lines", 1500, 8000);
    case Size::usual: return draw.skewed("lines", 4000, 16'000);
    case Size::vast: return draw.between("vast lines", 12'000, 18'000);
  }
  UNREACHABLE();
}

bool draw_geometry(const Draw& draw, Size size, RunOptions* o) {
  switch (size) {
    case Size::tiny: return draw_tiny_geometry(draw, o);
    case Size::usual: return draw_usual_geometry(draw, o);
    case Size::vast: return draw_vast_geometry(draw, o);
  }
  UNREACHABLE();
}

void draw_run(u64 seed, Size size, RunOptions* o, bool scans = false) {
  Draw draw(seed);
  *o = RunOptions{};
  draw_weights(draw, o);
  if (size == Size::vast) draw_vast_weights(draw, o);
  if (scans) draw_tree_scans(draw, o);
  const u64 lines = draw_lines(draw, size);
  constexpr u64 attempts_max = 1000;
  u64 attempt = 0;
  for (;; ++attempt) {
    ASSERT(attempt < attempts_max);
    draw.attempt(attempt);
    o->ops = lines;
    if (draw_geometry(draw, size, o)) break;
  }
  draw.attempt(0);
  draw_runtime(draw, size != Size::usual, &o->runtime);
  o->runtime.blocks_count = blocks_needed(o->format, o->key_universe, world_tree);
  draw_disk(draw, seed, o);
  draw_variations(draw, o);
  draw_episodes(draw, o);
  draw_watch(draw, o);
  draw_legal_options(draw, world_tree, o);
}

void maybe_use_last_level(u64 seed, RunOptions* o) {
  if (!draw_last_level(Draw(seed), world_tree, o)) return;
  o->runtime.blocks_count = blocks_needed(o->format, o->key_universe, world_tree);
  o->disk.blocks_count = o->runtime.blocks_count;
}

}  // namespace

void draw_tree(u64 seed, RunOptions* options) {
  draw_run(seed, draw_size(seed, 53), options);
  maybe_use_last_level(seed, options);
  maybe_draw_faults(seed, options);
}

void draw_scan_tree(u64 seed, RunOptions* options) {
  draw_run(seed, draw_size(seed, 50), options, true);
  maybe_use_last_level(seed, options);
  maybe_draw_faults(seed, options);
}

void draw_component(u64 seed, RunOptions* options) {
  const Draw draw(seed);
  draw_run(seed, draw.happens("tiny", 1, 2) ? Size::tiny : Size::usual, options);
  options->ops = draw.skewed("component lines", 3000, 8000);
  options->phase_lines = draw.between("component phase", 40, 400);
}

void draw_manifest_level(u64 seed, RunOptions* options) {
  const Draw draw(seed);
  draw_component(seed, options);
  FormatOptions& f = options->format;
  constexpr u64 tables_max = 4500;
  f.growth = draw.between("manifest growth", 2, growth_max);
  u32 levels = 2;
  for (u64 tables = 0; levels < levels_max; ++levels) {
    tables = 0;
    for (u32 i = 0; i <= levels; ++i) tables += level_tables(f, i);
    if (tables > tables_max) break;
  }
  f.levels = draw.happens("manifest levels all", 1, 2) ? levels : draw.between("manifest levels", 2, levels);
  // Room for the log; each table counts as two blocks.
  f.block_size = std::clamp<u32>(f.block_size, 4096, 8192);
  if (!index_fits(f, world_tree)) f.values_per_block_max = 0;
  options->disk.block_size = f.block_size;
  options->runtime.blocks_count = 4 * tables_max;
  options->runtime.blocks_count -= options->runtime.blocks_count % 64;
  options->disk.blocks_count = options->runtime.blocks_count;
  options->key_universe = static_cast<u32>(draw.magnitude("manifest universe", 5, 24));
  if (draw.happens("manifest node any", 1, 4))
    options->runtime.manifest_node_size = manifest_node_size_min * draw.between("manifest nodes", 1, 256);
}

// Few tables, so that the log becomes as long as it may, and compaction must keep up.
void draw_manifest_log(u64 seed, RunOptions* options) {
  const Draw draw(seed);
  draw_run(seed, draw.happens("manifest tiny", 7, 8) ? Size::tiny : Size::usual, options);
  options->phase_lines = draw.between("component phase", 20, 120);
  FormatOptions& f = options->format;
  f.levels = draw.between("manifest levels", 2, 3);
  f.growth = draw.between("manifest growth", 2, 4);
  // The more, the shorter the log.
  const u32 extra_bits_max = draw.happens("manifest log long", 1, 2) ? 2 : 6;
  f.manifest_extra_blocks =
      static_cast<u32>(std::min<u64>(64, draw.magnitude("manifest extra blocks", 0, extra_bits_max)));
  // Of three trees; each half-bar takes what it appends and compacts, and gives back late.
  const u64 entries = body_bytes(f) / manifest_entry_bytes;
  const u64 changes = 3 * u64{div_ceil(f.levels, 2)} * 2 * (1 + f.growth);
  const u64 append = div_ceil(changes, entries);
  const u64 live = div_ceil(3 * (level_tables(f, 0) + level_tables(f, 1) + level_tables(f, 2)), entries);
  const u64 log = live + append * div_ceil(live, f.manifest_extra_blocks);
  // A line costs more the more it may append, and the longer the log is.
  const bool costly = log + 2 * changes > 120;
  options->ops = costly || log > 300 ? 2500 : draw.skewed("manifest lines", 2500, 5000);
  const u64 needed = 2 * log + 16 * (2 * append + f.manifest_extra_blocks);
  options->runtime.blocks_count = std::clamp<u64>(round_up(needed, 64), 256, u64{1} << 14);
  options->disk.blocks_count = options->runtime.blocks_count;
}

void draw_segmented_array(u64 seed, RunOptions* options) {
  draw_component(seed, options);
  options->key_universe = static_cast<u32>(Draw(seed).magnitude("array universe", 3, 10));
}

void draw_canary(u64 seed, RunOptions* options) {
  draw_run(seed, Size::tiny, options);
  options->weight_crash = 0;
  options->weight_reopen = 0;
  options->disk.profile = DurabilityProfile::durable;
  options->disk.faults = {};
  options->vary = {};
  options->scrub = 0;
  options->ops = 200;
  options->phase_lines = 40;
}

}  // namespace tonearm::sim
