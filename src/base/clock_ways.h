// One set of a set-associative cache: 16 ways with 8-bit tags and CLOCK counters 0..3.
//
//   product = the hash's top `hash_bits` bits * sets    (a number of 128 bits)
//   set     = upper half of the product
//   tag     = top 8 bits of the lower half
//
// A way with count 0 is empty, whatever its tag. Tags only narrow the search: the owner, who keeps
// what is cached, decides. A use raises the count up to 3. A newcomer goes round the set from its
// hand, taking one off each count, and settles in the first way whose count is or becomes 0 (Nth
// chance).
#pragma once

#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

struct CachePlace {
  u64 set;
  u8 tag;
};

// Fewer hash bits make equal tags and crowded sets common, for tests. 0 to 64.
constexpr u64 cache_hash_mask(u32 hash_bits) { return hash_bits == 0 ? 0 : u64_max << (64 - hash_bits); }

inline CachePlace cache_place(u64 hash_masked, u64 sets) {
  const u128 product = u128{hash_masked} * sets;
  return {.set = static_cast<u64>(product >> 64), .tag = static_cast<u8>(static_cast<u64>(product) >> 56)};
}

struct ClockWays {
  static constexpr u32 ways = 16;
  static constexpr u8 count_max = 3;

  alignas(16) u8 tags[ways];
  alignas(16) u8 counts[ways];
  u8 hand;

  // The way of this tag for which `matches(way)` holds, or `ways`. Only ways in use are asked.
  template <class Matches>
  u32 find(u8 tag, const Matches& matches) const {
    for (u32 half = 0; half < ways; half += 8) {
      u64 word;
      std::memcpy(&word, tags + half, 8);
      if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
      // The top bit of each byte that is zero, that is, of each tag that is equal. (A byte above
      // an equal one may be reported wrongly; the owner decides anyway.)
      const u64 difference = word ^ ones * tag;
      u64 equal = (difference - ones) & ~difference & ones << 7;
      for (; equal != 0; equal &= equal - 1) {
        const u32 way = half + static_cast<u32>(std::countr_zero(equal)) / 8;
        if (counts[way] > 0 && matches(way)) return way;
      }
    }
    return ways;
  }

  void use(u32 way) {
    ASSERT(counts[way] > 0);
    if (counts[way] < count_max) ++counts[way];
  }

  struct Vacated {
    u32 way;
    bool evicted;  // It was in use; its count is 0 now.
  };
  // A way for a newcomer. Each round takes one off every count: after three at the latest some count
  // is zero.
  Vacated vacate() {
    for (u32 step = 0; step <= ways * count_max; ++step) {
      const u32 way = hand;
      hand = static_cast<u8>((way + 1) % ways);
      if (counts[way] == 0) return {.way = way, .evicted = false};
      if (--counts[way] == 0) return {.way = way, .evicted = true};
    }
    UNREACHABLE();
  }

 private:
  static constexpr u64 ones = 0x0101010101010101;
};

}  // namespace tonearm
