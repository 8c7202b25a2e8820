#include "fuzz/mutate.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "fuzz/change_line.h"
#include "fuzz/parsed.h"
#include "sim/run/runner.h"
#include "sim/scenario/settings.h"
#include "sim/workload/swarm_faults.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace {

using Lines = std::vector<Operation>;

constexpr u64 generated_lines = 2000;  // Of a source, out of which lines are taken.
constexpr u64 universe_max = 24;       // Its keys are few, so that lines are about the same ones.

bool of_generator(const Setting& setting) {
  const std::string_view name = setting.name;
  static constexpr std::string_view names[] = {
      "ops", "key_universe", "phase_lines", "ladder_victims", "query_leaves_max", "query_depth_max"};
  return name.starts_with("weight.") || name.starts_with("bias.") ||
         std::find(std::begin(names), std::end(names), name) != std::end(names);
}

u64 below_size(u64 random, const Lines& lines) { return below(random, lines.size()); }

// A few lines as the generator of the workload yields them. They have no ids yet.
Lines generated_lines_of(const Scenario& scenario, u64 random, u64 count) {
  const Workload* const workload = find_workload(scenario.workload);
  ASSERT(workload != nullptr);
  // Inputs do not carry the generator's knobs: which kinds of lines there are is drawn each time.
  RunOptions options = scenario.options;
  RunOptions drawn;
  workload->draw(remix(random, 3), &drawn);
  for (const Setting& setting : settings()) {
    if (of_generator(setting)) setting.set(options, setting.get(drawn));
  }
  options.ops = generated_lines;
  options.phase_lines = 50;
  options.key_universe = 2 + static_cast<u32>(below(remix(random, 1), universe_max));
  const auto source = workload->source(random, options, {});
  Lines lines(count);
  const u64 first = below(remix(random, 2), source->count() - count);
  for (u64 i = 0; i < count; ++i) {
    source->at(first + i, &lines[i]);
    lines[i].id = {};
  }
  return lines;
}

void insert(Scenario* scenario, u64 at, const Lines& lines) {
  scenario->operations.insert(scenario->operations.begin() + static_cast<std::ptrdiff_t>(at), lines.begin(),
                              lines.end());
}

// The range [first, first + count) as lines without ids.
Lines copy_of(const Lines& lines, u64 first, u64 count) {
  const auto begin = lines.begin() + static_cast<std::ptrdiff_t>(first);
  Lines copy(begin, begin + static_cast<std::ptrdiff_t>(count));
  for (Operation& line : copy) line.id = {};
  return copy;
}

struct Range {
  u64 first, count;
};
// Mostly short; sometimes any.
Range some_range(const Lines& lines, u64 random) {
  const u64 first = below_size(random, lines);
  const u64 left = lines.size() - first;
  const u64 longest = below(remix(random, 1), 8) == 0 ? left : std::min<u64>(left, 4);
  return {.first = first, .count = 1 + below(remix(random, 2), longest)};
}

void erase(Lines* lines, Range range) {
  const auto begin = lines->begin() + static_cast<std::ptrdiff_t>(range.first);
  lines->erase(begin, begin + static_cast<std::ptrdiff_t>(range.count));
}

// All faults, and a second side of the grid: few seeds have them, and inputs are shorter.
void draw_faults(u64 random, RunOptions* options) {
  const u32 weight_heal = options->weight_heal;
  options->fault_profile = FaultProfile::full;
  apply_fault_profile(random, options);
  options->fault_profile = FaultProfile::drawn;
  options->weight_heal = weight_heal;
}

// As another seed draws it, so that what is near a limit is as common as there.
void change_setting(Scenario* scenario, u64 random) {
  RunOptions drawn;
  const Workload* const workload = find_workload(scenario->workload);
  workload->draw(remix(random, 1), &drawn);
  RunOptions changed = scenario->options;
  const std::span<const Setting> all = settings();
  if (find_alphabet(scenario->workload) == nullptr && below(random, 4) == 0) {
    draw_faults(remix(random, 1), &changed);
    finish_options(&changed);
    if (validate_run(scenario->workload, changed).empty()) scenario->options = changed;
    return;
  }
  constexpr u32 tries = 64;
  for (u32 i = 0; i < tries; ++i) {
    const Setting& setting = all[below(remix(random, 2 + i), all.size())];
    if (of_generator(setting) || setting.get(drawn) == setting.get(changed)) continue;
    setting.set(changed, setting.get(drawn));
    finish_options(&changed);
    if (validate_run(scenario->workload, changed).empty()) {
      scenario->options = changed;
      return;
    }
    changed = scenario->options;
  }
}

// A moved line keeps its id: its fate is the same elsewhere.
void move(Lines* lines, u64 random) {
  const Range range = some_range(*lines, random);
  const auto begin = lines->begin() + static_cast<std::ptrdiff_t>(range.first);
  const Lines moved(begin, begin + static_cast<std::ptrdiff_t>(range.count));
  erase(lines, range);
  const u64 to = below(remix(random, 8), lines->size() + 1);
  lines->insert(lines->begin() + static_cast<std::ptrdiff_t>(to), moved.begin(), moved.end());
}

void mutate(Scenario* scenario, u64 random) {
  Lines& lines = scenario->operations;
  const u64 pick = below(random, lines.empty() ? 24 : 100);
  const u64 place = below(remix(random, 1), lines.size() + 1);
  const u64 more = remix(random, 2);
  if (pick < 22)
    return insert(scenario, place, generated_lines_of(*scenario, more, 1 + below(random >> 8, 4)));
  if (pick < 24) return change_setting(scenario, more);
  if (pick < 36) return erase(&lines, some_range(lines, more));
  if (pick < 46) {
    const Range range = some_range(lines, more);
    return insert(scenario, place, copy_of(lines, range.first, range.count));
  }
  if (pick < 56) return move(&lines, more);
  if (pick < 58) {
    scenario->seed = remix(more, 1) % 256;
    scenario->options.disk.seed = scenario->seed;
    return;
  }
  if (pick < 62) return insert(scenario, place, {line_about_request(*scenario, more)});
  change_line(scenario, below_size(more, lines), remix(more, 3));
}

bool shorten(const Target& target, Scenario* scenario, std::size_t size_max, u64 random, std::string* text) {
  Lines& lines = scenario->operations;
  if (lines.size() > target.bounds.lines) lines.resize(target.bounds.lines);
  for (u64 i = 0;; ++i) {
    *text = input_text(*scenario);
    if (text->size() <= size_max) return true;
    if (lines.empty()) return false;
    // What is too long loses a piece in its middle.
    const u64 count = (lines.size() + 3) / 4;
    erase(&lines, {.first = below(remix(random, 100 + i), lines.size() - count + 1), .count = count});
  }
}

std::string finish(const Target& target, Scenario* scenario, std::string_view fallback, std::size_t size_max,
                   u64 random) {
  assign_ids(&scenario->operations);
  std::string text;
  if (!shorten(target, scenario, size_max, random, &text)) return std::string(fallback.substr(0, size_max));
  // What no line may say, a changed key for instance, is not worth a rule each.
  if (parsed(text) != nullptr) return text;
  return std::string(fallback.substr(0, size_max));
}

Scenario parsed_or_generated(const Target& target, std::string_view input, u64 random) {
  const Scenario* const scenario = parsed(input);
  if (scenario == nullptr) return generated_input(target, random);
  const bool other = target.other_workload != nullptr && scenario->workload == target.other_workload;
  if (scenario->workload != target.workload && !other) return generated_input(target, random);
  return *scenario;
}

}  // namespace

Scenario generated_input(const Target& target, u64 random) {
  Scenario scenario;
  const bool other = target.other_workload != nullptr && (random & 1) != 0;
  scenario.workload = other ? target.other_workload : target.workload;
  const Workload* const workload = find_workload(scenario.workload);
  ASSERT(workload != nullptr);
  constexpr u32 tries = 1000;
  const RunOptions defaults;
  u64 seed = random;
  for (u32 i = 0; i < tries; ++i) {
    seed = remix(random, i) % 1'000'000;
    workload->draw(seed, &scenario.options);
    const FormatOptions& f = scenario.options.format;
    // Tables of a few values, so that a few lines make deep trees.
    if (f.block_size <= 1024 && f.beats <= 4 && f.batch_values_max * f.beats <= 24) break;
  }
  scenario.seed = seed % 256;
  RunOptions& o = scenario.options;
  if (find_alphabet(scenario.workload) == nullptr && below(remix(random, 8), 4) == 0) draw_faults(seed, &o);
  o.format.checkpoint_interval = std::min(o.format.checkpoint_interval, 4 * o.format.beats);
  o.runtime.cache_blocks = std::min<u32>(o.runtime.cache_blocks, 64);
  o.runtime.blocks_count = std::min<u64>(o.runtime.blocks_count, 2048);
  o.shadow_every_checkpoints = 0;
  for (const Setting& setting : settings()) {
    if (of_generator(setting)) setting.set(o, setting.get(defaults));
  }
  o.disk.seed = scenario.seed;
  finish_options(&o);
  const u64 lines = std::min<u64>(target.bounds.lines / 2, 20 + below(remix(random, 7), 60));
  scenario.operations = generated_lines_of(scenario, random, lines);
  assign_ids(&scenario.operations);
  return scenario;
}

std::string mutate_input(const Target& target, std::string_view input, std::size_t size_max, u64 random) {
  Scenario scenario = parsed_or_generated(target, input, random);
  // Mostly one mutation: what it does is seen.
  u64 count = 1;
  while (count < 8 && below(remix(random, 50 + count), 3) == 0) ++count;
  for (u64 i = 0; i < count; ++i) mutate(&scenario, remix(random, 200 + i));
  return finish(target, &scenario, input, size_max, random);
}

std::string cross_inputs(const Target& target, std::string_view a, std::string_view b, std::size_t size_max,
                         u64 random) {
  Scenario scenario = parsed_or_generated(target, a, random);
  const Scenario other = parsed_or_generated(target, b, random);
  if (other.operations.empty() || other.workload != scenario.workload ||
      other.options.groove != scenario.options.groove) {
    return std::string(a.substr(0, size_max));
  }
  Lines& lines = scenario.operations;
  Range range = some_range(other.operations, remix(random, 1));
  u64 at = below(remix(random, 2), lines.size() + 1);
  if (below(random, 2) == 0) {  // The beginning of one, the end of the other.
    lines.resize(at);
    range.count = other.operations.size() - range.first;
    at = lines.size();
  }
  insert(&scenario, at, copy_of(other.operations, range.first, range.count));
  return finish(target, &scenario, a, size_max, random);
}

std::string input_text(const Scenario& scenario) {
  static const RunOptions defaults;
  std::string text = "tonearm " + std::to_string(scenario_version) + "\nworkload " + scenario.workload +
                     "\nseed " + std::to_string(scenario.seed) + "\n";
  for (const Setting& setting : settings()) {
    const u64 value = setting.get(scenario.options);
    if (value == setting.get(defaults)) continue;
    text.append("set ").append(setting.name).append("=").append(print_setting(setting, value)).append("\n");
  }
  text += "---\n";
  for (const Operation& line : scenario.operations) print_operation(line, &text);
  return text;
}

}  // namespace tonearm::sim
