// Component workloads: what holds of each of them, whatever it plays.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

std::vector<std::string> component_workloads() {
  std::vector<std::string> names;
  for (const Workload& workload : workloads()) {
    if (find_alphabet(workload.name) != nullptr) names.emplace_back(workload.name);
  }
  return names;
}

}  // namespace

TEST_CASE("components: a run is its text, and the same twice", "[component]") {
  for (const std::string& workload : component_workloads()) {
    u64 checks = 0;
    u64 ops = 0;
    u64 skips = 0;
    for (u64 seed = 1; seed <= repeats(8); ++seed) {
      INFO(workload << " seed " << seed);
      const SeedRun run(seed, workload);
      const RunResult first = run.play();
      check_passed(first);
      const RunResult second = run.play();
      CHECK(first.digests == second.digests);
      const std::string text = print_scenario(scenario_of(run));
      const Scenario scenario = require_scenario(text);
      CHECK(print_scenario(scenario) == text);
      CHECK(play(scenario).result.digests == first.digests);
      checks += first.counters.checks;
      ops += first.counters.ops;
      skips += first.counters.skips;
    }
    INFO(workload << ": " << checks << " checks and " << skips << " skips in " << ops << " lines");
    CHECK(checks > ops / 2);
    // A single seed may be one that drops much of what would be too much.
    CHECK((repeats(8) == 8 ? 3 : 2) * skips < ops);
  }
}

TEST_CASE("components: any line can be deleted", "[component][deletion]") {
  for (const std::string& workload : component_workloads()) {
    for (u64 seed = 1; seed <= repeats(8); ++seed) {
      SeedRun run(seed, workload);
      run.config.options.ops = 60;
      run.config.options.phase_lines = 20;
      run.changed();
      const Scenario whole = scenario_of(run);
      check_passed(play(whole).result);
      for (std::size_t i = 0; i < whole.operations.size(); ++i) {
        Scenario shorter = whole;
        shorter.operations.erase(shorter.operations.begin() + static_cast<std::ptrdiff_t>(i));
        INFO(workload << " seed " << seed << " without line " << i + 1);
        check_passed(play(shorter).result);
      }
    }
  }
}

TEST_CASE("components: each verb and the ends of each of its numbers are generated", "[component]") {
  for (const std::string& workload : component_workloads()) {
    const Alphabet& alphabet = *find_alphabet(workload);
    std::vector<u64> seen(alphabet.verbs.size());
    for (u64 seed = 1; seed <= 8; ++seed) {
      const SeedRun run(seed, workload);
      for (u64 i = 0; i < run.source->count(); ++i) {
        Operation line;
        run.source->at(i, &line);
        REQUIRE(line.kind == OperationKind::call);
        ++seen[static_cast<std::size_t>(line.verb - alphabet.verbs.data())];
        for (u32 j = 0; j < line.verb->argument_count(); ++j) {
          REQUIRE(line.arguments[j] <= line.verb->arguments[j].max);
        }
      }
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
      INFO(workload << " " << alphabet.verbs[i].name);
      CHECK(seen[i] > 0);
    }
  }
}

TEST_CASE("components: the seeds of trailer reach what is rare", "[component]") {
  std::array<u64, mark_count> hits{};
  u64 failed = 0;
  for (u64 seed = 1; seed <= repeats(20); ++seed) {
    const RunResult result = SeedRun(seed, "trailer").play();
    check_passed(result);
    for (u32 i = 0; i < mark_count; ++i) hits[i] += result.marks[i];
    failed += result.counters.unanswered;
  }
  for (const Mark mark :
       {Mark::checkpoint_unchanged_trailer, Mark::checkpoint_trailer_chained, Mark::free_set_reused,
        Mark::grid_read_retried, Mark::grid_write_queued, Mark::read_block_failed,
        Mark::read_block_invalid_checksum, Mark::read_block_invalid_checksum_body,
        Mark::read_block_invalid_padding, Mark::read_block_unexpected_checksum}) {
    INFO(mark_name(mark));
    CHECK(hits[static_cast<u32>(mark)] > 0);
  }
  CHECK(failed > 0);
}

TEST_CASE("components: a malformed line says what was expected", "[component]") {
  const auto refused = [](const std::string& line) {
    const auto parsed = parse_scenario("tonearm 1\nworkload segmented_array\n---\n" + line + "\n");
    const ScenarioError* error = std::get_if<ScenarioError>(&parsed);
    return error == nullptr ? std::string("accepted") : std::to_string(error->column) + " " + error->message;
  };
  CHECK(refused("1 insert array=1 place=2 run=3") == "accepted");
  CHECK(refused("1 insert run=3 place=2 array=1") == "accepted");
  CHECK(refused("1 put kv key=3 value=4") ==
        "3 found `put`, expected a verb of segmented_array: insert, remove, stuff, copy, get, search, walk "
        "or clear");
  CHECK(refused("1 insert array=1 place=2") == "25 found the end of the line, expected run=");
  CHECK(refused("1 insert array=1 array=1 place=2") == "18 found `array=1`, expected place= run=");
  CHECK(refused("1 insert array=9 place=2 run=3").starts_with("16 found `9`, expected"));
  CHECK(refused("1 walk array=1 more").starts_with("16 found `more`, expected the end of the line"));
}

}  // namespace tonearm::sim
