// Compaction as the forest drives it: what moves, what merges, what is dropped, how it is paced.
#include "forest/compaction_schedule.h"

#include <algorithm>

#include "forest/test_forest.h"

namespace tonearm {

namespace {

// Ops of four puts of consecutive keys from `from` on.
void fill(TestForest& forest, u64 from, u64 count, u64 payload) {
  for (u64 i = 0; i < count; ++i) {
    REQUIRE(forest.put(from + i, payload) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
}

u64 tombstones_on_disk(TestForest& forest, u32 tree) {
  u64 count = 0;
  for (u32 level = 0; level < 4; ++level) {
    for (u64 i = 0; i < forest.level_count(tree, level); ++i) {
      count += forest.tree(tree).manifest().level(level).at(i).value_count;
    }
  }
  return count - forest.model(tree).size();
}

}  // namespace

TEST_CASE("compaction: tables that overlap nothing move down without a block written") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  fill(forest, 0, 16 * 12, 1);
  CHECK(marks[Mark::table_moved] >= 6);
  CHECK(marks[Mark::merge_into_level1] == 0);
  CHECK(marks[Mark::merge_into_deeper] == 0);
  CHECK(forest.level_count(kv, 1) + forest.level_count(kv, 2) >= 4);
  forest.check_all(200, true);
}

TEST_CASE("compaction: an index whose entries all go leaves nothing") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  for (u64 i = 0; i < 16; ++i) {
    REQUIRE(forest.index_put(i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commits(16);
  u64 tables = 0;
  for (u32 level = 0; level < 4; ++level) tables += forest.level_count(index_tree, level);
  REQUIRE(tables >= 1);
  for (u64 i = 0; i < 16; ++i) {
    REQUIRE(forest.index_remove(i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commits(16);
  tables = 0;
  for (u32 level = 0; level < 4; ++level) tables += forest.level_count(index_tree, level);
  CHECK(tables == 0);
  CHECK(marks[Mark::merge_to_nothing] >= 1);
  CHECK(marks[Mark::merge_annihilated] >= 1);
  forest.check_all(40, false);
}

TEST_CASE("compaction: a tombstone goes only when nothing deeper overlaps") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  SECTION("nothing deeper: a removal of what was never there is gone with the flush") {
    for (u64 i = 0; i < 8; ++i) {
      REQUIRE(forest.remove(100 + i) == PutResult::ok);
      if (i % 4 == 3) forest.commits(1);
    }
    forest.commits(16);
    CHECK(marks[Mark::tombstone_dropped] >= 1);
    CHECK(marks[Mark::tombstone_kept] == 0);
    CHECK(forest.level_count(kv, 0) == 0);
  }
  SECTION("a deeper table: it is kept, and the old value stays hidden") {
    // Level 0 gives its tables away when there are too many.
    for (u64 round = 0; round < 8; ++round) fill(forest, 0, 16 * 4, round);
    forest.commits(16);
    REQUIRE(forest.level_count(kv, 1) + forest.level_count(kv, 2) >= 1);
    marks.reset();
    for (u64 i = 0; i < 64; i += 4) {
      REQUIRE(forest.remove(i) == PutResult::ok);
      if (i % 16 == 12) forest.commits(1);
    }
    forest.commits(16);
    CHECK(marks[Mark::tombstone_kept] >= 1);
    CHECK(tombstones_on_disk(forest, kv) > 0);
    forest.check_all(70, true);
  }
}

TEST_CASE("compaction: its work is spread over the beats") {
  ForestOptions options = test_options();
  options.format.beats = 8;
  options.format.checkpoint_interval = 16;
  options.format.batch_values_max = 2;
  MarkCounter marks;
  TestForest forest(options);
  forest.begin();
  std::array<u64, 8> writes{};
  for (u64 op = 1; op <= 400; ++op) {
    for (u64 i = 0; i < 2; ++i) REQUIRE(forest.put((op * 7 + i * 31) % 61, op) == PutResult::ok);
    const u64 before = forest->grid().counters().writes;
    const u64 checkpoint_before = forest->checkpoint_op();
    forest.commits(1);
    if (forest->checkpoint_op() == checkpoint_before)
      writes[op % 8] += forest->grid().counters().writes - before;
  }
  CHECK(marks[Mark::compaction_suspended] > 100);
  for (u32 half = 0; half < 2; ++half) {
    u64 sum = 0;
    for (u32 beat = 0; beat < 4; ++beat) sum += writes[4 * half + beat];
    for (u32 beat = 0; beat < 3; ++beat) {
      INFO("half " << half << " beat " << beat << ": " << writes[4 * half + beat] << " of " << sum);
      CHECK(writes[4 * half + beat] * 10 > sum);
      CHECK(writes[4 * half + beat] * 5 < sum * 2);
    }
  }
  forest.check_all(64, false);
}

TEST_CASE("compaction: levels stay within their limits under random work") {
  for (const u32 budget : {6U, 20U}) {
    ForestOptions options = test_options();
    options.runtime.compaction_blocks = budget;
    MarkCounter marks;
    TestForest forest(options);
    forest.begin();
    for (u64 op = 1; op <= 300; ++op) {
      random_op(forest, 11, 80, 25);
      forest.commits(1);
      if (op % 4 != 3) continue;
      forest->assert_between_bars();
      for (u32 tree = 0; tree < 2; ++tree) {
        for (u32 level = 0; level < 4; ++level) {
          CHECK(forest.level_count(tree, level) <= level_tables_max(options.format, level));
        }
      }
    }
    forest.check_all(80, true);
    for (const Mark mark : {Mark::merge_into_level0, Mark::merge_into_level1, Mark::merge_into_deeper,
                            Mark::merge_superseded, Mark::merge_annihilated, Mark::table_boundary,
                            Mark::tombstone_dropped, Mark::tombstone_kept, Mark::free_set_reused}) {
      INFO(mark_name(mark));
      CHECK(marks[mark] > 0);
    }
    CHECK((marks[Mark::compaction_budget_min] > 0) == (budget == compaction_blocks_min));
  }
}

TEST_CASE("compaction: blocks are given back") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  u64 early = 0;
  for (u64 op = 1; op <= 800; ++op) {
    random_op(forest, 12, 60, 20);
    forest.commits(1);
    const u64 acquired = forest->grid().free_set().count_acquired();
    if (op <= 200) {
      early = std::max(early, acquired);
    } else {
      REQUIRE(acquired <= 2 * early);
    }
  }
  CHECK(forest->grid().counters().writes > 10 * early);
  CHECK(marks[Mark::free_set_reused] > 0);
  forest.check_all(60, true);
}

}  // namespace tonearm
