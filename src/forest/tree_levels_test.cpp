// Lookups and scans of a tree with levels on disk, which only a forest can give it.
#include <algorithm>

#include "forest/test_forest.h"
#include "sim/disk/death.h"

namespace tonearm {

TEST_CASE("a value is found wherever it has sunk") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  REQUIRE(forest.put(5, 50) == PutResult::ok);
  REQUIRE(forest.put(6, 60) == PutResult::ok);
  REQUIRE(forest.remove(6) == PutResult::ok);

  // Mutable table.
  CHECK(forest.tree(kv).lookup_from_memory(Key::of(5)) != nullptr);
  CHECK(forest.get(kv, 5, true) == 50);
  CHECK(forest.get(kv, 6, false) == std::nullopt);
  CHECK(marks[Mark::lookup_memory] > 0);
  CHECK(marks[Mark::lookup_immutable] == 0);

  // Immutable table: ops 1..3 are the first bar.
  forest.commit_to(3);
  CHECK(forest.get(kv, 5, true) == 50);
  CHECK(marks[Mark::lookup_immutable] > 0);

  // On disk: flushed in the second half of the bar that ends with the checkpoint's trigger.
  forest.commit_to(11);
  REQUIRE(forest.level_count(kv, 0) == 1);
  CHECK(marks[Mark::flush_forced] > 0);
  CHECK(forest.tree(kv).lookup_from_memory(Key::of(5)) == nullptr);
  CHECK(forest.tree(kv).lookup_from_levels_cache(Key::of(5)).kind == Tree::CacheLookup::Kind::positive);
  CHECK(forest.get(kv, 5, false) == 50);
  CHECK(marks[Mark::lookup_cache] > 0);
  CHECK(marks[Mark::lookup_storage] == 0);
  const u64 read_before = forest->grid().counters().reads_storage;
  CHECK(forest.get(kv, 5, true) == 50);
  CHECK(forest->grid().counters().reads_storage == read_before + 2);  // Its index block and its value block.
  CHECK(marks[Mark::lookup_storage] == 1);

  // After an open nothing is cached; a lookup fills the cache on its way.
  REQUIRE_FALSE(forest.reopen());
  CHECK(forest.tree(kv).lookup_from_levels_cache(Key::of(5)).kind == Tree::CacheLookup::Kind::possible);
  CHECK(forest.get(kv, 5, false) == 50);
  CHECK(forest.tree(kv).lookup_from_levels_cache(Key::of(5)).kind == Tree::CacheLookup::Kind::positive);
}

TEST_CASE("the newest version wins, whichever levels hold the others") {
  TestForest forest(test_options());
  forest.begin();
  // Key 7 in every round, among others that push it down.
  for (u64 round = 1; round <= 12; ++round) {
    for (u64 op = 0; op < 4; ++op) {
      REQUIRE(forest.put(op == 0 ? 7 : 100 + round * 4 + op, round) == PutResult::ok);
      for (u64 i = 0; i < 3; ++i) {
        REQUIRE(forest.put(200 + (round * 12 + op * 3 + i) * 29 % 100, round) == PutResult::ok);
      }
      forest.commits(1);
      CHECK(forest.get(kv, 7, op % 2 == 0) == round);
    }
  }
  REQUIRE(forest.remove(7) == PutResult::ok);
  for (u64 op = 0; op < 24; ++op) {
    CHECK(forest.get(kv, 7, true) == std::nullopt);
    CHECK(forest.get(kv, 7, false) == std::nullopt);
    forest.commits(1);
  }
}

TEST_CASE("keys outside the range, in gaps and next to others are absent") {
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  for (u64 i = 0; i < 64; ++i) {
    REQUIRE(forest.put(100 + 10 * i, i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commits(12);
  REQUIRE(forest.tree(kv).key_range());
  CHECK(forest.tree(kv).key_range()->min == Key::of(100));
  CHECK(forest.tree(kv).key_range()->max == Key::of(730));
  for (const bool cold : {false, true}) {
    for (u64 key = 95; key < 740; ++key) {
      const bool present = key >= 100 && key <= 730 && key % 10 == 0;
      REQUIRE(forest.get(kv, key, cold).has_value() == present);
    }
  }
  CHECK(marks[Mark::key_range_excluded] > 0);
  CHECK(marks[Mark::lookup_gap_index] > 0);
  // Still there after an open, from the levels alone.
  REQUIRE_FALSE(forest.reopen());
  CHECK(forest.tree(kv).key_range()->min == Key::of(100));
}

TEST_CASE("several lookups in flight at once") {
  TestForest forest(test_options());
  forest.begin();
  for (u64 i = 0; i < 64; ++i) {
    REQUIRE(forest.put(2 * i, i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commit_to(27);
  REQUIRE_FALSE(forest.reopen());
  struct Asked {
    Tree::Lookup lookup;
    u32 done = 0;
    void finished(Tree::Lookup&) { ++done; }
  };
  MarkCounter marks;
  std::vector<std::unique_ptr<Asked>> all;
  for (u64 key = 0; key < 16; ++key) {
    all.push_back(std::make_unique<Asked>());
    Asked& asked = *all.back();
    asked.lookup.key = Key::of(key);
    asked.lookup.done = Callback<Tree::Lookup&>::to<&Asked::finished>(&asked);
    forest.tree(kv).lookup_from_levels_storage(asked.lookup);
    CHECK(asked.done == 0);
  }
  while (forest.storage().step()) {
  }
  for (u64 key = 0; key < 16; ++key) {
    INFO("key " << key);
    CHECK(all[key]->done == 1);
    CHECK(all[key]->lookup.found == (key % 2 == 0));
  }
  CHECK(marks[Mark::grid_read_coalesced] > 0);
}

TEST_CASE("a scan returns what the model holds: any range, both ways, warm and cold") {
  constexpr u64 universe = 120;
  MarkCounter marks;
  TestForest forest(test_options());
  forest.begin();
  const sim::Stream stream("range", 9);
  u64 rows = 0;
  for (u64 op = 1; op <= 240; ++op) {
    // The keys of a half are left alone for a while, so that tables get gaps.
    random_op(forest, 8, op % 60 < 30 ? universe : universe / 2, 35);
    if (op % 3 == 0) {
      for (u32 i = 0; i < 4; ++i) {
        const u64 a = sim::below(stream.at(op, 2 * i), universe);
        const u64 b = std::min(universe, a + sim::below(stream.at(op, 2 * i + 1), i % 2 == 0 ? 4 : universe));
        const u32 tree = i / 2;
        const Direction direction =
            stream.at(op, 50 + i) % 2 == 0 ? Direction::ascending : Direction::descending;
        INFO("op " << op << " tree " << tree << " from " << a << " to " << b);
        const TestForest::Rows found = forest.scan(tree, a, b, direction, op % 2 == 0);
        REQUIRE(found == forest.expected(tree, a, b, direction));
        rows += found.size();
      }
    }
    forest.commits(1);
  }
  CHECK(rows > 1000);
  for (const Mark mark :
       {Mark::scan_across_tables, Mark::scan_merge_versions, Mark::scan_tombstone, Mark::scan_table_gap}) {
    INFO(mark_name(mark));
    CHECK(marks[mark] > 0);
  }
}

TEST_CASE("a scan that ends early reads no more than it needs") {
  TestForest forest(test_options());
  forest.begin();
  for (u64 i = 0; i < 64; ++i) {
    REQUIRE(forest.put(i, i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commit_to(27);
  REQUIRE_FALSE(forest.reopen());
  // Two values a block: one row costs an index and a value block of each level at most.
  CHECK(forest.scan(kv, 30, 30, Direction::ascending, true) == TestForest::Rows{{30, 30}});
  CHECK(forest->scan().blocks_read() <= 2 * 4);
  CHECK(forest.scan(kv, 64, 1000, Direction::descending, true).empty());
  CHECK(forest.scan(kv, 0, 63, Direction::ascending, true).size() == 64);
}

TEST_CASE("scans of both trees at once, one of them probed, each to its end") {
  TestForest forest(test_options());
  forest.begin();
  for (u64 op = 1; op <= 80; ++op) {
    random_op(forest, 3, 90, 20);
    forest.commits(1);
  }
  std::array<TreeScan, 4> scans;
  std::array<ScanBuffer*, 4> buffers{};
  std::array<TestForest::Rows, 4> rows;
  u32 pending = 0;
  const auto done = Callback<>::plain(&pending, [](void* count) { --*static_cast<u32*>(count); });
  const auto direction = [](u32 i) { return i < 2 ? Direction::ascending : Direction::descending; };
  for (u32 i = 0; i < 4; ++i) {
    buffers[i] = forest->scan_buffers().acquire();
    REQUIRE(buffers[i] != nullptr);
    Tree& tree = forest.tree(i % 2);
    scans[i].open(tree, *buffers[i], {.min = Key{}, .max = tree.kernel().key_max()}, direction(i), i != 3);
  }
  for (bool going_on = true; going_on;) {
    going_on = false;
    for (u32 i = 0; i < 4; ++i) {
      const std::byte* value = nullptr;
      switch (scans[i].next(&value)) {
        case TreeScan::Next::value: {
          const u128 key = forest.tree(i % 2).kernel().key_of(value).lo;
          u64 payload = 0;
          if (i % 2 == kv) std::memcpy(&payload, value + sizeof(u64), sizeof payload);
          rows[i].emplace_back(static_cast<u64>(i % 2 == kv ? key : key >> 64), payload);
          if (rows[i].size() == 3) scans[i].probe(TestForest::key_of(i % 2, 45));
          going_on = true;
          break;
        }
        case TreeScan::Next::read_again:
          ++pending;
          scans[i].read(done);
          going_on = true;
          break;
        case TreeScan::Next::end: break;
        case TreeScan::Next::failed: FAIL("nothing is damaged");
      }
    }
    while (pending > 0) REQUIRE(forest.storage().step());
  }
  for (u32 i = 0; i < 4; ++i) {
    INFO("scan " << i);
    TestForest::Rows wanted = forest.expected(i % 2, 0, 100, direction(i));
    REQUIRE(wanted.size() > 10);
    const auto passed = [&](const auto& row) { return i < 2 ? row.first < 45 : row.first > 45; };
    wanted.erase(std::remove_if(wanted.begin() + 3, wanted.end(), passed), wanted.end());
    CHECK(rows[i] == wanted);
    scans[i].close();
    forest->scan_buffers().release(*buffers[i]);
  }
  forest.commits(1);
}

TEST_CASE("while a scan is open no op ends and no scope begins") {
  TestForest forest(test_options());
  forest.begin();
  REQUIRE(forest.put(5, 50) == PutResult::ok);
  forest.commits(1);
  const auto compacts = [&] { forest->compact(forest->op() + 1, forest.callback()); };
  ScanBuffer& buffer = forest->scan_buffers().acquire_assume_capacity();
  CHECK(sim::dies(compacts));
  CHECK(sim::dies([&] { (void)forest->scope_open(); }));
  forest->scan_buffers().release(buffer);
  TreeScan& scan =
      forest->scan_open(forest.tree(kv), {.min = Key{}, .max = Key::of(9)}, Direction::ascending, true);
  CHECK(forest->scan_buffers().used() == 0);  // It has one of its own.
  CHECK(sim::dies(compacts));
  CHECK(sim::dies([&] { (void)forest->scope_open(); }));
  CHECK(sim::dies([&] { (void)forest.put(6, 60); }));
  scan.close();
  forest.commits(1);
  CHECK(forest.get(kv, 5, true) == 50);
}

TEST_CASE("a scope over levels: discarded changes were never there") {
  TestForest forest(test_options());
  forest.begin();
  for (u64 i = 0; i < 32; ++i) {
    REQUIRE(forest.put(i, i) == PutResult::ok);
    if (i % 4 == 3) forest.commits(1);
  }
  forest.commit_to(19);
  const auto before = forest.models();
  forest->scope_open();
  REQUIRE(forest.remove(3) == PutResult::ok);
  REQUIRE(forest.put(4, 400) == PutResult::ok);
  REQUIRE(forest.put(5000, 1) == PutResult::ok);
  CHECK(forest.get(kv, 3, false) == std::nullopt);
  CHECK(forest.get(kv, 4, true) == 400);
  forest->scope_close(ScopeMode::discard);
  forest.set_models(before);
  CHECK(forest.tree(kv).key_range()->max == Key::of(31));
  CHECK(forest.tree(kv).batch_left() == 4);
  forest.check_all(40, false);
  forest->scope_open();
  REQUIRE(forest.remove(3) == PutResult::ok);
  forest->scope_close(ScopeMode::persist);
  forest.check_all(40, true);
  forest.commits(20);
  forest.check_all(40, true);
}

}  // namespace tonearm
