// The tree type of objects: values are a user's struct, keyed by its member `timestamp`.
//
// A tombstone is all zero but for the timestamp, of which bit 63 is set.
#pragma once

#include <array>
#include <bit>

#include "table/tree_types.h"

namespace tonearm {

inline constexpr u64 timestamp_max = tombstone_bit - 1;  // The least is 1.

// Zero bytes, whatever defaults the members have.
template <class Object>
Object zeroed() {
  return std::bit_cast<Object>(std::array<std::byte, sizeof(Object)>{});
}

template <class Object>
struct ObjectTraits {
  using Value = Object;
  using NativeKey = u64;
  static constexpr TableUsage usage = TableUsage::general;
  static constexpr NativeKey key_max = timestamp_max;

  static NativeKey key(const Value& value) { return value.timestamp & ~tombstone_bit; }
  static const void* key_place(const Value& value) { return &value.timestamp; }
  static bool is_tombstone(const Value& value) { return (value.timestamp & tombstone_bit) != 0; }
  static Value tombstone(NativeKey key) {
    ASSERT(key <= key_max);
    Value value = zeroed<Object>();
    value.timestamp = key | tombstone_bit;
    return value;
  }
};

template <class Object>
inline constinit const TypedKernel<ObjectTraits<Object>> object_kernel;

}  // namespace tonearm
