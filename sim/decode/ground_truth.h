// What is true about a disk with faults: which errors may be, and what opening must come to.
//
// Everything is decoded from the truth, the image that the disk would have if no write had lied and nothing
// had rotted. Where the medium differs from it the disk itself says; here is what that means.
//
// Opening: the superblock copies as they were given to the engine decide which checkpoint is opened, or with
// which error opening ends. It reads trailers and manifest log, so a damaged one of those ends it; a damaged
// block of a table must not.
#pragma once

#include <optional>

#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

struct OpenPrediction {
  CopiesVerdict copies;
  Image image;           // The truth, with the chosen header as its root.
  DecodedImage reached;  // Nothing unless copies.outcome is ok.

  // Whether opening reads the block.
  static bool read_by_open(BlockUse use) { return use != BlockUse::index && use != BlockUse::value; }
};

OpenPrediction predict_open(const Image& truth, const CopiesAsRead& delivered, const DecodeOptions& options);

// The checkpoint that the copies on a disk demand, if they do.
std::optional<u64> demanded_op(const Image& image);

// The block that lies there, if one does.
struct BlockTruth {
  bool intact = false;
  u128 checksum = 0;
  u64 written = 0;  // Bytes of it that matter: whole sectors. Of no block: all.
};
BlockTruth block_truth(const Image& truth, u64 offset, u32 block_size);

}  // namespace tonearm::sim
