// The verdict of one run as people and programs read it: the last line, the story before it, JSON.
#pragma once

#include <optional>
#include <string>

#include "sim/cli/args.h"
#include "sim/cli/prepared_run.h"
#include "sim/verdict/verdict.h"

namespace tonearm::sim {

// What is left to explain of a failure.
struct ScenarioSize {
  u64 lines = 0;     // Without those that ask for faults.
  u64 faults = 0;    // That struck, by chance or asked for; what crashes decide apart.
  u64 settings = 0;  // That differ from their defaults.
};

// A failure that was shrunk as soon as it was found; see shrinking.h.
struct FoundShrunk {
  std::string text;      // What to say about it: `shrunk: ...` and the lines.
  std::string debug_op;  // The line at which the shrunk scenario fails; empty: none.
  ScenarioSize after;
  bool shrunk = false;
  int interrupted_by = 0;
};

// `PASS workload=...` or `FAIL class=...`, without a newline.
std::string verdict_line(const PreparedRun& prepared, const RunResult& result);
// The same fields and all counters; json.cpp. `scenario_file` may be empty. `complete`: of a sweep.
std::string verdict_json(const PreparedRun& prepared, const RunResult& result,
                         const std::string& scenario_file, const FoundShrunk& shrunk = {},
                         std::optional<bool> complete = {});
// What happened, for a person; and how to see it again.
std::string failure_text(const PreparedRun& prepared, const RunResult& result,
                         const std::string& scenario_file, const FoundShrunk& shrunk = {});
std::string counters_text(const RunResult& result);  // For -v.
// How often each kind of fault fired in each zone, of those that could have; one line each.
std::string fault_table(const FaultCounts& fired, const FaultCounts& armed);
const char* zone_word(Zone zone);

std::string failed_op_text(const Failure& failure);  // `17.1`, `end` (behind the last line), `-`.

// Colours PASS or FAIL at the beginning of the line, if standard output wants it.
std::string colored(const OutputArgs& output, std::string line);

// Writes failures/SIGNATURE.scenario and failures/last; returns the file's name. Empty: nothing was written,
// since it would be too long; its command plays the run again.
inline constexpr const char* failures_directory = "failures";
inline constexpr const char* failures_last = "failures/last";
std::string save_failure(const PreparedRun& prepared, const Failure& failure);
std::string failure_file(const Failure& failure);  // Its name there; makes the directory.
std::string last_failure();                        // The name in failures/last.
// A file that is expected to fail so; its story says what happened and `origin`.
void write_failure(const std::string& name, Scenario scenario, const Failure& failure,
                   const std::string& origin);

// Every scalar counter with its name and meaning; one table for -v, JSON and the campaign.
struct CounterName {
  const char* name;
  const char* help;
  u64 RunCounters::*field;
};
std::span<const CounterName> counter_names();

}  // namespace tonearm::sim
