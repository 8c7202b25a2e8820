// Scans that stay open, on engine and model: what lines about them yield, what closes them, how many there
// may be, and that twins are told.
#include <fmt/format.h>

#include "sim/run/test_runs.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

Scenario scenario_with(const std::string& lines, const std::string& set = "") {
  return require_scenario(
      fmt::format("tonearm 1\nworkload scan_tree\nexpect pass\nseed 0x9\nset batch_values_max=4 beats=2 "
                  "checkpoint_interval=4 {}\n---\n{}",
                  set, lines));
}

Played play_lines(const std::string& lines, const std::string& set = "") {
  Played played = play(scenario_with(lines, set));
  check_passed(played.result);
  return played;
}

// Keys 10, 20, ... of `count` ops, four each, value as key; on disk but for the last ones.
std::string filled(u64 count) {
  std::string lines;
  for (u64 op = 0; op < count; ++op) {
    for (u64 i = 1; i <= 4; ++i) {
      const u64 key = 10 * (4 * op + i);
      lines += fmt::format("put kv key={} value={}\n", key, key);
    }
    lines += "commit\n";
  }
  return lines;
}

}  // namespace

TEST_CASE("scans of several trees are open at once, each in its place", "[scan]") {
  const Played played = play_lines(
      "1 put kv key=1 value=11\n"
      "2 put kv key=2 value=12\n"
      "3 put kv key=3 value=13\n"
      "4 put id key=0x5 value=15\n"
      "5 commit\n"
      "6 scan_open n=0 kv\n"
      "7 scan_open n=15 kv from=2 desc\n"
      "8 scan_open n=3 id\n"
      "9 scan_next n=0 count=2\n"
      "10 scan_next n=0,3,15\n"
      "11 scan_next n=0,15 count=9\n"
      "12 scan_next n=3\n"
      "13 scan_close n=0\n"
      "14 scan_open n=0 kv from=3\n"
      "15 scan_next n=0\n");
  CHECK(played.answered("9 -> 0:1=11 0:2=12"));
  CHECK(played.answered("10 -> 0:3=13 3:5=15 15:3=13"));
  CHECK(played.answered("11 -> 15:2=12"));
  CHECK(played.answered("12 ->"));
  CHECK(played.answered("15 -> 0:3=13"));
  CHECK(played.result.counters.skips == 0);
  CHECK(played.result.counters.scan_rows == 7);
}

TEST_CASE("a probe drops what lies before it and was not yielded, an abort everything", "[scan]") {
  const Played played = play_lines(filled(12) +
                                   "100 scan_open n=1 kv to=480 cold\n"
                                   "101 scan_open n=2 kv desc\n"
                                   "102 scan_next n=1,2 count=2\n"
                                   "103 scan_probe n=1 kv key=15\n"   // Lags behind.
                                   "104 scan_probe n=1 kv key=255\n"  // Between two keys.
                                   "105 scan_probe n=2 kv key=240\n"
                                   "106 scan_probe n=2 id key=0x1\n"  // Of another tree: skipped.
                                   "107 scan_next n=1,2\n"
                                   "108 scan_probe n=1 kv key=9000\n"
                                   "109 scan_next n=1\n"
                                   "110 scan_abort n=2\n"
                                   "111 scan_next n=2\n"
                                   "112 scan_probe n=2 kv key=1\n"
                                   "113 scan_next n=2\n");
  CHECK(played.answered("102 -> 1:10=10 2:480=480 1:20=20 2:470=470"));
  CHECK(played.answered("107 -> 1:260=260 2:240=240"));
  CHECK(played.answered("109 ->"));
  CHECK(played.answered("111 ->"));
  CHECK(played.answered("113 ->"));
  CHECK(played.result.counters.skips == 1);
  CHECK(played.result.marks[static_cast<u32>(Mark::scan_probe_ended)] == 1);
}

TEST_CASE("one scan too many is refused, and the run goes on", "[scan]") {
  const Played played = play_lines(
      "1 put kv key=1 value=11\n"
      "2 scan_open n=0 kv\n"
      "3 scan_open n=1 kv\n"
      "4 scan_open n=2 kv\n"
      "5 scan_open n=1 kv\n"  // Is open: skipped.
      "6 scan_next n=2\n"     // Is not: skipped.
      "7 scan_close n=0\n"
      "8 scan_open n=2 kv\n"
      "9 scan_next n=2\n"
      "10 scan kv\n",  // Needs none of their buffers.
      "scans_max=2");
  CHECK(played.result.counters.scans_full == 1);
  CHECK(played.result.counters.skips == 2);
  CHECK(played.answered("9 -> 2:1=11"));
  CHECK(played.answered("10 -> 1=11"));
}

TEST_CASE("whatever changes something closes all scans first, and a read does not", "[scan]") {
  for (const char* line :
       {"put kv key=9 value=1", "put index key=1/1", "remove kv key=1", "remove index key=8/8", "commit",
        "checkpoint", "scope", "end persist", "crash at=0", "crash at=100000", "reopen cache_blocks=16"}) {
    INFO(line);
    const Played played =
        play_lines(fmt::format("1 put kv key=1 value=11\n2 commit\n3 scan_open n=4 kv\n4 {}\n"
                               "5 end discard\n6 scan_next n=4\n",
                               line));
    for (const std::string& answer : played.answers) CHECK_FALSE(answer.starts_with("6 "));
  }
  for (const char* line : {"get kv key=1", "get kv key=1 cold", "scan kv", "scan kv desc cold"}) {
    INFO(line);
    const Played played = play_lines(
        fmt::format("1 put kv key=1 value=11\n2 commit\n3 scan_open n=4 kv\n4 {}\n5 scan_next n=4\n", line));
    CHECK(played.answered("5 -> 4:1=11"));
  }
}

TEST_CASE("no scan is opened inside a scope", "[scan]") {
  const Played played = play_lines(
      "1 scope\n2 put kv key=1 value=1\n3 scan_open n=0 kv\n4 end persist\n"
      "5 scan_open n=0 kv\n6 scan_next n=0\n");
  CHECK(played.result.counters.skips == 1);
  CHECK(played.answered("6 -> 0:1=1"));
}

TEST_CASE("the reads of several scans are in flight together", "[scan]") {
  const std::string cold = filled(16) +
                           "100 scan_open n=0 kv from=10 to=100 cold\n"
                           "101 scan_open n=1 kv from=300 to=400 cold\n"
                           "102 scan_open n=2 kv from=200 to=250 desc cold\n";
  const char* const set = "latency.read.min=1000 latency.read.mean=0 read_iops=16 directed_checks_max=0";
  const u64 before = play_lines(cold, set).result.counters.ticks;
  const u64 together = play_lines(cold + "103 scan_next n=0,1,2\n", set).result.counters.ticks;
  const u64 apart = play_lines(cold + "103 scan_next n=0\n104 scan_next n=1\n105 scan_next n=2\n", set)
                        .result.counters.ticks;
  REQUIRE(together > before);
  CHECK(apart - before == 3 * (together - before));
}

TEST_CASE("twins are told what closed a scan, and answer alike", "[scan][twin]") {
  u64 answers = 0;
  for (u64 seed = 1; seed <= repeats(24); ++seed) {
    SeedRun run(seed, "scan_tree");
    record_for_twin(&run.config);
    const RunResult result = run.play();
    check_passed(result);
    for (const TwinKind kind : {TwinKind::machine, TwinKind::layout}) {
      const RunResult twin = run_twin(run.config, result, 1, runner_memory(), kind);
      check_passed(twin);
      answers += twin.counters.twin_answers;
    }
  }
  CHECK(answers > 1000);
}

TEST_CASE("seeds of scan_tree are played again with the same digests", "[scan][determinism]") {
  for (u64 seed = 1; seed <= repeats(8); ++seed) {
    const SeedRun run(seed, "scan_tree");
    const RunResult first = run.play();
    const RunResult second = run.play();
    check_passed(first);
    CHECK(first.digests.digest == second.digests.digest);
    CHECK(first.digests.answers == second.digests.answers);
    CHECK(first.counters.scan_rows > 0);
    CHECK(first.counters.allocations == 0);
  }
}

}  // namespace tonearm::sim
