#include "sim/cli/checked_run.h"

#include <fmt/format.h>

#include "sim/cli/events.h"

namespace tonearm::sim {

namespace {

RunConfig silent(const RunConfig& config) {
  RunConfig again = config;
  again.answer_listener = nullptr;
  again.break_at.reset();
  again.break_at_tick.reset();
  return again;
}

// Plays twice more, to see where they part. What differs once in many runs may well not now.
std::string first_difference(const RunConfig& config, RunnerMemory& memory) {
  EventRecorder first;
  RunConfig again = silent(config);
  again.event_context = &first;
  again.event_listener = EventRecorder::listen;
  run(again, memory);
  EventComparer second(first);
  again.event_context = &second;
  again.event_listener = EventComparer::listen;
  run(again, memory);
  return second.describe("once ", "again");
}

void compare_again(const RunConfig& config, RunResult* result, RunnerMemory& memory) {
  const RunResult second = run(silent(config), memory);
  if (second.digests == result->digests && second.failed() == result->failed()) return;
  Failure failure;
  failure.failure_class = FailureClass::determinism;
  failure.site = second.digests.answers != result->digests.answers ? "second run: other answers"
                                                                   : "second run: other events";
  failure.message = fmt::format(
      "played twice, the digests are {:016x} and {:016x}, of the answers {:016x} and {:016x}",
      result->digests.digest, second.digests.digest, result->digests.answers, second.digests.answers);
  failure.story = first_difference(config, memory);
  result->failure = std::move(failure);
}

}  // namespace

RunResult play_checked(const RunConfig& config, bool check_determinism, u32 twins, RunnerMemory& memory) {
  // A component takes no checkpoints that a twin could be compared by.
  if (find_alphabet(config.workload) != nullptr) twins = 0;
  RunConfig first = config;
  first.record_checkpoints = first.record_effective = twins > 0;
  RunResult result = run(first, memory);
  if (check_determinism) compare_again(config, &result, memory);
  for (u32 twin = 1; twin <= twins && !result.failed(); ++twin) {
    RunResult other = run_twin(silent(config), result, twin, memory);
    if (!other.failed()) continue;
    result.failure = std::move(other.failure);
    result.failure.story =
        fmt::format("in twin {}, whose line ids count what took effect:\n", twin) + result.failure.story;
  }
  return result;
}

}  // namespace tonearm::sim
