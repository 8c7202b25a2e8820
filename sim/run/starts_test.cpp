// The starting scenarios of `tonearm enumerate` are in the states that their names promise: what small scope
// is worth depends on it.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// How many tables each level of each tree has after the last line that committed.
struct Levels final : Reached {
  void mark_hit(Mark mark) override { ++marks[mark]; }
  void level_holds(u32 tree, u32 level, u64 count) override {
    std::vector<u64>& levels = tables[tree];
    levels.resize(std::max<std::size_t>(levels.size(), level + 1));
    levels[level] = count;
  }
  std::map<u32, std::vector<u64>> tables;
  std::map<Mark, u64> marks;
};

struct StartRun {
  Levels levels;
  RunResult result;

  explicit StartRun(const std::string& name) {
    const std::string file = fmt::format("{}/corpus/enumerate/{}.scenario", TONEARM_SOURCE_DIR, name);
    std::ifstream stream(file);
    INFO(file);
    REQUIRE(stream.is_open());
    const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    const Scenario scenario = require_scenario(text);
    const auto source = source_of(scenario.operations);
    RunConfig config = RunConfig::of(scenario, *source);
    config.reached = &levels;
    if (!scenario.operations.empty()) config.until = scenario.operations.back().id;
    result = run(config, runner_memory());
    check_passed(result);
  }
};

}  // namespace

TEST_CASE("the starting scenarios of small scope are what their names say", "[starts]") {
  struct Expected {
    const char* name;
    u64 commits;
    u64 checkpoints;
    std::vector<u64> levels;  // Of kv or index; of the object tree.
    u32 tree = 0;
  };
  const Expected all[] = {
      {"tree/immutable-full", 3, 0, {0, 0, 0}},
      {"tree/level-0-full", 7, 1, {2, 0, 0}},
      {"tree/tombstones-over-two-levels", 11, 2, {2, 2, 0}},
      {"tree/checkpoint-next", 4, 0, {0, 0, 0}},
      {"tree/just-recovered", 9, 1, {1, 0, 0}},
      {"tree/scope-open", 5, 1, {1, 0, 0}},
      {"tree/released-not-reusable", 9, 2, {1, 0, 0}},
      {"tree/last-level-filling", 13, 3, {2, 3}},
      {"tree/index-pairs", 10, 2, {1, 2, 0}, 1},
      {"groove/immutable-full", 3, 0, {0, 0, 0}},
      {"groove/level-0-full", 7, 1, {2, 0, 0}},
      {"groove/tombstones-over-two-levels", 9, 2, {2, 1, 0}},
      {"groove/checkpoint-next", 4, 0, {0, 0, 0}},
      {"groove/just-recovered", 9, 1, {1, 0, 0}},
      {"groove/scope-open", 5, 1, {1, 0, 0}},
      {"groove/orphans", 6, 1, {1, 0, 0}},
      {"groove/cache-of-nothing", 5, 1, {1, 0, 0}},
  };
  for (const Expected& expected : all) {
    INFO(expected.name);
    const StartRun run(expected.name);
    CHECK(run.result.counters.commits == expected.commits);
    CHECK(run.result.counters.checkpoints == expected.checkpoints);
    CHECK(run.result.counters.skips == 0);
    CHECK(run.result.counters.batch_full == 0);
    CHECK(run.levels.tables.at(expected.tree) == expected.levels);
  }
  CHECK(StartRun("tree/just-recovered").result.counters.replayed_ops > 0);
  CHECK(StartRun("groove/just-recovered").result.counters.replayed_ops > 0);
  CHECK(StartRun("tree/last-level-filling").levels.marks[Mark::merge_into_level1] == 0);
  CHECK(StartRun("tree/empty").result.counters.commits == 0);
}

}  // namespace tonearm::sim
