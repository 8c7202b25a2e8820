#include "grid/block.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/math.h"

namespace tonearm {

namespace {

// The checksum cannot cover itself; its padding is compared with zero instead.
constexpr u32 header_covered_from = 32;
static_assert(offsetof(BlockHeader, checksum_body) == header_covered_from);
static_assert(offsetof(BlockHeader, cluster) == 80);
static_assert(offsetof(BlockHeader, size) == 96);
static_assert(offsetof(BlockHeader, protocol) == 112);
static_assert(offsetof(BlockHeader, metadata) == 128);
static_assert(offsetof(BlockHeader, address) == 224);
static_assert(offsetof(BlockHeader, block_type) == 240);

Checksum header_checksum(const std::byte* block) {
  return checksum_of({block + header_covered_from, block_header_size - header_covered_from});
}

Checksum body_checksum(const std::byte* block, u32 size) {
  return checksum_of({body_of(block), size - block_header_size});
}

}  // namespace

void block_init(std::byte* block) { std::memset(block, 0, block_header_size); }

Checksum block_seal(std::byte* block, const BlockSeal& seal, u32 sector_size) {
  ASSERT(seal.type != BlockType::none);
  ASSERT(seal.address >= 1);
  ASSERT(seal.size >= block_header_size);
  ASSERT(is_power_of_two(sector_size));

  std::memset(block + seal.size, 0, round_up(seal.size, sector_size) - seal.size);
  BlockHeader& header = header_of(block);
  header.checksum_padding = 0;
  header.checksum_body = body_checksum(block, seal.size);
  header.checksum_body_padding = 0;
  header.cluster = seal.cluster;
  header.size = seal.size;
  header.release = release_current;
  header.command = command_block;
  header.address = seal.address;
  header.snapshot = seal.snapshot;
  header.block_type = seal.type;
  header.checksum = header_checksum(block);
  return header.checksum;
}

const char* block_result_name(BlockResult result) {
  switch (result) {
    case BlockResult::valid: return "valid";
    case BlockResult::invalid_checksum: return "invalid_checksum";
    case BlockResult::unexpected_command: return "unexpected_command";
    case BlockResult::invalid_checksum_body: return "invalid_checksum_body";
    case BlockResult::unexpected_checksum: return "unexpected_checksum";
    case BlockResult::invalid_padding: return "invalid_padding";
    case BlockResult::read_failed: return "read_failed";
  }
  UNREACHABLE();
}

BlockResult block_verify(const std::byte* block, u32 block_size, u32 sector_size, Checksum expected) {
  ASSERT(block_size >= block_header_size);
  ASSERT(block_size % sector_size == 0);

  const BlockHeader& header = header_of(block);
  if (header.checksum != header_checksum(block)) return BlockResult::invalid_checksum;
  if (header.checksum_padding != 0) return BlockResult::invalid_checksum;
  if (header.command != command_block) return BlockResult::unexpected_command;
  // What a later release means by the rest is not known.
  if (header.release < 1 || header.release > release_current) return BlockResult::unexpected_command;
  // A valid header of another geometry: its body cannot be looked at.
  if (header.size < block_header_size) return BlockResult::invalid_checksum_body;
  if (header.size > block_size) return BlockResult::invalid_checksum_body;
  if (header.checksum_body_padding != 0) return BlockResult::invalid_checksum_body;
  if (header.checksum_body != body_checksum(block, header.size)) return BlockResult::invalid_checksum_body;
  if (header.checksum != expected) return BlockResult::unexpected_checksum;
  const u64 written = round_up(header.size, sector_size);
  ASSERT(written <= block_size);
  if (!all_zero(block + header.size, written - header.size)) return BlockResult::invalid_padding;
  return BlockResult::valid;
}

}  // namespace tonearm
