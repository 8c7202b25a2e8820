#include "sim/cli/shrinking.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/assert.h"
#include "base/sanitizer.h"
#include "sim/cli/ingredients.h"
#include "sim/cli/interrupts.h"
#include "sim/cli/problems.h"
#include "sim/cli/worker.h"
#include "sim/run/freeze.h"
#include "sim/scenario/settings.h"
#include "sim/shrink/shrinker.h"

namespace tonearm::sim {

namespace {

// A candidate may take several times as long as the original, by the clock and by the steps of its event
// loop: then it has run far past the failure.
constexpr u32 slower_max = 4;
constexpr u64 steps_more = 20'000;
// A run that hangs takes all it may, so that is little: the CPU time in which nothing at all has happened.
// The original and the result are given more, candidates less: no check of a run takes a third of that
// without an event, unless sanitizers slow it down.
constexpr u32 stall_millis_sure = 1000;
constexpr u32 stall_millis_candidate = poison_works ? 300 : 60;
// Frozen, a run may have a hundred lines for one. Then its faults are cheaper to leave to chance.
constexpr u64 frozen_lines_max = 20'000;

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

// What is set besides the defaults, as a line of a scenario; empty: nothing.
std::string settings_text(const Scenario& scenario) {
  const RunOptions defaults;
  std::string text;
  for (const Setting& setting : settings()) {
    const u64 value = setting.get(scenario.options);
    if (value == setting.get(defaults)) continue;
    text += fmt::format("{} {}={}", text.empty() ? "set" : "", setting.name, print_setting(setting, value));
  }
  return text;
}

bool asks_for_fault(const Operation& line) { return line.kind == OperationKind::fault; }

ScenarioSize size_of(const Scenario& scenario, const RunResult& result) {
  const std::vector<Operation>& lines = scenario.operations;
  const u64 asked = static_cast<u64>(std::count_if(lines.begin(), lines.end(), asks_for_fault));
  u64 fired = 0;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    if (!decided_by_crash(kind)) fired += result.faults_fired.of(kind);
  }
  return {.lines = lines.size() - asked,
          .faults = std::max(asked, fired),
          .settings = settings_changed(scenario)};
}

class Shrinking {
 public:
  Shrinking(const PlayPlan& plan, const ShrinkPlan& shrink)
      : shrink_(shrink), plan_(plan), checks_(plan.checks), progress_(shrink.progress) {}

  Shrunk run(Scenario scenario) {
    const u64 started = clock_millis();
    groove_ = scenario.options.groove;
    shrunk_.original =
        play(scenario, {.cpu_seconds = shrink_.cpu_seconds, .stall_millis = stall_millis_sure});
    if (!shrunk_.original.failed()) return std::move(shrunk_);
    shrunk_.failed = true;
    failure_ = shrunk_.original.failure;
    shrunk_.before = size_of(scenario, shrunk_.original);
    shrunk_.had = ingredients_of(scenario);
    limit(clock_millis() - started);
    const CatchInterrupts catching;
    deadline_ = deadline(started);
    if (!out_of_time()) without_twins(scenario);
    if (!out_of_time()) cut_tail(&scenario);
    Shrinker shrinker(
        std::move(scenario), shrink_.jobs,
        [this](std::span<Scenario> candidates) { return judge(candidates); },
        [this] { return out_of_time(); },
        [this](const char* pass, const Scenario& best) { progress_.show(pass, best, shrunk_.candidates); });
    shrinker.set_freeze([this](const Scenario& best) { return frozen(best); });
    shrinker.run();
    shrunk_.best = shrinker.best();
    shrunk_.stopped = shrinker.stopped();
    believe();
    shrunk_.interrupted_by = interrupted_by();
    return std::move(shrunk_);
  }

 private:
  RunResult play(const Scenario& scenario, const RunLimits& limits, bool record_faults = false) {
    std::string problem;
    std::vector<PreparedRun> runs;
    runs.push_back(prepare_scenario(plan_, scenario, &problem));
    if (!problem.empty()) throw UsageError(problem);
    runs.back().record_faults = record_faults;
    if (!poison_) runs.back().oracles.set(Oracle::poison, false);
    return std::move(play_isolated(runs, checks_, limits).front());
  }

  // The result is played twice more before it is believed, and that shall be within the time, too.
  u64 deadline(u64 started) const {
    const u64 took = clock_millis() - started;
    const u64 millis = shrink_.seconds * 1000;
    return started + millis - std::min(2 * took, millis / 2);
  }

  bool out_of_time() const { return interrupted_by() != 0 || clock_millis() >= deadline_; }

  void limit(u64 took_millis) {
    const bool hang = failure_.failure_class == FailureClass::hang;
    const u64 most = shrink_.cpu_seconds == 0 ? run_cpu_seconds_max : shrink_.cpu_seconds;
    limits_.cpu_seconds = static_cast<u32>(std::min<u64>(most, slower_max * (took_millis / 1000 + 1)));
    limits_.stall_millis = hang ? stall_millis_candidate : stall_millis_sure;
    limit_steps(shrunk_.original);
  }

  // Of a run that died nothing is known.
  void limit_steps(const RunResult& best) {
    const u64 steps = best.counters.steps;
    limits_.steps = steps == 0 ? 0 : slower_max * steps + steps_more;
  }

  // Twins only cost time, if it is not they who fail.
  void without_twins(const Scenario& scenario) {
    const Checks before = checks_;
    checks_.twins = 0;
    checks_.determinism = false;
    poison_ = false;
    if (fails_alike(play(scenario, limits_))) return;
    checks_ = before;
    poison_ = true;
  }

  // Nothing behind the line that fails can matter, but that the run comes to its end.
  void cut_tail(Scenario* scenario) {
    if (!failure_.has_op) return;
    std::vector<Operation>& lines = scenario->operations;
    const auto at = std::find_if(lines.begin(), lines.end(),
                                 [&](const Operation& line) { return line.id == failure_.op; });
    if (at == lines.end() || at + 1 == lines.end()) return;
    std::vector<Operation> tail(at + 1, lines.end());
    lines.erase(at + 1, lines.end());
    if (fails_alike(play(*scenario, limits_))) return;
    lines.insert(lines.end(), tail.begin(), tail.end());
  }

  // From then on each fault goes or stays by itself, whatever becomes of the lines around it.
  std::optional<Scenario> frozen(const Scenario& best) {
    const RunResult played = play(best, limits_, true);
    if (played.fired.empty() && played.crashed.empty()) return std::nullopt;
    Scenario frozen = freeze(best, played);
    if (frozen.operations.size() > frozen_lines_max) return std::nullopt;
    if (!fails_alike(play(frozen, limits_))) return std::nullopt;
    return frozen;
  }

  bool fails_alike(const RunResult& result) const {
    return result.failed() && result.failure.signature() == failure_.signature();
  }

  // The lines of one groove mean nothing in a world of another one.
  bool readable(const Scenario& candidate) {
    if (candidate.options.groove == groove_) return true;
    const bool parsed = std::holds_alternative<Scenario>(parse_scenario(print_scenario(candidate)));
    if (parsed) groove_ = candidate.options.groove;
    return parsed;
  }

  std::vector<Trial> judge(std::span<Scenario> candidates) {
    std::vector<Trial> trials(candidates.size(), Trial::other);
    std::vector<PreparedRun> runs;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (!readable(candidates[i])) continue;
      std::string problem;
      PreparedRun run = prepare_scenario(plan_, std::move(candidates[i]), &problem);
      if (!problem.empty()) continue;
      if (!poison_) run.oracles.set(Oracle::poison, false);
      runs.push_back(std::move(run));
      places.push_back(i);
    }
    // No longer than there is time. Of a candidate that this has ended nothing is known.
    const u64 started = clock_millis();
    RunLimits limits = limits_;
    const u64 left = deadline_ - std::min(deadline_, started);
    limits.cpu_seconds = static_cast<u32>(std::min<u64>(limits.cpu_seconds, left / 1000 + 1));
    const std::vector<RunResult> results = play_isolated(runs, checks_, limits);
    const bool ended = limits.cpu_seconds < limits_.cpu_seconds &&
                       clock_millis() - started >= u64{limits.cpu_seconds} * 1000;
    shrunk_.candidates += results.size();
    bool same = false;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (ended && results[i].failure.failure_class == FailureClass::hang) continue;
      Scenario& candidate = candidates[places[i]];
      candidate = std::move(*runs[i].scenario);
      if (fails_alike(results[i])) {
        trials[places[i]] = Trial::same;
        if (!same) limit_steps(results[i]);
        same = true;
      } else if (results[i].failed() && interrupted_by() == 0) {
        keep_other(candidate, results[i].failure);
      }
    }
    return trials;
  }

  // Another failure, met on the way: the smallest of each signature.
  void keep_other(const Scenario& scenario, const Failure& failure) {
    const auto [at, fresh] = shrunk_.others.try_emplace(failure.signature());
    if (!fresh && at->second.scenario.operations.size() <= scenario.operations.size()) return;
    at->second = {.scenario = scenario, .failure = failure};
  }

  // When it was seen twice more, with the same events.
  void believe() {
    const RunLimits sure{.cpu_seconds = limits_.cpu_seconds, .stall_millis = stall_millis_sure};
    std::string problem;
    std::vector<PreparedRun> runs;
    for (u32 i = 0; i < 2; ++i) runs.push_back(prepare_scenario(plan_, shrunk_.best, &problem));
    ASSERT(problem.empty());
    const std::vector<RunResult> played = play_isolated(runs, checks_, sure);
    const bool same =
        played[0].digests == played[1].digests || failure_.failure_class == FailureClass::determinism;
    shrunk_.believed = fails_alike(played[0]) && fails_alike(played[1]) && same;
    shrunk_.result = played[0];
    shrunk_.after = size_of(shrunk_.best, shrunk_.result);
  }

  const ShrinkPlan& shrink_;
  const PlayPlan& plan_;
  Checks checks_;
  bool poison_ = true;
  ShrinkProgress progress_;
  u64 deadline_ = 0;
  GrooveName groove_ = GrooveName::none;  // That of a candidate that could be read.
  RunLimits limits_;
  Failure failure_;
  Shrunk shrunk_;
};

}  // namespace

Shrunk shrink_failure(const PlayPlan& plan, Scenario scenario, const ShrinkPlan& shrink) {
  return Shrinking(plan, shrink).run(std::move(scenario));
}

std::string shrunk_words(const Shrunk& shrunk) {
  const ScenarioSize& before = shrunk.before;
  const ScenarioSize& after = shrunk.after;
  return fmt::format("{} -> {} lines, {} -> {} faults, {} -> {} settings, {} candidates", before.lines,
                     after.lines, before.faults, after.faults, before.settings, after.settings,
                     shrunk.candidates);
}

std::string shrunk_needs(const Shrunk& shrunk) {
  return needs_words(shrunk.had, ingredients_of(shrunk.best));
}

std::string shrunk_lines(const Shrunk& shrunk) {
  constexpr u64 lines_max = 20;
  if (shrunk.best.operations.size() > lines_max) return {};
  std::string text;
  const std::string set = settings_text(shrunk.best);
  if (!set.empty()) text += fmt::format("  {}\n", set);
  for (const Operation& line : shrunk.best.operations) {
    text += "  ";
    print_operation(line, &text);
  }
  return text;
}

std::string origin_of(const PreparedRun& prepared) {
  constexpr std::string_view from = " (from ";
  const std::string story = prepared.scenario ? prepared.scenario->story : std::string();
  const std::size_t at = story.rfind(from);
  if (at == std::string::npos || !story.ends_with(')')) return prepared.reproduce;
  return story.substr(at + from.size(), story.size() - at - from.size() - 1);
}

std::string write_shrunk(const Shrunk& shrunk, const std::string& file, const std::string& origin) {
  const std::string whence = fmt::format("shrunk from {} lines, {} settings, of {}", shrunk.before.lines,
                                         shrunk.before.settings, origin);
  write_failure(file, shrunk.best, shrunk.result.failure, whence);
  std::string text;
  for (const auto& [signature, other] : shrunk.others) {  // By signature.
    const std::string name = failure_file(other.failure);
    // Never over one that was found, and perhaps shrunk, by itself.
    std::error_code error;
    if (std::filesystem::exists(name, error)) continue;
    write_failure(name, other.scenario, other.failure, "met while shrinking " + origin);
    text += fmt::format("other:     {} ({})\n", name, other.failure.message);
  }
  return text;
}

FoundShrunk shrink_found(const PlayPlan& plan, const PreparedRun& prepared, const Failure& failed,
                         const std::string& file, const ShrinkPlan& shrink) {
  FoundShrunk found;
  std::optional<Scenario> scenario = scenario_of_failure(prepared, failed);
  if (!scenario || file.empty()) {
    found.text =
        fmt::format("shrunk:    no, and no file: of {} lines none of the first {} is known to fail\n",
                    prepared.source->count(), failure_lines_max);
    return found;
  }
  const Shrunk shrunk = shrink_failure(plan, std::move(*scenario), shrink);
  found.interrupted_by = shrunk.interrupted_by;
  if (!shrunk.believed) {
    found.text = "shrunk:    no, since it does not fail in the same way each time\n";
    return found;
  }
  found.shrunk = true;
  found.after = shrunk.after;
  const std::string others = write_shrunk(shrunk, file, origin_of(prepared));
  found.text = fmt::format("needs:     {}\nshrunk:    {}   {}\n{}{}", shrunk_needs(shrunk),
                           shrunk_words(shrunk), file, shrunk_lines(shrunk), others);
  if (shrunk.stopped) found.text += fmt::format("stopped early; to go on: tonearm shrink {}\n", file);
  const Failure& failure = shrunk.result.failure;
  if (failure.has_op && failure.op.number <= op_number_max && failure.op.number != 0) {
    found.debug_op = op_id_text(failure.op);
  }
  return found;
}

u64 shrink_seconds(const ShrinkFoundArgs& args, const OutputArgs& output) {
  if (args.no_shrink && !args.shrink_for.empty()) {
    throw UsageError("--no-shrink, --shrink-for: expected one of them, not both");
  }
  if (args.no_shrink) return 0;
  if (!args.shrink_for.empty()) return seconds_argument("--shrink-for", args.shrink_for);
  return output.json || output.quiet ? 0 : shrink_found_seconds;
}

}  // namespace tonearm::sim
