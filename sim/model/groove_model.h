// The oracle's grooves: the objects, and what every tree of a groove must hold because of them.
//
// Which entry an object has in which index is written down here by hand, not derived from the engine's
// descriptions. A change is two sides, what was there under a key before and what is afterwards; undoing
// it is the same with the sides swapped.
#pragma once

#include <array>

#include "sim/model/model_map.h"
#include "sim/model/object_store.h"

namespace tonearm::sim {

using ModelTrees = std::array<ModelMap, tree_names_max>;  // By TreeName.
ModelTrees model_trees();                                 // Empty ones.

struct ObjectChange {
  GrooveName groove = GrooveName::things;
  Side before;
  Side after;

  u128 key() const;
};

class GrooveModel {
 public:
  const ObjectStore& store(GrooveName groove) const { return stores_[static_cast<u32>(groove)]; }

  // Brings what the change will touch on its way into the processor's caches: it lies far apart.
  void fetch(GrooveName groove, const Side& before, const Side& after, const ModelTrees& trees) const;

  // Asserts that `before` is what is there.
  void apply(GrooveName groove, const Side& before, const Side& after, ModelTrees& trees);

 private:
  std::array<ObjectStore, groove_count> stores_ = {
      ObjectStore(GrooveName::things), ObjectStore(GrooveName::notes), ObjectStore(GrooveName::events),
      ObjectStore(GrooveName::readings)};
};

}  // namespace tonearm::sim
