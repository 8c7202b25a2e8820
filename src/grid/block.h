// The grid block: a 256-byte header and a body, `size` bytes in all, at most the block size.
//
//   off  size  field
//     0  16+16 checksum, zero          over header bytes [32, 256)
//    32  16+16 checksum_body, zero     over bytes [256, size)
//    64  16    nonce                   zero, reserved
//    80  16    cluster                 identity of the data file; must match the superblock's
//    96   4    size                    256 < size <= block_size, or 256 for an empty body
//   100   4,4  epoch, view             zero
//   108   4    release                 of the format; 1..release_current
//   112 2,1,1  protocol, command, replica   command is `block`: a block read from a foreign zone fails
//   116  12    zero
//   128  96    metadata                per block type, see table/schema.h, grid/checkpoint_trailer.h, ...
//   224   8    address                 >= 1
//   232   8    snapshot                tables: snapshot_min; others 0
//   240 1+15   block_type, zero
//
// After the body, bytes up to the next sector boundary are zero, and verified to be zero when read;
// the sectors behind that are neither written nor looked at. The checksum that authenticates a
// block is held by whoever refers to it: an intact block with another checksum is the wrong block.
#pragma once

#include <cstring>
#include <span>
#include <type_traits>

#include "base/checksum.h"
#include "base/types.h"

namespace tonearm {

enum class BlockType : u8 { none = 0, free_set = 1, manifest = 3, index = 4, value = 5 };

inline constexpr u32 release_current = 1;
inline constexpr u8 command_block = 17;

struct BlockHeader {
  Checksum checksum;
  u128 checksum_padding;
  Checksum checksum_body;
  u128 checksum_body_padding;
  u128 nonce;
  u128 cluster;
  u32 size;
  u32 epoch;
  u32 view;
  u32 release;
  u16 protocol;
  u8 command;
  u8 replica;
  u8 reserved[12];
  std::byte metadata[96];
  u64 address;
  u64 snapshot;
  BlockType block_type;
  u8 reserved2[15];
};
inline constexpr u32 block_header_size = 256;
static_assert(sizeof(BlockHeader) == block_header_size);
static_assert(std::is_trivially_copyable_v<BlockHeader>);
static_assert(std::has_unique_object_representations_v<BlockHeader>);

// Views over block memory (aligned to 64 at least; src/ is built without strict aliasing).
inline BlockHeader& header_of(std::byte* block) { return *reinterpret_cast<BlockHeader*>(block); }
inline const BlockHeader& header_of(const std::byte* block) {
  return *reinterpret_cast<const BlockHeader*>(block);
}
inline std::byte* body_of(std::byte* block) { return block + block_header_size; }
inline const std::byte* body_of(const std::byte* block) { return block + block_header_size; }

// Brings what is looked at first in a block into the processor's caches: of the header the lines that say
// what it is, and the first of the body.
inline void block_fetch(const std::byte* block) {
  for (u32 at = 64; at <= block_header_size; at += 64) __builtin_prefetch(block + at);
}

template <class Metadata>
const Metadata& metadata_of(const std::byte* block) {
  static_assert(sizeof(Metadata) == 96 && std::has_unique_object_representations_v<Metadata>);
  return *reinterpret_cast<const Metadata*>(header_of(block).metadata);
}
template <class Metadata>
Metadata& metadata_of(std::byte* block) {
  static_assert(sizeof(Metadata) == 96 && std::has_unique_object_representations_v<Metadata>);
  return *reinterpret_cast<Metadata*>(header_of(block).metadata);
}

struct BlockSeal {
  BlockType type;
  u64 address;
  u64 snapshot;
  u32 size;  // Header and body.
  u128 cluster;
};

// Starts a header: zeroes all 256 bytes, metadata included.
void block_init(std::byte* block);

// Completes the header (metadata already written), zeroes from `size` to the next multiple of
// `sector_size`, and computes both checksums. Returns the checksum by which to refer to the block.
[[nodiscard]] Checksum block_seal(std::byte* block, const BlockSeal& seal, u32 sector_size);

enum class [[nodiscard]] BlockResult : u8 {
  valid,
  invalid_checksum,       // Of the header.
  unexpected_command,     // Not a grid block, or none of a release that is known.
  invalid_checksum_body,
  unexpected_checksum,    // An intact block, but not the one referred to.
  invalid_padding,        // Bytes that should be zero are not.
  read_failed,            // The storage went on failing.
};
const char* block_result_name(BlockResult result);

// Authenticates untrusted bytes: nothing of `block` may be believed before this says `valid`.
// Checks in the order of the codes. `block` has `block_size` readable bytes.
BlockResult block_verify(const std::byte* block, u32 block_size, u32 sector_size, Checksum expected);

}  // namespace tonearm
