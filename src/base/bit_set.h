// Bit set over words that somebody else owns.
#pragma once

#include <bit>
#include <span>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

class BitSet {
 public:
  BitSet() = default;
  explicit BitSet(std::span<u64> words) : words_(words) {}

  static constexpr u64 words_for(u64 bits) { return (bits + 63) / 64; }

  u64 size() const { return words_.size() * 64; }
  std::span<u64> words() { return words_; }
  std::span<const u64> words() const { return words_; }

  bool test(u64 bit) const {
    ASSERT(bit < size());
    return (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  void set(u64 bit) {
    ASSERT(bit < size());
    words_[bit / 64] |= u64{1} << (bit % 64);
  }
  void unset(u64 bit) {
    ASSERT(bit < size());
    words_[bit / 64] &= ~(u64{1} << (bit % 64));
  }
  void clear() {
    for (u64& word : words_) word = 0;
  }
  u64 count() const {
    u64 total = 0;
    for (u64 word : words_) total += static_cast<u64>(std::popcount(word));
    return total;
  }

 private:
  std::span<u64> words_;
};

}  // namespace tonearm
