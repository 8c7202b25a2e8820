// What could be said more simply in one line, or in all of them at once.
#pragma once

#include <vector>

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

// Simpler forms of a line, the simplest first; each differs from it.
std::vector<Operation> simpler_lines(const Operation& line);

// The same lines over small numbers: the keys of each tree, and the ids, timestamps and values, become 1,
// 2, 3, ... in the order that they have. One form a kind of number, and one with all of them.
std::vector<std::vector<Operation>> small_numbers(const std::vector<Operation>& lines);

}  // namespace tonearm::sim
