#include "sim/scenario/scenario.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr std::size_t columns_max = 100;
constexpr std::string_view fault_prefix = "fault.";

std::string_view prefix_of(const Setting& setting) {
  const std::string_view name = setting.name;
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

// Settings that belong together share lines: by prefix, and by when they may change.
bool same_group(const Setting& a, const Setting& b) {
  return prefix_of(a) == prefix_of(b) && a.format == b.format && a.reopenable == b.reopenable &&
         a.of_grooves == b.of_grooves;
}

// What means nothing to the workload is left out unless somebody set it.
void print_settings(const Scenario& scenario, std::string* target) {
  static const RunOptions defaults;
  const RunOptions& options = scenario.options;
  const bool grooves = world_of(scenario.workload, options.groove).groove_count > 0;
  const Setting* previous = nullptr;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) target->append(line).append("\n");
    line.clear();
  };
  for (const Setting& setting : settings()) {
    if (setting.of_grooves && !grooves && setting.get(options) == setting.get(defaults)) continue;
    const std::string_view name = setting.name;
    // That nothing goes wrong need not be said.
    const bool fault = name.starts_with(fault_prefix);
    if (fault && setting.get(options) == setting.get(defaults)) continue;
    const std::string value = print_setting(setting, setting.get(options));
    const std::size_t size = name.size() + value.size() + 2;
    if (previous != nullptr && (!same_group(*previous, setting) || line.size() + size > columns_max)) flush();
    if (fault && setting.type == SettingType::ratio) {
      flush();
      line = fmt::format("fault {} {}", name.substr(fault_prefix.size()), value);
      flush();
      previous = nullptr;
      continue;
    }
    line.append(line.empty() ? "set " : " ").append(name).append("=").append(value);
    previous = &setting;
  }
  flush();
}

// One line, whatever it was made from.
std::string story_text(std::string_view story) {
  std::string text(story);
  for (char& c : text) {
    const u8 byte = static_cast<u8>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

bool hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

void assign_ids(std::vector<Operation>* operations) {
  u64 number_max = 0;
  u64 missing = 0;
  for (const Operation& operation : *operations) {
    number_max = std::max(number_max, operation.id.number);
    missing += operation.id.number == 0 ? 1 : 0;
  }
  if (missing == 0) return;
  ASSERT(number_max <= op_number_max);
  if (missing <= op_number_max - number_max) {
    for (Operation& operation : *operations) {
      if (operation.id.number == 0) operation.id.number = ++number_max;
    }
    return;
  }
  // No room above: the gaps between the numbers in use, from 1 up.
  std::vector<u64> used;
  for (const Operation& operation : *operations) used.push_back(operation.id.number);
  std::sort(used.begin(), used.end());
  u64 candidate = 1;
  std::size_t at = 0;
  for (Operation& operation : *operations) {
    if (operation.id.number != 0) continue;
    while (at < used.size() && used[at] <= candidate) candidate += used[at++] == candidate ? 1 : 0;
    operation.id.number = candidate++;
  }
}

std::string print_header(const Scenario& scenario) {
  std::string text = fmt::format("tonearm {}\nworkload {}\n", scenario_version, scenario.workload);
  text +=
      scenario.expect_fail ? fmt::format("expect fail {:08x}\n", scenario.expect_signature) : "expect pass\n";
  if (const std::string story = story_text(scenario.story); !story.empty()) text += "story " + story + "\n";
  text += fmt::format("seed {:#x}\n", scenario.seed);
  print_settings(scenario, &text);
  return text + "---\n";
}

std::string print_scenario(const Scenario& scenario) {
  constexpr std::size_t line_size = 40;  // About.
  std::string text = print_header(scenario);
  text.reserve(text.size() + line_size * scenario.operations.size());
  const auto unnamed = [](const Operation& operation) { return operation.id.number == 0; };
  if (std::any_of(scenario.operations.begin(), scenario.operations.end(), unnamed)) {
    std::vector<Operation> named = scenario.operations;
    assign_ids(&named);
    for (const Operation& operation : named) print_operation(operation, &text);
    return text;
  }
  for (const Operation& operation : scenario.operations) print_operation(operation, &text);
  return text;
}

SeedResult parse_seed(std::string_view text) {
  constexpr std::size_t hash_digits = 40;
  if (text.size() == hash_digits && hexadecimal(text)) {
    SeedResult result;
    const std::string low = "0x" + std::string(text.substr(hash_digits - 16));
    ASSERT(parse_number(low, 0, u64_max, &result.seed).empty());
    return result;
  }
  u64 seed = 0;
  const std::string expected = parse_number(text, 0, u64_max, &seed);
  if (expected.empty()) return {.seed = seed, .error = {}};
  return {
      .seed = 0,
      .error = fmt::format("found {}, expected a seed: decimal or 0x hexadecimal, {}, or a 40-digit git hash",
                           text.empty() ? "nothing" : quoted(text), expected)};
}

}  // namespace tonearm::sim
