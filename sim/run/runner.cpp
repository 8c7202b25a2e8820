#include "sim/run/runner.h"

#include <fmt/format.h>

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "sim/disk/large_pages.h"
#include "sim/run/component_run.h"
#include "sim/run/player.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// The assert hook has no argument of ours: the run that is active in this process.
ActiveRun* active_run = nullptr;
FatalFailure fatal_report;

void on_assert(const AssertFailure& assertion) {
  ActiveRun* const run = active_run;
  active_run = nullptr;
  if (run == nullptr || !fatal_report) {
    fmt::print(stderr, "{}:{}: assertion failed: {}\n", assertion.file, assertion.line, assertion.expression);
    std::fflush(stderr);
    std::_Exit(1);
  }
  fatal_report(run->config(), run->fatal(assertion));
  std::fflush(nullptr);
  std::_Exit(1);
}

template <class Run>
RunResult play_active(Run& run) {
  ActiveRun* const before = active_run;
  active_run = &run;
  RunResult result = run.play();
  active_run = before;
  return result;
}

}  // namespace

// What one check of a run gives back, the next one takes again: the system, asked for it each time, would
// clear every page anew. What is larger than `kept_each` is taken once, and lies better by itself. The model
// is looked at all over the place: the heap grows by so much at a time that large pages can be asked for.
RunnerMemory::RunnerMemory() : parts_(std::make_unique<Parts>()) {
  constexpr int kept_each = 4 << 20;
  constexpr int kept = 64 << 20;
  constexpr int heap = 32 << 20;
  mallopt(M_MMAP_THRESHOLD, kept_each);
  mallopt(M_TRIM_THRESHOLD, kept);
  mallopt(M_TOP_PAD, heap);
  void* const first = std::malloc(kept_each / 2);
  std::memset(first, 0, 1);
  std::free(first);
  prefer_large_pages(static_cast<std::byte*>(sbrk(0)) - heap, heap);
}
RunnerMemory::~RunnerMemory() = default;
const Trace& RunnerMemory::trace() const { return parts_->trace; }

void set_fatal_failure(FatalFailure report) {
  fatal_report = std::move(report);
  set_assert_hook(on_assert);
}

RunConfig RunConfig::of(const Scenario& scenario, const OperationSource& source) {
  RunConfig config;
  config.workload = scenario.workload;
  config.seed = scenario.seed;
  config.options = scenario.options;
  config.source = &source;
  return config;
}

const World& world_of_run(std::string_view workload, const RunOptions& options) {
  return world_of(workload, options.groove);
}

std::string validate_run(std::string_view workload, const RunOptions& options) {
  // No file may take memory without end. A run has an engine, beside it one on an image, and when it is
  // swept one for each crash and another that opens again what that one has left.
  constexpr u64 engine_bytes_max = 256_MiB;
  if (std::string error = validate_options(options); !error.empty()) return error;
  const World& world = world_of_run(workload, options);
  if (const OptionsError error = engine_validate(world, options)) {
    return fmt::format("{}: {}, expected {}", error.field, error.given, error.expected);
  }
  if (const u64 bytes = engine_memory_required(world, options); bytes > engine_bytes_max) {
    return fmt::format(
        "block_size: {}, expected settings for which the engine takes at most {} bytes, not {}",
        options.format.block_size, engine_bytes_max, bytes);
  }
  return {};
}

RunResult run(const RunConfig& config, RunnerMemory& memory) {
  ASSERT(config.source != nullptr);
  memory.parts().engine.skip(config.elsewhere % 16);
  memory.parts().shadow.skip(config.elsewhere % 16);
  if (config.elsewhere != 0) {
    // As much is changed in an address as two runs in one process can change.
    constexpr u64 step = 16, reach = 64 << 10;
    void* const below_here = __builtin_alloca(step + config.elsewhere * step % reach);
    asm volatile("" : : "r"(below_here) : "memory");
  }
  if (find_alphabet(config.workload) == nullptr) {
    Player player(config, memory);
    return play_active(player);
  }
  ComponentRun component(config, memory);
  return play_active(component);
}

Failure assertion_failure(const AssertFailure& assertion) {
  Failure failure;
  const std::string_view place = assertion.file;  // Relative to the checkout: see scripts/cmake/flags.cmake.
  failure.failure_class = place.starts_with("sim/") && !place.starts_with("sim/disk/")
                              ? FailureClass::sim
                              : FailureClass::assert_;
  failure.site = fmt::format("{}: {}", place, assertion.expression);
  failure.message = fmt::format("assertion failed at {}:{}: {}", place, assertion.line, assertion.expression);
  return failure;
}

RunResult Player::fatal(const AssertFailure& assertion) {
  Failure& failure = result_.failure;
  failure = assertion_failure(assertion);
  failure.story = sweep_story() + last_events();
  if (disk_ && disk_->pending()) failure.story += "in flight:\n" + disk_->describe_pending();
  failure.op = line_.id;
  failure.has_op = true;
  name_role();
  if (disk_) result_.counters.ticks = disk_->now();
  result_.digests = trace_.digests();
  return std::move(result_);
}

// A twin plays other lines under other ids.
void Player::name_role() {
  if (config_->role.empty() || !result_.failed()) return;
  result_.failure.message = fmt::format("in {}: {}", config_->role, result_.failure.message);
  result_.failure.has_op = false;
}

}  // namespace tonearm::sim
