#include <fmt/format.h>

#include "sim/cli/campaign.h"
#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/shrinking.h"
#include "sim/cli/version.h"

namespace tonearm::sim {

namespace {

constexpr u64 workers_max = 256;

struct Judged {
  int status = exit_passed;
  std::string why;  // Empty: passed. Several sentences.
};

Judged judge(const PlayPlan& plan, const Totals& totals) {
  Judged judged;
  const bool canary = std::string_view(plan.workloads.front()->name) == "canary";
  const auto say = [&](int status, const std::string& words) {
    if (status > judged.status) judged.status = status;
    judged.why += words + "\n";
  };
  if (totals.failed + totals.branches.failed > 0) judged.status = exit_failed;
  if (!canary) {
    for (const std::string& kind : totals.silent_faults()) {
      say(exit_failed, fmt::format("fault {} could have fired and never did", kind));
    }
    for (const std::string& site : totals.silent_variations()) {
      say(exit_failed, fmt::format("variation {} could have fired and never did", site));
    }
    return judged;
  }
  const std::string rate = fmt::format("canary: {} of {} seeds failed, {} must (about one in {})",
                                       totals.failed, totals.seeds, totals.canary_expected, canary_one_in);
  if (totals.canary_wrong == 0) {
    say(judged.status, rate);
  } else {
    say(exit_environment,
        fmt::format("{}; {} seeds are wrong: failures are lost or made up on their way here", rate,
                    totals.canary_wrong));
  }
  return judged;
}

std::string workload_names(const PlayPlan& plan) {
  std::string names;
  for (const Workload* workload : plan.workloads)
    names += (names.empty() ? "" : ",") + std::string(workload->name);
  return names;
}

std::string resume_words(const PlayPlan& plan, const CampaignPlan& campaign, u64 from) {
  const std::string name = plan.workloads.size() > 1 ? "all" : plan.workloads.front()->name;
  return fmt::format("tonearm campaign --workload {} --seeds {:#x}..{:#x}{}{}", name, from,
                     campaign.seeds.last, campaign.guided ? " --guided" : "", plan.words);
}

void print_text(const PlayPlan& plan, const CampaignEnd& end, const Judged& judged, const std::string& resume,
                const CampaignArgs& args) {
  const Totals& totals = end.totals;
  fmt::print("{}{}", totals.text(), judged.why);
  if (args.play.output.verbose) {
    fmt::print("mark {:<34} {:>10} {:>8} {:>11}\n", "", "hits", "seeds", "median of 1st");
    for (u32 i = 0; i < mark_count; ++i) fmt::print("mark {}\n", totals.mark_words(static_cast<Mark>(i)));
  }
  if (!resume.empty()) fmt::print("interrupted; what is left: {}\n", resume);
  std::string branches;
  if (args.guided) {
    branches = fmt::format(" branches={} branches_failed={}", totals.branches.played, totals.branches.failed);
  }
  const std::string line = fmt::format(
      "{} workload={} seeds={} passed={} failed={} signatures={}{} ops={} checks={} gen={} git={} build={}",
      judged.status == exit_passed ? "PASS" : "FAIL", workload_names(plan), totals.seeds,
      totals.seeds - totals.failed, totals.failed, totals.signatures.size(), branches, totals.counters.ops,
      totals.counters.checks, generator_version, git_commit(), build_name());
  fmt::print("{}\n", colored(args.play.output, line));
}

void print_json(const PlayPlan& plan, const CampaignEnd& end, const Judged& judged,
                const std::string& resume) {
  JsonFields fields{{"schema", std::string("tonearm.campaign/1")},
                    {"verdict", std::string(judged.status == exit_passed ? "pass" : "fail")},
                    {"workload", workload_names(plan)}};
  JsonFields totals = end.totals.json();
  fields.insert(fields.end(), totals.begin(), totals.end());
  fields.push_back({"why", judged.why});
  fields.push_back({"resume", resume});
  fields.push_back({"gen", u64{generator_version}});
  fields.push_back({"git", git_commit()});
  fields.push_back({"build", build_name()});
  fmt::print("{}\n", json_text(fields));
}

CampaignPlan parse_campaign(const CampaignArgs& args, const PlayPlan& plan) {
  const OutputArgs& output = args.play.output;
  CampaignPlan campaign;
  if (args.seeds.empty() && args.duration.empty())
    throw UsageError("campaign: expected --seeds A..B or --for DURATION");
  if (!args.duration.empty()) campaign.for_seconds = seconds_argument("--for", args.duration);
  if (!args.seeds.empty()) {
    campaign.seeds = range_argument(args.seeds);
  } else {
    // Half of the space, so that there is always a next seed.
    campaign.seeds = {.first = fresh_seed() >> 1, .last = u64_max};
    if (!output.json) fmt::print("seeds from {:#x}\n", campaign.seeds.first);
  }
  campaign.workers = args.jobs.empty()
                         ? processors()
                         : static_cast<u32>(number_argument("--jobs", args.jobs, 1, workers_max));
  campaign.digests_file = args.digests;
  campaign.guided = args.guided;
  campaign.until_failure = args.until_failure;
  if (!args.digests.empty() && plan.workloads.size() > 1)
    throw UsageError("--digests: expected one workload, not all");
  campaign.announce = !output.json && !output.quiet;
  campaign.progress = !output.quiet;
  return campaign;
}

// The first failure of each signature, each for a while; over the files that they have left. Whatever comes
// after the first few is for `tonearm shrink`. Returns the signal that has ended it.
int shrink_failures(const PlayPlan& plan, const CampaignEnd& end, const CampaignPlan& campaign, u64 seconds) {
  constexpr u32 failures_max = 4;
  u32 shrunk = 0;
  for (const auto& [signature, total] : end.totals.signatures) {
    const Workload& workload = *plan.workloads[total.first.workload];
    if (std::string_view(workload.name) == "canary") continue;  // It must fail.
    if (total.file.empty()) continue;
    if (shrunk++ == failures_max) break;
    std::string problem;
    const PreparedRun prepared =
        prepare_reseeded(plan, workload, total.first.seed, total.first.branch, &problem);
    if (!problem.empty()) continue;
    const FoundShrunk found =
        shrink_found(plan, prepared, total.failure, total.file,
                     {.seconds = seconds, .jobs = campaign.workers, .progress = campaign.progress});
    if (campaign.announce)
      fmt::print("{}replay:    tonearm replay {}{}\n", found.text, total.file, plan.judged);
    std::fflush(stdout);
    if (found.interrupted_by != 0) return found.interrupted_by;
  }
  return 0;
}

}  // namespace

int campaign_command(const CampaignArgs& args) {
  const PlayPlan plan = parse_play(args.play, "all");
  const CampaignPlan campaign = parse_campaign(args, plan);
  const u64 shrinking = shrink_seconds(args.shrink, args.play.output);
  std::fflush(stdout);
  CampaignEnd end = play_campaign(plan, campaign);
  if (end.totals.seeds == 0 && end.totals.impossible > 0) throw UsageError(end.totals.impossible_why);
  if (shrinking != 0 && end.interrupted_by == 0) {
    end.interrupted_by = shrink_failures(plan, end, campaign, shrinking);
  }
  const Judged judged = judge(plan, end.totals);
  std::string resume;
  if (end.interrupted_by != 0 && end.resume_at) resume = resume_words(plan, campaign, *end.resume_at);
  if (args.play.output.json) {
    print_json(plan, end, judged, resume);
  } else {
    print_text(plan, end, judged, resume, args);
  }
  return end.interrupted_by != 0 ? 128 + end.interrupted_by : judged.status;
}

int marks_command(const ListArgs& args) {
  Totals totals;
  if (!args.seeds.empty()) {
    PlayArgs play;
    play.workload = args.workload;
    const PlayPlan plan = parse_play(play, "all");
    CampaignPlan campaign;
    campaign.seeds = range_argument(args.seeds);
    campaign.workers = processors();
    campaign.announce = false;
    campaign.progress = !args.output.quiet;
    totals = play_campaign(plan, campaign).totals;
  }
  std::vector<JsonFields> list;
  for (u32 i = 0; i < mark_count; ++i) {
    const Mark mark = static_cast<Mark>(i);
    if (args.output.json) {
      list.push_back({{"mark", std::string(mark_name(mark))}, {"text", std::string(mark_text(mark))}});
      if (!args.seeds.empty()) {
        list.back().push_back({"hits", totals.marks[i].hits()});
        list.back().push_back({"seeds", totals.marks[i].seeds()});
        list.back().push_back({"first_median", totals.marks[i].first_median()});
      }
    } else if (args.seeds.empty()) {
      fmt::print("{:<36} {}\n", mark_name(mark), mark_text(mark));
    } else {
      fmt::print("{}  {}\n", totals.mark_words(mark), mark_text(mark));
    }
  }
  if (args.output.json) fmt::print("{}\n", json_text(list));
  return totals.failed > 0 ? exit_failed : exit_passed;
}

}  // namespace tonearm::sim
