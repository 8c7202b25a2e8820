#include "sim/workload/swarm_parts.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "base/math.h"
#include "sim/workload/geometry.h"

namespace tonearm::sim {

namespace {

LatencyProfile draw_latency(const Draw& draw, std::string_view name) {
  const u64 random = draw.random(name);
  LatencyProfile latency;
  latency.latency_ticks_min = static_cast<u32>(below(remix(random, 1), u64{1} << below(random, 6)));
  latency.latency_ticks_mean = static_cast<u32>(u64{1} << below(remix(random, 2), 8));
  if (below(remix(random, 3), 2) == 0) {
    latency.stall = {.numerator = 1, .denominator = static_cast<u32>(between(remix(random, 4), 30, 2000))};
  }
  return latency;
}

// What compaction and the manifest have in memory: often as little as possible.
void draw_budget(const Draw& draw, u32 compaction_blocks, RuntimeOptions* r) {
  r->compaction_blocks =
      draw.happens("compaction blocks least", 1, 3) ? compaction_blocks_min : compaction_blocks;
  static constexpr u32 nodes[] = {256, 256, 512, 512, 1024, 2048, 4096};
  r->manifest_node_size = draw.one_of("manifest node", nodes);
}

void draw_tiny_runtime(const Draw& draw, RuntimeOptions* r) {
  static constexpr u32 caches[] = {16, 16, 16, 32, 64};
  static constexpr u32 hash_bits[] = {0, 1, 2, 4, 8, 16, 32, 64};
  r->cache_blocks = draw.one_of("tiny cache", caches);
  r->cache_hash_bits = draw.one_of("tiny hash bits", hash_bits);
  r->read_iops = draw.between("tiny read iops", 1, 8);
  r->write_iops = draw.between("tiny write iops", 1, 8);
  draw_budget(draw, static_cast<u32>(draw.skewed("tiny compaction blocks", compaction_blocks_min, 24)), r);
  r->read_attempts_max = draw.between("tiny read attempts", 1, 4);
}

void draw_usual_runtime(const Draw& draw, RuntimeOptions* r) {
  r->cache_blocks = static_cast<u32>(round_up(draw.magnitude("cache", 6, 10), 16));
  r->cache_hash_bits = draw.happens("hash bits usual", 3, 4) ? 64 : draw.between("hash bits", 0, 64);
  r->read_iops = static_cast<u32>(draw.skewed("read iops", 1, 32));
  r->write_iops = draw.between("write iops", 1, 32);
  draw_budget(draw, draw.between("compaction blocks", compaction_blocks_min, 64), r);
  r->read_attempts_max = draw.between("read attempts", 1, 6);
}

struct LastLevel {
  u32 levels;
  u64 keys;
};

// That the full tables of so many levels hold.
u64 keys_held(const FormatOptions& f, u32 levels) {
  u64 tables = 0;
  for (u32 level = 0; level < levels; ++level) tables += level_tables(f, level);
  return tables * bar_changes(f);
}

// Filled to the brim. Of the keys of a groove half is enough, as in universe_max().
LastLevel draw_last_level_full(const Draw& draw, const World& world, const FormatOptions& f) {
  const u32 levels = f.growth == 2 ? draw.between("full levels", 2, 4) : 2;
  const u64 keys = keys_held(f, levels) * draw.between("full percent", 50, 110) / 100;
  return {.levels = levels, .keys = world.groove_count > 0 ? keys / 2 : keys};
}

// As many as the run can fill so far that merges go to the level before the last one, too. That takes a share
// of the keys; of too few most lines would find nothing to do.
LastLevel draw_last_level_used(const Draw& draw, const World& world, const FormatOptions& f) {
  constexpr u64 keys_min = 96;
  const u32 percent = draw.between("used percent", world.groove_count > 0 ? 25 : 20, 40);
  const auto keys = [&](u32 levels) { return keys_held(f, levels) * percent / 100; };
  u32 levels = 6 - f.growth;
  while (levels < 6 && keys(levels) < keys_min) ++levels;
  return {.levels = levels, .keys = keys(levels)};
}

}  // namespace

void draw_tiny_format(const Draw& draw, std::span<const u32> block_sizes, FormatOptions* f) {
  static constexpr u32 beats[] = {2, 2, 4, 4, 8};
  static constexpr u32 growths[] = {2, 2, 2, 2, 2, 3, 4};
  f->block_size = draw.one_of("tiny block", block_sizes);
  f->sector_size = draw_legal_sector(draw, 512, f->block_size);
  f->beats = draw_legal_beats(draw, draw.one_of("tiny beats", beats), 64);
  f->growth = draw.one_of("tiny growth", growths);
  f->batch_values_max = draw.between("tiny batch", 1, 8);
  f->values_per_block_max = draw.between("tiny values", 1, 8);
  f->value_blocks_max = 0;
  f->coalescing_percent = draw.between("coalescing", 0, 100);
  f->manifest_extra_blocks = draw.between("manifest extra", 1, 8);
}

void draw_usual_format(const Draw& draw, std::span<const u32> growths, FormatOptions* f) {
  // In the large ones numbers of values and blocks pass the limits of a byte.
  static constexpr u32 blocks[] = {4096, 4096, 4096, 4096, 4096,   4096,   4096,   4096,
                                   4096, 4096, 4096, 4096, 2048,   2048,   2048,   2048,
                                   8192, 8192, 8192, 8192, 16'384, 32'768, 32'768, 65'536};
  static constexpr u32 caps[] = {0, 0, 0, 64, 32};
  f->block_size = draw.one_of("block", blocks);
  const bool large = f->block_size >= 4096 && draw.happens("sector", 3, 4);
  f->sector_size = draw_legal_sector(draw, large ? 4096 : 512, f->block_size);
  const u32 beats = draw.happens("beats", 1, 8) ? 8 : draw.happens("beats many", 1, 24) ? 16 : 4;
  f->beats = draw_legal_beats(draw, beats, 24);
  f->growth = draw.one_of("growth", growths);
  f->values_per_block_max = draw.one_of("values", caps);
  if (f->block_size > 8192 && draw.happens("values few", 1, 2)) f->values_per_block_max = 1;
  f->value_blocks_max = 0;
  f->coalescing_percent = draw.happens("coalescing usual", 3, 4) ? 50 : draw.between("coalescing", 0, 100);
  f->manifest_extra_blocks = draw.between("manifest extra", 1, 8);
}

void draw_value_blocks(const Draw& draw, const World& world, FormatOptions* f) {
  if (!draw.happens("value blocks", 1, 4)) return;
  f->value_blocks_max = static_cast<u32>(value_blocks_needed(*f, world) + draw.below("value blocks more", 3));
  if (!index_fits(*f, world)) f->value_blocks_max = 0;
}

u64 draw_pace(const Draw& draw, const Pace& pace, RunOptions* o) {
  FormatOptions& f = o->format;
  const Rates& rates = pace.rates;
  const u64 use = draw.between("batch use", pace.batch_use_percent_min, pace.batch_use_percent_max);
  const u64 values = std::max<u64>(1, u64{f.batch_values_max} * use / 100);
  const u64 op_lines = std::clamp<u64>(1 + rates.lines(values), pace.op_lines_min, pace.op_lines_max);
  o->weight_commit = static_cast<u32>(std::max<u64>(1, rates.others / (op_lines - 1)));
  o->ops = std::max<u64>(o->ops, op_lines * f.beats * 11);
  const u64 ops = o->ops / op_lines;
  const u64 bars_max = std::min<u64>(ops / 5 / f.beats, 20);
  ASSERT(bars_max >= 2);
  f.checkpoint_interval = static_cast<u32>(draw.skewed("checkpoint interval", 2, bars_max)) * f.beats;
  o->phase_lines = static_cast<u32>(
      std::clamp<u64>(rates.lines(bar_changes(f)) * draw.between("phase tables", 1, 4), 40, o->ops / 6));
  return op_lines;
}

u32 draw_levels(const Draw& draw, const FormatOptions& format, u64 values, u32 levels_max) {
  u64 above = level_tables(format, 0) * bar_changes(format) * 7 / 10;  // What fills all levels but the last.
  u32 levels = 2;
  while (levels < levels_max) {
    above += level_tables(format, levels - 1) * bar_changes(format) * 7 / 10;
    if (above > values) break;
    ++levels;
  }
  // Fewer have no universe that fills the levels before the last one.
  levels = std::max<u32>(levels, format.growth == 2 ? 5 : format.growth == 3 ? 4 : 3);
  return std::min(levels_max, levels + (draw.happens("level more", 1, 4) ? 1 : 0));
}

u32 draw_usual_universe(const Draw& draw, const FormatOptions& format, u64 universe_max) {
  const u64 level_0 = bar_changes(format) * format.growth;
  // Narrow levels are filled two deep; of the keys of a universe, not all are present.
  const u64 filled = format.growth < 4 ? level_0 * (1 + format.growth) * 5 / 2 : level_0 * 3 / 2;
  const u64 least = draw.happens("universe wide", 3, 4) ? filled : 200;
  return static_cast<u32>(draw.skewed("universe", std::min(least, universe_max), universe_max));
}

bool draw_last_level(const Draw& draw, const World& world, RunOptions* o) {
  FormatOptions& f = o->format;
  if (f.growth > 4 || f.block_size > 8192 || f.levels > 9) return false;
  const bool full = f.growth < 4 && world.groove_count <= 1 && draw.happens("last level full", 1, 16);
  if (!full && !draw.happens("last level used", world.groove_count > 0 ? 2 : 1, 4)) return false;
  const LastLevel last = full ? draw_last_level_full(draw, world, f) : draw_last_level_used(draw, world, f);
  f.levels = last.levels;
  o->key_universe = static_cast<u32>(std::clamp<u64>(last.keys, 32, 2048));
  return true;
}

void draw_runtime(const Draw& draw, bool tiny, RuntimeOptions* r) {
  if (tiny) return draw_tiny_runtime(draw, r);
  draw_usual_runtime(draw, r);
}

void draw_watch(const Draw& draw, RunOptions* o) {
  o->shadow_every_checkpoints = draw.between("shadow every", 1, 4);
  if (draw.happens("scrub", 1, 4)) o->scrub = static_cast<u32>(draw.skewed("scrub reads", 1, 12));
  if (draw.happens("scrub list short", 1, 4)) o->scrub_damages = draw.between("scrub damages", 1, 4);
  o->directed_every_lines = 10U << draw.below("directed every", 5);
}

void draw_disk(const Draw& draw, u64 seed, RunOptions* o) {
  DiskOptions& disk = o->disk;
  disk.sector_size = o->format.sector_size;
  disk.block_size = o->format.block_size;
  disk.blocks_count = o->runtime.blocks_count;
  disk.seed = seed;
  const bool immediate = draw.happens("latency none", 1, 8);
  disk.read = immediate ? LatencyProfile{} : draw_latency(draw, "latency read");
  disk.write = immediate ? LatencyProfile{} : draw_latency(draw, "latency write");
  disk.sync = immediate ? LatencyProfile{} : draw_latency(draw, "latency sync");
  disk.superblock = immediate ? LatencyProfile{} : draw_latency(draw, "latency superblock");
  if (draw.happens("slow", 1, 4))
    disk.slow = {.numerator = 1, .denominator = draw.between("slow ratio", 2, 60)};

  static constexpr CompletionPolicy policies[] = {CompletionPolicy::latency, CompletionPolicy::latency,
                                                  CompletionPolicy::fifo,    CompletionPolicy::lifo,
                                                  CompletionPolicy::uniform, CompletionPolicy::uniform,
                                                  CompletionPolicy::starve,  CompletionPolicy::priority};
  static constexpr IoPurpose starved[] = {
      IoPurpose::manifest_read, IoPurpose::manifest_write, IoPurpose::manifest_compact, IoPurpose::lookup,
      IoPurpose::scan,          IoPurpose::compact_read,   IoPurpose::compact_write,    IoPurpose::next_tick};
  disk.policy = policies[draw.below("policy", std::size(policies))];
  disk.starved = starved[draw.below("starved", std::size(starved))];
  disk.queue_depth = std::min<u32>(64, static_cast<u32>(draw.magnitude("queue depth", 0, 6)));
  disk.tear_unit = disk.sector_size == 4096 && draw.happens("tear unit", 1, 2) ? 4096 : 512;

  const bool crashes = o->weight_crash > 0;
  disk.profile =
      crashes && draw.happens("cached", 1, 2) ? DurabilityProfile::cached : DurabilityProfile::durable;
  // Without a volatile cache a sync has nothing to lose, but it can fail all the same.
  if (draw.happens("failed sync", 5, 8)) {
    const u32 denominator = static_cast<u32>(draw.skewed("failed sync ratio", 3, 30));
    disk.faults[FaultKind::failed_sync].ratio = {.numerator = 1, .denominator = denominator};
  }
  o->durability_delay_ops_max =
      draw.happens("durability delay", 1, 2)
          ? draw.between("durability delay ops", 1, o->format.checkpoint_interval - 1)
          : 0;
}

// Each variation point is on in a quarter of the runs, seldom or often. A manifest that is compacted late is
// so always, or it never gets long.
void draw_variations(const Draw& draw, RunOptions* o) {
  static constexpr u32 denominators[] = {1, 2, 4, 4, 8, 16, 32, 64};
  for (u32 i = 0; i < variation_count; ++i) {
    const std::string name = std::string("vary ") + variation_name(static_cast<Variation>(i));
    const u64 random = draw.random(name);
    if (!chance(remix(random, 1), {1, 4})) continue;
    const bool always = static_cast<Variation>(i) == Variation::manifest_compacted_late;
    const u32 denominator = always ? 1 : denominators[below(remix(random, 2), std::size(denominators))];
    o->vary[i] = {.numerator = 1, .denominator = denominator};
  }
  // Each miss costs a whole block, and an engine that is out is audited over and over.
  Ratio& miss = o->vary[static_cast<u32>(Variation::cache_miss)];
  if (o->format.block_size > 8192 && miss.numerator > 0) {
    miss.denominator = std::max<u32>(miss.denominator, 8);
  }
}

}  // namespace tonearm::sim
