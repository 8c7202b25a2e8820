// Conversions between Key and the three widths that keys have on disk and in the loops.
#pragma once

#include "base/assert.h"
#include "base/key.h"

namespace tonearm {

template <class Native>
struct NativeKeyOf;

template <>
struct NativeKeyOf<u64> {
  static constexpr u64 max = u64_max;
  static constexpr u64 one_less(u64 key) { return key - 1; }
  static constexpr Key widen(u64 key) { return Key::of(key); }
  static u64 narrow(const Key& key) {
    ASSERT(key.hi == 0 && key.lo <= u64_max);
    return static_cast<u64>(key.lo);
  }
};

template <>
struct NativeKeyOf<u128> {
  static constexpr u128 max = u128_max;
  static constexpr u128 one_less(u128 key) { return key - 1; }
  static constexpr Key widen(u128 key) { return Key::of(key); }
  static u128 narrow(const Key& key) {
    ASSERT(key.hi == 0);
    return key.lo;
  }
};

template <>
struct NativeKeyOf<Key> {
  static constexpr Key max = {.lo = u128_max, .hi = u128_max};
  static constexpr Key one_less(Key key) {
    return {.lo = key.lo - 1, .hi = key.lo == 0 ? key.hi - 1 : key.hi};
  }
  static constexpr Key widen(const Key& key) { return key; }
  static Key narrow(const Key& key) { return key; }
};

}  // namespace tonearm
