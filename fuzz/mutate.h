// Mutation of scenarios line by line, so that an input stays a program and one mutation stays local.
//
// Bytes that are flipped in a text make nonsense, and bytes that are used as a stream of random numbers make
// another run of whatever follows them. Here a line is inserted (from the generator of the workload),
// dropped, repeated, moved, or one number of it is changed; ids stay what they are, and with them everything
// that is keyed by them: latencies, faults, what a crash leaves.
#pragma once

#include <string>
#include <string_view>

#include "fuzz/target.h"
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

// A scenario of the generator that is small enough to be played a thousand times a second.
Scenario generated_input(const Target& target, u64 random);

// Another scenario that is at most so long. Of an input that is none: a generated one. Never empty, unless
// nothing is short enough.
std::string mutate_input(const Target& target, std::string_view input, std::size_t size_max, u64 random);
// A scenario with lines of both.
std::string cross_inputs(const Target& target, std::string_view a, std::string_view b, std::size_t size_max,
                         u64 random);

// With no more settings than those that differ from their defaults.
std::string input_text(const Scenario& scenario);

}  // namespace tonearm::sim
