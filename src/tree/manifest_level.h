// The tables of one level of one tree: disjoint key ranges, in key order.
//
// Outputs of a compaction enter, and its inputs leave, in one synchronous step at the end of a
// half-bar, when no reader is active. So all tables of a level are visible, there is one version of
// the level, and a table is found by its key alone.
//
// Any mutation invalidates pointers and cursors: callers copy a TableInfo before they mutate.
#pragma once

#include "base/arena.h"
#include "tree/node_pool.h"
#include "tree/segmented_array.h"
#include "tree/table_info.h"

namespace tonearm {

class ManifestLevel {
 public:
  using Tables = SegmentedArray<TableInfo>;

  // Nodes come from a pool shared by all levels of all trees.
  ManifestLevel(NodePool& pool, Arena& arena, u64 tables_max);
  static void measure(Arena& arena, u64 tables_max, u32 node_size = NodePool::node_size_default);
  // Nodes that so many tables may occupy.
  static u64 nodes_max(u64 tables_max, u32 node_size = NodePool::node_size_default);
  ManifestLevel(const ManifestLevel&) = delete;

  u64 count() const { return tables_.count(); }
  // Another number after every insert and remove: positions that were known hold no longer.
  u64 generation() const { return generation_; }
  bool empty() const { return count() == 0; }

  // The range must be disjoint from all others.
  void insert(const TableInfo& table);
  // Exactly this table must be here. The argument must not point into the level.
  void remove(const TableInfo& table);

  // The table whose range contains `key`, or null.
  const TableInfo* find(const Key& key) const;

  // Positions 0..count() in key order; O(log count).
  const TableInfo& at(u64 index) const { return tables_.at(index); }
  // First position whose key_max >= key (count() if none).
  u64 lower_bound(const Key& key) const;

  // The next table that overlaps `range`, after (ascending: key_min >, descending: key_max <)
  // `exclusive` if that is given. Null at the end. Tables outside the range on the near side are
  // skipped, not taken for the end.
  const TableInfo* next(const KeyRange& range, const Key* exclusive, Direction direction) const;

  // Key range of the whole level; level must not be empty.
  KeyRange range() const;

  struct Overlap {
    u64 first = 0;  // Position of the first overlapping table.
    u32 count = 0;
    KeyRange range{};  // Union of the given range and of all overlapping tables.
  };
  // All tables that overlap `range`. Note that the union does not overlap more tables than `range`
  // does, since tables are disjoint.
  Overlap overlapping(const KeyRange& range) const;

  const Tables& tables() const { return tables_; }
  void assert_valid() const;  // Order, disjointness, counts. O(count).

 private:
  u64 upper_bound(const Key& key) const;  // First position whose key_min > key.

  Tables tables_;  // By key_max; disjoint, so by key_min too.
  u64 generation_ = 0;
};

// Position of the table of `a` whose range overlaps the fewest tables of `b`: the first such, in key
// order; stops at none. `a` must not be empty. O(|a| + |b|), two pointers.
u64 table_with_least_overlap(const ManifestLevel& a, const ManifestLevel& b);

}  // namespace tonearm
