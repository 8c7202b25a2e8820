// Shrinking as a user meets it: on demand, and of what a run or a campaign has found.
#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "sim/cli/cli_fixture.h"
#include "sim/cli/ingredients.h"

namespace tonearm::sim {

namespace {

TEST_CASE("a failure shrinks to a file that replays to it", "[cli]") {
  const Fixture f;
  const std::string seed = "--seed " + std::to_string(failing_canary());
  const Ended shrunk = f.tonearm("shrink --workload canary " + seed + " -o small.scenario");
  CAPTURE(shrunk.out, shrunk.err);
  CHECK(shrunk.status == 1);
  CHECK(
      std::regex_search(shrunk.out, std::regex("\nshrunk:    \\d+ -> 0 lines, \\d+ -> 0 faults, \\d+ -> \\d+ "
                                               "settings, \\d+ candidates   small.scenario\n")));
  CHECK(std::regex_search(shrunk.out,
                          std::regex("\nneeds:     no line and no fault; does not need .*commit.*\n")));
  const Ended replay = f.tonearm("replay small.scenario");
  CAPTURE(replay.out, replay.err);
  CHECK(replay.status == 0);
  CHECK(field(replay.last_line(), "signature") == field(shrunk.last_line(), "signature"));
  CHECK(field(replay.last_line(), "digest") == field(shrunk.last_line(), "digest"));
  const std::string small = slurp(f.directory / "small.scenario");
  CHECK(small.ends_with("---\n"));  // The canary fails whatever is played.
  CHECK(small.find("(shrunk from ") != std::string::npos);
}

TEST_CASE("what a failure needs is said", "[cli]") {
  const Scenario empty;
  CHECK(ingredients_of(empty).empty());
  Scenario scenario;
  for (const OperationKind kind : {OperationKind::put, OperationKind::commit, OperationKind::put}) {
    Operation line;
    line.kind = kind;
    scenario.operations.push_back(line);
  }
  const std::vector<std::string> few = {"put", "commit"};
  CHECK(ingredients_of(scenario) == few);
  Operation struck;
  struck.kind = OperationKind::fault;
  struck.fault.kind = FaultKind::rot;
  scenario.operations.push_back(struck);
  scenario.options.disk.faults[FaultKind::stale_read].ratio = {1, 100};
  scenario.options.disk.read.latency_ticks_mean = 3;
  scenario.options.disk.mirror = true;
  scenario.options.vary[0] = {1, 2};
  const std::vector<std::string> many = ingredients_of(scenario);
  CHECK(many.size() == 2 + 2 + 3);
  for (const char* name : {"put", "commit", "rot", "stale_read", "latency", "mirror", "variations"}) {
    CHECK(std::count(many.begin(), many.end(), name) == 1);
  }
  CHECK(needs_words(few, few) == "put, commit");
  CHECK(needs_words(few, {}) == "no line and no fault; does not need put, commit");
  CHECK(needs_words({"put", "get", "latency"}, {"get"}) == "get; does not need put, latency");
}

TEST_CASE("a run that fails is shrunk by itself, unless a program reads it", "[cli]") {
  const Fixture f;
  const std::string failing = "run --workload canary --seed " + std::to_string(failing_canary());
  const Ended run = f.tonearm(failing);
  CAPTURE(run.out, run.err);
  CHECK(run.status == 1);
  CHECK(run.last_line().starts_with("FAIL class=sim signature="));
  const std::string file = "failures/" + field(run.last_line(), "signature") + ".scenario";
  CHECK(std::regex_search(run.out, std::regex("\nshrunk:    \\d+ -> 0 lines, .* candidates   " + file +
                                              "\nreproduce: tonearm run ")));
  CHECK(slurp(f.directory / file).ends_with("---\n"));
  const Ended replay = f.tonearm("replay last");
  CHECK(replay.status == 0);
  CHECK(field(replay.last_line(), "signature") == field(run.last_line(), "signature"));
  for (const char* left_alone : {" --no-shrink", " --quiet", " --json"}) {
    const Ended whole = f.tonearm(failing + left_alone);
    CHECK(whole.status == 1);
    CHECK(whole.out.find("shrunk") == std::string::npos);
    CHECK_FALSE(slurp(f.directory / file).ends_with("---\n"));
  }
  const Ended json = f.tonearm(failing + " --json --shrink-for 5s");
  CHECK(json.status == 1);
  const nlohmann::json object = nlohmann::json::parse(json.out);
  CHECK(object["shrunk"]["lines"] == 0);
  CHECK(object["shrunk"]["faults"] == 0);
  CHECK(f.tonearm(failing + " --no-shrink --shrink-for 5s").status == 2);
  CHECK(f.tonearm(failing + " --shrink-for 5").status == 2);
}

TEST_CASE("no candidate has lines about another groove than its own", "[cli]") {
  const Fixture f;
  // A call that may take no time fails soon; the groove is not the usual one, as the lines are.
  const Ended ended = f.tonearm(
      "shrink --workload groove --seed 3 --ops 300 --set groove=notes --set liveness_ticks_max=1 --for 20s");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 1);
  CHECK(ended.last_line().starts_with("FAIL class=liveness "));
  CHECK(ended.out.find("\nother: ") == std::string::npos);
}

TEST_CASE("what passes is not shrunk, and what cannot be shrunk is said", "[cli]") {
  const Fixture f;
  CHECK(f.tonearm("shrink --seed 1 --ops 50").status == 0);
  CHECK(f.tonearm("shrink").status == 2);
  CHECK(f.tonearm("shrink --seed 1 some.scenario").status == 2);
  CHECK(f.tonearm("shrink nowhere.scenario").status == 2);
  CHECK(f.tonearm("shrink last").status == 2);
  CHECK(f.tonearm("shrink --seed 1 --for 5x").status == 2);
}

TEST_CASE("a campaign leaves the canary as it is", "[cli]") {
  const Fixture f;
  const std::string seed = std::to_string(failing_canary());
  const Ended campaign = f.tonearm("campaign --workload canary --jobs 1 --seeds " + seed + ".." + seed);
  CAPTURE(campaign.out, campaign.err);
  CHECK(campaign.status == 1);
  CHECK(campaign.out.find("shrunk:") == std::string::npos);  // It must fail.
  CHECK(f.tonearm("campaign --seeds 1..1 --ops 50 --shrink-for x").status == 2);
}

}  // namespace

}  // namespace tonearm::sim
