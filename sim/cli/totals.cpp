#include "sim/cli/totals.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "sim/cli/report.h"

namespace tonearm::sim {

namespace {

// Of fewer seeds all may have something in common that keeps a kind from firing.
constexpr u64 silent_fault_seeds = 12;
constexpr u64 silent_variation_seeds = 64;
constexpr u64 silent_variation_armed = 600;  // Below that a rare one may stay silent by chance.

std::string percent(u64 part, u64 whole) {
  if (whole == 0) return "-";
  const u64 tenths = part * 1000 / whole;
  return fmt::format("{}.{} %", tenths / 10, tenths % 10);
}

u64 per_second(u64 count, u64 micros) {
  return micros == 0 ? 0 : static_cast<u64>(u128{count} * 1'000'000 / micros);
}

}  // namespace

void MarkTotal::add(u64 hits, u64 first) {
  if (hits == 0) return;
  ASSERT(first > 0);
  hits_ += hits;
  ++seeds_;
  const u32 power = static_cast<u32>(std::bit_width(first)) - 1;
  const u32 quarter = static_cast<u32>(power >= 2 ? first >> (power - 2) : first << (2 - power)) & 3;
  ++first_[4 * power + quarter];
}

u64 MarkTotal::first_median() const {
  u64 before = 0;
  for (u32 i = 0; i < first_.size(); ++i) {
    before += first_[i];
    if (seeds_ == 0 || 2 * before < seeds_) continue;
    const u64 end = u64{5 + i % 4} << (i / 4);  // Times four.
    return (end - 1) / 4;
  }
  return 0;
}

void Totals::add(const Outcome& outcome) {
  if (!outcome.impossible.empty()) {
    if (impossible++ == 0) impossible_why = outcome.impossible;
    return;
  }
  const RunResult& result = outcome.result;
  ++seeds;
  failed += result.failed() ? 1 : 0;
  for (const CounterName& counter : counter_names())
    counters.*counter.field += result.counters.*counter.field;
  faults_fired += result.faults_fired;
  faults_armed += result.faults_armed;
  faults_expected += result.faults_expected;
  for (u32 i = 0; i < mark_count; ++i) marks[i].add(result.marks[i], result.marks_first[i]);
  for (u32 i = 0; i < variation_count; ++i) {
    variations_fired[i] += result.variations_fired[i];
    variations_armed[i] += result.variations_armed[i];
  }
  ops.push_back(result.counters.ops);
  if (result.counters.commits > 0) {
    ++committing;
    second_checkpoint += result.counters.checkpoints >= 2 ? 1 : 0;
    merged_level1 += result.counters.merges_level1 > 0 ? 1 : 0;
  }
  cpu_micros += outcome.cpu_micros;
}

void Totals::add_branch(const Outcome& outcome) {
  ASSERT(outcome.job.branch);
  ++branches.played;
  branches.failed += outcome.result.failed() ? 1 : 0;
  const u64 played = outcome.result.counters.ops;
  branches.lines += played - std::min(played, outcome.job.branch->from);
  branches.cpu_micros += outcome.cpu_micros;
  for (u32 i = 0; i < mark_count; ++i) branches.marks[i] += outcome.result.marks[i] > 0 ? 1 : 0;
}

u64 Totals::branches_new_marks() const {
  u64 fresh = 0;
  for (u32 i = 0; i < mark_count; ++i) fresh += branches.marks[i] > 0 && marks[i].hits() == 0 ? 1 : 0;
  return fresh;
}

u64 Totals::marks_hit() const {
  return static_cast<u64>(
      std::count_if(marks.begin(), marks.end(), [](const MarkTotal& mark) { return mark.hits() > 0; }));
}

u64 Totals::ops_median() const {
  if (ops.empty()) return 0;
  std::vector<u64> sorted = ops;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2),
                   sorted.end());
  return sorted[sorted.size() / 2];
}

std::vector<std::string> Totals::silent_faults() const {
  std::vector<std::string> silent;
  if (seeds < silent_fault_seeds) return silent;
  for (const auto& [kind, zone] : sim::silent_faults(faults_fired, faults_expected)) {
    silent.push_back(fmt::format("{} in the {}", fault_kind_name(kind), zone_word(zone)));
  }
  return silent;
}

std::vector<std::string> Totals::silent_variations() const {
  std::vector<std::string> silent;
  if (seeds < silent_variation_seeds) return silent;
  for (u32 i = 0; i < variation_count; ++i) {
    if (variations_armed[i] >= silent_variation_armed && variations_fired[i] == 0)
      silent.emplace_back(variation_name(static_cast<Variation>(i)));
  }
  return silent;
}

std::string Totals::text() const {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<22} {}\n", name, value);
  };
  const auto number = [&](const char* name, u64 value) { line(name, fmt::format("{}", value)); };
  number("seeds", seeds);
  if (impossible > 0)
    line("not played",
         fmt::format("{}: the overrides do not fit, for instance {}", impossible, impossible_why));
  number("passed", seeds - failed);
  number("failed", failed);
  for (const auto& [signature, total] : signatures) {
    line("", fmt::format("{:08x} {} x {}, first seed {:#x}: {}", signature, total.count,
                         failure_class_name(total.failure.failure_class), total.first.seed,
                         total.failure.message));
  }
  line("operations", fmt::format("{}, median of a seed {}", counters.ops, ops_median()));
  line("skipped", percent(counters.skips, counters.ops));
  if (committing > 0) {
    line("past 2nd checkpoint", percent(second_checkpoint, committing) + " of the seeds that commit");
    line("merge into level 1+", percent(merged_level1, committing) + " of the seeds that commit");
  }
  line("crashes", fmt::format("{}, {} of them in a recovery, {} lines that never struck", counters.crashes,
                              counters.crashes_in_recovery, counters.crashes_unfired));
  line("checks", fmt::format("{}, full audits {}, shadow audits {}, images decoded {} (without a shadow {})",
                             counters.checks, counters.audits_full, counters.audits_shadow,
                             counters.structure_checks, counters.shadows_skipped));
  line("twins",
       fmt::format("{}, of which {} compared nothing; checkpoints {}, blocks {}, answers {}; poison {}",
                   counters.twins, counters.twins_idle, counters.twin_checkpoints, counters.twin_blocks,
                   counters.twin_answers, counters.poison_twins));
  number("unanswered", counters.unanswered);
  if (counters.visits_unwatched > 0) number("visits unwatched", counters.visits_unwatched);
  if (counters.running_skipped > 0) number("last ops unverified", counters.running_skipped);
  if (counters.ended_full > 0) number("ended full", counters.ended_full);
  if (counters.disk_full > 0) {
    line("full disks", fmt::format("{}, of which {} on a disk too small to say whether there was room",
                                   counters.disk_full, counters.full_unjudged));
  }
  if (counters.undecided > 0) number("undecided", counters.undecided);
  const std::string faults = fault_table(faults_fired, faults_armed);
  if (!faults.empty()) text += "faults\n" + faults;
  for (u32 i = 0; i < variation_count; ++i) {
    line(i == 0 ? "variations" : "",
         fmt::format("{}: {} fired, of {} that could have", variation_name(static_cast<Variation>(i)),
                     variations_fired[i], variations_armed[i]));
  }
  line("marks", fmt::format("{} of {} hit", marks_hit(), mark_count));
  if (seeds > 0 && marks_hit() < mark_count) {
    std::vector<std::string> never;
    for (u32 i = 0; i < mark_count; ++i) {
      if (marks[i].hits() == 0) never.emplace_back(mark_name(static_cast<Mark>(i)));
    }
    line("  never hit", fmt::format("{}", fmt::join(never, " ")));
  }
  if (branches.played > 0) {
    line("branches", fmt::format("{}, {} failed; marks that no seed has hit: {}; CPU {}.{:02} s",
                                 branches.played, branches.failed, branches_new_marks(),
                                 branches.cpu_micros / 1'000'000, branches.cpu_micros / 10'000 % 100));
  }
  line("CPU", fmt::format("{}.{:02} s, {} operations per CPU second", cpu_micros / 1'000'000,
                          cpu_micros / 10'000 % 100, per_second(counters.ops, cpu_micros)));
  return text;
}

std::string Totals::mark_words(Mark mark) const {
  const MarkTotal& total = marks[static_cast<u32>(mark)];
  const std::string soon = total.seeds() == 0 ? "-" : fmt::format("line {}", total.first_median());
  return fmt::format("{:<34} {:>10} {:>8} {:>11}", mark_name(mark), total.hits(),
                     percent(total.seeds(), seeds), soon);
}

JsonFields Totals::json() const {
  JsonFields sums, fired, armed, fired_superblock, armed_superblock, varied, variable, hits, hit_seeds,
      hit_first;
  std::vector<JsonFields> failures;
  for (const CounterName& counter : counter_names()) sums.push_back({counter.name, counters.*counter.field});
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    fired.push_back({fault_kind_name(kind), faults_fired.of(kind)});
    armed.push_back({fault_kind_name(kind), faults_armed.of(kind)});
    fired_superblock.push_back({fault_kind_name(kind), faults_fired.of(kind, Zone::superblock)});
    armed_superblock.push_back({fault_kind_name(kind), faults_armed.of(kind, Zone::superblock)});
  }
  for (u32 i = 0; i < variation_count; ++i) {
    varied.push_back({variation_name(static_cast<Variation>(i)), variations_fired[i]});
    variable.push_back({variation_name(static_cast<Variation>(i)), variations_armed[i]});
  }
  for (u32 i = 0; i < mark_count; ++i) {
    const char* name = mark_name(static_cast<Mark>(i));
    hits.push_back({name, marks[i].hits()});
    hit_seeds.push_back({name, marks[i].seeds()});
    hit_first.push_back({name, marks[i].first_median()});
  }
  for (const auto& [signature, total] : signatures) {
    failures.push_back({{"signature", fmt::format("{:08x}", signature)},
                        {"class", std::string(failure_class_name(total.failure.failure_class))},
                        {"count", total.count},
                        {"seed", fmt::format("{:#x}", total.first.seed)},
                        {"message", total.failure.message},
                        {"reproduce", total.reproduce},
                        {"scenario", total.file}});
  }
  return {{"seeds", seeds},
          {"passed", seeds - failed},
          {"failed", failed},
          {"impossible", impossible},
          {"failures", std::move(failures)},
          {"ops_median", ops_median()},
          {"committing", committing},
          {"past_second_checkpoint", second_checkpoint},
          {"merge_level1", merged_level1},
          {"counters", std::move(sums)},
          {"faults_fired", std::move(fired)},
          {"faults_armed", std::move(armed)},
          {"faults_fired_superblock", std::move(fired_superblock)},
          {"faults_armed_superblock", std::move(armed_superblock)},
          {"variations_fired", std::move(varied)},
          {"variations_armed", std::move(variable)},
          {"marks", std::move(hits)},
          {"marks_seeds", std::move(hit_seeds)},
          {"marks_first_median", std::move(hit_first)},
          {"branches", branches.played},
          {"branches_failed", branches.failed},
          {"branches_new_marks", branches_new_marks()},
          {"branches_cpu_micros", branches.cpu_micros},
          {"cpu_micros", cpu_micros},
          {"ops_per_cpu_second", per_second(counters.ops, cpu_micros)}};
}

}  // namespace tonearm::sim
