// The levels of one tree, and their record in the manifest log that all trees share.
//
// Level l holds at most growth^(l+1) tables between bars; within a bar a level that is the target
// of the first half-bar may exceed that by one, and is drained in the second.
//
// The levels hold tables labelled with their level and no event: events are for the log.
#pragma once

#include <array>
#include <optional>

#include "base/options.h"
#include "tree/manifest_level.h"
#include "tree/manifest_log.h"

namespace tonearm {

class Manifest {
 public:
  static void measure(Arena& arena, const FormatOptions& format, u64 blocks_count,
                      u32 node_size = NodePool::node_size_default);
  Manifest(NodePool& pool, ManifestLog& log, Arena& arena, const FormatOptions& format, u64 blocks_count,
           u16 tree_id);
  Manifest(const Manifest&) = delete;

  // Nodes that the manifests of all trees may occupy together: what the pool must have.
  static u64 nodes_max(const FormatOptions& format, u64 blocks_count, u32 trees,
                       u32 node_size = NodePool::node_size_default);

  u32 levels() const { return format_.levels; }
  const ManifestLevel& level(u32 index) const {
    ASSERT(index < format_.levels);
    return *levels_[index];
  }
  u64 table_count() const;

  // Each also appends to the log, which must accept entries (after ManifestLog::compact).
  void insert_table(u32 level, const TableInfo& table);
  void remove_table(u32 level, const TableInfo& table);
  void move_table(u32 level_a, u32 level_b, const TableInfo& table);

  // At open: the log replays a live table (no event is logged). Any order. Authentic entries may still
  // make no sense together: why no engine can have left this table there, or null.
  [[nodiscard]] const char* open_table(const TableInfo& table);

  // The only table of `level` that may hold the key.
  const TableInfo* lookup(u32 level, const Key& key) const { return this->level(level).find(key); }

  // The table of level_a to be merged into level_a + 1 in this bar, or null while the level has room:
  // level_a's count must reach its limit first. Least overlap.
  const TableInfo* compaction_table(u32 level_a) const;

  // What so many values of this range are merged with in level_b: the tables that overlap, then (coalescing)
  // adjacent ones, while the last output is below `coalescing_percent` of a table and they fit into it.
  // `value_count_max`: capacity of a table.
  ManifestLevel::Overlap merge_range(u32 level_b, const KeyRange& range, u64 value_count, u64 value_count_max,
                                     u32 coalescing_percent, bool* coalesced) const;

  // True iff nothing deeper than `level_b` overlaps the range: tombstones may go.
  bool must_drop_tombstones(u32 level_b, const KeyRange& range) const;

  // Key range of all levels together, or nothing if there is no table.
  std::optional<KeyRange> key_range() const;

  void assert_between_bars() const;  // Level counts legal, levels valid.

 private:
  ManifestLevel& level_mutable(u32 index) {
    ASSERT(index < format_.levels);
    return *levels_[index];
  }
  // The table as a level holds it.
  TableInfo at_level(const TableInfo& table, u32 level) const;
  void log_append(TableInfo table, u32 level, ManifestEvent event);

  FormatOptions format_;
  u16 tree_id_;
  ManifestLog* log_;
  std::array<ManifestLevel*, levels_max> levels_{};
};

}  // namespace tonearm
