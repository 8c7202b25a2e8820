// Runs that go on with another seed, as a user meets them: by hand, in a guided campaign, and to find out
// when a run is bound to fail.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "sim/cli/cli_fixture.h"

namespace tonearm::sim {

namespace {

// One line, and nothing ran.
void check_refused(const Fixture& f, const std::string& words, const std::string& reason) {
  const Ended ended = f.tonearm(words);
  CAPTURE(words, ended.out, ended.err);
  CHECK(ended.status == 2);
  CHECK(ended.out.empty());
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
  CHECK(ended.err.find(reason) != std::string::npos);
}

TEST_CASE("reseed: a run goes on with another seed, and its file is the same run", "[cli]") {
  const Fixture f;
  const std::string words = "--seed 7 --ops 300 --reseed 100:9 --reseed 200:0xa";
  const Ended run = f.tonearm("run " + words);
  CAPTURE(run.out, run.err);
  CHECK(run.status == 0);
  REQUIRE(f.tonearm("print " + words + " -o seven.scenario").status == 0);
  const std::string text = slurp(f.directory / "seven.scenario");
  CHECK(text.find("\n100.1 reseed seed=0x9\n101 ") != std::string::npos);
  CHECK(text.find("\n200.1 reseed seed=0xa\n201 ") != std::string::npos);
  const Ended replay = f.tonearm("replay seven.scenario");
  CHECK(field(replay.last_line(), "digest") == field(run.last_line(), "digest"));
  CHECK(field(replay.last_line(), "ops") == "302");
  const Ended plain = f.tonearm("run --seed 7 --ops 300");
  CHECK(field(plain.last_line(), "digest") != field(run.last_line(), "digest"));
  // Of a file the lines stay.
  REQUIRE(f.tonearm("print --seed 7 --ops 300 -o plain.scenario").status == 0);
  const Ended kept = f.tonearm("run --scenario plain.scenario --reseed 100:9");
  CHECK(kept.status == 0);
  CHECK(field(kept.last_line(), "ops") == "301");
  CHECK(field(kept.last_line(), "digest") != field(plain.last_line(), "digest"));
}

TEST_CASE("reseed: what is not where it belongs is refused", "[cli]") {
  const Fixture f;
  check_refused(f, "run --seed 7 --reseed 100", "--reseed: found `100`, expected ID:SEED");
  check_refused(f, "run --seed 7 --reseed x:1", "--reseed: found `x`, expected an id like 17 or 17.1");
  check_refused(f, "run --seed 7 --reseed 1:-1", "expected a seed");
  check_refused(f, "run --seed 7 --ops 50 --reseed 51:1", "--reseed: found 51, expected a line from 0 to 50");
  check_refused(f, "run --seed 7 --reseed 9:1 --reseed 8:1", "--reseed: found 8, expected a line from 9 to");
  check_refused(f, "run --workload cache --seed 7 --reseed 9:1", "--reseed: found the workload cache");
  f.write("t.scenario", "tonearm 1\nworkload tree\n---\n1 commit\n");
  check_refused(f, "run --scenario t.scenario --reseed 2:1", "expected the id of a line of t.scenario");
  f.write("c.scenario", "tonearm 1\nworkload cache\n---\n1 reseed seed=1\n");
  check_refused(f, "replay c.scenario", "c.scenario:4:3: found `reseed`, expected a verb of cache");
  f.write("h.scenario", "tonearm 1\nreseed seed=1\n---\n");
  check_refused(f, "replay h.scenario", "h.scenario:2:1: found `reseed`");
  check_refused(f, "shrink --when", "expected a file or --seed N");
  check_refused(f, "shrink --seed 1 --suffixes 3", "--suffixes: expected --when");
  check_refused(f, "shrink --when --seed 1 --suffixes 0", "--suffixes");
  check_refused(f, "shrink --when --seed 1 --reseed 1:1", "--when, --reseed: expected one of them");
  check_refused(f, "shrink --when --seed 1 -o x.scenario", "--when, --output");
  check_refused(f, "shrink --when --workload cache --seed 1", "--when: found the workload cache");
}

TEST_CASE("when: the canary is bound to fail from the start, and what passes is not asked", "[cli]") {
  const Fixture f;
  const std::string words = "shrink --when --workload canary --ops 60 --suffixes 2 --for 60s --seed ";
  const Ended when = f.tonearm(words + std::to_string(failing_canary()));
  CAPTURE(when.out, when.err);
  CHECK(when.status == 1);
  CHECK(when.out.find("\nbound:     after line start it is bound to fail (8 of 8 suffixes)\n") !=
        std::string::npos);
  CHECK(when.last_line().starts_with("FAIL class=sim signature="));
  const Ended json = f.tonearm(words + std::to_string(failing_canary()) + " --json");
  const nlohmann::json object = nlohmann::json::parse(json.out);
  CHECK(object["schema"] == "tonearm.when/1");
  CHECK(object["bound_after"] == "start");
  CHECK(object["exact"] == true);
  CHECK(object["places"][0]["alike"] == 8);
  CHECK(f.tonearm("shrink --when --ops 60 --seed 1").status == 0);
}

TEST_CASE("guided: branches are counted, end as their command does, and are the same each time", "[cli]") {
  const Fixture f;
  const std::string words =
      "campaign --guided --workload tree --seeds 1..40 --jobs 1 --ops 400 --quiet --json";
  const Ended guided = f.tonearm(words);
  CAPTURE(guided.out, guided.err);
  CHECK(guided.status == 0);
  const nlohmann::json object = nlohmann::json::parse(guided.out);
  CHECK(object["seeds"] == 40);
  CHECK(object["branches"] > 0);
  CHECK(object["branches_failed"] == 0);
  const nlohmann::json again = nlohmann::json::parse(f.tonearm(words).out);
  CHECK(again["branches"] == object["branches"]);
  CHECK(again["counters"] == object["counters"]);
  const nlohmann::json plain = nlohmann::json::parse(
      f.tonearm("campaign --workload tree --seeds 1..40 --jobs 1 --ops 400 --quiet --json").out);
  CHECK(plain["branches"] == 0);
  CHECK(plain["counters"] == object["counters"]);
}

constexpr const char* limited = " --workload tree --jobs 1 --ops 200 --no-shrink --set liveness_ticks_max=";

// About the least time in which each call of the engine ends, in all of these runs.
u64 ticks_needed(const Fixture& f, const std::string& seeds) {
  u64 fails = 4;
  u64 passes = 1 << 22;
  while (passes > fails + fails / 4) {
    u64 tried = fails;
    while (tried * tried < fails * passes) tried += tried / 8 + 1;  // About the geometric mean.
    tried = std::min(tried, passes - 1);
    const std::string words = "campaign --until-failure --quiet --seeds " + seeds + limited;
    const Ended ended = f.tonearm(words + std::to_string(tried));
    REQUIRE((ended.status == 0 || ended.status == 1));
    (ended.status == 0 ? passes : fails) = tried;
  }
  return passes;
}

TEST_CASE("guided: what fails in a branch only is reported with the command that fails alike", "[cli]") {
  // That needs no bug: a branch may wait longer for the disk than the seeds before it. If it is a seed that
  // does so first, others are tried.
  const Fixture f;
  for (u64 first = 1; first < 20'000; first += 1000) {
    const auto range = [&](u64 count) {
      return std::to_string(first) + ".." + std::to_string(first + count - 1);
    };
    const std::string limit = limited + std::to_string(ticks_needed(f, range(20)));
    const Ended guided = f.tonearm("campaign --guided --until-failure --seeds " + range(200) + limit);
    const std::regex reproduce(
        "\nreproduce: tonearm (run .*(--seed 0x[0-9a-f]+)( --reseed [0-9]+:0x[0-9a-f]+) .*)\n");
    std::smatch found;
    if (!std::regex_search(guided.out, found, reproduce)) continue;
    CAPTURE(guided.out, guided.err);
    if (guided.out.find("in twin 1") != std::string::npos) continue;  // Which the seed may have itself.
    CHECK(guided.status == 1);
    const std::string command = found[1];
    const std::string seed = found[2];
    REQUIRE(std::regex_search(guided.out, found, std::regex("\nFAIL class=liveness [^\n]*")));
    const Ended again = f.tonearm(command + " --no-shrink");
    CAPTURE(command, again.out);
    CHECK(again.status == 1);
    CHECK("\n" + again.last_line() == found[0]);
    CHECK(f.tonearm("replay last").status == 0);
    // The seed itself passes.
    std::string plain = limit;
    plain.replace(plain.find(" --jobs 1"), 9, "");
    CHECK(f.tonearm("run " + seed + plain).status == 0);
    return;
  }
  FAIL("each time a seed was the first that waits too long");
}

}  // namespace

}  // namespace tonearm::sim
