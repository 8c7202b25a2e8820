#include <catch2/catch.hpp>

#include "sim/scenario/scenario_fixture.h"

namespace tonearm::sim {
namespace {

std::string scenario_with(const std::string& line) { return "tonearm 1\n---\n5 fault " + line + "\n"; }

// The line as it is printed again.
std::string again(const std::string& line) {
  const std::string text = print_scenario(require_scenario(scenario_with(line)));
  const std::size_t at = text.find("5 fault ") + 8;
  return text.substr(at, text.size() - at - 1);
}

std::string refusal(const std::string& line) {
  const auto result = parse_scenario(scenario_with(line));
  const ScenarioError* error = std::get_if<ScenarioError>(&result);
  if (error == nullptr) return "fine";
  return fmt::format("{}:{}: {}", error->line, error->column, error->message);
}

TEST_CASE("fault line: each kind is printed as it was read, without what is the least anyway") {
  const std::string lines[] = {
      "17/checkpoint_sync#0 fail",
      "17/lookup(3,2)#4 read_error times=3",
      "17/lookup(3,2)#4 read_error",
      "20/17/compact_write(3,2)#4 write_error times=2 mix=0x5eed",
      "17/scan(3,2)#0 corrupt_transfer bit at=4711",
      "17/scan(3,2)#0 unreadable at=512 sectors=3",
      "17/scan(3,2)#0 rot byte at=113 mask=7",
      "17/scan(3,2)#0 rot zeroed at=512 sectors=8",
      "17/scan(3,2)#0 rot ones",
      "17/scan(3,2)#0 rot swapped to=1024",
      "17/scan(3,2)#0 rot other_block at=512 to=17",
      "17/scan(3,2)#0 rot truncated at=512",
      "17/checkpoint_sync#1 lying_sync",
      "0/superblock_format#3 lost_write",
      "17/compact_write(3,2)#4 misdirected_write to=17",
      "17/compact_write(3,2)#4 misdirected_write to=2 superblock",
      "17/superblock_read#4 misdirected_read to=17",
      "17@0xfeed/lookup(3,2)#4 stale_read",
  };
  for (const std::string& line : lines) REQUIRE(again(line) == line);
  CHECK(again("17/lookup(3,2)#4 read_error times=1") == "17/lookup(3,2)#4 read_error");
  CHECK(again("17/lookup(3,2)#4 rot byte mask=1 at=0x10") == "17/lookup(3,2)#4 rot byte at=16 mask=1");
  const Scenario scenario = require_scenario(scenario_with("17@0xfeed/lookup(3,2)#4 rot swapped to=9"));
  CHECK(scenario.operations[0].request.attribution == Attribution{.op = {.number = 17}, .context = 0xfeed});
  CHECK(scenario.operations[0].fault == Fault{.kind = FaultKind::rot, .shape = RotShape::swapped, .to = 9});
}

TEST_CASE("fault line: what is wrong is told with its place") {
  const std::string at = "17/lookup#0 ";
  CHECK(refusal(at + "fail") == "fine");
  CHECK(refusal(at) ==
        "3:21: found the end of the line, expected a fault: fail, read_error, write_error, corrupt_transfer, "
        "unreadable, rot, lying_sync, lost_write, misdirected_write, misdirected_read or stale_read");
  CHECK(refusal(at + "torn_write").starts_with("3:21: found `torn_write`, expected a fault: fail, "));
  CHECK(refusal(at + "rot") ==
        "3:24: found the end of the line, expected a shape: bit, byte, zeroed, ones, swapped, other_block or "
        "truncated");
  CHECK(refusal(at + "rot bit to=3") == "3:29: found `to=3`, expected at=");
  CHECK(refusal(at + "rot bit at=3 at=4") == "3:34: found `at=4`, expected the end of the line");
  CHECK(refusal(at + "rot byte mask=256") == "3:35: found `256`, expected a number from 0 to 255");
  CHECK(refusal(at + "unreadable sectors=65") == "3:40: found `65`, expected a number from 0 to 64");
  CHECK(refusal(at + "read_error times=0") == "3:38: found `0`, expected a number from 1 to 1000");
  CHECK(refusal(at + "misdirected_read from=0") == "3:38: found `from=0`, expected to= or superblock");
  CHECK(refusal(at + "lost_write superblock") == "3:32: found `superblock`, expected the end of the line");
  CHECK(refusal("17@/lookup#0 fail") ==
        "3:9: found `17@/lookup#0`, expected a request like 17/compact_write(3,2)#4, after @ a number from 1 "
        "to 18446744073709551615");
}

TEST_CASE("fault line: the numbers of a fault are those that it prints") {
  Fault fault{.kind = FaultKind::rot, .shape = RotShape::zeroed, .sectors = 3, .at = 512};
  const std::vector<FaultNumber> numbers = fault_numbers(fault);
  REQUIRE(numbers.size() == 2);
  CHECK((numbers[0].name == std::string("at") && numbers[0].value == 512 && numbers[0].least == 0));
  CHECK((numbers[1].name == std::string("sectors") && numbers[1].value == 3));
  set_fault_number(&fault, "sectors", 0);
  CHECK(fault.sectors == 0);
  CHECK(fault_numbers({.kind = FaultKind::lost_write}).empty());
}

}  // namespace
}  // namespace tonearm::sim
