// What opening a free set from any bytes must come to, worked out without it.
#pragma once

#include "grid/free_set.h"
#include "sim/component/ewah_page.h"

namespace tonearm::sim {

enum class BlockState : u8 { free, acquired, released, prior };  // prior: released before durability.
using BlockStates = std::vector<BlockState>;                     // Of address i + 1.

const char* block_state_name(BlockState state);
const char* open_result_name(FreeSet::OpenResult result);

// What a checkpoint has written, and which blocks a crash that goes back to it needs.
struct FreeSetPage {
  std::vector<std::byte> acquired;
  std::vector<std::byte> released;
  std::vector<u64> trailers;
  std::vector<bool> live;  // Acquired and not released, or of a trailer.

  bool needs(u64 address) const { return address <= live.size() && live[address - 1]; }
  // `states` only of what can be opened.
  FreeSet::OpenResult open(u64 blocks, u64 prior_max, BlockStates* states) const;
};

// What becomes of the states when the checkpoint is durable.
void make_durable(BlockStates* states);

}  // namespace tonearm::sim
