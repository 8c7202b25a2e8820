// A frozen run is the run that it was made from.
#include "sim/run/freeze.h"

#include "sim/run/test_runs.h"

namespace tonearm::sim {
namespace {

RunResult play_again(const Scenario& scenario) {
  const auto source = source_of(scenario.operations);
  RunConfig config = RunConfig::of(scenario, *source);
  config.record_faults = true;
  return run(config, runner_memory());
}

// Faults of every kind, as many as let a run get somewhere.
void draw_faults(SeedRun* seed, u32 denominator) {
  seed->config.options.ops = 600;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    if (decided_by_crash(static_cast<FaultKind>(i))) continue;
    seed->config.options.disk.faults.kinds[i].ratio = {.numerator = 1, .denominator = denominator};
  }
  seed->config.record_faults = true;
  seed->changed();
}

TEST_CASE("freeze: a run in which lines ask for what chance had done is the same run", "[freeze]") {
  u64 fired = 0;
  u64 crashed = 0;
  for (const char* workload : {"tree", "groove", "forest"}) {
    for (u64 number = 1; number <= repeats(24); ++number) {
      SeedRun seed(number, workload);
      draw_faults(&seed, number % 3 == 0 ? 40 : number % 3 == 1 ? 300 : 2000);
      const RunResult chance = seed.play();
      Scenario frozen = freeze(scenario_of(seed), chance);
      CAPTURE(workload, number, chance.failure.message, chance.fired.size());
      // By way of the file.
      const std::string text = print_scenario(frozen);
      frozen = require_scenario(text);
      REQUIRE(print_scenario(frozen) == text);
      const RunResult lines = play_again(frozen);
      CAPTURE(lines.failure.message, lines.fired.size());
      REQUIRE(lines.digests == chance.digests);
      REQUIRE(lines.failure.signature() == chance.failure.signature());
      REQUIRE(lines.fired.size() == chance.fired.size());
      REQUIRE(lines.counters.faults_missed == 0);
      // And freezing it changes nothing any more.
      REQUIRE(print_scenario(freeze(frozen, lines)) == text);
      fired += chance.fired.size();
      for (const CrashRecord& crash : chance.crashed) crashed += crash.writes.count() > 0 ? 1 : 0;
    }
  }
  INFO("fired " << fired << ", crashes that decided writes " << crashed);
  CHECK(fired > repeats(72));
  CHECK(crashed > 0);
}

TEST_CASE("freeze: without faults only crashes are spelled out", "[freeze]") {
  SeedRun seed(3, "tree");
  seed.config.options.ops = 600;
  seed.config.options.disk.faults = {};
  seed.config.record_faults = true;
  seed.changed();
  const RunResult played = seed.play();
  REQUIRE(played.fired.empty());
  const Scenario frozen = freeze(scenario_of(seed), played);
  REQUIRE(frozen.operations.size() == seed.source->count());
  REQUIRE(play_again(frozen).digests == played.digests);
}

}  // namespace
}  // namespace tonearm::sim
