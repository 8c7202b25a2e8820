// One line changed in one place, and lines that the generators do not make.
#pragma once

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

// A key, field or value of another line, its neighbour, a limit; a flag; a count nearby.
void change_line(Scenario* scenario, u64 at, u64 random);

// A latency or fault of a request that one of the lines may cause.
Operation line_about_request(const Scenario& scenario, u64 random);

}  // namespace tonearm::sim
