#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "sim/scenario/line_cursor.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr std::size_t settings_max = 192;
constexpr std::size_t workload_name_max = 32;
constexpr std::size_t story_bytes_max =
    65536;  // Else a file that can be read might be too long when printed.

struct Place {
  u32 line = 0;  // 0: nowhere.
  u32 column = 0;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { ASSERT(settings().size() <= settings_max); }

  std::variant<Scenario, ScenarioError> run();

 private:
  enum class Stage : u8 { version, header, body };
  enum class Keyword : u8 { workload, expect, story, seed, set, fault, end };

  bool parse_line(std::string_view line);
  bool parse_version(std::string_view first, LineCursor& cursor);
  bool parse_header(std::string_view first, LineCursor& cursor);
  bool parse_workload(LineCursor& cursor);
  bool parse_expect(LineCursor& cursor);
  bool parse_story(LineCursor& cursor);
  bool parse_header_seed(LineCursor& cursor);
  bool parse_set(LineCursor& cursor);
  bool parse_fault(LineCursor& cursor);
  bool parse_value(u16 setting, std::string_view name, std::string_view text, LineCursor& cursor);
  bool finish_header(std::string_view first, LineCursor& cursor);
  bool parse_body(std::string_view first, LineCursor& cursor);
  bool check_reopen(LineCursor& cursor, std::string_view first, const Operation& operation);
  bool check_ids();
  bool finish();

  std::string_view text_;
  Scenario scenario_;
  ScenarioError error_;
  Stage stage_ = Stage::version;
  u32 line_ = 0;
  u32 keywords_seen_ = 0;
  const Alphabet* alphabet_ = nullptr;        // Of the workload, once the header is read.
  const World* world_ = &world_tree;          // So is this.
  std::array<Place, settings_max> set_at_{};  // By setting.
  std::vector<Place> operation_at_;           // Of the id, by operation.
};

std::variant<Scenario, ScenarioError> Parser::run() {
  if (text_.size() > scenario_bytes_max) {
    return ScenarioError{
        .line = 1,
        .column = 1,
        .message = fmt::format("found {} bytes, expected at most {}", text_.size(), scenario_bytes_max)};
  }
  std::size_t at = 0;
  while (at < text_.size()) {
    const std::size_t end = std::min(text_.find('\n', at), text_.size());
    ++line_;
    if (!parse_line(text_.substr(at, end - at))) return error_;
    at = end + 1;
  }
  if (!finish()) return error_;
  return std::move(scenario_);
}

bool Parser::parse_line(std::string_view line) {
  LineCursor cursor(line, line_, &error_);
  bool control = false;
  for (const char c : line) {
    const u8 byte = static_cast<u8>(c);
    control = control | ((byte < 0x20) & (byte != '\t')) | (byte == 0x7f);
  }
  if (control) {
    const auto at = std::find_if(line.begin(), line.end(), [](char c) {
      return (static_cast<u8>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    const std::string_view found = line.substr(static_cast<std::size_t>(at - line.begin()), 1);
    if (found == "\r") return cursor.fail(found, "lines that end in a line feed alone");
    return cursor.fail(found, "text without control characters");
  }
  const std::string_view first = cursor.next();
  if (first.empty()) return true;
  switch (stage_) {
    case Stage::version: return parse_version(first, cursor);
    case Stage::header: return parse_header(first, cursor);
    case Stage::body: return parse_body(first, cursor);
  }
  UNREACHABLE();
}

bool Parser::parse_version(std::string_view first, LineCursor& cursor) {
  if (first != "tonearm") return cursor.fail(first, "`tonearm 1`: a scenario begins with its version");
  const std::string_view token = cursor.next();
  u64 version = 0;
  if (!parse_number(token, scenario_version, scenario_version, &version).empty()) {
    return cursor.fail(token, fmt::format("a scenario of version {}", scenario_version));
  }
  stage_ = Stage::header;
  return cursor.end();
}

bool Parser::parse_header(std::string_view first, LineCursor& cursor) {
  static constexpr std::string_view names[] = {"workload", "expect", "story", "seed", "set", "fault", "---"};
  const auto found = std::find(std::begin(names), std::end(names), first);
  if (found == std::end(names)) {
    return cursor.fail(first, "workload, expect, story, seed, set, fault or ---");
  }
  const Keyword keyword = static_cast<Keyword>(found - std::begin(names));
  const u32 bit = 1U << static_cast<u32>(keyword);
  if (keyword < Keyword::set && (keywords_seen_ & bit) != 0) {
    return cursor.fail(first, fmt::format("one line `{}`, not a second", first));
  }
  keywords_seen_ |= bit;
  switch (keyword) {
    case Keyword::workload: return parse_workload(cursor);
    case Keyword::expect: return parse_expect(cursor);
    case Keyword::story: return parse_story(cursor);
    case Keyword::seed: return parse_header_seed(cursor);
    case Keyword::set: return parse_set(cursor);
    case Keyword::fault: return parse_fault(cursor);
    case Keyword::end: return finish_header(first, cursor);
  }
  UNREACHABLE();
}

bool Parser::parse_workload(LineCursor& cursor) {
  const std::string_view name = cursor.next();
  const bool wrong =
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") != std::string_view::npos;
  if (name.empty() || name.size() > workload_name_max || wrong)
    return cursor.fail(name, "the name of a workload");
  scenario_.workload = name;
  return cursor.end();
}

bool Parser::parse_expect(LineCursor& cursor) {
  constexpr std::size_t signature_digits = 8;
  const std::string_view verdict = cursor.next();
  if (verdict != "pass" && verdict != "fail") return cursor.fail(verdict, "pass, or fail and a signature");
  if (verdict == "pass") return cursor.end();
  const std::string_view signature = cursor.next();
  u64 value = 0;
  if (signature.size() != signature_digits ||
      !parse_number("0x" + std::string(signature), 0, 0xffffffff, &value).empty()) {
    return cursor.fail(signature, "a signature of 8 hexadecimal digits");
  }
  scenario_.expect_fail = true;
  scenario_.expect_signature = static_cast<u32>(value);
  return cursor.end();
}

bool Parser::parse_story(LineCursor& cursor) {
  const std::string_view story = cursor.rest();
  if (story.empty()) return cursor.fail(story, "a story: one line of text");
  if (story.size() > story_bytes_max) {
    return cursor.refuse(
        story, fmt::format("found a story of {} bytes, expected at most {}", story.size(), story_bytes_max));
  }
  scenario_.story = story;
  return true;
}

bool Parser::parse_header_seed(LineCursor& cursor) {
  const std::string_view token = cursor.next();
  const SeedResult result = parse_seed(token);
  if (token.empty()) return cursor.fail(token, "a seed: decimal, 0x hexadecimal or a 40-digit git hash");
  if (!result.error.empty()) return cursor.refuse(token, result.error);
  scenario_.seed = result.seed;
  return cursor.end();
}

bool Parser::parse_set(LineCursor& cursor) {
  std::string_view token = cursor.next();
  if (token.empty()) return cursor.fail(token, "a setting and its value: block_size=4096");
  while (!token.empty()) {
    const std::size_t equals = token.find('=');
    const std::string_view name = token.substr(0, equals);
    const std::optional<u16> setting = find_setting(name);
    if (!setting) return cursor.fail(name, expected_setting(name));
    if (equals == std::string_view::npos) return cursor.fail(token.substr(token.size()), "= and a value");
    if (!parse_value(*setting, name, token.substr(equals + 1), cursor)) return false;
    token = cursor.next();
  }
  return true;
}

bool Parser::parse_fault(LineCursor& cursor) {
  const std::string_view name = cursor.next();
  std::optional<u16> setting;
  if (name.size() <= workload_name_max) setting = find_setting("fault." + std::string(name));
  if (setting && settings()[*setting].type != SettingType::ratio) setting.reset();
  if (!setting) {
    std::string names;
    for (const Setting& each : settings()) {
      const std::string_view full = each.name;
      if (full.starts_with("fault.") && each.type == SettingType::ratio)
        names += (names.empty() ? "" : ", ") + std::string(full.substr(6));
    }
    return cursor.fail(name, "a fault: " + names);
  }
  return parse_value(*setting, name, cursor.next(), cursor) && cursor.end();
}

bool Parser::parse_value(u16 setting, std::string_view name, std::string_view text, LineCursor& cursor) {
  Place& place = set_at_[setting];
  if (place.line != 0)
    return cursor.fail(name, fmt::format("each setting once, and line {} has it", place.line));
  const SettingValue value = parse_setting(settings()[setting], text);
  if (!value.error.empty()) return cursor.fail(text, value.error);
  settings()[setting].set(scenario_.options, value.value);
  place = {.line = line_, .column = cursor.column(name)};
  return true;
}

bool Parser::finish_header(std::string_view first, LineCursor& cursor) {
  stage_ = Stage::body;
  if (!cursor.end()) return false;
  alphabet_ = find_alphabet(scenario_.workload);
  scenario_.options.disk.seed = scenario_.seed;
  finish_options(&scenario_.options);
  world_ = &world_of(scenario_.workload, scenario_.options.groove);
  const std::string error = validate_options(scenario_.options);
  if (!error.empty()) {
    cursor.refuse(first, error);
    // Better where the setting is that the complaint begins with; it may have its default.
    const std::optional<u16> setting = find_setting(std::string_view(error).substr(0, error.find(':')));
    if (setting && set_at_[*setting].line != 0) {
      error_.line = set_at_[*setting].line;
      error_.column = set_at_[*setting].column;
    }
    return false;
  }
  const auto lines = std::count(text_.begin(), text_.end(), '\n');
  const u64 operations = std::min(static_cast<u64>(lines) - line_ + 1, scenario_operations_max);
  scenario_.operations.reserve(operations);
  operation_at_.reserve(operations);
  return true;
}

bool Parser::parse_body(std::string_view first, LineCursor& cursor) {
  if (scenario_.operations.size() == scenario_operations_max) {
    return cursor.fail(first, fmt::format("at most {} operations", scenario_operations_max));
  }
  Operation& operation = scenario_.operations.emplace_back();
  operation_at_.push_back({.line = line_, .column = cursor.column(first)});
  if (!parse_operation(first, cursor, alphabet_, *world_, &operation)) return false;
  return operation.kind != OperationKind::reopen || check_reopen(cursor, first, operation);
}

// What the run-time options would be after this line, if it were the only one: lines stay valid
// when others go.
bool Parser::check_reopen(LineCursor& cursor, std::string_view first, const Operation& operation) {
  RunOptions options = scenario_.options;
  for (const SettingChange& change : operation.changes) settings()[change.setting].set(options, change.value);
  std::string error = validate_options(options);
  return error.empty() || cursor.refuse(first, std::move(error));
}

bool Parser::check_ids() {
  const std::vector<Operation>& operations = scenario_.operations;
  const auto less = [](OpId a, OpId b) {
    return a.number != b.number ? a.number < b.number : a.child < b.child;
  };
  std::vector<u32> order;
  bool ascending = true;
  OpId previous;
  for (u32 i = 0; i < operations.size(); ++i) {
    const OpId id = operations[i].id;
    if (id.number == 0) continue;
    ascending = ascending && less(previous, id);
    previous = id;
  }
  if (ascending) return true;
  for (u32 i = 0; i < operations.size(); ++i) {
    if (operations[i].id.number != 0) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) {
    const OpId x = operations[a].id;
    const OpId y = operations[b].id;
    return x == y ? a < b : less(x, y);
  });
  std::optional<u32> duplicate;
  u32 original = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (operations[order[i]].id != operations[order[i - 1]].id) continue;
    if (duplicate && *duplicate < order[i]) continue;
    duplicate = order[i];
    original = order[i - 1];
  }
  if (!duplicate) return true;
  const Place place = operation_at_[*duplicate];
  error_ = {.line = place.line,
            .column = place.column,
            .message = fmt::format("found `{}`, expected an id of its own: line {} has this one",
                                   op_id_text(operations[*duplicate].id), operation_at_[original].line)};
  return false;
}

bool Parser::finish() {
  if (stage_ != Stage::body) {
    const std::size_t newline = text_.rfind('\n');
    const std::size_t last =
        newline == std::string_view::npos ? 0 : newline + 1;  // Where the last line begins.
    error_ = {
        .line = last == text_.size() ? line_ + 1 : line_,
        .column = static_cast<u32>(text_.size() - last) + 1,
        .message = fmt::format("found the end of the file, expected {}",
                               stage_ == Stage::version ? "`tonearm 1`: a scenario begins with its version"
                                                        : "`---`: the end of the header")};
    return false;
  }
  if (!check_ids()) return false;
  assign_ids(&scenario_.operations);
  return true;
}

}  // namespace

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view text) { return Parser(text).run(); }

}  // namespace tonearm::sim
