// `shrink --when`: from which line on is a run bound to fail? See sim/shrink/turning_point.h.
//
// A suffix of a seed is `--reseed ID:S`. A file says which lines come and not where they are from, so behind
// a beginning of it the generator goes on with lines of its own, at the settings of the file and as many as
// the file has left.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/cli/campaign.h"
#include "sim/cli/interrupts.h"
#include "sim/cli/json.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/worker.h"
#include "sim/shrink/turning_point.h"
#include "sim/workload/reseeded_source.h"

namespace tonearm::sim {

namespace {

constexpr u64 jobs_max = 256;
constexpr u64 suffixes_usual = 8;
constexpr u64 suffixes_max = 1000;
constexpr u64 seconds_usual = 60;

u64 suffix_seed(u64 seed, const Suffix& suffix) {
  return Stream("suffix", stream_seed(seed, "suffix")).at(suffix.place, suffix.number) >> 32;
}

class When {
 public:
  When(const ShrinkArgs& args, const PlayPlan& plan, const PreparedRun& original)
      : plan_(plan), original_(original), workload_(*find_workload(original.workload)) {
    if (!can_reseed(original.workload)) {
      throw UsageError(
          fmt::format("--when: found the workload {}, expected one of trees or grooves", original.workload));
    }
    if (!plan.reseeds.empty()) throw UsageError("--when, --reseed: expected one of them, not both");
    seconds_ = args.duration.empty() ? seconds_usual : seconds_argument("--for", args.duration);
    suffixes_ = args.suffixes.empty() ? suffixes_usual
                                      : number_argument("--suffixes", args.suffixes, 1, suffixes_max);
    jobs_ = args.jobs.empty() ? processors()
                              : static_cast<u32>(number_argument("--jobs", args.jobs, 1, jobs_max));
    limits_.cpu_seconds = cpu_limit_argument(args.cpu_limit);
    json_ = args.play.output.json;
    progress_ = !args.play.output.quiet && !json_;
  }

  // The status.
  int run() {
    started_ = clock_millis();
    failed_ = play_isolated(original_, plan_, limits_.cpu_seconds);
    if (!failed_.failed()) {
      fmt::print("{}\n", verdict_line(original_, failed_));
      return exit_passed;
    }
    const CatchInterrupts catching;
    const u64 last = last_place();
    TurningPoint search(
        last, static_cast<u32>(suffixes_), jobs_,
        [this](std::span<const Suffix> suffixes) { return play(suffixes); },
        [this] { return interrupted_by() != 0 || clock_millis() - started_ >= seconds_ * 1000; });
    search.search();
    clear_progress();
    if (json_) {
      print_json(search);
    } else {
      print_text(search, last);
    }
    return interrupted_by() != 0 ? 128 + interrupted_by() : exit_failed;
  }

 private:
  // Before the line that fails; one that fails in the end, or in a twin, may have turned anywhere.
  u64 last_place() const {
    const u64 count = original_.source->count();
    Operation line;
    for (u64 i = 0; failed_.failure.has_op && i < count; ++i) {
      original_.source->at(i, &line);
      if (line.id == failed_.failure.op) return i;
    }
    return count;
  }

  std::vector<SuffixEnd> play(std::span<const Suffix> suffixes) {
    std::vector<PreparedRun> runs;
    for (const Suffix& suffix : suffixes) runs.push_back(prepared(suffix));
    const std::vector<RunResult> results = play_isolated(runs, plan_.checks, limits_);
    std::vector<SuffixEnd> ends;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const RunResult& result = results[i];
      u64& tick = ticks_[suffixes[i].place];
      tick = std::max(tick, result.reseed_tick);
      const bool alike = result.failed() && result.failure.signature() == failed_.failure.signature();
      ends.push_back(alike ? SuffixEnd::alike : result.failed() ? SuffixEnd::otherwise : SuffixEnd::passes);
      if (!result.failed()) passing_[suffixes[i].place] = suffix_seed(original_.seed, suffixes[i]);
    }
    played_ += ends.size();
    show_progress(suffixes.front().place);
    return ends;
  }

  PreparedRun prepared(const Suffix& suffix) const {
    const Reseed reseed{.from = suffix.place, .seed = suffix_seed(original_.seed, suffix)};
    std::string problem;
    PreparedRun run = original_.scenario
                          ? prepare_scenario(plan_, with_suffix(reseed), &problem)
                          : prepare_reseeded(plan_, workload_, original_.seed, reseed, &problem);
    if (!problem.empty()) throw UsageError(problem);
    return run;
  }

  Scenario with_suffix(const Reseed& reseed) const {
    Scenario scenario = scenario_of(original_);
    std::vector<Operation>& lines = scenario.operations;
    const u64 count = lines.size();
    RunOptions options = scenario.options;
    options.ops = count;
    const auto source = workload_.source(scenario.seed, options, {reseed});
    lines.resize(reseed.from);
    // Numbers that no line of the file has.
    u64 number = 0;
    for (const Operation& line : lines) number = std::max(number, line.id.number);
    Operation line;
    line.id = {.number = ++number, .child = 0};
    line.kind = OperationKind::reseed;
    line.value = reseed.seed;
    lines.push_back(line);
    for (u64 i = reseed.from; i < count; ++i) {
      source->at(i, &line);
      line.id = {.number = ++number, .child = 0};
      lines.push_back(line);
    }
    return scenario;
  }

  // --- what is said

  std::string line_text(u64 place) const {
    if (place == 0) return "start";
    Operation line;
    original_.source->at(place - 1, &line);
    return op_id_text(line.id);
  }

  void show_progress(u64 place) {
    const u64 now = clock_millis();
    const bool terminal = isatty(STDERR_FILENO) != 0;
    if (!progress_ || now - shown_ < (terminal ? 200 : 10'000)) return;
    if (shown_ == 0 && !terminal) {
      shown_ = now;
      return;
    }
    shown_ = now;
    fmt::print(stderr, "{}when: {} suffixes played, now after line {}, {} s left{}",
               terminal ? "\r\033[K" : "", played_, line_text(place),
               seconds_ - std::min(seconds_, (now - started_) / 1000), terminal ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal;
  }
  void clear_progress() {
    if (dirty_) fmt::print(stderr, "\r\033[K");
    dirty_ = false;
  }

  static std::string of_all(const TurningShare& share) {
    return fmt::format("{} of {}", share.alike, share.played);
  }

  void print_text(const TurningPoint& search, u64 last) const {
    const Failure& failure = failed_.failure;
    fmt::print("fails:     line {}, {:08x} {}: {}\n", failed_op_text(failure), failure.signature(),
               failure_class_name(failure.failure_class), failure.message);
    fmt::print("{:>12} {:>12} {:>9} {:>6} {:>10}\n", "after line", "tick", "suffixes", "alike", "otherwise");
    for (const auto& [place, share] : search.shares()) {
      fmt::print("{:>12} {:>12} {:>9} {:>6} {:>10}\n", line_text(place), ticks_.at(place), share.played,
                 share.alike, share.otherwise);
    }
    print_rise(search);
    print_bound(search);
    fmt::print("measured:  {} of {} places, {} suffixes in {} s{}\n", search.shares().size(), last + 1,
               played_, (clock_millis() - started_) / 1000,
               search.stopped() ? "; stopped early, of the other places nothing is known" : "");
    fmt::print("{}\n", verdict_line(original_, failed_));
  }

  // The line that makes it likely need not be the one that makes it certain.
  void print_rise(const TurningPoint& search) const {
    const std::optional<TurningPoint::Rise> rise = search.rise();
    if (!rise) return;
    fmt::print("rises:     most after line {}: from {} to {} suffixes{}\n", line_text(rise->to),
               of_all(search.shares().at(rise->from)), of_all(search.shares().at(rise->to)),
               rise->to == rise->from + 1
                   ? ""
                   : fmt::format("; nothing is known since line {}", line_text(rise->from)));
    print_line(rise->to);
  }

  // The last one in front of this place.
  void print_line(u64 place) const {
    if (place == 0) return;
    std::string text;
    Operation line;
    original_.source->at(place - 1, &line);
    print_operation(line, &text);
    fmt::print("           {}", text);
  }

  void print_bound(const TurningPoint& search) const {
    const std::optional<u64> bound = search.bound();
    const std::optional<u64> before = search.before_bound();
    if (search.shares().empty()) {
      fmt::print("bound:     nothing was measured in time (see --for)\n");
      return;
    }
    if (!bound) {
      const auto& [place, share] = *search.shares().rbegin();
      fmt::print("bound:     at no place: after line {} {} suffixes fail alike\n", line_text(place),
                 of_all(share));
      return;
    }
    fmt::print("bound:     after line {} it is bound to fail ({} suffixes)\n", line_text(*bound),
               of_all(search.shares().at(*bound)));
    print_line(*bound);
    if (!before) return;
    fmt::print("           after line {} {} do{}\n", line_text(*before), of_all(search.shares().at(*before)),
               search.exact() ? "" : ", and of the lines between the two nothing is known");
    const auto passes = passing_.find(*before);
    if (passes == passing_.end() || original_.scenario) return;
    fmt::print("passes:    tonearm run --workload {} --seed {:#x}{}{}\n", original_.workload, original_.seed,
               reseed_words({.after = {.number = *before, .child = 0}, .seed = passes->second}), plan_.words);
  }

  void print_json(const TurningPoint& search) const {
    std::vector<JsonFields> places;
    for (const auto& [place, share] : search.shares()) {
      places.push_back({{"after", line_text(place)},
                        {"tick", ticks_.at(place)},
                        {"played", u64{share.played}},
                        {"alike", u64{share.alike}},
                        {"otherwise", u64{share.otherwise}}});
    }
    const std::optional<u64> bound = search.bound();
    const std::optional<TurningPoint::Rise> rise = search.rise();
    fmt::print("{}\n", json_text(JsonFields{{"schema", std::string("tonearm.when/1")},
                                            {"signature", fmt::format("{:08x}", failed_.failure.signature())},
                                            {"fails_at", failed_op_text(failed_.failure)},
                                            {"bound_after", bound ? line_text(*bound) : std::string()},
                                            {"exact", search.exact()},
                                            {"rises_after", rise ? line_text(rise->to) : std::string()},
                                            {"stopped", search.stopped()},
                                            {"places", std::move(places)}}));
  }

  const PlayPlan& plan_;
  const PreparedRun& original_;
  const Workload& workload_;
  u64 seconds_ = 0;
  u64 suffixes_ = 0;
  u32 jobs_ = 1;
  RunLimits limits_;
  bool json_ = false;
  bool progress_ = false;
  RunResult failed_;
  u64 started_ = 0;
  u64 shown_ = 0;
  bool dirty_ = false;
  u64 played_ = 0;
  std::map<u64, u64> ticks_;    // By place.
  std::map<u64, u64> passing_;  // By place: the seed of a suffix that passes.
};

}  // namespace

int when_command(const ShrinkArgs& args) {
  if (!args.output_file.empty()) throw UsageError("--when, --output: there is no scenario to write");
  const PlayPlan plan = parse_play(args.play, "tree", !args.file.empty());
  const PreparedRun original = args.file.empty()
                                   ? prepare_seed(plan, seed_argument(args.seed))
                                   : prepare_file(plan, args.file == "last" ? last_failure() : args.file);
  return When(args, plan, original).run();
}

}  // namespace tonearm::sim
