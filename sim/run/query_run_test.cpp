// Lines about queries and open scans, on engine and model: what each answers, what closes it, what is
// refused.
#include <fmt/format.h>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

Played play_lines(const std::string& lines, const std::string& set = "", const char* workload = "forest") {
  const Scenario scenario = require_scenario(
      fmt::format("tonearm 1\nworkload {}\nexpect pass\nseed 0x9\nset batch_values_max=8 beats=2 "
                  "checkpoint_interval=4 {}\n---\n{}",
                  workload, set, lines));
  Played played = play(scenario);
  check_passed(played.result);
  return played;
}

const std::string three_things =
    "1 insert things id=1 a=1 b=9\n"
    "2 insert things id=2 a=1 b=8\n"
    "3 insert things id=3 a=2 b=8\n";

}  // namespace

TEST_CASE("queries answer in the order of timestamps", "[query]") {
  for (const char* between : {"", "4 commit\n", "4 commit times=9\n"}) {
    INFO(between);
    const Played played = play_lines(three_things + between +
                                     "10 query things a=1\n"
                                     "11 query things a=1 desc\n"
                                     "12 query things a=1 & b=8\n"
                                     "13 query things a=1 | b=8\n"
                                     "14 query things a=1 - b=8 cold\n"
                                     "15 query things b=8..9 buffer=1\n"
                                     "16 query things b=8..9@2.. desc limit=1 buffer=7\n"
                                     "17 query things id=2..3 - (a=2 & timestamp=..2)\n"
                                     "18 query things timestamp=..\n"
                                     "19 query things a=3 | (a=1 & a=2)\n"
                                     "20 query notes draft\n");
    CHECK(played.answered("10 -> 1 2"));
    CHECK(played.answered("11 -> 2 1"));
    CHECK(played.answered("12 -> 2"));
    CHECK(played.answered("13 -> 1 2 3"));
    CHECK(played.answered("14 -> 1"));
    CHECK(played.answered("15 -> 1 2 3"));
    CHECK(played.answered("16 -> 3"));
    CHECK(played.answered("17 -> 2 3"));
    CHECK(played.answered("18 -> 1 2 3"));
    CHECK(played.answered("19 ->"));
    CHECK(played.answered("20 ->"));
    CHECK(played.result.counters.skips == 0);
  }
}

TEST_CASE("pages go on behind the last timestamp, whatever happens in between", "[query]") {
  const Played played = play_lines(three_things +
                                   "4 page things\n"  // Nobody has asked yet.
                                   "5 query things timestamp=.. limit=1\n"
                                   "6 commit\n"
                                   "7 insert things id=4 a=1\n"  // Lost.
                                   "8 crash at=0\n"
                                   "9 page things\n"
                                   "10 remove things id=3\n"
                                   "11 checkpoint\n"
                                   "12 insert things id=5\n"
                                   "13 page things\n"
                                   "14 page things\n"
                                   "15 query things timestamp=.. desc limit=2 buffer=1\n"
                                   "16 reopen cache_blocks=16\n"
                                   "17 page things\n"
                                   "18 page things\n"
                                   "19 page notes\n");
  CHECK(played.answered("5 -> 1"));
  CHECK(played.answered("9 -> 2"));
  CHECK(played.answered("13 -> 12"));
  CHECK(played.answered("14 ->"));
  CHECK(played.answered("15 -> 12 2"));
  CHECK(played.answered("17 -> 1"));
  CHECK(played.answered("18 ->"));
  CHECK(played.result.counters.skips == 2);
}

TEST_CASE("more predicates than the pool holds are refused, and the run goes on", "[query]") {
  const Played played = play_lines(three_things +
                                       "4 query things a=1 | a=2 | a=3\n"
                                       "5 query things a=1 | a=2\n"
                                       "6 scan_open n=0 things a=1\n"
                                       "7 query things a=1 | a=2\n"
                                       "8 scan_open n=1 things a=1 - b=8\n"
                                       "9 query things a=2\n"
                                       "10 scan_next n=0,1 count=3\n"
                                       "11 scan_close n=0\n"
                                       "12 scan_open n=1 things a=1 - b=8\n"
                                       "13 scan_next n=1 count=3\n"
                                       "14 query things a=1\n",
                                   "scans_max=2");
  CHECK(played.answered("4 -> scans_max_exceeded"));
  CHECK(played.answered("5 -> 1 2 3"));
  CHECK(played.answered("7 -> scans_max_exceeded"));
  CHECK(played.answered("9 -> 3"));
  CHECK(played.answered("10 -> 0:1 0:2"));
  CHECK(played.answered("13 -> 1:1"));
  CHECK(played.answered("14 -> scans_max_exceeded"));
  CHECK(played.result.counters.skips == 0);
  CHECK(played.result.counters.scans_full == 4);
}

TEST_CASE("open queries are probed, aborted, and closed by every change", "[query]") {
  const Played played = play_lines(three_things +
                                   "4 commit\n"
                                   "5 scan_open n=3 things timestamp=..\n"
                                   "6 scan_open n=4 things b=8 desc\n"
                                   "7 scan_next n=3\n"
                                   "8 scan_probe n=3 timestamp=3\n"
                                   "9 scan_probe n=3 timestamp=2\n"  // Lags behind.
                                   "10 scan_next n=3,4 count=9\n"
                                   "11 scan_open n=3 things a=1\n"  // Is open.
                                   "12 get things id=1\n"
                                   "13 scan_close n=3\n"
                                   "14 scan_open n=3 things a=1\n"
                                   "15 scan_abort n=3\n"
                                   "16 scan_next n=3\n"
                                   "17 update things id=1 a=4\n"
                                   "18 scan_next n=3\n"   // Closed by the update.
                                   "19 scan_close n=4\n"  // So is this.
                                   "20 scan_probe n=4 timestamp=1\n"
                                   "21 scope\n"
                                   "22 scan_open n=3 things a=1\n"
                                   "23 query things a=1\n"
                                   "24 end discard\n");
  CHECK(played.answered("7 -> 3:1"));
  CHECK(played.answered("10 -> 3:3 4:3 4:2"));
  CHECK(played.answered("16 ->"));
  CHECK(played.result.counters.skips == 6);
}

TEST_CASE("open scans of trees yield values, and know their tree", "[query]") {
  const Played played = play_lines(
      "1 put kv key=5 value=50\n"
      "2 put kv key=6 value=60\n"
      "3 put kv key=9 value=90\n"
      "4 put id key=9 value=1\n"
      "5 commit\n"
      "6 scan_open n=0 kv from=5 to=8\n"
      "7 scan_open n=1 id desc cold\n"
      "8 scan_next n=0,1 count=2\n"
      "9 scan_next n=0\n"
      "10 scan_close n=0\n"
      "11 scan_open n=0 kv\n"
      "12 scan_probe n=0 kv key=6\n"
      "13 scan_probe n=0 id key=9\n"  // Another tree.
      "14 scan_next n=0 count=7\n"
      "15 get kv key=5\n"
      "16 put kv key=7 value=70\n"
      "17 scan_next n=0\n",
      "", "scan_tree");
  CHECK(played.answered("8 -> 0:5=50 1:9=1 0:6=60"));
  CHECK(played.answered("9 ->"));
  CHECK(played.answered("14 -> 0:6=60 0:9=90"));
  CHECK(played.result.counters.skips == 2);
}

}  // namespace tonearm::sim
