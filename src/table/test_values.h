// What the tests of this layer share: a small generator, and a row that stands for a value of any of
// the tree types, so that one naive model checks them all.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "base/checksum.h"
#include "table/tree_types.h"

namespace tonearm::test {

class Random {
 public:
  explicit Random(u64 seed) : state_(hash_of(seed + 1)) {}
  u64 next() { return hash_of(state_ + n_++); }
  u32 below(u32 bound) { return static_cast<u32>(next() % bound); }
  bool chance(u32 percent) { return below(100) < percent; }

 private:
  u64 state_;
  u64 n_ = 0;
};

// `payload` tells versions apart; an index value has none (its key determines it).
struct Row {
  Key key;
  u64 payload = 0;
  bool tombstone = false;

  friend bool operator==(const Row&, const Row&) = default;
};

// 32-byte keys and a value larger than the key, as a composite index of a 128-bit field would have.
struct WideTraits {
  struct Value {
    Key key;
    u64 payload;
    u64 flag;
    u64 zero[2];
  };
  using NativeKey = Key;
  static constexpr TableUsage usage = TableUsage::general;
  static NativeKey key(const Value& value) { return value.key; }
  static bool is_tombstone(const Value& value) { return value.flag != 0; }
  static Value tombstone(NativeKey key) { return {.key = key, .payload = 0, .flag = 1, .zero = {}}; }
};
inline constinit const TypedKernel<WideTraits> wide_kernel;

// Key number `index` of a small domain, spread over all the words that a key has.
inline Key domain_key(const KvTraits&, u64 index) {
  return Key::of(index * 3 + (index % 4 == 3 ? 1_MiB << 40 : 0));
}
inline Key domain_key(const IndexTraits&, u64 index) {
  return Key::of(u128{index / 5} << 64 | (index % 5 + 1));
}
inline Key domain_key(const IdTraits&, u64 index) { return Key::of(u128{index % 7} << 100 | index); }
inline Key domain_key(const WideTraits&, u64 index) { return {.lo = index / 3, .hi = index % 3}; }

inline KvTraits::Value value_of(const KvTraits&, const Row& row) {
  return {.key_and_flag = static_cast<u64>(row.key.lo) | (row.tombstone ? tombstone_bit : 0),
          .payload = row.payload};
}
inline IndexTraits::Value value_of(const IndexTraits&, const Row& row) {
  return {.field = static_cast<u64>(row.key.lo >> 64),
          .timestamp_and_flag = static_cast<u64>(row.key.lo) | (row.tombstone ? tombstone_bit : 0)};
}
inline IdTraits::Value value_of(const IdTraits&, const Row& row) {
  return {
      .id = row.key.lo, .timestamp_and_flag = row.payload | (row.tombstone ? tombstone_bit : 0), .zero = 0};
}
inline WideTraits::Value value_of(const WideTraits&, const Row& row) {
  return {.key = row.key, .payload = row.payload, .flag = row.tombstone ? u64{1} : 0, .zero = {}};
}

inline u64 payload_of(const KvTraits::Value& value) { return value.payload; }
inline u64 payload_of(const IndexTraits::Value&) { return 0; }
inline u64 payload_of(const IdTraits::Value& value) { return value.timestamp_and_flag & ~tombstone_bit; }
inline u64 payload_of(const WideTraits::Value& value) { return value.payload; }

template <class T>
const TypedKernel<T>& kernel_of() {
  static constexpr TypedKernel<T> kernel;
  return kernel;
}

template <class T>
Row row_of(const std::byte* bytes) {
  typename T::Value value;
  std::memcpy(&value, bytes, sizeof(value));
  return {
      .key = kernel_of<T>().key_of(bytes), .payload = payload_of(value), .tombstone = T::is_tombstone(value)};
}

template <class T>
std::vector<typename T::Value> values_of(const std::vector<Row>& rows) {
  std::vector<typename T::Value> values;
  for (const Row& row : rows) values.push_back(value_of(T{}, row));
  return values;
}

template <class T>
std::vector<Row> rows_of(const std::byte* bytes, u64 count) {
  std::vector<Row> rows;
  for (u64 index = 0; index < count; ++index)
    rows.push_back(row_of<T>(bytes + index * sizeof(typename T::Value)));
  return rows;
}

template <class V>
std::byte* bytes_of(std::vector<V>& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

// Rows in order of arrival. For an index, versions of a key alternate, beginning with a put; for the
// others anything goes. `payload_seed` makes every version distinguishable.
template <class T>
class RowSource {
 public:
  RowSource(Random& random, u32 domain, u32 tombstone_percent)
      : random_(random), domain_(domain), tombstone_percent_(tombstone_percent), present_(domain) {}

  Row next() { return at(random_.below(domain_)); }
  Row at(u32 index) {
    const bool index_tree = T::usage == TableUsage::secondary_index;
    const bool tombstone = index_tree ? present_[index] : random_.chance(tombstone_percent_);
    if (index_tree) present_[index] = !present_[index];
    return {.key = domain_key(T{}, index), .payload = index_tree ? 0 : ++payload_, .tombstone = tombstone};
  }
  std::vector<bool>& present() { return present_; }

 private:
  Random& random_;
  u32 domain_;
  u32 tombstone_percent_;
  u64 payload_ = 0;
  std::vector<bool> present_;
};

// Rows in order of arrival, resolved: what a memory table must come to.
template <class T>
std::vector<Row> resolve(const std::vector<Row>& rows) {
  std::map<Key, std::vector<Row>> versions;
  for (const Row& row : rows) versions[row.key].push_back(row);
  std::vector<Row> resolved;
  for (const auto& [key, list] : versions) {
    if (T::usage == TableUsage::general || list.size() % 2 == 1) resolved.push_back(list.back());
  }
  return resolved;
}

inline bool key_less(const Row& a, const Row& b) { return a.key < b.key; }

}  // namespace tonearm::test
