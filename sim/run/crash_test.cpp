// Crashes, recoveries and failed syncs in scenarios written by hand, each with proof that what the
// scenario is about did happen.
#include <set>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// Bars of two ops; checkpoints at triggers 5, 9, 13, ... of ops up to 3, 7, 11, ...
std::string header(const std::string& settings = {}) {
  return "tonearm 1\nworkload tree\nexpect pass\nseed 77\n"
         "set sector_size=512 block_size=1024 levels=4 growth=2 beats=2 checkpoint_interval=4\n"
         "set batch_values_max=4 values_per_block_max=2 blocks_count=1024 cache_blocks=16 queue_depth=4\n"
         "set latency.write.mean=20 latency.read.mean=10 latency.sync.mean=50 latency.superblock.mean=30\n" +
         (settings.empty() ? "" : "set " + settings + "\n") + "---\n";
}

std::string number(u64 value) { return std::to_string(value); }

// Lines 1.. : `ops` ops of three puts each and a removal; keys 10 * op ...
std::string ops(u64 from, u64 to) {
  std::string text;
  for (u64 op = from; op <= to; ++op) {
    for (u64 i = 0; i < 3; ++i) {
      text += "put kv key=" + number(10 * op + i) + " value=" + number(1000 * op + i) + "\n";
    }
    text +=
        "put index key=" + number(op % 3) + "/" + number(op) + "\nput id key=" + number(op) + " value=7\n";
    if (op > 1) text += "remove kv key=" + number(10 * (op - 1)) + "\n";
    text += "commit\n";
  }
  return text;
}

// Asks for what ops 1..to have left, with ids from 900 on. Twice, since the crash of a test may strike in
// one of the questions.
std::string questions(u64 to) {
  std::string text;
  for (u64 id = 900; id <= 910; id += 10) {
    text += number(id) + " get kv key=10 cold\n" + number(id + 1) + " get kv key=11 cold\n" + number(id + 2) +
            " get kv key=" + number(10 * to) + " cold\n" + number(id + 3) +
            " get index key=" + number(to % 3) + "/" + number(to) + "\n" + number(id + 4) +
            " scan kv cold\n" + number(id + 5) + " get kv key=5\n";
  }
  return text;
}

void check_answers(const Played& played, u64 to) {
  const auto check = [&played](u64 id, const std::string& answer) {
    INFO(id << " -> " << answer);
    CHECK((played.answered(number(id) + " -> " + answer) ||
           played.answered(number(id + 10) + " -> " + answer)));
  };
  check(900, "absent");
  check(901, "1001");
  check(902, number(1000 * to));
  check(903, "0");
  check(905, "absent");
}

Played play_text(const std::string& text) {
  INFO(text);
  Played played = play(require_scenario(text));
  check_passed(played.result);
  return played;
}

// Crash lines that struck: neither reopens nor the recovery that ends the run.
u64 crashes(const Played& played) { return played.result.counters.crashes; }

u64 torn_or_lost(const Played& played) {
  return played.result.faults_fired.of(FaultKind::torn_write) +
         played.result.faults_fired.of(FaultKind::lost_at_crash);
}

}  // namespace

TEST_CASE("a crash at every step of format and the first open", "[crash]") {
  u64 struck = 0;
  for (u64 at = 0;; ++at) {
    REQUIRE(at < 500);
    INFO("at=" << at);
    const std::string crash = header("durability=cached") + "crash at=" + number(at) + "\n";
    // Nothing but the crash: what has not struck when the engine is open does not strike.
    if (play_text(crash).result.counters.crashes_unfired > 0) break;
    ++struck;
    const Played played = play_text(crash + ops(1, 6) + questions(6));
    CHECK(crashes(played) == 1);
    check_answers(played, 6);
  }
  CHECK(struck >= 8);
}

// One copy at most is in flight: the others have a quorum, and what cannot be read is written again.
TEST_CASE("a crash leaves the superblock copy in flight unreadable", "[crash]") {
  for (u64 at = 0; at < 4; ++at) {
    for (const char* units : {"0x0/0", "0xffff/0", "0x1/15", "0x8001/3"}) {
      INFO("at=" << at << " units=" << units);
      const Played played =
          play_text(header("durability=cached") + ops(1, 4) + "crash at=" + number(at) +
                    " superblock writes=torn_unreadable+" + units + "\n" + ops(5, 5) + questions(5));
      CHECK(crashes(played) == 1);
      CHECK(played.result.faults_fired.of(FaultKind::torn_write) == 1);
      CHECK(played.result.counters.opens_predicted >= 2);
      CHECK(played.result.counters.went_down == 0);
      check_answers(played, 5);
    }
  }
}

TEST_CASE("two crashes before the engine was ever open", "[crash]") {
  u64 in_recovery = 0;
  for (u64 at = 0; at < 12; ++at) {
    const Played played = play_text(header("durability=cached") + "crash at=" + number(at) +
                                    "\ncrash at=" + number(11 - at) + "\n" + ops(1, 1));
    CHECK(crashes(played) + played.result.counters.crashes_unfired >= 2);
    in_recovery += played.result.counters.crashes_in_recovery;
  }
  CHECK(in_recovery > 4);
}

TEST_CASE("any number of crashes in the recovery of one another", "[crash]") {
  constexpr u64 lines = 2500;
  for (const char* line :
       {"crash at=1 writes=1:landed,2:landed,torn\n", "crash at=3\n", "crash end at=1\n"}) {
    INFO(line);
    std::string crashes_of_it;
    for (u64 i = 0; i < lines; ++i) crashes_of_it += line;
    const Played played =
        play(require_scenario(header("durability=cached") + crashes_of_it + ops(1, 6) + questions(6)));
    check_passed(played.result);
    CHECK(crashes(played) + played.result.counters.crashes_unfired == lines);
    CHECK(crashes(played) > 1000);
    check_answers(played, 6);
  }
}

TEST_CASE("a crash at every step of a commit that ends in a checkpoint", "[crash]") {
  for (const char* profile : {"durable", "cached"}) {
    INFO(profile);
    u64 struck = 0;
    u64 verified = 0;  // The checkpoint was taken before the crash.
    u64 found = 0;     // It was not, but the crash found it.
    u64 lost = 0;      // Nor did the crash find it: all ops are replayed.
    std::set<u64> replayed;
    for (u64 at = 0; at <= 200; ++at) {
      INFO("at=" << at);
      const Played played = play_text(header(std::string("durability=") + profile) + ops(1, 4) +
                                      "crash at=" + number(at) + "\n" + ops(5, 5) + questions(5));
      const RunCounters& counters = played.result.counters;
      REQUIRE(played.result.checkpoints.size() >= 1);
      // What is in flight when the crash strikes is its op or nothing.
      if (at > 0) check_answers(played, 5);
      CHECK(counters.crashes + counters.crashes_unfired == 1);
      if (counters.crashes_unfired > 0) continue;
      ++struck;
      replayed.insert(counters.replayed_ops);
      // `checkpoints` counts those the engine completed, the list also one that a crash found.
      if (played.result.checkpoints.size() > counters.checkpoints) {
        ++found;
      } else if (counters.replayed_ops == 3 + 2) {
        ++verified;
      } else {
        ++lost;
      }
    }
    CHECK(struck > 60);
    CHECK(lost > 10);
    CHECK(verified + lost <= struck);
    CHECK(found >= 1);
    CHECK(replayed.size() >= 2);
  }
}

TEST_CASE("a crash at every step of ops that merge", "[crash]") {
  // Keys all over a small range, so that the tables of all levels overlap.
  const auto scattered = [](u64 from, u64 to) {
    std::string text;
    for (u64 op = from; op <= to; ++op) {
      for (u64 i = 0; i < 4; ++i) {
        text += "put kv key=" + number(100 + (op * 37 + i * 11) % 97) + " value=" + number(op) + "\n";
      }
      text += "commit\n";
    }
    return text;
  };
  u64 struck = 0;
  u64 merges = 0;
  u64 damaged = 0;
  std::set<u64> replayed;
  for (u64 at = 1; at <= 300; at += TONEARM_TEST_SLOW != 0 ? 9 : 1) {
    INFO("at=" << at);
    const Played played = play_text(header("durability=cached") + "put kv key=11 value=1001\n" +
                                    scattered(1, 16) + "crash at=" + number(at) + "\n" + scattered(17, 19) +
                                    "put kv key=11 value=1002\nscan kv\n");
    struck += crashes(played);
    merges += played.result.counters.merges_level1;
    damaged += torn_or_lost(played);
    replayed.insert(played.result.counters.replayed_ops);
  }
  CHECK(struck >= 20);
  CHECK(merges > struck);
  CHECK(damaged > 0);
  CHECK(replayed.size() >= 3);
}

TEST_CASE("a crash in a recovery, and in the recovery of that", "[crash]") {
  u64 in_recovery = 0;
  for (u64 at = 0; at <= 90; at += 3) {
    const Played played =
        play_text(header("durability=cached") + ops(1, 7) + "crash at=5\ncrash at=" + number(at) +
                  "\ncrash at=" + number(90 - at) + "\n" + ops(8, 8) + questions(8));
    check_answers(played, 8);
    CHECK(crashes(played) + played.result.counters.crashes_unfired == 3);
    in_recovery += played.result.counters.crashes_in_recovery;
  }
  CHECK(in_recovery > 40);
}

TEST_CASE("lines of an op that was not committed are lost in a crash", "[crash]") {
  const Played played = play_text(header() + ops(1, 2) +
                                  "put kv key=500 value=1\n"
                                  "get kv key=500\n"
                                  "700 get kv key=500\n"
                                  "crash at=0\n"
                                  "701 get kv key=500\n"
                                  "702 get kv key=21\n"
                                  "put kv key=500 value=2\n"
                                  "commit\n"
                                  "crash at=0\n"
                                  "703 get kv key=500\n");
  CHECK(crashes(played) == 2);
  CHECK(played.answered("700 -> 1"));
  CHECK(played.answered("701 -> absent"));
  CHECK(played.answered("702 -> 2001"));
  CHECK(played.answered("703 -> 2"));
}

TEST_CASE("a scope and what becomes of it", "[crash]") {
  SECTION("discarded") {
    const Played played =
        play_text(header() + ops(1, 2) +
                  "scope\nput kv key=500 value=1\nremove kv key=21\n700 get kv key=21\nend discard\n"
                  "701 get kv key=500\n702 get kv key=21\ncommit\ncrash at=0\n703 get kv key=500\n");
    CHECK(played.answered("700 -> absent"));
    CHECK(played.answered("701 -> absent"));
    CHECK(played.answered("702 -> 2001"));
    CHECK(played.answered("703 -> absent"));
    CHECK(played.result.marks[static_cast<u32>(Mark::scope_discarded)] > 0);
  }
  SECTION("persisted") {
    const Played played = play_text(header() + ops(1, 2) +
                                    "scope\nput kv key=500 value=1\nend persist\n"
                                    "701 get kv key=500\ncommit\ncrash at=0\n702 get kv key=500\n");
    CHECK(played.answered("701 -> 1"));
    CHECK(played.answered("702 -> 1"));
    CHECK(played.result.marks[static_cast<u32>(Mark::scope_persisted)] > 0);
  }
  SECTION("persisted, but its op never committed") {
    const Played played = play_text(header() + ops(1, 2) +
                                    "scope\nput kv key=500 value=1\nend persist\n"
                                    "701 get kv key=500\ncrash at=0\n702 get kv key=500\n");
    CHECK(played.answered("701 -> 1"));
    CHECK(played.answered("702 -> absent"));
  }
  SECTION("open at a commit, at a crash and at the end: discarded first") {
    const Played played = play_text(header() + ops(1, 2) +
                                    "scope\nput kv key=500 value=1\ncommit\n701 get kv key=500\n"
                                    "scope\nput kv key=501 value=1\ncrash at=0\n702 get kv key=501\n"
                                    "scope\nput kv key=502 value=1\n");
    CHECK(played.answered("701 -> absent"));
    CHECK(played.answered("702 -> absent"));
  }
  SECTION("its budget comes back") {
    const Played played =
        play_text(header() +
                  "put kv key=1 value=1\nscope\nput kv key=2 value=1\nput kv key=3 value=1\n"
                  "put kv key=4 value=1\nput kv key=5 value=1\nend discard\nput kv key=6 value=1\n"
                  "put kv key=7 value=1\nput kv key=8 value=1\nput kv key=9 value=1\n"
                  "701 get kv key=8\n702 get kv key=9\n703 get kv key=2\n");
    CHECK(played.result.counters.batch_full == 2);
    CHECK(played.answered("701 -> 1"));
    CHECK(played.answered("702 -> absent"));
    CHECK(played.answered("703 -> absent"));
  }
  SECTION("open in open, end without open, a scan inside") {
    const Played played =
        play_text(header() + "end persist\nscope\nscope\nscan kv\nend discard\nend discard\n");
    CHECK(played.result.counters.skips == 4);
  }
}

TEST_CASE("a failed sync: the checkpoint does not advance and the error is true", "[crash]") {
  SECTION("named") {
    const Played played =
        play_text(header("durability=cached") + ops(1, 4) +
                  "put kv key=500 value=1\n600 commit\n601 commit times=8\n" + questions(4));
    const Played failing =
        play_text(header("durability=cached") + ops(1, 4) + "599 fault 600/checkpoint_sync#0 fail\n" +
                  "put kv key=500 value=1\n600 commit\n601 commit times=8\n" + questions(4));
    CHECK(played.result.counters.checkpoints_failed == 0);
    CHECK(failing.result.counters.checkpoints_failed == 1);
    CHECK(failing.result.faults_fired.of(FaultKind::failed_sync) == 1);
    CHECK(crashes(failing) == 0);
    check_answers(failing, 4);
    CHECK(played.answers == failing.answers);
    // Op 5's checkpoint is taken in the replay instead, so there are just as many at the end.
    REQUIRE(failing.result.checkpoints.size() == played.result.checkpoints.size());
    for (u64 i = 0; i < played.result.checkpoints.size(); ++i) {
      CHECK(failing.result.checkpoints[i].op == played.result.checkpoints[i].op);
      CHECK(failing.result.checkpoints[i].id == played.result.checkpoints[i].id);
    }
  }
  SECTION("named, but no such request") {
    const Played played = play_text(header() + "599 fault 600/checkpoint_sync#7 fail\n" + ops(1, 5));
    CHECK(played.result.counters.checkpoints_failed == 0);
    CHECK(played.result.faults() == 0);
  }
  SECTION("one in twelve") {
    std::string commits;
    for (u32 i = 0; i < 240; ++i) commits += "commit\n";
    const Played played =
        play_text(header("durability=cached fault.failed_sync=1/12") + ops(1, 8) + commits + questions(8));
    CHECK(played.result.counters.checkpoints_failed >= 2);
    CHECK(played.result.counters.checkpoints >= 50);
    CHECK(crashes(played) == 0);
    check_answers(played, 8);
  }
}

TEST_CASE("a reopen may change what is not of the format", "[crash]") {
  const Played played =
      play_text(header() + ops(1, 12) + "reopen cache_blocks=64 read_iops=1 cache_hash_bits=0\n" +
                ops(13, 14) + "reopen blocks_count=2048\n" + ops(15, 15) + "reopen\n" + questions(15));
  CHECK(played.result.counters.reopens == 3);
  CHECK(crashes(played) == 0);
  CHECK(played.result.counters.replayed_ops > 0);
  check_answers(played, 15);

  const Played smaller = play_text(header() + ops(1, 3) + "reopen blocks_count=512\n" + questions(3));
  CHECK(smaller.result.counters.reopens == 0);
  CHECK(smaller.result.counters.skips >= 1);
}

TEST_CASE("a checkpoint does not depend on whether the run was reopened", "[crash]") {
  const std::string lines = ops(1, 9) + "commit times=30\n" + ops(40, 50);
  const Played straight = play_text(header() + lines);
  const Played reopened =
      play_text(header() + ops(1, 9) + "reopen cache_blocks=32\ncommit times=30\ncrash at=0\n" + ops(40, 50));
  REQUIRE(straight.result.checkpoints.size() >= 10);
  REQUIRE(straight.result.checkpoints.size() == reopened.result.checkpoints.size());
  for (u64 i = 0; i < straight.result.checkpoints.size(); ++i) {
    CHECK(straight.result.checkpoints[i].id == reopened.result.checkpoints[i].id);
  }
}

TEST_CASE("commit times=K is K ops, checkpoint is commits up to the next one", "[crash]") {
  const Played played = play_text(header() + "put kv key=1 value=1\ncommit times=7\n");
  const Played none = play_text(header() + "put kv key=1 value=1\n");
  // The end of the run commits up to a checkpoint, from op 7 to 9 and from 0 to 5.
  CHECK(none.result.counters.commits >= 5);
  CHECK(played.result.checkpoints.at(0).op == 3);
  CHECK(played.result.checkpoints.at(1).op == 7);
  CHECK(none.result.checkpoints.at(0).op == 3);

  const Played asked =
      play_text(header() + "put kv key=1 value=1\ncheckpoint\ncrash at=0\n700 get kv key=1 cold\n");
  CHECK(asked.answered("700 -> 1"));
  CHECK(asked.result.checkpoints.size() == 2);
}

TEST_CASE("a crash whose outcome is spelled out", "[crash]") {
  // Struck in the superblock writes of the checkpoint: all of them lost, or all landed.
  u64 found = 0;
  u64 not_found = 0;
  for (const char* outcome : {"landed", "lost"}) {
    std::string writes = outcome;
    for (u32 i = 0; i < 7; ++i) writes += std::string(",") + outcome;
    for (u64 at = 1; at <= 120; ++at) {
      INFO(outcome << " at=" << at);
      const Played played = play_text(header("durability=durable") + ops(1, 4) + "crash at=" + number(at) +
                                      " writes=" + writes + "\n" + ops(5, 5) + questions(5));
      check_answers(played, 5);
      const bool was_found = played.result.checkpoints.size() > played.result.counters.checkpoints;
      if (std::string_view(outcome) == "landed") {
        found += was_found ? 1 : 0;
        CHECK(torn_or_lost(played) == 0);
      } else {
        not_found += was_found || crashes(played) == 0 ? 0 : 1;
        CHECK(played.result.faults_fired.of(FaultKind::torn_write) == 0);
      }
    }
  }
  CHECK(found > 0);
  CHECK(not_found > 20);
}

}  // namespace tonearm::sim
