// Which faults a seed draws.
#pragma once

#include "sim/scenario/run_options.h"

namespace tonearm::sim {

// Percent of the seeds of trees and grooves that draw faults of their own accord. What is found without
// faults is found sooner without: they end engines.
inline constexpr u32 fault_seeds_percent = 25;

// As part of the swarm's draw: for that share of the seeds.
void maybe_draw_faults(u64 seed, RunOptions* options);

// After `profile.faults` was set: full for every seed, or none.
void apply_fault_profile(u64 seed, RunOptions* options);

}  // namespace tonearm::sim
