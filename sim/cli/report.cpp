#include "sim/cli/report.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "sim/cli/problems.h"
#include "sim/cli/version.h"

namespace tonearm::sim {

namespace {

constexpr CounterName counters[] = {
    {"ops", "lines played", &RunCounters::ops},
    {"commits", "ops of the engine", &RunCounters::commits},
    {"changes", "puts and removes that applied", &RunCounters::changes},
    {"skips", "lines that did not apply", &RunCounters::skips},
    {"batch_full", "changes refused because the op was full", &RunCounters::batch_full},
    {"prefetch_full", "lines refused because the op had prefetched enough", &RunCounters::prefetch_full},
    {"scans_full", "scans refused because too many were open", &RunCounters::scans_full},
    {"scan_rows", "rows of scans that stay open", &RunCounters::scan_rows},
    {"pages", "queries that went on behind an earlier one", &RunCounters::pages},
    {"query_objects", "objects that queries have found", &RunCounters::query_objects},
    {"refused", "changes refused because no object may have this id or timestamp", &RunCounters::refused},
    {"checks", "comparisons with the model", &RunCounters::checks},
    {"unanswered", "queries that ended in a legal error", &RunCounters::unanswered},
    {"went_sticky", "ops, checkpoints and replays that ended in a true error", &RunCounters::went_sticky},
    {"went_down", "openings that ended in a true error", &RunCounters::went_down},
    {"refused_sticky", "lines refused by an engine that had an error", &RunCounters::refused_sticky},
    {"down", "lines not played, because no engine was open", &RunCounters::down},
    {"heals", "heal lines", &RunCounters::heals},
    {"healed", "times that there was damage to heal", &RunCounters::healed},
    {"opens_predicted", "openings compared with what the superblock copies as read demand",
     &RunCounters::opens_predicted},
    {"opened_older", "of them, those that demanded an older checkpoint", &RunCounters::opened_older},
    {"ended_older", "the run ended early: no other checkpoint was left", &RunCounters::ended_older},
    {"ended_lost", "the run ended early: faults have cost the superblock its quorum, in truth too",
     &RunCounters::ended_lost},
    {"ended_full", "the run ended early: a last level or the disk was full, as the image shows",
     &RunCounters::ended_full},
    {"disk_full", "times that an op or a checkpoint found too few free blocks", &RunCounters::disk_full},
    {"full_unjudged", "those of them on a disk so small that nobody can say whether there was room",
     &RunCounters::full_unjudged},
    {"undecided", "the run stopped early: the oracle that could judge it is off", &RunCounters::undecided},
    {"directed", "looks at keys after interesting events", &RunCounters::directed},
    {"audits_full", "audits of everything", &RunCounters::audits_full},
    {"audits_window", "audits of a window of keys", &RunCounters::audits_window},
    {"audits_shadow", "audits through a second engine on a snapshot", &RunCounters::audits_shadow},
    {"structure_checks", "images decoded and checked", &RunCounters::structure_checks},
    {"verifications", "images verified by the engine", &RunCounters::verifications},
    {"blocks_scrubbed", "blocks read by the scrubber between ops", &RunCounters::blocks_scrubbed},
    {"scrub_tours", "scrub tours compared with what was reachable", &RunCounters::scrub_tours},
    {"scrub_overflows", "scrub tours that found more damage than is listed", &RunCounters::scrub_overflows},
    {"latent", "reachable blocks that were damaged when a scrub tour began", &RunCounters::latent},
    {"latent_found", "of them, those that the tour had to find, and has", &RunCounters::latent_found},
    {"latent_cured", "of them, those of which a fault brought the right bytes", &RunCounters::latent_cured},
    {"latent_repaired", "of them, those that the mirror had and that were written again",
     &RunCounters::latent_repaired},
    {"repairs", "blocks written again on their first side, from the mirror", &RunCounters::repairs},
    {"repairs_mirror", "blocks written again on the mirror", &RunCounters::repairs_mirror},
    {"sides_compared", "blocks of a checkpoint whose two sides were compared", &RunCounters::sides_compared},
    {"damages_scrubbed", "damaged blocks that the scrubber found between ops",
     &RunCounters::damages_scrubbed},
    {"damages_shown", "damaged blocks and lies shown to verification and scrubber",
     &RunCounters::damages_shown},
    {"shadows_skipped", "checkpoints that no shadow engine looked at", &RunCounters::shadows_skipped},
    {"running_skipped", "runs whose last ops found no room on a shadow engine",
     &RunCounters::running_skipped},
    {"visits_unwatched", "visits of damaged sides of which the next step was not known",
     &RunCounters::visits_unwatched},
    {"faults_missed", "explicit faults that never struck", &RunCounters::faults_missed},
    {"checkpoints", "checkpoints that became durable", &RunCounters::checkpoints},
    {"checkpoints_failed", "checkpoints that an injected fault ended", &RunCounters::checkpoints_failed},
    {"crashes", "times the engine was dropped and opened again", &RunCounters::crashes},
    {"crashes_in_recovery", "of them, during a recovery", &RunCounters::crashes_in_recovery},
    {"crashes_unfired", "crash lines that never struck", &RunCounters::crashes_unfired},
    {"reopens", "reopen lines that applied", &RunCounters::reopens},
    {"replayed_ops", "ops applied again after a crash", &RunCounters::replayed_ops},
    {"ticks", "virtual time", &RunCounters::ticks},
    {"steps", "steps of the event loop", &RunCounters::steps},
    {"merges_level1", "merges into level 1 or deeper", &RunCounters::merges_level1},
    {"bounds_checked", "calls of the engine and reads compared with their bounds",
     &RunCounters::bounds_checked},
    {"allocations", "times the engine allocated memory", &RunCounters::allocations},
    {"blocks_read", "blocks read from the disk", &RunCounters::blocks_read},
    {"blocks_written", "blocks written to the disk", &RunCounters::blocks_written},
    {"twins", "twins played", &RunCounters::twins},
    {"twins_idle", "of them, those that could compare nothing", &RunCounters::twins_idle},
    {"twin_checkpoints", "checkpoint ids compared with a twin", &RunCounters::twin_checkpoints},
    {"twin_blocks", "blocks compared with a twin, byte by byte", &RunCounters::twin_blocks},
    {"twin_answers", "answers compared with a twin", &RunCounters::twin_answers},
    {"poison_twins", "poison twins played", &RunCounters::poison_twins},
};

}  // namespace

std::span<const CounterName> counter_names() { return counters; }

std::string failed_op_text(const Failure& failure) {
  if (!failure.has_op) return "-";
  return failure.op.number > op_number_max ? "end" : op_id_text(failure.op);
}

std::string verdict_line(const PreparedRun& prepared, const RunResult& result) {
  const std::string identity = fmt::format("workload={} seed={:#x}", prepared.workload, prepared.seed);
  // Of a run whose process died nothing came back.
  const bool known = result.failure.failure_class != FailureClass::signal &&
                     result.failure.failure_class != FailureClass::hang;
  const std::string digests =
      known ? fmt::format("answers={:016x} digest={:016x}", result.digests.answers, result.digests.digest)
            : std::string("answers=- digest=-");
  const std::string origin =
      fmt::format("{} gen={} git={} build={}", digests, generator_version, git_commit(), build_name());
  if (result.failed()) {
    return fmt::format("FAIL class={} signature={:08x} {} op={} {}",
                       failure_class_name(result.failure.failure_class), result.failure.signature(), identity,
                       failed_op_text(result.failure), origin);
  }
  const RunCounters& c = result.counters;
  return fmt::format("PASS {} ops={} ticks={} faults={} crashes={} checks={} unanswered={} {}", identity,
                     c.ops, c.ticks, result.faults(), c.crashes, c.checks, c.unanswered, origin);
}

std::string failure_text(const PreparedRun& prepared, const RunResult& result,
                         const std::string& scenario_file, const FoundShrunk& shrunk) {
  const Failure& failure = result.failure;
  std::string text = failure.message + "\n";
  text += failure.story;
  if (text.back() != '\n') text += '\n';
  text += shrunk.text;
  text += fmt::format("reproduce: {}\n", prepared.reproduce);
  if (scenario_file.empty()) return text;
  text += fmt::format("replay:    tonearm replay last{}\n", prepared.judged);
  const bool line = failure.has_op && failure.op.number <= op_number_max && failure.op.number != 0;
  const std::string op = shrunk.shrunk ? shrunk.debug_op : line ? op_id_text(failure.op) : "";
  if (!op.empty()) text += fmt::format("debug:     gdb --args tonearm replay last --break-at {}\n", op);
  return text;
}

const char* zone_word(Zone zone) { return zone == Zone::grid ? "grid" : "superblock"; }

std::string fault_table(const FaultCounts& fired, const FaultCounts& armed) {
  std::string text;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    for (const Zone zone : {Zone::grid, Zone::superblock}) {
      if (armed.of(kind, zone) == 0) continue;
      text += fmt::format("{:<20} {:>12}  fired in the {}, of {} that could have\n",
                          std::string("fault ") + fault_kind_name(kind), fired.of(kind, zone),
                          zone_word(zone), armed.of(kind, zone));
    }
  }
  return text;
}

std::string counters_text(const RunResult& result) {
  std::string text;
  for (const CounterName& counter : counters) {
    text += fmt::format("{:<20} {:>12}  {}\n", counter.name, result.counters.*counter.field, counter.help);
  }
  text += fault_table(result.faults_fired, result.faults_armed);
  for (u32 i = 0; i < variation_count; ++i) {
    if (result.variations_armed[i] == 0) continue;
    text += fmt::format("{:<20} {:>12}  fired, of {} that could have\n",
                        std::string("vary ") + variation_name(static_cast<Variation>(i)),
                        result.variations_fired[i], result.variations_armed[i]);
  }
  for (u32 i = 0; i < mark_count; ++i) {
    if (result.marks[i] == 0) continue;
    text += fmt::format("{:<20} {:>12}  {}\n", mark_name(static_cast<Mark>(i)), result.marks[i],
                        mark_text(static_cast<Mark>(i)));
  }
  return text;
}

std::string colored(const OutputArgs& output, std::string line) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool automatic = (no_color == nullptr || *no_color == '\0') && isatty(STDOUT_FILENO) != 0;
  if (output.color == "never" || (output.color == "auto" && !automatic)) return line;
  const bool pass = line.starts_with("PASS");
  if (!pass && !line.starts_with("FAIL")) return line;
  return (pass ? "\x1b[32mPASS\x1b[0m" : "\x1b[31mFAIL\x1b[0m") + line.substr(4);
}

std::string failure_file(const Failure& failure) {
  if (mkdir(failures_directory, 0777) != 0 && errno != EEXIST) {
    throw EnvironmentError(fmt::format("{}: cannot be made: {}", failures_directory, std::strerror(errno)));
  }
  return fmt::format("{}/{:08x}.scenario", failures_directory, failure.signature());
}

std::string save_failure(const PreparedRun& prepared, const Failure& failure) {
  std::optional<Scenario> scenario = scenario_of_failure(prepared, failure);
  if (!scenario) return {};
  const std::string name = failure_file(failure);
  write_failure(name, std::move(*scenario), failure, "from " + prepared.reproduce);
  write_text_file(failures_last, name + "\n");
  return name;
}

void write_failure(const std::string& name, Scenario scenario, const Failure& failure,
                   const std::string& origin) {
  scenario.expect_fail = true;
  scenario.expect_signature = failure.signature();
  scenario.story = fmt::format("{} at op {}: {} ({})", failure_class_name(failure.failure_class),
                               failed_op_text(failure), failure.message, origin);
  write_text_file(name, print_scenario(scenario));
}

std::string last_failure() {
  std::error_code error;
  if (!std::filesystem::exists(failures_last, error)) {
    throw UsageError(
        fmt::format("{}: no such file, expected a failure that was recorded here", failures_last));
  }
  constexpr u64 name_bytes_max = 4096;
  std::string name = read_text_file(failures_last, name_bytes_max);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

}  // namespace tonearm::sim
