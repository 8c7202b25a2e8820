// `sweep`: one run, crashed before every step with every distinguishable outcome.
//
// The run is played in a process of its own, which an assertion of a recovery ends; where the sweep was then
// is in memory that this process shares with it. From that it writes the scenario in which a crash line
// does the same, and says whether it fails so. Through that memory it is ended, too, when its time is up.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <new>

#include "sim/cli/crash_guard.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/worker.h"
#include "sim/run/sweep.h"

namespace tonearm::sim {

namespace {

struct Unmap {
  void operator()(Sweep* sweep) const { munmap(sweep, sizeof(Sweep)); }
};
using SharedSweep = std::unique_ptr<Sweep, Unmap>;

SharedSweep share_sweep() {
  void* const memory =
      mmap(nullptr, sizeof(Sweep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw EnvironmentError("no memory for a sweep");
  return SharedSweep(new (memory) Sweep);
}

// While it lives, the time and an interrupt end the sweep, not this process; a second interrupt does.
class Stopper {
 public:
  Stopper(Sweep* sweep, u32 seconds) {
    at_hand = sweep;
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = stop;
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &action, &before_[i]);
    alarm(seconds);  // 0: none.
  }
  ~Stopper() {
    alarm(0);
    for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &before_[i], nullptr);
  }
  Stopper(const Stopper&) = delete;
  Stopper& operator=(const Stopper&) = delete;

  static int interrupted_by() { return interrupted; }

 private:
  static constexpr std::array signals{SIGALRM, SIGINT, SIGTERM};
  static void stop(int signal) {
    at_hand->stop = true;
    if (signal != SIGALRM) interrupted = signal;
  }

  static inline Sweep* at_hand = nullptr;
  static inline volatile std::sig_atomic_t interrupted = 0;
  std::array<struct sigaction, signals.size()> before_{};
};

double children_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string counters_text(const SweepCounters& c) {
  std::string text = fmt::format(
      "  {} steps, {} states that a recovery can tell apart, {} outcomes\n"
      "  {} of them compared as a whole: {} comparisons, {} ops replayed\n"
      "  {} opened the checkpoint that was being written, {} found no file yet\n"
      "  {} had garbage in them, {} a sector that cannot be read\n"
      "  at most {} writes were undecided\n",
      c.steps, c.states, c.outcomes, c.judged, c.checks, c.replayed_ops, c.next_found, c.never_opened,
      c.garbage, c.unreadable, c.undecided_max);
  if (c.mirror_alone > 0) {
    text += fmt::format("  {} recoveries from the mirror alone, {} blocks compared of both sides\n",
                        c.mirror_alone, c.sides_compared);
  }
  return text;
}

std::string sweep_text(const Sweep& sweep) {
  std::string text = "crashes:\n" + counters_text(sweep.counters[0]);
  if (sweep.counters[0].sampled > 0) {
    text +=
        fmt::format("  sampled: {} states have more than {} outcomes; of those, only so many and 1000 more\n",
                    sweep.counters[0].sampled, sweep.options.outcomes_max);
  }
  if (sweep.options.depth < 2) return text;
  text += "crashes in the recoveries:\n" + counters_text(sweep.counters[1]);
  if (sweep.second_cut > 0) {
    text += fmt::format("  left out: {} states, of steps with more than {} outcomes in their recoveries\n",
                        sweep.second_cut, sweep.options.second_outcomes_max);
  }
  return text;
}

// Where the run is.
std::string place_text(const Sweep& sweep, u64 lines) {
  const SweepPoint& point = sweep.points[0];
  const SweepCounters& swept = sweep.counters[0];
  if (swept.never_opened == swept.outcomes) return fmt::format("in format, before {} lines", lines);
  if (point.at_end || point.index >= lines) return fmt::format("behind the last of {} lines", lines);
  return fmt::format("in line {} of {}", point.index + 1, lines);
}

std::string stopped_text(const Sweep& sweep, const PreparedRun& prepared) {
  return fmt::format("not complete: stopped {}, before its step {}; what follows was not crashed\n",
                     place_text(sweep, prepared.source->count()), sweep.points[0].at);
}

// One line on a terminal, rewritten; elsewhere a plain line now and then. How long each line takes is
// anybody's guess, so it says which one it is.
class SweepProgress {
 public:
  SweepProgress(const Sweep& sweep, const PreparedRun& run, const OutputArgs& output)
      : sweep_(sweep),
        lines_(run.source->count()),
        wanted_(!output.quiet && !output.json),
        terminal_(isatty(STDERR_FILENO) != 0),
        started_(clock_millis()),
        shown_(started_) {}
  ~SweepProgress() {
    if (dirty_) fmt::print(stderr, "\r\033[K");
  }
  SweepProgress(const SweepProgress&) = delete;
  SweepProgress& operator=(const SweepProgress&) = delete;

  void show() {
    const u64 now = clock_millis();
    if (!wanted_ || now - shown_ < (terminal_ ? 200 : 10'000)) return;
    shown_ = now;
    const SweepCounters& swept = sweep_.counters[0];
    fmt::print(
        stderr, "{}sweep: {}, {} steps, {} outcomes{}, {} s{}", terminal_ ? "\r\033[K" : "",
        place_text(sweep_, lines_), swept.steps, swept.outcomes,
        sweep_.options.depth > 1 ? fmt::format(" and {} in recoveries", sweep_.counters[1].outcomes) : "",
        (now - started_) / 1000, terminal_ ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal_;
  }

 private:
  const Sweep& sweep_;
  u64 lines_;
  bool wanted_;
  bool terminal_;
  u64 started_;
  u64 shown_;
  bool dirty_ = false;
};

// A sync that fails says so; it is the one fault of every sweep.
constexpr FaultKind never_left_out = FaultKind::failed_sync;

SweptDamage side_of(FaultZone zone) {
  if (zone == FaultZone::first) return SweptDamage::first;
  return zone == FaultZone::mirror ? SweptDamage::mirror : SweptDamage::none;
}

// None: it strikes the superblock, or strays to the other side.
SweptDamage side_of(const Operation& line, const DiskOptions& disk) {
  const IoTag tag = line.request.tag;
  const bool mirror = of_mirror(tag);
  const bool elsewhere = line.fault.superblock || (line.fault.to > disk.blocks_count) != mirror;
  const bool strays = line.fault.kind == FaultKind::misdirected_write && elsewhere;
  if (strays || tag.purpose <= IoPurpose::superblock_repair) return SweptDamage::none;
  return mirror ? SweptDamage::mirror : SweptDamage::first;
}

bool left_out(const Operation& line) {
  return line.kind == OperationKind::fault && line.fault.kind != never_left_out;
}

// The side of a mirrored grid that the faults of the run may damage: the one that the zones of kinds name.
// Where none does, that of all lines.
SweptDamage damaged_side(const FaultOptions& faults, const DiskOptions& disk,
                         std::span<const Operation> lines) {
  if (!disk.mirror) return SweptDamage::none;
  SweptDamage side = SweptDamage::none;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const SweptDamage named = side_of(faults.kinds[i].zone);
    const bool off = faults.kinds[i].ratio.numerator == 0 || static_cast<FaultKind>(i) == never_left_out;
    if (off || named == SweptDamage::none) continue;
    if (side != SweptDamage::none && named != side) return SweptDamage::none;
    side = named;
  }
  if (side != SweptDamage::none) return side;
  for (const Operation& line : lines) {
    if (!left_out(line)) continue;
    const SweptDamage struck = side_of(line, disk);
    if (struck == SweptDamage::none || (side != SweptDamage::none && struck != side))
      return SweptDamage::none;
    side = struck;
  }
  return side;
}

// What damages a medium has verdicts of its own; a sweep judges what crashes leave of a sound one, or of one
// that is damaged on one side, where the other has it all. Returns which.
SweptDamage without_damage(PreparedRun* prepared) {
  prepared->options.full_blocks = 0;
  Scenario scenario = scenario_of(*prepared);
  const DiskOptions& disk = prepared->options.disk;
  FaultOptions& faults = prepared->options.disk.faults;
  const SweptDamage side = damaged_side(faults, disk, scenario.operations);
  const auto stays = [side](SweptDamage other) { return side != SweptDamage::none && other == side; };
  for (u32 i = 0; i < fault_kind_count; ++i) {
    FaultOptions::Kind& kind = faults.kinds[i];
    if (static_cast<FaultKind>(i) != never_left_out && !stays(side_of(kind.zone))) kind = {};
  }
  scenario.options = prepared->options;
  std::erase_if(scenario.operations,
                [&](const Operation& line) { return left_out(line) && !stays(side_of(line, disk)); });
  prepared->scenario = std::make_unique<Scenario>(std::move(scenario));
  prepared->source = source_of(prepared->scenario->operations);
  return side;
}

// The run with the crashes at hand as lines of it.
Scenario crashed_scenario(const PreparedRun& prepared, const Sweep& sweep) {
  Scenario scenario = scenario_of(prepared);
  std::vector<Operation> crashes;
  for (u32 i = 0; i < sweep.depth; ++i) {
    const SweepPoint& point = sweep.points[i];
    Operation crash;
    crash.kind = OperationKind::crash;
    crash.count = point.at;
    crash.at_end = sweep.points[0].at_end;
    for (u32 k = 0; k < point.count; ++k) crash.writes.push(point.writes[k]);
    crashes.push_back(crash);
  }
  const u64 index = std::min<u64>(sweep.points[0].index, scenario.operations.size());
  scenario.operations.insert(scenario.operations.begin() + static_cast<std::ptrdiff_t>(index),
                             crashes.begin(), crashes.end());
  const std::span armed = std::span(sweep.points[0].armed).first(sweep.points[0].armed_count);
  std::erase_if(scenario.operations, [armed](const Operation& line) {
    return line.kind == OperationKind::crash && std::find(armed.begin(), armed.end(), line.id) != armed.end();
  });
  assign_ids(&scenario.operations);
  return scenario;
}

std::string point_text(const Sweep& sweep) {
  std::string text;
  for (u32 i = 0; i < sweep.depth; ++i) {
    const SweepPoint& point = sweep.points[i];
    Operation crash;
    crash.id.number = 1;
    crash.kind = OperationKind::crash;
    crash.count = point.at;
    crash.at_end = sweep.points[0].at_end;
    for (u32 k = 0; k < point.count; ++k) crash.writes.push(point.writes[k]);
    std::string line;
    print_operation(crash, &line);
    text += fmt::format("{}: {}", i == 0 ? "the crash" : "the crash in its recovery", line.substr(2));
    if (!point.exact) text += "  (not all of it can be said in a line)\n";
  }
  return text;
}

class SweepCommand {
 public:
  SweepCommand(const SweepArgs& args, const PlayPlan& plan)
      : args_(args), plan_(plan), sweep_(share_sweep()) {
    if (!args.depth.empty()) {
      sweep_->options.depth = static_cast<u32>(number_argument("--depth", args.depth, 1, sweep_depth_max));
    }
    constexpr u64 outcomes_max = 1'000'000'000;
    if (!args.outcomes.empty()) {
      sweep_->options.outcomes_max = number_argument("--outcomes", args.outcomes, 1, outcomes_max);
    }
    checks_.twins = 0;
    if (!args.duration.empty()) seconds_ = static_cast<u32>(seconds_argument("--for", args.duration));
  }

  int run(PreparedRun prepared) {
    if (find_alphabet(prepared.workload) != nullptr) {
      throw UsageError(
          fmt::format("sweep: found workload {}, expected one of a whole engine", prepared.workload));
    }
    if (prepared.source->count() > failure_lines_max) {
      throw UsageError(fmt::format("sweep: found {} lines, expected at most {}", prepared.source->count(),
                                   failure_lines_max));
    }
    prepared.sweep = sweep_.get();
    prepared.oracles.set(Oracle::poison, false);
    sweep_->options.damage = without_damage(&prepared);
    const double before = children_cpu_seconds();
    const RunResult result = play(prepared);
    const double seconds = children_cpu_seconds() - before;
    PreparedRun& played = prepared;
    played.sweep = nullptr;
    const OutputArgs& output = args_.play.output;
    if (!output.quiet && !output.json) {
      fmt::print("{}{}CPU seconds: {:.2f}\n", sweep_text(*sweep_),
                 sweep_->stop && !result.failed() ? stopped_text(*sweep_, played) : "", seconds);
    }
    const std::string file = result.failed() ? report(played, result) : std::string();
    const bool complete = !result.failed() && sweep_->complete();
    if (output.json) {
      fmt::print("{}\n", verdict_json(played, result, file, {}, complete));
    } else {
      fmt::print("{} complete={}\n", colored(output, verdict_line(played, result)), complete ? "yes" : "no");
    }
    const int signal = Stopper::interrupted_by();
    if (result.failed() || signal == 0) return result.failed() ? exit_failed : exit_passed;
    return 128 + signal;
  }

 private:
  RunResult play(const PreparedRun& run) {
    const Stopper stopper(sweep_.get(), seconds_);
    // One that is told to stop and does not, hangs.
    const u32 cpu_seconds = seconds_ == 0 ? 0 : seconds_ + run_cpu_seconds_max;
    SweepProgress progress(*sweep_, run, args_.play.output);
    return play_isolated(run, checks_, RunLimits{.cpu_seconds = cpu_seconds}, [&] { progress.show(); });
  }

  // Without a crash at hand it was the run itself that failed.
  std::string report(const PreparedRun& prepared, const RunResult& result) {
    std::string file;
    std::string note;
    if (sweep_->depth == 0) {
      file = save_failure(prepared, result.failure);
    } else {
      const Scenario scenario = crashed_scenario(prepared, *sweep_);
      Failure failure = result.failure;
      const RunResult again = replay(scenario);
      note = point_text(*sweep_);
      if (!again.failed()) {
        note += "as a line of the run it does not fail\n";
      } else if (again.failure.signature() != failure.signature()) {
        note += fmt::format("as a line of the run it fails in another way: {}\n", again.failure.message);
        failure = again.failure;
      }
      file = failure_file(failure);
      write_failure(file, scenario, failure, "swept from " + prepared.reproduce);
      write_text_file(failures_last, file + "\n");
    }
    const bool told = !args_.play.output.quiet && !args_.play.output.json;
    if (told) fmt::print("{}{}scenario:  {}\n", failure_text(prepared, result, file), note, file);
    return file;
  }

  RunResult replay(const Scenario& scenario) {
    std::string problem;
    std::vector<PreparedRun> runs;
    runs.push_back(prepare_scenario(plan_, scenario, &problem));
    if (!problem.empty()) throw EnvironmentError(problem);
    return std::move(play_isolated(runs, checks_, RunLimits{}).front());
  }

  const SweepArgs& args_;
  const PlayPlan& plan_;
  Checks checks_;
  u32 seconds_ = 0;  // It may take; 0: as many as it needs.
  SharedSweep sweep_;
};

}  // namespace

int sweep_command(const SweepArgs& args) {
  if (args.seed.empty() == args.file.empty()) throw UsageError("sweep: expected a file or --seed N");
  const PlayPlan plan = parse_play(args.play, "tree", !args.file.empty());
  PreparedRun prepared = args.file.empty()
                             ? prepare_seed(plan, seed_argument(args.seed))
                             : prepare_file(plan, args.file == "last" ? last_failure() : args.file);
  return SweepCommand(args, plan).run(std::move(prepared));
}

}  // namespace tonearm::sim
