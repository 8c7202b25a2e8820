#include "sim/cli/campaign.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "sim/cli/problems.h"
#include "sim/cli/report.h"
#include "sim/cli/version.h"

namespace tonearm::sim {

namespace {

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int signal) { interrupted = signal; }

// One line on a terminal, rewritten; elsewhere a plain line now and then.
class Progress {
 public:
  Progress(const CampaignPlan& plan, u64 jobs) : plan_(&plan), jobs_(jobs), started_(clock_millis()) {
    terminal_ = isatty(STDERR_FILENO) != 0;
    shown_ = terminal_ ? 0 : started_;
  }
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void clear() {
    if (dirty_) fmt::print(stderr, "\r\033[K");
    dirty_ = false;
  }

  void show(const Totals& totals, u64 done) {
    const u64 now = clock_millis();
    const u64 every = terminal_ ? 200 : 10'000;
    if (!plan_->progress || now - shown_ < every) return;
    shown_ = now;
    const u64 elapsed = std::max<u64>(1, now - started_);
    std::string left;
    if (plan_->for_seconds) {
      left = fmt::format("{} s left", *plan_->for_seconds - std::min(*plan_->for_seconds, elapsed / 1000));
    } else if (done > 0) {
      left = fmt::format("{} s left", static_cast<u64>(u128{jobs_ - done} * elapsed / done / 1000));
    }
    const std::string line =
        fmt::format("{} seeds, {}/s, {} failed ({} kinds), {} of {} marks, {}", done, done * 1000 / elapsed,
                    totals.failed, totals.signatures.size(), totals.marks_hit(), mark_count, left);
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", line, terminal_ ? "" : "\n");
    std::fflush(stderr);
    dirty_ = terminal_;
  }

 private:
  const CampaignPlan* plan_;
  u64 jobs_;
  u64 started_;
  u64 shown_;
  bool terminal_ = false;
  bool dirty_ = false;
};

// Of the seeds of a workload fewer than one in so many hit a rare mark, once so many seeds are known.
constexpr u64 rare_one_in = 16;
constexpr u64 rare_seeds_min = 16;
constexpr u32 branches_of_a_seed = 4;

class Campaign {
 public:
  Campaign(const PlayPlan& plan, const CampaignPlan& campaign)
      : plan_(plan),
        campaign_(campaign),
        // All of the 2^64 seeds of a range without end are never played.
        jobs_(campaign.seeds.last == u64_max && campaign.seeds.first == 0
                  ? u64_max
                  : saturated(campaign.seeds.last - campaign.seeds.first + 1)),
        progress_(campaign, jobs_) {}

  CampaignEnd play() {
    const u64 started = clock_millis();
    const auto old_int = std::signal(SIGINT, on_interrupt);
    const auto old_term = std::signal(SIGTERM, on_interrupt);
    const auto out_of_time = [&] {
      return campaign_.for_seconds && clock_millis() - started >= *campaign_.for_seconds * 1000;
    };
    {
      WorkerPool pool(plan_, static_cast<u32>(std::min<u64>(campaign_.workers, jobs_)));
      pool.play([&]() -> std::optional<Job> { return out_of_time() ? std::nullopt : next(); },
                [&](const Outcome& outcome) { take(outcome); },
                [&] {
                  progress_.show(end_.totals, done_);
                  const bool enough = campaign_.until_failure && failures() > 0;
                  return interrupted != 0 || enough;
                });
    }
    progress_.clear();
    std::signal(SIGINT, old_int);
    std::signal(SIGTERM, old_term);
    end_.interrupted_by = interrupted;
    if (!pending_.empty() || next_ < jobs_) {
      const u64 first = std::min(next_, pending_.empty() ? u64_max : *pending_.begin());
      end_.resume_at = campaign_.seeds.first + first / plan_.workloads.size();
    }
    write_digests();
    return std::move(end_);
  }

 private:
  u64 failures() const { return end_.totals.failed + end_.totals.branches.failed; }

  u64 saturated(u64 seeds) const {
    return seeds > u64_max / plan_.workloads.size() ? u64_max : seeds * plan_.workloads.size();
  }

  std::optional<Job> next() {
    if (next_ == jobs_) return std::nullopt;
    pending_.insert(next_);
    const u64 index = next_++;
    const u64 workload = index % plan_.workloads.size();
    return Job{.workload = workload,
               .seed = campaign_.seeds.first + index / plan_.workloads.size(),
               .guidance = guidance(workload),
               .branch = std::nullopt};
  }

  // Branches play as many lines as seeds do, and not more. (Lines, not time: a campaign in one process is the
  // same each time.)
  Guidance guidance(u64 workload) const {
    Guidance wish;
    const std::string_view name = plan_.workloads[workload]->name;
    if (!campaign_.guided || !can_reseed(name) || name == "canary") return wish;
    const MarksKnown& known = known_[workload];
    if (known.seeds < rare_seeds_min || end_.totals.branches.lines > end_.totals.counters.ops) return wish;
    wish.branches_max = branches_of_a_seed;
    for (u32 i = 0; i < mark_count; ++i) {
      if (known.hit[i] * rare_one_in <= known.seeds) wish.want(static_cast<Mark>(i));
    }
    return wish;
  }

  void take_branch(const Outcome& outcome) {
    end_.totals.add_branch(outcome);
    if (outcome.result.failed()) take_failure(*plan_.workloads[outcome.job.workload], outcome);
  }

  void learn_marks(const Outcome& outcome) {
    MarksKnown& known = known_[outcome.job.workload];
    ++known.seeds;
    for (u32 i = 0; i < mark_count; ++i) known.hit[i] += outcome.result.marks[i] > 0 ? 1 : 0;
  }

  void take(const Outcome& outcome) {
    if (outcome.job.branch) return take_branch(outcome);
    ++done_;
    pending_.erase((outcome.job.seed - campaign_.seeds.first) * plan_.workloads.size() +
                   outcome.job.workload);
    end_.totals.add(outcome);
    if (!outcome.impossible.empty()) return;
    learn_marks(outcome);
    if (!campaign_.digests_file.empty()) {
      digests_.emplace_back(outcome.job.seed, outcome.result.digests);
    }
    const Workload& workload = *plan_.workloads[outcome.job.workload];
    if (std::string_view(workload.name) == "canary") {
      const bool expected = canary_fails(outcome.job.seed);
      end_.totals.canary_expected += expected ? 1 : 0;
      end_.totals.canary_wrong += expected != outcome.result.failed() ? 1 : 0;
    }
    if (outcome.result.failed()) take_failure(workload, outcome);
  }

  void take_failure(const Workload& workload, const Outcome& outcome) {
    const Failure& failure = outcome.result.failure;
    SignatureTotal& total = end_.totals.signatures[failure.signature()];
    const bool first = total.count++ == 0;
    std::string problem;
    const PreparedRun prepared =
        prepare_reseeded(plan_, workload, outcome.job.seed, outcome.job.branch, &problem);
    if (first) {
      total.failure = failure;
      total.first = outcome.job;
      total.reproduce = prepared.reproduce;
      if (campaign_.save_failures) total.file = save_failure(prepared, failure);
    }
    // A seed whose process died is always named: its signature says little.
    const bool died =
        failure.failure_class == FailureClass::signal || failure.failure_class == FailureClass::hang;
    if (!campaign_.announce || !(first || died)) return;
    progress_.clear();
    if (first)
      fmt::print("{}", failure_text(prepared, outcome.result, total.file));
    else
      fmt::print("reproduce: {}\n", prepared.reproduce);
    fmt::print("{}\n", verdict_line(prepared, outcome.result));
    std::fflush(stdout);
  }

  void write_digests() {
    if (campaign_.digests_file.empty()) return;
    std::sort(digests_.begin(), digests_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (const auto& [seed, digests] : digests_) {
      text += fmt::format("{:#x}\t{:016x}\t{:016x}\n", seed, digests.answers, digests.digest);
    }
    write_text_file(campaign_.digests_file, text);
  }

  struct MarksKnown {
    u64 seeds = 0;
    std::array<u64, mark_count> hit{};  // By how many of them.
  };

  const PlayPlan& plan_;
  const CampaignPlan& campaign_;
  std::vector<MarksKnown> known_ = std::vector<MarksKnown>(plan_.workloads.size());  // Of each workload.
  u64 jobs_;
  u64 next_ = 0;
  u64 done_ = 0;
  std::set<u64> pending_;
  std::vector<std::pair<u64, Digests>> digests_;
  Progress progress_;
  CampaignEnd end_;
};

}  // namespace

CampaignEnd play_campaign(const PlayPlan& plan, const CampaignPlan& campaign) {
  return Campaign(plan, campaign).play();
}

u32 processors() {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : static_cast<u32>(count);
}

}  // namespace tonearm::sim
