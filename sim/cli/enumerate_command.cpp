// `enumerate`: small scope, in worker processes; see enumeration.h.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <new>
#include <set>

#include "sim/cli/campaign.h"
#include "sim/cli/crash_guard.h"
#include "sim/cli/enumeration.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"

namespace tonearm::sim {

namespace {

constexpr u64 lines_most = 6;
constexpr u64 workers_most = 64;
constexpr u64 starts_most = 64;
constexpr u64 failures_most = 20;  // Then a worker has seen enough.

// What a worker shares with its parent, who also learns from it what killed the worker.
struct Shared {
  std::array<EnumerationCounts, starts_most> counts;  // By start.
  u64 start = 0;                                      // Being played,
  u64 program = 0;
  Variant variant;
  bool done = false;
};

struct Plan {
  std::vector<Start> starts;
  u32 lines = 0;
  u32 workers = 1;
  PlayPlan play;
  bool quiet = false;
};

PreparedRun prepared_of(const Plan& plan, const Scenario& scenario) {
  std::string problem;
  PreparedRun prepared = prepare_scenario(plan.play, scenario, &problem);
  ASSERT(problem.empty());
  return prepared;
}

void show_failure(const Plan& plan, const Scenario& scenario, const RunResult& result) {
  PreparedRun prepared = prepared_of(plan, scenario);
  const std::string file = save_failure(prepared, result.failure);
  prepared.reproduce = fmt::format("tonearm run --scenario {}", file);
  fmt::print("{}{}\n", failure_text(prepared, result, file), verdict_line(prepared, result));
  std::fflush(stdout);
}

class Worker final : private ProgramPlayer::Listener {
 public:
  Worker(const Plan& plan, Shared& shared, u32 number) : plan_(plan), shared_(&shared), number_(number) {
    set_fatal_failure([this](const RunConfig&, const RunResult& result) {
      ++shared_->counts[shared_->start].failed;
      const Start& start = plan_.starts[shared_->start];
      show_failure(plan_, sim::scenario_of(start, start.programs[shared_->program], shared_->variant),
                   result);
    });
  }

  // From the program behind the one that killed the worker before.
  void run(u64 start, u64 program) {
    for (; start < plan_.starts.size(); ++start, program = 0) {
      const Start& from = plan_.starts[start];
      ProgramPlayer player(from, *this);
      shared_->start = start;
      for (; program < from.programs.size(); ++program) {
        if ((start + program) % plan_.workers != number_) continue;
        shared_->program = program;
        const CpuLimit limit(run_cpu_seconds_max);
        if (!player.play(from.programs[program], &shared_->counts[start])) return;
      }
    }
  }

 private:
  void plays(const SmallProgram&, const Variant& variant) override { shared_->variant = variant; }
  bool failed(const Scenario& scenario, const RunResult& result) override {
    if (signatures_.insert(result.failure.signature()).second) show_failure(plan_, scenario, result);
    return ++failures_ < failures_most;
  }

  const Plan& plan_;
  Shared* shared_;
  u32 number_;
  u64 failures_ = 0;
  std::set<u32> signatures_;
};

Shared* shared_memory(u32 count) {
  void* const memory =
      mmap(nullptr, sizeof(Shared) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw EnvironmentError("no memory to share with workers");
  return new (memory) Shared[count];
}

pid_t start_worker(const Plan& plan, Shared& shared, u32 number, u64 start, u64 program) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) throw EnvironmentError("a worker could not be started");
  if (child > 0) return child;
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  Worker(plan, shared, number).run(start, program);
  shared.done = true;
  std::fflush(stdout);
  _exit(0);
}

// A worker that an assertion, a signal or the clock ended: the next one goes on behind that program.
void worker_died(const Plan& plan, Shared& shared, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == exit_failed) return;  // It has said so itself.
  RunResult result;
  result.failure = signal_failure(WIFSIGNALED(status) ? WTERMSIG(status) : 0, WEXITSTATUS(status));
  ++shared.counts[shared.start].failed;
  const Start& start = plan.starts[shared.start];
  show_failure(plan, scenario_of(start, start.programs[shared.program], shared.variant), result);
}

std::vector<EnumerationCounts> play_all(const Plan& plan) {
  Shared* const shared = shared_memory(plan.workers);
  std::vector<pid_t> workers;
  for (u32 i = 0; i < plan.workers; ++i) workers.push_back(start_worker(plan, shared[i], i, 0, 0));
  for (std::size_t left = workers.size(); left > 0;) {
    int status = 0;
    const pid_t ended = wait(&status);
    const auto at = std::find(workers.begin(), workers.end(), ended);
    if (ended < 0) throw EnvironmentError("a worker is lost");
    if (at == workers.end()) continue;
    const u32 number = static_cast<u32>(at - workers.begin());
    Shared& its = shared[number];
    if (its.done) {
      --left;
      continue;
    }
    worker_died(plan, its, status);
    *at = start_worker(plan, its, number, its.start, its.program + 1);
  }
  std::vector<EnumerationCounts> counts(plan.starts.size());
  for (u32 i = 0; i < plan.workers; ++i) {
    for (std::size_t s = 0; s < counts.size(); ++s) counts[s].add(shared[i].counts[s]);
  }
  munmap(shared, sizeof(Shared) * plan.workers);
  return counts;
}

Start read_start(const PlayPlan& play, const std::filesystem::path& file, u32 lines) {
  PreparedRun prepared = prepare_file(play, file.string());
  Start start;
  start.name = file.stem().string();
  start.scenario = std::move(*prepared.scenario);
  start.alphabet = small_scope_alphabet(start.scenario.workload);
  if (start.alphabet.empty())
    throw UsageError(fmt::format("{}: found workload {}, expected tree or groove", file.string(),
                                 start.scenario.workload));
  for (const Operation& line : start.scenario.operations) {
    if (line.id.number >= 1000)
      throw UsageError(
          fmt::format("{}: found id {}, expected less than 1000", file.string(), line.id.number));
  }
  start.programs = small_programs(start.alphabet, lines, leaves_scope(start.scenario.operations));
  return start;
}

std::vector<Start> read_starts(const PlayPlan& play, const std::string& directory, u32 lines) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".scenario") files.push_back(entry.path());
  }
  if (error || files.empty()) throw UsageError(fmt::format("{}: found no starting scenario", directory));
  if (files.size() > starts_most) throw UsageError(fmt::format("{}: found too many files", directory));
  std::sort(files.begin(), files.end());
  std::vector<Start> starts;
  for (const std::filesystem::path& file : files) starts.push_back(read_start(play, file, lines));
  return starts;
}

double cpu_seconds_of_workers() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// True: nothing failed.
bool enumerate_workload(const Plan& plan, const std::string& workload) {
  const double before = cpu_seconds_of_workers();
  const std::vector<EnumerationCounts> counts = play_all(plan);
  EnumerationCounts all;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const EnumerationCounts& c = counts[i];
    all.add(c);
    if (plan.quiet) continue;
    fmt::print("{:<28} {:>6} programs {:>8} steps {:>8} crash points {:>8} runs\n",
               fmt::format("{}/{}", workload, plan.starts[i].name), c.programs, c.steps, c.crash_points,
               c.runs);
  }
  fmt::print(
      "{} workload={} lines={} starts={} programs={} steps={} crash_points={} crash_runs={} order_runs={} "
      "sets={} reordered={} runs={} failed={} cpu_seconds={:.1f}\n",
      all.failed == 0 ? "PASS" : "FAIL", workload, plan.lines, counts.size(), all.programs, all.steps,
      all.crash_points, all.crash_runs, all.order_runs, all.sets, all.reordered, all.runs, all.failed,
      cpu_seconds_of_workers() - before);
  return all.failed == 0;
}

}  // namespace

int enumerate_command(const EnumerateArgs& args) {
  Plan plan;
  plan.play = parse_play({}, "tree", true);
  plan.lines = static_cast<u32>(number_argument("--ops", args.ops.empty() ? "2" : args.ops, 0, lines_most));
  plan.workers = args.jobs.empty() ? processors()
                                   : static_cast<u32>(number_argument("--jobs", args.jobs, 1, workers_most));
  plan.quiet = args.quiet;
  const std::string& workload = args.workload;
  if (!workload.empty() && workload != "tree" && workload != "groove" && workload != "all")
    throw UsageError(fmt::format("--workload: found `{}`, expected tree, groove or all", workload));
  bool passed = true;
  for (const char* each : {"tree", "groove"}) {
    if (!workload.empty() && workload != "all" && workload != each) continue;
    const std::string directory = args.starts.empty() ? "corpus/enumerate" : args.starts;
    plan.starts = read_starts(plan.play, fmt::format("{}/{}", directory, each), plan.lines);
    passed = enumerate_workload(plan, each) && passed;
  }
  return passed ? exit_passed : exit_failed;
}

}  // namespace tonearm::sim
