// Blocks for the workload `grid`, made without the engine: of any size, any bytes, and a right checksum.
#pragma once

#include <span>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

inline constexpr u128 grid_block_cluster = u128{0xb7e2094f5d3ac681} << 64 | 0x9a65f81c27d04e3b;

struct GridBlock {
  enum class State : u8 { writing, written, failed, released };

  u64 version = 0;
  u32 size = 0;
  u128 checksum = 0;
  State state = State::writing;
};

// What an address holds in this version. `into` has the size of a block; all of it is written.
GridBlock make_grid_block(const Stream& content, u64 address, u64 version, std::span<std::byte> into);

}  // namespace tonearm::sim
