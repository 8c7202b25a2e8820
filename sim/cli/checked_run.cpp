#include "sim/cli/checked_run.h"

#include <fmt/format.h>

#include "sim/cli/events.h"
#include "sim/run/player.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

RunConfig silent(const RunConfig& config) {
  RunConfig again = config;
  again.answer_listener = nullptr;
  again.timeline = nullptr;
  again.reached = nullptr;
  again.event_listener = nullptr;
  again.break_at.reset();
  again.break_at_tick.reset();
  return again;
}

// Plays both once more, to see where they part. What differs once in many runs may well not now.
std::string first_difference(const RunConfig& one, const RunConfig& other, RunnerMemory& memory) {
  EventRecorder first;
  RunConfig again = silent(one);
  again.event_context = &first;
  again.event_listener = EventRecorder::listen;
  run(again, memory);
  EventComparer second(first);
  again = silent(other);
  again.event_context = &second;
  again.event_listener = EventComparer::listen;
  run(again, memory);
  return second.describe("once ", "again");
}

// `other` gave `second` where `config` gave `result`. Empty: the same.
Failure compare_digests(const char* what, const Digests& result, const Digests& second) {
  Failure failure;
  if (second == result) return failure;
  failure.failure_class = FailureClass::determinism;
  failure.site = fmt::format("{}: other {}", what, second.answers != result.answers ? "answers" : "events");
  failure.message = fmt::format("{}: the digests are {:016x} and {:016x}, of the answers {:016x} and {:016x}",
                                what, result.digest, second.digest, result.answers, second.answers);
  return failure;
}

u64 elsewhere(const RunConfig& config) {
  return Stream("elsewhere", stream_seed(config.seed, "elsewhere")).at(0) | 1;
}

void compare_again(const RunConfig& config, RunResult* result, RunnerMemory& memory) {
  RunConfig other = silent(config);
  other.elsewhere = elsewhere(config);
  const RunResult second = run(other, memory);
  Failure failure = compare_digests("second run", result->digests, second.digests);
  if (failure.failure_class == FailureClass::none) {
    if (second.failed() == result->failed()) return;
    failure.failure_class = FailureClass::determinism;
    failure.site = "second run: another verdict";
    failure.message = "played twice, the run failed once";
  }
  failure.story = first_difference(config, other, memory);
  result->failure = std::move(failure);
}

void compare_twin(const RunConfig& config, u32 twin, RunResult* result, RunnerMemory& memory) {
  RunResult other = run_twin(silent(config), *result, twin, memory);
  RunCounters& c = result->counters;
  c.twins += other.counters.twins;
  c.twins_idle += other.counters.twins_idle;
  c.twin_checkpoints += other.counters.twin_checkpoints;
  c.twin_blocks += other.counters.twin_blocks;
  c.twin_answers += other.counters.twin_answers;
  if (!other.failed()) return;
  result->failure = std::move(other.failure);
  result->failure.story =
      fmt::format("in twin {}, whose line ids count what took effect:\n", twin) + result->failure.story;
}

// The same run over other bytes where nobody has written.
RunConfig poisoned(const RunConfig& config) {
  const Stream stream("poison", stream_seed(config.seed, "poison twin"));
  RunConfig other = silent(config);
  other.role = "the poison twin";
  other.poison = stream.at(1) | 1;
  other.elsewhere = elsewhere(config);
  other.options.disk.seed_poison = stream.at(2) | 1;
  return other;
}

void compare_poisoned(const RunConfig& config, RunResult* result, RunnerMemory& memory) {
  const RunConfig other = poisoned(config);
  RunResult second = run(other, memory);
  ++result->counters.poison_twins;
  if (second.failed()) {
    result->failure = std::move(second.failure);
    return;
  }
  Failure failure = compare_digests("poison twin", result->digests, second.digests);
  if (failure.failure_class == FailureClass::none) return;
  failure.story = first_difference(config, other, memory);
  result->failure = std::move(failure);
}

bool drawn(const RunConfig& config, const char* name, u32 one_in) {
  return below(Stream(name, stream_seed(config.seed, name)).at(0), one_in) == 0;
}

}  // namespace

// A run that stops early has no end to compare, and a component no checkpoints.
u32 twins_due(const RunConfig& config, const Checks& checks) {
  if (!config.oracles.has(Oracle::twin) || config.until) return 0;
  if (find_alphabet(config.workload) != nullptr) return 0;
  if (checks.twins) return *checks.twins;
  const u32 one_in = config.options.full_blocks != 0 ? twins_one_in_full : twins_one_in;
  return drawn(config, "twin share", one_in) ? 1 : 0;
}

bool poison_due(const RunConfig& config) {
  return config.oracles.has(Oracle::poison) && !config.until && drawn(config, "poison share", poison_one_in);
}

RunResult play_checked(const RunConfig& config, const Checks& checks, RunnerMemory& memory) {
  const u32 twins = twins_due(config, checks);
  RunConfig first = config;
  if (twins > 0) record_for_twin(&first);
  RunResult result = run(first, memory);
  if (checks.determinism) compare_again(config, &result, memory);
  for (u32 twin = 1; twin <= twins && !result.failed(); ++twin) compare_twin(config, twin, &result, memory);
  memory.parts().final_image.reset();
  if (!result.failed() && poison_due(config)) compare_poisoned(config, &result, memory);
  return result;
}

}  // namespace tonearm::sim
