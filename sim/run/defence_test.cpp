// Each kind of fault bites, and something in the engine stands against it: with that switched off by a double
// (defenceless.h) a scenario that passes fails, and in the way it should. With the double and without the
// fault it passes, too: it is the fault that is noticed.
#include <fmt/format.h>

#include "sim/run/defenceless.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// A table of one full value block (block 7; key i at byte 256 + 16 * i, its value 8 bytes behind) and its
// index block (8), below a checkpoint. `before` and `after`: lines on either side of that.
std::string scenario(const std::string& before, const std::string& after) {
  std::string text =
      "tonearm 1\nworkload tree\nexpect pass\nseed 77\n"
      "set sector_size=512 block_size=1024 levels=4 growth=2 beats=2 checkpoint_interval=4\n"
      "set batch_values_max=64 blocks_count=1024 cache_blocks=16 queue_depth=4 durability=cached\n"
      "set read_attempts_max=2 latency.read.min=1 latency.write.min=1 liveness_ticks_max=100000\n---\n";
  for (u64 key = 0; key < 48; ++key) {
    text += fmt::format("{} put kv key={} value={}\n", key + 1, key, 1000 + key);
  }
  return text + before + "100 checkpoint\n" + after + "900 get kv key=20 cold\n";
}

Played play_over(const std::string& text, const Defences& defences, OracleSet oracles = OracleSet::all()) {
  const Scenario parsed = require_scenario(text);
  Defenceless seam(defences);
  RunConfig config;
  config.workload = parsed.workload;
  config.seed = parsed.seed;
  config.options = parsed.options;
  config.oracles = oracles;
  config.seam = &seam;
  const std::unique_ptr<OperationSource> source = source_of(parsed.operations);
  config.source = source.get();
  REQUIRE(validate_run(config.workload, config.options) == "");
  Played played;
  played.result = run(config, runner_memory());
  return played;
}

struct Bite {
  FaultKind kind;
  FailureClass failure_class;
  std::string site;  // The beginning of it.
  Defences defences;
  std::string before;  // Fault lines and what they need: without them nothing must be noticed.
  std::string after;
  OracleSet oracles = OracleSet::all();
};

void check_bite(const Bite& bite) {
  const std::string text = scenario(bite.before, bite.after);
  INFO(fault_kind_name(bite.kind) << "\n" << text.substr(text.find("100 checkpoint") - bite.before.size()));
  const Played defended = play_over(text, {}, bite.oracles);
  check_passed(defended.result);
  CHECK(defended.result.faults_fired.of(bite.kind) > 0);
  const Played bitten = play_over(text, bite.defences, bite.oracles);
  INFO(bitten.result.failure.site << ": " << bitten.result.failure.message);
  CHECK(bitten.result.failed());
  CHECK(failure_class_name(bitten.result.failure.failure_class) == failure_class_name(bite.failure_class));
  CHECK(bitten.result.failure.site.starts_with(bite.site));
  CHECK(bitten.result.faults_fired.of(bite.kind) > 0);
  check_passed(play_over(scenario("", ""), bite.defences, bite.oracles).result);
}

constexpr Defences no_checksums{.block_checksums = false};
const char* const wrong_answer = "line: get";  // Asked again, it may be right.

// Of the value block, when the last line looks a key up in it.
std::string when_read(const std::string& fault) {
  return fmt::format("899 fault 900/lookup(1,0)#1 {}\n", fault);
}

void check_read(FaultKind kind, const std::string& fault, const Defences& defences = no_checksums) {
  check_bite({.kind = kind,
              .failure_class = FailureClass::oracle,
              .site = wrong_answer,
              .defences = defences,
              .before = {},
              .after = when_read(fault)});
}

}  // namespace

TEST_CASE("rot bites in each shape, where checksums of blocks are forged", "[defence]") {
  for (const char* shape : {"bit at=4672", "byte at=584 mask=1", "zeroed at=512", "ones at=512",
                            "swapped to=512", "other_block at=512 to=8", "truncated at=512"}) {
    INFO(shape);
    check_read(FaultKind::rot, fmt::format("rot {}", shape));
  }
}

TEST_CASE("a wrong answer tells the history of its key, and where the engine has it", "[defence]") {
  const std::string lines =
      "51 scope\n52 put kv key=3 value=5\n53 end persist\n"  // Not about the key.
      "54 scope\n55 put kv key=20 value=2000\n56 end persist\n";
  const std::string text = scenario(lines, when_read("rot byte at=584 mask=1"));
  const RunResult result = play_over(text, no_checksums).result;
  INFO(result.failure.message << "\n" << result.failure.story);
  CHECK(result.failure.message == "get kv key=20: the engine says 2001, the model says 2000");
  const std::string history =
      "history of kv key=20 (4 lines; puts, removes, scopes, crashes):\n"
      "  21 put kv key=20 value=1020\n  54 scope\n  55 put kv key=20 value=2000\n  56 end persist\n"
      "in the engine, at op ";
  CHECK(result.failure.story.starts_with(history));
  CHECK(result.failure.story.find(
            "\n  level 0 (1 tables): table at 8 [0..47]: value block at 7 is invalid_checksum_body\n") !=
        std::string::npos);
}

// Entries of an index: the last one of its block is under another value than the index was told.
TEST_CASE("a wrong query tells which leaf has lost or invented which object, and where it is", "[defence]") {
  const auto story = [](u64 source_of_last) {
    std::string text =
        "tonearm 1\nworkload groove\nexpect pass\nseed 77\nset groove=events\n"
        "set sector_size=512 block_size=1024 levels=4 growth=2 beats=2 checkpoint_interval=4\n"
        "set batch_values_max=64 blocks_count=1024 cache_blocks=16 prefetch_keys_max=64 "
        "scan_sort_timestamps=64\n"
        "---\n";
    for (u64 id = 1; id <= 24; ++id) {
      text += fmt::format("{} insert events timestamp={} source={}\n", id, id, id == 24 ? source_of_last : 3);
    }
    text += "100 checkpoint\n";
    text += fmt::format("899 fault 900/scan(25,0)#1 rot byte at={} mask=4\n", 256 + 23 * 16);  // 3 and 7.
    text += "900 query events (source=3 | source=9) - timestamp=5 cold\n";
    const RunResult result = play_over(text, no_checksums).result;
    INFO(result.failure.site << ": " << result.failure.message << "\n" << result.failure.story);
    CHECK(failure_class_name(result.failure.failure_class) == failure_class_name(FailureClass::oracle));
    return result.failure.story;
  };
  const auto expected = [](u64 source, const char* what, const char* model_says) {
    return fmt::format(
        "timestamp 24: source={0} timestamp=24\n"
        "  merge source=3 | source=9: has {1} it\n"
        "  leaf source=3: has {1} it\n"
        "  leaf source=9: does not have it, rightly\n"
        "  leaf timestamp=5: does not have it, rightly\n"
        "history of events.source key=3/24 (1 lines; changes, scopes, crashes):\n"
        "  24 insert events source={0} timestamp=24\n"
        "in the engine, at op 5:\n"
        "  mutable table (0 values): no\n"
        "  immutable table (0 values, flushed): no\n"
        "  level 0 (1 tables): table at 11 [3/1..{0}/24]: value block at 10 is invalid_checksum_body\n"
        "the model says: {2}\n",
        source, what, model_says);
  };
  const std::string lost = expected(3, "LOST", "source=3 timestamp=24");
  const std::string invented = expected(7, "INVENTED", "source=7 timestamp=24");
  CHECK(story(3).substr(0, lost.size()) == lost);
  CHECK(story(7).substr(0, invented.size()) == invented);
}

TEST_CASE("what one read brings wrong bites, where checksums of blocks are forged", "[defence]") {
  check_read(FaultKind::corrupt_transfer, "corrupt_transfer byte at=584 mask=1");
  check_read(FaultKind::misdirected_read, "misdirected_read to=8");
  CHECK(checksums_forged() > 0);
}

// The blocks of the table are written again and again: where the fourth one lies, the second one was.
TEST_CASE("a former content bites, where checksums of blocks are forged", "[defence]") {
  std::string more;
  u64 id = 100;
  for (u64 round = 1; round <= 3; ++round) {
    for (u64 key = 0; key < 48; ++key) {
      more += fmt::format("{} put kv key={} value={}\n", ++id, key, 1000 * round + key);
    }
    more += fmt::format("{} checkpoint\n", ++id);
  }
  check_bite({.kind = FaultKind::stale_read,
              .failure_class = FailureClass::oracle,
              .site = wrong_answer,
              .defences = no_checksums,
              .before = {},
              .after = more + when_read("stale_read")});
}

TEST_CASE("a read that fails bites, where that is not looked at", "[defence]") {
  constexpr Defences no_errors{.block_checksums = false, .read_errors = false};
  check_read(FaultKind::read_error, "read_error times=8", no_errors);
  check_read(FaultKind::unreadable, "unreadable", no_errors);
}

TEST_CASE("a write that is not where it should be bites, where checksums of blocks are forged", "[defence]") {
  const auto check = [](FaultKind kind, const char* fault) {
    check_bite({.kind = kind,
                .failure_class = FailureClass::oracle,
                .site = wrong_answer,
                .defences = no_checksums,
                .before = fmt::format("99 fault 100/compact_write(1,0)#0 {}\n", fault),
                .after = {}});
  };
  check(FaultKind::lost_write, "lost_write");
  check(FaultKind::misdirected_write, "misdirected_write to=500");
  check(FaultKind::misdirected_write, "misdirected_write to=1 superblock");
}

TEST_CASE("a write that fails bites, where that is not looked at", "[defence]") {
  OracleSet oracles = OracleSet::all();
  oracles.set(Oracle::verify, false);  // The engine's own, which comes first.
  check_bite({.kind = FaultKind::write_error,
              .failure_class = FailureClass::structure,
              .site = "value block at",
              .defences = {.write_errors = false},
              .before = "99 fault 100/compact_write(1,0)#0 write_error times=8 mix=0x1\n",
              .after = {},
              .oracles = oracles});
}

TEST_CASE("a sync that fails bites, where that is not looked at", "[defence]") {
  check_bite({.kind = FaultKind::failed_sync,
              .failure_class = FailureClass::crash_legal,
              .site = "checkpoint advanced after a failed sync",
              .defences = {.sync_errors = false},
              .before = "99 fault 100/checkpoint_sync#0 fail\n",
              .after = {}});
}

TEST_CASE("a sync that lies bites after a crash, where checksums of blocks are forged", "[defence]") {
  check_bite({.kind = FaultKind::lying_sync,
              .failure_class = FailureClass::crash_legal,
              .site = "after open: ",
              .defences = no_checksums,
              .before = "99 fault 100/checkpoint_sync#0 lying_sync\n",
              .after = "101 crash at=0 writes=lost,landed,landed,landed\n"});
}

// Of copy 1 what says that it is new has landed, and not the tail that repeats it: one copy is new, two are
// old. The fault that never fires makes the copies be judged as they were delivered.
TEST_CASE("a torn copy of the superblock bites, where it is sealed anew", "[defence]") {
  check_bite({.kind = FaultKind::torn_write,
              .failure_class = FailureClass::crash_legal,
              .site = "open: another checkpoint than the copies say",
              .defences = {.superblock_seals = false},
              .before = "98 fault 900/lookup(1,0)#99 stale_read\n"
                        "99 crash at=1 superblock writes=torn+0x1\n",
              .after = {}});
}

TEST_CASE("what is lost in a crash bites, where the superblock is not durable first", "[defence]") {
  std::string more;  // On its way to the disk when the crash strikes, and replayed.
  for (u64 id = 101; id < 149; ++id) more += fmt::format("{} put kv key={} value=1\n", id, id);
  OracleSet oracles = OracleSet::all();
  for (const Oracle oracle : {Oracle::structure, Oracle::protect, Oracle::shadow}) oracles.set(oracle, false);
  check_bite(
      {.kind = FaultKind::lost_at_crash,
       .failure_class = FailureClass::crash_legal,
       .site = "opened an older checkpoint",
       .defences = {.superblock_durability = false},
       .before = {},
       .after = more + "300 crash at=15 writes=lost,lost,lost,lost,lost,lost,lost,lost\n301 checkpoint\n",
       .oracles = oracles});
}

// In a block of the log rot has taken a byte of an entry's checksum, and the transfer another: of what was
// delivered the header is right.
TEST_CASE("opening on a delivery that is damaged, too, bites, where checksums of blocks are forged",
          "[defence]") {
  check_bite({.kind = FaultKind::corrupt_transfer,
              .failure_class = FailureClass::crash_legal,
              .site = "open: a damaged block is believed",
              .defences = no_checksums,
              .before = "98 fault 101/101/manifest_read#0 corrupt_transfer byte at=324 mask=1\n"
                        "99 fault 100/manifest_write#0 rot byte at=322 mask=1\n",
              .after = "101 crash at=0\n"});
}

// Where the third checkpoint's block of the log should be, the first one's is still. That opening says so is
// no excuse: nothing has lost it but what the engine was told of. The oracles that look at the image are not
// needed to see it.
TEST_CASE("an error about a block that never was bites at open", "[defence]") {
  OracleSet oracles = OracleSet::all();
  for (const Oracle oracle : {Oracle::structure, Oracle::shadow, Oracle::verify}) oracles.set(oracle, false);
  check_bite({.kind = FaultKind::write_error,
              .failure_class = FailureClass::false_alarm,
              .site = "open: block_damaged",
              .defences = {.write_errors = false},
              .before = "50 put kv key=100 value=1\n51 checkpoint\n"
                        "52 put kv key=101 value=1\n53 checkpoint\n54 put kv key=102 value=1\n"
                        "99 fault 100/manifest_write#0 write_error times=8 mix=0xc\n",
              .after = "101 crash at=0\n",
              .oracles = oracles});
}

// The value block comes long after the index block: whoever takes writes to be done in the order in which
// they were asked for syncs before it is there, and a crash finds it missing. A reordering is a stall of one.
TEST_CASE("a stall bites, where a write counts as done when a later one is", "[defence]") {
  constexpr Defences not_awaited{.writes_awaited = false};
  const std::string stall = "98 latency 100/compact_write(1,0)#0 ticks=5000\n";
  const std::string crash = "101 crash at=0 writes=lost,lost\n";
  const Played plain = play_over(scenario("", crash), {});
  const Played defended = play_over(scenario(stall, crash), {});
  check_passed(plain.result);
  check_passed(defended.result);
  CHECK(defended.result.counters.faults_missed == 0);
  CHECK(defended.result.counters.ticks > plain.result.counters.ticks + 4000);
  CHECK(defended.result.digests.answers == plain.result.digests.answers);
  check_passed(play_over(scenario("", crash), not_awaited).result);
  const Played bitten = play_over(scenario(stall, crash), not_awaited);
  INFO(bitten.result.failure.site << ": " << bitten.result.failure.message);
  CHECK(bitten.result.failed());
  CHECK(failure_class_name(bitten.result.failure.failure_class) ==
        failure_class_name(FailureClass::structure));
  CHECK(bitten.result.failure.site.starts_with("value block at"));
  // And what takes longer than a call may is stuck.
  const std::string endless = "98 latency 100/compact_write(1,0)#0 ticks=200000\n";
  const Played stuck = play_over(scenario(endless, ""), {});
  CHECK(stuck.result.failure.site == "the call takes too many ticks");
}

// Liveness: what never ends, or waits for what nobody will do, is noticed while faults strike, and at the
// end of the run, when they have stopped and nothing takes any time.
TEST_CASE("a read that is tried for ever is stuck", "[defence]") {
  check_bite({.kind = FaultKind::unreadable,
              .failure_class = FailureClass::liveness,
              .site = "the call takes too many steps",
              .defences = {.read_gives_up = false},
              .before = {},
              .after = when_read("unreadable")});
}

TEST_CASE("a read that waits for a repair is stuck", "[defence]") {
  check_bite({.kind = FaultKind::read_error,
              .failure_class = FailureClass::liveness,
              .site = "nothing is pending, but the call is not done",
              .defences = {.read_answered = false},
              .before = {},
              .after = when_read("read_error")});
}

TEST_CASE("an engine that does not get over what was healed is stuck", "[defence]") {
  check_bite({.kind = FaultKind::unreadable,
              .failure_class = FailureClass::liveness,
              .site = "the call takes too many steps",
              .defences = {.place_forgiven = false},
              .before = {},
              .after = when_read("unreadable")});
}

// What goes on, but only after a thousand turns in which nobody does anything, is noticed in the first call
// that reads; nothing takes any time here, and a step is cheap.
TEST_CASE("a completion that is delivered after many idle rounds is stuck", "[defence]") {
  const std::string text = scenario("", "");
  const Played defended = play_over(text, {.idle_rounds = 1});
  check_passed(defended.result);
  const Played idle = play_over(text, {.idle_rounds = 20'000});
  INFO(idle.result.failure.site << ": " << idle.result.failure.message);
  REQUIRE(idle.result.failed());
  CHECK(failure_class_name(idle.result.failure.failure_class) == failure_class_name(FailureClass::liveness));
  CHECK(idle.result.failure.site == "the call takes too many steps");
  CHECK(idle.result.counters.steps < 100'000);
  OracleSet without = OracleSet::all();
  without.set(Oracle::liveness, false);
  const Played undecided = play_over(text, {.idle_rounds = 20'000}, without);
  CHECK_FALSE(undecided.result.failed());
  CHECK(undecided.result.counters.undecided == 1);
}

}  // namespace tonearm::sim
