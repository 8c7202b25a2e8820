// The compiled tree types: one of each key width and usage that the engine is run with.
//
//   Kv         8-byte key    16-byte value   general           key and payload
//   Existence  8-byte key    8-byte value    secondary_index   timestamp, nothing else
//   Index      16-byte key   16-byte value   secondary_index   (field, timestamp), nothing else
//   WideIndex  32-byte key   32-byte value   secondary_index   (128-bit field, timestamp), nothing else
//   Id         16-byte key   32-byte value   general           id -> timestamp
//
// (Object trees, whose values are a user's struct, are in groove/object_traits.h.)
//
// A tombstone is bit 63 of the word that has a bit to spare.
#pragma once

#include "table/typed_kernel.h"

namespace tonearm {

inline constexpr u64 tombstone_bit = u64{1} << 63;

struct KvTraits {
  struct Value {
    u64 key_and_flag;
    u64 payload;
  };
  using NativeKey = u64;
  static constexpr TableUsage usage = TableUsage::general;
  static constexpr NativeKey key_max = tombstone_bit - 2;

  static NativeKey key(const Value& value) { return value.key_and_flag & ~tombstone_bit; }
  static bool is_tombstone(const Value& value) { return (value.key_and_flag & tombstone_bit) != 0; }
  static Value tombstone(NativeKey key) {
    ASSERT(key <= key_max);
    return {.key_and_flag = key | tombstone_bit, .payload = 0};
  }
};

struct IndexTraits {
  struct Value {
    u64 field;
    u64 timestamp_and_flag;
  };
  using NativeKey = u128;
  static constexpr TableUsage usage = TableUsage::secondary_index;
  // The greatest field with the greatest timestamp; the sentinel is the greatest u128 of all.
  static constexpr NativeKey key_max = u128{u64_max} << 64 | (tombstone_bit - 1);

  static NativeKey key(const Value& value) {
    return u128{value.field} << 64 | (value.timestamp_and_flag & ~tombstone_bit);
  }
  static bool is_tombstone(const Value& value) { return (value.timestamp_and_flag & tombstone_bit) != 0; }
  static Value tombstone(NativeKey key) {
    const u64 timestamp = static_cast<u64>(key);
    ASSERT((timestamp & tombstone_bit) == 0);
    return {.field = static_cast<u64>(key >> 64), .timestamp_and_flag = timestamp | tombstone_bit};
  }
};

struct ExistenceTraits {
  struct Value {
    u64 timestamp_and_flag;
  };
  using NativeKey = u64;
  static constexpr TableUsage usage = TableUsage::secondary_index;
  static constexpr NativeKey key_max = tombstone_bit - 1;

  static NativeKey key(const Value& value) { return value.timestamp_and_flag & ~tombstone_bit; }
  static bool is_tombstone(const Value& value) { return (value.timestamp_and_flag & tombstone_bit) != 0; }
  static Value tombstone(NativeKey key) {
    ASSERT(key <= key_max);
    return {.timestamp_and_flag = key | tombstone_bit};
  }
};

// The key's low half is the timestamp, its high half the field; so it stands in index blocks, too.
struct WideIndexTraits {
  struct Value {
    u128 field;
    u64 timestamp_and_flag;
    u64 zero;
  };
  using NativeKey = Key;
  static constexpr TableUsage usage = TableUsage::secondary_index;
  static constexpr NativeKey key_max = {.lo = tombstone_bit - 1, .hi = u128_max};

  static NativeKey key(const Value& value) {
    return {.lo = value.timestamp_and_flag & ~tombstone_bit, .hi = value.field};
  }
  static bool is_tombstone(const Value& value) { return (value.timestamp_and_flag & tombstone_bit) != 0; }
  static Value tombstone(const NativeKey& key) {
    ASSERT(key.lo < tombstone_bit);
    return {.field = key.hi, .timestamp_and_flag = static_cast<u64>(key.lo) | tombstone_bit, .zero = 0};
  }
};

struct IdTraits {
  struct Value {
    u128 id;
    u64 timestamp_and_flag;  // 0: the id is used up, but names no object.
    u64 zero;
  };
  using NativeKey = u128;
  static constexpr TableUsage usage = TableUsage::general;

  static NativeKey key(const Value& value) { return value.id; }
  static bool is_tombstone(const Value& value) { return (value.timestamp_and_flag & tombstone_bit) != 0; }
  static Value tombstone(NativeKey key) {
    ASSERT(key < u128_max);
    return {.id = key, .timestamp_and_flag = tombstone_bit, .zero = 0};
  }
};

inline constinit const TypedKernel<KvTraits> kv_kernel;
inline constinit const TypedKernel<ExistenceTraits> existence_kernel;
inline constinit const TypedKernel<IndexTraits> index_kernel;
inline constinit const TypedKernel<WideIndexTraits> wide_index_kernel;
inline constinit const TypedKernel<IdTraits> id_kernel;

}  // namespace tonearm
