// What the trees of an image hold, said by whoever reads it: the image itself knows sizes only.
//
// A value as it lies on the disk, by kind; bit 63 of the word with a `*` is the tombstone's:
//
//   pair     16 bytes   key u64 *, payload u64
//   index    16         field u64, timestamp u64 *              key field/timestamp
//   id       32         id u128, timestamp u64 *, zero u64      timestamp 0: an orphan
//   exists    8         timestamp u64 *
//   wide     32         field u128, timestamp u64 *, zero u64   key field/timestamp
//   object   64..256    a struct with a timestamp u64 *         keyed by it; zero but for it: a tombstone
//
// The greatest key is the greatest that can be written; of pairs and ids one less, for what lies behind it
// all. In an index block a key has 8, 16 or 32 bytes; of 32, the low half comes first.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"

namespace tonearm::sim {

// Keys as (hi, lo), like the model's.
using DecodedKey = std::pair<u128, u128>;

enum class ValueKind : u8 { pair, index, id, exists, wide, object };

struct TreeShape {
  u16 id = 0;
  const char* name = "";
  ValueKind kind = ValueKind::pair;
  u32 object_size = 0;  // object: bytes of the struct, and where its timestamp is.
  u32 timestamp_at = 0;

  u32 key_size() const;
  u32 value_size() const;
  DecodedKey key_greatest() const;
  // The versions of a key alternate between put and tombstone.
  bool secondary_index() const;
};

// An entry that an object must have in an index tree.
struct IndexEntry {
  u16 tree;
  DecodedKey key;

  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
  friend auto operator<=>(const IndexEntry&, const IndexEntry&) = default;
};

// Trees that belong together: objects, ids and indexes are in bijection.
struct GrooveShape {
  const char* name = "";
  u16 object_tree = 0;
  u16 id_tree = 0;  // 0: no ids, the timestamp is the key.
  u32 id_at = 0;    // Where the id is in the object.
  bool orphans = false;
  std::span<const u16> index_trees;
  // What the indexes must hold of this object, derived by hand.
  void (*entries)(std::span<const std::byte> object, std::vector<IndexEntry>* to) = nullptr;
};

struct ForestShape {
  std::span<const TreeShape> trees;  // Ids ascending.
  std::span<const GrooveShape> grooves;

  const TreeShape* find(u16 id) const;
  const char* name_of(u16 id) const;  // "?" if there is no such tree.
};

// kv 1, index 2 and id 3 of the workload `tree`.
const ForestShape& three_trees_shape();

// As the payload of a decoded object: one number that stands for all of its bytes.
u64 object_hash(std::span<const std::byte> object);

// As scenarios write keys.
std::string decoded_key_text(const TreeShape* tree, const DecodedKey& key);

}  // namespace tonearm::sim
