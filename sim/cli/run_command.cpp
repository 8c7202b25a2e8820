// `run` and `replay`: one seed or file, in this process, or files, each in its own.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/cli/campaign.h"
#include "sim/cli/checked_run.h"
#include "sim/cli/crash_guard.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/shrinking.h"
#include "sim/cli/trace_file.h"
#include "sim/cli/worker.h"

namespace tonearm::sim {

namespace {

// The parts of a run that only a single one has.
void apply_stops(const RunArgs& args, RunConfig* config) {
  constexpr std::string_view tick = "tick:";
  if (!args.until.empty()) config->until = op_argument("--until", args.until);
  if (args.break_at.starts_with(tick)) {
    config->break_at_tick = number_argument("--break-at", args.break_at.substr(tick.size()), 0, u64_max);
  } else if (!args.break_at.empty()) {
    config->break_at = op_argument("--break-at", args.break_at);
  }
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class AnswerFile {
 public:
  AnswerFile(const std::string& name, RunConfig* config) : name_(name) {
    if (name.empty()) return;
    file_.reset(std::fopen(name.c_str(), "wb"));
    if (!file_) throw EnvironmentError(fmt::format("{}: cannot be written", name));
    config->answer_listener = [this](const std::string& line) { fmt::print(file_.get(), "{}\n", line); };
  }
  void finish() {
    if (!file_) return;
    const bool bad = std::ferror(file_.get()) != 0 || std::fflush(file_.get()) != 0;
    if (bad) throw EnvironmentError(fmt::format("{}: cannot be written", name_));
  }

 private:
  std::string name_;
  std::unique_ptr<std::FILE, FileCloser> file_;
};

// What a debugger follows, or what this process is to write.
bool stops(const RunArgs& args) {
  return !(args.until.empty() && args.break_at.empty() && args.answers.empty() && args.trace.empty());
}

RunResult play_here(const RunArgs& args, const PreparedRun& prepared, const PlayPlan& plan, bool save) {
  RunConfig config = prepared.config();
  apply_stops(args, &config);
  AnswerFile answers(args.answers, &config);
  TraceFile trace(args.trace, &config);
  RunResult result;
  {
    const CrashGuard guard(prepared, args.play.output, save);
    const CpuLimit limit(cpu_limit_argument(args.cpu_limit));
    RunnerMemory memory;
    result = play_checked(config, plan.checks, memory);
  }
  answers.finish();
  trace.finish();
  return result;
}

// The result of `replay` for one file: as its `expect` line says?
bool as_expected(const Scenario& scenario, const RunResult& result) {
  if (!scenario.expect_fail) return !result.failed();
  return result.failed() && result.failure.signature() == scenario.expect_signature;
}

std::string expectation(const Scenario& scenario) {
  return scenario.expect_fail ? fmt::format("fail:{:08x}", scenario.expect_signature) : "pass";
}

void collect(const std::string& name, std::vector<std::string>* files) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(name, error)) {
    files->push_back(name);
    return;
  }
  std::vector<std::string> found;
  for (auto entry = fs::recursive_directory_iterator(name, error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    if (entry->path().extension() == ".scenario") found.push_back(entry->path().string());
  }
  if (error)
    throw UsageError(fmt::format("{}: {}, expected a directory that can be read", name, error.message()));
  if (found.empty()) throw UsageError(fmt::format("{}: no file, expected one that ends in .scenario", name));
  std::sort(found.begin(), found.end());
  files->insert(files->end(), found.begin(), found.end());
}

// True: as expected.
bool replay_file(const ReplayArgs& args, const PlayPlan& plan, const std::string& file, bool single) {
  const OutputArgs& output = args.run.play.output;
  const PreparedRun prepared = prepare_file(plan, file);
  // Stops are for debuggers, which follow this process.
  const bool here = single && stops(args.run);
  const RunResult result = here ? play_here(args.run, prepared, plan, false)
                                : play_isolated(prepared, plan, cpu_limit_argument(args.run.cpu_limit));
  const bool expected = as_expected(*prepared.scenario, result);
  if (output.json) {
    fmt::print("{}\n", verdict_json(prepared, result, file));
    return expected;
  }
  if (result.failed() && (single || !expected) && !output.quiet)
    fmt::print("{}", failure_text(prepared, result, ""));
  if (output.verbose) fmt::print("{}", counters_text(result));
  const std::string line =
      fmt::format("{} file={} expected={} as_expected={}", verdict_line(prepared, result), file,
                  expectation(*prepared.scenario), expected ? "yes" : "no");
  fmt::print("{}\n", colored(output, line));
  std::fflush(stdout);
  return expected;
}

}  // namespace

int run_command(const RunArgs& args) {
  if (!args.seed.empty() && !args.scenario.empty()) {
    throw UsageError("--seed, --scenario: expected one of them, not both");
  }
  if (!args.scenario.empty() && !(args.play.workload.empty() && args.play.ops.empty())) {
    throw UsageError(
        "--scenario: a file has its own workload and operations, expected neither --workload nor --ops");
  }
  const OutputArgs& output = args.play.output;
  const PlayPlan plan = parse_play(args.play, "tree", !args.scenario.empty());
  PreparedRun prepared;
  if (!args.scenario.empty()) {
    prepared = prepare_file(plan, args.scenario);
  } else {
    const u64 seed = args.seed.empty() ? fresh_seed() : seed_argument(args.seed);
    if (args.seed.empty() && !output.json) fmt::print("seed {:#x}\n", seed);
    prepared = prepare_seed(plan, seed);
  }
  const u32 cpu_seconds = cpu_limit_argument(args.cpu_limit);
  const u64 shrinking = shrink_seconds(args.shrink, output);
  // A process that may die can shrink nothing.
  const bool here = shrinking == 0 || stops(args);
  std::fflush(stdout);
  const RunResult result =
      here ? play_here(args, prepared, plan, true) : play_isolated(prepared, plan, cpu_seconds);
  std::string file;
  FoundShrunk shrunk;
  if (result.failed()) {
    file = save_failure(prepared, result.failure);
    if (shrinking != 0) {
      shrunk = shrink_found(plan, prepared, result.failure, file,
                            {.seconds = shrinking,
                             .jobs = processors(),
                             .cpu_seconds = cpu_seconds,
                             .progress = !output.quiet && !output.json});
    }
  }
  if (output.json) {
    fmt::print("{}\n", verdict_json(prepared, result, file, shrunk));
  } else {
    if (result.failed() && !output.quiet) fmt::print("{}", failure_text(prepared, result, file, shrunk));
    if (output.verbose) fmt::print("{}", counters_text(result));
    fmt::print("{}\n", colored(output, verdict_line(prepared, result)));
  }
  if (shrunk.interrupted_by != 0) return 128 + shrunk.interrupted_by;
  return result.failed() ? exit_failed : exit_passed;
}

int replay_command(const ReplayArgs& args) {
  const PlayPlan plan = parse_play(args.run.play, "tree", true);
  std::vector<std::string> files;
  for (const std::string& name : args.files) collect(name == "last" ? last_failure() : name, &files);
  // A malformed file is bad input, and then nothing runs.
  if (files.size() > 1) {
    if (stops(args.run)) {
      throw UsageError("--until, --break-at, --answers, --trace: expected a single file");
    }
    for (const std::string& file : files) prepare_file(plan, file);
  }
  u64 unexpected = 0;
  for (const std::string& file : files)
    unexpected += replay_file(args, plan, file, files.size() == 1) ? 0 : 1;
  if (files.size() > 1 && !args.run.play.output.json && !args.run.play.output.quiet) {
    fmt::print("{} files, {} not as expected\n", files.size(), unexpected);
  }
  return unexpected > 0 ? exit_failed : exit_passed;
}

}  // namespace tonearm::sim
