#include "forest/table_iterator.h"

namespace tonearm {

ForestTableIterator::Position ForestTableIterator::position_of(const Forest& forest, u64 n) {
  const u64 count = forest.manifest_log().table_count();
  if (count == 0) return {};
  u64 left = n % count;
  for (u32 level = 0; level < forest.format_options().levels; ++level) {
    for (u32 tree = 0; tree < forest.tree_count(); ++tree) {
      const ManifestLevel& tables = forest.tree(tree).manifest().level(level);
      if (left < tables.count()) return {.level = level, .tree = tree, .key = tables.at(left).key_max};
      left -= tables.count();
    }
  }
  UNREACHABLE();
}

ForestTableIterator::ForestTableIterator(const Forest& forest, const Position& from)
    : ForestTableIterator(forest, from, {.level = forest.format_options().levels}) {}

ForestTableIterator::ForestTableIterator(const Forest& forest, const Position& from, const Position& end)
    : forest_(&forest), level_(from.level), tree_(from.tree), key_(from.key), end_(end) {
  ASSERT(forest.opened());
  ASSERT(from.tree < forest.tree_count());
  ASSERT(end.level <= forest.format_options().levels);
}

const TableInfo* ForestTableIterator::next() {
  while (level_ < end_.level || (level_ == end_.level && tree_ <= end_.tree)) {
    if (level_ == forest_->format_options().levels) return nullptr;
    const ManifestLevel& level = forest_->tree(tree_).manifest().level(level_);
    if (!sought_ || generation_ != level.generation()) seek(level);
    if (index_ < level.count()) {
      const TableInfo& table = level.at(index_);
      if (ended(table)) return nullptr;
      ASSERT(exclusive_ ? table.key_max > key_ : table.key_max >= key_);
      key_ = table.key_max;
      exclusive_ = true;
      ++index_;
      return &table;
    }
    if (++tree_ == forest_->tree_count()) {
      tree_ = 0;
      ++level_;
    }
    key_ = {};
    exclusive_ = false;
    sought_ = false;
  }
  return nullptr;
}

void ForestTableIterator::seek(const ManifestLevel& level) {
  index_ = level.lower_bound(key_);
  if (exclusive_ && index_ < level.count() && level.at(index_).key_max == key_) ++index_;
  generation_ = level.generation();
  sought_ = true;
}

bool ForestTableIterator::ended(const TableInfo& table) const {
  return level_ == end_.level && tree_ == end_.tree && table.key_max >= end_.key;
}

}  // namespace tonearm
