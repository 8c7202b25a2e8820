// All tables of all trees, one after another, while the levels go on changing between the calls.
//
// Order: level by level from the top, in each level tree by tree, in each tree by key. Tables only ever
// sink, and so does the iterator: a table that moves or is merged before the iterator came by is met
// where it went. One that moves behind its back is met twice; one that is new and behind is not met.
//
// A position in a level is good as long as the level's generation stays. When it has changed, the
// iterator seeks anew: the first table that ends behind the one it gave last.
#pragma once

#include "forest/forest.h"

namespace tonearm {

class ForestTableIterator {
 public:
  // A place in the order: before every table of the level and tree that ends at `key` or behind it.
  struct Position {
    u32 level = 0;
    u32 tree = 0;  // Index in the forest.
    Key key{};
  };
  // The place before the n-th table, modulo how many there are.
  static Position position_of(const Forest& forest, u64 n);

  // From one place to another; without `end`, to the last table.
  ForestTableIterator(const Forest& forest, const Position& from);
  ForestTableIterator(const Forest& forest, const Position& from, const Position& end);

  // The next table, or null at the end. Valid until the manifest changes.
  const TableInfo* next();
  u32 tree() const { return tree_; }  // Index of the tree whose table next() gave.

 private:
  void seek(const ManifestLevel& level);
  bool ended(const TableInfo& table) const;

  const Forest* forest_;
  u32 level_;
  u32 tree_;
  Key key_;                 // The next table ends here or behind,
  bool exclusive_ = false;  // or only behind.
  Position end_;

  bool sought_ = false;  // `index_` is good for this generation of the level.
  u64 generation_ = 0;
  u64 index_ = 0;
};

}  // namespace tonearm
