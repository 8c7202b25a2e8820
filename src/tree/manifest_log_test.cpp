// The log over a disk that does what the test says.
#include "tree/manifest_log.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string_view>
#include <vector>

#include "sim/disk/death.h"
#include "tree/test_manifest.h"

namespace tonearm {

namespace {

// The numbers of one geometry, for a table of expectations.
struct PaceRow {
  FormatOptions format;
  u32 trees;
  u64 tables_max;
  u64 entries, append, compact, live, cycle;
};

struct Fixture {
  explicit Fixture(u32 block_size = 512) {
    options.format = test_format(block_size, 4, 3, 1);
    options.trees = 1;
    options.tables_max = 120;
    options.blocks_count = 512;
    storage = std::make_unique<TestStorage>(options.blocks_count * options.format.block_size);
    log = std::make_unique<TestLog>(*storage, options);
    log->grid->free_set().open_empty();
    log->open({});
    run();
  }
  void run() {
    storage->run();
    REQUIRE(log->done_count == 1);
    log->done_count = 0;
  }
  void begin() {
    REQUIRE(log->log.reserve());
    log->log.compact(log->callback());
    run();
  }
  void append(u64 address, ManifestEvent event, u32 level = 0) {
    TableInfo table = test_table(address, address, address, level);
    table.set_label(level, event);
    log->log.append(table);
  }
  void insert(u64 first, u64 last) {
    begin();
    for (u64 address = first; address <= last; ++address) append(address, ManifestEvent::insert);
    log->log.compact_end();
  }
  ManifestReferences checkpoint() {
    log->log.checkpoint(log->callback());
    run();
    return log->log.references();
  }
  // What a new engine reads, given these references.
  std::unique_ptr<TestLog> open(const ManifestReferences& references) {
    auto opened = std::make_unique<TestLog>(*storage, options);
    opened->open(references);
    storage->run();
    REQUIRE(opened->done_count == 1);
    return opened;
  }

  TestLogOptions options;
  std::unique_ptr<TestStorage> storage;
  std::unique_ptr<TestLog> log;
};

std::vector<u64> addresses_of(const TestLog& log) {
  std::vector<u64> addresses;
  for (const TableInfo& table : log.tables) addresses.push_back(table.address);
  return addresses;
}

}  // namespace

TEST_CASE("the pace of some geometries", "[manifest_log]") {
  const FormatOptions production{
      .block_size = 512 * 1024, .levels = 7, .growth = 8, .manifest_extra_blocks = 1};
  const PaceRow rows[] = {
      {.format = production,
       .trees = 33,
       .tables_max = 2396744,
       .entries = 4094,
       .append = 1,
       .compact = 2,
       .live = 586,
       .cycle = 1172},
      {.format = {},
       .trees = 3,
       .tables_max = 65532,
       .entries = 30,
       .append = 4,
       .compact = 9,
       .live = 2185,
       .cycle = 3933},
      {.format = test_format(512, 2, 2, 1),
       .trees = 1,
       .tables_max = 6,
       .entries = 2,
       .append = 3,
       .compact = 4,
       .live = 3,
       .cycle = 12},
  };
  for (const PaceRow& row : rows) {
    const ManifestPace pace = ManifestPace::of(row.format, row.trees, row.tables_max);
    REQUIRE(pace.entry_count_max == row.entries);
    REQUIRE(pace.append_blocks == row.append);
    REQUIRE(pace.compact_blocks_max == row.compact);
    REQUIRE(pace.live_blocks == row.live);
    REQUIRE(pace.cycle_blocks == row.cycle);
    REQUIRE(pace.log_blocks_max > pace.cycle_blocks);
    REQUIRE(pace.compact_blocks(pace.cycle_blocks - pace.append_blocks, 1) == row.compact);
    REQUIRE(pace.compact_blocks(pace.cycle_blocks / 2, row.tables_max) <= row.compact / 2);
    REQUIRE(pace.compact_blocks(1, 0) == row.compact);
    REQUIRE(pace.compact_blocks(0, 0) == 0);
  }
}

TEST_CASE("the pace of the largest geometry does not overflow", "[manifest_log]") {
  const FormatOptions format{
      .sector_size = 512, .block_size = 512, .levels = 10, .growth = 16, .manifest_extra_blocks = 1};
  const ManifestPace pace = ManifestPace::of(format, 64, 64 * tree_tables_max(format, u64_max));
  REQUIRE(pace.cycle_blocks > pace.live_blocks);
  REQUIRE(pace.compact_blocks(pace.cycle_blocks / 2, pace.tables_max) == pace.compact_blocks_max / 2);
}

TEST_CASE("the pace does not depend on the storage limit", "[manifest_log]") {
  TestLogOptions options;
  options.format = test_format(1024, 7, 4, 1);
  TestStorage storage(u64{8192} * 1024);
  options.blocks_count = 64;
  TestLog small(storage, options);
  options.blocks_count = 8192;
  TestLog large(storage, options);
  REQUIRE(small->pace().tables_max == large->pace().tables_max);
  REQUIRE(small->pace().cycle_blocks == large->pace().cycle_blocks);
}

TEST_CASE("an empty log", "[manifest_log]") {
  Fixture f;
  const ManifestReferences references = f.checkpoint();
  REQUIRE(references.block_count == 0);
  REQUIRE(references.newest == BlockReference{});
  REQUIRE(f.storage->writes == 0);
  const auto opened = f.open(references);
  REQUIRE_FALSE(opened->log.error());
  REQUIRE(opened->log.idle());
  REQUIRE(opened->tables.empty());
  const BlockReference block{.address = 1, .checksum = 1};
  for (const ManifestReferences& wrong :
       {ManifestReferences{.oldest = block}, ManifestReferences{.newest = block}}) {
    const auto refused = f.open(wrong);
    REQUIRE(refused->log.error().kind == ErrorKind::block_damaged);
    REQUIRE(refused->log.error().address == wrong.newest.address);
  }
}

TEST_CASE("replay delivers the latest record of each live table, newest first", "[manifest_log]") {
  Fixture f;
  f.begin();
  f.append(1, ManifestEvent::insert);
  f.append(2, ManifestEvent::insert);
  f.append(3, ManifestEvent::insert);
  f.append(1, ManifestEvent::update, 1);
  f.append(2, ManifestEvent::remove);
  f.append(4, ManifestEvent::insert);
  f.log->log.compact_end();
  const auto opened = f.open(f.checkpoint());
  REQUIRE(addresses_of(*opened) == std::vector<u64>{4, 1, 3});
  REQUIRE(opened->tables[1].level() == 1);
  REQUIRE(opened->log.table_count() == 3);
}

TEST_CASE("an address that is used again hides nothing and reveals nothing", "[manifest_log]") {
  Fixture f;
  f.begin();
  for (u32 i = 0; i < 3; ++i) {
    f.append(5, ManifestEvent::insert);
    f.append(5, ManifestEvent::update, i);
    f.append(5, ManifestEvent::remove, i);
  }
  REQUIRE(f.log->log.table_count() == 0);
  f.append(5, ManifestEvent::insert, 3);
  f.log->log.compact_end();
  const auto opened = f.open(f.checkpoint());
  REQUIRE(addresses_of(*opened) == std::vector<u64>{5});
  REQUIRE(opened->tables[0].level() == 3);

  f.begin();
  f.append(5, ManifestEvent::remove, 3);
  f.log->log.compact_end();
  REQUIRE(f.open(f.checkpoint())->tables.empty());
}

TEST_CASE("a block is closed when full, or by a checkpoint", "[manifest_log]") {
  Fixture f;  // Two entries a block.
  REQUIRE(f.log->log.pace().entry_count_max == 2);
  MarksSeen marks;
  f.insert(1, 4);
  REQUIRE(marks[Mark::manifest_block_closed_full] == 2);
  REQUIRE(f.log->log.log_block_count() == 2);
  REQUIRE(f.storage->writes == 0);
  // Exactly full: there is no open block, and no address for one.
  const ManifestReferences references = f.checkpoint();
  REQUIRE(marks[Mark::manifest_block_closed_partial] == 0);
  REQUIRE(references.block_count == 2);
  REQUIRE(references.oldest.address == f.log->log.log_block_address(0));
  REQUIRE(references.newest.address == f.log->log.log_block_address(1));
  REQUIRE(f.storage->writes == 2);
  f.begin();
  f.append(9, ManifestEvent::insert);
  f.log->log.compact_end();
  const u64 blocks = f.log->log.log_block_count();
  const ManifestReferences again = f.checkpoint();
  REQUIRE(again.block_count == blocks);
  REQUIRE(marks[Mark::manifest_block_closed_partial] == 1);
  REQUIRE(addresses_of(*f.open(again)).front() == 9);
}

TEST_CASE("a block closed partly filled is compacted like any other", "[manifest_log]") {
  Fixture f;
  f.insert(1, 1);
  f.checkpoint();
  const u64 address = f.log->log.log_block_address(0);
  f.begin();  // With one table the log is compacted at full rate.
  f.log->log.compact_end();
  REQUIRE(f.log->grid->free_set().is_released(address));
  REQUIRE(f.log->log.log_block_count() == 1);
  REQUIRE(f.log->log.log_block_address(0) != address);
  // The checkpoint before it still opens; so does the next one.
  REQUIRE(addresses_of(*f.open(f.checkpoint())) == std::vector<u64>{1});
}

TEST_CASE("a table whose remove is all that is left is not there", "[manifest_log]") {
  Fixture f;
  f.insert(1, 2);
  f.checkpoint();
  f.begin();
  // The block with the inserts has gone, and they were appended again before the remove.
  f.append(1, ManifestEvent::remove);
  f.append(3, ManifestEvent::insert);
  f.log->log.compact_end();
  REQUIRE(addresses_of(*f.open(f.checkpoint())) == std::vector<u64>{3, 2});
  f.begin();
  f.append(2, ManifestEvent::remove);
  f.append(3, ManifestEvent::remove);
  f.log->log.compact_end();
  REQUIRE(f.open(f.checkpoint())->tables.empty());
}

TEST_CASE("references that do not fit the chain are damage", "[manifest_log]") {
  Fixture f;
  f.insert(1, 8);
  const ManifestReferences good = f.checkpoint();
  REQUIRE(good.block_count == 4);
  REQUIRE(f.open(good)->tables.size() == 8);
  const BlockReference second{.address = f.log->log.log_block_address(1), .checksum = 1};
  const auto damaged = [&](const ManifestReferences& references) {
    const auto opened = f.open(references);
    REQUIRE_FALSE(opened->log.idle());
    REQUIRE(std::string_view(opened->log.error().reason) != "");
    return opened->log.error().kind == ErrorKind::block_damaged;
  };
  const u32 counts[] = {5, 3, 1U << 30, 0};
  for (const u32 count : counts) {
    REQUIRE(damaged({.oldest = good.oldest, .newest = good.newest, .block_count = count}));
  }
  const BlockReference wrong[] = {second, {}, {.address = 513, .checksum = 1}};
  for (const BlockReference& block : wrong) {
    REQUIRE(damaged({.oldest = block, .newest = good.newest, .block_count = 4}));
    REQUIRE(damaged({.oldest = good.oldest, .newest = block, .block_count = 4}));
  }
}

TEST_CASE("a block that cannot be read is an error of open", "[manifest_log]") {
  Fixture f;
  f.insert(1, 8);
  const ManifestReferences references = f.checkpoint();
  const u64 address = f.log->log.log_block_address(2);
  f.storage->bytes[(address - 1) * 512 + 300] ^= std::byte{1};
  const auto opened = f.open(references);
  REQUIRE(opened->log.error().kind == ErrorKind::block_damaged);
  REQUIRE(opened->log.error().address == address);
  REQUIRE(std::string_view(opened->log.error().reason) == "invalid_checksum_body");
  REQUIRE(opened->tables.size() == 2);  // Those of the newest block.
}

TEST_CASE("more live tables than the manifest holds are an error of open", "[manifest_log]") {
  Fixture f;
  f.insert(1, 8);
  const ManifestReferences references = f.checkpoint();
  f.options.tables_max = 7;
  const auto opened = f.open(references);
  REQUIRE(opened->log.error().kind == ErrorKind::manifest_full);
  REQUIRE(opened->tables.size() == 7);
}

TEST_CASE("tables removed behind a storage limit that is lowered", "[manifest_log]") {
  Fixture f;
  f.begin();
  // Used twice, moved, and gone; the other one stays.
  for (u32 i = 0; i < 2; ++i) {
    f.append(300, ManifestEvent::insert);
    f.append(300, ManifestEvent::update, 1);
    f.append(300, ManifestEvent::remove, 1);
  }
  f.append(256, ManifestEvent::insert);
  const bool live = GENERATE(false, true);
  if (live) f.append(257, ManifestEvent::insert);
  f.log->log.compact_end();
  const ManifestReferences references = f.checkpoint();
  REQUIRE(f.log->grid->free_set().highest_acquired() <= 64);
  f.options.blocks_count = 256;
  auto opened = f.open(references);
  if (live) {
    REQUIRE(opened->log.error().kind == ErrorKind::block_damaged);
    REQUIRE(opened->log.error().reason == std::string("a table is behind the storage limit"));
    REQUIRE(opened->log.error().address == references.newest.address);
    return;
  }
  REQUIRE_FALSE(opened->log.error());
  REQUIRE(addresses_of(*opened) == std::vector<u64>{256});
  // It goes on, and compacts what is left of them.
  opened->grid->free_set().open_empty();
  Reservation taken = *opened->grid->reserve(64);
  for (u32 i = 0; i < 64; ++i) (void)opened->grid->acquire(taken);
  opened->grid->forfeit(taken);
  opened->done_count = 0;
  const u64 blocks = opened->log.log_block_count();
  REQUIRE(opened->log.reserve());
  opened->log.compact(opened->callback());
  f.storage->run();
  REQUIRE(opened->done_count == 1);
  opened->log.compact_end();
  REQUIRE(opened->log.log_block_count() < blocks);
  REQUIRE(opened->log.table_count() == 1);
}

TEST_CASE("a block that cannot be read stops compaction", "[manifest_log]") {
  Fixture f;
  // So many blocks that the oldest has left the cache.
  for (u64 first = 1; first <= 96; first += 16) f.insert(first, first + 15);
  const u64 blocks = f.log->log.log_block_count();
  const u64 oldest = f.log->log.log_block_address(0);
  REQUIRE(blocks > 32);
  REQUIRE(f.log->log.reserve());
  f.storage->reads_failing = 2;  // Both attempts.
  f.log->log.compact(f.log->callback());
  f.run();
  REQUIRE(f.log->log.error().kind == ErrorKind::block_damaged);
  REQUIRE(f.log->log.error().address == oldest);
  REQUIRE(f.log->log.log_block_count() == blocks);
  REQUIRE_FALSE(f.log->log.idle());
}

TEST_CASE("a write that goes on failing is an error", "[manifest_log]") {
  Fixture f;
  f.insert(1, 2);
  f.storage->writes_failing = 2;  // Both attempts of the block.
  f.log->log.checkpoint(f.log->callback());
  f.run();
  REQUIRE(f.log->log.error().kind == ErrorKind::write_failed);
  REQUIRE(f.log->log.error().address == f.log->log.log_block_address(0));
  REQUIRE(f.storage->requests.empty());
}

TEST_CASE("a full grid refuses the reservation and changes nothing", "[manifest_log]") {
  Fixture f;
  f.insert(1, 4);
  FreeSet& free_set = f.log->grid->free_set();
  const u64 hold = free_set.count_free() - 1;
  Reservation reservation = *free_set.reserve(static_cast<u32>(hold));
  REQUIRE_FALSE(f.log->log.reserve());
  REQUIRE(f.log->log.idle());
  REQUIRE(f.log->log.log_block_count() == 2);
  free_set.forfeit(reservation);
  f.insert(5, 6);
  REQUIRE(f.log->log.table_count() == 6);
}

TEST_CASE("events that contradict what is live are asserted", "[manifest_log]") {
  Fixture f;
  f.insert(1, 1);
  REQUIRE(sim::dies([&] { f.append(2, ManifestEvent::insert); }));  // Not between compact and its end.
  f.begin();
  REQUIRE(sim::dies([&] { f.append(1, ManifestEvent::insert); }));
  REQUIRE(sim::dies([&] { f.append(2, ManifestEvent::update); }));
  REQUIRE(sim::dies([&] { f.append(2, ManifestEvent::remove); }));
  REQUIRE(sim::dies([&] { f.append(2, ManifestEvent::none); }));
  REQUIRE(sim::dies([&] { f.append(2, ManifestEvent::insert, 4); }));
  REQUIRE(sim::dies([&] { f.append(513, ManifestEvent::insert); }));
  REQUIRE(sim::dies([&] {
    for (u64 address = 2; address < 100; ++address) f.append(address, ManifestEvent::insert);
  }));
}

}  // namespace tonearm
