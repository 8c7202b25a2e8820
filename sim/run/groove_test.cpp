// Lines about objects, on engine and model: what each answers, and that neither crash nor scope nor
// prefetch changes it.
#include <fmt/format.h>

#include "sim/run/test_runs.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

// A scenario of these lines in a small forest.
Scenario scenario_with(const std::string& lines, const std::string& set = "",
                       const char* workload = "forest") {
  const char* const bars = set.find("beats") == std::string::npos ? "beats=2 checkpoint_interval=4" : "";
  return require_scenario(
      fmt::format("tonearm 1\nworkload {}\nexpect pass\nseed 0x9\nset batch_values_max=4 {} {}\n---\n{}",
                  workload, bars, set, lines));
}

Played play_lines(const std::string& lines, const std::string& set = "", const char* workload = "forest") {
  Played played = play(scenario_with(lines, set, workload));
  check_passed(played.result);
  return played;
}

}  // namespace

TEST_CASE("an object and what becomes of it", "[groove]") {
  const Played played = play_lines(
      "1 insert things id=3 a=1 b=9\n"
      "2 get things id=3\n"
      "3 update things id=3 a=7\n"
      "4 get things id=3\n"
      "5 remove things id=3\n"
      "6 get things id=3\n"
      "7 insert things id=3 m=5\n"
      "8 commit\n"
      "9 get things id=3\n"
      "10 exists things timestamp=7\n"
      "11 exists things timestamp=1\n");
  CHECK(played.answered("2 -> id=3 a=1 b=9 timestamp=1"));
  CHECK(played.answered("4 -> id=3 a=7 b=9 timestamp=1"));
  CHECK(played.answered("6 -> not found"));
  CHECK(played.answered("9 -> id=3 m=5 timestamp=7"));
  CHECK(played.answered("10 -> exists"));
  CHECK(played.answered("11 -> absent"));
  CHECK(played.result.counters.changes == 4);
  CHECK(played.result.counters.skips == 0);
}

TEST_CASE("what does not apply is skipped, what is not legal is refused", "[groove]") {
  const Played played = play_lines(
      "1 insert notes id=3 author=1\n"
      "2 insert notes id=3 author=2\n"     // Is there.
      "3 insert notes id=4 timestamp=1\n"  // The timestamp is taken.
      "4 update notes id=5 author=1\n"     // Is not there.
      "5 update notes id=3 author=1\n"     // Changes nothing.
      "6 upsert notes id=3 author=1\n"     // The same.
      "7 remove notes id=5\n"              // Is not there.
      "8 orphan notes id=3\n"              // Is there.
      "9 orphan notes id=6\n"
      "10 insert notes id=6\n"  // An orphan.
      "11 insert notes id=0\n"  // Refused, as are the next four.
      "12 insert notes id=0xffffffffffffffffffffffffffffffff\n"
      "13 insert notes id=7 timestamp=0\n"
      "14 insert events timestamp=9223372036854775808\n"
      "15 orphan notes id=0\n"
      "16 get notes id=6\n"
      "17 get notes id=0\n"
      "18 get events timestamp=9223372036854775808\n"
      "19 exists notes timestamp=0\n");
  CHECK(played.result.counters.changes == 2);
  CHECK(played.result.counters.skips == 8);
  CHECK(played.result.counters.refused == 5);
  CHECK(played.answered("16 -> orphaned"));
  CHECK(played.answered("17 -> not found"));
  CHECK(played.answered("18 -> not found"));
  CHECK(played.answered("19 -> absent"));
}

TEST_CASE("an op has room for so many changes and keys of each groove", "[groove]") {
  std::string lines;
  for (u32 i = 1; i <= 6; ++i) lines += fmt::format("{} insert things id={}\n", i, i);
  lines += "7 insert notes id=1\n8 commit\n9 insert things id=5\n";
  const Played changes = play_lines(lines);
  CHECK(changes.result.counters.batch_full == 2);
  CHECK(changes.result.counters.changes == 4 + 1 + 1);

  // A key that was prefetched already costs nothing, unless prefetching began anew (which line 17 draws).
  lines.clear();
  for (u32 i = 1; i <= 5; ++i) lines += fmt::format("{} prefetch things id={}\n", i, i);
  lines += "6 get things id=2\n7 prefetch things id=2\n8 prefetch notes id=9\n9 commit\n10 get things id=5\n";
  const Played keys = play_lines(lines, "prefetch_keys_max=4");
  CHECK(keys.result.counters.prefetch_full == 1);
  CHECK(keys.answered("10 -> not found"));
}

TEST_CASE("a discarded scope leaves nothing, and gives back what it took", "[groove]") {
  const Played played = play_lines(
      "1 insert things id=1 a=1\n"
      "2 prefetch things id=2\n"
      "3 scope\n"
      "4 update things id=1 a=2\n"
      "5 insert things id=2 a=2\n"
      "6 get things id=3\n"       // Not prefetched: skipped.
      "7 orphan notes id=1\n"     // Not in a scope.
      "8 prefetch things id=4\n"  // Nor this.
      "9 remove things id=1\n"
      "10 end discard\n"
      "11 get things id=1\n"
      "12 get things id=2\n"
      "13 scope\n"
      "14 remove things id=1\n"
      "15 end persist\n"
      "16 get things id=1\n"
      "17 insert things id=5\n18 insert things id=6\n19 commit\n");
  CHECK(played.result.counters.skips == 3);
  CHECK(played.result.counters.batch_full == 0);
  CHECK(played.answered("11 -> id=1 a=1 timestamp=1"));
  CHECK(played.answered("12 -> not found"));
  CHECK(played.answered("16 -> not found"));
}

TEST_CASE("what this bar has changed is known without a prefetch", "[groove]") {
  const Played played = play_lines(
      "1 insert notes id=1 author=4\n2 insert notes id=2\n3 remove notes id=2\n4 commit\n"
      "5 scope\n6 get notes id=1\n7 get notes id=2\n8 get notes id=3\n9 insert notes id=2 timestamp=99\n"
      "10 end persist\n11 commit\n12 commit\n"
      "13 scope\n14 get notes id=1\n15 end persist\n",
      "beats=4 checkpoint_interval=8");
  CHECK(played.answered("6 -> id=1 author=4 timestamp=1"));
  CHECK(played.answered("7 -> not found"));
  CHECK(played.result.counters.skips == 2);  // 8, and 14 in the next bar.
}

TEST_CASE("indexes hold what their fields say", "[groove]") {
  const Played played = play_lines(
      "1 insert notes id=1 author=4 topic=0x10000000000000001 kind=2 size=2000 flags=3\n"
      "2 insert notes id=2 pinned=8 size=1000\n"
      "3 commit times=9\n"
      "4 scan notes.author\n5 scan notes.pinned\n6 scan notes.topic\n7 scan notes.kind\n"
      "8 scan notes.large\n9 scan notes.draft\n10 scan notes.id\n"
      "11 update notes id=1 size=5 flags=2 pinned=1\n"
      "12 scan notes.large desc\n13 scan notes.draft\n14 scan notes.pinned desc\n");
  CHECK(played.answered("4 -> 0/2=0 4/1=0"));
  CHECK(played.answered("5 -> 8/2=0"));
  CHECK(played.answered("6 -> 0/2=0 0x10000000000000001/1=0"));
  CHECK(played.answered("7 -> 0/2=0 2/1=0"));
  CHECK(played.answered("8 -> 125/1=0"));
  CHECK(played.answered("9 -> 1=0"));
  CHECK(played.answered("12 ->"));
  CHECK(played.answered("13 ->"));
  CHECK(played.answered("14 -> 8/2=0 1/1=0"));
}

// Every tree and cache after a crash at any step of what follows the line.
TEST_CASE("a crash at every step of ops over three grooves", "[groove][crash]") {
  const std::string before =
      "1 insert things id=1 a=1\n2 insert things id=2 a=1\n3 orphan notes id=9\n4 insert events source=3\n"
      "5 commit times=3\n6 remove things id=1\n7 insert notes id=1 author=2 size=4000 flags=1\n8 commit\n";
  const std::string after =
      "10 update things id=2 a=5\n11 insert things id=1 b=2\n12 remove notes id=1\n13 get notes id=9\n"
      "14 commit times=3\n15 upsert things id=2 c=1\n16 remove events timestamp=4\n17 commit times=4\n"
      "18 get things id=1\n19 get things id=2\n20 get notes id=1\n21 get events timestamp=4\n"
      "22 checkpoint\n";
  u64 struck = 0;
  for (u32 step = 0; step < 400; step += TONEARM_TEST_SLOW != 0 ? 9 : 1) {
    CAPTURE(step);
    const Played played = play_lines(before + fmt::format("9 crash at={}\n", step) + after,
                                     step % 2 == 0 ? "durability=cached" : "object_cache_slots=0");
    struck += played.result.counters.crashes;
    if (played.result.failed()) break;
  }
  CHECK(struck > 20);
}

// A replay reads before it changes: a crash in that reading must not lose the op.
TEST_CASE("a crash at every step of a replay over grooves", "[groove][crash]") {
  std::string before = "1 insert things id=1 a=1\n2 insert notes id=2 author=3\n3 checkpoint\n";
  before += "4 update things id=1 a=2\n5 remove notes id=2\n6 commit\n7 upsert things id=1 b=4\n8 commit\n";
  const u32 stride = TONEARM_TEST_SLOW != 0 ? 7 : 1;
  u64 in_recovery = 0;
  for (u32 step = 0; step < 120; step += stride) {
    CAPTURE(step);
    const Played played = play_lines(before + fmt::format("9 crash at=0\n10 crash at={}\n", step) +
                                     "11 get things id=1\n12 get notes id=2\n13 commit\n");
    CHECK(played.answered("11 -> id=1 b=4 timestamp=1"));
    CHECK(played.answered("12 -> not found"));
    in_recovery += played.result.counters.crashes_in_recovery;
    if (played.result.failed()) break;
  }
  CHECK(in_recovery > 70 / stride);
}

// A log of ops that prefetched more than the next engine may could not be replayed.
TEST_CASE("a reopen leaves room for what is replayed", "[groove]") {
  const std::string lines =
      "1 insert things id=1\n2 insert things id=2\n3 insert things id=3\n4 commit\n"
      "5 reopen prefetch_keys_max=2\n6 reopen prefetch_keys_max=4\n7 get things id=3\n";
  const Played played = play_lines(lines, "prefetch_keys_max=8");
  CHECK(played.result.counters.skips == 1);
  CHECK(played.result.counters.reopens == 1);
  CHECK(played.answered("7 -> id=3 timestamp=3"));
}

TEST_CASE("twins of grooves agree", "[groove][twins]") {
  RunCounters sum;
  for (u64 seed = 1; seed <= repeats(24); ++seed) {
    SeedRun first(seed, seed % 2 == 0 ? "groove" : "forest");
    record_for_twin(&first.config);
    const RunResult result = first.play();
    check_passed(result);
    for (const TwinKind kind : {TwinKind::machine, TwinKind::layout}) {
      CAPTURE(seed, static_cast<u32>(kind));
      const RunResult twin = run_twin(first.config, result, 0, runner_memory(), kind);
      check_passed(twin);
      sum.twin_checkpoints += twin.counters.twin_checkpoints;
      sum.twin_answers += twin.counters.twin_answers;
      sum.twin_blocks += twin.counters.twin_blocks;
    }
  }
  CHECK(sum.twin_checkpoints > 20);
  CHECK(sum.twin_answers > 1000);
  if (TONEARM_TEST_SLOW == 0) CHECK(sum.twin_blocks > 100);  // One in ten compares them.
}

TEST_CASE("a seed of grooves played again gives the same digests", "[groove][determinism]") {
  for (u64 seed = 1; seed <= repeats(16); ++seed) {
    const SeedRun run(seed, seed % 2 == 0 ? "groove" : "forest");
    const RunResult first = run.play();
    SeedRun poisoned(seed, run.config.workload);
    poisoned.config.poison = 77;
    const RunResult second = poisoned.play();
    CAPTURE(seed);
    CHECK(first.digests.digest == second.digests.digest);
    CHECK(first.digests.answers == second.digests.answers);
  }
}

TEST_CASE("an engine that failed answers, and refuses to change", "[groove]") {
  const Played played = play_lines(
      "1 insert things id=1 a=1\n2 fault 3/checkpoint_sync#0 fail\n3 checkpoint\n4 get things id=1\n");
  CHECK(played.result.counters.checkpoints_failed == 1);
  CHECK(played.answered("4 -> id=1 a=1 timestamp=1"));
}

TEST_CASE("a groove plays alone", "[groove]") {
  for (const char* groove : {"things", "notes", "events", "readings"}) {
    const bool has_id = std::string_view(groove) == "things" || std::string_view(groove) == "notes";
    const char* key = has_id ? "id" : "timestamp";
    play_lines(
        fmt::format("1 insert {0} {1}=5\n2 commit times=9\n3 reopen prefetch_workers=2\n4 get {0} {1}=5\n"
                    "5 remove {0} {1}=5\n6 checkpoint\n7 scan {0}\n",
                    groove, key),
        fmt::format("groove={}", groove), "groove");
  }
}

}  // namespace tonearm::sim
