// Plays one scenario: every line on the engine and on the model, compared at every step.
//
// Only the runner advances time. It pumps the storage until the call at hand is done (or a crash
// strikes before the next step), so a run is one straight line although everything in it is
// asynchronous. A failure is reported by returning, except an engine assertion: that calls the
// process-wide assert hook, which reports the failure of the active run and ends the process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/run/reached.h"
#include "sim/run/storage_seam.h"
#include "sim/run/sweep.h"
#include "sim/run/timeline.h"
#include "sim/scenario/scenario.h"
#include "sim/verdict/verdict.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

struct RunConfig {
  std::string workload = "tree";
  u64 seed = 0;
  RunOptions options;
  const OperationSource* source = nullptr;
  OracleSet oracles = OracleSet::all();

  std::optional<OpId> until;         // Stop (and pass) after this line.
  std::optional<OpId> break_at;      // raise(SIGTRAP) before this line.
  std::optional<u64> break_at_tick;  // raise(SIGTRAP) when the clock reaches it.
  u64 steps_max = 0;                 // Of the event loop, then the run is over (and passes); 0: no limit.

  bool record_checkpoints = false;
  // For twins: the lines that took effect and the queries between them, see EffectiveSource.
  bool record_effective = false;
  bool record_faults = false;  // For freeze.h: RunResult::fired and ::crashed.
  bool record_image = false;   // RunnerMemory keeps the durable image at the end.
  // Not 0: what fresh engine memory and the rest of rewritten blocks hold. Nothing may depend on it.
  u64 poison = 0;
  // Not 0: by this, stack and engine memory lie elsewhere. Nothing may depend on it either.
  u64 elsewhere = 0;
  // Of a twin, which is played with other lines: it prefetches each key once, whatever its lines say.
  bool twin = false;
  std::string role;  // "twin 1": said of its failures, whose line ids are not those of the scenario.

  void* event_context = nullptr;  // See Trace::set_listener.
  void (*event_listener)(void*, u64 index, const Event&) = nullptr;
  Timeline* timeline = nullptr;  // Of a run of trees or grooves.
  Sweep* sweep = nullptr;        // The same, crashed at every step.
  StorageSeam* seam = nullptr;   // Of tests.
  Reached* reached = nullptr;
  // Shown the disk when the last line was played (or failed), before the end of the run changes it.
  std::function<void(const SimStorage&)> disk_listener;
  // Each query's answer as one line, `OPERATION-ID -> ...`, without a newline.
  std::function<void(const std::string&)> answer_listener;

  // The scenario as it stands; `source` has its lines, and outlives the run.
  static RunConfig of(const Scenario& scenario, const OperationSource& source);
};

// Memory of runs, taken once and reused from seed to seed: engine buffers, disk pages, trace.
class RunnerMemory {
 public:
  RunnerMemory();
  ~RunnerMemory();
  struct Parts;
  Parts& parts() { return *parts_; }
  const Trace& trace() const;  // Of the run at hand, or the last one.

 private:
  std::unique_ptr<Parts> parts_;
};

const World& world_of_run(std::string_view workload, const RunOptions& options);

// Impossible options (those of the engine and validate_options): what is wrong, or empty.
std::string validate_run(std::string_view workload, const RunOptions& options);

// Plays the scenario to its end or to the first failure.
RunResult run(const RunConfig& config, RunnerMemory& memory);

// Called by the assert hook: the failure of the run that is active in this process, if one is. The
// callback prints and saves it; then the process ends with status 1.
using FatalFailure = std::function<void(const RunConfig& config, const RunResult& result)>;
void set_fatal_failure(FatalFailure report);

}  // namespace tonearm::sim
