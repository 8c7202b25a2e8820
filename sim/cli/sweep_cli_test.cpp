// Sweeps as a user meets them: how they end, and which faults they leave in the run.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>

#include "sim/cli/cli_fixture.h"

namespace tonearm::sim {

TEST_CASE("a sweep ends when its time is up, and says that it was not all", "[cli]") {
  const Fixture f;
  // The format alone has outcomes for many seconds.
  const std::string words = "sweep --seed 5 --ops 40000 --depth 2 ";
  const Ended ended = f.tonearm(words + "--for 1s");
  CAPTURE(ended.out, ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.out.find("\nnot complete: stopped in format, before 40000 lines, ") != std::string::npos);
  CHECK(ended.last_line().starts_with("PASS "));
  CHECK(ended.last_line().ends_with(" complete=no"));
  // So does an interrupt.
  const Ended stopped = f.tonearm(words + "--json & sleep 0.5; kill -TERM $!; wait $!");
  CAPTURE(stopped.out);
  CHECK(stopped.status == 143);
  CHECK(nlohmann::json::parse(stopped.out)["complete"] == false);
  const Ended interrupted = f.tonearm(words + "--outcomes 50 & sleep 1; kill -INT $!; wait $!");
  CAPTURE(interrupted.out, interrupted.err);
  CHECK(interrupted.status == 130);
  CHECK(
      std::regex_search(interrupted.out, std::regex("\nnot complete: stopped in (line \\d+ of 40000|format, "
                                                    "before 40000 lines), before its step \\d+; ")));
  CHECK(interrupted.last_line().ends_with(" complete=no"));
  CHECK(f.tonearm(words + "--for polka").status == 2);
}

TEST_CASE("of the faults of one side of a mirror a sweep leaves out none", "[cli]") {
  const Fixture f;
  const std::string words = "sweep --seed 5 --ops 120 --outcomes 300 --set mirror=on --set scrub=3 ";
  const auto rot = [](const char* zone) {
    return std::string("--set fault.rot=1/40 --set fault.rot.zone=") + zone;
  };
  const auto rots = [&f](const std::string& command) {
    const Ended ended = f.tonearm(command);
    CAPTURE(command, ended.out, ended.err);
    CHECK(ended.status == 0);
    return ended.out.find("recoveries from the mirror alone") == std::string::npos;
  };
  CHECK(rots(words + rot("first")));
  CHECK(rots(words + rot("mirror")));
  CHECK_FALSE(rots(words + rot("grid")));
  CHECK_FALSE(rots(words + rot("first") + " --set fault.unreadable=1/90 --set fault.unreadable.zone=mirror"));
  // A line counts as well.
  REQUIRE(
      f.tonearm("print --seed 5 --ops 200 --set mirror=on " + rot("first") + " --frozen -o frozen.scenario")
          .status == 0);
  REQUIRE(slurp(f.directory / "frozen.scenario").find(" rot ") != std::string::npos);
  CHECK(rots("sweep frozen.scenario --outcomes 300"));
}

}  // namespace tonearm::sim
