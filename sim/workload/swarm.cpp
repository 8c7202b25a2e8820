#include "sim/workload/swarm.h"

#include <algorithm>
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

// What the weights mean: how many of the lines that are neither commit nor scope write into the tree
// that is written most.
struct Rates {
  u64 others;  // Weights besides that of the commit.
  u64 writes;
  u64 trees;
  u64 busiest;

  explicit Rates(const RunOptions& o)
      : others(u64{o.weight_put} + o.weight_remove + o.weight_get + o.weight_scan + o.weight_checkpoint +
               o.weight_scope + o.weight_crash + o.weight_reopen + o.weight_scan_open),
        writes(u64{o.weight_put} + o.weight_remove),
        trees(u64{o.weight_kv} + o.weight_index + o.weight_id),
        busiest(std::max({o.weight_kv, o.weight_index, o.weight_id})) {}

  // Values that go into the busiest tree in so many lines, and the lines that so many values need.
  u64 values(u64 lines) const { return lines * writes * busiest / (others * trees); }
  u64 lines(u64 values) const { return div_ceil(values * others * trees, writes * busiest); }
};

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

// Ops are as long as their batches allow; checkpoints as far apart as the number of ops allows.
void draw_pace(const Draw& draw, u64 op_lines_max, RunOptions* o) {
  const Rates rates(*o);
  FormatOptions& f = o->format;
  const u64 values = std::max<u64>(1, u64{f.batch_values_max} * draw.between("batch use", 35, 85) / 100);
  const u64 op_lines = std::clamp<u64>(1 + rates.lines(values), op_lines_min, op_lines_max);
  o->weight_commit = static_cast<u32>(std::max<u64>(1, rates.others / (op_lines - 1)));
  o->ops = std::max<u64>(o->ops, op_lines * f.beats * 11);
  const u64 ops = o->ops / op_lines;
  const u64 bars_max = std::min<u64>(ops / 5 / f.beats, 20);
  ASSERT(bars_max >= 2);
  f.checkpoint_interval = static_cast<u32>(draw.skewed("checkpoint interval", 2, bars_max)) * f.beats;
  o->phase_lines = static_cast<u32>(
      std::clamp<u64>(rates.lines(bar_changes(f)) * draw.between("phase tables", 1, 4), 40, o->ops / 6));
}

// The deepest tree whose lower levels the run can fill; or a flat one, whose last level fills up.
u32 levels_for(const Draw& draw, const RunOptions& o, u32 levels_max) {
  if (draw.happens("levels few", 1, 6)) return 3;
  const u64 values = Rates(o).values(o.ops) * 6 / 10;
  const FormatOptions& format = o.format;
  u64 above = level_tables(format, 0) * bar_changes(format) * 7 / 10;  // What fills all levels but the last.
  u32 levels = 2;
  while (levels < levels_max) {
    above += level_tables(format, levels - 1) * bar_changes(format) * 7 / 10;
    if (above > values) break;
    ++levels;
  }
  levels = std::max<u32>(levels, 4 - std::min<u32>(1, format.growth - 2));
  return std::min(levels_max, levels + (draw.happens("level more", 1, 4) ? 1 : 0));
}

bool draw_tiny_geometry(const Draw& draw, RunOptions* o) {
  static constexpr u32 blocks[] = {512, 512, 1024, 1024, 2048};
  static constexpr u32 beats[] = {2, 2, 4, 4, 8};
  static constexpr u32 growths[] = {2, 2, 2, 2, 2, 3, 4};
  FormatOptions& f = o->format;
  f.sector_size = 512;
  f.block_size = draw.one_of("tiny block", blocks);
  f.beats = draw.one_of("tiny beats", beats);
  f.growth = draw.one_of("tiny growth", growths);
  f.batch_values_max = draw.between("tiny batch", 1, 8);
  f.values_per_block_max = draw.between("tiny values", 1, 8);
  f.value_blocks_max = 0;
  f.coalescing_percent = draw.between("coalescing", 0, 100);
  f.manifest_extra_blocks = draw.between("manifest extra", 1, 8);
  if (bar_changes(f) < 3 || !index_fits(f, world_tree)) return false;

  // Ops of four lines and up: smaller batches would mostly be full.
  if (Rates(*o).values(op_lines_min - 1) > f.batch_values_max) return false;
  draw_pace(draw, 60, o);
  f.levels = levels_for(draw, *o, f.growth == 2 ? 7 : f.growth == 3 ? 5 : 4);
  const u64 universe = std::min<u64>(universe_max(f, world_tree), 2048);
  if (universe < 32) return false;
  o->key_universe = draw.between("tiny universe", std::max<u64>(32, universe * 3 / 4), universe);
  if (draw.happens("value blocks", 1, 4)) {
    // More slots than any table needs: the rest of each part of an index block stays empty.
    const u64 needed = value_blocks_needed(f, world_tree);
    f.value_blocks_max = static_cast<u32>(needed + draw.below("value blocks more", 3));
    if (!index_fits(f, world_tree)) f.value_blocks_max = 0;
  }
  return true;
}

bool draw_usual_geometry(const Draw& draw, RunOptions* o) {
  static constexpr u32 blocks[] = {4096, 4096, 4096, 2048, 8192};
  static constexpr u32 growths[] = {2, 2, 2, 2, 2, 3, 4, 4, 5, 6, 8};
  static constexpr u32 caps[] = {0, 0, 0, 64, 32};
  FormatOptions& f = o->format;
  f.block_size = draw.one_of("block", blocks);
  f.sector_size = f.block_size >= 4096 && draw.happens("sector", 3, 4) ? 4096 : 512;
  f.beats = draw.happens("beats", 1, 8) ? 8 : 4;
  f.growth = draw.one_of("growth", growths);
  f.levels = f.growth > 5 ? 5 : draw.between("levels", f.growth < 4 ? 6 : 5, f.growth == 5 ? 6 : 7);
  // Narrow levels and short bars, so that a run of usual blocks comes to level 2, too.
  f.batch_values_max =
      static_cast<u32>(f.growth < 4 ? draw.skewed("batch", 9, 36) : draw.skewed("batch", 30, 120));
  f.values_per_block_max = draw.one_of("values", caps);
  f.value_blocks_max = 0;
  f.coalescing_percent = draw.happens("coalescing usual", 3, 4) ? 50 : draw.between("coalescing", 0, 100);
  f.manifest_extra_blocks = draw.between("manifest extra", 1, 8);
  if (!index_fits(f, world_tree)) return false;

  draw_pace(draw, 110, o);
  const u64 universe = std::min<u64>(universe_max(f, world_tree), 20'000);
  const u64 level_0 = bar_changes(f) * f.growth;
  const u64 least = draw.happens("universe wide", 3, 4) ? level_0 * 3 / 2 : 200;
  o->key_universe = static_cast<u32>(draw.skewed("universe", std::min(least, universe), universe));
  return true;
}

void draw_run(u64 seed, bool tiny, RunOptions* o, bool scans = false) {
  Draw draw(seed);
  *o = RunOptions{};
  draw_weights(draw, o);
  if (scans) draw_tree_scans(draw, o);
  const u64 lines = tiny ? draw.skewed("tiny lines", 1500, 8000) : draw.skewed("lines", 4000, 16'000);
  constexpr u64 attempts_max = 1000;
  u64 attempt = 0;
  for (;; ++attempt) {
    ASSERT(attempt < attempts_max);
    draw.attempt(attempt);
    o->ops = lines;
    if (tiny ? draw_tiny_geometry(draw, o) : draw_usual_geometry(draw, o)) break;
  }
  draw.attempt(0);
  if (tiny) {
    draw_tiny_runtime(draw, &o->runtime);
  } else {
    draw_usual_runtime(draw, &o->runtime);
  }
  o->runtime.blocks_count = blocks_needed(o->format, o->key_universe, world_tree);
  draw_disk(draw, seed, o);
  draw_variations(draw, o);
  draw_episodes(draw, o);
  o->shadow_every_checkpoints = draw.between("shadow every", 1, 4);
  if (draw.happens("scrub", 1, 4)) o->scrub = static_cast<u32>(draw.skewed("scrub reads", 1, 12));
  o->directed_every_lines = 10U << draw.below("directed every", 5);
}

}  // namespace

void draw_tree(u64 seed, RunOptions* options) {
  draw_run(seed, Draw(seed).happens("tiny", 53, 100), options);
  maybe_draw_faults(seed, options);
}

void draw_scan_tree(u64 seed, RunOptions* options) {
  draw_run(seed, Draw(seed).happens("tiny", 1, 2), options, true);
  maybe_draw_faults(seed, options);
}

void draw_component(u64 seed, RunOptions* options) {
  const Draw draw(seed);
  draw_run(seed, draw.happens("tiny", 1, 2), options);
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
  f.block_size = std::max<u32>(f.block_size, 4096);
  options->disk.block_size = f.block_size;
  options->runtime.blocks_count = 4 * tables_max;
  options->runtime.blocks_count -= options->runtime.blocks_count % 64;
  options->disk.blocks_count = options->runtime.blocks_count;
  options->key_universe = static_cast<u32>(draw.magnitude("manifest universe", 5, 24));
}

// Few tables, so that the log becomes as long as it may, and compaction must keep up.
void draw_manifest_log(u64 seed, RunOptions* options) {
  const Draw draw(seed);
  draw_run(seed, draw.happens("manifest tiny", 7, 8), options);
  options->phase_lines = draw.between("component phase", 20, 120);
  FormatOptions& f = options->format;
  f.levels = draw.between("manifest levels", 2, 3);
  f.growth = draw.between("manifest growth", 2, 4);
  f.manifest_extra_blocks =
      static_cast<u32>(std::min<u64>(64, draw.magnitude("manifest extra blocks", 0, 6)));
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
  draw_run(seed, true, options);
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
