#include "tree/manifest.h"

#include <algorithm>
#include <new>

#include "base/math.h"

namespace tonearm {

namespace {

// A larger level is checked only where it changes, not as a whole after every bar.
constexpr u64 tables_checked_max = 4096;

// While a half-bar changes the manifest, a level may hold one table more than its limit. Each table
// has two blocks at least.
u64 level_capacity(const FormatOptions& format, u64 blocks_count, u32 level) {
  return std::min(level_tables_max(format, level) + 1, std::max<u64>(blocks_count / 2, 1));
}

}  // namespace

void Manifest::measure(Arena& arena, const FormatOptions& format, u64 blocks_count, u32 node_size) {
  ASSERT(arena.measuring());
  for (u32 level = 0; level < format.levels; ++level) {
    arena.take<ManifestLevel>(1);
    ManifestLevel::measure(arena, level_capacity(format, blocks_count, level), node_size);
  }
}

Manifest::Manifest(NodePool& pool, ManifestLog& log, Arena& arena, const FormatOptions& format,
                   u64 blocks_count, u16 tree_id)
    : format_(format), tree_id_(tree_id), log_(&log) {
  ASSERT(format.levels <= levels_max);
  ASSERT(tree_id >= 1);
  for (u32 level = 0; level < format.levels; ++level) {
    ManifestLevel* place = arena.take<ManifestLevel>(1).data();
    levels_[level] = new (place) ManifestLevel(pool, arena, level_capacity(format, blocks_count, level));
  }
}

u64 Manifest::nodes_max(const FormatOptions& format, u64 blocks_count, u32 trees, u32 node_size) {
  u64 by_levels = 0;
  for (u32 level = 0; level < format.levels; ++level) {
    by_levels += ManifestLevel::nodes_max(level_capacity(format, blocks_count, level), node_size);
  }
  // All levels share the blocks, and each may have a last node of one table.
  const u64 by_blocks =
      ManifestLevel::nodes_max(blocks_count / 2, node_size) + u64{trees} * format.levels;
  return std::min(trees * by_levels, by_blocks);
}

u64 Manifest::table_count() const {
  u64 count = 0;
  for (u32 i = 0; i < levels(); ++i) count += level(i).count();
  return count;
}

TableInfo Manifest::at_level(const TableInfo& table, u32 level) const {
  ASSERT(table.tree_id == tree_id_);
  ASSERT(level < levels());
  TableInfo copy = table;
  copy.set_label(level, ManifestEvent::none);
  return copy;
}

void Manifest::log_append(TableInfo table, u32 level, ManifestEvent event) {
  ASSERT(event != ManifestEvent::none);
  table.set_label(level, event);
  log_->append(table);
}

void Manifest::insert_table(u32 level, const TableInfo& table) {
  const TableInfo copy = at_level(table, level);
  level_mutable(level).insert(copy);
  log_append(copy, level, ManifestEvent::insert);
}

void Manifest::remove_table(u32 level, const TableInfo& table) {
  const TableInfo copy = at_level(table, level);
  level_mutable(level).remove(copy);
  log_append(copy, level, ManifestEvent::remove);
}

// One record: the log is read backwards when it is replayed, and of two records the remove would
// be met after the insert, and hide it.
void Manifest::move_table(u32 level_a, u32 level_b, const TableInfo& table) {
  ASSERT(level_b == level_a + 1);
  const TableInfo source = at_level(table, level_a);
  const TableInfo target = at_level(table, level_b);
  level_mutable(level_a).remove(source);
  level_mutable(level_b).insert(target);
  log_append(target, level_b, ManifestEvent::update);
}

const char* Manifest::open_table(const TableInfo& table) {
  ASSERT(table.event() == ManifestEvent::insert || table.event() == ManifestEvent::update);
  ManifestLevel& level = level_mutable(table.level());
  if (level.count() == level_tables_max(format_, table.level())) return "a level has more tables than it may";
  if (level.overlapping(table.range()).count > 0) return "two tables of a level overlap";
  level.insert(at_level(table, table.level()));
  return nullptr;
}

const TableInfo* Manifest::compaction_table(u32 level_a) const {
  ASSERT(level_a + 1 < levels());
  const ManifestLevel& a = level(level_a);
  const u64 limit = level_tables_max(format_, level_a);
  ASSERT(a.count() <= limit + 1);
  if (a.count() < limit) return nullptr;
  return &a.at(table_with_least_overlap(a, level(level_a + 1)));
}

ManifestLevel::Overlap Manifest::merge_range(u32 level_b, const KeyRange& range, u64 value_count,
                                             u64 value_count_max, u32 coalescing_percent,
                                             bool* coalesced) const {
  ASSERT(value_count >= 1);
  ASSERT(value_count <= value_count_max);
  const ManifestLevel& level_of_b = level(level_b);
  ManifestLevel::Overlap overlap = level_of_b.overlapping(range);
  const u32 count_before = overlap.count;

  // All outputs are full but the last. Below the target that would be a small table; so long as it is, a
  // neighbour goes along if no output is added. Small neighbours are the usual ones: a large one does not
  // fit.
  const u64 target = div_ceil(value_count_max * coalescing_percent, 100);
  u64 output = value_count;
  for (u32 i = 0; i < overlap.count; ++i) output += level_of_b.at(overlap.first + i).value_count;
  output = (output - 1) % value_count_max + 1;
  for (const Direction direction : {Direction::descending, Direction::ascending}) {
    while (overlap.count < format_.growth && output < target) {
      const bool descending = direction == Direction::descending;
      const u64 end = overlap.first + overlap.count;
      if (descending ? overlap.first == 0 : end == level_of_b.count()) break;
      const TableInfo& table = level_of_b.at(descending ? overlap.first - 1 : end);
      if (output + table.value_count > value_count_max) break;
      output += table.value_count;
      overlap.range.include(table.range());
      overlap.first -= descending ? 1 : 0;
      ++overlap.count;
    }
  }
  *coalesced = overlap.count > count_before;
  ASSERT(output <= value_count_max);
  return overlap;
}

bool Manifest::must_drop_tombstones(u32 level_b, const KeyRange& range) const {
  ASSERT(level_b < levels());
  for (u32 i = level_b + 1; i < levels(); ++i) {
    if (level(i).next(range, nullptr, Direction::ascending) != nullptr) return false;
  }
  return true;
}

std::optional<KeyRange> Manifest::key_range() const {
  std::optional<KeyRange> range;
  for (u32 i = 0; i < levels(); ++i) {
    if (level(i).empty()) continue;
    if (!range) range = level(i).range();
    range->include(level(i).range());
  }
  return range;
}

void Manifest::assert_between_bars() const {
  for (u32 i = 0; i < levels(); ++i) {
    ASSERT(level(i).count() <= level_tables_max(format_, i));
    if (level(i).count() <= tables_checked_max) level(i).assert_valid();
  }
}

}  // namespace tonearm
