// Any line after the header can be deleted: the rest is still a scenario, and plays to a verdict.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// Short, but with all that makes a line depend on its neighbours: checkpoints close together, scopes,
// crashes and reopens.
Scenario short_scenario(u64 seed) {
  SeedRun run(seed);
  RunOptions& options = run.config.options;
  options.format.checkpoint_interval = 2 * options.format.beats;
  options.ops = 40 + seed % 21;
  options.durability_delay_ops_max = std::min(options.durability_delay_ops_max, options.format.beats);
  options.weight_commit = std::max(options.weight_commit, (options.weight_put + options.weight_get) / 4);
  options.weight_scope = std::max(options.weight_scope, options.weight_put / 10);
  options.weight_crash = options.weight_put / 20;
  options.weight_reopen = options.weight_put / 60;
  options.weight_checkpoint = options.weight_put / 60;
  run.changed();
  return scenario_of(run);
}

}  // namespace

TEST_CASE("every line of a hundred scenarios can be deleted", "[deletion]") {
  u64 deleted = 0;
  u64 crashes = 0;
  u64 checkpoints = 0;
  u64 skips = 0;
  for (u64 seed = 1; seed <= repeats(100); ++seed) {
    const std::string text = print_scenario(short_scenario(seed));
    const std::size_t body = text.find("---\n") + 4;
    const u64 lines_before = require_scenario(text).operations.size();
    for (std::size_t begin = body; begin < text.size();) {
      const std::size_t end = text.find('\n', begin) + 1;
      const std::string shorter = text.substr(0, begin) + text.substr(end);
      INFO("seed " << seed << " without: " << text.substr(begin, end - begin) << shorter);
      const Scenario scenario = require_scenario(shorter);
      REQUIRE(scenario.operations.size() == lines_before - 1);
      const RunResult result = play(scenario).result;
      check_passed(result);
      ++deleted;
      crashes += result.counters.crashes;
      checkpoints += result.counters.checkpoints;
      skips += result.counters.skips;
      begin = end;
    }
  }
  CHECK(deleted >= 40 * repeats(100));
  // Each run ends with a checkpoint; these are what the lines brought about.
  CHECK(crashes > deleted / 4);
  CHECK(checkpoints > deleted + deleted / 4);
  CHECK(skips > 0);
}

}  // namespace tonearm::sim
