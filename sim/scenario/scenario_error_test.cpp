// Every way to be refused, with the exact place and words.
#include <catch2/catch.hpp>

#include "sim/scenario/scenario_fixture.h"

using namespace tonearm;
using namespace tonearm::sim;

namespace {

std::string refusal(std::string_view text) {
  const std::variant<Scenario, ScenarioError> result = parse_scenario(text);
  const ScenarioError* error = std::get_if<ScenarioError>(&result);
  if (error == nullptr) return "accepted";
  return std::to_string(error->line) + ":" + std::to_string(error->column) + ": " + error->message;
}

struct Row {
  std::string text;
  const char* refusal;
};

void check(const std::vector<Row>& rows, const std::string& before = "", const std::string& after = "") {
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(refusal(before + row.text + after) == row.refusal);
  }
}

}  // namespace

TEST_CASE("scenario errors: the file") {
  check({
      {"", "1:1: found the end of the file, expected `tonearm 1`: a scenario begins with its version"},
      {"\n\n", "3:1: found the end of the file, expected `tonearm 1`: a scenario begins with its version"},
      {"put kv", "1:1: found `put`, expected `tonearm 1`: a scenario begins with its version"},
      {"# c\n  tonearm 2\n---\n", "2:11: found `2`, expected a scenario of version 1"},
      {"tonearm\n", "1:8: found the end of the line, expected a scenario of version 1"},
      {"tonearm 99999999999999999999999\n",
       "1:9: found `99999999999999999999999`, expected a scenario of version 1"},
      {"tonearm 1 2\n", "1:11: found `2`, expected the end of the line"},
      {"tonearm 1\nseed 5\n", "3:1: found the end of the file, expected `---`: the end of the header"},
      {"tonearm 1\r\n---\r\n", "1:10: found `\\x0d`, expected lines that end in a line feed alone"},
      {std::string("tonearm 1\n# \0\n---\n", 17),
       "2:3: found `\\x00`, expected text without control characters"},
      {"\xef\xbb\xbftonearm 1\n",
       "1:1: found `\\xef\\xbb\\xbftonearm`, expected `tonearm 1`: a scenario begins with its version"},
      {"tonearm 1\n--- x\n", "2:5: found `x`, expected the end of the line"},
      {"tonearm 1\n---\n---\n",
       "3:1: found `---`, expected an operation: put, remove, get, scan, scan_open, scan_next, "
       "scan_probe, scan_abort, scan_close, commit, checkpoint, scope, end, crash, reopen, fault, heal, "
       "latency or reseed"},
  });
}

TEST_CASE("scenario errors: the header") {
  const std::string nearest = "2:5: found `cach_blocks`, expected a setting, nearest: cache_blocks, ";
  REQUIRE(refusal("tonearm 1\nset cach_blocks=5\n---\n").substr(0, nearest.size()) == nearest);
  check(
      {
          {"colour red", "2:1: found `colour`, expected workload, expect, story, seed, set, fault or ---"},
          {"workload", "2:9: found the end of the line, expected the name of a workload"},
          {"workload Tree", "2:10: found `Tree`, expected the name of a workload"},
          {"workload a b", "2:12: found `b`, expected the end of the line"},
          {"expect", "2:7: found the end of the line, expected pass, or fail and a signature"},
          {"expect success", "2:8: found `success`, expected pass, or fail and a signature"},
          {"expect fail # why",
           "2:13: found the end of the line, expected a signature of 8 hexadecimal digits"},
          {"expect fail 1f3a9c0", "2:13: found `1f3a9c0`, expected a signature of 8 hexadecimal digits"},
          {"expect fail 1f3a9c0g", "2:13: found `1f3a9c0g`, expected a signature of 8 hexadecimal digits"},
          {"story  ", "2:8: found the end of the line, expected a story: one line of text"},
          {"seed",
           "2:5: found the end of the line, expected a seed: decimal, 0x hexadecimal or a 40-digit git hash"},
          {"seed 010",
           "2:6: found `010`, expected a seed: decimal or 0x hexadecimal, a number without leading zeros "
           "(there is "
           "no octal), or a 40-digit git hash"},
          {"seed 1\nseed 1", "3:1: found `seed`, expected one line `seed`, not a second"},
          {"set", "2:4: found the end of the line, expected a setting and its value: block_size=4096"},
          {"set levels", "2:11: found the end of the line, expected = and a value"},
          {"set levels beats=2", "2:11: found nothing, expected = and a value"},
          {"set levels= beats=2", "2:12: found nothing, expected a number from 2 to 10"},
          {"set beats=2 levels=x", "2:20: found `x`, expected a number from 2 to 10"},
          {"set completion=random",
           "2:16: found `random`, expected latency, fifo, lifo, uniform, starve or priority"},
          {"set levels=3\nset levels=4",
           "3:5: found `levels`, expected each setting once, and line 2 has it"},
          {"set beats=8\nset levels=3 block_size=5000",
           "3:14: block_size: 5000, expected a power of two from the sector size to 1048576"},
          {"set beats=8\nset levels=3",
           "4:1: checkpoint_interval: 20, expected a multiple of beats, from 2 bars to 65536"},
          {"fault failed_sink 1/50",
           "2:7: found `failed_sink`, expected a fault: failed_sync, lying_sync, read_error, "
           "write_error, corrupt_transfer, unreadable, rot, lost_write, misdirected_write, misdirected_read, "
           "stale_read"},
          {"fault failed_sync",
           "2:18: found the end of the line, expected a ratio, for instance 1/50, at most one"},
          {"fault failed_sync 5/4", "2:19: found `5/4`, expected a ratio, for instance 1/50, at most one"},
          {"fault failed_sync 1/4 x", "2:23: found `x`, expected the end of the line"},
          {"fault failed_sync 1/4\nset fault.failed_sync=0",
           "3:5: found `fault.failed_sync`, expected each setting once, and line 2 has it"},
      },
      "tonearm 1\n", "\n---\n");
}

TEST_CASE("scenario errors: operations on trees") {
  check(
      {
          {"17",
           "3:3: found the end of the line, expected an operation: put, remove, get, scan, scan_open, "
           "scan_next, scan_probe, scan_abort, scan_close, commit, checkpoint, scope, end, crash, reopen, "
           "fault, heal, latency or reseed"},
          {"5 reseed", "3:9: found the end of the line, expected seed="},
          {"5 reseed seed=-1", "3:15: found `-1`, expected a number from 0 to 18446744073709551615"},
          {"5 reseed at=3 seed=1", "3:10: found `at=3`, expected seed="},
          {"0 scope",
           "3:1: found `0`, expected an id like 17 or 17.1, a number from 1 to 9223372036854775807"},
          {"017 scope",
           "3:1: found `017`, expected an id like 17 or 17.1, a number without leading zeros (there is no "
           "octal)"},
          {"9223372036854775808 scope",
           "3:1: found `9223372036854775808`, expected an id like 17 or 17.1, a number "
           "from 1 to 9223372036854775807"},
          {"17.0 scope",
           "3:1: found `17.0`, expected an id like 17 or 17.1, after the dot a number from 1 to 4294967295"},
          {"5 put", "3:6: found the end of the line, expected a tree: kv, index or id"},
          {"5 put foo", "3:7: found `foo`, expected a tree: kv, index or id"},
          {"5 put kv", "3:9: found the end of the line, expected key= or value="},
          {"5 put kv key=1", "3:15: found the end of the line, expected value="},
          {"5 put kv key=1 # value=3", "3:16: found the end of the line, expected value="},
          {"5 put kv key= value=3", "3:14: found nothing, expected a number from 0 to 9223372036854775806"},
          {"5 put kv key=1 value=9223372036854775808",
           "3:22: found `9223372036854775808`, expected a number from 0 to 9223372036854775807"},
          {"5 put kv key=1 key=1 value=2", "3:16: found `key=1`, expected each argument once"},
          {"5 put kv key=1 cold", "3:16: found `cold`, expected value="},
          {"5 put index key=1/2 value=3", "3:21: found `value=3`, expected the end of the line"},
          {"5 put index key=1", "3:17: found `1`, expected field/timestamp, min or max"},
          {"get kv key=-1", "3:12: found `-1`, expected a number from 0 to 9223372036854775806"},
          {"scan kv desc asc", "3:14: found `asc`, expected each argument once"},
          {"scan kv limit=0", "3:15: found `0`, expected a number from 1 to 4294967295"},
          {"scan kv backwards", "3:9: found `backwards`, expected from=, to=, limit=, cold, asc or desc"},
          {"scan kv to=4 from=5", "3:12: found `4`, expected from= not above to="},
          {"scan_open kv", "3:11: found `kv`, expected n= and the number of a scan"},
          {"scan_open n=16 kv", "3:13: found `16`, expected a number from 0 to 15"},
          {"scan_open n=1,2 kv", "3:13: found `1,2`, expected a number from 0 to 15"},
          {"scan_open n=1", "3:14: found the end of the line, expected a tree: kv, index or id"},
          {"scan_open n=1 kv limit=3", "3:18: found `limit=3`, expected from=, to=, cold, asc or desc"},
          {"scan_open n=1 kv from=9 to=8", "3:28: found `8`, expected from= not above to="},
          {"scan_next", "3:10: found the end of the line, expected n= and the numbers of scans"},
          {"scan_next n=", "3:13: found the end of the line, expected a number from 0 to 15"},
          {"scan_next n=1,", "3:15: found the end of the line, expected a number from 0 to 15"},
          {"scan_next n=1,2,1", "3:17: found `1`, expected each scan once"},
          {"scan_next n=1 count=0", "3:21: found `0`, expected a number from 1 to 10000"},
          {"scan_next n=1 kv", "3:15: found `kv`, expected count="},
          {"scan_probe n=1 key=3", "3:16: found `key=3`, expected a tree: kv, index or id"},
          {"scan_probe n=1 kv", "3:18: found the end of the line, expected key="},
          {"scan_probe n=1 kv timestamp=3", "3:19: found `timestamp=3`, expected key="},
          {"scan_abort n=1 now", "3:16: found `now`, expected the end of the line"},
          {"scan_close", "3:11: found the end of the line, expected n= and the number of a scan"},
      },
      "tonearm 1\n---\n", "\n");
}

TEST_CASE("scenario errors: operations that touch no key, and ids") {
  check(
      {
          {"commit times=0", "3:14: found `0`, expected a number from 1 to 1000000"},
          {"commit 3", "3:8: found `3`, expected times="},
          {"checkpoint now", "3:12: found `now`, expected the end of the line"},
          {"end", "3:4: found the end of the line, expected persist or discard"},
          {"crash", "3:6: found the end of the line, expected at="},
          {"crash at=4294967297", "3:10: found `4294967297`, expected a number from 0 to 4294967296"},
          {"crash at=1 writes=lost,gone",
           "3:24: found `gone`, expected lost, landed, torn, torn_garbage or torn_unreadable"},
          {"crash at=1 writes=lost,",
           "3:24: found the end of the line, expected lost, landed, torn, torn_garbage or torn_unreadable"},
          {"crash at=1 "
           "writes=torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,torn,lost",
           "3:99: found `lost`, expected at most 16 outcomes"},
          {"crash at=1 writes=lost+0x1",
           "3:23: found `+0x1`, expected no units: none or all of it are there"},
          {"crash at=1 writes=torn_garbage+0x1",
           "3:32: found `0x1`, expected units and the one that is garbage"},
          {"crash at=1 writes=3:lost,2:lost", "3:26: found `2`, expected a number from 4 to 65535"},
          {"reopen levels=3",
           "3:8: found `levels`, expected a run-time setting: this one is part of the data file "
           "and never changes"},
          {"reopen queue_depth=3",
           "3:8: found `queue_depth`, expected a run-time setting of the engine: this one holds for the "
           "whole run"},
          {"reopen cache_blocks", "3:20: found the end of the line, expected = and a value"},
          {"reopen read_iops=1 read_iops=2", "3:20: found `read_iops`, expected each setting once"},
          {"4 reopen cache_blocks=17",
           "3:1: cache_blocks: 17, expected a multiple of 16, from 16 to 16777216"},
          {"fault", "3:6: found the end of the line, expected a request like 17/compact_write(3,2)#4"},
          {"fault 5 fail", "3:7: found `5`, expected a request like 17/compact_write(3,2)#4"},
          {"fault 5/compact#0 fail",
           "3:7: found `5/compact#0`, expected a request like 17/compact_write(3,2)#4"},
          {"fault 5/scan(1)#0 fail",
           "3:7: found `5/scan(1)#0`, expected a request with (tree,level) after its "
           "purpose, like 17/compact_write(3,2)#4"},
          {"fault 5/scan# fail",
           "3:7: found `5/scan#`, expected a request like 17/compact_write(3,2)#4, after # a "
           "number from 0 to 4294967295"},
          {"fault 0/5/scan#0 fail",
           "3:7: found `0/5/scan#0`, expected an id like 17 or 17.1, a number from 1 to "
           "9223372036854775807"},
          {"fault 5/scan#0",
           "3:15: found the end of the line, expected a fault: fail, read_error, write_error, "
           "corrupt_transfer, "
           "unreadable, rot, lying_sync, lost_write, misdirected_write, misdirected_read or stale_read"},
          {"latency 5/scan#0 ticks=1099511627777",
           "3:24: found `1099511627777`, expected a number from 0 to 1099511627776"},
          {"7 scope\n  7 scope", "4:3: found `7`, expected an id of its own: line 3 has this one"},
          {"9 scope\n7.1 scope\n8 scope\n7.1 scope\n9 scope",
           "6:1: found `7.1`, expected an id of its own: line 4 has this one"},
      },
      "tonearm 1\n---\n", "\n");
}

TEST_CASE("scenario errors: long tokens and lines are told in short ones") {
  const std::string huge(5'000'000, '9');
  const std::string message = refusal("tonearm 1\n---\nget kv key=" + huge + "\n");
  REQUIRE(message ==
          "3:12: found `" + std::string(40, '9') + "...`, expected a number from 0 to 9223372036854775806");
  REQUIRE(refusal("tonearm 1\n---\nscope" + std::string(5'000'000, ' ') + "x\n") ==
          "3:5000006: found `x`, expected the end of the line");
  REQUIRE(refusal("tonearm 1\n---\ncrash at=1 writes=" + std::string(5'000'000, ',')).size() < 200);
  REQUIRE(refusal("tonearm 1\nset " + huge + "=1\n---\n").size() < 200);
  REQUIRE(refusal("tonearm 1\nworkload " + std::string(5'000'000, 'a') + "\n---\n").size() < 200);
}

TEST_CASE("scenario errors: too many operations, too many bytes") {
  REQUIRE(refusal("tonearm 1\nstory " + std::string(65537, 'a') + "\n---\n") ==
          "2:7: found a story of 65537 bytes, expected at most 65536");
  std::string text = "tonearm 1\n---\n";
  for (u64 i = 0; i <= scenario_operations_max; ++i) text += "x\n";
  REQUIRE(refusal(text).substr(0, 4) == "3:1:");
  const std::string big(scenario_bytes_max + 1, '\n');
  REQUIRE(refusal(big) == "1:1: found 67108865 bytes, expected at most 67108864");
}

TEST_CASE("seeds: strict, in three spellings") {
  const std::pair<const char*, u64> good[] = {
      {"0", 0},
      {"42", 42},
      {"18446744073709551615", u64_max},
      {"0x5eed", 0x5eed},
      {"0xFFFFFFFFFFFFFFFF", u64_max},
      {"da39a3ee5e6b4b0d3255bfef95601890afd80709", 0x95601890afd80709},
      {"0000000000000000000000000000000000000010", 0x10},
      {"1234567890123456789012345678901234567890", 0x5678901234567890},
  };
  for (const auto& [text, seed] : good) {
    INFO(text);
    REQUIRE(parse_seed(text).error.empty());
    REQUIRE(parse_seed(text).seed == seed);
  }
  const char* bad[] = {"",
                       "010",
                       "00",
                       "-1",
                       "+1",
                       "18446744073709551616",
                       "0x",
                       "0X5",
                       "0x10000000000000000",
                       " 1",
                       "1 ",
                       "1 2",
                       "5eed",
                       "0b11",
                       "1e9",
                       "1.0",
                       "da39a3ee5e6b4b0d3255bfef95601890afd8070",
                       "da39a3ee5e6b4b0d3255bfef95601890afd807099",
                       "ga39a3ee5e6b4b0d3255bfef95601890afd80709"};
  for (const char* text : bad) {
    INFO(text);
    REQUIRE_FALSE(parse_seed(text).error.empty());
  }
  REQUIRE(
      parse_seed("-1").error ==
      "found `-1`, expected a seed: decimal or 0x hexadecimal, a number from 0 to 18446744073709551615, or a "
      "40-digit git hash");
  REQUIRE(parse_seed("").error.substr(0, 13) == "found nothing");
}

TEST_CASE("scenario errors: lines about objects") {
  const std::string kinds =
      "insert, update, upsert, remove, orphan, get, exists, prefetch, scan, query, page, scan_open, "
      "scan_next, scan_probe, scan_abort, scan_close, commit, checkpoint, scope, end, crash, reopen, fault, "
      "heal, latency or reseed";
  CHECK(refusal("tonearm 1\nworkload groove\n---\nput things id=1\n") ==
        "4:1: found `put`, expected an operation: " + kinds);
  check(
      {
          {"insert", "4:7: found the end of the line, expected a groove: things, notes or events"},
          {"insert things.a id=1", "4:8: found `things.a`, expected a groove: things, notes or events"},
          {"insert things", "4:14: found the end of the line, expected id="},
          {"insert things a=1", "4:18: found the end of the line, expected id="},
          {"insert things id=1 id=2", "4:20: found `id=2`, expected each argument once"},
          {"insert things id=1 a=2 a=2", "4:24: found `a=2`, expected each argument once"},
          {"insert notes id=1 colour=2",
           "4:19: found `colour=2`, expected timestamp=, author=, pinned=, topic=, kind=, size=, flags= or "
           "body="},
          {"insert notes id=1 kind=256", "4:24: found `256`, expected a number from 0 to 255"},
          {"insert notes id=1 kind=", "4:24: found the end of the line, expected a number from 0 to 255"},
          {"insert events id=1",
           "4:15: found `id=1`, expected timestamp=, source=, weight=, length= or body="},
          {"insert events weight=4294967296",
           "4:22: found `4294967296`, expected a number from 0 to 4294967295"},
          {"insert things id=0x100000000000000000000000000000000",
           "4:18: found `0x100000000000000000000000000000000`, expected a number from 0 to "
           "0xffffffffffffffffffffffffffffffff"},
          {"insert things id=1 timestamp=18446744073709551616",
           "4:30: found `18446744073709551616`, expected a number from 0 to 18446744073709551615"},
          {"update things id=1 timestamp=3",
           "4:20: found `timestamp=3`, expected a=, b=, c=, d=, e=, f=, g=, h=, i=, j=, k=, l= or m="},
          {"update events source=1", "4:23: found the end of the line, expected timestamp="},
          {"remove things id=1 a=2", "4:20: found `a=2`, expected the end of the line"},
          {"orphan things id=1", "4:8: found `things`, expected a groove: notes"},
          {"orphan notes timestamp=1", "4:14: found `timestamp=1`, expected id="},
          {"exists things id=1", "4:15: found `id=1`, expected timestamp="},
          {"prefetch things", "4:16: found the end of the line, expected id= or timestamp="},
          {"prefetch things id=1 timestamp=2", "4:22: found `timestamp=2`, expected the end of the line"},
          {"get things key=1", "4:12: found `key=1`, expected id="},
          {"scan kv",
           "4:6: found `kv`, expected a tree: things, things.id, things.a, things.b, things.c, "
           "things.d, things.e, things.f, things.g, things.h, things.i, things.j, things.k, "
           "things.l, things.m, notes, notes.id, notes.author, notes.pinned, notes.topic, "
           "notes.kind, notes.large, notes.draft, events, events.source or events.weight"},
      },
      "tonearm 1\nworkload forest\n---\n");
  check({{"orphan notes id=1",
          "5:8: found `notes`, expected a groove with orphaned ids, which this world has not"},
         {"scan things.a", "5:6: found `things.a`, expected a tree: events, events.source or events.weight"},
         {"get things id=1", "5:5: found `things`, expected a groove: events"}},
        "tonearm 1\nworkload groove\nset groove=events\n---\n");
  CHECK(refusal("tonearm 1\nset groove=kv\n---\n") ==
        "2:12: found `kv`, expected things, notes, events or readings");
}
