// `shrink`: the smallest scenario that fails with the same signature. Faults that came by chance become lines
// first.
//
// Every candidate is played in a process of its own, since it may abort or hang. What fails in another way
// on the way is kept, too, beside the result: it may be another bug.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>

#include "sim/cli/campaign.h"
#include "sim/cli/crash_guard.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/worker.h"
#include "sim/run/freeze.h"
#include "sim/shrink/shrinker.h"

namespace tonearm::sim {

namespace {

constexpr u64 default_seconds = 60;
constexpr u64 jobs_max = 256;
// A candidate may take several times as long as the original; what hangs is given up early.
constexpr u32 hang_seconds = 3;
constexpr u32 slower_max = 4;

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int signal) { interrupted = signal; }

// One line on a terminal, rewritten; elsewhere a plain line every ten seconds.
class ShrinkProgress {
 public:
  explicit ShrinkProgress(bool wanted) : wanted_(wanted), terminal_(isatty(STDERR_FILENO) != 0) {
    shown_ = clock_millis();
  }
  ~ShrinkProgress() {
    if (dirty_) fmt::print(stderr, "\r\033[K");
  }
  ShrinkProgress(const ShrinkProgress&) = delete;
  ShrinkProgress& operator=(const ShrinkProgress&) = delete;

  void show(const char* pass, const Scenario& best, u64 trials) {
    const u64 now = clock_millis();
    const u64 every = terminal_ ? 200 : 10'000;
    if (!wanted_ || now - shown_ < every) return;
    shown_ = now;
    fmt::print(stderr, "{}shrinking {}: {} lines, {} settings, {} candidates played{}",
               terminal_ ? "\r\033[K" : "", pass, best.operations.size(), settings_changed(best), trials,
               terminal_ ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal_;
  }

 private:
  bool wanted_;
  bool terminal_;
  bool dirty_ = false;
  u64 shown_ = 0;
};

// Where a scenario came from: a file that a failure left says so at the end of its story.
std::string origin_of(const PreparedRun& prepared, const std::string& story) {
  constexpr std::string_view from = " (from ";
  const std::size_t at = story.rfind(from);
  if (at == std::string::npos || !story.ends_with(')')) return prepared.reproduce;
  return story.substr(at + from.size(), story.size() - at - from.size() - 1);
}

u64 faults_of(const Scenario& scenario) {
  return static_cast<u64>(
      std::count_if(scenario.operations.begin(), scenario.operations.end(),
                    [](const Operation& line) { return line.kind == OperationKind::fault; }));
}

class Shrinking {
 public:
  Shrinking(const ShrinkArgs& args, const PlayPlan& plan)
      : args_(args), plan_(plan), checks_(plan.checks), progress_(!args.play.output.quiet) {
    jobs_ = args.jobs.empty() ? processors()
                              : static_cast<u32>(number_argument("--jobs", args.jobs, 1, jobs_max));
    seconds_ = args.duration.empty() ? default_seconds : seconds_argument(args.duration);
  }

  int run(PreparedRun original) {
    const u64 started = clock_millis();
    Scenario scenario = scenario_of(original);
    origin_ = origin_of(original, scenario.story);
    const RunResult first = play(scenario, run_cpu_seconds_max);
    if (!first.failed()) {
      fmt::print("{}\n", verdict_line(original, first));
      return exit_passed;
    }
    failure_ = first.failure;
    limit_cpu(started);
    without_twins(scenario);
    freeze_faults(&scenario, first);
    original_lines_ = scenario.operations.size();
    original_settings_ = settings_changed(scenario);
    original_faults_ = faults_of(scenario);
    deadline_ = clock_millis() + seconds_ * 1000;
    const auto old_int = std::signal(SIGINT, on_interrupt);
    const auto old_term = std::signal(SIGTERM, on_interrupt);
    Shrinker shrinker(
        std::move(scenario), jobs_,
        [this](std::span<const Scenario> candidates) { return judge(candidates); },
        [this] { return interrupted != 0 || clock_millis() >= deadline_; },
        [this](const char* pass, const Scenario& best) { progress_.show(pass, best, trials_); });
    shrinker.run();
    std::signal(SIGINT, old_int);
    std::signal(SIGTERM, old_term);
    return report(shrinker);
  }

 private:
  RunResult play(const Scenario& scenario, u32 cpu_seconds) {
    std::string problem;
    std::vector<PreparedRun> runs;
    runs.push_back(prepare_scenario(plan_, scenario, &problem));
    if (!problem.empty()) throw UsageError(problem);
    runs.back().record_faults = true;
    return std::move(play_isolated(runs, checks_, cpu_seconds).front());
  }

  // What a candidate may take. A run that hangs takes all it may, so that is little.
  void limit_cpu(u64 started) {
    const u64 took = (clock_millis() - started) / 1000;
    cpu_seconds_ = failure_.failure_class == FailureClass::hang
                       ? hang_seconds
                       : static_cast<u32>(std::min<u64>(run_cpu_seconds_max, slower_max * (took + 1)));
  }

  // Twins only cost time, if it is not they who fail.
  void without_twins(const Scenario& scenario) {
    const Checks before = checks_;
    if (checks_.twins && *checks_.twins == 0 && !checks_.determinism) return;
    checks_.twins = 0;
    checks_.determinism = false;
    if (!fails_alike(play(scenario, cpu_seconds_))) checks_ = before;
  }

  // From then on each fault goes or stays by itself, whatever becomes of the lines around it.
  void freeze_faults(Scenario* scenario, const RunResult& first) {
    if (first.fired.empty() && first.crashed.empty()) return;
    Scenario frozen = freeze(*scenario, first);
    if (frozen.operations.size() > scenario_operations_max) return;
    if (fails_alike(play(frozen, cpu_seconds_))) *scenario = std::move(frozen);
  }

  bool fails_alike(const RunResult& result) const {
    return result.failed() && result.failure.signature() == failure_.signature();
  }

  std::vector<Trial> judge(std::span<const Scenario> candidates) {
    std::vector<Trial> trials(candidates.size(), Trial::other);
    std::vector<PreparedRun> runs;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      std::string problem;
      PreparedRun run = prepare_scenario(plan_, candidates[i], &problem);
      if (!problem.empty()) continue;
      runs.push_back(std::move(run));
      places.push_back(i);
    }
    const std::vector<RunResult> results = play_isolated(runs, checks_, cpu_seconds_);
    trials_ += results.size();
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (fails_alike(results[i]))
        trials[places[i]] = Trial::same;
      else if (results[i].failed() && interrupted == 0)
        keep_other(candidates[places[i]], results[i].failure);
    }
    return trials;
  }

  // Another failure, met on the way: the smallest of each signature.
  void keep_other(const Scenario& scenario, const Failure& failure) {
    const auto [at, fresh] = others_.try_emplace(failure.signature());
    if (!fresh && at->second.scenario.operations.size() <= scenario.operations.size()) return;
    at->second = {.scenario = scenario, .failure = failure};
  }

  int report(const Shrinker& shrinker) {
    const Scenario& best = shrinker.best();
    // Believed when it was seen twice more, with the same events.
    const RunResult once = play(best, cpu_seconds_);
    const RunResult again = play(best, cpu_seconds_);
    const bool same = once.digests == again.digests || failure_.failure_class == FailureClass::determinism;
    const bool sure = fails_alike(once) && fails_alike(again) && same;
    if (!sure) throw EnvironmentError("the shrunk scenario does not fail in the same way each time");
    const std::string file = args_.output_file.empty() ? failure_file(once.failure) : args_.output_file;
    const std::string origin =
        fmt::format("shrunk from {} lines, {} settings, of {}", original_lines_, original_settings_, origin_);
    write_failure(file, best, once.failure, origin);
    if (args_.output_file.empty()) write_text_file(failures_last, file + "\n");
    std::string problem;
    PreparedRun prepared = prepare_scenario(plan_, best, &problem);
    prepared.reproduce = fmt::format("tonearm run --scenario {}{}", file, plan_.judged);
    if (args_.play.output.json) {
      fmt::print("{}\n", verdict_json(prepared, once, file));
    } else {
      print_text(shrinker, prepared, once, file);
    }
    return interrupted != 0 ? 128 + interrupted : exit_failed;
  }

  void print_text(const Shrinker& shrinker, const PreparedRun& prepared, const RunResult& result,
                  const std::string& file) {
    const OutputArgs& output = args_.play.output;
    if (!output.quiet) fmt::print("{}", failure_text(prepared, result, ""));
    if (shrinker.stopped() && !output.quiet) {
      fmt::print("stopped early: {}\n", interrupted != 0 ? "interrupted" : "out of time (see --for)");
    }
    for (const auto& [signature, other] : others_) {  // By signature.
      const std::string name = failure_file(other.failure);
      write_failure(name, other.scenario, other.failure, "met while shrinking " + origin_);
      if (!output.quiet) fmt::print("other:     {} ({})\n", name, other.failure.message);
    }
    if (original_faults_ > 0) {
      fmt::print("faults:    {} -> {}\n", original_faults_, faults_of(shrinker.best()));
    }
    fmt::print("shrunk:    {} -> {} lines, {} -> {} settings, {} candidates   {}\n", original_lines_,
               shrinker.best().operations.size(), original_settings_, settings_changed(shrinker.best()),
               trials_, file);
    fmt::print("replay:    tonearm replay {}{}\n", file, plan_.judged);
    fmt::print("{}\n", colored(output, verdict_line(prepared, result)));
  }

  struct Other {
    Scenario scenario;
    Failure failure;
  };

  const ShrinkArgs& args_;
  const PlayPlan& plan_;
  Checks checks_;
  ShrinkProgress progress_;
  u32 jobs_ = 1;
  u64 seconds_ = default_seconds;
  u64 deadline_ = 0;
  u32 cpu_seconds_ = run_cpu_seconds_max;
  u64 trials_ = 0;
  std::string origin_;
  Failure failure_;
  u64 original_lines_ = 0;
  u64 original_settings_ = 0;
  u64 original_faults_ = 0;
  std::map<u32, Other> others_;
};

}  // namespace

int shrink_command(const ShrinkArgs& args) {
  if (args.seed.empty() == args.file.empty()) throw UsageError("shrink: expected a file or --seed N");
  const PlayPlan plan = parse_play(args.play, "tree", !args.file.empty());
  PreparedRun original = args.file.empty()
                             ? prepare_seed(plan, seed_argument(args.seed))
                             : prepare_file(plan, args.file == "last" ? last_failure() : args.file);
  return Shrinking(args, plan).run(std::move(original));
}

}  // namespace tonearm::sim
