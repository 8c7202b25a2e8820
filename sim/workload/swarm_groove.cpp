// The options of `groove`, `forest` and `scan`.
#include <algorithm>

#include "base/assert.h"
#include "base/math.h"
#include "sim/workload/geometry.h"
#include "sim/workload/swarm.h"
#include "sim/workload/swarm_faults.h"
#include "sim/workload/swarm_parts.h"

namespace tonearm::sim {

namespace {

constexpr u64 op_lines_min = 6;  // Fewer leave no room for a scope behind lines that make keys known.

Rates rates_of(const RunOptions& o, const World& world) {
  const bool one = world.groove_count == 1;
  return {
      .others = u64{o.weight_insert} + o.weight_update + o.weight_upsert + o.weight_remove + o.weight_orphan +
                o.weight_get + o.weight_exists + o.weight_prefetch + o.weight_scan + o.weight_checkpoint +
                o.weight_scope + o.weight_crash + o.weight_reopen + o.weight_query + o.weight_page +
                o.weight_scan_open,
      .writes = u64{o.weight_insert} + o.weight_update + o.weight_upsert + o.weight_remove + o.weight_orphan,
      .targets = one ? 1 : u64{o.weight_things} + o.weight_notes + o.weight_events,
      .busiest = one ? 1 : std::max({o.weight_things, o.weight_notes, o.weight_events})};
}

void draw_weights(const Draw& draw, RunOptions* o) {
  const auto weight = [&draw](std::string_view name, u32 numerator, u32 denominator, u64 min, u64 max) {
    const u64 random = draw.random(name);
    if (!chance(remix(random, 1), {numerator, denominator})) return u32{0};
    return static_cast<u32>(between(random, min, max));
  };
  o->weight_put = 0;
  o->weight_insert = weight("groove insert", 1, 1, 500, 1200);
  o->weight_update = weight("groove update", 7, 8, 300, 1400);
  o->weight_upsert = weight("groove upsert", 3, 4, 200, 800);
  o->weight_remove = weight("groove remove", 7, 8, 150, 700);
  // What is not removed stays, and soon an insert would find nothing to do.
  o->weight_insert = std::min(o->weight_insert, 120 + o->weight_remove * 3 / 2);
  if (o->weight_remove == 0) o->weight_upsert = std::max<u32>(o->weight_upsert, 500);
  o->weight_orphan = weight("groove orphan", 1, 2, 10, 80);
  o->weight_get = weight("groove get", 7, 8, 200, 1200);
  o->weight_exists = weight("groove exists", 1, 2, 40, 250);
  o->weight_prefetch = weight("groove prefetch", 3, 4, 40, 300);
  o->weight_scan = weight("groove scan", 3, 4, 30, 300);
  o->weight_checkpoint = weight("groove checkpoint", 1, 2, 1, 6);
  if (draw.happens("groove checkpoint storm", 1, 5)) {
    o->weight_checkpoint = draw.between("groove checkpoint storm weight", 20, 80);
  }
  o->weight_scope = weight("groove scope", 2, 3, 40, 260);
  o->weight_crash = weight("groove crash", 1, 2, 2, 20);
  o->weight_reopen = weight("groove reopen", 1, 3, 1, 8);
  o->weight_things = draw.between("groove things", 1, 3);
  o->weight_notes = draw.between("groove notes", 1, 3);
  o->weight_events = draw.between("groove events", 1, 3);

  o->bias_recent = draw.between("groove bias recent", 20, 60);
  o->bias_removed = weight("groove bias removed", 7, 8, 5, 20);
  o->bias_neighbour = weight("groove bias neighbour", 3, 4, 2, 10);
  o->bias_limit = weight("groove bias limit", 3, 4, 1, 3);
  o->bias_cold = draw.between("groove bias cold", 30, 70);
  o->bias_hot = draw.between("groove bias hot", 40, 95);
  o->bias_surprise = draw.between("groove bias surprise", 2, 20);
  o->ladder_victims = weight("groove ladder victims", 3, 4, 1, 6);
  o->timestamps = draw.happens("groove timestamps any", 1, 2) ? Timestamps::any : Timestamps::increasing;
}

void draw_prefetch_keys(const Draw& draw, u64 op_lines, RunOptions* o) {
  // Each line asks for one key at most.
  const u64 keys = draw.happens("prefetch tight", 1, 8)
                       ? std::max<u64>(2, op_lines / 2)
                       : op_lines + draw.below("prefetch room", op_lines + 1);
  o->prefetch_keys_max = static_cast<u32>(keys);
}

void draw_op(const Draw& draw, const World& world, u64 op_lines_max, RunOptions* o) {
  const Pace pace{.rates = rates_of(*o, world),
                  .batch_use_percent_min = 40,
                  .batch_use_percent_max = 100,
                  .op_lines_min = op_lines_min,
                  .op_lines_max = op_lines_max};
  draw_prefetch_keys(draw, draw_pace(draw, pace, o), o);
}

bool draw_tiny_geometry(const Draw& draw, const World& world, RunOptions* o) {
  static constexpr u32 blocks[] = {512, 1024, 1024, 1024, 2048, 2048, 4096};
  FormatOptions& f = o->format;
  draw_tiny_format(draw, blocks, &f);
  if (bar_changes(f) < 3 || !index_fits(f, world)) return false;
  const Rates rates = rates_of(*o, world);
  if (rates.values(op_lines_min - 1) > f.batch_values_max) return false;
  draw_op(draw, world, 60, o);
  // Half of the changes put a value into the object tree.
  f.levels = draw_levels(draw, f, rates.values(o->ops) / 2, f.growth == 2 ? 7 : f.growth == 3 ? 5 : 4);
  const u64 universe = std::min<u64>(universe_max(f, world), 1024);
  if (universe < 32) return false;
  o->key_universe = draw.between("tiny universe", std::max<u64>(32, universe * 3 / 4), universe);
  draw_value_blocks(draw, world, &f);
  return true;
}

bool draw_usual_geometry(const Draw& draw, const World& world, RunOptions* o) {
  static constexpr u32 growths[] = {4, 4, 4, 4, 5, 6, 8};
  FormatOptions& f = o->format;
  draw_usual_format(draw, growths, &f);
  f.levels = f.growth > 5 ? 4 : draw.between("levels", 4, 5);  // 26 trees of more levels take long to open.
  f.batch_values_max = static_cast<u32>(draw.skewed("batch", 20, 80));
  if (!index_fits(f, world)) return false;
  draw_op(draw, world, 110, o);
  const u64 universe = std::min<u64>(universe_max(f, world), world.groove_count > 1 ? 2500 : 5000);
  o->key_universe = draw_usual_universe(draw, f, universe);
  if (!disk_fits(f, o->key_universe, world)) return false;
  return true;
}

void draw_objects(const Draw& draw, bool tiny, RunOptions* o) {
  static constexpr u32 slots[] = {0, 16, 16, 16, 32, 64};
  static constexpr u32 hash_bits[] = {0, 1, 2, 4, 8, 16, 32, 64};
  if (tiny) {
    o->object_cache_slots = draw.one_of("tiny object slots", slots);
    o->object_hash_bits = draw.one_of("tiny object hash bits", hash_bits);
    o->prefetch_workers = draw.between("tiny prefetch workers", 1, 4);
    return;
  }
  // One set now and then, so that scopes evict what they have changed.
  o->object_cache_slots = draw.happens("object slots one set", 1, 3)
                              ? 16
                              : static_cast<u32>(round_up(draw.magnitude("object slots", 4, 10), 16));
  o->object_hash_bits =
      draw.happens("object hash bits usual", 3, 4) ? 64 : draw.between("object hash bits", 0, 64);
  o->prefetch_workers = draw.between("prefetch workers", 1, 16);
}

void draw_grooves(u64 seed, std::string_view workload, RunOptions* o) {
  Draw draw(seed);
  *o = RunOptions{};
  o->groove = static_cast<GrooveName>(draw.below("groove", groove_count));
  const World& world = world_of(workload, o->groove);
  draw_weights(draw, o);
  if (workload == "scan") {
    draw_many_queries(draw, o);
  } else {
    draw_few_queries(draw, o);
  }
  const bool tiny = draw.happens("tiny", 1, 2);
  // Fewer lines of `scan` change anything: it takes more of them to fill as many levels.
  const u64 more = workload == "scan" ? 2 : 1;
  const u64 lines =
      more * (tiny ? draw.skewed("tiny lines", 1500, 6000) : draw.skewed("lines", 3000, 10'000));
  constexpr u64 attempts_max = 1000;
  for (u64 attempt = 0;; ++attempt) {
    ASSERT(attempt < attempts_max);
    draw.attempt(attempt);
    o->ops = lines;
    if (tiny ? draw_tiny_geometry(draw, world, o) : draw_usual_geometry(draw, world, o)) break;
  }
  draw.attempt(0);
  draw_runtime(draw, tiny, &o->runtime);
  draw_objects(draw, tiny, o);
  draw_last_level(draw, world, o);
  o->runtime.blocks_count = blocks_needed(o->format, o->key_universe, world);
  draw_disk(draw, seed, o);
  draw_variations(draw, o);
  maybe_draw_faults(seed, o);
  draw_watch(draw, o);
  draw_legal_options(draw, world, o);
}

}  // namespace

void draw_groove(u64 seed, RunOptions* options) { draw_grooves(seed, "groove", options); }
void draw_forest(u64 seed, RunOptions* options) { draw_grooves(seed, "forest", options); }
void draw_scan(u64 seed, RunOptions* options) { draw_grooves(seed, "scan", options); }

}  // namespace tonearm::sim
