// A value as it lies in a value block, read word by word: the layouts are in forest_shape.h.
#pragma once

#include <cstring>

#include "sim/decode/disk_format.h"
#include "sim/decode/forest_shape.h"

namespace tonearm::sim {

inline constexpr u64 tombstone_flag = u64{1} << 63;

template <class Word>
Word word_at(const std::byte* value, u64 offset) {
  Word word;
  std::memcpy(&word, value + offset, sizeof word);
  return word;
}

// Where the word with the tombstone's flag is.
inline u32 flag_at(const TreeShape& tree) {
  switch (tree.kind) {
    case ValueKind::pair:
    case ValueKind::exists: return 0;
    case ValueKind::index: return 8;
    case ValueKind::id:
    case ValueKind::wide: return 16;
    case ValueKind::object: return tree.timestamp_at;
  }
  return 0;
}

inline u64 unflagged(const TreeShape& tree, const std::byte* value) {
  return word_at<u64>(value, flag_at(tree)) & ~tombstone_flag;
}

inline bool is_tombstone(const TreeShape& tree, const std::byte* value) {
  return (word_at<u64>(value, flag_at(tree)) & tombstone_flag) != 0;
}

inline DecodedKey key_of(const TreeShape& tree, const std::byte* value) {
  switch (tree.kind) {
    case ValueKind::pair:
    case ValueKind::exists:
    case ValueKind::object: return {0, unflagged(tree, value)};
    case ValueKind::index: return {0, u128{word_at<u64>(value, 0)} << 64 | unflagged(tree, value)};
    case ValueKind::id: return {0, word_at<u128>(value, 0)};
    case ValueKind::wide: return {word_at<u128>(value, 0), unflagged(tree, value)};
  }
  return {};
}

// Of an object: object_hash(); of an index: 0.
inline u64 payload_of(const TreeShape& tree, const std::byte* value) {
  switch (tree.kind) {
    case ValueKind::pair: return word_at<u64>(value, 8);
    case ValueKind::id: return unflagged(tree, value);
    case ValueKind::object: return is_tombstone(tree, value) ? 0 : object_hash({value, tree.object_size});
    case ValueKind::index:
    case ValueKind::exists:
    case ValueKind::wide: return 0;
  }
  return 0;
}

// What nobody may write: a word that is spare, or an object that is gone and still there.
inline const char* value_fault(const TreeShape& tree, std::span<const std::byte> bytes) {
  const bool spare = tree.kind == ValueKind::id || tree.kind == ValueKind::wide;
  if (spare && word_at<u64>(bytes.data(), 24) != 0) return "a spare word is not zero";
  if (tree.kind != ValueKind::object || !is_tombstone(tree, bytes.data())) return nullptr;
  const bool zero = disk_format::all_zero(bytes.first(tree.timestamp_at)) &&
                    disk_format::all_zero(bytes.subspan(tree.timestamp_at + sizeof(u64)));
  return zero ? nullptr : "a tombstone that is not zero";
}

}  // namespace tonearm::sim
