// The keys a run uses: number u of the universe, 0 <= u < key_universe, becomes a key of each tree in
// the same order. The seed chooses how the keys lie: densely, in clusters, spread over the whole type,
// or against its greatest key; so that gaps, neighbours and limits all occur.
#pragma once

#include <array>

#include "sim/scenario/operation.h"

namespace tonearm::sim {

class KeySpace {
 public:
  KeySpace(u64 seed, u64 universe);

  u64 universe() const { return universe_; }
  Key key(TreeName tree, u64 number) const;

  // One more or one less, within the type.
  static Key neighbour(TreeName tree, const Key& key, bool greater);

  // All keys of the index tree with the field of this key.
  static Key field_min(const Key& key) { return Key::of(key.lo >> 64 << 64); }
  static Key field_max(const Key& key) { return Key::of(field_min(key).lo | timestamp_max); }

 private:
  u64 universe_;
  // kv and id: base + (u / cluster) * gap + (u % cluster) * stride.
  struct Line {
    u128 base = 0;
    u128 gap = 0;
    u64 stride = 1;
    u64 cluster = 1;
    Key at(u64 number) const { return Key::of(base + number / cluster * gap + number % cluster * stride); }
  };
  static Line draw_line(u64 random, u64 universe, u128 max);

  Line kv_;
  Line id_;
  // index: field u / per_field, timestamp 1 + u % per_field; the first and the last key of the universe
  // are the limits of the type.
  u64 per_field_ = 1;
  u64 field_stride_ = 1;
  u64 timestamp_stride_ = 1;
};

}  // namespace tonearm::sim
