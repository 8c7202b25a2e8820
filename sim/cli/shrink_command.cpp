// `shrink`: the smallest scenario that fails with the same signature. Faults that came by chance become lines
// on the way.
#include <fmt/format.h>

#include "sim/cli/campaign.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/shrinking.h"
#include "sim/cli/worker.h"

namespace tonearm::sim {

namespace {

constexpr u64 jobs_max = 256;

void print_text(const OutputArgs& output, const Shrunk& shrunk, const PreparedRun& prepared,
                const std::string& file, const std::string& others) {
  if (!output.quiet) fmt::print("{}", failure_text(prepared, shrunk.result, ""));
  if (shrunk.stopped && !output.quiet) {
    fmt::print("stopped early: {}\n", shrunk.interrupted_by != 0 ? "interrupted" : "out of time (see --for)");
  }
  if (!output.quiet) fmt::print("{}", others);
  fmt::print("needs:     {}\n", shrunk_needs(shrunk));
  fmt::print("shrunk:    {}   {}\n", shrunk_words(shrunk), file);
  if (!output.quiet) fmt::print("{}", shrunk_lines(shrunk));
  fmt::print("replay:    tonearm replay {}{}\n", file, prepared.judged);
  fmt::print("{}\n", colored(output, verdict_line(prepared, shrunk.result)));
}

// Each candidate is a copy. Of a long run only what comes before the failure is one.
Scenario scenario_to_shrink(const PlayPlan& plan, const PreparedRun& original, u32 cpu_seconds) {
  if (original.source->count() <= failure_lines_max) return scenario_of(original);
  const RunResult played = play_isolated(original, plan, cpu_seconds);
  std::optional<Scenario> scenario = scenario_of_failure(original, played.failure);
  if (scenario) return std::move(*scenario);
  throw UsageError(
      fmt::format("shrink: {} lines, of which none of the first {} is known to fail, expected fewer",
                  original.source->count(), failure_lines_max));
}

int report(const ShrinkArgs& args, const PlayPlan& plan, const Shrunk& shrunk, const std::string& origin) {
  if (!shrunk.believed) {
    throw EnvironmentError("the shrunk scenario does not fail in the same way each time");
  }
  const Failure& failure = shrunk.result.failure;
  const std::string file = args.output_file.empty() ? failure_file(failure) : args.output_file;
  const std::string others = write_shrunk(shrunk, file, origin);
  if (args.output_file.empty()) write_text_file(failures_last, file + "\n");
  std::string problem;
  PreparedRun prepared = prepare_scenario(plan, shrunk.best, &problem);
  if (!args.cpu_limit.empty()) prepared.judged += " --cpu-limit " + args.cpu_limit;
  prepared.reproduce = fmt::format("tonearm run --scenario {}{}", file, prepared.judged);
  if (args.play.output.json) {
    fmt::print("{}\n", verdict_json(prepared, shrunk.result, file));
  } else {
    print_text(args.play.output, shrunk, prepared, file, others);
  }
  return shrunk.interrupted_by != 0 ? 128 + shrunk.interrupted_by : exit_failed;
}

}  // namespace

int shrink_command(const ShrinkArgs& args) {
  if (args.seed.empty() == args.file.empty()) throw UsageError("shrink: expected a file or --seed N");
  if (args.when) return when_command(args);
  if (!args.suffixes.empty()) throw UsageError("--suffixes: expected --when, too");
  const PlayPlan plan = parse_play(args.play, "tree", !args.file.empty());
  ShrinkPlan shrink;
  if (!args.duration.empty()) shrink.seconds = seconds_argument("--for", args.duration);
  shrink.jobs =
      args.jobs.empty() ? processors() : static_cast<u32>(number_argument("--jobs", args.jobs, 1, jobs_max));
  shrink.cpu_seconds = cpu_limit_argument(args.cpu_limit);
  shrink.progress = !args.play.output.quiet;
  const PreparedRun original = args.file.empty()
                                   ? prepare_seed(plan, seed_argument(args.seed))
                                   : prepare_file(plan, args.file == "last" ? last_failure() : args.file);
  const Shrunk shrunk = shrink_failure(plan, scenario_to_shrink(plan, original, shrink.cpu_seconds), shrink);
  if (!shrunk.failed) {
    fmt::print("{}\n", verdict_line(original, shrunk.original));
    return exit_passed;
  }
  return report(args, plan, shrunk, origin_of(original));
}

}  // namespace tonearm::sim
