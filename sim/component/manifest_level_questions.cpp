// What the lines of the workload `manifest_level` ask, and the comparisons with the model.
#include <iterator>
#include <utility>

#include "sim/component/manifest_level.h"

namespace tonearm::sim {

namespace {

constexpr u64 valid_tables = 128;  // Of larger levels order is not checked after every line.
constexpr u64 walk_steps = 100;

}  // namespace

// In, at the ends of or beside the table at this place of the level, or anywhere on the line.
u64 ManifestLevelComponent::point_at(u64 place, u64 off) const {
  const LevelModel& model = levels_[level_];
  const u64 last = line_.count() - 1;
  if (off == 5 || model.tables.empty()) return place * last / place_whole;
  const Table& table = model.tables[place * model.count() / (place_whole + 1)];
  switch (off) {
    case 0: return table.min == 0 ? 0 : table.min - 1;
    case 1: return table.min;
    case 2: return table.min + (table.max - table.min) / 2;
    case 3: return table.max;
    default: return std::min(table.max + 1, last);
  }
}

LevelModel::Span ManifestLevelComponent::span_at(u64 place, u64 width) const {
  const u64 begin = point_at(place, place % 6);
  return {.min = begin, .max = std::min(begin + width, line_.count() - 1)};
}

void ManifestLevelComponent::choose() {
  if (!find_level(&ManifestLevelComponent::has_table_above)) return;
  const u64 count = model().count();
  const u64 expected = model().least_overlap(levels_[level_ + 1]);
  const u64 index = table_with_least_overlap(level(), manifest_->level(level_ + 1));
  referee_->answer(index);
  check(index == expected, "choose: another table overlaps least", [&] {
    return fmt::format("table {} of level {} has the least overlap, expected table {}", index, level_,
                       expected);
  });
  const bool full = count >= level_tables_max(format_, level_);
  compare_table(level_, manifest_->compaction_table(level_), full ? std::optional(expected) : std::nullopt,
                "choose: another table is compacted");
}

void ManifestLevelComponent::get(u64 place, u64 off) {
  const u64 point = point_at(place, off);
  for (u32 i = 0; i < format_.levels; ++i) {
    compare_table(i, manifest_->lookup(i, line_.key(point)), levels_[i].find(point), "get: another table");
  }
}

void ManifestLevelComponent::next(u64 place, u64 width, u64 from) {
  const Span span = span_at(place, width);
  const LevelModel::Overlap within = model().overlapping(span);
  std::optional<u64> exclusive;
  switch (from) {
    case 0: break;
    case 1: exclusive = span.min == 0 ? 0 : span.min - 1; break;
    case 2: exclusive = span.min; break;
    case 3: exclusive = span.max; break;
    case 4: exclusive = std::min(span.max + 1, line_.count() - 1); break;
    case 5: exclusive = span.min + (span.max - span.min) / 2; break;
    case 6: exclusive = within.count == 0 ? 0 : model().tables[within.first].max; break;
    default: exclusive = within.count == 0 ? span.max : model().tables[within.first + within.count - 1].min;
  }
  const Key key = line_.key(exclusive.value_or(0));
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    const TableInfo* table = level().next(keys(span), exclusive ? &key : nullptr, direction);
    compare_table(level_, table, model().next(span, exclusive, direction), "next: another table");
  }
}

void ManifestLevelComponent::overlap(const Span& span) {
  for (u32 i = 0; i < format_.levels; ++i) {
    compare_overlap(manifest_->level(i).overlapping(keys(span)), levels_[i].overlapping(span),
                    "overlap: other tables");
  }
}

void ManifestLevelComponent::merge(u64 place, u64 width, u64 values) {
  const Span span = span_at(place, width);
  const u64 count = 1 + values * (merge_.values_max - 1) / place_whole;
  const LevelModel::Overlap expected = merge_.range(model(), values_, span, count);
  bool coalesced = false;
  const ManifestLevel::Overlap given = manifest_->merge_range(level_, keys(span), count, merge_.values_max,
                                                              format_.coalescing_percent, &coalesced);
  compare_overlap(given, expected, "merge: other tables");
  check(coalesced == (expected.count > model().overlapping(span).count), "merge: coalesced or not", [&] {
    return fmt::format("a merge of {} values over {} of level {}: coalesced is {}", count, text(span), level_,
                       coalesced);
  });
}

void ManifestLevelComponent::drop(const Span& span) {
  for (u32 target = 0; target < format_.levels; ++target) {
    bool expected = true;
    for (u32 i = target + 1; i < format_.levels; ++i) expected &= levels_[i].overlapping(span).count == 0;
    const bool given = manifest_->must_drop_tombstones(target, keys(span));
    referee_->answer(target, given ? 1 : 0);
    check(given == expected, "drop: wrong decision on tombstones", [&] {
      return fmt::format("tombstones of {} merged into level {}: {}, expected {}", text(span), target,
                         given ? "dropped" : "kept", expected ? "dropped" : "kept");
    });
  }
}

void ManifestLevelComponent::walk(const Span& span) {
  compare_level(level(), model(), level_, "walk: another level");
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    std::optional<u64> exclusive;
    for (u64 step = 0; step < walk_steps; ++step) {
      const Key key = line_.key(exclusive.value_or(0));
      const TableInfo* table = level().next(keys(span), exclusive ? &key : nullptr, direction);
      const std::optional<u64> expected = model().next(span, exclusive, direction);
      compare_table(level_, table, expected, "walk: another table");
      if (!expected) break;
      const Table& at = model().tables[*expected];
      exclusive = direction == Direction::ascending ? at.max : at.min;
    }
  }
}

// As at open, where tables come in any order and the log is not told. An open level has no table more than
// its limit, as one may have within a bar; and whatever the log says, tables that overlap are refused.
void ManifestLevelComponent::rebuild(u64 order) {
  std::vector<std::pair<u64, u64>> shuffled;
  for (u64 i = 0; i < model().count(); ++i) shuffled.emplace_back(random_.at(order, i), i);
  std::sort(shuffled.begin(), shuffled.end());
  Arena arena(spare_);
  NodePool pool(arena, nodes_max(), node_size());
  Manifest manifest(pool, *log_, arena, format_, blocks_, tree_id);
  LevelModel expected;
  for (const auto& [random, index] : shuffled) {
    const ManifestEvent event = random % 2 == 0 ? ManifestEvent::insert : ManifestEvent::update;
    const bool full = expected.count() == level_tables_max(format_, level_);
    open_hostile(manifest, expected, random);
    const char* reason = manifest.open_table(info(level_, model().tables[index], event));
    check((reason != nullptr) == full, "rebuild: another table is refused", [&] {
      return fmt::format("table {} of level {}: {}", index, level_, reason == nullptr ? "opened" : reason);
    });
    if (!full) expected.insert(model().tables[index]);
  }
  compare_level(manifest.level(level_), expected, level_, "rebuild: another level");
}

// A table that touches one that is open: at an end, within, all around.
void ManifestLevelComponent::open_hostile(Manifest& manifest, const LevelModel& open, u64 random) {
  if (open.tables.empty()) return;
  const Table& other = open.tables[below(remix(random, 1), open.count())];
  const u64 last = line_.count() - 1;
  const Span spans[] = {{.min = other.min - std::min<u64>(other.min, 1), .max = other.min},
                        {.min = other.max, .max = std::min(other.max + 1, last)},
                        {.min = other.min + (other.max - other.min) / 2, .max = other.max},
                        {.min = 0, .max = last}};
  const Span& span = spans[below(remix(random, 2), std::size(spans))];
  TableInfo table = info(level_, other, ManifestEvent::insert);
  table.key_min = line_.key(span.min);
  table.key_max = line_.key(span.max);
  check(manifest.open_table(table) != nullptr, "rebuild: a table that overlaps is opened", [&] {
    return fmt::format("{} beside {}", text(span), text({other.min, other.max}));
  });
}

// --- Comparisons.

void ManifestLevelComponent::compare_counts() {
  u64 total = 0;
  u64 nodes = 0;
  std::optional<Span> range;
  for (u32 i = 0; i < format_.levels; ++i) {
    const ManifestLevel& level = manifest_->level(i);
    const std::vector<Table>& tables = levels_[i].tables;
    total += tables.size();
    nodes += level.tables().node_count();
    check(level.count() == tables.size(), "another number of tables", [&] {
      return fmt::format("level {} has {} tables, expected {}", i, level.count(), tables.size());
    });
    if (tables.size() <= valid_tables || lines_ % 64 == 0) level.assert_valid();
    if (tables.empty()) continue;
    if (!range) range = {.min = tables.front().min, .max = tables.back().max};
    range = {.min = std::min(range->min, tables.front().min), .max = std::max(range->max, tables.back().max)};
  }
  ASSERT(total == total_);
  const u64 logged = log_->table_count();
  check(manifest_->table_count() == total && logged == total, "another number of tables in all", [&] {
    return fmt::format("{} tables and {} in the log, expected {}", manifest_->table_count(), logged, total);
  });
  check(pool_->count_acquired() == nodes, "nodes leak", [&] {
    return fmt::format("{} nodes are acquired, the levels have {}", pool_->count_acquired(), nodes);
  });
  const std::optional<KeyRange> given = manifest_->key_range();
  const bool equal = given.has_value() == range.has_value() &&
                     (!range || (given->min == keys(*range).min && given->max == keys(*range).max));
  check(equal, "another key range", [&] {
    return fmt::format("the key range of all levels is wrong, expected {}", range ? text(*range) : "none");
  });
}

void ManifestLevelComponent::compare_table(u32 level, const TableInfo* given, std::optional<u64> expected,
                                           const char* site) {
  referee_->answer(level, given == nullptr ? 0 : given->address);
  bool equal = (given != nullptr) == expected.has_value();
  if (equal && expected) equal = *given == info(level, levels_[level].tables[*expected]);
  if (equal) return referee_->check(true, site, {});
  const std::string was = given == nullptr ? "no table" : fmt::format("the table at {}", given->address);
  std::string wanted = "none";
  if (expected) {
    const Table& table = levels_[level].tables[*expected];
    wanted = fmt::format("table {} of it, {} at {}", *expected, text({table.min, table.max}), table.address);
  }
  check(false, site, [&] { return fmt::format("level {}: {}, expected {}", level, was, wanted); });
}

void ManifestLevelComponent::compare_overlap(const ManifestLevel::Overlap& given,
                                             const LevelModel::Overlap& expected, const char* site) {
  referee_->answer(given.first, given.count);
  const KeyRange range = keys(expected.span);
  const bool equal = given.first == expected.first && given.count == expected.count &&
                     given.range.min == range.min && given.range.max == range.max;
  check(equal, site, [&] {
    return fmt::format("tables {} and {} more, expected {} and {} more with the range {}", given.first,
                       given.count, expected.first, expected.count, text(expected.span));
  });
}

void ManifestLevelComponent::compare_level(const ManifestLevel& level, const LevelModel& model, u32 index,
                                           const char* site) {
  u64 at = 0;
  for (ManifestLevel::Tables::Cursor cursor = level.tables().cursor(); !cursor.end(); cursor.next(), ++at) {
    const bool equal = at < model.count() && cursor.get() == info(index, model.tables[at]);
    if (!equal) {
      check(false, site, [&] {
        return fmt::format("level {}: table {} of {} is not the one expected", index, at, model.count());
      });
    }
  }
  check(at == model.count(), site,
        [&] { return fmt::format("level {} ends after {} tables, expected {}", index, at, model.count()); });
  referee_->answer(at);
}

}  // namespace tonearm::sim
