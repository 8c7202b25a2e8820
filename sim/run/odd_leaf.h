// One leaf with bounds that no query can say: ends turned around, timestamps that no object may have, or more
// than those; and one leaf more than there are buffers. The engine promises that the first find nothing, that
// the second count as the whole range does, and that the last is refused.
#pragma once

#include <vector>

#include "sim/model/query_model.h"
#include "sim/run/engine_host.h"

namespace tonearm::sim {

struct OddLeafRequest {
  GrooveName groove = GrooveName::things;
  QueryNode leaf;
  Direction direction = Direction::ascending;
  bool cold = false;
  bool pool_full = false;  // First all buffers are taken, and it must be refused.
};

struct OddLeafResult {
  const char* broken = nullptr;  // A promise that does not hold.
  Error error;                   // Set: unanswered; what came before it is here.
  std::vector<u64> timestamps;   // As they came.
};

// A tree of the groove, bounds from what is there, and one of them made odd.
OddLeafRequest draw_odd_leaf(GrooveName groove, const Model& model, u64 random);

}  // namespace tonearm::sim
