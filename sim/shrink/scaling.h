// A scenario over fewer keys, in tables that are smaller by as much.
//
// Much of what an engine does begins when something is full. Where that takes many lines none of them can go
// by itself, and smaller tables alone are full too early: they must shrink together.
#pragma once

#include <optional>
#include <vector>

#include "sim/scenario/scenario.h"

namespace tonearm::sim {

enum class Thinning : u8 {
  commits,  // Ops become one, with tables that hold as much more.
  keys,     // All lines of a key stay or go: what comes again still does.
  changes,  // Of the changes of an op in each tree.
};
enum class FormatScale : u8 {
  same,    // Only the lines become fewer.
  tables,  // As many blocks of fewer values.
  blocks,  // As full blocks, but fewer of them.
};

// One of `divisor` stays: those whose rank has this remainder.
struct Scaling {
  u32 divisor = 2;
  u32 remainder = 0;
  Thinning thinning = Thinning::keys;
  FormatScale format = FormatScale::same;
  bool bars = false;  // Fewer ops in a bar, too, and fewer commits.
};

// The strongest first.
std::vector<Scaling> scalings();
// Nothing: there would be as many lines.
std::optional<Scenario> scaled(const Scenario& scenario, const Scaling& scaling);

// The finest step: tables and blocks of one value less, and one line less, or in each op as many changes of a
// tree as it still takes. How many there are to try; nothing: there is no such one.
u64 steps_count(const Scenario& scenario);
std::optional<Scenario> step_down(const Scenario& scenario, u64 which);

}  // namespace tonearm::sim
