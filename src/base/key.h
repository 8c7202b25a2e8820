// The key of any tree, widened to 256 bits and compared as one unsigned number.
//
// A tree stores its keys in 8, 16 or 32 bytes; manifest, lookups and scheduling handle all trees
// alike through this type, so that only the value kernels (table/kernel.h) need templates.
#pragma once

#include <compare>
#include <type_traits>

#include "base/types.h"

namespace tonearm {

struct Key {
  u128 lo = 0;
  u128 hi = 0;

  friend constexpr bool operator==(const Key&, const Key&) = default;
  friend constexpr std::strong_ordering operator<=>(const Key& a, const Key& b) {
    if (a.hi != b.hi) return a.hi < b.hi ? std::strong_ordering::less : std::strong_ordering::greater;
    if (a.lo != b.lo) return a.lo < b.lo ? std::strong_ordering::less : std::strong_ordering::greater;
    return std::strong_ordering::equal;
  }

  // By themselves, because what is derived from the three-way comparison costs several times as much.
  friend constexpr bool operator<(const Key& a, const Key& b) {
    return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
  }
  friend constexpr bool operator>(const Key& a, const Key& b) { return b < a; }
  friend constexpr bool operator<=(const Key& a, const Key& b) { return !(b < a); }
  friend constexpr bool operator>=(const Key& a, const Key& b) { return !(a < b); }

  static constexpr Key of(u128 lo) { return Key{.lo = lo, .hi = 0}; }
};
static_assert(sizeof(Key) == 32);
static_assert(std::has_unique_object_representations_v<Key>);

struct KeyRange {
  Key min;
  Key max;  // Inclusive.

  constexpr bool contains(const Key& key) const { return min <= key && key <= max; }
  constexpr bool overlaps(const KeyRange& other) const { return min <= other.max && other.min <= max; }
  constexpr void include(const KeyRange& other) {
    if (other.min < min) min = other.min;
    if (other.max > max) max = other.max;
  }
};

enum class Direction : u8 { ascending, descending };

}  // namespace tonearm
