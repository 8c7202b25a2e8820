// A sweep: one run, crashed before every step of its event loop, with every distinguishable outcome of the
// writes that were not durable, and each recovery judged. sweeper.h does it while the run is played.
//
// This is what it is told and what it finds out, in plain bytes: the run is played in a process that an
// assertion may end, and whoever started it looks here for where it was.
#pragma once

#include <array>

#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

inline constexpr u32 sweep_depth_max = 2;
inline constexpr u32 sweep_armed_max = 8;
inline constexpr u32 sweep_writes_max = 16;  // As many as a crash line can name.

// What faults may damage: one side of the grid, and then the other has it all.
enum class SweptDamage : u8 { none, first, mirror };

struct SweepOptions {
  u32 depth = 1;                        // 2: crashes in the recoveries, too.
  u64 outcomes_max = 1'000'000;         // Of one step; beyond it they are sampled.
  bool every_step = false;              // Judge the steps, too, that need it not: to show that.
  u64 second_outcomes_max = 1'000'000;  // In the recoveries of one step; what is beyond it is left out.
  SweptDamage damage = SweptDamage::none;
};

struct SweepCounters {
  u64 steps = 0;         // Of the run's event loop: a crash before each.
  u64 states = 0;        // Steps at which the recovery may see what it has not seen at an earlier one.
  u64 outcomes = 0;      // Recoveries of them: what they read differs, pairwise for each state.
  u64 sampled = 0;       // States that had more than are judged one by one.
  u64 judged = 0;        // Recoveries that led to something new, which was compared as a whole and replayed.
  u64 mirror_alone = 0;  // Recoveries more, in which nothing of the first side of the grid can be read.
  u64 sides_compared = 0;  // Blocks that lie on both sides.
  u64 replayed_ops = 0;
  u64 next_found = 0;     // Outcomes that opened the checkpoint that was being written.
  u64 never_opened = 0;   // Crashes in format after which there was no file, and format worked again.
  u64 garbage = 0;        // Outcomes with a unit that is neither old nor new,
  u64 unreadable = 0;     // or with a sector that cannot be read.
  u64 undecided_max = 0;  // Writes of one state that were not durable.
  u64 checks = 0;         // Comparisons with the model.
};

// A crash, as a crash line says it.
struct SweepPoint {
  u64 index = 0;        // The crash line goes before the line with this index,
  u64 at = 0;           // and strikes before that step.
  bool at_end = false;  // Counted from the end of the run.
  u32 count = 0;
  bool exact = true;  // All that the recovery has read can be said in `writes`.
  // Crash lines before it that have not struck: they would come first.
  u32 armed_count = 0;
  std::array<OpId, sweep_armed_max> armed{};
  std::array<CrashWrite, sweep_writes_max> writes{};
};

struct Sweep {
  bool complete() const { return !stop && second_cut == 0 && counters[0].sampled + counters[1].sampled == 0; }

  SweepOptions options;
  std::array<SweepCounters, sweep_depth_max> counters{};  // The second ones are of crashes in recoveries.
  u64 second_cut = 0;  // States in recoveries that were left out: see second_outcomes_max.
  // Told from outside, at any time: the run ends behind the recovery at hand. What was swept until then
  // stands.
  volatile bool stop = false;
  // Where it is: so many crashes, one in the recovery of the other.
  u32 depth = 0;
  std::array<SweepPoint, sweep_depth_max> points{};
};

}  // namespace tonearm::sim
