// What the forest keeps on the disk, after ops: the same whenever an op is played, also behind a crash and an
// open. Looked at where no compaction runs, so twice a bar.
#pragma once

#include <deque>

#include "forest/forest.h"

namespace tonearm::sim {

class OpStates {
 public:
  // After compact(op). False: when the op was played before, there were other tables or other blocks.
  [[nodiscard]] bool agree(const Forest& forest, u64 op);

  // Ops up to this one do not come again.
  void forget(u64 op);

 private:
  struct State {
    u64 op;
    u64 digest;
  };
  std::deque<State> states_;  // Ascending.
};

}  // namespace tonearm::sim
