#include "sim/workload/swarm_parts.h"

#include <algorithm>
#include <string>

#include "base/math.h"

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

}  // namespace

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
}

}  // namespace tonearm::sim
