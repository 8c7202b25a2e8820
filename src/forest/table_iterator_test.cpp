#include "forest/table_iterator.h"

#include "forest/test_blocks.h"

namespace tonearm {

namespace {

std::vector<TableInfo> tables_between(const Forest& forest, const ForestTableIterator::Position& from,
                                      std::optional<ForestTableIterator::Position> end) {
  std::vector<TableInfo> tables;
  ForestTableIterator iterator =
      end ? ForestTableIterator(forest, from, *end) : ForestTableIterator(forest, from);
  while (const TableInfo* table = iterator.next()) tables.push_back(*table);
  CHECK(iterator.next() == nullptr);
  return tables;
}

bool same_table(const TableInfo& a, const TableInfo& b) { return a.index_block() == b.index_block(); }

bool contains(const std::vector<TableInfo>& tables, const TableInfo& table) {
  return std::any_of(tables.begin(), tables.end(),
                     [&](const TableInfo& at) { return same_table(at, table); });
}

}  // namespace

TEST_CASE("all tables of all trees: by level, tree and key") {
  TestForest forest(test_options());
  forest.begin();
  CHECK(tables_between(*forest, {}, {}).empty());
  for (u64 op = 0; op < 200; ++op) {
    random_op(forest, 3, 150, 30);
    forest.commits(1);
  }
  std::vector<TableInfo> expected;
  for (u32 level = 0; level < 4; ++level) {
    for (u32 tree = 0; tree < 2; ++tree) {
      const ManifestLevel& tables = forest.tree(tree).manifest().level(level);
      for (u64 i = 0; i < tables.count(); ++i) expected.push_back(tables.at(i));
    }
  }
  REQUIRE(expected.size() == forest->manifest_log().table_count());
  REQUIRE(expected.size() > 15);
  CHECK(tables_between(*forest, {}, {}) == expected);

  // Cut anywhere, both parts are the whole.
  for (u64 n = 0; n < 2 * expected.size(); ++n) {
    const ForestTableIterator::Position origin = ForestTableIterator::position_of(*forest, n);
    std::vector<TableInfo> tables = tables_between(*forest, {}, origin);
    CHECK(tables.size() == n % expected.size());
    for (const TableInfo& table : tables_between(*forest, origin, {})) tables.push_back(table);
    CHECK(tables == expected);
  }
}

TEST_CASE("while levels change, no table that stays is left out") {
  MarkCounter marks;
  u64 sunk = 0;
  u64 gone = 0;
  u64 stayed = 0;
  for (u64 seed = 1; seed <= 48; ++seed) {
    TestForest forest(roomy_options());
    forest.begin();
    for (u64 op = 0; op < 100 + 10 * seed; ++op) {
      random_op(forest, seed, 200, 20);
      forest.commits(1);
    }
    const std::vector<TableInfo> before = tables_between(*forest, {}, {});
    std::vector<TableInfo> met;
    ForestTableIterator iterator(*forest, ForestTableIterator::Position{});
    const u64 pace = 1 + seed % 4;  // Tables between two ops.
    while (const TableInfo* table = iterator.next()) {
      CHECK(table->tree_id == forest.tree(iterator.tree()).config().id);
      if (!met.empty()) CHECK(table->level() >= met.back().level());
      met.push_back(*table);
      REQUIRE(met.size() < 1000);
      if (met.size() % pace != 0) continue;
      random_op(forest, seed, 200, 20);
      forest.commits(1);
    }
    const std::vector<TableInfo> after = tables_between(*forest, {}, {});
    for (const TableInfo& table : before) {
      if (!contains(after, table)) {
        ++gone;
        continue;
      }
      ++stayed;
      INFO("seed " << seed << " table " << table.address);
      CHECK(contains(met, table));
      const auto now = std::find_if(after.begin(), after.end(),
                                    [&](const TableInfo& at) { return same_table(at, table); });
      sunk += now->level() > table.level() ? 1 : 0;
    }
  }
  CHECK(stayed > 50);
  CHECK(gone > 20);
  CHECK(sunk > 5);
  CHECK(marks[Mark::table_moved] > 0);
}

}  // namespace tonearm
