#include "tree/manifest_level.h"

#include <algorithm>

#include "base/options.h"

namespace tonearm {

static_assert(manifest_node_size_min == 2 * sizeof(TableInfo));

void ManifestLevel::measure(Arena& arena, u64 tables_max, u32 node_size) {
  Tables::measure(arena, tables_max, node_size);
}

ManifestLevel::ManifestLevel(NodePool& pool, Arena& arena, u64 tables_max)
    : tables_(pool, arena, tables_max) {
  ASSERT(pool.node_size() % manifest_node_size_min == 0);
}

u64 ManifestLevel::nodes_max(u64 tables_max, u32 node_size) {
  return Tables::nodes_max(tables_max, node_size);
}

u64 ManifestLevel::lower_bound(const Key& key) const {
  return tables_.partition_point([&](const TableInfo& table) { return table.key_max < key; });
}

u64 ManifestLevel::upper_bound(const Key& key) const {
  return tables_.partition_point([&](const TableInfo& table) { return table.key_min <= key; });
}

void ManifestLevel::insert(const TableInfo& table) {
  ASSERT(table.key_min <= table.key_max);
  const u64 index = lower_bound(table.key_min);
  if (index > 0) ASSERT(at(index - 1).key_max < table.key_min);
  if (index < count()) ASSERT(table.key_max < at(index).key_min);
  tables_.insert(index, table);
  ++generation_;
  ASSERT(at(index) == table);
}

void ManifestLevel::remove(const TableInfo& table) {
  const u64 index = lower_bound(table.key_max);
  ASSERT(index < count());
  ASSERT(&at(index) != &table);
  ASSERT(at(index) == table);
  tables_.remove(index);
  ++generation_;
}

const TableInfo* ManifestLevel::find(const Key& key) const {
  const TableInfo* const table =
      tables_.partition_find([&](const TableInfo& each) { return each.key_max < key; });
  if (table == nullptr) return nullptr;
  ASSERT(key <= table->key_max);
  return table->key_min <= key ? table : nullptr;
}

const TableInfo* ManifestLevel::next(const KeyRange& range, const Key* exclusive, Direction direction) const {
  ASSERT(range.min <= range.max);
  if (direction == Direction::ascending) {
    u64 index = lower_bound(range.min);
    if (exclusive != nullptr) index = std::max(index, upper_bound(*exclusive));
    if (index == count()) return nullptr;
    const TableInfo& table = at(index);
    return table.key_min <= range.max ? &table : nullptr;
  }
  u64 end = upper_bound(range.max);
  if (exclusive != nullptr) end = std::min(end, lower_bound(*exclusive));
  if (end == 0) return nullptr;
  const TableInfo& table = at(end - 1);
  return range.min <= table.key_max ? &table : nullptr;
}

KeyRange ManifestLevel::range() const {
  ASSERT(!empty());
  return {.min = at(0).key_min, .max = at(count() - 1).key_max};
}

ManifestLevel::Overlap ManifestLevel::overlapping(const KeyRange& range) const {
  ASSERT(range.min <= range.max);
  const u64 first = lower_bound(range.min);
  const u64 end = upper_bound(range.max);
  ASSERT(first <= end);
  Overlap overlap{.first = first, .count = static_cast<u32>(end - first), .range = range};
  if (overlap.count > 0) {
    overlap.range.include(at(first).range());
    overlap.range.include(at(end - 1).range());
  }
  return overlap;
}

void ManifestLevel::assert_valid() const {
  tables_.assert_valid();
  const TableInfo* before = nullptr;
  u64 walked = 0;
  for (Tables::Cursor cursor = tables_.cursor(); !cursor.end(); cursor.next()) {
    const TableInfo& table = cursor.get();
    ASSERT(table.key_min <= table.key_max);
    if (before != nullptr) ASSERT(before->key_max < table.key_min);
    before = &table;
    ++walked;
  }
  ASSERT(walked == count());
}

u64 table_with_least_overlap(const ManifestLevel& a, const ManifestLevel& b) {
  ASSERT(!a.empty());
  u64 best = 0;
  u64 best_count = u64_max;
  // Both move along with the tables of `a`: the first of `b` that is not before the table, and the
  // first that is behind it.
  ManifestLevel::Tables::Cursor first = b.tables().cursor();
  ManifestLevel::Tables::Cursor end = b.tables().cursor();
  for (auto cursor = a.tables().cursor(); !cursor.end(); cursor.next()) {
    const TableInfo& table = cursor.get();
    while (!first.end() && first.get().key_max < table.key_min) first.next();
    while (!end.end() && end.get().key_min <= table.key_max) end.next();
    ASSERT(first.index() <= end.index());
    const u64 overlap_count = end.index() - first.index();
    if (overlap_count >= best_count) continue;
    best = cursor.index();
    best_count = overlap_count;
    if (best_count == 0) break;
  }
  ASSERT(best_count < u64_max);
  return best;
}

}  // namespace tonearm
