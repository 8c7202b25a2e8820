// A run together with what else must give the same: a second run, twins, and the poison twin.
#pragma once

#include <optional>

#include "sim/run/runner.h"

namespace tonearm::sim {

// Which seeds have these played of their own accord: drawn, one in so many.
inline constexpr u32 twins_one_in = 8;
inline constexpr u32 twins_one_in_full = 2;  // On a disk that fills up: the twin has room.
inline constexpr u32 poison_one_in = 16;

struct Checks {
  bool determinism = false;
  std::optional<u32> twins;  // So many, for every seed; nothing: one for the share of the seeds.
};

// How many twins, and whether a poison twin, the run has.
u32 twins_due(const RunConfig& config, const Checks& checks);
bool poison_due(const RunConfig& config);

// What the asserts and signals of this process are about; see crash_guard.h.
RunResult play_checked(const RunConfig& config, const Checks& checks, RunnerMemory& memory);

}  // namespace tonearm::sim
