// Any line after the header can be deleted: the rest is still a scenario, and plays to a verdict.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// Short, but with all that makes a line depend on its neighbours: checkpoints close together, scopes,
// crashes and reopens.
Scenario short_scenario(u64 seed, const char* workload = "tree") {
  SeedRun run(seed, workload);
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

// Of grooves the same, but by the weights that they have.
Scenario short_groove_scenario(u64 seed) {
  SeedRun run(seed, "scan");
  RunOptions& options = run.config.options;
  options.format.checkpoint_interval = 2 * options.format.beats;
  options.ops = 40 + seed % 21;
  options.phase_lines = 20;
  options.durability_delay_ops_max = std::min(options.durability_delay_ops_max, options.format.beats);
  options.weight_commit = std::max(options.weight_commit, options.weight_query / 4);
  options.weight_scan_open = std::max(options.weight_scan_open, options.weight_query);
  options.weight_scope = options.weight_query / 10;
  options.weight_crash = options.weight_query / 10;
  options.weight_reopen = options.weight_query / 40;
  options.weight_checkpoint = options.weight_query / 40;
  run.changed();
  return scenario_of(run);
}

// Plays it without each of its lines in turn.
void delete_lines(const Scenario& whole, u64 seed, u64* deleted, RunCounters* counters) {
  const std::string text = print_scenario(whole);
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
    ++*deleted;
    counters->crashes += result.counters.crashes;
    counters->checkpoints += result.counters.checkpoints;
    counters->skips += result.counters.skips;
    counters->scan_rows += result.counters.scan_rows;
    begin = end;
  }
}

}  // namespace

TEST_CASE("every line of a hundred scenarios can be deleted", "[deletion]") {
  u64 deleted = 0;
  RunCounters counters;
  for (u64 seed = 1; seed <= repeats(100); ++seed)
    delete_lines(short_scenario(seed), seed, &deleted, &counters);
  CHECK(deleted >= 40 * repeats(100));
  // Each run ends with a checkpoint; these are what the lines brought about.
  CHECK(counters.crashes > deleted / 4);
  CHECK(counters.checkpoints > deleted + deleted / 4);
  CHECK(counters.skips > 0);
}

TEST_CASE("every line about queries and open scans can be deleted", "[deletion]") {
  u64 deleted = 0;
  RunCounters counters;
  for (u64 seed = 1; seed <= repeats(24); ++seed) {
    delete_lines(short_scenario(seed, "scan_tree"), seed, &deleted, &counters);
    delete_lines(short_groove_scenario(seed), seed, &deleted, &counters);
  }
  CHECK(deleted >= 80 * repeats(24));
  CHECK(counters.skips > 0);
  if (TONEARM_TEST_SLOW != 0) return;  // Few seeds say nothing about the rest.
  CHECK(counters.crashes > deleted / 8);
  CHECK(counters.scan_rows > deleted / 2);
}

}  // namespace tonearm::sim
