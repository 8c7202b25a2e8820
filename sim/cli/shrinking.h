// One failure made small: by `shrink`, and by `run` and `campaign` for the failures that they find.
//
// Every candidate is played in a process of its own, since it may abort or hang. What fails in another way
// on the way is kept, too, beside the result: it may be another bug.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/cli/crash_guard.h"
#include "sim/cli/prepared_run.h"
#include "sim/cli/report.h"

namespace tonearm::sim {

struct ShrinkPlan {
  u64 seconds = 60;                       // From when the failure was seen on: then the best so far is given.
  u32 jobs = 1;                           // Candidates played at the same time.
  u32 cpu_seconds = run_cpu_seconds_max;  // That the original may take.
  bool progress = true;                   // On standard error.
};

// How long `run` and `campaign` shrink a failure, unless they are told.
inline constexpr u64 shrink_found_seconds = 20;

struct Shrunk {
  bool failed = false;    // The original does; without that there is nothing else.
  bool believed = false;  // Played twice more, the best failed in the same way, with the same events.
  bool stopped = false;   // Early: out of time, or interrupted.
  int interrupted_by = 0;
  RunResult original;
  Scenario best;
  RunResult result;  // Of the best.
  ScenarioSize before;
  ScenarioSize after;
  std::vector<std::string> had;  // Ingredients before; see ingredients.h.
  u64 candidates = 0;
  struct Other {
    Scenario scenario;
    Failure failure;
  };
  std::map<u32, Other> others;  // By signature: the smallest that was met.
};

Shrunk shrink_failure(const PlayPlan& plan, Scenario scenario, const ShrinkPlan& shrink);

// --- what is said of it

// `4812 -> 9 lines, 31 -> 1 faults, 40 -> 2 settings`.
std::string shrunk_words(const Shrunk& shrunk);
// What the best still has, and what went.
std::string shrunk_needs(const Shrunk& shrunk);
// The lines, and what is set, if that is little enough to look at; each indented.
std::string shrunk_lines(const Shrunk& shrunk);
// Where a scenario came from: a file that a failure left says so at the end of its story.
std::string origin_of(const PreparedRun& prepared);
// Writes the best to `file` and the others beside; returns what there is to say about the others.
std::string write_shrunk(const Shrunk& shrunk, const std::string& file, const std::string& origin);

// For `run` and `campaign`: shrinks what `prepared` does, over the file that it has left (empty: none).
FoundShrunk shrink_found(const PlayPlan& plan, const PreparedRun& prepared, const Failure& failure,
                         const std::string& file, const ShrinkPlan& shrink);

// What `run` and `campaign` were told: --no-shrink and --shrink-for. 0: not at all.
u64 shrink_seconds(const ShrinkFoundArgs& args, const OutputArgs& output);

}  // namespace tonearm::sim
