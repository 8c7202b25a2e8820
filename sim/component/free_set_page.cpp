#include "sim/component/free_set_page.h"

#include "base/assert.h"

namespace tonearm::sim {

using OpenResult = FreeSet::OpenResult;

const char* block_state_name(BlockState state) {
  switch (state) {
    case BlockState::free: return "free";
    case BlockState::acquired: return "acquired";
    case BlockState::released: return "released";
    case BlockState::prior: return "released before durability";
  }
  UNREACHABLE();
}

const char* open_result_name(OpenResult result) {
  switch (result) {
    case OpenResult::opened: return "opened";
    case OpenResult::malformed: return "malformed";
    case OpenResult::beyond_limit: return "beyond_limit";
    case OpenResult::contradiction: return "contradiction";
  }
  UNREACHABLE();
}

OpenResult FreeSetPage::open(u64 blocks, u64 prior_max, BlockStates* states) const {
  const EwahPage a = read_ewah(acquired, blocks);
  const EwahPage r = read_ewah(released, blocks);
  if (a.malformed || r.malformed) return OpenResult::malformed;
  bool beyond = a.beyond || r.beyond;
  for (const u64 address : trailers) beyond |= address > blocks;
  if (beyond) return OpenResult::beyond_limit;
  states->assign(blocks, BlockState::free);
  for (u64 i = 0; i < blocks; ++i) {
    if (r.bits[i] && !a.bits[i]) return OpenResult::contradiction;
    if (a.bits[i]) (*states)[i] = r.bits[i] ? BlockState::released : BlockState::acquired;
  }
  u64 previous = 0;
  for (const u64 address : trailers) {
    if (address <= previous || (*states)[address - 1] != BlockState::free) return OpenResult::contradiction;
    (*states)[address - 1] = BlockState::prior;
    previous = address;
  }
  return trailers.size() > prior_max ? OpenResult::contradiction : OpenResult::opened;
}

void make_durable(BlockStates* states) {
  for (BlockState& state : *states) {
    if (state == BlockState::released) {
      state = BlockState::free;
    } else if (state == BlockState::prior) {
      state = BlockState::released;
    }
  }
}

}  // namespace tonearm::sim
