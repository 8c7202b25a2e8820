// A run is a function of its scenario: whatever else differs must not show.
#include <algorithm>

#include "sim/run/player.h"
#include "sim/run/test_runs.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

void check_same(const RunResult& a, const RunResult& b) {
  CHECK(a.digests.answers == b.digests.answers);
  CHECK(a.digests.digest == b.digests.digest);
}

// Without crashes: those strike by steps, of which the oracles' own requests are some.
SeedRun run_without_crashes(u64 seed) {
  SeedRun run(seed);
  run.config.options.weight_crash = 0;
  run.config.options.disk.faults = {};
  run.changed();
  return run;
}

RunResult machine_twin(const RunConfig& config, const RunResult& result) {
  return run_twin(config, result, 1, runner_memory(), TwinKind::machine);
}

}  // namespace

TEST_CASE("a seed played again gives the same digests, whatever ran before it", "[determinism]") {
  const u64 count = repeats(24);
  std::vector<RunResult> first;
  for (u64 seed = 1; seed <= count; ++seed) {
    first.push_back(SeedRun(1000 + seed).play());
    check_passed(first.back());
  }
  // The other way round, so that each run meets what another seed left in the buffers.
  for (u64 seed = count; seed >= 1; --seed) {
    INFO("seed " << 1000 + seed);
    check_same(SeedRun(1000 + seed).play(), first[seed - 1]);
  }
  CHECK(std::any_of(first.begin(), first.end(), [](const RunResult& r) { return r.counters.crashes > 1; }));
  CHECK(first.front().digests.digest != first.back().digests.digest);
  CHECK(first.front().digests.answers != first.back().digests.answers);
}

TEST_CASE("what memory holds before a run does not matter", "[determinism]") {
  RunnerMemory fresh;
  for (u64 seed = 2001; seed <= 2000 + repeats(8); ++seed) {
    INFO("seed " << seed);
    const SeedRun run_seed(seed);
    const RunResult expected = run(run_seed.config, fresh);
    check_passed(expected);
    for (const u8 dirt : {u8{0x00}, u8{0xa5}}) {
      RunnerMemory::Parts& parts = runner_memory().parts();
      std::ranges::fill(parts.engine.contents(), std::byte{dirt});
      std::ranges::fill(parts.shadow.contents(), std::byte{dirt});
      check_same(run_seed.play(), expected);
    }
  }
}

TEST_CASE("what unwritten sectors hold does not matter", "[determinism]") {
  for (u64 seed = 3001; seed <= 3000 + repeats(12); ++seed) {
    INFO("seed " << seed);
    SeedRun run_seed(seed);
    const RunResult expected = run_seed.play();
    check_passed(expected);
    run_seed.config.options.disk.seed_poison = 0x1234'5678 + seed;
    check_same(run_seed.play(), expected);
  }
}

TEST_CASE("another latency seed gives another run with the same answers", "[determinism]") {
  u32 others = 0;
  const u64 count = repeats(12);
  for (u64 seed = 4001; seed <= 4000 + count; ++seed) {
    INFO("seed " << seed);
    SeedRun run_seed = run_without_crashes(seed);
    const RunResult expected = run_seed.play();
    check_passed(expected);
    run_seed.config.options.disk.seed_latency = 99;
    const RunResult other = run_seed.play();
    check_passed(other);
    CHECK(other.digests.answers == expected.digests.answers);
    if (other.digests.digest != expected.digests.digest) ++others;
  }
  CHECK(others > count / 2);
}

TEST_CASE("a printed scenario replays to the digests of its seed", "[determinism]") {
  for (u64 seed = 5001; seed <= 5000 + repeats(24); ++seed) {
    INFO("seed " << seed);
    const SeedRun run_seed(seed);
    const RunResult expected = run_seed.play();
    check_passed(expected);
    const std::string text = print_scenario(scenario_of(run_seed));
    const Scenario parsed = require_scenario(text);
    CHECK(print_scenario(parsed) == text);
    check_same(play(parsed).result, expected);
  }
}

TEST_CASE("the oracles change no answer", "[determinism]") {
  for (u64 seed = 6001; seed <= 6000 + repeats(9); ++seed) {
    INFO("seed " << seed);
    SeedRun run_seed = run_without_crashes(seed);
    const RunResult expected = run_seed.play();
    check_passed(expected);
    REQUIRE(expected.counters.checks > 0);
    run_seed.config.oracles = OracleSet::none();
    const RunResult blind = run_seed.play();
    check_passed(blind);
    CHECK(blind.digests.answers == expected.digests.answers);
    CHECK(blind.counters.checks < expected.counters.checks);
    CHECK(blind.counters.structure_checks == 0);
    CHECK(blind.counters.audits_full == 0);
    OracleSet one_off = OracleSet::all();
    one_off.set(static_cast<Oracle>(seed % oracle_count), false);
    run_seed.config.oracles = one_off;
    CHECK(run_seed.play().digests.answers == expected.digests.answers);
  }
}

// --- twins

TEST_CASE("twins reach the same checkpoints", "[twins]") {
  u64 checkpoints = 0;
  u64 crashed = 0;
  for (u64 seed = 7001; seed <= 7000 + repeats(30); ++seed) {
    SeedRun run_seed(seed);
    run_seed.config.record_checkpoints = run_seed.config.record_effective = true;
    const RunResult result = run_seed.play();
    check_passed(result);
    checkpoints += result.checkpoints.size();
    crashed += result.counters.crashes > 1 ? 1 : 0;
    for (const u32 twin : {1U, 2U}) {
      INFO("seed " << seed << " twin " << twin);
      const RunResult other = run_twin(run_seed.config, result, twin, runner_memory(), TwinKind::machine);
      check_passed(other);
      CHECK(other.checkpoints.size() >= result.checkpoints.size());
    }
  }
  CHECK(checkpoints > 60 / (TONEARM_TEST_SLOW != 0 ? 8 : 1));
  CHECK(crashed > 0);
}

TEST_CASE("the comparison of twins sees a difference", "[twins]") {
  SeedRun run_seed(7101);
  run_seed.config.record_checkpoints = run_seed.config.record_effective = true;
  const RunResult result = run_seed.play();
  check_passed(result);
  REQUIRE(result.checkpoints.size() >= 2);
  REQUIRE_FALSE(machine_twin(run_seed.config, result).failed());

  SECTION("one bit of one id") {
    RunResult tampered = result;
    tampered.checkpoints.back().id ^= 1;
    const RunResult other = machine_twin(run_seed.config, tampered);
    CHECK(other.failure.failure_class == FailureClass::determinism);
  }
  SECTION("an option of the format, which does matter") {
    RunConfig another = run_seed.config;
    ++another.options.format.growth;
    REQUIRE(validate_run(another.workload, another.options) == "");
    const RunResult other = machine_twin(another, result);
    CHECK(other.failure.failure_class == FailureClass::determinism);
  }
  SECTION("a line less") {
    RunResult tampered = result;
    const auto change = std::find_if(tampered.effective.begin(), tampered.effective.end(),
                                     [](u64 entry) { return entry < u64_max / 2; });
    REQUIRE(change != tampered.effective.end());
    tampered.effective.erase(change);
    const RunResult other = machine_twin(run_seed.config, tampered);
    CHECK(other.failure.failure_class == FailureClass::determinism);
  }
}

}  // namespace tonearm::sim
