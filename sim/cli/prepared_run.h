// From what was typed to what is played: a seed or a file, the overrides, the source of operations.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/args.h"
#include "sim/cli/checked_run.h"
#include "sim/run/runner.h"
#include "sim/scenario/scenario.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

// The parsed form of PlayArgs: checked once, applied to every seed.
struct PlayPlan {
  std::vector<const Workload*> workloads;  // At least one.
  std::vector<SettingChange> changes;      // --ops, --set and --disable.
  std::vector<OperationKind> disabled;     // Of a scenario file these lines are dropped.
  std::vector<std::string> not_settings;   // Of --disable: verbs of a component workload, or nothing.
  std::vector<std::string> verbs;          // Of --disable: lines of these verbs are dropped.
  // Of --reseed: after the line with this id (number 0: before all), and of a seed the lines that follow too.
  struct ReseedAt {
    OpId after;
    u64 seed = 0;
  };
  std::vector<ReseedAt> reseeds;
  OracleSet oracles = OracleSet::all();
  Checks checks;
  std::string words;   // The same again as options, to end a `reproduce:` line; begins with a space.
  std::string judged;  // Those of them that a scenario file does not hold, to end a `replay:` line.
};
// `of_files`: which workload is played, and so which verbs can be disabled, is known with the file only.
std::string reseed_words(const PlayPlan::ReseedAt& reseed);  // ` --reseed 17:0x9`.
PlayPlan parse_play(const PlayArgs& args, const char* default_workload, bool of_files = false);

struct PreparedRun {
  std::string workload;
  u64 seed = 0;
  RunOptions options;
  OracleSet oracles = OracleSet::all();
  std::unique_ptr<Scenario> scenario;  // Of a file; source refers to it.
  std::string file;                    // Where it came from; empty: the seed.
  std::unique_ptr<OperationSource> source;
  std::string reproduce;  // The command that plays it again.
  std::string judged;     // PlayPlan::judged.
  bool record_faults = false;
  Sweep* sweep = nullptr;

  RunConfig config() const;
};

// What is wrong with the seed's options goes to `problem`; the source is null then.
PreparedRun prepare_seed(const PlayPlan& plan, const Workload& workload, u64 seed, std::string* problem);
PreparedRun prepare_seed(const PlayPlan& plan, u64 seed);  // The same, throws UsageError.
PreparedRun prepare_file(const PlayPlan& plan, const std::string& file);
// As prepare_seed(), and from line `reseed->from` on another seed, if there is one.
PreparedRun prepare_reseeded(const PlayPlan& plan, const Workload& workload, u64 seed,
                             const std::optional<Reseed>& reseed, std::string* problem);

// Of a scenario in memory. `problem` as in prepare_seed().
PreparedRun prepare_scenario(const PlayPlan& plan, Scenario scenario, std::string* problem);

// All of it as a file that replays to the same digests. Throws UsageError when a file may not have so many
// lines.
Scenario scenario_of(const PreparedRun& prepared);
// The same for a failure that was found, with bounds for memory and disk: a run may be a thousand times as
// long as any file. Of a long one only the lines up to the one that failed; nothing: that is unknown, or too
// far behind.
inline constexpr u64 failure_lines_max = 250'000;
std::optional<Scenario> scenario_of_failure(const PreparedRun& prepared, const Failure& failure);

// Parsers of what is typed; throw UsageError. `what` is the option's name.
u64 seed_argument(const std::string& text);
u64 number_argument(const char* what, const std::string& text, u64 min, u64 max);
OpId op_argument(const char* what, const std::string& text);
u64 seconds_argument(const char* what, const std::string& text);  // 30s, 5m, 8h.
u32 cpu_limit_argument(const std::string& text);                  // Seconds; empty: the usual.
struct SeedRange {
  u64 first = 0;
  u64 last = 0;  // Inclusive.
};
SeedRange range_argument(const std::string& text);
u64 fresh_seed();

// Throws UsageError for whatever is no file, and for one that is longer or becomes so while it is read.
std::string read_text_file(const std::string& file, u64 bytes_max);
void write_text_file(const std::string& file, const std::string& text);

}  // namespace tonearm::sim
