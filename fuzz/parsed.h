// Scenarios of the texts that were parsed last.
//
// A mutant is parsed when it is made, when it is mutated or crossed once more, and when it is played: that is
// most of what an execution costs besides the run.
#pragma once

#include <string_view>

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

// Null: the text is none. It stays until as many other texts were parsed as are remembered.
const Scenario* parsed(std::string_view text);
inline constexpr int parsed_texts = 4;

}  // namespace tonearm::sim
