// A run together with what else must give the same: a second run, and twins.
#pragma once

#include "sim/run/runner.h"

namespace tonearm::sim {

// What the asserts and signals of this process are about; see crash_guard.h.
RunResult play_checked(const RunConfig& config, bool check_determinism, u32 twins, RunnerMemory& memory);

}  // namespace tonearm::sim
