// The manifest log as it lies on the disk, read and forged without a line of the engine.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "sim/decode/disk_format.h"
#include "sim/decode/image_decoder.h"
#include "sim/disk/image.h"

namespace tonearm::sim {

struct ManifestEntry {
  std::array<std::byte, disk_format::entry_size> bytes;

  u64 address() const { return disk_format::load<u64>(bytes, disk_format::entry_address); }
  u8 event() const { return static_cast<u8>(disk_format::load<u8>(bytes, disk_format::entry_label) >> 6); }
  friend bool operator==(const ManifestEntry&, const ManifestEntry&) = default;
};

// What the superblock keeps of the log.
struct ManifestEnds {
  BlockRef oldest, newest;
  u32 count = 0;
};

struct ManifestChain {
  struct Block {
    BlockRef ref;
    std::vector<std::byte> bytes;  // All of the block's place.
    std::vector<ManifestEntry> entries;
  };
  std::vector<Block> blocks;  // Oldest first.
  std::string fault;          // Empty: all of it could be read and fits together.
};

struct ManifestPlace {
  u64 grid_offset = 0;
  u32 block_size = 0;
  u64 blocks_count = 0;
};
ManifestChain read_manifest_chain(const Image& image, const ManifestPlace& place, const ManifestEnds& ends);

// Both must lead to the same tables, by address: the latest record of each live one.
using LiveTables = std::map<u64, ManifestEntry>;
LiveTables replay_forward(const ManifestChain& chain);
LiveTables replay_backward(const ManifestChain& chain);

// Completes a block that was changed by hand: both checksums. Returns the header's.
u128 seal_manifest_block(std::vector<std::byte>& block);

}  // namespace tonearm::sim
