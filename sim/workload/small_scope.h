// Small scope: every program of up to so many lines over a tiny alphabet.
//
// A program is played after a starting scenario, whose state is one that random lines seldom meet exactly (a
// level that is full before a half-bar, a checkpoint that is due). The alphabet names keys that the starting
// scenarios hold and ones that lie between them.
//
// What is left out means the same as a shorter program, whatever the engine does, because a line of it never
// reaches the engine: the runner skips it.
//   `scope` in a scope, `end` without one            skipped
//   `scope` as the last line                         its scope is discarded at once, and holds nothing
//   `scope` followed by the `end` that closes it     the same
// No two programs are taken for equal because an engine should treat them alike (changes of different keys in
// one op, for instance): whether it does is what is tested.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/scenario/operation.h"

namespace tonearm::sim {

// Of `tree` or `groove`; empty for other workloads. Without ids.
std::vector<Operation> small_scope_alphabet(std::string_view workload);

// Letters are places in the alphabet.
using SmallProgram = std::vector<u32>;

// All programs of up to `lines` lines, the empty one first, without those described above. `in_scope`: the
// starting scenario leaves a scope open.
std::vector<SmallProgram> small_programs(std::span<const Operation> alphabet, u32 lines, bool in_scope);

// Whether the lines leave a scope open.
bool leaves_scope(std::span<const Operation> lines);

}  // namespace tonearm::sim
