// `print`, `diff`, `workloads`, `options`: what a seed is, and what there is to choose from.
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>

#include "sim/cli/crash_guard.h"
#include "sim/cli/events.h"
#include "sim/cli/json.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/worker.h"
#include "sim/run/freeze.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

PreparedRun prepare_diff(const DiffArgs& args, const PlayPlan& plan) {
  if (args.seed.empty() == args.scenario.empty())
    throw UsageError("expected a FILE or --seed N, and not both");
  return args.seed.empty() ? prepare_file(plan, args.scenario) : prepare_seed(plan, seed_argument(args.seed));
}

std::string shell_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// The other program plays the same and writes its events, as they lie in memory, to a pipe.
void feed_from_program(const DiffArgs& args, EventComparer* comparer) {
  const PlayArgs& play = args.play;
  std::string command = shell_quoted(args.against) + " events";
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) command += fmt::format(" {} {}", option, shell_quoted(value));
  };
  add("--seed", args.seed);
  add("--scenario", args.scenario);
  add("--workload", play.workload);
  add("--ops", play.ops);
  add("--oracles", play.oracles);
  for (const std::string& text : play.set) add("--set", text);
  for (const std::string& text : play.disable) add("--disable", text);
  std::fflush(stdout);
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw EnvironmentError(fmt::format("{}: could not be started", args.against));
  Event event;
  u64 count = 0;
  while (std::fread(&event, sizeof(event), 1, pipe) == 1) {
    comparer->feed(event);
    ++count;
  }
  const int status = pclose(pipe);
  const int exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (count == 0 || (exit != exit_passed && exit != exit_failed)) {
    throw EnvironmentError(fmt::format("{}: did not play the run (status {})", args.against, exit));
  }
}

}  // namespace

int print_command(const PrintArgs& args) {
  if (args.seed.empty()) throw UsageError("print: expected --seed N");
  const PlayPlan plan = parse_play(args.play, "tree");
  PreparedRun prepared = prepare_seed(plan, seed_argument(args.seed));
  Scenario scenario = scenario_of(prepared);
  if (args.frozen) {
    prepared.record_faults = true;
    const RunResult played = play_isolated(prepared, plan);
    scenario = freeze(scenario, played);
    scenario.expect_fail = played.failed();
    scenario.expect_signature = played.failed() ? played.failure.signature() : 0;
  }
  const std::string text = print_scenario(scenario);
  if (scenario.operations.size() > scenario_operations_max || text.size() > scenario_bytes_max) {
    throw UsageError(
        fmt::format("print: {} lines, {} bytes, expected at most {} and {}: what can be read again",
                    scenario.operations.size(), text.size(), scenario_operations_max, scenario_bytes_max));
  }
  if (!args.output_file.empty()) {
    write_text_file(args.output_file, text);
  } else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw EnvironmentError("standard output: cannot be written");
  }
  return exit_passed;
}

int diff_command(const DiffArgs& args) {
  const PlayPlan plan = parse_play(args.play, "tree");
  const PreparedRun prepared = prepare_diff(args, plan);
  const CrashGuard guard(prepared, args.play.output, false);
  const CpuLimit limit(2 * run_cpu_seconds_max);
  RunnerMemory memory;
  EventRecorder first;
  RunConfig config = prepared.config();
  config.event_context = &first;
  config.event_listener = EventRecorder::listen;
  const RunResult result = run(config, memory);
  EventComparer second(first);
  bool same_digests = true;
  if (args.against.empty()) {
    config.event_context = &second;
    config.event_listener = EventComparer::listen;
    same_digests = run(config, memory).digests == result.digests;
  } else {
    feed_from_program(args, &second);
  }
  const bool equal = second.equal() && same_digests;
  const std::string story = second.describe("this ", args.against.empty() ? "again" : "other");
  if (args.play.output.json) {
    fmt::print("{}\n", json_text(JsonFields{{"schema", std::string("tonearm.diff/1")},
                                            {"equal", equal},
                                            {"events", first.count()},
                                            {"story", story}}));
  } else {
    fmt::print("{}{}", story, second.equal() && !same_digests ? "but the digests differ\n" : "");
    if (first.count() > events_recorded_max)
      fmt::print("only the first {} were compared one by one\n", events_recorded_max);
  }
  return equal ? exit_passed : exit_failed;
}

int events_command(const DiffArgs& args) {
  const PlayPlan plan = parse_play(args.play, "tree");
  const PreparedRun prepared = prepare_diff(args, plan);
  RunConfig config = prepared.config();
  config.event_listener = [](void*, u64, const Event& event) {
    std::fwrite(&event, sizeof(event), 1, stdout);
  };
  const CpuLimit limit(run_cpu_seconds_max);
  RunnerMemory memory;
  const RunResult result = run(config, memory);
  if (std::fflush(stdout) != 0) throw EnvironmentError("standard output: cannot be written");
  return result.failed() ? exit_failed : exit_passed;
}

int workloads_command(const ListArgs& args) {
  std::vector<JsonFields> list;
  for (const Workload& workload : workloads()) {
    list.push_back({{"workload", std::string(workload.name)}, {"help", std::string(workload.help)}});
    if (!args.output.json) fmt::print("{:<16} {}\n", workload.name, workload.help);
    const Alphabet* alphabet = find_alphabet(workload.name);
    if (!args.output.verbose || args.output.json || alphabet == nullptr) continue;
    for (const Verb& verb : alphabet->verbs) fmt::print("    {:<14} {}\n", verb.name, verb.help);
  }
  if (args.output.json) fmt::print("{}\n", json_text(list));
  return exit_passed;
}

int options_command(const ListArgs& args) {
  const RunOptions defaults;
  std::vector<JsonFields> list;
  for (const Setting& setting : settings()) {
    std::string range =
        setting.type == SettingType::ratio ? "0/1..1/1" : fmt::format("{}..{}", setting.min, setting.max);
    if (setting.type == SettingType::name) {
      range.clear();
      for (const char* const* name = setting.names; *name != nullptr; ++name)
        range += (range.empty() ? "" : "|") + std::string(*name);
    }
    const char* type = setting.type == SettingType::number  ? "number"
                       : setting.type == SettingType::ratio ? "ratio"
                                                            : "name";
    const char* when = setting.format ? "format" : setting.reopenable ? "reopen" : "run";
    const std::string value = print_setting(setting, setting.get(defaults));
    if (args.output.json) {
      list.push_back({{"option", std::string(setting.name)},
                      {"type", std::string(type)},
                      {"range", range},
                      {"default", value},
                      {"scope", std::string(when)},
                      {"help", std::string(setting.help)}});
      continue;
    }
    fmt::print("{:<26} {:<7} {:<7} default {:<9} {}\n{:>28}{}\n", setting.name, type, when, value, range, "",
               setting.help);
  }
  if (args.output.json) {
    fmt::print("{}\n", json_text(list));
  } else {
    fmt::print(
        "\nformat: part of the data file; reopen: a reopen line may change it; run: neither.\n\noracles "
        "(--oracles):\n");
    for (u32 i = 0; i < oracle_count; ++i) {
      const Oracle oracle = static_cast<Oracle>(i);
      fmt::print("{:<26} {}\n", oracle_name(oracle), oracle_help(oracle));
    }
  }
  return exit_passed;
}

}  // namespace tonearm::sim
