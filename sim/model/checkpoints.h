// When a checkpoint is due and what it keeps, counted in ops, as the format has it: the ops are divided into
// intervals, and each is kept as a whole, one bar behind its last op.
#pragma once

#include "base/options.h"
#include "base/types.h"

namespace tonearm::sim {

struct Checkpoints {
  u64 interval;  // Ops.
  u64 beats;     // Of a bar.

  static Checkpoints of(const FormatOptions& format) {
    return {.interval = format.checkpoint_interval, .beats = format.beats};
  }
  // The last op that one taken after op `trigger` keeps. 0: none.
  u64 kept(u64 trigger) const { return trigger < beats ? 0 : trigger - beats; }
  // Whether one is due after `op`, where that of op `last` was the one before (0: of the format).
  bool due(u64 op, u64 last) const {
    const u64 ops = kept(op) + 1;  // Op 0 is the format's.
    return kept(op) > last && ops / interval * interval == ops;
  }
};

}  // namespace tonearm::sim
