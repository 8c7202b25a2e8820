// Random churn of the log over the simulated disk, against a map, reopened and crashed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "sim/disk/sim_storage.h"
#include "tree/manifest_log.h"
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
    REQUIRE(log_->grid->free_set().open(acquired_, released_, {}) == FreeSet::OpenResult::opened);
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

}  // namespace

TEST_CASE("churn at any rate, with checkpoints, reopened and crashed", "[manifest_log]") {
  const FormatOptions formats[] = {test_format(512, 2, 2, 1), test_format(512, 4, 3, 2),
                                   test_format(1024, 3, 4, 1), test_format(2048, 4, 4, 3),
                                   test_format(4096, 5, 2, 5)};
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
    options.log.format = test_format(1024, 4, 4, extra);
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
  options.log.format = test_format(1024, 6, 4, 2);
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
    options.log.format = test_format(512, 4, 3, 2);
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

}  // namespace tonearm
