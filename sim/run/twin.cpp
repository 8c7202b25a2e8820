#include "sim/run/twin.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/decode/image_compare.h"
#include "sim/run/player.h"
#include "sim/run/world_shape.h"
#include "sim/scenario/settings.h"
#include "sim/workload/geometry.h"

namespace tonearm::sim {

namespace {

constexpr u64 blocks_compared_one_in = 10;

// Draws by name, of one twin of one run.
class TwinDraw {
 public:
  TwinDraw(u64 seed, u32 twin) : seed_(stream_seed(seed, "twin")), twin_(twin) {}
  u64 between(const char* name, u64 min, u64 max) const {
    return sim::between(Stream(name, seed_).at(twin_, attempt_), min, max);
  }
  bool one_in(const char* name, u64 count) const { return between(name, 1, count) == 1; }
  void attempt(u64 attempt) { attempt_ = attempt; }

 private:
  u64 seed_;
  u64 twin_;
  u64 attempt_ = 0;
};

// The op log of a finished run as a scenario: what took effect, without what interrupted it.
class EffectiveSource final : public OperationSource {
 public:
  EffectiveSource(const OperationSource& source, const std::vector<u64>& effective, bool queries)
      : source_(&source) {
    for (const u64 entry : effective) {
      const bool query =
          entry < effective_commits_from && (entry & (effective_query_bit | effective_close_bit)) != 0;
      if (queries || !query) entries_.push_back(entry);
    }
  }

  u64 count() const override { return entries_.size(); }
  void at(u64 index, Operation* operation) const override {
    const u64 entry = entries_[index];
    if (entry >= effective_commits_from) {
      *operation = Operation{};
      operation->kind = OperationKind::commit;
    } else if ((entry & effective_close_bit) != 0) {
      *operation = Operation{};
      operation->kind = OperationKind::scan_close;
      operation->slots = static_cast<u16>(1U << (entry & ~effective_close_bit));
    } else {
      source_->at(effective_index(entry), operation);
      keep_timestamp(operation);
    }
    operation->id = {.number = index + 1, .child = 0};
  }

 private:
  // What the line's own id stood for, since that changes.
  static void keep_timestamp(Operation* operation) {
    if (operation->kind != OperationKind::insert && operation->kind != OperationKind::upsert) return;
    operation->value = inserted_timestamp(*operation);
    operation->timestamped = true;
  }

  const OperationSource* source_;
  std::vector<u64> entries_;
};

void draw_variations(const TwinDraw& draw, VariationKind kind, RunOptions* options) {
  for (u32 i = 0; i < variation_count; ++i) {
    const Variation site = static_cast<Variation>(i);
    if (variation_kind(site) != kind) continue;
    options->vary[i] = {};
    if (!draw.one_in(variation_name(site), 3)) continue;
    options->vary[i] = {.numerator = 1, .denominator = static_cast<u32>(draw.between("ratio", 1, 6))};
  }
}

// Another machine: everything may differ that must not matter to the bytes.
RunOptions machine_options(const RunOptions& base, const TwinDraw& draw) {
  RunOptions options = base;
  options.disk.seed_latency = draw.between("latency seed", 1, u64_max - 1);
  options.disk.policy = static_cast<CompletionPolicy>(draw.between("policy", 0, 5));
  options.disk.queue_depth = static_cast<u32>(draw.between("queue depth", 1, 32));
  options.disk.faults = {};
  options.full_blocks = 0;
  options.disk.read.latency_ticks_mean = static_cast<u32>(draw.between("read", 0, 200));
  options.disk.write.latency_ticks_mean = static_cast<u32>(draw.between("write", 0, 200));
  options.runtime.cache_blocks = static_cast<u32>(16 * draw.between("cache", 1, 8));
  options.runtime.cache_hash_bits = static_cast<u32>(draw.between("hash bits", 0, 64));
  options.runtime.read_iops = static_cast<u32>(draw.between("read iops", 1, 16));
  options.runtime.write_iops = static_cast<u32>(draw.between("write iops", 1, 16));
  // Fewer slots on a slower disk take longer for the same work.
  const auto times = [](u64 more, u64 less) { return 1 + more / (less + 1); };
  const u64 slower =
      std::max(times(options.disk.read.latency_ticks_mean, base.disk.read.latency_ticks_mean),
               times(options.disk.write.latency_ticks_mean, base.disk.write.latency_ticks_mean));
  const u64 narrower = std::max(times(base.runtime.read_iops, options.runtime.read_iops),
                                times(base.runtime.write_iops, options.runtime.write_iops));
  options.liveness_ticks_max = std::min(base.liveness_ticks_max, u64{1} << 40) * slower * narrower;
  options.runtime.compaction_blocks = compaction_blocks_min + static_cast<u32>(draw.between("blocks", 0, 24));
  options.runtime.manifest_node_size =
      manifest_node_size_min * static_cast<u32>(draw.between("manifest node", 1, 16));
  options.object_cache_slots = static_cast<u32>(16 * draw.between("object cache", 0, 8));
  options.object_hash_bits = static_cast<u32>(draw.between("object hash bits", 0, 64));
  options.prefetch_workers = static_cast<u32>(draw.between("prefetch workers", 1, 16));
  options.scan_sort_timestamps = static_cast<u32>(draw.between("sort", 1, 40));
  options.lookup_workers = static_cast<u32>(draw.between("lookup workers", 1, 16));
  // A line that found its key known in a scope prefetches it here, where there are no scopes.
  options.prefetch_keys_max += base.format.beats * base.format.batch_values_max +
                               static_cast<u32>(draw.between("prefetch keys", 0, 8));
  options.scrub = draw.one_in("scrub", 2) ? static_cast<u32>(draw.between("scrub reads", 1, 8)) : 0;
  draw_variations(draw, VariationKind::schedule, &options);
  return options;
}

// Tables and levels hold at least what they held, so that what fitted still fits.
void draw_geometry(const TwinDraw& draw, RunOptions* options) {
  FormatOptions& f = options->format;
  const u32 interval_bars = static_cast<u32>(draw.between("interval", 2, 8));
  if (draw.one_in("block", 2)) f.block_size = std::min<u32>(f.block_size * 2, 16384);
  if (draw.one_in("beats", 2)) f.beats = std::min<u32>(f.beats * 2, 16);
  f.checkpoint_interval = interval_bars * f.beats;
  f.growth += static_cast<u32>(draw.between("growth", 0, 2));
  f.levels += static_cast<u32>(draw.between("levels", 0, 1));
  f.batch_values_max += static_cast<u32>(draw.between("batch", 0, f.batch_values_max));
  if (draw.one_in("cap", 2)) f.values_per_block_max = static_cast<u32>(draw.between("values", 0, 12));
  f.value_blocks_max = 0;
  f.coalescing_percent = static_cast<u32>(draw.between("coalescing", 0, 100));
  f.manifest_extra_blocks = static_cast<u32>(draw.between("manifest extra", 1, 8));
  options->durability_delay_ops_max = static_cast<u32>(draw.between("delay", 0, f.checkpoint_interval - 1));
  finish_options(options);
}

RunOptions layout_options(const std::string& workload, const RunOptions& base, TwinDraw draw) {
  const World& world = world_of_run(workload, base);
  RunOptions options = machine_options(base, draw);
  if (draw.one_in("variations", 2)) draw_variations(draw, VariationKind::layout, &options);
  constexpr u64 attempts_max = 20;
  for (u64 attempt = 1; attempt <= attempts_max; ++attempt) {
    draw.attempt(attempt);
    RunOptions other = options;
    draw_geometry(draw, &other);
    if (!index_fits(other.format, world)) continue;
    other.runtime.blocks_count =
        std::max(base.runtime.blocks_count, blocks_needed(other.format, base.key_universe, world));
    finish_options(&other);
    if (validate_run(workload, other).empty()) return other;
  }
  draw_variations(draw, VariationKind::layout, &options);  // No other geometry fits: the same one.
  return options;
}

void differ(RunResult* other, const char* site, std::string message) {
  other->failure.failure_class = FailureClass::determinism;
  other->failure.site = site;
  other->failure.message = std::move(message);
}

// The disks of both runs as they ended.
void compare_images(const Image& first, const Image& second, const ForestShape& shape, u32 twin,
                    RunResult* other) {
  const BlockComparison blocks = compare_blocks(first, second, shape);
  other->counters.twin_blocks += blocks.count;
  if (blocks.difference.empty()) return;
  differ(other, "twin: other bytes",
         fmt::format("twin {} ends with other bytes: {}", twin, blocks.difference));
}

void compare_checkpoints(const RunResult& result, u32 twin, RunResult* other) {
  std::size_t at = 0;
  for (const CheckpointRecord& checkpoint : result.checkpoints) {
    while (at < other->checkpoints.size() && other->checkpoints[at].op < checkpoint.op) ++at;
    if (at == other->checkpoints.size()) break;
    if (other->checkpoints[at].op != checkpoint.op) continue;
    ++other->counters.twin_checkpoints;
    if (other->checkpoints[at].id == checkpoint.id) continue;
    return differ(other, "twin: another checkpoint id",
                  fmt::format("checkpoint {} of twin {} has another id than that of the first run",
                              checkpoint.op, twin));
  }
  if (other->counters.twin_checkpoints > 0 || result.checkpoints.size() < 2) return;
  differ(other, "twin: nothing to compare",
         fmt::format("twin {} has no checkpoint in common with the first run", twin));
  other->failure.failure_class = FailureClass::sim;
}

// Of runs that were played to their ends, which are alike.
void compare_ends(const RunResult& result, u32 twin, RunResult* other) {
  const auto last = [](const RunResult& run) {
    return run.checkpoints.empty() ? 0 : run.checkpoints.back().op;
  };
  if (last(result) == last(*other)) return;
  differ(other, "twin: another last checkpoint",
         fmt::format("twin {} ends with checkpoint {}, the first run with {}", twin, last(*other),
                     last(result)));
}

void compare_answers(const OperationSource& source, const RunResult& result, u32 twin, RunResult* other) {
  std::size_t query = 0;
  for (const u64 entry : result.effective) {
    if (entry >= effective_commits_from || (entry & effective_query_bit) == 0) continue;
    ASSERT(query < result.effective_answers.size());
    ++other->counters.twin_answers;
    const bool given = query < other->effective_answers.size();
    const bool same = given && other->effective_answers[query] == result.effective_answers[query];
    ++query;
    if (same) continue;
    Operation line;
    source.at(effective_index(entry), &line);
    return differ(other, "twin: another answer",
                  fmt::format("line {} gets another answer in twin {}", op_id_text(line.id), twin));
  }
}

// A geometry may be too small for what is in a file. That is no fault of the engine, and no comparison.
bool ended_full(const RunResult& other) {
  const std::string& site = other.failure.site;
  return site.find(error_name(ErrorKind::storage_full)) != std::string::npos ||
         site.find(error_name(ErrorKind::manifest_full)) != std::string::npos;
}

}  // namespace

TwinKind twin_kind(u64 seed, u32 twin) {
  return TwinDraw(seed, twin).one_in("kind", 2) ? TwinKind::machine : TwinKind::layout;
}

void record_for_twin(RunConfig* config) {
  config->record_checkpoints = config->record_effective = config->record_image = true;
}

RunResult run_twin(const RunConfig& config, const RunResult& result, u32 twin, RunnerMemory& memory,
                   std::optional<TwinKind> kind) {
  const TwinKind chosen = kind.value_or(twin_kind(config.seed, twin));
  const bool machine = chosen == TwinKind::machine;
  const TwinDraw draw(config.seed, twin);
  const EffectiveSource source(*config.source, result.effective, !machine);
  RunConfig twin_config;
  twin_config.workload = config.workload;
  twin_config.seed = config.seed;
  twin_config.options =
      machine ? machine_options(config.options, draw) : layout_options(config.workload, config.options, draw);
  twin_config.source = &source;
  twin_config.oracles = config.oracles;
  record_for_twin(&twin_config);
  twin_config.twin = true;
  twin_config.role = fmt::format("twin {}", twin);

  std::optional<Image>& image = memory.parts().final_image;
  // Another run may have left one meanwhile.
  const bool mine = memory.parts().final_image_run == result.run;
  std::optional<Image> first = std::exchange(image, std::nullopt);
  if (!mine) first.reset();
  RunResult other = run(twin_config, memory);
  std::optional<Image> second = std::exchange(image, std::nullopt);
  other.counters.twins = 1;
  if (!machine && (ended_full(other) || other.counters.ended_full > 0)) {
    other.failure = {};
  } else if (!other.failed() && machine) {
    compare_checkpoints(result, twin, &other);
    if (!other.failed() && first && second) compare_ends(result, twin, &other);
    const bool blocks = !other.failed() && draw.one_in("compare blocks", blocks_compared_one_in);
    if (blocks && first && second) compare_images(*first, *second, shape_of_run(config), twin, &other);
  } else if (!other.failed()) {
    compare_answers(*config.source, result, twin, &other);
  }
  RunCounters& c = other.counters;
  c.twins_idle = c.twin_checkpoints + c.twin_answers == 0 ? 1 : 0;
  image = std::move(first);
  memory.parts().final_image_run = result.run;
  return other;
}

}  // namespace tonearm::sim
