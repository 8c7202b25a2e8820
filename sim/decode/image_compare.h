// Two disks that must hold the same: every block that a checkpoint reaches, byte by byte.
//
// What lies behind a block's written length may differ, and so may the copies of the superblock, whose
// sequence counts checkpoints and repairs.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

struct BlockComparison {
  u64 count = 0;           // Blocks compared.
  std::string difference;  // The first one; empty: none.
};
BlockComparison compare_blocks(const Image& a, const Image& b, const ForestShape& shape);

// One disk of which the grid lies there twice: the second side `distance` bytes behind the first. To be asked
// of one image after another of the same store.
class SidesComparison {
 public:
  // The first block of the checkpoint that is another one on the second side; null: none is. Where a crash
  // has struck one side while it was written again, the other counts: those are in `but`.
  const DecodedBlock* first_unlike(const Image& image, const DecodedImage& decoded, u64 distance,
                                   const std::set<u64>& but);
  u64 compared() const { return compared_; }  // Blocks so far.

 private:
  std::vector<std::pair<u64, u64>> equal_;  // By address: stamps of pages that were.
  std::vector<std::byte> first_, second_;
  u64 compared_ = 0;
};

}  // namespace tonearm::sim
