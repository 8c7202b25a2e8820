#include "sim/scenario/operation.h"

#include <catch2/catch.hpp>
#include <set>

#include "sim/scenario/number.h"
#include "sim/scenario/scenario_fixture.h"

using namespace tonearm;
using namespace tonearm::sim;

namespace {

Operation parsed(const std::string& line) {
  const Scenario scenario = require_scenario("tonearm 1\n---\n" + line + "\n");
  REQUIRE(scenario.operations.size() == 1);
  return scenario.operations[0];
}

std::string printed(const Operation& operation) {
  std::string text;
  print_operation(operation, &text);
  return text;
}

}  // namespace

TEST_CASE("operation: what is canonical prints as it was written") {
  const char* lines[] = {
      "17 put kv key=5 value=9",
      "17 put kv key=9223372036854775806 value=9223372036854775807",
      "18 put index key=3/12",
      "18 put index key=18446744073709551615/9223372036854775807",
      "19 put id key=18446744073709551615 value=4",
      "19 put id key=0x10000000000000000 value=4",
      "19 put id key=0xfffffffffffffffffffffffffffffffe value=4",
      "20.3 remove kv key=5",
      "21 get kv key=5 cold",
      "22 scan kv",
      "22 scan kv from=1 to=90 desc limit=3 cold",
      "22 scan index from=1/2 to=1/2",
      "22 scan id to=0",
      "22 scan_open n=15 kv from=1 to=90 desc cold",
      "22 scan_open n=0 index",
      "22 scan_next n=2 count=5",
      "22 scan_next n=0,2,5",
      "22 scan_probe n=2 index key=45/3",
      "22 scan_abort n=2",
      "22 scan_close n=15",
      "23 commit",
      "23 commit times=1000000",
      "24 checkpoint",
      "25 scope",
      "26 end discard",
      "26 end persist",
      "27 crash at=0",
      "27 crash at=4294967296 writes=lost,torn,landed,torn_garbage",
      "28 crash at=1 writes=lost,7:torn+0x5,torn_garbage+0x0/15,65535:landed",
      "28 crash at=1 writes=torn_unreadable+0x3/2,torn_unreadable,9:torn_unreadable+0x1/0",
      "28 reopen",
      "28 reopen cache_blocks=16 read_iops=1",
      "29 fault 24/checkpoint_sync#0 fail",
      "29 fault 0/superblock_format#2 fail",
      "30 latency 23/compact_write(1,2)#4 ticks=900",
      "31 reseed seed=0x0",
      "31.2 reseed seed=0xffffffffffffffff",
      "30 latency 20.1/23.2/compact_write(0,2)#4294967295 ticks=0",
      "9223372036854775807.4294967295 latency 23/scan(65535,255)#4 ticks=1099511627776",
  };
  for (const char* line : lines) {
    INFO(line);
    REQUIRE(printed(parsed(line)) == std::string(line) + "\n");
  }
}

TEST_CASE("operation: lines of grooves print as they were written") {
  const std::pair<const char*, std::vector<const char*>> worlds[] = {
      {"workload forest",
       {"17 insert things id=3 a=1 b=9",
        "17 insert things id=3 m=18446744073709551615 timestamp=5",
        "17.2 insert things id=0",
        "17 insert events",
        "17 insert events source=3 weight=4294967295 timestamp=0",
        "17 insert notes id=0xffffffffffffffffffffffffffffffff topic=0x10000000000000000 kind=255",
        "17 insert notes id=1 timestamp=18446744073709551615",
        "18 update things id=3 a=0 c=7",
        "18 update things id=3",
        "18 update events timestamp=5 length=0",
        "19 upsert notes id=3 author=4 body=1",
        "19 upsert events timestamp=9223372036854775808",
        "20 remove things id=3",
        "20 remove events timestamp=5",
        "21 orphan notes id=9",
        "22 get things id=3",
        "22 get events timestamp=5",
        "23 exists things timestamp=5",
        "23 exists events timestamp=0",
        "24 prefetch things id=3",
        "24 prefetch things timestamp=3",
        "24 prefetch events timestamp=3",
        "25 scan things",
        "25 scan things.a from=1/2 to=1/9 desc limit=3 cold",
        "25 scan notes.topic from=0x10000000000000000/5",
        "25 scan notes.draft to=7",
        "25 scan events.weight",
        "25 query things a=1 & (b=7..9 - c=2) desc limit=3 buffer=2 cold",
        "25 query things a=1",
        "25 query events timestamp=.. | weight=..7@9",
        "25 page things",
        "25 page events",
        "25 scan_open n=1 notes (draft@..5 | large=60..) - id=3 - pinned=.. desc cold",
        "25 scan_open n=2 notes draft",
        "25 scan_next n=1,2 count=5",
        "25 scan_probe n=1 timestamp=40",
        "25 scan_abort n=1",
        "25 scan_close n=1",
        "26 commit",
        "27 end persist",
        "28 reopen object_cache_slots=0 prefetch_workers=2"}},
      {"workload groove\nset groove=notes",
       {"21 orphan notes id=0", "22 scan notes.id from=7", "23 checkpoint"}},
      {"workload groove\nset groove=events", {"21 insert events weight=1"}},
  };
  std::set<u64> hashes;
  u64 lines_played = 0;
  for (const auto& [header, lines] : worlds) {
    for (const char* line : lines) {
      INFO(line);
      const std::string text = std::string("tonearm 1\n") + header + "\n---\n" + line + "\n";
      const Scenario scenario = require_scenario(text);
      REQUIRE(scenario.operations.size() == 1);
      REQUIRE(printed(scenario.operations[0]) == std::string(line) + "\n");
      hashes.insert(content_hash(scenario.operations[0]));
      ++lines_played;
    }
  }
  REQUIRE(hashes.size() == lines_played);
}

TEST_CASE("operation: other spellings of the same line about an object") {
  const std::pair<const char*, const char*> pairs[] = {
      {"7 insert things c=0 b=0x2 id=0x3", "7 insert things id=3 b=2\n"},
      {"7 update things c=0 id=3 b=2", "7 update things id=3 b=2 c=0\n"},
      {"7 prefetch things timestamp=1  # why", "7 prefetch things timestamp=1\n"},
      {"7 scan notes.topic from=min to=max", "7 scan notes.topic\n"},
      {"7 query things ((a=1..1)&(b=0..18446744073709551615|c=0..5)) cold buffer=32  # why",
       "7 query things a=1 & (b=.. | c=..5) cold\n"},
      {"7 query things (a=1 - b=2) - c=3 - (d=4 - e=5)", "7 query things a=1 - b=2 - c=3 - (d=4 - e=5)\n"},
      {"7 scan_next n=5,0x2 count=1", "7 scan_next n=2,5\n"},
  };
  for (const auto& [given, canonical] : pairs) {
    INFO(given);
    const Scenario scenario =
        require_scenario(std::string("tonearm 1\nworkload forest\n---\n") + given + "\n");
    REQUIRE(printed(scenario.operations.at(0)) == canonical);
  }
}

TEST_CASE("operation: what a line about an object means") {
  const Scenario scenario = require_scenario(
      "tonearm 1\nworkload forest\n---\n"
      "17 insert things id=3 b=9\n18 insert notes id=4 topic=0x20000000000000001 timestamp=5\n"
      "19 insert events weight=2\n20.1 upsert events timestamp=6\n21 update notes id=4 kind=0\n"
      "22 prefetch notes timestamp=4\n");
  const std::vector<Operation>& lines = scenario.operations;
  CHECK(lines[0].groove() == GrooveName::things);
  CHECK(lines[0].of_groove());
  CHECK(object_key(lines[0]) == 3);
  CHECK(inserted_timestamp(lines[0]) == 17);
  CHECK(field_value(lines[0], 1) == 9);
  CHECK(field_value(lines[0], 0) == 0);
  CHECK(inserted_timestamp(lines[1]) == 5);
  CHECK(field_value(lines[1], 2) == (u128{2} << 64 | 1));
  CHECK(object_key(lines[2]) == 19);
  CHECK(object_key(lines[3]) == 6);
  CHECK(lines[4].named == 1U << 3);
  CHECK(lines[5].timestamped);
  CHECK(own_timestamp({.number = 20, .child = 1}) == (u64{1} << 40) + 20);
  CHECK(own_timestamp({.number = op_number_max, .child = 0}) == timestamp_max);
  CHECK(own_timestamp({.number = op_number_max - ((u64{3} << 40) - 1), .child = 3}) == timestamp_max);
}

TEST_CASE("operation: other spellings of the same line") {
  const std::pair<const char*, const char*> pairs[] = {
      {"  7\tput  kv value=0x9 key=0x5   # five", "7 put kv key=5 value=9\n"},
      {"7 scan kv from=min to=max asc", "7 scan kv\n"},
      {"7 scan index cold limit=1 desc from=0/0", "7 scan index desc limit=1 cold\n"},
      {"7 put id key=0x00000000000000000000000000000000000000ff value=1", "7 put id key=255 value=1\n"},
      {"7 get kv key=max", "7 get kv key=9223372036854775806\n"},
      {"7 commit times=1", "7 commit\n"},
      {"7 fault 24/checkpoint_sync(0,0)#0 fail", "7 fault 24/checkpoint_sync#0 fail\n"},
      {"scope", "1 scope\n"},
  };
  for (const auto& [given, canonical] : pairs) {
    INFO(given);
    REQUIRE(printed(parsed(given)) == canonical);
  }
}

TEST_CASE("operation: fields") {
  const Operation scan = parsed("5.2 scan index from=3/4 to=5/6 desc limit=7 cold");
  CHECK(scan.id == OpId{.number = 5, .child = 2});
  CHECK(scan.kind == OperationKind::scan);
  CHECK(scan.tree == TreeName::index);
  CHECK(scan.key == Key::of(u128{3} << 64 | 4));
  CHECK(scan.key_end == Key::of(u128{5} << 64 | 6));
  CHECK(scan.direction == Direction::descending);
  CHECK(scan.limit == 7);
  CHECK(scan.cold);
  const Operation crash = parsed("6 crash at=12 writes=torn,lost");
  CHECK(crash.count == 12);
  REQUIRE(crash.writes.count() == 2);
  CHECK(crash.writes[0] == CrashWrite{.write = 0, .outcome = CrashOutcome::torn});
  CHECK(crash.writes[1] == CrashWrite{.write = 1, .outcome = CrashOutcome::lost});
  const Operation latency = parsed("8 latency 20/17/compact_write(3,2)#4 ticks=900");
  CHECK(latency.request.recovery == OpId{.number = 20});
  CHECK(latency.request.attribution == attribution_of({.number = 17}, {.number = 20}));
  CHECK(latency.request.tag.purpose == IoPurpose::compact_write);
  CHECK(latency.request.tag.tree == 3);
  CHECK(latency.request.tag.level == 2);
  CHECK(latency.request.n == 4);
  CHECK(latency.count == 900);
}

TEST_CASE("operation: attribution separates a replay from the operation itself") {
  const OpId op = {.number = 17};
  REQUIRE(attribution_of(op, {}).context == 0);
  const Attribution once = attribution_of(op, {.number = 20});
  REQUIRE(once.op == op);
  REQUIRE(once.context != 0);
  REQUIRE(once == attribution_of(op, {.number = 20}));
  REQUIRE(once.context != attribution_of(op, {.number = 21}).context);
  REQUIRE(once.context != attribution_of(op, {.number = 20, .child = 1}).context);
  // Part of every committed scenario that names a replayed request.
  REQUIRE(once.context == 0x9f53d35f86ee6087u);
}

TEST_CASE("operation: keys and their limits") {
  for (u32 i = 0; i < world_tree.count; ++i) {
    const TreeName tree = static_cast<TreeName>(i);
    Key key;
    REQUIRE(parse_key(tree, key_text(tree, key_max(tree)), &key).empty());
    REQUIRE(key == key_max(tree));
    REQUIRE(key_valid(tree, key));
    REQUIRE(key_valid(tree, Key{}));
    REQUIRE_FALSE(key_valid(tree, Key::of(key.lo + 1)));
  }
  REQUIRE_FALSE(key_valid(TreeName::index, Key::of(u64{1} << 63)));
  Key key;
  CHECK(parse_key(TreeName::kv, "9223372036854775807", &key) == "a number from 0 to 9223372036854775806");
  CHECK(parse_key(TreeName::id, "0xffffffffffffffffffffffffffffffff", &key) ==
        "a number from 0 to 0xfffffffffffffffffffffffffffffffe");
  CHECK(parse_key(TreeName::id, std::string(100'000, '9'), &key) ==
        "a number from 0 to 0xfffffffffffffffffffffffffffffffe");
  CHECK(parse_key(TreeName::index, "5", &key) == "field/timestamp, min or max");
  CHECK(parse_key(TreeName::index, "x/5", &key) ==
        "field/timestamp, the field a number from 0 to 18446744073709551615");
  CHECK(parse_key(TreeName::index, "5/9223372036854775808", &key) ==
        "field/timestamp, the timestamp a number from 0 to 9223372036854775807");
  CHECK(parse_key(TreeName::index, "5/6/7", &key) ==
        "field/timestamp, the timestamp a number from 0 to 9223372036854775807");
}

TEST_CASE("number: what counts as one") {
  u64 value = 7;
  for (const char* text :
       {"", "x", "0x", "0X1", "-1", "+1", " 1", "1 ", "1_000", "1.0", "1e3", "0x-1", "0xg",
        "18446744073709551616", "0x10000000000000000", "99999999999999999999999999999999999999999",
        "340282366920938463463374607431768211457"}) {
    INFO(text);
    CHECK(parse_number(text, 0, u64_max, &value) == "a number from 0 to 18446744073709551615");
    CHECK(value == 7);
  }
  for (const char* text : {"00", "010", "0000000000000000000000000001", "007"}) {
    INFO(text);
    CHECK(parse_number(text, 0, u64_max, &value) == "a number without leading zeros (there is no octal)");
  }
  const std::pair<const char*, u64> good[] = {{"0", 0},
                                              {"10", 10},
                                              {"0x0", 0},
                                              {"0x010", 16},
                                              {"0xDEADbeef", 0xdeadbeef},
                                              {"999999999999999999", 999999999999999999u},
                                              {"1000000000000000000", 1000000000000000000u},
                                              {"18446744073709551615", u64_max},
                                              {"0xffffffffffffffff", u64_max}};
  for (const auto& [text, expected] : good) {
    INFO(text);
    REQUIRE(parse_number(text, 0, u64_max, &value).empty());
    REQUIRE(value == expected);
  }
  REQUIRE(quoted(std::string("a\0b\xff", 4)) == "`a\\x00b\\xff`");
  REQUIRE(quoted(std::string(1000, 'y')) == "`" + std::string(40, 'y') + "...`");
}

TEST_CASE("operation: reset makes a line new, whatever it was") {
  Operation line = require_scenario("tonearm 1\nworkload groove\n---\n5 query things a=1 & b=2 desc cold\n")
                       .operations.at(0);
  REQUIRE(line.query.size > 0);
  reset(&line);
  Operation blank;
  CHECK(line.query == blank.query);
  CHECK(content_hash(line) == content_hash(blank));
  CHECK(printed(line) == printed(blank));
  CHECK(!line.cold);
  CHECK(sizeof(Operation) <= 1088);
}
