// The command line of tonearm: what it takes, and which status it ends with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>

#include "sim/cli/args.h"
#include "sim/cli/bench.h"
#include "sim/cli/problems.h"
#include "sim/cli/version.h"

namespace tonearm::sim {

namespace {

constexpr const char* about =
    "Plays an LSM tree on a simulated disk, compares it with a model at every step, and plays any of\n"
    "those runs again from its seed.\n";

constexpr const char* examples = R"(Examples:
  tonearm run                                    a fresh seed
  tonearm run --seed 0x5eed -v                   that seed again, with all counters
  tonearm run --seed 7 --set cache_blocks=16 --disable crash
  tonearm print --seed 7 -o seven.scenario       the same run as a text to edit
  tonearm replay seven.scenario                  a file, or a directory of them, or `last`
  tonearm replay last --break-at 17              SIGTRAP before line 17, under a debugger
  tonearm shrink last -o small.scenario          the same failure in as few lines as possible
  tonearm campaign --for 5m                      many seeds on all processors
  tonearm campaign --seeds 1..1000 --check-determinism
  tonearm sweep --seed 7 --ops 500               that run, crashed at every step
  tonearm diff --seed 7 --against ./other-tonearm
  tonearm inspect --seed 7 --at 1200             what is on the disk then

Exit status: 0 passed; 1 a failure was found; 2 bad usage or bad input, nothing ran; 3 the
environment failed; 130 or 143 interrupted.)";

using Strings = std::vector<std::string>;

class CommandLine {
 public:
  CommandLine() : app_(about, "tonearm") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", version_text());
    app_.footer(examples);
    add_run();
    add_replay();
    add_print();
    add_shrink();
    add_sweep();
    add_diff();
    add_campaign();
    add_enumerate();
    add_inspect();
    add_lists();
    add_bench();
    refuse_empty_values();
  }

  int parse_and_run(int count, const char* const* words) {
    try {
      app_.parse(count, words);
    } catch (const CLI::Success& success) {
      return app_.exit(success);  // --help, --version.
    } catch (const CLI::ParseError& error) {
      throw UsageError(one_line(error.what()) + " (see tonearm --help)");
    }
    return chosen_();
  }

 private:
  // CLI11 breaks some of its messages.
  static std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  // `--seed "$UNSET"` must not mean a fresh seed.
  void refuse_empty_values() {
    const auto problem = [](const std::string& value) {
      return value.empty() ? std::string("found nothing, expected a value") : std::string();
    };
    for (CLI::App* sub : app_.get_subcommands({})) {
      for (CLI::Option* option : sub->get_options()) {
        if (option->get_items_expected_max() > 0) option->check(problem);
      }
    }
  }

  CLI::App* command(const char* name, const char* help, std::function<int()> action) {
    CLI::App* added = app_.add_subcommand(name, help);
    added->callback([this, action = std::move(action)] { chosen_ = action; });
    return added;
  }

  static void add_many(CLI::App* to, const char* name, Strings* target, const char* help) {
    to->add_option(name, *target, help)->allow_extra_args(false);
  }

  static void add_output(CLI::App* to, OutputArgs* output) {
    to->add_flag("--json", output->json, "One JSON object instead of text");
    to->add_flag("--quiet", output->quiet, "No progress, no story: verdicts only");
    to->add_flag("-v,--verbose", output->verbose, "All counters too");
    to->add_option("--color", output->color, "auto, always or never; NO_COLOR is honoured")
        ->check(CLI::IsMember({"auto", "always", "never"}));
  }

  static void add_settings(CLI::App* to, PlayArgs* play) {
    to->add_option("--workload", play->workload, "See `tonearm workloads`");
    to->add_option("--ops", play->ops, "Lines of the run; the same as --set ops=N");
    add_many(to, "--set", &play->set, "KEY=VALUE, repeatable; see `tonearm options`");
    add_many(to, "--disable", &play->disable,
             "An operation kind, a tree, a fault kind, a variation, latency, or a verb of a component "
             "workload (see `tonearm workloads -v`); repeatable");
  }

  static void add_play(CLI::App* to, PlayArgs* play) {
    add_output(to, &play->output);
    add_settings(to, play);
    to->add_option("--oracles", play->oracles, "Comma list of names, or all,-NAME, or none");
    to->add_flag("--check-determinism", play->check_determinism, "Play twice and compare");
    to->add_option("--twins", play->twins,
                   "Play N twins of every seed, on other machines or in other layouts; unless given, one "
                   "of one seed in eight, and of one in two whose disk fills up");
  }

  static void add_reseed(CLI::App* to, PlayArgs* play) {
    add_many(
        to, "--reseed", &play->reseed,
        "ID:SEED, repeatable: behind the line with this id (0: before the first) everything is drawn from "
        "this seed; of a seed the lines that follow, too, of a file they stay");
  }

  static void add_stops(CLI::App* to, RunArgs* run) {
    to->add_option("--answers", run->answers, "Write each query's answer to this file, one line each");
    to->add_option("--trace", run->trace,
                   "Write operations, engine and disk over virtual time to this file, for Perfetto or "
                   "chrome://tracing");
    to->add_option("--cpu-limit", run->cpu_limit,
                   "CPU seconds that a run may take before it counts as hanging; default 60, 0: no limit");
    to->add_option("--until", run->until, "Stop after the line with this id");
    to->add_option("--break-at", run->break_at, "OP or tick:N: raise SIGTRAP there, for a debugger");
  }

  static void add_shrink_found(CLI::App* to, ShrinkFoundArgs* shrink, const char* usual) {
    to->add_flag("--no-shrink", shrink->no_shrink, "Leave failures as long as they were found");
    to->add_option("--shrink-for", shrink->shrink_for,
                   fmt::format("Time to shrink a failure that is found; default: {}", usual));
  }

  void add_run() {
    CLI::App* run = command("run", "Play one seed or one file", [this] { return run_command(run_); });
    run->add_option("--seed", run_.seed,
                    "Decimal, 0x hexadecimal or a 40-digit git hash; without it a fresh one");
    run->add_option("--scenario", run_.scenario, "A scenario file instead of a seed");
    add_play(run, &run_.play);
    add_reseed(run, &run_.play);
    add_stops(run, &run_);
    add_shrink_found(run, &run_.shrink, "20s; with --json and --quiet: not at all");
    run->footer(
        "Examples:\n  tonearm run --workload tree --seed 0x5eed --ops 5000\n  tonearm run --seed 7 --reseed "
        "1200:9    seed 7 up to line 1200, then as seed 9 goes on");
  }

  void add_replay() {
    CLI::App* replay =
        command("replay", "Play scenario files; one verdict a line against each file's `expect`",
                [this] { return replay_command(replay_); });
    replay->add_option("FILE", replay_.files, "Files, directories, or `last`: the newest failure")
        ->required();
    add_play(replay, &replay_.run.play);
    add_stops(replay, &replay_.run);
    replay->footer(
        "Example:\n  tonearm replay corpus/scenarios\n\nExit status 1: some file did not end as expected.");
  }

  void add_print() {
    CLI::App* print = command("print", "The scenario that a seed generates, as text",
                              [this] { return print_command(print_); });
    print->add_option("--seed", print_.seed, "The seed");
    print->add_flag("--frozen", print_.frozen, "Play it, and print every fault that struck as a line");
    print->add_option("-o,--output", print_.output_file, "Write to this file");
    add_settings(print, &print_.play);
    add_reseed(print, &print_.play);
    print->footer("Example:\n  tonearm print --seed 7 -o seven.scenario");
  }

  void add_shrink() {
    CLI::App* shrink = command("shrink", "The smallest scenario that fails with the same signature",
                               [this] { return shrink_command(shrink_); });
    shrink->add_option("FILE", shrink_.file, "A scenario file that fails, or `last`: the newest failure");
    shrink->add_option("--seed", shrink_.seed, "A seed that fails instead");
    shrink->add_option("--for", shrink_.duration, "30s, 5m, 8h: give what there is by then; default 60s");
    shrink->add_option("--jobs", shrink_.jobs, "Candidates played at a time; default: one per processor");
    shrink->add_option("--cpu-limit", shrink_.cpu_limit,
                       "CPU seconds that the original may take before it counts as hanging; default 60");
    shrink->add_option("-o,--output", shrink_.output_file,
                       "Write to this file; default: failures/SIGNATURE.scenario");
    shrink->add_flag("--when", shrink_.when,
                     "Instead of shrinking: from which line on is it bound to fail? Goes on with other seeds "
                     "from lines along the run, and tells the share that fails alike");
    shrink->add_option("--suffixes", shrink_.suffixes, "Of --when: played from each line; default: 8");
    add_play(shrink, &shrink_.play);
    add_reseed(shrink, &shrink_.play);
    shrink->footer(
        "Examples:\n  tonearm shrink last\n  tonearm shrink --when --seed 0x5eed --for 2m\n\nExit status 1: "
        "shrunk, since what fails was found; 0: it passes, there is nothing to shrink.");
  }

  void add_sweep() {
    CLI::App* sweep = command("sweep",
                              "The same run crashed before every step, with every distinguishable outcome of "
                              "the writes that were not durable; each recovery judged",
                              [this] { return sweep_command(sweep_); });
    sweep->add_option("FILE", sweep_.file, "A scenario file, or `last`: the newest failure");
    sweep->add_option("--seed", sweep_.seed, "A seed instead");
    sweep->add_option("--depth", sweep_.depth, "2: crashes in the recoveries, too; default: 1");
    sweep->add_option("--outcomes", sweep_.outcomes,
                      "Outcomes of one step that are judged one by one; beyond it they are sampled; default: "
                      "1000000");
    sweep->add_option("--for", sweep_.duration,
                      "30s, 5m, 8h: end then, with what was swept until then; default: when all is swept");
    sweep->add_flag("--quiet", sweep_.play.output.quiet, "The verdict only");
    sweep->add_flag("--json", sweep_.play.output.json, "One JSON object instead of text");
    sweep->add_option("--oracles", sweep_.play.oracles, "Comma list of names, or all,-NAME, or none");
    add_settings(sweep, &sweep_.play);
    sweep->footer(
        "Examples:\n  tonearm sweep --workload forest --seed 7 --ops 500\n  tonearm sweep last --for "
        "2m\n\nExit status 1: something failed; 0: nothing did, of all (complete=yes) or of what was swept "
        "(complete=no).");
  }

  void add_diff() {
    CLI::App* diff = command("diff", "Play twice and show the first event that differs",
                             [this] { return diff_command(diff_); });
    diff->add_option("--against", diff_.against, "Play the second time with this program");
    CLI::App* events = command("events", "", [this] { return events_command(diff_); });
    events->group("");  // For `diff --against` only.
    for (CLI::App* app : {diff, events}) {
      app->add_option("FILE,--scenario", diff_.scenario, "A scenario file");
      app->add_option("--seed", diff_.seed, "A seed");
      add_play(app, &diff_.play);
      add_reseed(app, &diff_.play);
    }
    diff->footer("Example:\n  tonearm diff --seed 7 --against build/asan/tonearm");
  }

  void add_campaign() {
    CLI::App* campaign =
        command("campaign", "Many seeds in worker processes", [this] { return campaign_command(campaign_); });
    campaign->add_option("--seeds", campaign_.seeds, "A..B, both included; without it fresh ones");
    campaign->add_option("--for", campaign_.duration, "30s, 5m, 8h");
    campaign->add_option("--jobs", campaign_.jobs, "Worker processes; default: one per processor");
    campaign->add_option("--digests", campaign_.digests, "Write `seed answers digest` lines to this file");
    campaign->add_flag("--guided", campaign_.guided,
                       "Go on from rare marks with other seeds, too: as many lines again at most");
    campaign->add_flag("--until-failure", campaign_.until_failure, "End with the first failure");
    add_play(campaign, &campaign_.play);
    add_shrink_found(campaign, &campaign_.shrink, "20s; with --json and --quiet: not at all");
    campaign->footer(
        "Examples:\n  tonearm campaign --workload all --for 5m --jobs 2\n  tonearm campaign --guided "
        "--workload tree --for 5m");
  }

  void add_enumerate() {
    CLI::App* enumerate = command("enumerate", "Every program of a few lines, with every crash point",
                                  [this] { return enumerate_command(enumerate_); });
    enumerate->add_option("--ops", enumerate_.ops, "Lines of a program, at most; default: 2");
    enumerate->add_option("--workload", enumerate_.workload, "tree, groove or all; default: all");
    enumerate->add_option("--jobs", enumerate_.jobs, "Worker processes; default: one per processor");
    enumerate->add_option(
        "--starts", enumerate_.starts,
        "Directory of tree/ and groove/, the starting scenarios; default: corpus/enumerate");
    enumerate->add_flag("--quiet", enumerate_.quiet, "Failures and totals only");
    enumerate->footer("Example:\n  tonearm enumerate --ops 3 --workload tree");
  }

  void add_inspect() {
    CLI::App* inspect =
        command("inspect", "What is on a disk: superblock, free set, manifest, levels, blocks",
                [this] { return inspect_command(inspect_); });
    inspect->add_option("IMAGE", inspect_.image, "A data file");
    inspect->add_option("--seed", inspect_.seed, "The disk of this run instead");
    inspect->add_option("--at", inspect_.at, "After the line with this id; without it after the last one");
    inspect->add_option("--block", inspect_.block, "Only the block with this address");
    inspect->add_flag("--hex", inspect_.hex, "The block's bytes");
    inspect->add_flag("--values", inspect_.values, "What the tables hold too");
    inspect->add_option("-o,--output", inspect_.output_file, "Save the run's disk as an image file");
    add_settings(inspect, &inspect_.play);
    inspect->footer("Example:\n  tonearm inspect --seed 7 --at 1200 --values");
  }

  void add_lists() {
    CLI::App* list =
        command("workloads", "What generates scenarios", [this] { return workloads_command(list_); });
    add_output(list, &list_.output);
    list = command("options", "Every option with type, range and default",
                   [this] { return options_command(list_); });
    add_output(list, &list_.output);
    list = command("marks", "Every mark; with --seeds how often it was hit",
                   [this] { return marks_command(list_); });
    add_output(list, &list_.output);
    list->add_option("--seeds", list_.seeds, "A..B, both included");
    list->add_option("--workload", list_.workload, "Default: all");
  }

  void add_bench() {
    CLI::App* bench =
        command("bench", "The benchmarks, one JSON line a figure", [this] { return bench_command(bench_); });
    bench->add_option("NAME", bench_.name, "tree, forest or scan, -default or -tiny behind it; default: all");
    bench->add_option("--ops", bench_.ops, "Lines, instead of the benchmark's own sizes");
    add_many(bench, "--set", &bench_.set, "KEY=VALUE, repeatable");
    add_output(bench, &bench_.output);
  }

  CLI::App app_;
  std::function<int()> chosen_;
  RunArgs run_;
  ReplayArgs replay_;
  PrintArgs print_;
  ShrinkArgs shrink_;
  SweepArgs sweep_;
  DiffArgs diff_;
  CampaignArgs campaign_;
  EnumerateArgs enumerate_;
  InspectArgs inspect_;
  ListArgs list_;
  BenchArgs bench_;
};

int main_status(int count, const char* const* words) {
  try {
    CommandLine line;
    return line.parse_and_run(count, words);
  } catch (const UsageError& error) {
    fmt::print(stderr, "tonearm: {}\n", error.what());
    return exit_usage;
  } catch (const std::exception& error) {  // EnvironmentError, and what no memory or no file throws.
    fmt::print(stderr, "tonearm: {}\n", error.what());
    return exit_environment;
  }
}

}  // namespace

}  // namespace tonearm::sim

int main(int count, char** words) {
  const int status = tonearm::sim::main_status(count, words);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("tonearm: standard output: cannot be written\n", stderr);
  return tonearm::sim::exit_environment;
}
