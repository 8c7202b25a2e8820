// Runs over two sides of the grid: what rots on one of them comes back from the other, and nothing else
// changes.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

RunCounters play_rotten(std::string_view workload, u64 seed, bool mirror, u32 scrub) {
  SeedRun run(seed, workload);
  RunOptions& options = run.config.options;
  options.disk.mirror = mirror;
  options.disk.faults = {};
  for (const FaultKind kind : {FaultKind::rot, FaultKind::unreadable, FaultKind::lost_write}) {
    options.disk.faults[kind] = {.ratio = {1, 800}, .zone = FaultZone::grid};
  }
  options.heal_lines = 30;
  options.scrub = scrub;
  options.ops = 3000;
  run.changed();
  const RunResult result = run.play();
  check_passed(result);
  return result.counters;
}

}  // namespace

TEST_CASE("what is damaged on one side is repaired when it is read", "[mirror]") {
  u64 repairs = 0;
  u64 unanswered = 0;
  u64 unanswered_alone = 0;
  for (const std::string_view workload : {"tree", "groove"}) {
    for (u64 seed = 4; seed <= 6; ++seed) {
      const RunCounters counters = play_rotten(workload, seed, true, 0);
      CHECK(counters.repairs_mirror == 0);  // Only the scrubber reads it where nothing is wrong.
      CHECK((counters.sides_compared > 0) == (counters.checkpoints > 0));
      repairs += counters.repairs;
      unanswered += counters.unanswered;
      unanswered_alone += play_rotten(workload, seed, false, 0).unanswered;
    }
  }
  CHECK(repairs > 20);
  CHECK(unanswered_alone > 20);
  CHECK(unanswered * 10 < unanswered_alone);
}

TEST_CASE("every latent error that a tour meets is repaired, on either side", "[mirror]") {
  RunCounters sum{};
  for (u64 seed = 4; seed <= 7; ++seed) {
    const RunCounters counters = play_rotten("tree", seed, true, 4);
    sum.latent += counters.latent;
    sum.latent_repaired += counters.latent_repaired;
    sum.latent_found += counters.latent_found;
    sum.repairs += counters.repairs;
    sum.repairs_mirror += counters.repairs_mirror;
  }
  CHECK(sum.latent_repaired > 0);
  CHECK(sum.repairs > 0);
  CHECK(sum.repairs_mirror > 0);
}

TEST_CASE("without faults a mirror changes neither an answer nor a checkpoint", "[mirror]") {
  const std::string_view workload = GENERATE("tree", "groove", "forest");
  for (u64 seed = 9; seed < 12; ++seed) {
    INFO(workload << ", seed " << seed);
    std::vector<RunResult> results;
    for (const bool mirror : {false, true}) {
      SeedRun run(seed, workload);
      run.config.options.disk.mirror = mirror;
      run.config.options.disk.faults = {};
      // It would strike at another request of a disk that has twice as many.
      run.config.options.weight_crash = 0;
      run.config.options.ops = 2000;
      run.config.record_checkpoints = true;
      run.changed();
      results.push_back(run.play());
      check_passed(results.back());
    }
    CHECK(results[0].digests.answers == results[1].digests.answers);
    REQUIRE_FALSE(results[0].checkpoints.empty());
    REQUIRE(results[0].checkpoints.size() == results[1].checkpoints.size());
    for (u64 i = 0; i < results[0].checkpoints.size(); ++i) {
      CHECK(results[0].checkpoints[i].id == results[1].checkpoints[i].id);
    }
    CHECK(results[1].counters.repairs + results[1].counters.repairs_mirror == 0);
    CHECK(results[1].counters.sides_compared > 0);
  }
}

}  // namespace tonearm::sim
