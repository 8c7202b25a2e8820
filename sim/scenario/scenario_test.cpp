#include "sim/scenario/scenario.h"

#include <catch2/catch.hpp>
#include <set>

#include "sim/scenario/scenario_fixture.h"

using namespace tonearm;
using namespace tonearm::sim;

namespace {

constexpr std::string_view by_hand =
    "# kept by nobody\n"
    "tonearm 1                              # format version\n"
    "workload canary\n"
    "expect fail 1f3a9c02\n"
    "story  a put came back # after a crash \n"
    "seed 0x5eed                            # keys the rest\n"
    "\n"
    "set block_size=512 sector_size=512 levels=5 growth=2\n"
    "set beats=4\tcheckpoint_interval=8 completion=starve starved=compact_read\n"
    "fault failed_sync 1/50\n"
    "---\n"
    "17 put kv key=5 value=9\n"
    "put kv key=6 value=9   # gets an id\n"
    "# a comment\n"
    "3 crash at=12 writes=lost,torn\n"
    "17.1 reopen cache_blocks=16\n"
    "scan id from=0xffee to=max desc";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

// Parses or is refused with a place; what parses prints text that is a fixed point.
bool survives(const std::string& text) {
  const std::variant<Scenario, ScenarioError> result = parse_scenario(text);
  if (const ScenarioError* error = std::get_if<ScenarioError>(&result)) {
    const u64 lines = static_cast<u64>(std::count(text.begin(), text.end(), '\n')) + 1;
    return error->line >= 1 && error->line <= lines && error->column >= 1 && !error->message.empty() &&
           error->message.size() < 600 && error->message.find('\n') == std::string::npos;
  }
  const std::string once = print_scenario(std::get<Scenario>(result));
  const std::variant<Scenario, ScenarioError> again = parse_scenario(once);
  return std::holds_alternative<Scenario>(again) && print_scenario(std::get<Scenario>(again)) == once;
}

constexpr std::string_view dictionary[] = {"key=",
                                           "value=",
                                           " ",
                                           "\n",
                                           "#",
                                           "=",
                                           "/",
                                           ",",
                                           "0x",
                                           "---\n",
                                           "---",
                                           "tonearm 1\n",
                                           "18446744073709551616",
                                           "-1",
                                           "99999999999999999999999999999999999999999",
                                           "put kv key=1 value=2\n",
                                           "insert things id=1 a=2\n",
                                           "update notes id=1 topic=0x1ffffffffffffffff kind=3\n",
                                           "timestamp=",
                                           "workload groove\n",
                                           "set groove=notes\n",
                                           "1 scope\n",
                                           "set ops=1\n",
                                           "seed 1\n",
                                           "commit times=1000001\n",
                                           "reopen levels=3\n",
                                           "crash at=1 writes=torn\n",
                                           ".1",
                                           "17/",
                                           "(1,2)",
                                           "fault 1/scan#0 fail\n",
                                           "story x\n",
                                           "cold",
                                           "min",
                                           "max",
                                           "0",
                                           "00",
                                           "\r",
                                           "\t",
                                           "\xff\xfe"};

std::string mutated(std::string text, const Draw& draw, u64 round) {
  for (u64 step = 0; step <= draw("steps", round, 4) * draw("many", round, 2); ++step) {
    const u64 i = 16 * round + step;
    // Half of the files keep their header, so that many still parse.
    const std::size_t header_end = round % 2 == 0 ? std::string::npos : text.find("---\n");
    const std::size_t begin = header_end == std::string::npos ? 0 : header_end + 4;
    const std::size_t at = begin + draw("at", i, text.size() - begin + 1);
    const std::size_t size = draw("size", i, 40);
    switch (draw("how", i, 8)) {
      case 0: text.resize(at); break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << draw("bit", i, 8));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(draw("byte", i, 256));
        break;
      case 3: text.erase(at, size); break;
      case 4: text.insert(at, text.substr(draw("from", i, text.size() + 1), size)); break;
      case 5: text.insert(at, dictionary[draw("word", i, std::size(dictionary))]); break;
      case 6: {  // From a line's end to another line's end.
        const std::size_t line_end = text.find('\n', at);
        if (line_end != std::string::npos) text.erase(line_end, text.find('\n', line_end + size) - line_end);
        break;
      }
      default: {  // A whole line somewhere else.
        const std::vector<std::string> lines =
            text.find('\n') == std::string::npos ? std::vector<std::string>{text} : lines_of(text + "\n");
        const std::size_t break_at = text.find('\n', at);
        text.insert(break_at == std::string::npos ? text.size() : break_at + 1,
                    lines[draw("line", i, lines.size())]);
        break;
      }
    }
  }
  return text;
}

}  // namespace

TEST_CASE("scenario: a file written by hand") {
  const Scenario scenario = require_scenario(by_hand);
  CHECK(scenario.workload == "canary");
  CHECK(scenario.expect_fail);
  CHECK(scenario.expect_signature == 0x1f3a9c02);
  CHECK(scenario.story == "a put came back # after a crash");
  CHECK(scenario.seed == 0x5eed);
  CHECK(scenario.options.disk.seed == 0x5eed);
  CHECK(scenario.options.disk.block_size == 512);
  CHECK(scenario.options.format.levels == 5);
  CHECK(scenario.options.disk.policy == CompletionPolicy::starve);
  CHECK(scenario.options.disk.starved == IoPurpose::compact_read);
  CHECK(scenario.options.disk.faults[FaultKind::failed_sync].ratio ==
        Ratio{.numerator = 1, .denominator = 50});
  REQUIRE(scenario.operations.size() == 5);
  CHECK(scenario.operations[1].id == OpId{.number = 18});
  CHECK(scenario.operations[4].id == OpId{.number = 19});
  const std::string once = print_scenario(scenario);
  CHECK(print_scenario(require_scenario(once)) == once);
  CHECK(once.substr(once.find("---\n")) ==
        "---\n"
        "17 put kv key=5 value=9\n"
        "18 put kv key=6 value=9\n"
        "3 crash at=12 writes=lost,torn\n"
        "17.1 reopen cache_blocks=16\n"
        "19 scan id from=65518 desc\n");
}

TEST_CASE("scenario: the smallest file has every default") {
  const Scenario scenario = require_scenario("tonearm 1\n---");
  REQUIRE(scenario.operations.empty());
  REQUIRE(print_scenario(scenario) == print_scenario(Scenario{}));
}

TEST_CASE("scenario: the header spells out every setting once, in short lines") {
  Scenario scenario;
  scenario.workload = "groove";
  for (FaultOptions::Kind& kind : scenario.options.disk.faults.kinds) {
    kind = {.ratio = {.numerator = 1, .denominator = 9}, .zone = FaultZone::grid};
  }
  scenario.options.disk.faults.sectors_max = 3;
  scenario.options.heal_lines = 3;
  scenario.options.full_blocks = 64;
  const std::string header = print_header(scenario);
  for (const Setting& setting : settings()) {
    INFO(setting.name);
    const std::string value = print_setting(setting, setting.get(scenario.options));
    const std::string name = setting.name;
    const bool fault = name.starts_with("fault.") && setting.type == SettingType::ratio;
    const std::string text =
        fault ? "\nfault " + name.substr(6) + " " + value + "\n" : " " + name + "=" + value;
    REQUIRE(header.find(text) != std::string::npos);
    REQUIRE(header.find(text, header.find(text) + 1) == std::string::npos);
  }
  for (const std::string& line : lines_of(header)) REQUIRE(line.size() <= 101);
  REQUIRE(header.starts_with("tonearm 1\nworkload groove\nexpect pass\nseed 0x0\nset sector_size=4096 "));
  REQUIRE(header.ends_with("\n---\n"));
}

TEST_CASE("scenario: settings of grooves stand in the header of other workloads only if they were set") {
  Scenario scenario;
  for (const Setting& setting : settings()) {
    if (!setting.of_grooves) continue;
    INFO(setting.name);
    CHECK(print_header(scenario).find(std::string(" ") + setting.name + "=") == std::string::npos);
  }
  scenario.options.prefetch_workers = 3;
  CHECK(print_header(scenario).find("set prefetch_workers=3\n") != std::string::npos);
}

TEST_CASE("scenario: random ones survive print, parse, print") {
  u64 kinds = 0;
  for (u64 seed = 0; seed < 300; ++seed) {
    const Scenario scenario = random_scenario(seed, 60);
    INFO(seed);
    REQUIRE(validate_options(scenario.options).empty());
    const std::string once = print_scenario(scenario);
    const Scenario parsed = require_scenario(once);
    REQUIRE(print_scenario(parsed) == once);
    REQUIRE(parsed.seed == scenario.seed);
    REQUIRE(parsed.story == scenario.story);
    REQUIRE(parsed.operations.size() == scenario.operations.size());
    for (const Setting& setting : settings())
      REQUIRE(setting.get(parsed.options) == setting.get(scenario.options));
    for (std::size_t i = 0; i < parsed.operations.size(); ++i) {
      const Operation& a = parsed.operations[i];
      const Operation& b = scenario.operations[i];
      kinds |= u64{1} << static_cast<u32>(a.kind);
      REQUIRE((a.id == b.id && a.kind == b.kind && a.cold == b.cold && a.persist == b.persist));
      REQUIRE((a.key == b.key && a.key_end == b.key_end && a.value == b.value && a.limit == b.limit));
      REQUIRE((a.direction == b.direction && a.count == b.count && a.tree == b.tree));
      REQUIRE((a.named == b.named && a.timestamped == b.timestamped));
      REQUIRE((a.fields == b.fields && a.wide_field == b.wide_field));
      REQUIRE(content_hash(a) == content_hash(b));
      REQUIRE(a.request.attribution == b.request.attribution);
      REQUIRE(a.fault == b.fault);
      REQUIRE((a.writes.count() == b.writes.count() && a.changes.count() == b.changes.count()));
      REQUIRE(std::equal(a.writes.begin(), a.writes.end(), b.writes.begin()));
    }
  }
  const u64 all = (u64{1} << operation_kind_count) - 1;
  REQUIRE(kinds == (all & ~(u64{1} << static_cast<u32>(OperationKind::call))));
}

TEST_CASE("scenario: any line of the body can go") {
  for (u64 seed = 0; seed < 20; ++seed) {
    const std::vector<std::string> lines = lines_of(print_scenario(random_scenario(seed, 60)));
    const std::size_t body =
        static_cast<std::size_t>(std::find(lines.begin(), lines.end(), "---\n") - lines.begin());
    REQUIRE(lines.size() == body + 61);
    for (std::size_t gone = body + 1; gone < lines.size(); ++gone) {
      std::string text;
      for (std::size_t i = 0; i < lines.size(); ++i) text += i == gone ? "" : lines[i];
      REQUIRE(print_scenario(require_scenario(text)) == text);
    }
  }
}

TEST_CASE("scenario: 10,000 mutated files are parsed or refused, never more") {
  const Draw draw(77);
  u32 parsed = 0;
  std::string base;
  for (u64 round = 0; round < 10'000; ++round) {
    if (round % 100 == 0) base = round % 400 == 0 ? by_hand : print_scenario(random_scenario(round, 12));
    const std::string text = mutated(base, draw, round);
    INFO(text);
    REQUIRE(survives(text));
    parsed += std::holds_alternative<Scenario>(parse_scenario(text)) ? 1 : 0;
  }
  // Mutations of both fates: files that all break at once would test little.
  REQUIRE(parsed > 500);
  REQUIRE(parsed < 9'500);
}

TEST_CASE("scenario: every truncation of a file is parsed or refused") {
  const std::string text = print_scenario(random_scenario(5, 20));
  for (std::size_t size = 0; size < text.size(); ++size) REQUIRE(survives(text.substr(0, size)));
}

TEST_CASE("scenario: fresh ids are those that nobody has") {
  std::vector<Operation> operations(6);
  operations[1].id = {.number = 2};
  operations[3].id = {.number = op_number_max};
  operations[4].id = {.number = 2, .child = 1};
  assign_ids(&operations);
  REQUIRE(operations[0].id.number == 1);
  REQUIRE(operations[2].id.number == 3);
  REQUIRE(operations[5].id.number == 4);
  operations.resize(7);
  operations[3].id = {.number = 9};
  assign_ids(&operations);
  REQUIRE(operations[6].id.number == 10);
  Scenario scenario;
  scenario.operations.resize(2);
  REQUIRE(print_scenario(scenario).ends_with("---\n1 commit\n2 commit\n"));
}

TEST_CASE("scenario: a story is one line whatever it was made from") {
  Scenario scenario;
  scenario.story = "\n two\nlines\tand \x01 more \xc3\xa9 \n";
  const Scenario parsed = require_scenario(print_scenario(scenario));
  REQUIRE(parsed.story == "two lines and   more \xc3\xa9");
  scenario.story = " \n";
  REQUIRE(require_scenario(print_scenario(scenario)).story.empty());
}

TEST_CASE("scenario: a hundred thousand lines") {
  const Scenario scenario = random_scenario(9, 100'000);
  const std::string once = print_scenario(scenario);
  const Scenario parsed = require_scenario(once);
  REQUIRE(parsed.operations.size() == 100'000);
  REQUIRE(print_scenario(parsed) == once);
}
