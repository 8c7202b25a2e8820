// The key of any tree as 192 bits, compared as one number: with its 64-bit payload an entry of the
// model is half a cache line, and a narrow key costs hardly more than a u128.
//
// The words of a Key, without the one between bits 64 and 127 or that above bit 191, of which one is
// always zero: a narrow key has nothing above bit 127, a wide one (field, timestamp) nothing in between.
#pragma once

#include "base/assert.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

struct ModelKey {
  u64 low = 0;  // A timestamp, or the low half of a number.
  u64 middle = 0;
  u64 high = 0;

  constexpr ModelKey() = default;
  constexpr ModelKey(u128 number)
      : low(static_cast<u64>(number)), middle(static_cast<u64>(number >> 64)), high(0) {}
  static constexpr ModelKey wide(u128 field, u64 timestamp) {
    ModelKey key(field << 64 | timestamp);
    key.high = static_cast<u64>(field >> 64);
    return key;
  }
  constexpr u128 number() const { return u128{middle} << 64 | low; }  // Without `high`.

  friend constexpr bool operator==(const ModelKey& a, const ModelKey& b) {
    return a.number() == b.number() && a.high == b.high;
  }
  friend constexpr bool operator<(const ModelKey& a, const ModelKey& b) {
    // Computed, not branched to: which of two keys is less is a coin flip in a search.
    return (u32{a.high < b.high} | (u32{a.high == b.high} & u32{a.number() < b.number()})) != 0;
  }
  friend constexpr bool operator<=(const ModelKey& a, const ModelKey& b) { return !(b < a); }
};

inline ModelKey model_key(const Key& key) {
  if (key.hi == 0) return key.lo;
  ASSERT(key.lo <= u64_max);
  return ModelKey::wide(key.hi, static_cast<u64>(key.lo));
}

inline Key engine_key(TreeName tree, const ModelKey& key) {
  if (tree_spec(tree).shape != KeyShape::wide_index) return Key::of(key.number());
  return {.lo = key.low, .hi = u128{key.high} << 64 | key.middle};
}

}  // namespace tonearm::sim
