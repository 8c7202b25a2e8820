// Random levels against a map and brute force.
#include "tree/manifest_level.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

constexpr u64 tables_max = 400;

TableInfo table_of(u64 min, u64 max) {
  TableInfo table{};
  table.key_min = Key::of(min);
  table.key_max = Key{.lo = max, .hi = 0};
  table.address = min + 1;
  table.snapshot_min = 1;
  table.snapshot_max = snapshot_max_live;
  table.value_count = 1;
  table.tree_id = 1;
  return table;
}

KeyRange range_of(u64 min, u64 max) { return {.min = Key::of(min), .max = Key::of(max)}; }

struct Level {
  explicit Level(u64 limit = tables_max)
      : arena(size(limit)), pool(*arena, ManifestLevel::nodes_max(limit)), level(pool, *arena, limit) {
    REQUIRE(arena.exhausted());
  }
  static u64 size(u64 limit) {
    Arena measure;
    NodePool::measure(measure, ManifestLevel::nodes_max(limit));
    ManifestLevel::measure(measure, limit);
    return measure.used();
  }
  ManifestLevel* operator->() { return &level; }

  TestArena arena;
  NodePool pool;
  ManifestLevel level;
};

// What a level should answer, by looking at every table.
class Model {
 public:
  Model(u32 seed, u64 keys) : random_(seed), keys_(keys) {}

  bool insert(ManifestLevel& level) {
    const u64 min = random_() % keys_;
    const u64 max = std::min(keys_ - 1, min + random_() % 6);
    for (const auto& [key, table] : tables) {
      if (table.range().overlaps(range_of(min, max))) return false;
    }
    tables[min] = table_of(min, max);
    level.insert(tables[min]);
    return true;
  }
  void remove(ManifestLevel& level) {
    if (tables.empty()) return;
    const auto at = std::next(tables.begin(), static_cast<std::ptrdiff_t>(random_() % tables.size()));
    level.remove(at->second);
    tables.erase(at);
  }

  const TableInfo* find(u64 key) const {
    for (const auto& [min, table] : tables) {
      if (table.range().contains(Key::of(key))) return &table;
    }
    return nullptr;
  }
  const TableInfo* next(const KeyRange& range, const Key* exclusive, Direction direction) const {
    const TableInfo* best = nullptr;
    for (const auto& [min, table] : tables) {
      if (!table.range().overlaps(range)) continue;
      if (direction == Direction::ascending) {
        if (exclusive != nullptr && !(table.key_min > *exclusive)) continue;
        if (best == nullptr) best = &table;
      } else {
        if (exclusive != nullptr && !(table.key_max < *exclusive)) continue;
        best = &table;
      }
    }
    return best;
  }

  void compare(const ManifestLevel& level) {
    level.assert_valid();
    REQUIRE(level.count() == tables.size());
    const u64 key = random_() % keys_;
    const u64 other = std::min(keys_ - 1, key + random_() % 40);
    const KeyRange range = range_of(key, other);
    const Key exclusive = Key::of(random_() % keys_);
    REQUIRE(same(level.find(Key::of(key)), find(key)));
    for (const Direction direction : {Direction::ascending, Direction::descending}) {
      REQUIRE(same(level.next(range, nullptr, direction), next(range, nullptr, direction)));
      REQUIRE(same(level.next(range, &exclusive, direction), next(range, &exclusive, direction)));
    }
    const ManifestLevel::Overlap overlap = level.overlapping(range);
    KeyRange all = range;
    u32 count = 0;
    u64 before = 0;
    for (const auto& [min, table] : tables) {
      before += table.key_max < range.min ? 1 : 0;
      if (!table.range().overlaps(range)) continue;
      all.include(table.range());
      ++count;
    }
    REQUIRE(overlap.count == count);
    REQUIRE(overlap.first == before);
    REQUIRE((overlap.range.min == all.min && overlap.range.max == all.max));
    if (tables.empty()) return;
    REQUIRE(level.range().min == tables.begin()->second.key_min);
    REQUIRE(level.range().max == tables.rbegin()->second.key_max);
  }

  std::map<u64, TableInfo> tables;

 private:
  static bool same(const TableInfo* a, const TableInfo* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return *a == *b;
  }
  std::mt19937 random_;
  u64 keys_;
};

u64 least_overlap_by_force(const Model& a, const Model& b) {
  u64 best = 0;
  u64 best_count = u64_max;
  u64 index = 0;
  for (const auto& [min, table] : a.tables) {
    u64 count = 0;
    for (const auto& [min_b, other] : b.tables) count += table.range().overlaps(other.range()) ? 1 : 0;
    if (count < best_count) best = index, best_count = count;
    ++index;
  }
  return best;
}

}  // namespace

TEST_CASE("a level answers as a map of its tables would", "[manifest_level]") {
  for (const u64 keys : {20U, 300U, 4000U}) {
    for (u32 seed = 0; seed < 3; ++seed) {
      Level level;
      Model model(seed, keys);
      std::mt19937 random(seed + 100);
      for (u32 step = 0; step < 1500; ++step) {
        const bool grow = (step / 500) % 2 == 0;
        if (random() % 10 < (grow ? 8U : 3U)) {
          if (model.tables.size() < tables_max) model.insert(level.level);
        } else {
          model.remove(level.level);
        }
        model.compare(level.level);
      }
      while (!model.tables.empty()) model.remove(level.level);
      REQUIRE(level->empty());
      REQUIRE(level.pool.count_acquired() == 0);
    }
  }
}

TEST_CASE("iteration visits every overlapping table once, both ways", "[manifest_level]") {
  Level level;
  for (u64 i = 0; i < 200; ++i) level->insert(table_of(10 * i, 10 * i + 4));
  for (const auto& [min, max] : {std::pair<u64, u64>{0, 1999}, {5, 9}, {7, 30}, {4, 1990}, {1995, 3000}}) {
    for (const Direction direction : {Direction::ascending, Direction::descending}) {
      std::vector<u64> visited;
      Key exclusive;
      const TableInfo* table = level->next(range_of(min, max), nullptr, direction);
      while (table != nullptr) {
        visited.push_back(static_cast<u64>(table->key_min.lo));
        exclusive = direction == Direction::ascending ? table->key_max : table->key_min;
        table = level->next(range_of(min, max), &exclusive, direction);
      }
      std::vector<u64> expected;
      for (u64 i = 0; i < 200; ++i) {
        if (10 * i <= max && 10 * i + 4 >= min) expected.push_back(10 * i);
      }
      if (direction == Direction::descending) std::reverse(expected.begin(), expected.end());
      REQUIRE(visited == expected);
    }
  }
}

TEST_CASE("tables outside the range on the near side are not the end", "[manifest_level]") {
  Level level;
  level->insert(table_of(10, 20));
  level->insert(table_of(30, 40));
  level->insert(table_of(50, 60));
  // Ascending, the exclusive key lies before the range; descending, behind it.
  const Key low = Key::of(5);
  const Key high = Key::of(70);
  REQUIRE(level->next(range_of(35, 35), &low, Direction::ascending)->key_min == Key::of(30));
  REQUIRE(level->next(range_of(35, 35), &high, Direction::descending)->key_min == Key::of(30));
  REQUIRE(level->next(range_of(41, 49), nullptr, Direction::ascending) == nullptr);
  REQUIRE(level->next(range_of(41, 49), nullptr, Direction::descending) == nullptr);
  // A table that holds the exclusive key was visited already.
  const Key inside = Key::of(35);
  REQUIRE(level->next(range_of(0, 99), &inside, Direction::ascending)->key_min == Key::of(50));
  REQUIRE(level->next(range_of(0, 99), &inside, Direction::descending)->key_min == Key::of(10));
}

TEST_CASE("the union of overlapping tables reaches beyond the range", "[manifest_level]") {
  Level level;
  for (u64 i = 0; i < 5; ++i) level->insert(table_of(10 * i, 10 * i + 6));
  const ManifestLevel::Overlap overlap = level->overlapping(range_of(15, 31));
  REQUIRE(overlap.first == 1);
  REQUIRE(overlap.count == 3);
  REQUIRE(overlap.range.min == Key::of(10));
  REQUIRE(overlap.range.max == Key::of(36));
  const ManifestLevel::Overlap none = level->overlapping(range_of(17, 19));
  REQUIRE(none.first == 2);
  REQUIRE(none.count == 0);
  REQUIRE((none.range.min == Key::of(17) && none.range.max == Key::of(19)));
}

TEST_CASE("the table with the least overlap is the first of the best", "[manifest_level]") {
  for (u32 seed = 0; seed < 60; ++seed) {
    const u64 keys = 40 + 20 * seed;
    Level level_a;
    Level level_b;
    Model a(seed, keys);
    Model b(seed + 1000, keys);
    for (u32 i = 0; i < 3 + seed; ++i) a.insert(level_a.level);
    for (u32 i = 0; i < 4 * seed; ++i) b.insert(level_b.level);
    REQUIRE(table_with_least_overlap(level_a.level, level_b.level) == least_overlap_by_force(a, b));
  }
}

TEST_CASE("a level refuses tables that overlap, and removals of others", "[manifest_level]") {
  Level level;
  level->insert(table_of(10, 20));
  for (const auto& [min, max] : {std::pair<u64, u64>{20, 25}, {0, 10}, {12, 13}, {0, 99}}) {
    REQUIRE(sim::dies([&, table = table_of(min, max)] { level->insert(table); }));
  }
  level->insert(table_of(21, 25));
  level->insert(table_of(9, 9));
  REQUIRE(level->count() == 3);
  TableInfo other = table_of(10, 20);
  other.address = 7;
  REQUIRE(sim::dies([&] { level->remove(other); }));
  REQUIRE(sim::dies([&] { level->remove(table_of(10, 19)); }));
  REQUIRE(sim::dies([&] { level->remove(level->at(0)); }));
}

}  // namespace tonearm
