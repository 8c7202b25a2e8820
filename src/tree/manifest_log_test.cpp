// The log over small disks: random churn against a map, reopened and crashed; and single cases.
#include "tree/manifest_log.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "sim/disk/death.h"
#include "sim/disk/sim_storage.h"
#include "tree/test_manifest.h"

namespace tonearm {

namespace {

// Tables live, by address, labelled with their level.
using Model = std::map<u64, TableInfo>;

struct ChurnOptions {
  TestLogOptions log;
  u32 live_percent = 90;   // Of the most tables there can be: where the number of tables settles.
  u32 rate_percent = 100;  // Of the entries that a half-bar may append, at most.
  sim::CompletionPolicy policy = sim::CompletionPolicy::latency;
  u64 seed_latency = 1;
};

class Churn {
 public:
  Churn(u32 seed, const ChurnOptions& options)
      : options_(options), random_(seed), storage_(pages_, disk(options), nullptr) {
    start();
    log_->grid->free_set().open_empty();
    log_->open({});
    run();
    live_max_ = std::min(log().pace().tables_max, options.log.blocks_count / 2) * options.live_percent / 100;
  }

  ManifestLog& log() { return log_->log; }
  const Model& model() const { return model_; }
  u64 log_blocks_seen_max() const { return log_blocks_seen_max_; }

  // What one half-bar of a forest does, with entries of any kind.
  void half_bar() {
    FreeSet& free_set = log_->grid->free_set();
    REQUIRE(log().reserve());
    log().compact(log_->callback());
    REQUIRE(log_->done_count == 0);
    run();
    REQUIRE_FALSE(log().error());
    const u64 entries = log().pace().append_entries_max() * options_.rate_percent / 100 + 1;
    const u64 count = options_.rate_percent == 100 ? entries - 1 : random_() % (entries + 1);
    for (u64 i = 0; i < count; ++i) change();
    log().compact_end();

    log_blocks_seen_max_ = std::max(log_blocks_seen_max_, log().log_block_count());
    REQUIRE(log().log_block_count() <= log().pace().log_blocks_max);
    REQUIRE(log().table_count() == model_.size());
    // Nothing leaks, nothing is held twice.
    REQUIRE(free_set.count_acquired() - free_set.count_released() == log().log_block_count());
    REQUIRE(free_set.reservation_count() == 0);
    REQUIRE(log_->grid->idle());
  }

  void checkpoint() {
    if (!log_->grid->free_set().checkpoint_durable()) log_->grid->free_set().mark_checkpoint_durable();
    log().checkpoint(log_->callback());
    REQUIRE(log_->done_count == 0);
    run();
    REQUIRE_FALSE(log().error());
    references_ = log().references();
    FreeSet& free_set = log_->grid->free_set();
    acquired_.resize(FreeSet::encode_size_max(free_set.blocks_count()));
    acquired_.resize(free_set.encode_acquired(acquired_));
    released_.resize(FreeSet::encode_size_max(free_set.blocks_count()));
    released_.resize(free_set.encode_released(released_));
    model_checkpoint_ = model_;
    free_set.mark_checkpoint_not_durable();
    if (random_() % 2 == 0) free_set.mark_checkpoint_durable();
  }

  // Back to the last checkpoint, in the middle of anything.
  void crash() {
    if (random_() % 2 == 0 && log().reserve()) {
      log().compact(log_->callback());
      for (u64 steps = random_() % 8; steps > 0; --steps) storage_.step();
    }
    storage_.crash({});
    reopen();
    model_ = model_checkpoint_;
  }

  void reopen() {
    start();
    REQUIRE(log_->grid->free_set().open(acquired_, released_, {}));
    log_->open(references_);
    run();
    REQUIRE_FALSE(log().error());
    log_->grid->free_set().mark_checkpoint_durable();
    compare();
  }

  const ManifestReferences& references() const { return references_; }

 private:
  static sim::DiskOptions disk(const ChurnOptions& options) {
    return {
        .sector_size = options.log.format.sector_size,
        .block_size = options.log.format.block_size,
        .blocks_count = options.log.blocks_count,
        .read = {.latency_ticks_min = 1, .latency_ticks_mean = 20},
        .write = {.latency_ticks_min = 1, .latency_ticks_mean = 40},
        .policy = options.policy,
        .seed_latency = options.seed_latency,
    };
  }

  void start() { log_ = std::make_unique<TestLog>(storage_, options_.log); }

  void run() {
    while (storage_.step()) continue;
    REQUIRE(log_->done_count == 1);
    log_->done_count = 0;
  }

  // What the log delivered is what is live, newest record first, each table once.
  void compare() {
    REQUIRE(log_->tables.size() == model_checkpoint_.size());
    REQUIRE(log().table_count() == model_checkpoint_.size());
    REQUIRE(log().idle());
    u64 equal = 0;
    for (const TableInfo& table : log_->tables) {
      const auto found = model_checkpoint_.find(table.address);
      REQUIRE(found != model_checkpoint_.end());
      TableInfo expected = found->second;
      REQUIRE(table.event() != ManifestEvent::remove);
      expected.set_label(found->second.level(), table.event());
      equal += expected == table ? 1 : 0;
    }
    REQUIRE(equal == model_checkpoint_.size());
  }

  // Addresses are used again soon: an old record must not be taken for that of the new table.
  void change() {
    const bool grow = model_.empty() || (model_.size() < live_max_ && random_() % 4 != 0);
    if (grow) {
      u64 address = 1 + random_() % (2 * live_max_);
      while (model_.contains(address)) address = address % (2 * live_max_) + 1;
      TableInfo table = test_table(address, random_() % 1000, 1000 + random_() % 1000, level());
      table.value_count = 1 + static_cast<u32>(random_() % 1000);
      append(table, table.level(), ManifestEvent::insert);
      return;
    }
    auto at = model_.lower_bound(random_() % (2 * live_max_ + 1));
    if (at == model_.end()) at = model_.begin();
    const bool remove = random_() % 3 == 0;
    append(at->second, remove ? at->second.level() : level(),
           remove ? ManifestEvent::remove : ManifestEvent::update);
  }
  u32 level() { return static_cast<u32>(random_() % options_.log.format.levels); }

  void append(TableInfo table, u32 level, ManifestEvent event) {
    table.set_label(level, event);
    log().append(table);
    if (event == ManifestEvent::remove) {
      model_.erase(table.address);
    } else {
      model_[table.address] = table;
    }
  }

  ChurnOptions options_;
  std::mt19937 random_;
  sim::PageStore pages_;
  sim::SimStorage storage_;
  std::unique_ptr<TestLog> log_;
  Model model_;
  u64 live_max_ = 1;
  u64 log_blocks_seen_max_ = 0;

  // As the superblock and the trailers would keep it.
  ManifestReferences references_;
  std::vector<std::byte> acquired_;
  std::vector<std::byte> released_;
  Model model_checkpoint_;
};

FormatOptions format_of(u32 block_size, u32 levels, u32 growth, u32 extra) {
  return {.sector_size = 512,
          .block_size = block_size,
          .levels = levels,
          .growth = growth,
          .beats = 4,
          .checkpoint_interval = 8,
          .manifest_extra_blocks = extra};
}

// The numbers of one geometry, for a table of expectations.
struct PaceRow {
  FormatOptions format;
  u32 trees;
  u64 tables_max;
  u64 entries, append, compact, live, cycle;
};

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
      {.format = format_of(512, 2, 2, 1),
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

TEST_CASE("churn at any rate, with checkpoints, reopened and crashed", "[manifest_log]") {
  const FormatOptions formats[] = {format_of(512, 2, 2, 1), format_of(512, 4, 3, 2), format_of(1024, 3, 4, 1),
                                   format_of(2048, 4, 4, 3), format_of(4096, 5, 2, 5)};
  u32 seed = 0;
  for (const FormatOptions& format : formats) {
    for (const u32 rate : {100U, 60U, 5U}) {
      ++seed;
      ChurnOptions options;
      options.log.format = format;
      options.log.trees = 1 + seed % 3;
      options.log.tables_max = options.log.trees * tree_tables_max(format, options.log.blocks_count);
      options.rate_percent = rate;
      options.live_percent = seed % 2 == 0 ? 95 : 30;
      options.policy = seed % 2 == 0 ? sim::CompletionPolicy::latency : sim::CompletionPolicy::uniform;
      Churn churn(seed, options);
      std::mt19937 random(seed);
      for (u32 half_bar = 0; half_bar < 400; ++half_bar) {
        churn.half_bar();
        if (half_bar % 4 != 3) continue;
        churn.checkpoint();
        if (random() % 8 == 0) churn.reopen();
        if (random() % 8 == 0) {
          for (u64 i = random() % 3; i > 0; --i) churn.half_bar();
          churn.crash();
        }
      }
      REQUIRE(churn.model().size() > 0);
    }
  }
}

TEST_CASE("the log stays bounded at full rate, with a checkpoint as often as can be", "[manifest_log]") {
  for (const u32 extra : {1U, 2U, 5U}) {
    ChurnOptions options;
    options.log.format = format_of(1024, 4, 4, extra);
    options.log.trees = 1;
    options.log.tables_max = tree_tables_max(options.log.format, options.log.blocks_count);
    options.live_percent = 100;
    Churn churn(extra, options);
    MarksSeen marks;
    for (u32 half_bar = 0; half_bar < 3000; ++half_bar) {
      churn.half_bar();
      if (half_bar % 4 == 3) churn.checkpoint();
    }
    REQUIRE(marks[Mark::manifest_compacted] > 0);
    REQUIRE(marks[Mark::manifest_entry_kept] > 0);
    REQUIRE(marks[Mark::manifest_entry_dropped] > 0);
    REQUIRE(marks[Mark::manifest_block_closed_full] > 0);
    REQUIRE(marks[Mark::manifest_block_closed_partial] > 0);
    REQUIRE(churn.log_blocks_seen_max() > churn.log().pace().live_blocks);
    if (extra > 1) continue;
    // Only here is the bound nearly reached.
    REQUIRE(marks[Mark::manifest_compacted_full_rate] > 0);
    REQUIRE(churn.log_blocks_seen_max() + churn.log().pace().append_blocks >=
            churn.log().pace().cycle_blocks);
  }
}

TEST_CASE("a log of few tables stays short", "[manifest_log]") {
  ChurnOptions options;
  options.log.format = format_of(1024, 6, 4, 2);
  options.log.trees = 2;
  options.log.tables_max = 2 * tree_tables_max(options.log.format, options.log.blocks_count);
  options.live_percent = 1;
  options.rate_percent = 50;
  Churn churn(3, options);
  for (u32 half_bar = 0; half_bar < 1000; ++half_bar) {
    churn.half_bar();
    if (half_bar % 4 == 3) churn.checkpoint();
  }
  const ManifestPace& pace = churn.log().pace();
  REQUIRE(churn.model().size() < 100);
  REQUIRE(churn.log_blocks_seen_max() < 6 * pace.compact_blocks_max);
  REQUIRE(pace.cycle_blocks > 100 * pace.compact_blocks_max);
}

TEST_CASE("the log's bytes do not depend on when I/O completes", "[manifest_log]") {
  ManifestReferences references[3];
  std::vector<u64> addresses[3];
  const sim::CompletionPolicy policies[] = {sim::CompletionPolicy::fifo, sim::CompletionPolicy::lifo,
                                            sim::CompletionPolicy::uniform};
  for (u32 i = 0; i < 3; ++i) {
    ChurnOptions options;
    options.log.format = format_of(512, 4, 3, 2);
    options.log.tables_max = 2 * tree_tables_max(options.log.format, options.log.blocks_count);
    // Only of run time.
    options.policy = policies[i];
    options.seed_latency = i + 1;
    Churn churn(9, options);
    for (u32 half_bar = 0; half_bar < 300; ++half_bar) {
      churn.half_bar();
      if (half_bar % 12 == 11) churn.checkpoint();
    }
    references[i] = churn.references();
    for (u64 at = 0; at < churn.log().log_block_count(); ++at) {
      addresses[i].push_back(churn.log().log_block_address(at));
    }
  }
  for (u32 i = 1; i < 3; ++i) {
    REQUIRE(references[i].newest == references[0].newest);
    REQUIRE(references[i].oldest == references[0].oldest);
    REQUIRE(addresses[i] == addresses[0]);
  }
}

TEST_CASE("the pace does not depend on the storage limit", "[manifest_log]") {
  TestLogOptions options;
  options.format = format_of(1024, 7, 4, 1);
  TestStorage storage(u64{8192} * 1024);
  options.blocks_count = 64;
  TestLog small(storage, options);
  options.blocks_count = 8192;
  TestLog large(storage, options);
  REQUIRE(small->pace().tables_max == large->pace().tables_max);
  REQUIRE(small->pace().cycle_blocks == large->pace().cycle_blocks);
}

// --- Single cases, over a disk that does what the test says.

namespace {

struct Fixture {
  explicit Fixture(u32 block_size = 512) {
    options.format = format_of(block_size, 4, 3, 1);
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
  ManifestReferences bad = good;
  SECTION("more blocks than there are") { bad.block_count = 5; }
  SECTION("fewer blocks than there are") { bad.block_count = 3; }
  SECTION("more blocks than a log can have") { bad.block_count = 1 << 30; }
  SECTION("no blocks") { bad.block_count = 0; }
  SECTION("another oldest block") { bad.oldest = second; }
  SECTION("another newest block") { bad.newest.checksum ^= 1; }
  SECTION("an address out of range") { bad.newest.address = 513; }
  SECTION("no address") { bad.newest = {}; }
  REQUIRE(damaged(bad));
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
