#include "sim/run/runner.h"

#include <fmt/format.h>

#include <cstdlib>

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

RunnerMemory::RunnerMemory() : parts_(std::make_unique<Parts>()) {}
RunnerMemory::~RunnerMemory() = default;

void set_fatal_failure(FatalFailure report) {
  fatal_report = std::move(report);
  set_assert_hook(on_assert);
}

std::string validate_run(const RunOptions& options) {
  if (std::string error = validate_options(options); !error.empty()) return error;
  if (const OptionsError error = Forest::validate(forest_options(options))) {
    return fmt::format("{}: {}, expected {}", error.field, error.given, error.expected);
  }
  return {};
}

RunResult run(const RunConfig& config, RunnerMemory& memory) {
  ASSERT(config.source != nullptr);
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
  failure.story = last_events();
  if (disk_ && disk_->pending()) failure.story += "in flight:\n" + disk_->describe_pending();
  failure.op = line_.id;
  failure.has_op = true;
  if (disk_) result_.counters.ticks = disk_->now();
  result_.digests = trace_.digests();
  return std::move(result_);
}

namespace {

// The op log of a finished run as a scenario: what took effect, without what interrupted it.
class EffectiveSource final : public OperationSource {
 public:
  EffectiveSource(const OperationSource& source, const std::vector<u64>& effective)
      : source_(&source), effective_(&effective) {}

  u64 count() const override { return effective_->size(); }
  void at(u64 index, Operation* operation) const override {
    const u64 entry = (*effective_)[index];
    if (entry > u64_max / 2) {
      *operation = Operation{};
      operation->kind = OperationKind::commit;
    } else {
      source_->at(entry, operation);
    }
    operation->id = {.number = index + 1, .child = 0};
  }

 private:
  const OperationSource* source_;
  const std::vector<u64>* effective_;
};

// Another machine: everything may differ that must not matter.
RunOptions twin_options(const RunOptions& base, u64 seed, u32 twin) {
  RunOptions options = base;
  const Stream stream("twin", stream_seed(seed, "twin"));
  u64 n = 0;
  const auto draw = [&](u64 min, u64 max) { return between(stream.at(twin, n++), min, max); };
  options.disk.seed_latency = draw(1, u64_max - 1);
  options.disk.policy = static_cast<CompletionPolicy>(draw(0, 5));
  options.disk.queue_depth = static_cast<u32>(draw(1, 32));
  options.disk.failed_sync = {};
  options.disk.read.latency_ticks_mean = static_cast<u32>(draw(0, 200));
  options.disk.write.latency_ticks_mean = static_cast<u32>(draw(0, 200));
  options.runtime.cache_blocks = static_cast<u32>(16 * draw(1, 8));
  options.runtime.cache_hash_bits = static_cast<u32>(draw(0, 64));
  options.runtime.read_iops = static_cast<u32>(draw(1, 16));
  options.runtime.write_iops = static_cast<u32>(draw(1, 16));
  options.runtime.compaction_blocks = compaction_blocks_min + static_cast<u32>(draw(0, 24));
  return options;
}

}  // namespace

RunResult run_twin(const RunConfig& config, const RunResult& result, u32 twin, RunnerMemory& memory) {
  const EffectiveSource source(*config.source, result.effective);
  RunConfig twin_config;
  twin_config.workload = config.workload;
  twin_config.seed = config.seed;
  twin_config.options = twin_options(config.options, config.seed, twin);
  twin_config.source = &source;
  twin_config.oracles = config.oracles;
  twin_config.record_checkpoints = true;
  RunResult other = run(twin_config, memory);
  if (other.failed()) return other;
  std::size_t at = 0;
  u64 compared = 0;
  for (const CheckpointRecord& checkpoint : result.checkpoints) {
    while (at < other.checkpoints.size() && other.checkpoints[at].op < checkpoint.op) ++at;
    if (at == other.checkpoints.size()) break;
    if (other.checkpoints[at].op != checkpoint.op) continue;
    ++compared;
    if (other.checkpoints[at].id == checkpoint.id) continue;
    other.failure.failure_class = FailureClass::determinism;
    other.failure.site = "twin: another checkpoint id";
    other.failure.message = fmt::format("checkpoint {} of twin {} has another id than that of the first run",
                                        checkpoint.op, twin);
    return other;
  }
  if (compared == 0 && result.checkpoints.size() >= 2) {
    other.failure.failure_class = FailureClass::sim;
    other.failure.site = "twin: nothing to compare";
    other.failure.message = fmt::format("twin {} has no checkpoint in common with the first run", twin);
  }
  return other;
}

}  // namespace tonearm::sim
