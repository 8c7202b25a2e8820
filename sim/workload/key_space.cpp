#include "sim/workload/key_space.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

KeySpace::KeySpace(u64 seed, u64 universe) : universe_(std::max<u64>(universe, 1)) {
  const Stream stream("key space", stream_seed(seed, "key space"));
  kv_ = draw_line(stream.at(1), universe_, key_max(TreeName::kv).lo);
  id_ = draw_line(stream.at(2), universe_, key_max(TreeName::id).lo);
  const u64 random = stream.at(3);
  per_field_ = u64{1} << below(remix(random, 1), 6);
  const u64 fields = universe_ / per_field_ + 1;
  field_stride_ = below(remix(random, 2), 2) == 0 ? 1 : u64_max / fields;
  timestamp_stride_ = below(remix(random, 3), 2) == 0 ? 1 : (timestamp_max - 1) / per_field_;
}

KeySpace::Line KeySpace::draw_line(u64 random, u64 universe, u128 max) {
  Line line{.cluster = universe};
  switch (below(random, 6)) {
    case 0:  // Densely, from the least key.
      break;
    case 1:  // With gaps.
      line.base = below(remix(random, 1), 1000);
      line.stride = between(remix(random, 2), 2, 16);
      break;
    case 2:  // Over the whole type.
      line.cluster = 1;
      line.gap = max / universe;
      break;
    case 3:  // Up to the greatest key.
      line.base = max - (universe - 1);
      break;
    case 4: {  // In clusters far apart.
      line.cluster = u64{8} << below(remix(random, 1), 4);
      line.gap = max / (universe / line.cluster + 1);
      line.base = line.gap / 2 - line.gap / 4;
      line.gap -= line.gap / 4;
      break;
    }
    default:  // Densely, somewhere.
      line.base = max / 3;
      break;
  }
  return line;
}

Key KeySpace::key(TreeName tree, u64 number) const {
  ASSERT(number < universe_);
  switch (tree_spec(tree).shape) {
    case KeyShape::number: return kv_.at(number);
    case KeyShape::wide_number: return id_.at(number);
    case KeyShape::index: {
      if (number == 0) return Key{};
      if (number == universe_ - 1) return key_max(tree);
      const u64 field = number / per_field_ * field_stride_;
      const u64 timestamp = 1 + number % per_field_ * timestamp_stride_;
      return Key::of(u128{field} << 64 | timestamp);
    }
    case KeyShape::wide_index:
    case KeyShape::timestamp: break;  // Of grooves, whose generator names objects.
  }
  UNREACHABLE();
}

Key KeySpace::neighbour(TreeName tree, const Key& key, bool greater) {
  if (greater) {
    // The timestamp must not run into its top bit.
    if (tree == TreeName::index && (key.lo & timestamp_max) == timestamp_max) return key;
    return key < key_max(tree) ? Key::of(key.lo + 1) : key;
  }
  if (tree == TreeName::index && (key.lo & timestamp_max) == 0) return key;
  return key.lo == 0 ? key : Key::of(key.lo - 1);
}

}  // namespace tonearm::sim
