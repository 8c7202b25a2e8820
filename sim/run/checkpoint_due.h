// Whether the engine says rightly that a checkpoint is due: one that is not taken nobody misses.
#pragma once

#include <fmt/format.h>

#include <string>

#include "forest/forest.h"
#include "sim/model/checkpoints.h"

namespace tonearm::sim {

// After compact(op). Empty, or what is wrong.
inline std::string due_otherwise(const Forest& forest, const FormatOptions& format, u64 op) {
  const bool due = Checkpoints::of(format).due(op, forest.checkpoint_op());
  if (forest.checkpoint_due(op) == due) return {};
  return fmt::format("after op {}, a checkpoint every {} ops: the engine says {}", op,
                     format.checkpoint_interval, due ? "not yet" : "now");
}

}  // namespace tonearm::sim
