// Two disks that must hold the same: every block that a checkpoint reaches, byte by byte.
//
// What lies behind a block's written length may differ, and so may the copies of the superblock, whose
// sequence counts checkpoints and repairs.
#pragma once

#include <string>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

struct BlockComparison {
  u64 count = 0;           // Blocks compared.
  std::string difference;  // The first one; empty: none.
};
BlockComparison compare_blocks(const Image& a, const Image& b, const ForestShape& shape);

}  // namespace tonearm::sim
