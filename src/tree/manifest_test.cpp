#include "tree/manifest.h"

#include <catch2/catch.hpp>
#include <type_traits>

#include "sim/disk/death.h"
#include "tree/test_manifest.h"

namespace tonearm {

namespace {

constexpr u64 capacity = 100;  // Values of a table.

struct Fixture {
  explicit Fixture(u32 coalescing_percent = 50, u32 growth = 4)
      : options{.format = {.sector_size = 512,
                           .block_size = 1024,
                           .levels = 3,
                           .growth = growth,
                           .coalescing_percent = coalescing_percent},
                .blocks_count = 512,
                .trees = 1,
                .tables_max = growth + growth * growth},
        storage(512 * 1024),
        log(storage, options),
        arena(size(options)),
        pool(*arena, Manifest::nodes_max(options.format, options.blocks_count, 1)),
        manifest(pool, log.log, *arena, options.format, options.blocks_count, 1),
        percent(coalescing_percent) {
    REQUIRE(arena.exhausted());
    log.grid->free_set().open_empty();
    log.open({});
    storage.run();
    REQUIRE(log.done_count == 1);
  }
  static u64 size(const TestLogOptions& options) {
    Arena measure;
    NodePool::measure(measure, Manifest::nodes_max(options.format, options.blocks_count, 1));
    Manifest::measure(measure, options.format, options.blocks_count);
    return measure.used();
  }

  TableInfo table(u64 min, u64 max, u32 level = 0, u32 value_count = 10) {
    TableInfo table = test_table(++address, min, max, level);
    table.value_count = value_count;
    return table;
  }
  // As if the log had it.
  void add(u32 level, u64 min, u64 max, u32 value_count = 10) {
    TableInfo info = table(min, max, level, value_count);
    info.set_label(level, ManifestEvent::insert);
    REQUIRE(manifest.open_table(info) == nullptr);
  }

  void half_bar_begin() {
    REQUIRE(log->reserve());
    log->compact(log.callback());
    storage.run();
  }
  void half_bar_end() { log->compact_end(); }

  // As an output does within a bar, where a level may have one table more than its limit.
  void insert(u32 level, u64 min, u64 max, u32 value_count = 10) {
    half_bar_begin();
    manifest.insert_table(level, table(min, max, level, value_count));
    half_bar_end();
  }

  struct Flush {
    u64 first;
    u32 count;
    bool coalesced;
    u64 min;
    u64 max;
    friend bool operator==(const Flush&, const Flush&) = default;
  };
  Flush flush(u64 min, u64 max, u64 value_count, u32 level_b = 0) {
    bool coalesced = true;
    const ManifestLevel::Overlap overlap = manifest.merge_range(
        level_b, {.min = Key::of(min), .max = Key::of(max)}, value_count, capacity, percent, &coalesced);
    return {.first = overlap.first,
            .count = overlap.count,
            .coalesced = coalesced,
            .min = static_cast<u64>(overlap.range.min.lo),
            .max = static_cast<u64>(overlap.range.max.lo)};
  }
  bool must_drop(u32 level_b, u64 min, u64 max) {
    return manifest.must_drop_tombstones(level_b, {.min = Key::of(min), .max = Key::of(max)});
  }

  TestLogOptions options;
  TestStorage storage;
  TestLog log;
  TestArena arena;
  NodePool pool;
  Manifest manifest;
  u32 percent;
  u64 address = 0;
};

}  // namespace

static_assert(std::is_trivially_destructible_v<Manifest>);

TEST_CASE("a flush takes what overlaps in level 0", "[manifest]") {
  Fixture f;
  f.add(0, 10, 19, 60);
  f.add(0, 30, 39, 60);
  f.add(0, 50, 59, 60);
  REQUIRE(f.flush(0, 5, 60) == Fixture::Flush{0, 0, false, 0, 5});
  REQUIRE(f.flush(15, 34, 60) == Fixture::Flush{0, 2, false, 10, 39});
  REQUIRE(f.flush(40, 90, 95) == Fixture::Flush{2, 1, false, 40, 90});
}

TEST_CASE("a small output takes small neighbours along", "[manifest]") {
  SECTION("descending first, then ascending") {
    Fixture f;
    f.add(0, 10, 19, 20);
    f.add(0, 30, 39, 20);
    f.add(0, 50, 59, 20);
    REQUIRE(f.flush(40, 45, 9) == Fixture::Flush{0, 3, true, 10, 59});
    // The descending neighbours reach the target, so the ascending one stays.
    REQUIRE(f.flush(40, 45, 10) == Fixture::Flush{0, 2, true, 10, 45});
    REQUIRE(f.flush(40, 45, 30) == Fixture::Flush{1, 1, true, 30, 45});
    REQUIRE(f.flush(0, 5, 20) == Fixture::Flush{0, 2, true, 0, 39});
    REQUIRE(f.flush(70, 75, 49) == Fixture::Flush{2, 1, true, 50, 75});
  }
  SECTION("not when the output is large enough by itself") {
    Fixture f;
    f.add(0, 10, 19, 5);
    f.add(0, 30, 39, 5);
    REQUIRE(f.flush(20, 25, 50) == Fixture::Flush{1, 0, false, 20, 25});
    REQUIRE(f.flush(20, 30, 45) == Fixture::Flush{1, 1, false, 20, 39});
    REQUIRE(f.flush(20, 30, 44) == Fixture::Flush{0, 2, true, 10, 39});
  }
  SECTION("of several outputs the last one counts") {
    Fixture f;
    f.add(0, 10, 19, 30);
    f.add(0, 30, 39, 95);
    f.add(0, 50, 59, 30);
    // 115, and so a last one of 15: with both neighbours it is one of 75.
    REQUIRE(f.flush(25, 35, 20) == Fixture::Flush{0, 3, true, 10, 59});
    REQUIRE(f.flush(25, 35, 54) == Fixture::Flush{0, 2, true, 10, 39});
    REQUIRE(f.flush(25, 35, 55) == Fixture::Flush{1, 1, false, 25, 39});
    // Exactly full outputs leave nothing to fill.
    REQUIRE(f.flush(25, 35, 5) == Fixture::Flush{1, 1, false, 25, 39});
    REQUIRE(f.flush(25, 35, 6) == Fixture::Flush{0, 3, true, 10, 59});
  }
  SECTION("in any level") {
    Fixture f;
    f.add(0, 10, 19, 5);
    f.add(2, 10, 19, 5);
    f.add(2, 50, 59, 50);
    REQUIRE(f.flush(40, 45, 5) == Fixture::Flush{0, 1, true, 10, 45});
    REQUIRE(f.flush(40, 45, 5, 2) == Fixture::Flush{0, 2, true, 10, 59});
    REQUIRE(f.flush(40, 45, 5, 1) == Fixture::Flush{0, 0, false, 40, 45});
  }
  SECTION("not a neighbour that makes it more than one table") {
    Fixture f;
    f.add(0, 10, 19, 91);
    f.add(0, 30, 39, 90);
    REQUIRE(f.flush(20, 25, 10) == Fixture::Flush{1, 1, true, 20, 39});
    REQUIRE(f.flush(20, 25, 11) == Fixture::Flush{1, 0, false, 20, 25});
  }
  SECTION("not more than growth tables") {
    Fixture f(100, 2);
    f.add(0, 10, 19, 1);
    f.add(0, 30, 39, 1);
    REQUIRE(f.flush(40, 41, 1) == Fixture::Flush{0, 2, true, 10, 41});
    Fixture g(100, 4);
    for (u64 i = 0; i < 4; ++i) g.add(0, 10 * i, 10 * i + 5, 1);
    g.insert(0, 40, 45, 1);
    REQUIRE(g.flush(60, 61, 1) == Fixture::Flush{1, 4, true, 10, 61});
  }
  SECTION("never at zero percent") {
    Fixture f(0);
    f.add(0, 10, 19, 1);
    REQUIRE(f.flush(20, 25, 1) == Fixture::Flush{1, 0, false, 20, 25});
  }
}

TEST_CASE("a level is compacted once it is full", "[manifest]") {
  Fixture f;
  for (u64 i = 0; i < 3; ++i) f.add(0, 100 * i, 100 * i + 50);
  f.add(1, 0, 20);
  f.add(1, 30, 40);
  f.add(1, 110, 120);
  f.add(1, 320, 330);
  REQUIRE(f.manifest.compaction_table(0) == nullptr);
  f.add(0, 300, 350);
  REQUIRE(f.manifest.compaction_table(0)->key_min == Key::of(200));
  f.add(1, 210, 211);
  f.add(1, 220, 221);
  REQUIRE(f.manifest.compaction_table(0)->key_min == Key::of(100));
  REQUIRE(f.manifest.compaction_table(1) == nullptr);
  f.insert(0, 400, 450);  // The one more that a half-bar may bring.
  REQUIRE(f.manifest.compaction_table(0)->key_min == Key::of(400));
  REQUIRE(sim::dies([&] { f.manifest.assert_between_bars(); }));
  REQUIRE(sim::dies([&] { f.insert(0, 500, 550); }));
}

TEST_CASE("tombstones go when no deeper level overlaps", "[manifest]") {
  Fixture f;
  f.add(0, 0, 1000);
  f.add(1, 100, 200);
  f.add(2, 300, 400);
  REQUIRE(f.must_drop(0, 0, 99));
  REQUIRE_FALSE(f.must_drop(0, 0, 100));
  REQUIRE_FALSE(f.must_drop(0, 350, 350));
  REQUIRE(f.must_drop(1, 0, 299));
  REQUIRE_FALSE(f.must_drop(1, 400, 999));
  REQUIRE(f.must_drop(2, 0, 999));
}

TEST_CASE("changes of the manifest are in the log", "[manifest]") {
  Fixture f;
  f.half_bar_begin();
  const TableInfo a = f.table(10, 19);
  const TableInfo b = f.table(20, 29);
  const TableInfo c = f.table(30, 39);
  f.manifest.insert_table(0, a);
  f.manifest.insert_table(0, c);
  f.manifest.insert_table(1, b);
  f.half_bar_end();
  REQUIRE(f.manifest.table_count() == 3);
  REQUIRE(f.manifest.lookup(0, Key::of(15))->address == a.address);
  REQUIRE(f.manifest.lookup(0, Key::of(25)) == nullptr);
  REQUIRE(f.manifest.lookup(1, Key::of(25))->level() == 1);

  f.half_bar_begin();
  f.manifest.move_table(0, 1, *f.manifest.lookup(0, Key::of(12)));
  f.manifest.remove_table(0, TableInfo(*f.manifest.lookup(0, Key::of(30))));
  f.half_bar_end();
  REQUIRE(f.manifest.level(0).empty());
  REQUIRE(f.manifest.level(1).count() == 2);
  REQUIRE(f.log->table_count() == 2);
  f.manifest.assert_between_bars();

  f.log->checkpoint(f.log.callback());
  f.storage.run();
  const ManifestReferences references = f.log->references();
  REQUIRE(references.block_count == 1);
  TestLog reader(f.storage, f.options);
  reader.open(references);
  f.storage.run();
  REQUIRE_FALSE(reader->error());
  REQUIRE(reader.tables.size() == 2);
  // Newest first: the move is the table's latest record.
  REQUIRE(reader.tables[0].address == a.address);
  REQUIRE(reader.tables[0].event() == ManifestEvent::update);
  REQUIRE(reader.tables[0].level() == 1);
  REQUIRE(reader.tables[1].address == b.address);

  Fixture g;
  for (const TableInfo& table : reader.tables) REQUIRE(g.manifest.open_table(table) == nullptr);
  REQUIRE(g.manifest.level(1).count() == 2);
  REQUIRE(g.manifest.level(1).at(0) == f.manifest.level(1).at(0));
  REQUIRE(g.manifest.level(1).at(1) == f.manifest.level(1).at(1));
}

TEST_CASE("the key range is that of all levels", "[manifest]") {
  Fixture f;
  REQUIRE_FALSE(f.manifest.key_range().has_value());
  f.add(1, 50, 60);
  f.add(1, 70, 80);
  REQUIRE(f.manifest.key_range()->min == Key::of(50));
  REQUIRE(f.manifest.key_range()->max == Key::of(80));
  f.add(0, 75, 90);
  f.add(2, 10, 11);
  REQUIRE(f.manifest.key_range()->min == Key::of(10));
  REQUIRE(f.manifest.key_range()->max == Key::of(90));
}

TEST_CASE("tables that no engine can have left in one level are refused", "[manifest]") {
  Fixture f(50, 2);  // Level 0 has two tables at most, level 1 four.
  const auto refused = [&](u32 level, u64 min, u64 max) {
    TableInfo info = f.table(min, max, level);
    info.set_label(level, ManifestEvent::insert);
    const char* reason = f.manifest.open_table(info);
    return std::string(reason == nullptr ? "" : reason);
  };
  const std::string overlap = "two tables of a level overlap";
  f.add(1, 20, 29);
  CHECK(refused(1, 20, 29) == overlap);
  CHECK(refused(1, 10, 20) == overlap);
  CHECK(refused(1, 29, 40) == overlap);
  CHECK(refused(1, 22, 23) == overlap);
  CHECK(refused(1, 10, 40) == overlap);
  CHECK(refused(0, 10, 40).empty());  // Levels may.
  CHECK(refused(1, 30, 30).empty());
  CHECK(refused(1, 19, 19).empty());
  CHECK(refused(0, 40, 41) == overlap);
  CHECK(refused(0, 41, 42).empty());
  CHECK(refused(0, 50, 60) == "a level has more tables than it may");
  CHECK(f.manifest.level(0).count() == 2);
  CHECK(f.manifest.level(1).count() == 3);
  f.manifest.assert_between_bars();
}

TEST_CASE("a table of another tree, or of an unknown level, is asserted", "[manifest]") {
  Fixture f;
  TableInfo table = f.table(1, 2);
  table.set_label(0, ManifestEvent::insert);
  table.tree_id = 2;
  REQUIRE(sim::dies([&] { (void)f.manifest.open_table(table); }));
  table.tree_id = 1;
  table.set_label(3, ManifestEvent::insert);
  REQUIRE(sim::dies([&] { (void)f.manifest.open_table(table); }));
  table.set_label(0, ManifestEvent::remove);
  REQUIRE(sim::dies([&] { (void)f.manifest.open_table(table); }));
}

}  // namespace tonearm
