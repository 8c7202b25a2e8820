// A run in which faults came by chance, as a scenario in which lines ask for them.
//
// Each fault that struck becomes a line in front of the one during which it did, what a crash line did to
// the writes in flight is spelled out, and all chances are zero. It plays to the same answers, and fails in
// the same way; and now each fault can be left out or made simpler by itself.
#pragma once

#include "sim/scenario/scenario.h"
#include "sim/verdict/verdict.h"

namespace tonearm::sim {

// `played`: with RunConfig::record_faults.
Scenario freeze(const Scenario& scenario, const RunResult& played);

}  // namespace tonearm::sim
