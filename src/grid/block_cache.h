// The cache of whole blocks: set-associative, 16 ways with 8-bit tags and CLOCK counters 0..3.
//
//   product = hash(address), its top `hash_bits` bits, * sets    (a number of 128 bits)
//   set     = upper half of the product
//   tag     = top 8 bits of the lower half
//
// A way with count 0 is empty, whatever its tag. Tags only narrow the search: a hit is decided by
// the full reference (address and checksum), kept beside the tags so that looking does not touch
// the blocks. A hit raises the count up to 3. An insertion goes round the set from its hand, taking
// one off each count, and settles in the first way whose count is or becomes 0 (Nth chance).
#pragma once

#include <bit>
#include <cstring>
#include <span>

#include "base/arena.h"
#include "grid/block.h"

namespace tonearm {

struct BlockReference {
  u64 address = 0;
  Checksum checksum = 0;

  friend bool operator==(const BlockReference&, const BlockReference&) = default;
};

class BlockCache {
 public:
  static constexpr u32 ways = 16;

  struct Options {
    u32 blocks_count;  // A multiple of 16.
    u32 hash_bits;     // 0..64.
    u32 block_size;
  };

  struct Set {
    alignas(16) u8 tags[ways];
    alignas(16) u8 counts[ways];
    u64 addresses[ways];
    Checksum checksums[ways];
    u8 hand;
  };

  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<Set> sets;
    std::span<std::byte> blocks;
  };

  BlockCache(Arena& arena, const Options& options);
  BlockCache(const BlockCache&) = delete;

  // The block, or null. Valid until the next insert() or remove().
  const std::byte* get(const BlockReference& block) {
    const Place place = place_of(block.address);
    Set& set = sets_[place.set];
    const u32 way = find(set, place.tag, block.address);
    if (way == ways || set.checksums[way] != block.checksum) return nullptr;
    if (set.counts[way] < count_max) ++set.counts[way];
    return block_at(place.set, way);
  }

  // Brings what is looked at first in the block, if it is cached, into the processor's caches: of the header
  // the lines that say what it is, and the first of the body. Changes nothing.
  void prefetch(u64 address) const {
    const Place place = place_of(address);
    const u32 way = find(sets_[place.set], place.tag, address);
    if (way == ways) return;
    const std::byte* block = block_at(place.set, way);
    for (u32 at = 64; at <= block_header_size; at += 64) __builtin_prefetch(block + at);
  }

  // Whether some block of this address is cached; does not count as a use.
  bool contains(u64 address) const;

  // Copies an authenticated block, its header and its body: what stands behind them then is arbitrary.
  // A block of the same address is overwritten in place.
  void insert(const std::byte* block);

  // Makes the block the next candidate for eviction, if it is cached.
  void demote(u64 address);
  // If it is cached.
  void remove(u64 address);

  u32 count() const;  // Blocks cached. O(blocks).

 private:
  struct Place {
    u64 set;
    u8 tag;
  };
  static constexpr u8 count_max = 3;

  Place place_of(u64 address) const {
    const u64 hash = hash_of(address) & hash_mask_;
    const u128 product = u128{hash} * sets_.size();
    return {.set = static_cast<u64>(product >> 64), .tag = static_cast<u8>(static_cast<u64>(product) >> 56)};
  }

  // The way that holds the address, or `ways`.
  static u32 find(const Set& set, u8 tag, u64 address) {
    for (u32 half = 0; half < ways; half += 8) {
      u64 tags;
      std::memcpy(&tags, set.tags + half, 8);
      if constexpr (std::endian::native == std::endian::big) tags = __builtin_bswap64(tags);
      // The top bit of each byte that is zero, that is, of each tag that is equal. (A byte above
      // an equal one may be reported wrongly; the address decides anyway.)
      const u64 difference = tags ^ ones * tag;
      u64 equal = (difference - ones) & ~difference & ones << 7;
      for (; equal != 0; equal &= equal - 1) {
        const u32 way = half + static_cast<u32>(std::countr_zero(equal)) / 8;
        if (set.addresses[way] == address && set.counts[way] > 0) return way;
      }
    }
    return ways;
  }

  std::byte* block_at(u64 set, u32 way) const { return blocks_.data() + (set * ways + way) * block_size_; }
  // The way for a new block; whatever it held is gone.
  u32 vacate(u64 set);
  void empty_way(u64 set, u32 way);

  static constexpr u64 ones = 0x0101010101010101;

  u32 block_size_;
  u64 hash_mask_;
  std::span<Set> sets_;
  std::span<std::byte> blocks_;
};

}  // namespace tonearm
