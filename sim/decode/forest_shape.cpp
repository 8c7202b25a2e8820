#include "sim/decode/forest_shape.h"

#include <xxhash.h>

#include <fmt/format.h>

#include <algorithm>

namespace tonearm::sim {

namespace {

constexpr TreeShape three_trees[] = {
    {.id = 1, .name = "kv", .kind = ValueKind::pair},
    {.id = 2, .name = "index", .kind = ValueKind::index},
    {.id = 3, .name = "id", .kind = ValueKind::id},
};
constexpr ForestShape three_trees_forest{.trees = three_trees, .grooves = {}};

std::string hex_text(u128 value) {
  const u64 high = static_cast<u64>(value >> 64);
  const u64 low = static_cast<u64>(value);
  return high == 0 ? fmt::format("0x{:x}", low) : fmt::format("0x{:x}{:016x}", high, low);
}

}  // namespace

u32 TreeShape::key_size() const {
  switch (kind) {
    case ValueKind::pair:
    case ValueKind::exists:
    case ValueKind::object: return 8;
    case ValueKind::index:
    case ValueKind::id: return 16;
    case ValueKind::wide: return 32;
  }
  return 0;
}

u32 TreeShape::value_size() const {
  switch (kind) {
    case ValueKind::exists: return 8;
    case ValueKind::pair:
    case ValueKind::index: return 16;
    case ValueKind::id:
    case ValueKind::wide: return 32;
    case ValueKind::object: return object_size;
  }
  return 0;
}

DecodedKey TreeShape::key_greatest() const {
  constexpr u64 timestamp = ~u64{0} >> 1;
  switch (kind) {
    case ValueKind::pair: return {0, timestamp - 1};
    case ValueKind::exists:
    case ValueKind::object: return {0, timestamp};
    case ValueKind::index: return {0, u128{~u64{0}} << 64 | timestamp};
    case ValueKind::id: return {0, ~u128{0} - 1};
    case ValueKind::wide: return {~u128{0}, timestamp};
  }
  return {};
}

bool TreeShape::secondary_index() const {
  return kind == ValueKind::index || kind == ValueKind::exists || kind == ValueKind::wide;
}

const TreeShape* ForestShape::find(u16 id) const {
  const auto at = std::lower_bound(trees.begin(), trees.end(), id,
                                   [](const TreeShape& tree, u16 wanted) { return tree.id < wanted; });
  return at != trees.end() && at->id == id ? &*at : nullptr;
}

const char* ForestShape::name_of(u16 id) const {
  const TreeShape* tree = find(id);
  return tree == nullptr ? "?" : tree->name;
}

const ForestShape& three_trees_shape() { return three_trees_forest; }

u64 object_hash(std::span<const std::byte> object) { return XXH3_64bits(object.data(), object.size()); }

std::string decoded_key_text(const TreeShape* tree, const DecodedKey& key) {
  const u64 low = static_cast<u64>(key.second);
  const u64 middle = static_cast<u64>(key.second >> 64);
  const ValueKind kind = tree == nullptr ? ValueKind::id : tree->kind;
  if (kind == ValueKind::wide) return fmt::format("{}/{}", hex_text(key.first), low);
  if (kind == ValueKind::index) return fmt::format("{}/{}", middle, low);
  if (middle == 0 && key.first == 0) return fmt::format("{}", low);
  return hex_text(key.second);
}

}  // namespace tonearm::sim
