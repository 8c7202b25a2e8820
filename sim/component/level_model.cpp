#include "sim/component/level_model.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

bool overlap(const LevelModel::Table& table, const LevelModel::Span& span) {
  return table.min <= span.max && span.min <= table.max;
}

}  // namespace

std::optional<u64> LevelModel::find(u64 point) const {
  for (u64 i = 0; i < count(); ++i) {
    if (tables[i].min <= point && point <= tables[i].max) return i;
  }
  return {};
}

LevelModel::Overlap LevelModel::overlapping(const Span& span) const {
  Overlap found{.span = span};
  for (const Table& table : tables) {
    if (table.max < span.min) ++found.first;
    if (!overlap(table, span)) continue;
    ++found.count;
    found.span = {.min = std::min(found.span.min, table.min), .max = std::max(found.span.max, table.max)};
  }
  return found;
}

std::optional<u64> LevelModel::next(const Span& span, std::optional<u64> exclusive,
                                    Direction direction) const {
  std::optional<u64> last;
  for (u64 i = 0; i < count(); ++i) {
    if (!overlap(tables[i], span)) continue;
    if (direction == Direction::ascending) {
      if (!exclusive || tables[i].min > *exclusive) return i;
    } else if (!exclusive || tables[i].max < *exclusive) {
      last = i;
    }
  }
  return last;
}

u64 LevelModel::least_overlap(const LevelModel& below) const {
  ASSERT(!tables.empty());
  u64 best = 0;
  u64 best_count = u64_max;
  for (u64 i = 0; i < count(); ++i) {
    const auto begin = std::partition_point(below.tables.begin(), below.tables.end(),
                                            [&](const Table& table) { return table.max < tables[i].min; });
    const auto end = std::partition_point(begin, below.tables.end(),
                                          [&](const Table& table) { return table.min <= tables[i].max; });
    const u64 overlaps = static_cast<u64>(end - begin);
    if (overlaps < best_count) best = i, best_count = overlaps;
  }
  return best;
}

std::optional<LevelModel::Span> LevelModel::gap(u64 index, u64 points) const {
  const u64 begin = index == 0 ? 0 : tables[index - 1].max + 1;
  const u64 end = index == count() ? points : tables[index].min;
  if (begin == end) return {};
  return Span{.min = begin, .max = end - 1};
}

void LevelModel::insert(const Table& table) {
  const auto behind =
      std::find_if(tables.begin(), tables.end(), [&](const Table& other) { return other.min > table.max; });
  tables.insert(behind, table);
}

LevelModel::Overlap MergeModel::range(const LevelModel& level, const std::vector<u64>& values,
                                      const LevelModel::Span& span, u64 values_above) const {
  LevelModel::Overlap found = level.overlapping(span);
  u64 output = values_above;
  for (u64 i = found.first; i < found.first + found.count; ++i) output += values[level.tables[i].address];
  while (output > values_max) output -= values_max;  // Of the last table.
  // A neighbour, while the last table is smaller than the target and stays one: first those before.
  const auto takes = [&](u64 index) {
    const u64 more = values[level.tables[index].address];
    if (found.count >= growth || output * 100 >= values_max * coalescing_percent) return false;
    if (output + more > values_max) return false;
    output += more;
    ++found.count;
    return true;
  };
  while (found.first > 0 && takes(found.first - 1)) {
    --found.first;
    found.span.min = std::min(found.span.min, level.tables[found.first].min);
  }
  while (found.first + found.count < level.count() && takes(found.first + found.count)) {
    found.span.max = std::max(found.span.max, level.tables[found.first + found.count - 1].max);
  }
  return found;
}

}  // namespace tonearm::sim
