// Points on a line as keys of a tree, in the same order: models compare points, engines compare keys.
//
// The layouts put the points where comparisons go wrong: at the ends of the type, across the border
// between two words of a key, far apart.
#pragma once

#include "base/key.h"

namespace tonearm::sim {

// Types of the trees, and one as wide as Key itself.
enum class KeyType : u8 { kv, index, id, wide };
inline constexpr u32 key_type_count = 4;
const char* key_type_name(KeyType type);

enum class KeyLayout : u8 {
  low,     // Densely, from the least key.
  high,    // Densely, up to the greatest.
  middle,  // Densely, across a border of words.
  spread,  // Over the whole type, both ends included.
};
inline constexpr u32 key_layout_count = 4;

class KeyLine {
 public:
  static constexpr u64 count_max = u64{1} << 32;

  KeyLine() = default;
  KeyLine(KeyType type, KeyLayout layout, u64 count);

  KeyType type() const { return type_; }
  u64 count() const { return count_; }
  Key key(u64 point) const;
  // The next point's key is the next key.
  bool dense() const { return layout_ != KeyLayout::spread; }

 private:
  KeyType type_ = KeyType::kv;
  KeyLayout layout_ = KeyLayout::low;
  u64 count_ = 2;
};

}  // namespace tonearm::sim
