// Arbitrary bytes into the parsers of scenarios and of queries, which are a part of a line.
//
// Either they are refused with a place inside the text and a message of one printable line, or they
// are a scenario, and then three things hold: what is printed parses to the same operations; printing
// that gives the same bytes; and the text without any one of its operation lines is still a scenario,
// with one operation less.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "base/assert.h"
#include "fuzz/target.h"
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

namespace {

// Not ASSERT: a broken promise of the parser shall name itself whatever assertion hook is installed.
void require(bool holds, const char* promise, std::string_view text) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken: %s; the text:\n%.*s\n", promise, static_cast<int>(text.size()),
               text.data());
  std::abort();
}

// The line of this number, from 1, without its newline; a text that ends in one has an empty line more.
std::string_view line_at(std::string_view text, u32 number) {
  for (u32 line = 1; line < number; ++line) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return {};
    text.remove_prefix(newline + 1);
  }
  return text.substr(0, text.find('\n'));
}

u64 line_count(std::string_view text) {
  u64 count = 1;
  for (const char c : text) count += c == '\n' ? 1 : 0;
  return count;
}

void check_refusal(std::string_view text, const ScenarioError& error) {
  require(error.line >= 1 && error.line <= line_count(text), "the error is on a line of the text", text);
  const std::size_t length = line_at(text, error.line).size();
  require(error.column >= 1 && error.column <= length + 1, "the error is at a column of its line", text);
  require(!error.message.empty(), "the error says something", text);
  for (const char c : error.message) require(c >= ' ' && c <= '~', "the message is one printable line", text);
}

// The same text without the operation line `index`.
std::string without_line(std::string_view text, std::size_t header_size, u64 index) {
  std::size_t begin = header_size;
  for (u64 line = 0; line < index; ++line) begin = text.find('\n', begin) + 1;
  const std::size_t end = text.find('\n', begin) + 1;
  return std::string(text.substr(0, begin)).append(text.substr(end));
}

// The parser has filled in what a line left out, so that nothing may differ.
bool same(const Operation& a, const Operation& b) {
  const auto fields = [](const Operation& operation) {
    const RequestName& request = operation.request;
    return std::tie(operation.id, operation.kind, operation.tree, operation.direction, operation.cold,
                    operation.persist, operation.key, operation.key_end, operation.value, operation.limit,
                    operation.count, operation.timestamped, operation.named, operation.fields,
                    operation.slots, operation.query, operation.wide_field, operation.verb,
                    operation.arguments, request.attribution, request.recovery, request.tag.purpose,
                    request.tag.level, request.tag.tree, request.n);
  };
  const auto same_change = [](const SettingChange& x, const SettingChange& y) {
    return x.setting == y.setting && x.value == y.value;
  };
  return fields(a) == fields(b) &&
         std::equal(a.writes.begin(), a.writes.end(), b.writes.begin(), b.writes.end()) &&
         std::equal(a.changes.begin(), a.changes.end(), b.changes.begin(), b.changes.end(), same_change);
}

void check_scenario(std::string_view text, const Scenario& scenario) {
  const std::string printed = print_scenario(scenario);
  const std::variant<Scenario, ScenarioError> parsed = parse_scenario(printed);
  require(std::holds_alternative<Scenario>(parsed), "what is printed parses again", printed);
  const Scenario& again = std::get<Scenario>(parsed);
  require(std::equal(again.operations.begin(), again.operations.end(), scenario.operations.begin(),
                     scenario.operations.end(), same),
          "what is printed parses to the same operations", printed);
  require(print_scenario(again) == printed, "printing what was printed gives the same bytes", printed);
  if (again.operations.empty()) return;

  const u64 index = text.size() % again.operations.size();
  const std::string shorter = without_line(printed, print_header(again).size(), index);
  const std::variant<Scenario, ScenarioError> rest = parse_scenario(shorter);
  require(std::holds_alternative<Scenario>(rest), "any line after the header can be deleted", shorter);
  require(std::get<Scenario>(rest).operations.size() + 1 == again.operations.size(),
          "deleting a line deletes one operation", shorter);
}

int parse_any(std::string_view text) {
  set_assert_hook(nullptr);
  const std::variant<Scenario, ScenarioError> parsed = parse_scenario(text);
  if (const ScenarioError* error = std::get_if<ScenarioError>(&parsed)) {
    check_refusal(text, *error);
  } else {
    check_scenario(text, std::get<Scenario>(parsed));
  }
  return 0;
}

}  // namespace

int parse_any_scenario(const Target&, std::string_view input) { return parse_any(input); }

// `things a=1 & b=3`, as it stands in a line.
int parse_any_query(const Target&, std::string_view input) {
  if (input.find('\n') != std::string_view::npos) return -1;
  std::string text = "tonearm 1\nworkload forest\n---\n1 query ";
  text.append(input).append("\n");
  return parse_any(text);
}

}  // namespace tonearm::sim
