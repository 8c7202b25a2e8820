// The program as a user meets it: what it prints, and the status it ends with.
#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/mark.h"
#include "base/span.h"
#include "sim/cli/cli_fixture.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr const char* bad_usage[] = {
    "sweep --seed 1 --depth 3",
    "sweep --seed 1 --workload free_set",
    "",
    "--frobnicate",
    "dance",
    "run --frobnicate",
    "run --seed",
    "run --seed -1",
    "run --seed 010",
    "run --seed 18446744073709551616",
    "run --seed 0x10000000000000000",
    "run --seed=-1",
    "run --seed 1x",
    "run --seed ''",
    "run --seed 1 --seed 2",
    "run --seed 1 --workload polka",
    "run --seed 1 --ops x",
    "run --seed 1 --ops -3",
    "run --seed 1 --set blok_size=512",
    "run --seed 1 --set block_size",
    "run --seed 1 --set block_size=513",
    "run --seed 1 --set block_size=",
    "run --seed 1 --set completion=best",
    "run --seed 1 --set fault.failed_sync=2/1",
    "run --seed 1 --disable polka",
    "run --seed 1 --disable pop",
    "run --seed 1 --workload cache --disable pop",
    "replay component.scenario --disable acquire",
    "campaign --seeds 1..2 --disable polka",
    "run --seed 1 --cpu-limit x",
    "run --seed 1 --oracles model,polka",
    "run --seed 1 --oracles ''x",
    "run --seed 1 --twins -1",
    "run --seed 1 --until x",
    "run --seed 1 --break-at tick:x",
    "run --seed 1 --color mauve",
    "run --seed 1 --scenario bad.scenario",
    "run --scenario bad.scenario",
    "run --scenario nowhere.scenario",
    "run --scenario .",
    "run --scenario empty.scenario",
    "run --scenario other.scenario --ops 5",
    "run --scenario other.scenario",
    "run extra",
    "replay",
    "replay bad.scenario",
    "replay version.scenario",
    "replay last",
    "replay nowhere",
    "replay bad.scenario other.scenario",
    "print",
    "print --seed x",
    "print --seed 1 --ops 262145",
    "diff",
    "diff --seed 1 bad.scenario",
    "campaign",
    "campaign --seeds 5..1",
    "campaign --seeds 1..",
    "campaign --seeds 1..2 --jobs 0",
    "campaign --for 5",
    "campaign --for 0s",
    "campaign --for 99999999999999999999s",
    "campaign --seeds 1..2 --workload polka",
    "inspect",
    "inspect nowhere.bin",
    "inspect image.bin",
    "inspect --seed 1 image.bin",
    "inspect --seed x",
    "marks --seeds x",
    "bench polka",
};

}  // namespace

TEST_CASE("bad usage ends with status 2 and one line", "[cli]") {
  const Fixture f;
  f.write("bad.scenario", "tonearm 1\nworkload tree\nseed 0x5eed\n---\n17 putt kv key=5 value=9\n");
  f.write("other.scenario", "tonearm 1\nworkload polka\n---\n");
  f.write("version.scenario", "tonearm 2\n");
  f.write("component.scenario", "tonearm 1\nworkload merge\n---\n1 pop times=3\n");
  f.write("empty.scenario", "");
  f.write("image.bin", "odd");
  for (const char* words : bad_usage) {
    CAPTURE(words);
    const Ended ended = f.tonearm(words);
    CAPTURE(ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.out.empty());
    CHECK(std::regex_match(ended.err, std::regex("tonearm: [^\\n]+\\n")));
  }
}

TEST_CASE("a malformed file is named with line and column", "[cli]") {
  const Fixture f;
  f.write("bad.scenario", "tonearm 1\nworkload tree\nseed 0x5eed\n---\n17 putt kv key=5 value=9\n");
  CHECK(
      f.tonearm("replay bad.scenario").err.starts_with("tonearm: bad.scenario:5:4: found `putt`, expected "));
  f.write("query.scenario",
          "tonearm 1\nworkload scan\nset groove=notes\n---\n1 query notes author=1 & draft | kind=2\n");
  const Ended query = f.tonearm("replay query.scenario");
  CHECK(query.status == 2);
  CHECK(query.out.empty());
  CHECK(query.err.starts_with("tonearm: query.scenario:5:32: found `|`, expected the same operator again"));
  const Ended unknown = f.tonearm("run --seed 1 --set blok_size=512");
  CHECK(unknown.err.find("block_size") != std::string::npos);
  CHECK(f.tonearm("run --seed 1 --disable comit").err.find("nearest: commit") != std::string::npos);
  CHECK(f.tonearm("run --seed 1 --workload free_set --disable forfit").err.find("nearest: forfeit") !=
        std::string::npos);
}

TEST_CASE("a verb of a component workload can be disabled, and the other lines stay", "[cli]") {
  const Fixture f;
  const std::string seed = "--workload free_set --seed 1 --ops 300";
  REQUIRE(f.tonearm("print " + seed + " -o all.scenario").status == 0);
  REQUIRE(f.tonearm("print " + seed + " --disable crash --disable hostile -o some.scenario").status == 0);
  std::istringstream all(slurp(f.directory / "all.scenario"));
  std::string expected;
  u64 dropped = 0;
  for (std::string line; std::getline(all, line);) {
    const bool drop = std::regex_search(line, std::regex("^[0-9]+ (crash|hostile) "));
    dropped += drop ? 1 : 0;
    if (!drop) expected += line + "\n";
  }
  CHECK(dropped > 0);
  CHECK(std::regex_replace(expected, std::regex("(set weight[^\n]*\n)"), "") ==
        std::regex_replace(slurp(f.directory / "some.scenario"), std::regex("(set weight[^\n]*\n)"), ""));
  const Ended seeds = f.tonearm("run " + seed + " --disable crash --disable hostile");
  const Ended file = f.tonearm("run --scenario all.scenario --disable crash --disable hostile");
  CAPTURE(seeds.out, file.out);
  CHECK(seeds.status == 0);
  CHECK(field(seeds.last_line(), "answers") == field(file.last_line(), "answers"));
  CHECK(f.tonearm("workloads -v").out.find("forfeit") != std::string::npos);
}

TEST_CASE("without faults there is no full disk either, but the mirror stays", "[cli]") {
  const Fixture f;
  const std::string words =
      "print --seed 1 --ops 5 --set fault.full_blocks=64 --set mirror=on --set fault.rot=1/9 "
      "--set fault.rot.zone=mirror";
  const std::string all = f.tonearm(words).out;
  CHECK(all.find("fault.full_blocks=64") != std::string::npos);
  CHECK(all.find("\nfault rot 1/9") != std::string::npos);
  const std::string none = f.tonearm(words + " --disable fault").out;
  CAPTURE(none);
  CHECK(none.find("full_blocks") == std::string::npos);
  CHECK(none.find("\nfault ") == std::string::npos);
  CHECK(none.find("mirror=on") != std::string::npos);
  REQUIRE(f.tonearm(words + " -o all.scenario").status == 0);
  const Ended replayed = f.tonearm("run --scenario all.scenario --disable fault");
  CHECK(replayed.status == 0);
  CHECK(field(replayed.last_line(), "faults") == "0");
  CHECK(f.tonearm(words + " --disable full_blocks").out.find("full_blocks") == std::string::npos);
}

TEST_CASE("a run that takes too much CPU time counts as hanging", "[cli]") {
  const Fixture f;
  const Ended ended = f.tonearm("run --seed 1 --ops 4000000000 --cpu-limit 1");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 1);
  CHECK(ended.last_line().starts_with("FAIL class=hang "));
  CHECK(ended.out.find("\nreproduce: tonearm run --workload tree --seed 0x1 --ops 4000000000\n") !=
        std::string::npos);
  // Of so many lines no file is written.
  CHECK(ended.out.find("\nreplay: ") == std::string::npos);
  CHECK_FALSE(fs::exists(f.directory / "failures"));
}

TEST_CASE("of a long run that fails early the lines up to the failure are kept, and shrunk", "[cli]") {
  const Fixture f;
  // A call that may take no time fails soon.
  const std::string words = "--seed 1 --ops 4000000000 --set liveness_ticks_max=1";
  const Ended ended = f.tonearm("run --no-shrink " + words);
  CAPTURE(ended.out, ended.err);
  REQUIRE(ended.status == 1);
  REQUIRE(field(ended.last_line(), "op") != "-");
  const std::string signature = field(ended.last_line(), "signature");
  const fs::path file = f.directory / "failures" / (signature + ".scenario");
  REQUIRE(fs::exists(file));
  CHECK(fs::file_size(file) < 1'000'000);
  CHECK(f.tonearm("replay last").status == 0);
  const Ended shrunk = f.tonearm("shrink " + words + " --for 5s -o small.scenario");
  CAPTURE(shrunk.out, shrunk.err);
  CHECK(shrunk.status == 1);
  CHECK(field(shrunk.last_line(), "signature") == signature);
}

TEST_CASE("what would be played, kept or waited for without bound is refused", "[cli]") {
  const Fixture f;
  REQUIRE(mkfifo((f.directory / "pipe").c_str(), 0600) == 0);
  for (const char* words :
       {"replay pipe", "run --scenario pipe", "shrink pipe", "shrink --when pipe", "sweep pipe",
        "inspect pipe", "diff --scenario pipe", "replay /dev/zero", "print --seed 1 --ops 4000000000",
        "sweep --seed 1 --ops 4000000000", "run --workload cache --seed 1 --disable get --ops 4000000000",
        "run --seed 1 --ops 5 --set block_size=65536 --set blocks_count=1024 --set cache_blocks=8192",
        "inspect --seed 1 --ops 5 --set block_size=65536 --set blocks_count=8192 -o image"}) {
    CAPTURE(words);
    const Ended ended = f.tonearm(words);
    CAPTURE(ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.out.empty());
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    CHECK(ended.err.find("expected") != std::string::npos);
  }
}

TEST_CASE("what cannot be written ends with status 3", "[cli]") {
  const Fixture f;
  CHECK(f.tonearm("print --seed 1 --ops 5 -o nowhere/x").status == 3);
  CHECK(f.tonearm("run --seed 1 --ops 5 --answers nowhere/x").status == 3);
  CHECK(f.tonearm("print --seed 1 --ops 5 >/dev/full").status == 3);
}

TEST_CASE("help, lists and a sweep that passes end with status 0", "[cli]") {
  const Fixture f;
  for (const char* words : {"--help", "run --help", "campaign --help", "--version", "workloads", "options",
                            "marks", "sweep --seed 5 --ops 150 --outcomes 50"}) {
    CAPTURE(words);
    const Ended ended = f.tonearm(words);
    CHECK(ended.status == 0);
    CHECK_FALSE(ended.out.empty());
    CHECK(ended.err.empty());
  }
  CHECK(f.tonearm("run --help").out.find("Example") != std::string::npos);
  CHECK(f.tonearm("--version").out.find("scenario format 1") != std::string::npos);
  const auto options = nlohmann::json::parse(f.tonearm("options --json").out);
  CHECK(options.size() == settings().size());
  CHECK(options[0]["option"] == settings()[0].name);
  CHECK(nlohmann::json::parse(f.tonearm("marks --json").out).size() == mark_count);
}

TEST_CASE("a run ends with one line of fixed shape", "[cli]") {
  const Fixture f;
  const Ended ended = f.tonearm("run --seed 0x5eed --ops 400");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.err.empty());
  CHECK(std::regex_match(
      ended.last_line(),
      std::regex(
          "PASS workload=tree seed=0x5eed ops=\\d+ ticks=\\d+ faults=\\d+ crashes=\\d+ checks=\\d+ "
          "unanswered=\\d+ "
          "answers=[0-9a-f]{16} digest=[0-9a-f]{16} gen=\\d+ git=\\S+ build=(gcc|clang)-[0-9.]+-\\S+")));
  CHECK(f.tonearm("run --seed 24301 --ops 400 --check-determinism --twins 1").last_line() ==
        ended.last_line());

  const auto json = nlohmann::json::parse(f.tonearm("run --seed 0x5eed --ops 400 --json").out);
  CHECK(json["schema"] == "tonearm.run/1");
  CHECK(json["verdict"] == "pass");
  CHECK(json["seed"] == "0x5eed");
  CHECK(json["digest"] == field(ended.last_line(), "digest"));
  CHECK(json["answers"] == field(ended.last_line(), "answers"));
  CHECK(json["counters"]["checks"].dump() == field(ended.last_line(), "checks"));
}

TEST_CASE("a run without a seed prints a fresh one first", "[cli]") {
  const Fixture f;
  const Ended ended = f.tonearm("run --ops 50");
  std::smatch match;
  REQUIRE(std::regex_search(ended.out, match, std::regex("^seed (0x[0-9a-f]+)\n")));
  CHECK(field(ended.last_line(), "seed") == match[1].str());
}

TEST_CASE("a printed seed replays to the same digests", "[cli]") {
  const Fixture f;
  for (const char* seed : {"1", "2", "3"}) {
    const Ended run = f.tonearm(std::string("run --ops 500 --seed ") + seed);
    CAPTURE(run.out, run.err);
    REQUIRE(f.tonearm(std::string("print --ops 500 -o one.scenario --seed ") + seed).status == 0);
    const Ended replay = f.tonearm("replay one.scenario");
    CAPTURE(replay.out, replay.err);
    CHECK(replay.status == 0);
    CHECK(field(replay.last_line(), "digest") == field(run.last_line(), "digest"));
    CHECK(field(replay.last_line(), "answers") == field(run.last_line(), "answers"));
    CHECK(field(replay.last_line(), "as_expected") == "yes");
  }
}

TEST_CASE("answers are written one a line", "[cli]") {
  const Fixture f;
  REQUIRE(f.tonearm("run --seed 1 --ops 500 --answers answers.txt").status == 0);
  const std::string answers = slurp(f.directory / "answers.txt");
  REQUIRE_FALSE(answers.empty());
  CHECK(std::regex_match(answers, std::regex("([0-9.]+ ->( \\S.*)?\n)+")));
  CHECK(std::regex_search(answers, std::regex(" -> [0-9]")));
}

namespace {

// Of a trace: how often there was what, by "process/category"; asynchronous ones once.
std::map<std::string, u64> count_events(const nlohmann::json& events) {
  std::map<std::string, u64> counts;
  std::map<u64, nlohmann::json> open;
  u64 lines_open = 0;
  u64 tick = 0;
  for (const nlohmann::json& event : events) {
    const std::string phase = event["ph"];
    if (phase == "M") continue;
    CAPTURE(event.dump());
    REQUIRE(event["ts"].get<u64>() >= tick);
    tick = event["ts"];
    const std::string what = std::to_string(event["pid"].get<u64>()) + "/" + event["cat"].get<std::string>();
    if (phase == "b") {
      REQUIRE(open.emplace(event["id"].get<u64>(), event).second);
    } else if (phase == "e") {
      const auto begin = open.extract(event["id"].get<u64>());
      REQUIRE_FALSE(begin.empty());
      REQUIRE(begin.mapped()["name"] == event["name"]);
      REQUIRE(begin.mapped()["cat"] == event["cat"]);
      ++counts[what];
    } else if (phase == "B") {
      REQUIRE(++lines_open == 1);
    } else if (phase == "E") {
      REQUIRE(--lines_open == 0);
      ++counts[what];
    } else {
      REQUIRE(phase == "i");
      ++counts[what];
    }
  }
  CHECK(open.empty());
  CHECK(lines_open == 0);
  return counts;
}

}  // namespace

TEST_CASE("a trace shows lines, engine and disk over virtual time", "[cli]") {
  const Fixture f;
  const std::string run = "run --workload forest --seed 3 --ops 1500 --twins 0 --set weight.crash=3";
  const Ended plain = f.tonearm(run);
  const Ended traced = f.tonearm(run + " --trace once.json");
  CAPTURE(plain.out, traced.out, traced.err);
  REQUIRE(traced.status == 0);
  CHECK(traced.last_line() == plain.last_line());
  const std::string text = slurp(f.directory / "once.json");
  const std::map<std::string, u64> counts = count_events(nlohmann::json::parse(text));
  for (u32 kind = 0; kind < span_kind_count; ++kind) {
    const std::string what = std::string("2/") + span_name(static_cast<SpanKind>(kind));
    CAPTURE(what);
    CHECK(counts.contains(what));
  }
  for (const char* what : {"1/line", "2/mark", "3/read", "3/write", "3/sync", "3/crash"}) {
    CAPTURE(what);
    CHECK(counts.contains(what));
  }
  CHECK(counts.at("1/line") == 1500);
  REQUIRE(f.tonearm(run + " --trace again.json --check-determinism").status == 0);
  CHECK(slurp(f.directory / "again.json") == text);
  CHECK(f.tonearm("run --seed 1 --ops 5 --trace nowhere/x").status == 3);
}

TEST_CASE("a run compared with itself shows no difference", "[cli]") {
  const Fixture f;
  CHECK(f.tonearm("diff --seed 1 --ops 300").status == 0);
  CHECK(f.tonearm(std::string("diff --seed 1 --ops 300 --against ") + TONEARM_PROGRAM).status == 0);
  CHECK(f.tonearm("diff --seed 1 --ops 300 --against /bin/false").status == 3);
}

TEST_CASE("the canary fails, leaves its scenario, and that replays to the same failure", "[cli]") {
  const Fixture f;
  const Ended run = f.tonearm("run --no-shrink --workload canary --seed " + std::to_string(failing_canary()));
  CAPTURE(run.out, run.err);
  CHECK(run.status == 1);
  CHECK(std::regex_match(
      run.last_line(),
      std::regex("FAIL class=sim signature=[0-9a-f]{8} workload=canary seed=0x[0-9a-f]+ op=\\S+ "
                 "answers=[0-9a-f]{16} digest=[0-9a-f]{16} gen=\\d+ git=\\S+ build=\\S+")));
  CHECK(run.out.find("\nreproduce: tonearm run --workload canary --seed 0x") != std::string::npos);
  CHECK(run.out.find("\nreplay:    tonearm replay last\n") != std::string::npos);
  const std::string signature = field(run.last_line(), "signature");
  CHECK(slurp(f.directory / "failures" / "last") == "failures/" + signature + ".scenario\n");
  CHECK(slurp(f.directory / "failures" / (signature + ".scenario")).find("\nexpect fail " + signature) !=
        std::string::npos);
  const Ended replay = f.tonearm("replay last");
  CAPTURE(replay.out, replay.err);
  CHECK(replay.status == 0);
  CHECK(field(replay.last_line(), "signature") == signature);
  CHECK(field(replay.last_line(), "digest") == field(run.last_line(), "digest"));
}

TEST_CASE("a campaign of the canary fails at its known rate", "[cli]") {
  const Fixture f;
  const Ended ended = f.tonearm("campaign --workload canary --seeds 1..60 --jobs 2");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 1);
  u64 expected = 0;
  for (u64 seed = 1; seed <= 60; ++seed) expected += canary_fails(seed) ? 1 : 0;
  CHECK(expected > 0);
  CHECK(field(ended.last_line(), "failed") == std::to_string(expected));
  CHECK(field(ended.last_line(), "signatures") == "1");
}

TEST_CASE("a campaign plays every seed once and writes its digests in order", "[cli]") {
  const Fixture f;
  const Ended ended = f.tonearm(
      "campaign --workload tree --seeds 8..19 --ops 200 --jobs 2 --digests digests.tsv --twins 1 "
      "--check-determinism");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 0);
  CHECK(field(ended.last_line(), "seeds") == "12");
  CHECK(field(ended.last_line(), "passed") == "12");
  std::ifstream digests(f.directory / "digests.tsv");
  std::string line;
  u64 seed = 8;
  while (std::getline(digests, line)) {
    CAPTURE(line);
    char shape[64];
    std::snprintf(shape, sizeof(shape), "0x%llx\t[0-9a-f]{16}\t[0-9a-f]{16}",
                  static_cast<unsigned long long>(seed++));
    CHECK(std::regex_match(line, std::regex(shape)));
  }
  CHECK(seed == 20);
  const auto json = nlohmann::json::parse(f.tonearm("campaign --seeds 8..9 --ops 2000 --json --quiet").out);
  u64 played = 0;  // By default every workload but the one that fails on purpose.
  for (const Workload& workload : workloads()) played += std::string_view(workload.name) != "canary" ? 2 : 0;
  CHECK(json["schema"] == "tonearm.campaign/1");
  CHECK(json["seeds"] == played);
  CHECK(played > 2);
  // Components take checkpoints without a commit: shares are of those that commit.
  CHECK(json["committing"] > 0);
  CHECK(json["committing"] < played);
  CHECK(json["past_second_checkpoint"] <= json["committing"]);
}

TEST_CASE("a worker that is killed costs one seed, which is named", "[cli]") {
  const Fixture f;
  // SIGTRAP has no handler: the run dies where --break-at says, and replay sees a signal.
  REQUIRE(f.tonearm("print --seed 1 --ops 50 -o one.scenario").status == 0);
  const Ended ended = f.tonearm("replay one.scenario --break-at 3");
  CHECK(ended.status != 0);
  CHECK(ended.status != 2);
}

TEST_CASE("cli: enumerate plays every program of a line, with crashes, and counts", "[cli]") {
  const Fixture here;
  const std::string starts = " --jobs 1 --starts " TONEARM_SOURCE_DIR "/corpus/enumerate";
  const Ended tree = here.tonearm("enumerate --ops 1 --workload tree" + starts);
  INFO(tree.out << tree.err);
  REQUIRE(tree.status == 0);
  CHECK(tree.last_line().starts_with("PASS workload=tree lines=1 starts=10 programs=82 "));
  CHECK(std::stoull(field(tree.last_line(), "crash_points")) > 500);
  CHECK(std::stoull(field(tree.last_line(), "crash_runs")) > 1000);
  CHECK(field(tree.last_line(), "order_runs") == "328");
  CHECK(std::stoull(field(tree.last_line(), "sets")) > 50);
  CHECK(std::stoull(field(tree.last_line(), "reordered")) > 50);
  CHECK(field(tree.last_line(), "failed") == "0");
  const Ended groove = here.tonearm("enumerate --ops 0 --workload groove --quiet" + starts);
  CHECK(groove.status == 0);
  CHECK(groove.last_line().starts_with("PASS workload=groove lines=0 starts=9 programs=9 "));
  CHECK(here.tonearm("enumerate --starts nowhere").status == 2);
  CHECK(here.tonearm("enumerate --workload forest" + starts).status == 2);
}

}  // namespace tonearm::sim
