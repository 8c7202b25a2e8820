#include "sim/scenario/query.h"

#include <catch2/catch.hpp>

#include "sim/scenario/scenario_fixture.h"

using namespace tonearm;
using namespace tonearm::sim;

namespace {

std::string scenario_of(const std::string& line, const std::string& groove = "notes") {
  return "tonearm 1\nworkload groove\nset groove=" + groove + "\n---\n1 query " + line + "\n";
}

// What a query prints as, or its refusal, with columns from the beginning of the query.
std::string reading(const std::string& query, const std::string& groove = "notes") {
  const std::string before = "1 query " + groove + " ";
  const std::variant<Scenario, ScenarioError> result =
      parse_scenario(scenario_of(groove + " " + query, groove));
  if (const ScenarioError* error = std::get_if<ScenarioError>(&result)) {
    REQUIRE(error->line == 5);
    REQUIRE(error->column > before.size());
    return std::to_string(error->column - before.size()) + ": " + error->message;
  }
  const Operation& line = std::get<Scenario>(result).operations.at(0);
  return query_text(line.groove(), line.query);
}

bool same(const QueryTree& a, const QueryTree& b) {
  const auto equal = [](const QueryNode& x, const QueryNode& y) {
    return x.kind == y.kind && x.operands == y.operands && x.size == y.size && x.tree == y.tree &&
           x.min == y.min && x.max == y.max && x.timestamp_min == y.timestamp_min &&
           x.timestamp_end == y.timestamp_end;
  };
  return std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), equal);
}

}  // namespace

TEST_CASE("query: a tree survives its code and its text") {
  u64 large = 0;
  u64 leaves_max = 0;
  for (u64 i = 0; i < 20'000; ++i) {
    const Draw draw(i % 7);
    const GrooveName groove = static_cast<GrooveName>(i % groove_count);
    const QueryTree tree = random_query(draw, i, groove);
    REQUIRE(tree.root_size() == tree.nodes.count());
    REQUIRE(tree.leaves() <= query_leaves_max);
    leaves_max = std::max<u64>(leaves_max, tree.leaves());
    std::string text;
    print_query(tree, &text);
    INFO(text);
    Query query;
    if (!encode_query(tree, &query)) {
      ++large;
      REQUIRE(reading(text, groove_spec(groove).name).find("a shorter query") != std::string::npos);
      continue;
    }
    REQUIRE(same(decode_query(groove, query), tree));
    REQUIRE(reading(text, groove_spec(groove).name) == text);
  }
  CHECK(leaves_max == query_leaves_max);
  CHECK(large < 1000);
}

TEST_CASE("query: what it reads as") {
  const std::pair<const char*, const char*> rows[] = {
      {"author=1", "author=1"},
      {"author=1..1", "author=1"},
      {"author=0..", "author=.."},
      {"author=..18446744073709551615", "author=.."},
      {"author=0", "author=0"},
      {"author=..0", "author=0"},
      {"author=18446744073709551615..", "author=18446744073709551615"},
      {"kind=7..255", "kind=7.."},
      {"draft", "draft"},
      {"draft@5..90", "draft@5..90"},
      {"draft@..", "draft"},
      {"large=60..90@3", "large=60..90@3"},
      {"topic=0x10..0x1ffffffffffffffff@..9", "topic=16..0x1ffffffffffffffff@..9"},
      {"id=..", "id=.."},
      {"timestamp=5..9223372036854775807", "timestamp=5.."},
      {"(author=1)", "author=1"},
      {"((author=1&kind=2))", "author=1 & kind=2"},
      {"author=1 & kind=2 & draft", "author=1 & kind=2 & draft"},
      {"(author=1 & kind=2) & draft", "(author=1 & kind=2) & draft"},
      {"author=1 & (kind=2 & draft)", "author=1 & (kind=2 & draft)"},
      {"author=1|kind=2|draft", "author=1 | kind=2 | draft"},
      {"author=1-kind=2-draft", "author=1 - kind=2 - draft"},
      {"(author=1 - kind=2) - draft", "author=1 - kind=2 - draft"},
      {"author=1 - (kind=2 - draft)", "author=1 - (kind=2 - draft)"},
      {"(author=1 - kind=2) & draft", "(author=1 - kind=2) & draft"},
      {"(author=1 | kind=2) - (draft & id=1)", "(author=1 | kind=2) - (draft & id=1)"},
  };
  for (const auto& [given, expected] : rows) CHECK(reading(given) == expected);
  CHECK(reading("timestamp=3 | weight=..", "events") == "timestamp=3 | weight=..");
}

TEST_CASE("query: what it groups to") {
  const Scenario scenario = require_scenario(
      scenario_of("notes (author=1 - kind=2..3@4 - draft) & (id=7 | timestamp=8..) & large=5"));
  const QueryTree tree = decode_query(GrooveName::notes, scenario.operations.at(0).query);
  const auto& nodes = tree.nodes;
  REQUIRE(nodes.count() == 10);
  CHECK(nodes[0].kind == QueryKind::intersection);
  CHECK(nodes[0].operands == 3);
  CHECK(nodes[1].kind == QueryKind::difference);
  CHECK(nodes[1].size == 5);
  CHECK(nodes[2].kind == QueryKind::difference);
  CHECK(nodes[2].size == 3);
  CHECK(nodes[3].tree == TreeName::notes_author);
  CHECK(nodes[4].tree == TreeName::notes_kind);
  CHECK((nodes[4].min == 2 && nodes[4].max == 3));
  CHECK((nodes[4].timestamp_min == 4 && nodes[4].timestamp_end == 4));
  CHECK(nodes[5].tree == TreeName::notes_draft);
  CHECK(nodes[6].kind == QueryKind::any);
  CHECK(nodes[7].tree == TreeName::notes_id);
  CHECK(nodes[8].tree == TreeName::notes);
  CHECK((nodes[8].min == 8 && nodes[8].max == timestamp_max));
  CHECK(nodes[9].tree == TreeName::notes_large);
}

TEST_CASE("query: every way to be refused, with its place") {
  const std::string predicates =
      "expected a predicate: timestamp=, id=, author=, pinned=, topic=, kind=, large=, draft or (";
  const std::string mixed = "expected the same operator again: different ones need parentheses";
  const std::string open = "expected an operator and another operand, or )";
  const std::string nest(32, '(');
  std::string many = "author=1";
  for (u32 i = 1; i < 16; ++i) many += " | kind=2";
  std::string huge = "topic=0x1fffffffffffffff0..0xfffffffffffffffffffffffffffffff8@3..9";
  for (u32 i = 1; i < 16; ++i)
    huge += " & topic=0x1fffffffffffffff0..0xfffffffffffffffffffffffffffffff8@3..9";
  const std::pair<std::string, std::string> rows[] = {
      {"", "0"},
      {"()", "2: found `)`, " + predicates},
      {"(", "2: found the end of the line, " + predicates},
      {")", "1: found `)`, " + predicates},
      {"& author=1", "1: found `&`, " + predicates},
      {"author=1 &", "11: found the end of the line, " + predicates},
      {"author=1 & # draft", "12: found the end of the line, " + predicates},
      {"author=1 & & draft", "12: found `&`, " + predicates},
      {"size=4", "1: found `size=4`, " + predicates},
      {"a=4", "1: found `a=4`, " + predicates},
      {"desc", "1: found `desc`, " + predicates},
      {"author", "7: found the end of the line, expected = and a value or a range"},
      {"author & draft", "7: found nothing, expected = and a value or a range"},
      {"author@3", "7: found `@3`, expected = and a value or a range"},
      {"draft=1", "6: found `=1`, expected no value: draft has none"},
      {"draft@", "7: found the end of the line, expected a number from 0 to 9223372036854775807, or a range"},
      {"draft@9223372036854775808",
       "7: found `9223372036854775808`, expected a number from 0 to 9223372036854775807, or a range"},
      {"id=1@2", "5: found `@2`, expected no timestamps: only a predicate on an index has them"},
      {"timestamp=1@2", "12: found `@2`, expected no timestamps: only a predicate on an index has them"},
      {"author=",
       "8: found the end of the line, expected a number from 0 to 18446744073709551615, or a range"},
      {"author= 1", "8: found nothing, expected a number from 0 to 18446744073709551615, or a range"},
      {"kind=256", "6: found `256`, expected a number from 0 to 255, or a range"},
      {"kind=3..256", "9: found `256`, expected a number from 0 to 255, or a range"},
      {"kind=3...5", "9: found `.5`, expected a number from 0 to 255, or a range"},
      {"kind=07", "6: found `07`, expected a number without leading zeros (there is no octal), or a range"},
      {"kind=9..8", "9: found `8`, expected a range that does not end before it begins"},
      {"kind=9..9@5..4", "14: found `4`, expected a range that does not end before it begins"},
      {"author=1 & draft | kind=2", "18: found `|`, " + mixed},
      {"author=1 - draft & kind=2", "18: found `&`, " + mixed},
      {"author=1 | draft - kind=2", "18: found `-`, " + mixed},
      {"(author=1 & draft", "18: found the end of the line, " + open},
      {"(author=1 desc)", "11: found `desc`, " + open},
      {"(author=1 & draft) kind=2", "20: found `kind=2`, expected limit=, cold, asc, desc or buffer="},
      {"author=1 )", "10: found `)`, expected limit=, cold, asc, desc or buffer="},
      {"author=1 limit=0", "16: found `0`, expected a number from 1 to 4294967295"},
      {"author=1 buffer=4097", "17: found `4097`, expected a number from 1 to 4096"},
      {"author=1 timestamp=3", "10: found `timestamp=3`, expected limit=, cold, asc, desc or buffer="},
      {nest + "author=1", "41: found the end of the line, " + open},
      {nest + "(author=1", "33: found `(`, expected at most 32 parentheses in each other"},
      {many + " | kind=2", "147: found `kind=2`, expected at most 16 predicates"},
      {huge, "1: found `" + huge.substr(0, 40) +
                 "...`, expected a shorter query: its numbers take more than 382 bytes"},
  };
  for (const auto& [given, expected] : rows) {
    INFO(given);
    if (given.empty()) continue;
    CHECK(reading(given) == expected);
  }
  CHECK(reading(many) == many);
}

TEST_CASE("query: a line without one, or in a world that knows no such line, is refused") {
  std::variant<Scenario, ScenarioError> result = parse_scenario(scenario_of("notes"));
  CHECK(std::get<ScenarioError>(result).message ==
        "found the end of the line, expected a predicate: timestamp=, id=, author=, pinned=, topic=, kind=, "
        "large=, draft or (");
  CHECK(std::get<ScenarioError>(result).column == 14);
  result = parse_scenario("tonearm 1\nworkload scan\nset groove=events\n---\nquery things a=1\n");
  CHECK(std::get<ScenarioError>(result).message == "found `things`, expected a groove: events");
  result = parse_scenario("tonearm 1\nworkload scan\nset groove=events\n---\nscan_probe n=1 key=4\n");
  CHECK(std::get<ScenarioError>(result).message == "found `key=4`, expected timestamp=");
  result = parse_scenario("tonearm 1\nworkload scan_tree\n---\nquery kv key=4\n");
  CHECK(std::get<ScenarioError>(result).column == 1);
}

TEST_CASE("query: damaged lines are refused in their place, or are other queries") {
  static constexpr std::string_view letters = "abcid ()&|-=@..0123456789012345678901234567890123456789x\t#";
  u64 refused = 0;
  constexpr u64 lines = 10'000;
  for (u64 i = 0; i < lines; ++i) {
    const Draw draw(11);
    const GrooveName groove = static_cast<GrooveName>(i % groove_count);
    std::string text;
    print_query(random_query(draw, i, groove), &text);
    const u64 damages = 1 + draw("damages", i, 2);
    for (u64 d = 0; d < damages; ++d) {
      const u64 at = draw("at", 4 * i + d, text.size());
      const char letter = letters[draw("letter", 4 * i + d, letters.size())];
      switch (draw("how", 4 * i + d, 4)) {
        case 0: text[at] = letter; break;
        case 1: text.insert(at, 1, letter); break;
        case 2: text.erase(at, 1); break;
        case 3: text.insert(at, text.substr(at, draw("length", 4 * i + d, 30))); break;
      }
      if (text.empty()) text = "(";
    }
    INFO(text);
    const std::string line = std::string(groove_spec(groove).name) + " " + text;
    const std::variant<Scenario, ScenarioError> result =
        parse_scenario(scenario_of(line, groove_spec(groove).name));
    if (const ScenarioError* error = std::get_if<ScenarioError>(&result)) {
      ++refused;
      REQUIRE(error->line == 5);
      REQUIRE(error->column <= std::string("1 query ").size() + line.size() + 1);
      REQUIRE(error->message.starts_with("found "));
      continue;
    }
    const std::string printed = print_scenario(std::get<Scenario>(result));
    REQUIRE(print_scenario(require_scenario(printed)) == printed);
  }
  CHECK(refused > lines / 4);
  CHECK(refused < lines * 9 / 10);
}
