// Scans over tables that are made for what is asked. Each test that says "both ways" is played as it stands
// and in the mirror (test_scans.h). Anything in any order is in tree_scan_random_test.cpp.
#include "tree/tree_scan.h"

#include "sim/disk/death.h"
#include "tree/test_scans.h"

namespace tonearm {

namespace {

using Next = TreeScan::Next;
using State = TreeScan::State;
using Keys = std::vector<u64>;
constexpr u64 gone = ScannedTree::gone;

// Level 0: 10..16 | 20..26 in one table; level 1: five tables of two blocks each.
void fill(ScannedTree& test) {
  test.table(0, {{{10, 1}, {12, 1}, {14, 1}, {16, 1}}, {{20, 1}, {22, 1}, {24, 1}, {26, 1}}});
  test.table(1, {{{1, 2}, {3, 2}}, {{5, 2}, {7, 2}}});
  test.table(1, {{{30, 2}, {31, 2}}, {{40, 2}, {41, 2}}});
  test.table(1, {{{50, 2}, {51, 2}}, {{60, 2}, {61, 2}}});
  test.table(1, {{{70, 2}, {71, 2}}, {{80, 2}, {81, 2}}});
  test.open();
}
// Only level 1, of which one table is read at a time.
void fill_level1(ScannedTree& test) {
  test.table(1, {{{1, 2}, {3, 2}}, {{5, 2}, {7, 2}}});
  test.table(1, {{{30, 2}, {31, 2}}, {{40, 2}, {41, 2}}});
  test.table(1, {{{50, 2}, {51, 2}}, {{60, 2}, {61, 2}}});
  test.table(1, {{{70, 2}, {71, 2}}, {{80, 2}, {81, 2}}});
  test.open();
}

}  // namespace

TEST_CASE("tree scan: the newest version of each key, wherever the others are, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    test.table(0, {{{10, 100}, {20, gone}, {30, 100}, {40, 100}}});
    test.table(1, {{{10, 200}, {20, 200}, {25, 200}, {35, 200}}, {{40, 200}, {50, 200}}});
    test.table(2, {{{10, 300}, {20, 300}, {30, 300}, {50, 300}}});
    test.open();
    test.put(10, 1);  // To be immutable: over three levels.
    test.remove(25);
    test.put(35, 2);
    test.swap();
    test.put(40, 3);
    test.remove(35);  // Over the immutable table.
    test.tree.op_end();
    test.put(40, 4);  // Three runs of the mutable table.
    test.put(60, 5);
    test.tree.op_end();
    test.put(40, 6);
    test.remove(60);
    test.put(5, 7);

    MarksSeen marks;
    TestScan scan(test, 0, 999);
    const ScannedTree::Rows wanted = {{5, 7}, {10, 1}, {30, 100}, {40, 6}, {50, 200}};
    CHECK(test.expected(0, 999) == wanted);
    CHECK(scan.rows() == wanted);
    CHECK(scan.scan.state() == State::finished);
    CHECK(marks[Mark::scan_tombstone] == 4);  // 20, 25, 35, 60.
    CHECK(marks[Mark::scan_three_versions] >= 2);
    CHECK(marks[Mark::scan_three_levels] == 0);  // Memory has values of the range.
    CHECK(marks[Mark::scan_read_again_level0] == 1);
    CHECK(marks[Mark::scan_read_again_level1] >= 1);
    CHECK(marks[Mark::scan_read_again_deep] >= 1);
    CHECK(TestScan(test, 20, 22).keys().empty());
    CHECK(marks[Mark::scan_three_levels] == 1);
  }
}

TEST_CASE("tree scan: next says read_again until it was read, and repeats nothing, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    fill(test);
    TestScan scan(test, 0, 999);
    ScannedTree::Row row{};
    CHECK(scan.scan.state() == State::idle);
    CHECK(scan.next(&row) == Next::read_again);
    CHECK(scan.scan.state() == State::needs_data);
    CHECK(scan.next(&row) == Next::read_again);  // Asking again changes nothing.
    scan.read();
    CHECK(scan.scan.state() == State::buffering);
    test.storage.run();
    CHECK(scan.calls == 1);
    scan.calls = 0;
    CHECK(scan.scan.state() == State::seeking);
    CHECK(scan.keys(3) == Keys{1, 3, 5});
    CHECK(scan.keys() ==
          Keys{7, 10, 12, 14, 16, 20, 22, 24, 26, 30, 31, 40, 41, 50, 51, 60, 61, 70, 71, 80, 81});
    CHECK(scan.scan.state() == State::finished);
    CHECK(scan.next(&row) == Next::end);
    CHECK(scan.scan.blocks_read() == 3 + 4 * 3);
  }
}

TEST_CASE("tree scan: a read completes later although nothing is on disk") {
  ScannedTree test;
  test.open();
  test.put(10, 1);
  test.put(20, 2);
  TestScan scan(test, 0, 999);
  ScannedTree::Row row{};
  CHECK(scan.next(&row) == Next::read_again);
  scan.read();
  CHECK(scan.scan.state() == State::buffering);
  test.storage.drain();
  CHECK(scan.calls == 1);
  scan.calls = 0;
  CHECK(scan.keys() == Keys{10, 20});
  CHECK(test.storage.reads == 0);
}

TEST_CASE("tree scan: cached blocks do not answer a cold scan") {
  ScannedTree test;
  fill_level1(test);
  const auto reads = [&test](bool cache_read) {
    const u32 before = test.storage.reads;
    CHECK(TestScan(test, 30, 41, cache_read).keys() == Keys{30, 31, 40, 41});
    return test.storage.reads - before;
  };
  CHECK(reads(true) == 3);
  CHECK(reads(true) == 0);
  CHECK(reads(false) == 3);
}

TEST_CASE("tree scan: ranges that meet one key, a gap, or nothing, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    fill(test);
    for (u64 min = 0; min <= 90; ++min) {
      for (u64 max = min; max <= 90; ++max) {
        INFO("[" << min << ", " << max << "]");
        TestScan scan(test, min, max);
        const ScannedTree::Rows rows = scan.rows();
        REQUIRE(rows == test.expected(min, max));
      }
    }
    MarksSeen marks;
    CHECK(TestScan(test, 11, 11).keys().empty());
    CHECK(marks[Mark::scan_block_gap] == 1);
    CHECK(TestScan(test, 17, 19).keys().empty());
    CHECK(marks[Mark::scan_table_gap] == 1);
    const u32 reads = test.storage.reads;
    CHECK(TestScan(test, 8, 9, false).keys().empty());  // No table.
    CHECK(test.storage.reads == reads);
    CHECK(TestScan(test, 10, 9, false).keys().empty());  // No range.
  }
}

TEST_CASE("tree scan: a probe that is not beyond the beginning changes nothing, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    fill(test);
    MarksSeen marks;
    TestScan scan(test, 12, 60);
    scan.probe(12);
    scan.probe(3);
    CHECK(marks[Mark::scan_probe_idle] == 2);
    CHECK(scan.keys(1) == Keys{12});
    scan.probe(12);
    CHECK(marks[Mark::scan_probe_idle] == 3);
    CHECK(scan.keys() == Keys{14, 16, 20, 22, 24, 26, 30, 31, 40, 41, 50, 51, 60});
    scan.probe(5);
    scan.probe(999);
    CHECK(scan.scan.state() == State::finished);
  }
}

TEST_CASE("tree scan: a probe drops what is buffered before it, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    fill(test);
    test.put(15, 9);
    test.put(11, 9);
    MarksSeen marks;
    TestScan scan(test, 0, 999);
    CHECK(scan.keys(5) == Keys{1, 3, 5, 7, 10});
    scan.probe(14);
    CHECK(marks[Mark::scan_probe_resliced] == 1);  // Of level 0: what memory had is merged already, and gone.
    scan.probe(14);
    CHECK(scan.keys(2) == Keys{14, 15});
    scan.probe(15);  // Returned.
    CHECK(marks[Mark::scan_probe_lagging] == 1);
    CHECK(scan.keys(2) == Keys{16, 20});
    scan.probe(25);
    CHECK(scan.keys(2) == Keys{26, 30});
  }
}

TEST_CASE("tree scan: a probe spares the reads of tables and blocks before it, both ways") {
  for (const bool mirrored : {false, true}) {
    {  // Before anything was read: tables.
      ScannedTree test(mirrored);
      fill_level1(test);
      MarksSeen marks;
      TestScan scan(test, 0, 999);
      scan.probe(75);
      CHECK(marks[Mark::scan_probe_table_skipped] == 1);
      CHECK(scan.keys() == Keys{80, 81});
      CHECK(test.storage.reads == 2);
    }
    {  // While a value block of the first table is buffered: the rest of it and two more.
      ScannedTree test(mirrored);
      fill_level1(test);
      MarksSeen marks;
      TestScan scan(test, 0, 999);
      CHECK(scan.keys(1) == Keys{1});
      scan.probe(60);
      CHECK(marks[Mark::scan_probe_table_skipped] == 1);
      CHECK(scan.keys(2) == Keys{60, 61});
      CHECK(test.storage.reads == 4);
    }
    {  // Within a table: its next block is wanted, but the one after it is asked for.
      ScannedTree test(mirrored);
      test.table_of(1, {10, 20, 30, 40, 50});
      test.open();
      MarksSeen marks;
      TestScan scan(test, 0, 999);
      CHECK(scan.keys(1) == Keys{10});
      scan.probe(31);
      CHECK(marks[Mark::scan_probe_block_skipped] == 1);
      CHECK(scan.keys() == Keys{40, 50});
      CHECK(test.storage.reads == 4);
    }
    {  // And in needs_data.
      ScannedTree test(mirrored);
      test.table_of(1, {10, 20, 30, 40, 50});
      test.open();
      MarksSeen marks;
      TestScan scan(test, 0, 999);
      CHECK(scan.keys(1) == Keys{10});
      ScannedTree::Row row{};
      REQUIRE(scan.next(&row) == Next::read_again);
      scan.probe(40);
      CHECK(marks[Mark::scan_probe_needs_data] == 1);
      CHECK(marks[Mark::scan_probe_block_skipped] == 1);
      CHECK(scan.scan.state() == State::needs_data);
      CHECK(scan.keys() == Keys{40, 50});
      CHECK(test.storage.reads == 4);
    }
  }
}

// The table that was read last lies before the beginning of what is left: that is no end. (A test of both
// ends of the range cuts such a scan short, and whoever intersects it loses results.)
TEST_CASE("tree scan: after a probe beyond further tables the rest is found, both ways") {
  for (const bool mirrored : {false, true}) {
    for (const u64 returned : {0U, 1U, 2U, 3U, 4U}) {  // Of the first table, which has 1, 3, 5, 7.
      for (const bool read_again : {false, true}) {
        for (const u64 key : {8U, 29U, 31U, 42U, 51U, 55U, 62U, 80U, 81U, 82U}) {
          INFO(returned << " returned, " << read_again << ", probe " << key << ", mirrored " << mirrored);
          ScannedTree test(mirrored);
          fill_level1(test);
          TestScan scan(test, 0, 999);
          (void)scan.rows(returned);
          ScannedTree::Row row{};
          const bool dry = returned == 0 || returned == 2 || returned == 4;
          if (read_again && dry) REQUIRE(scan.next(&row) == Next::read_again);
          scan.probe(key);
          REQUIRE(scan.rows() == test.expected(key, 999));
        }
      }
    }
  }
}

// A scan that skipped tombstones on the way to its last value has popped more than it returned.
TEST_CASE("tree scan: a probe may lag behind what was returned or skipped, both ways") {
  for (const bool mirrored : {false, true}) {
    ScannedTree test(mirrored);
    test.table(0, {{{10, 1}, {20, gone}, {30, gone}, {40, 1}}, {{50, gone}, {60, 1}}});
    test.table(1, {{{20, 2}, {30, 2}, {50, 2}, {55, 2}}});
    test.open();
    MarksSeen marks;
    TestScan scan(test, 0, 999);
    CHECK(scan.keys(2) == Keys{10, 40});
    for (const u64 key : {20U, 25U, 30U, 40U}) scan.probe(key);
    CHECK(marks[Mark::scan_probe_lagging] == 4);
    ScannedTree::Row row{};
    REQUIRE(scan.next(&row) == Next::read_again);
    scan.probe(41);
    scan.probe(45);
    CHECK(scan.keys() == Keys{55, 60});
  }
}

TEST_CASE("tree scan: a probe beyond the range ends the scan, in every state, both ways") {
  for (const bool mirrored : {false, true}) {
    for (u32 state = 0; state < 3; ++state) {
      ScannedTree test(mirrored);
      fill(test);
      MarksSeen marks;
      TestScan scan(test, 0, 50);
      ScannedTree::Row row{};
      if (state == 1) REQUIRE(scan.next(&row) == Next::read_again);
      if (state == 2) CHECK(scan.keys(1) == Keys{1});
      scan.probe(51);
      CHECK(marks[Mark::scan_probe_ended] == 1);
      CHECK(scan.scan.state() == State::aborted);
      CHECK(scan.next(&row) == Next::end);
      scan.probe(20);
      CHECK(scan.next(&row) == Next::end);
    }
    ScannedTree test(mirrored);
    fill(test);
    TestScan scan(test, 0, 50);
    scan.probe(50);  // Its last key is not beyond it.
    CHECK(scan.keys() == Keys{50});
  }
}

TEST_CASE("tree scan: an aborted scan ends for ever and reads nothing, in every state") {
  for (u32 state = 0; state < 3; ++state) {
    ScannedTree test;
    fill(test);
    MarksSeen marks;
    TestScan scan(test, 0, 999);
    ScannedTree::Row row{};
    if (state == 1) REQUIRE(scan.next(&row) == Next::read_again);
    if (state == 2) CHECK(scan.keys(1) == Keys{1});
    const u32 reads = test.storage.reads;
    scan.scan.abort();
    CHECK(scan.scan.state() == State::aborted);
    CHECK(marks[Mark::scan_aborted] == 1);
    for (u32 i = 0; i < 3; ++i) CHECK(scan.next(&row) == Next::end);
    scan.scan.abort();
    scan.probe(30);
    CHECK(scan.next(&row) == Next::end);
    CHECK(marks[Mark::scan_aborted] == 1);
    CHECK(test.storage.reads == reads);
    CHECK(sim::dies([&] { scan.read(); }));
  }
}

TEST_CASE("tree scan: a damaged block ends the scan in its error, for ever, and no other scan") {
  for (const bool index : {true, false}) {
    ScannedTree test;
    fill_level1(test);
    TestScan other(test, 50, 51);
    CHECK(other.keys(1) == Keys{50});
    TestScan scan(test, 0, 999, false);
    scan.read();
    test.storage.drain();
    if (!index) test.storage.complete();
    test.storage.reads_damaged = 3;  // As often as it is tried.
    test.storage.run();
    REQUIRE(scan.calls == 1);
    scan.calls = 0;
    CHECK(scan.scan.state() == State::failed);
    ScannedTree::Row row{};
    for (u32 i = 0; i < 2; ++i) CHECK(scan.next(&row) == Next::failed);
    CHECK(scan.scan.error().kind == ErrorKind::block_damaged);
    CHECK(scan.scan.error().address == (index ? 3 : 1));  // Value blocks are written first.
    scan.probe(40);
    scan.scan.abort();
    scan.probe(999);
    CHECK(scan.next(&row) == Next::failed);
    CHECK(other.keys() == Keys{51});
    scan.scan.close();
    CHECK(scan.scan.state() == State::closed);
  }
}

TEST_CASE("tree scan: a scan can be opened again, over another buffer and range") {
  ScannedTree test;
  fill(test);
  ScanBuffer& one = test.buffers.acquire_assume_capacity();
  ScanBuffer& two = test.buffers.acquire_assume_capacity();
  TreeScan scan;
  scan.open(test.tree, one, test.range(0, 999), Direction::ascending, true);
  scan.abort();
  scan.close();
  CHECK(scan.state() == State::closed);
  scan.open(test.tree, two, test.range(5, 6), Direction::descending, true);
  const std::byte* value = nullptr;
  CHECK(scan.next(&value) == Next::read_again);
  scan.read(Callback<>::plain(nullptr, [](void*) {}));
  test.storage.run();
  REQUIRE(scan.next(&value) == Next::value);
  CHECK(test.row_of(value).key == 5);
  CHECK(scan.next(&value) == Next::end);
  scan.close();
  test.buffers.release(one);
  test.buffers.release(two);
}

TEST_CASE("tree scan: misuse ends the process") {
  ScannedTree test;
  fill(test);
  {
    TestScan scan(test, 0, 999);
    ScanBuffer& buffer = test.buffers.acquire_assume_capacity();
    TreeScan second;
    CHECK(sim::dies([&] { scan.scan.open(test.tree, buffer, {}, Direction::ascending, true); }));
    test.buffers.release(buffer);
    CHECK(
        sim::dies([&] { second.open(test.tree, buffer, {}, Direction::ascending, true); }));  // Not acquired.
    CHECK(sim::dies([&] { test.put(1, 1); }));
    CHECK(sim::dies([&] { test.remove(1); }));
    CHECK(sim::dies([&] { test.tree.op_end(); }));
    CHECK(sim::dies([&] { test.tree.scope_open(); }));
    ScannedTree::Row row{};
    scan.read();
    CHECK(sim::dies([&] { (void)scan.next(&row); }));
    CHECK(sim::dies([&] { scan.probe(50); }));
    CHECK(sim::dies([&] { scan.scan.abort(); }));
    CHECK(sim::dies([&] { scan.scan.close(); }));
    test.storage.run();
    scan.calls = 0;
    CHECK(sim::dies([&] { scan.read(); }));  // It was told nothing of the kind.
    CHECK(scan.keys(1) == Keys{1});
  }
  TreeScan closed;
  const std::byte* value = nullptr;
  CHECK(sim::dies([&] { (void)closed.next(&value); }));
  CHECK(sim::dies([&] { closed.probe({}); }));
  CHECK(sim::dies([&] { closed.abort(); }));
  CHECK(sim::dies([&] { closed.close(); }));
  test.put(1, 1);  // Nothing is open any more.
}

}  // namespace tonearm
