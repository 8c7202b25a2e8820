// The oracle's grooves: the objects, and what every tree of a groove must hold because of them.
//
// Which entry an object has in which index is written down here by hand, not derived from the engine's
// descriptions. A change is two sides, what was there under a key before and what is afterwards; undoing
// it is the same with the sides swapped.
#pragma once

#include <array>

#include "sim/model/hash_table.h"
#include "sim/model/object.h"
#include "sim/model/sorted_map.h"

namespace tonearm::sim {

using ModelMap = SortedMap<ModelKey, u64>;
static_assert(sizeof(ModelMap::value_type) == 32);
using ModelTrees = std::array<ModelMap, tree_names_max>;  // By TreeName.

enum class Presence : u8 { absent, object, orphan };

struct Side {
  Presence presence = Presence::absent;
  Object object = {};  // Of an orphan: only the id.

  friend bool operator==(const Side&, const Side&) = default;
};

struct ObjectChange {
  GrooveName groove = GrooveName::things;
  Side before;
  Side after;

  u128 key() const;
};

class GrooveModel {
 public:
  // Until the next change.
  const Side& get(GrooveName groove, u128 key) const;
  const Side& at(GrooveName groove, u64 timestamp) const;  // Never an orphan.

  // Brings what they will find on its way into the processor's caches.
  void fetch(GrooveName groove, u128 key) const { sides_[static_cast<u32>(groove)].fetch(key); }
  void fetch_at(GrooveName groove, u64 timestamp) const;

  // Asserts that `before` is what is there.
  void apply(GrooveName groove, const Side& before, const Side& after, ModelTrees& trees);

 private:
  struct Kept {
    Side side;
    u64 hash = 0;  // Of an object: its payload in the object tree.
  };

  void note_timestamp(GrooveName groove, const Side& before, const Side& after);

  std::array<HashTable<Kept>, groove_count> sides_;  // By key; none is absent.
  // In grooves with ids: the ids of objects, by timestamp. Every row of a query is looked up in it.
  std::array<HashTable<u128>, groove_count> ids_;
};

}  // namespace tonearm::sim
