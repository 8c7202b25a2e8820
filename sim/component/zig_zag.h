// The intersection of what streams of the workload `merge` delivered: their rows once more, as timestamps.
#pragma once

#include <span>
#include <vector>

#include "base/key.h"
#include "sim/component/component.h"

namespace tonearm::sim {

struct MergeRow {
  u64 place = 0;
  u64 number = 0;  // Of the rows of this merge, in the order of the lines.
  u32 delay = 0;   // So many peeks do not see it yet; so many reads do not bring it.
  bool skipped = false;
};

// What a stream delivers.
struct MergeScript {
  std::vector<MergeRow> rows;
  u32 end_delay = 0;
  bool ended = false;
};

// `random`: when the owner of the streams probes them.
void check_zig_zag(Referee& referee, std::span<const MergeScript> scripts, Direction direction, u64 random);

}  // namespace tonearm::sim
