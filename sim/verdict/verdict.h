// What a run found out.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/mark.h"
#include "base/variation.h"
#include "sim/disk/sim_storage.h"
#include "sim/disk/trace.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

enum class FailureClass : u8 {
  none,
  oracle,       // A wrong answer.
  assert_,      // The engine's, or the simulated disk's about the engine.
  structure,    // The image makes no sense.
  crash_legal,  // Not what may be found after a crash.
  false_alarm,  // An error without damage.
  liveness,
  determinism,
  resource,
  sim,  // The harness itself.
  signal,
  hang,
};
const char* failure_class_name(FailureClass failure);

// Oracles that can be switched off, to see what each is worth. Assertions cannot.
enum class Oracle : u8 {
  model,
  audit,
  shadow,
  legal,
  structure,
  protect,
  liveness,
  directed,
  false_alarm,
  resource,
  verify,
  twin,  // These two judge runs, not states: see checked_run.h.
  poison,
};
inline constexpr u32 oracle_count = 13;
const char* oracle_name(Oracle oracle);
const char* oracle_help(Oracle oracle);

class OracleSet {
 public:
  constexpr bool has(Oracle oracle) const { return (bits_ >> static_cast<u32>(oracle) & 1) != 0; }
  constexpr void set(Oracle oracle, bool on) {
    const u32 bit = 1U << static_cast<u32>(oracle);
    bits_ = on ? bits_ | bit : bits_ & ~bit;
  }
  static constexpr OracleSet all() { return OracleSet{(1U << oracle_count) - 1}; }
  static constexpr OracleSet none() { return OracleSet{0}; }

 private:
  constexpr explicit OracleSet(u32 bits) : bits_(bits) {}
  u32 bits_;
};

struct Failure {
  FailureClass failure_class = FailureClass::none;
  std::string site;     // Where, without numbers that vary: "get kv found" or "src/grid/grid.cpp: x == y".
  std::string message;  // One sentence with the particulars.
  std::string story;    // Several lines: asked, answered, expected, history, place in the tree, events.
  OpId op;
  bool has_op = false;

  // Stable over keys, seeds and line numbers: 32 bits of a hash of class and site.
  u32 signature() const;
};

struct RunCounters {
  u64 ops = 0;      // Lines played.
  u64 commits = 0;  // Ops of the engine.
  u64 skips = 0;    // Lines that did not apply.
  u64 changes = 0;  // Puts and removes, or changes of objects, that applied.
  u64 batch_full = 0;
  u64 prefetch_full = 0;    // Lines whose key was one too many for the op.
  u64 scans_full = 0;       // Scans that were one too many.
  u64 scan_rows = 0;        // Of scans that stay open.
  u64 refused = 0;          // Changes with an id or a timestamp that no object may have.
  u64 pages = 0;            // Queries that went on behind an earlier one.
  u64 query_objects = 0;    // That whole queries have found.
  u64 checks = 0;           // Comparisons with the model.
  u64 unanswered = 0;       // Queries that ended in a true error.
  u64 went_sticky = 0;      // Ops, checkpoints and replays that ended in a true error.
  u64 went_down = 0;        // Openings that did.
  u64 refused_sticky = 0;   // Lines refused by an engine that had an error.
  u64 down = 0;             // Lines not played, because no engine was open.
  u64 heals = 0;            // Lines.
  u64 healed = 0;           // Times that there was damage to heal.
  u64 opens_predicted = 0;  // Openings compared with what the copies as read demand.
  u64 opened_older = 0;     // Of them, those that demanded an older checkpoint than the last verified one.
  u64 ended_older = 0;      // Runs that ended because no other checkpoint was left.
  u64 ended_lost = 0;       // Runs that ended because faults have cost the truth its superblock.
  u64 ended_full = 0;       // Runs that ended because a last level or the disk was full, as the image says.
  u64 disk_full = 0;        // Times that an op or a checkpoint found too few free blocks.
  u64 full_unjudged = 0;    // Those on a disk so small that nobody can say whether there was room.
  u64 undecided = 0;        // Runs that stopped early, because the oracle that could judge is off.
  u64 directed = 0;         // Directed checks (each is several queries).
  u64 audits_full = 0;
  u64 audits_window = 0;
  u64 audits_shadow = 0;
  u64 structure_checks = 0;
  u64 verifications = 0;     // Of an image, by the engine.
  u64 blocks_scrubbed = 0;   // By the live engine.
  u64 scrub_tours = 0;       // Compared with what was reachable.
  u64 scrub_overflows = 0;   // Tours that found more than is listed.
  u64 latent = 0;            // Reachable blocks that were damaged when a tour began.
  u64 latent_found = 0;      // Of them, those that a tour had to find, and has.
  u64 latent_repaired = 0;   // Those that are intact on both sides after it, because they were written again.
  u64 repairs = 0;           // Blocks written again on their first side, from the mirror.
  u64 repairs_mirror = 0;    // And on the mirror.
  u64 sides_compared = 0;    // Blocks of a checkpoint whose two sides were compared.
  u64 latent_cured = 0;      // Those of which a fault, a stale read say, brought the tour the right bytes.
  u64 damages_scrubbed = 0;  // Found by the live engine's scrubber.
  u64 damages_shown = 0;     // To the engine's verification and scrubber; damaged blocks and lies.
  u64 shadows_skipped = 0;   // Checkpoints that no shadow engine looked at.
  u64 running_skipped = 0;   // Runs of which the last ops do not fit on a shadow engine.
  u64 visits_unwatched = 0;  // Of the scrubber and of reads on the mirror: see RepairWatch.
  u64 faults_missed = 0;     // Explicit faults and latencies that never struck.
  u64 checkpoints = 0;
  u64 checkpoints_failed = 0;  // By an injected fault.
  u64 crashes = 0;
  u64 crashes_in_recovery = 0;
  u64 crashes_unfired = 0;
  u64 reopens = 0;
  u64 replayed_ops = 0;
  u64 ticks = 0;
  u64 steps = 0;
  u64 merges_level1 = 0;   // Merges into level 1 or deeper.
  u64 bounds_checked = 0;  // Calls and reads that oracle `resource` looked at.
  u64 allocations = 0;     // While the engine's code ran.
  u64 blocks_read = 0;
  u64 blocks_written = 0;
  u64 twins = 0;             // Played for this run.
  u64 twins_idle = 0;        // Those that compared nothing.
  u64 twin_checkpoints = 0;  // Ids compared.
  u64 twin_blocks = 0;       // Blocks compared byte by byte.
  u64 twin_answers = 0;      // Answers compared.
  u64 poison_twins = 0;
};

struct CheckpointRecord {
  u64 op = 0;
  u128 id = 0;
};

// A fault that struck, and which line was being played: its place in the source.
struct FaultRecord {
  u64 line = 0;
  FiredFault fired;
};

// What a crash line did to the writes that were not durable; the first of them only.
struct CrashRecord {
  OpId line;
  SimStorage::CrashWrites writes;
};

struct RunResult {
  u64 run = 0;  // Which one it was of those played with the same memory; 0: no run of trees.
  Failure failure;
  bool failed() const { return failure.failure_class != FailureClass::none; }
  RunCounters counters;
  Digests digests;
  FaultCounts faults_fired;
  FaultCounts faults_armed;
  FaultCounts faults_expected;
  std::array<u64, mark_count> marks{};
  std::array<u64, mark_count> marks_first{};  // Lines played when it was hit first; 0: never.
  std::array<u64, variation_count> variations_fired{};
  std::array<u64, variation_count> variations_armed{};  // Asked of a site that was on.
  u64 reseed_tick = 0;                                  // Of the last reseed line.
  std::vector<CheckpointRecord> checkpoints;            // If RunConfig::record_checkpoints.
  std::vector<u64> effective;                           // If RunConfig::record_effective: see there.
  std::vector<u64> effective_answers;                   // One for each query in `effective`.
  std::vector<FaultRecord> fired;                       // If RunConfig::record_faults; so are these.
  std::vector<CrashRecord> crashed;

  void hit(Mark mark) {
    const u32 number = static_cast<u32>(mark);
    if (marks[number]++ == 0) marks_first[number] = std::max<u64>(counters.ops, 1);
  }
  u64 faults() const { return faults_fired.total(); }
};

}  // namespace tonearm::sim
