// The cache of whole blocks by address: set-associative, 16 ways a set (base/clock_ways.h).
//
// A hit is decided by the full reference (address and checksum), kept beside the tags so that looking
// does not touch the blocks.
#pragma once

#include <span>

#include "base/arena.h"
#include "base/clock_ways.h"
#include "grid/block.h"

namespace tonearm {

struct BlockReference {
  u64 address = 0;
  Checksum checksum = 0;

  friend bool operator==(const BlockReference&, const BlockReference&) = default;
};

class BlockCache {
 public:
  static constexpr u32 ways = ClockWays::ways;

  struct Options {
    u32 blocks_count;  // A multiple of 16.
    u32 hash_bits;     // 0..64.
    u32 block_size;
  };

  // Behind each block. Were all aligned alike, what is looked at first of each would have to share a few sets
  // of the processor's caches.
  static constexpr u64 gap = 64;

  struct Set {
    ClockWays clock;
    u64 addresses[ways];
    Checksum checksums[ways];
  };

  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<Set> sets;
    std::span<std::byte> blocks;
  };

  BlockCache(Arena& arena, const Options& options);
  BlockCache(const BlockCache&) = delete;

  // A block, or null, and where it is. Valid until the next insert() or remove().
  struct Found {
    const std::byte* block;
    u64 set;
    u32 way;
  };
  // Looks without using.
  Found look(const BlockReference& block) const {
    const CachePlace place = place_of(block.address);
    const Set& set = sets_[place.set];
    const u32 way = find(set, place.tag, block.address);
    if (way == ways || set.checksums[way] != block.checksum) return {.block = nullptr, .set = 0, .way = 0};
    return {.block = block_at(place.set, way), .set = place.set, .way = way};
  }
  void use(const Found& found) {
    ASSERT(found.block != nullptr);
    sets_[found.set].clock.use(found.way);
  }
  const std::byte* get(const BlockReference& block) {
    const Found found = look(block);
    if (found.block != nullptr) use(found);
    return found.block;
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
  CachePlace place_of(u64 address) const { return cache_place(hash_of(address) & hash_mask_, sets_.size()); }

  // The way that holds the address, or `ways`.
  static u32 find(const Set& set, u8 tag, u64 address) {
    return set.clock.find(tag, [&](u32 way) { return set.addresses[way] == address; });
  }

  std::byte* block_at(u64 set, u32 way) const {
    return blocks_.data() + (set * ways + way) * (block_size_ + gap);
  }
  void empty_way(u64 set, u32 way);

  u32 block_size_;
  u64 hash_mask_;
  std::span<Set> sets_;
  std::span<std::byte> blocks_;
};

}  // namespace tonearm
