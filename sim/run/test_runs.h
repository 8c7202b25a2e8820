// What the tests of the runner share: runs of seeds and of scenarios written out as text.
#pragma once

#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/run/runner.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

#if defined(__SANITIZE_ADDRESS__)
#define TONEARM_TEST_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TONEARM_TEST_SLOW 1
#endif
#endif
#ifndef TONEARM_TEST_SLOW
#define TONEARM_TEST_SLOW 0
#endif

// How often something is repeated: less often where a sanitizer makes each time cost ten.
constexpr u64 repeats(u64 usual) { return TONEARM_TEST_SLOW != 0 ? (usual + 7) / 8 : usual; }

// One for the whole binary, so that every run but the first meets the memory of others. An assertion
// inside the engine ends the process; this is who says which run it was.
inline RunnerMemory& runner_memory() {
  static RunnerMemory memory;
  static const bool once = [] {
    set_fatal_failure([](const RunConfig& config, const RunResult& result) {
      std::printf("workload %s seed %llu line %llu: %s\n%s\n", config.workload.c_str(),
                  static_cast<unsigned long long>(config.seed),
                  static_cast<unsigned long long>(result.failure.op.number), result.failure.message.c_str(),
                  result.failure.story.c_str());
    });
    return true;
  }();
  (void)once;
  return memory;
}

// A seed as the program plays it.
struct SeedRun {
  explicit SeedRun(u64 seed, std::string_view workload = "tree") : definition(find_workload(workload)) {
    REQUIRE(definition != nullptr);
    config.workload = workload;
    config.seed = seed;
    definition->draw(seed, &config.options);
    changed();
  }
  // After every change of the options: the generator looks at them too.
  void changed() {
    finish_options(&config.options);
    INFO("seed " << config.seed);
    REQUIRE(validate_run(config.workload, config.options) == "");
    source = definition->source(config.seed, config.options, {});
    config.source = source.get();
  }
  RunResult play() const { return run(config, runner_memory()); }

  const Workload* definition;
  RunConfig config;
  std::unique_ptr<OperationSource> source;
};

inline void check_passed(const RunResult& result) {
  INFO(failure_class_name(result.failure.failure_class)
       << " " << result.failure.site << " at line " << result.failure.op.number << "\n"
       << result.failure.story);
  CHECK(result.failure.message == "");
  CHECK_FALSE(result.failed());
}

inline Scenario require_scenario(const std::string& text) {
  std::variant<Scenario, ScenarioError> parsed = parse_scenario(text);
  if (const ScenarioError* error = std::get_if<ScenarioError>(&parsed)) {
    FAIL(error->line << ":" << error->column << ": " << error->message << "\n" << text);
  }
  return std::get<Scenario>(std::move(parsed));
}

// The scenario of a seed, as `tonearm print` writes it.
inline Scenario scenario_of(const SeedRun& seed) {
  Scenario scenario;
  scenario.workload = seed.config.workload;
  scenario.seed = seed.config.seed;
  scenario.options = seed.config.options;
  for (u64 i = 0; i < seed.source->count(); ++i) {
    Operation operation;
    seed.source->at(i, &operation);
    scenario.operations.push_back(operation);
  }
  return scenario;
}

struct Played {
  RunResult result;
  std::vector<std::string> answers;  // "12 -> absent".

  bool answered(std::string_view answer) const {
    for (const std::string& given : answers) {
      if (given == answer) return true;
    }
    return false;
  }
};

inline Played play(const Scenario& scenario) {
  Played played;
  const std::string problem = validate_run(scenario.workload, scenario.options);
  REQUIRE(problem == "");
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  RunConfig config = RunConfig::of(scenario, *source);
  config.record_checkpoints = true;
  config.answer_listener = [&played](const std::string& line) { played.answers.push_back(line); };
  played.result = run(config, runner_memory());
  return played;
}

}  // namespace tonearm::sim
