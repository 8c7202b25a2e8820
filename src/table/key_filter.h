// Which keys are surely not in a table in memory: a bit for each value of a hash, set by each key that came.
//
//   bits = the power of two from 8 to 16 times the most keys, at least 64
//   bit  = the top log2(bits) bits of a product of the key's folded words
//
// It forgets nothing until it is cleared, also not what a scope discards or a put annihilates: so it errs on
// one side only. Full, it lets one key in eight or fewer pass that never came, for one load instead of a
// search of every run. (A Bloom filter with one hash: B. Bloom, 1970.)
#pragma once

#include <bit>
#include <span>

#include "base/arena.h"
#include "base/assert.h"
#include "base/key.h"

namespace tonearm {

class KeyFilter {
 public:
  static void measure(Arena& arena, u32 keys_max) { (void)arena.take<u64>(words_for(keys_max)); }
  KeyFilter(Arena& arena, u32 keys_max)
      : words_(arena.take<u64>(words_for(keys_max))),
        shift_(64 - static_cast<u32>(std::countr_zero(words_.size() * 64))) {
    ASSERT(std::has_single_bit(words_.size()));
    clear();
  }

  // False: it never came.
  bool may_hold(const Key& key) const {
    const u64 bit = bit_of(key);
    return (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  void add(const Key& key) {
    const u64 bit = bit_of(key);
    words_[bit / 64] |= u64{1} << (bit % 64);
  }
  void add_all(const KeyFilter& other) {
    ASSERT(words_.size() == other.words_.size());
    for (u64 i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void clear() {
    for (u64& word : words_) word = 0;
  }

 private:
  static constexpr u64 words_for(u32 keys_max) {
    ASSERT(keys_max >= 1);
    return std::bit_ceil(u64{8} * keys_max + 63) / 64;
  }
  u64 bit_of(const Key& key) const {
    const u64 words = static_cast<u64>(key.lo) ^ std::rotl(static_cast<u64>(key.lo >> 64), 19) ^
                      std::rotl(static_cast<u64>(key.hi), 37) ^ std::rotl(static_cast<u64>(key.hi >> 64), 53);
    const u64 bit = (words * 0x9e37'79b9'7f4a'7c15) >> shift_;  // 2^64 over the golden ratio.
    ASSERT(bit / 64 < words_.size());
    return bit;
  }

  std::span<u64> words_;
  u32 shift_;
};

}  // namespace tonearm
