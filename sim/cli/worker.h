// Runs in processes of their own, so that one that dies or hangs costs one seed and not the campaign.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/cli/crash_guard.h"
#include "sim/cli/guide.h"
#include "sim/cli/prepared_run.h"

namespace tonearm::sim {

// A run may take this long by the clock, if it sleeps: then something is wrong with the machine or the
// harness.
inline constexpr u32 run_wall_seconds_max = 900;

struct Job {
  u64 workload = 0;  // Index into PlayPlan::workloads.
  u64 seed = 0;
  Guidance guidance;
  std::optional<Reseed> branch;  // Of an outcome: that of a branch of the job.
};

struct Outcome {
  Job job;
  RunResult result;
  u64 cpu_micros = 0;
  std::string impossible;  // The overrides do not fit to what the seed drew; nothing was played.
};

// Plays one prepared run in a child.
RunResult play_isolated(const PreparedRun& prepared, const PlayPlan& plan);
RunResult play_isolated(const PreparedRun& prepared, const PlayPlan& plan, u32 cpu_seconds);
// Several at the same time, each in a child of its own. An interrupt of this process is nothing to them.
std::vector<RunResult> play_isolated(std::span<const PreparedRun> runs, const Checks& checks,
                                     const RunLimits& limits);

// One, and meanwhile asks `watch` several times a second.
RunResult play_isolated(const PreparedRun& run, const Checks& checks, const RunLimits& limits,
                        const std::function<void()>& watch);

class WorkerPool {
 public:
  WorkerPool(const PlayPlan& plan, u32 workers);
  ~WorkerPool();  // Kills what still runs.
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  using NextJob = std::function<std::optional<Job>()>;
  using OnOutcome = std::function<void(const Outcome&)>;
  using Stop = std::function<bool()>;  // Asked several times a second; true: return at once.
  void play(const NextJob& next, const OnOutcome& on_outcome, const Stop& stop);

 private:
  struct Worker {
    pid_t pid = -1;
    int jobs = -1;
    int reports = -1;
    bool busy = false;
    bool killed = false;  // By us, because of the clock.
    Job job;
    u64 started = 0;    // Milliseconds.
    std::string bytes;  // Of a report that has not arrived in full.
  };

  void spawn(Worker* worker);
  int reap(Worker* worker);  // Its wait status.
  void give(Worker* worker, const Job& job);
  void receive(Worker* worker, const OnOutcome& on_outcome);
  void died(Worker* worker, const OnOutcome& on_outcome);
  void kill_stuck();

  const PlayPlan* plan_;
  std::vector<Worker> workers_;
};

u64 clock_millis();  // Of the wall, for progress and time limits only.

}  // namespace tonearm::sim
