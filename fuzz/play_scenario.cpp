// A scenario, played as `tonearm replay` would play it, with bounds on what it may cost.
#include <fmt/format.h>

#include <cstdlib>

#include "base/assert.h"
#include "fuzz/guidance.h"
#include "fuzz/parsed.h"
#include "fuzz/target.h"
#include "sim/run/runner.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// Of memory that is taken anew or cleared for every run.
constexpr u64 blocks_max = 16384;
constexpr u64 cache_bytes_max = 4_MiB;
constexpr u64 table_values_max = 4096;
constexpr u32 requests_max = 64;
constexpr u32 objects_max = 4096;

bool small(const RunOptions& o) {
  const u64 block = o.format.block_size;
  return o.runtime.blocks_count <= blocks_max && o.runtime.cache_blocks * block <= cache_bytes_max &&
         o.runtime.compaction_blocks * block <= cache_bytes_max && block <= 64_KiB &&
         u64{o.format.batch_values_max} * o.format.beats <= table_values_max &&
         o.runtime.read_iops <= requests_max && o.runtime.write_iops <= requests_max &&
         o.object_cache_slots <= objects_max && o.prefetch_keys_max <= objects_max &&
         o.prefetch_workers <= requests_max && o.scan_sort_timestamps <= objects_max && o.scrub <= 8;
}

// Of a reopen line, too: what it changes may not be large.
bool small(const RunOptions& options, const Operation& line) {
  RunOptions changed = options;
  for (const SettingChange& change : line.changes) settings()[change.setting].set(changed, change.value);
  finish_options(&changed);
  return small(changed);
}

bool bounded(const Bounds& bounds, const Scenario& scenario) {
  if (scenario.operations.size() > bounds.lines || !small(scenario.options)) return false;
  if (bounds.ops == 0) return true;
  u64 ops = scenario.options.format.checkpoint_interval;  // The end takes a checkpoint.
  for (const Operation& line : scenario.operations) {
    if (line.kind == OperationKind::commit) ops += line.count;
    if (line.kind == OperationKind::checkpoint) ops += scenario.options.format.checkpoint_interval;
    if (line.kind == OperationKind::reopen && !small(scenario.options, line)) return false;
  }
  return ops <= bounds.ops;
}

[[noreturn]] void report(const Scenario& scenario, const RunResult& result) {
  const Failure& failure = result.failure;
  fmt::print(stderr, "{}\n{}\n{}FAIL class={} signature={:08x} workload={} op={}\n", print_scenario(scenario),
             failure.message, failure.story, failure_class_name(failure.failure_class), failure.signature(),
             scenario.workload, failure.has_op ? op_id_text(failure.op) : "-");
  std::fflush(stderr);
  std::abort();
}

// Of the input that is being played, for an assertion that ends the process.
const Scenario* playing = nullptr;

}  // namespace

int play_scenario(const Target& target, std::string_view input) {
  static RunnerMemory memory;
  static Guidance guidance;
  set_assert_hook(nullptr);  // Of what comes before the run.
  if (input.size() > input_bytes_max) return -1;
  const Scenario* const scenario = parsed(input);
  if (scenario == nullptr) return -1;
  const bool other = target.other_workload != nullptr && scenario->workload == target.other_workload;
  if (scenario->workload != target.workload && !other) return -1;
  if (!bounded(target.bounds, *scenario)) return -1;
  if (!validate_run(scenario->workload, scenario->options).empty()) return -1;

  RunConfig config;
  config.workload = scenario->workload;
  config.seed = scenario->seed;
  config.options = scenario->options;
  const std::unique_ptr<OperationSource> source = source_of(scenario->operations);
  config.source = source.get();
  config.reached = &guidance;
  guidance.begin();
  playing = scenario;
  set_fatal_failure([](const RunConfig&, const RunResult& failed) { report(*playing, failed); });
  const RunResult result = run(config, memory);
  if (result.failed()) report(*scenario, result);
  playing = nullptr;
  return 0;
}

}  // namespace tonearm::sim
