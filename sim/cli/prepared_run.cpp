#include "sim/cli/prepared_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "sim/cli/problems.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"
#include "sim/workload/reseeded_source.h"
#include "sim/workload/swarm_faults.h"

namespace tonearm::sim {

namespace {

void append_words(std::string* words, const char* option, const std::string& value) {
  const bool plain = value.find_first_of(" '\"\\$`*?;&|<>()") == std::string::npos;
  *words += plain ? fmt::format(" {} {}", option, value) : fmt::format(" {} '{}'", option, value);
}

std::vector<const Workload*> parse_workloads(const std::string& name) {
  std::vector<const Workload*> found;
  std::vector<std::string> names;
  for (const Workload& workload : workloads()) {
    if (name == workload.name || (name == "all" && std::string_view(workload.name) != "canary")) {
      found.push_back(&workload);
    }
    names.emplace_back(workload.name);
  }
  if (found.empty()) {
    throw UsageError(
        fmt::format("--workload: found {}, expected one of: {}", quoted(name), fmt::join(names, ", ")));
  }
  return found;
}

SettingChange parse_change(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const std::optional<u16> index = find_setting(name);
  if (equals == std::string::npos && index) {
    throw UsageError(fmt::format("--set: found {}, expected KEY=VALUE", quoted(text)));
  }
  if (!index)
    throw UsageError(fmt::format("--set: found {}, expected {}", quoted(name), expected_setting(name)));
  const SettingValue value = parse_setting(settings()[*index], std::string_view(text).substr(equals + 1));
  if (!value.error.empty()) {
    const std::string given = text.substr(equals + 1);
    throw UsageError(fmt::format("--set {}: found {}, expected {}", name,
                                 given.empty() ? "nothing" : quoted(given), value.error));
  }
  return {.setting = *index, .value = value.value};
}

constexpr u64 ratio_zero = 1;  // 0/1.

// An operation kind or a tree: its weight; a fault kind or a variation: its ratio; latency, vary: all
// settings of that name. It may be a verb too, or only that: see check_disabled().
void parse_disable(const std::string& name, PlayPlan* plan) {
  const std::size_t before = plan->changes.size();
  plan->verbs.push_back(name);
  for (u16 i = 0; i < settings().size(); ++i) {
    const Setting& setting = settings()[i];
    const std::string_view full = setting.name;
    const std::size_t dot = full.find('.');
    const std::string_view prefix = full.substr(0, dot == std::string_view::npos ? 0 : dot);
    const bool switchable = prefix == "weight" || prefix == "fault" || prefix == "vary";
    // A full disk is a fault without a chance. A mirror is none: it is what the engine has against them.
    const bool of_fault =
        prefix == "fault" && (setting.type == SettingType::ratio || full == "fault.full_blocks");
    const bool group = (prefix == "latency" || prefix == "vary" || of_fault) && name == prefix;
    if (!(switchable && full.substr(dot + 1) == name) && !group) continue;
    plan->changes.push_back({.setting = i, .value = setting.type == SettingType::ratio ? ratio_zero : 0});
  }
  if (plan->changes.size() == before) plan->not_settings.push_back(name);
  for (u32 i = 0; i < operation_kind_count; ++i) {
    const OperationKind kind = static_cast<OperationKind>(i);
    if (name == operation_kind_name(kind)) plan->disabled.push_back(kind);
  }
}

// Each name that is no setting must be a verb of one of the workloads; none given: of any.
void check_disabled(const PlayPlan& plan, std::span<const Workload* const> played) {
  std::vector<std::string> verbs;
  for (const Workload& workload : workloads()) {
    const bool wanted = std::find(played.begin(), played.end(), &workload) != played.end();
    const Alphabet* alphabet = find_alphabet(workload.name);
    if (alphabet == nullptr || !(wanted || played.empty())) continue;
    for (const Verb& verb : alphabet->verbs) verbs.emplace_back(verb.name);
  }
  for (const std::string& name : plan.not_settings) {
    if (std::find(verbs.begin(), verbs.end(), name) != verbs.end()) continue;
    std::vector<std::string> known{"fault", "latency", "vary"};
    for (const Setting& setting : settings()) {
      const std::string_view full = setting.name;
      const std::size_t dot = full.find('.');
      const std::string_view prefix = full.substr(0, dot == std::string_view::npos ? 0 : dot);
      if (prefix == "weight" || prefix == "fault" || prefix == "vary")
        known.emplace_back(full.substr(dot + 1));
    }
    known.insert(known.end(), verbs.begin(), verbs.end());
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    throw UsageError(fmt::format(
        "--disable: found {}, expected an operation kind, a tree, a fault kind, a variation, latency, or a "
        "verb of the workload, nearest: {}",
        quoted(name), fmt::join(nearest_names(name, known, 3), ", ")));
  }
}

// The lines of a component workload without those of some verbs. The others keep their ids.
class WithoutVerbs final : public OperationSource {
 public:
  WithoutVerbs(std::unique_ptr<OperationSource> whole, const std::vector<std::string>& verbs)
      : whole_(std::move(whole)) {
    constexpr u64 lines_max = u64{1} << 22;  // A number is kept for each.
    if (whole_->count() > lines_max) {
      throw UsageError(fmt::format("--ops: {}, expected at most {} when the lines of a verb are disabled",
                                   whole_->count(), lines_max));
    }
    Operation operation;
    for (u64 i = 0; i < whole_->count(); ++i) {
      whole_->at(i, &operation);
      if (std::find(verbs.begin(), verbs.end(), operation.verb->name) == verbs.end()) kept_.push_back(i);
    }
  }
  u64 count() const override { return kept_.size(); }
  void at(u64 index, Operation* operation) const override { whole_->at(kept_[index], operation); }

 private:
  std::unique_ptr<OperationSource> whole_;
  std::vector<u64> kept_;
};

// `all,-model`, `model,audit`, `none`.
OracleSet parse_oracles(const std::string& list) {
  OracleSet set = OracleSet::none();
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    std::string_view token = std::string_view(list).substr(begin, end - begin);
    begin = end + 1;
    if (token == "all" || token == "none") {
      set = token == "all" ? OracleSet::all() : OracleSet::none();
      continue;
    }
    const bool off = token.starts_with('-');
    if (off) token.remove_prefix(1);
    std::vector<std::string> names{"all", "none"};
    bool found = false;
    for (u32 i = 0; i < oracle_count; ++i) {
      const Oracle oracle = static_cast<Oracle>(i);
      names.emplace_back(oracle_name(oracle));
      if (token != oracle_name(oracle)) continue;
      set.set(oracle, !off);
      found = true;
    }
    if (!found) {
      throw UsageError(fmt::format("--oracles: found {}, expected names out of: {}",
                                   token.empty() ? "nothing" : quoted(token), fmt::join(names, ", ")));
    }
  }
  return set;
}

// `17:0x9`; 0: before the first line.
PlayPlan::ReseedAt parse_reseed(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) {
    throw UsageError(fmt::format("--reseed: found {}, expected ID:SEED", quoted(text)));
  }
  PlayPlan::ReseedAt reseed;
  const std::string id = text.substr(0, colon);
  if (id != "0") reseed.after = op_argument("--reseed", id);
  reseed.seed = seed_argument(text.substr(colon + 1));
  return reseed;
}

void check_reseeds(const PlayPlan& plan, std::string_view workload) {
  if (plan.reseeds.empty() || can_reseed(workload)) return;
  throw UsageError(
      fmt::format("--reseed: found the workload {}, expected one of trees or grooves: a component has no "
                  "harness around it",
                  workload));
}

// The lines of a seed are numbered from 1.
Reseeds reseeds_of_seed(const PlayPlan& plan, u64 count) {
  Reseeds reseeds;
  for (const PlayPlan::ReseedAt& reseed : plan.reseeds) {
    const u64 first = reseeds.empty() ? 0 : reseeds.back().from;
    if (reseed.after.child != 0 || reseed.after.number > count || reseed.after.number < first) {
      throw UsageError(fmt::format("--reseed: found {}, expected a line from {} to {}",
                                   op_id_text(reseed.after), first, count));
    }
    reseeds.push_back({.from = reseed.after.number, .seed = reseed.seed});
  }
  return reseeds;
}

// The other lines of a file stay: they are what it says.
void reseed_file(const PlayPlan& plan, const std::string& file, std::vector<Operation>* lines) {
  for (const PlayPlan::ReseedAt& reseed : plan.reseeds) {
    auto place = lines->begin();
    if (reseed.after.number != 0) {
      const auto named = [&](const Operation& line) { return line.id == reseed.after; };
      place = std::find_if(lines->begin(), lines->end(), named);
      if (place == lines->end()) {
        throw UsageError(fmt::format("--reseed: found {}, expected the id of a line of {}",
                                     op_id_text(reseed.after), file));
      }
      ++place;
    }
    Operation line;
    line.kind = OperationKind::reseed;
    line.value = reseed.seed;
    lines->insert(place, line);
  }
  assign_ids(lines);
}

std::string geometry_problem(std::string_view workload, RunOptions* options, const PlayPlan& plan) {
  for (const SettingChange& change : plan.changes) settings()[change.setting].set(*options, change.value);
  finish_options(options);
  return validate_run(workload, *options);
}

u32 line_of(std::string_view text, std::string_view word) {
  u32 number = 1;
  while (!text.empty()) {
    if (text.starts_with(word)) return number;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    ++number;
  }
  return 1;
}

}  // namespace

PlayPlan parse_play(const PlayArgs& args, const char* default_workload, bool of_files) {
  PlayPlan plan;
  plan.workloads = parse_workloads(args.workload.empty() ? default_workload : args.workload);
  if (!args.ops.empty()) {
    plan.changes.push_back(parse_change("ops=" + args.ops));
    append_words(&plan.words, "--ops", args.ops);
  }
  for (const std::string& text : args.set) {
    plan.changes.push_back(parse_change(text));
    append_words(&plan.words, "--set", text);
  }
  for (const std::string& name : args.disable) {
    parse_disable(name, &plan);
    append_words(&plan.words, "--disable", name);
  }
  if (!of_files) check_disabled(plan, plan.workloads);
  for (const std::string& text : args.reseed) {
    plan.reseeds.push_back(parse_reseed(text));
    plan.words += reseed_words(plan.reseeds.back());
  }
  if (!args.oracles.empty()) {
    plan.oracles = parse_oracles(args.oracles);
    append_words(&plan.judged, "--oracles", args.oracles);
  }
  plan.checks.determinism = args.check_determinism;
  if (args.check_determinism) plan.judged += " --check-determinism";
  if (!args.twins.empty()) {
    constexpr u64 twins_max = 1000;
    plan.checks.twins = static_cast<u32>(number_argument("--twins", args.twins, 0, twins_max));
    append_words(&plan.judged, "--twins", args.twins);
  }
  plan.words += plan.judged;
  return plan;
}

std::string reseed_words(const PlayPlan::ReseedAt& reseed) {
  const std::string after = reseed.after.number == 0 ? "0" : op_id_text(reseed.after);
  return fmt::format(" --reseed {}:{:#x}", after, reseed.seed);
}

RunConfig PreparedRun::config() const {
  RunConfig config;
  config.workload = workload;
  config.seed = seed;
  config.options = options;
  config.source = source.get();
  config.oracles = oracles;
  config.record_faults = record_faults;
  config.sweep = sweep;
  return config;
}

PreparedRun prepare_seed(const PlayPlan& plan, const Workload& workload, u64 seed, std::string* problem) {
  PreparedRun prepared;
  prepared.workload = workload.name;
  prepared.seed = seed;
  prepared.oracles = plan.oracles;
  prepared.judged = plan.judged;
  prepared.reproduce =
      fmt::format("tonearm run --workload {} --seed {:#x}{}", workload.name, seed, plan.words);
  workload.draw(seed, &prepared.options);
  prepared.options.disk.seed = seed;
  *problem = geometry_problem(workload.name, &prepared.options, plan);
  if (!problem->empty()) return prepared;
  const bool component = find_alphabet(workload.name) != nullptr;
  if (prepared.options.fault_profile != FaultProfile::drawn && !component) {
    apply_fault_profile(seed, &prepared.options);
    // What is given one by one counts more.
    *problem = geometry_problem(workload.name, &prepared.options, plan);
  }
  check_reseeds(plan, workload.name);
  if (plan.reseeds.empty()) {
    prepared.source = workload.source(seed, prepared.options, {});
  } else {
    const Reseeds reseeds = reseeds_of_seed(plan, prepared.options.ops);
    prepared.source = std::make_unique<ReseededSource>(workload, seed, prepared.options, reseeds);
  }
  if (find_alphabet(workload.name) != nullptr && !plan.verbs.empty()) {
    prepared.source = std::make_unique<WithoutVerbs>(std::move(prepared.source), plan.verbs);
  }
  return prepared;
}

PreparedRun prepare_seed(const PlayPlan& plan, u64 seed) {
  if (plan.workloads.size() != 1) throw UsageError("--workload: expected one workload");
  std::string problem;
  PreparedRun prepared = prepare_seed(plan, *plan.workloads.front(), seed, &problem);
  if (!problem.empty()) throw UsageError(fmt::format("seed {:#x}: {}", seed, problem));
  return prepared;
}

PreparedRun prepare_reseeded(const PlayPlan& plan, const Workload& workload, u64 seed,
                             const std::optional<Reseed>& reseed, std::string* problem) {
  if (!reseed) return prepare_seed(plan, workload, seed, problem);
  PlayPlan branched = plan;
  branched.reseeds.push_back({.after = {.number = reseed->from, .child = 0}, .seed = reseed->seed});
  branched.words.insert(0, reseed_words(branched.reseeds.back()));
  return prepare_seed(branched, workload, seed, problem);
}

PreparedRun prepare_file(const PlayPlan& plan, const std::string& file) {
  const std::string text = read_text_file(file, scenario_bytes_max);
  auto parsed = parse_scenario(text);
  if (const ScenarioError* error = std::get_if<ScenarioError>(&parsed)) {
    throw UsageError(fmt::format("{}:{}:{}: {}", file, error->line, error->column, error->message));
  }
  PreparedRun prepared;
  prepared.scenario = std::make_unique<Scenario>(std::move(std::get<Scenario>(parsed)));
  Scenario& scenario = *prepared.scenario;
  if (find_workload(scenario.workload) == nullptr) {
    throw UsageError(fmt::format("{}:{}:10: found {}, expected a workload, see `tonearm workloads`", file,
                                 line_of(text, "workload "), quoted(scenario.workload)));
  }
  const Workload* const played[] = {find_workload(scenario.workload)};
  check_disabled(plan, played);
  check_reseeds(plan, scenario.workload);
  prepared.options = scenario.options;
  const std::string problem = geometry_problem(scenario.workload, &prepared.options, plan);
  if (!problem.empty()) {
    throw UsageError(fmt::format("{}:{}:1: {}", file, line_of(text, "set "), problem));
  }
  std::erase_if(scenario.operations, [&](const Operation& operation) {
    if (operation.kind == OperationKind::call) {
      return std::find(plan.verbs.begin(), plan.verbs.end(), operation.verb->name) != plan.verbs.end();
    }
    return std::find(plan.disabled.begin(), plan.disabled.end(), operation.kind) != plan.disabled.end();
  });
  reseed_file(plan, file, &scenario.operations);
  prepared.workload = scenario.workload;
  prepared.seed = scenario.seed;
  prepared.oracles = plan.oracles;
  prepared.file = file;
  prepared.source = source_of(scenario.operations);
  prepared.judged = plan.judged;
  prepared.reproduce = fmt::format("tonearm run --scenario {}{}", file, plan.words);
  return prepared;
}

PreparedRun prepare_scenario(const PlayPlan& plan, Scenario scenario, std::string* problem) {
  PreparedRun prepared;
  prepared.scenario = std::make_unique<Scenario>(std::move(scenario));
  const Scenario& kept = *prepared.scenario;
  prepared.workload = kept.workload;
  prepared.seed = kept.seed;
  prepared.options = kept.options;
  prepared.options.disk.seed = kept.seed;
  prepared.oracles = plan.oracles;
  prepared.judged = plan.judged;
  *problem = validate_run(kept.workload, kept.options);
  if (problem->empty()) prepared.source = source_of(kept.operations);
  return prepared;
}

namespace {

// Without lines.
Scenario empty_scenario_of(const PreparedRun& prepared) {
  Scenario scenario;
  scenario.workload = prepared.workload;
  scenario.seed = prepared.seed;
  scenario.options = prepared.options;
  if (prepared.scenario) scenario.story = prepared.scenario->story;
  return scenario;
}

}  // namespace

Scenario scenario_of(const PreparedRun& prepared) {
  Scenario scenario = empty_scenario_of(prepared);
  if (prepared.source == nullptr) return scenario;
  const u64 count = prepared.source->count();
  if (count > scenario_operations_max) {
    throw UsageError(
        fmt::format("--ops: {}, expected at most {}, what a file may have", count, scenario_operations_max));
  }
  scenario.operations.resize(count);
  for (u64 i = 0; i < count; ++i) prepared.source->at(i, &scenario.operations[i]);
  return scenario;
}

std::optional<Scenario> scenario_of_failure(const PreparedRun& prepared, const Failure& failure) {
  if (prepared.source == nullptr || prepared.source->count() <= failure_lines_max) {
    return scenario_of(prepared);
  }
  if (!failure.has_op) return std::nullopt;
  // The lines of a file have any ids.
  Operation line;
  u64 end = 0;
  while (end < failure_lines_max) {
    prepared.source->at(end++, &line);
    if (line.id == failure.op) break;
  }
  if (line.id != failure.op) return std::nullopt;
  Scenario scenario = empty_scenario_of(prepared);
  scenario.operations.resize(end);
  for (u64 i = 0; i < end; ++i) prepared.source->at(i, &scenario.operations[i]);
  return scenario;
}

}  // namespace tonearm::sim
