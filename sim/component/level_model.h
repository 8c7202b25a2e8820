// What one level of a manifest should answer: a vector of tables in order, looked at one by one.
#pragma once

#include <optional>
#include <vector>

#include "base/key.h"

namespace tonearm::sim {

struct LevelModel {
  struct Table {
    u64 min = 0;  // Points on a KeyLine, both included.
    u64 max = 0;
    u64 address = 0;
  };
  struct Span {
    u64 min = 0;
    u64 max = 0;
  };
  struct Overlap {
    u64 first = 0;
    u64 count = 0;
    Span span;  // Together with what was asked for.
  };

  std::vector<Table> tables;

  u64 count() const { return tables.size(); }
  std::optional<u64> find(u64 point) const;
  Overlap overlapping(const Span& span) const;
  std::optional<u64> next(const Span& span, std::optional<u64> exclusive, Direction direction) const;
  // The first table of those that overlap the fewest of `below`. Not of an empty level.
  u64 least_overlap(const LevelModel& below) const;

  // What lies between table index - 1 and table `index`, on a line of so many points.
  std::optional<Span> gap(u64 index, u64 points) const;
  void insert(const Table& table);  // In front of the first that lies behind it.
  void erase(u64 index) { tables.erase(tables.begin() + static_cast<std::ptrdiff_t>(index)); }
};

// What a merge into a level takes along: see Manifest::merge_range().
struct MergeModel {
  u64 growth = 0;
  u64 coalescing_percent = 0;
  u64 values_max = 0;  // Of a table.

  LevelModel::Overlap range(const LevelModel& level, const std::vector<u64>& values,
                            const LevelModel::Span& span, u64 values_above) const;
};

}  // namespace tonearm::sim
