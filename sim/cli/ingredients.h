// What a failure needs, in the words of a reader: the kinds of lines and faults that its shrunk scenario
// still has, and those that it had and that went.
#pragma once

#include <string>
#include <vector>

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

// Each once, lines first; of settings only whether they can matter at all (`latency`, `variations`).
std::vector<std::string> ingredients_of(const Scenario& scenario);

// `commit, get; does not need scan, crash, latency`.
std::string needs_words(const std::vector<std::string>& before, const std::vector<std::string>& after);

}  // namespace tonearm::sim
