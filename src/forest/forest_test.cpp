#include "forest/forest.h"

#include <initializer_list>
#include <string_view>
#include <type_traits>

#include "forest/test_forest.h"

namespace tonearm {

namespace {

template <class T>
ForestOptions changed(T FormatOptions::*field, T value) {
  ForestOptions options = test_options();
  options.format.*field = value;
  return options;
}

}  // namespace

TEST_CASE("forest: what is impossible is refused by name") {
  CHECK_FALSE(Forest::validate(test_options()));
  ForestOptions options = test_options();
  options.trees = {};
  CHECK(std::string_view(Forest::validate(options).field) == "trees");
  const TreeConfig twice[] = {test_trees[0], test_trees[0]};
  options.trees = twice;
  CHECK(std::string_view(Forest::validate(options).field) == "tree id");
  // 16 values of 16 bytes in blocks of one: an index of 16 slots of 72 bytes does not fit.
  const OptionsError small = Forest::validate(changed(&FormatOptions::values_per_block_max, 1U));
  CHECK(std::string_view(small.field) == "block_size");
  CHECK(small.given == 1024);
  CHECK(std::string_view(Forest::validate(changed(&FormatOptions::beats, 3U)).field) == "beats");
  CHECK(Forest::validate(changed(&FormatOptions::reserved, 3U)).given == 3);
  CHECK(Forest::validate(changed(&FormatOptions::reserved2, u64{4})).given == 4);
}

// Which field `options` is refused for; empty: accepted.
template <class Options>
std::string_view refused(const Options& options) {
  OptionsError error;
  if constexpr (std::is_same_v<Options, FormatOptions>) {
    error = validate(options, RuntimeOptions{});
  } else {
    error = validate(FormatOptions{}, options);
  }
  return error ? error.field : "";
}

template <class Options, class T>
void check_limits(T Options::*field, std::string_view name, std::initializer_list<T> good,
                  std::initializer_list<T> bad) {
  Options options;
  for (const T value : good) {
    options.*field = value;
    INFO(name << " = " << value);
    CHECK(refused(options) == "");
  }
  for (const T value : bad) {
    options.*field = value;
    INFO(name << " = " << value);
    CHECK(refused(options) == name);
  }
}

TEST_CASE("forest: every option is refused right beyond its limits") {
  using F = FormatOptions;
  check_limits<F, u32>(&F::sector_size, "sector_size", {512, 1024, 4096}, {0, 256, 1536, 8192});
  check_limits<F, u32>(&F::block_size, "block_size", {4096, 1U << 20}, {0, 512, 2048, 5000, 1U << 21});
  check_limits<F, u32>(&F::levels, "levels", {2, levels_max}, {0, 1, levels_max + 1});
  check_limits<F, u32>(&F::growth, "growth", {2, growth_max}, {0, 1, growth_max + 1});
  check_limits<F, u32>(&F::beats, "beats", {2, 4, 10}, {0, 1, 3, 65, 66});
  check_limits<F, u32>(&F::checkpoint_interval, "checkpoint_interval", {8, 12, 65536}, {0, 4, 10, 65540});
  check_limits<F, u32>(&F::batch_values_max, "batch_values_max", {1, 65536}, {0, 65537});
  check_limits<F, u32>(&F::coalescing_percent, "coalescing_percent", {0, 100}, {101});
  check_limits<F, u32>(&F::manifest_extra_blocks, "manifest_extra_blocks", {1, 64}, {0, 65});
  check_limits<F, u32>(&F::values_per_block_max, "values_per_block_max", {0, 65536}, {65537});
  check_limits<F, u32>(&F::value_blocks_max, "value_blocks_max", {0, 65536}, {65537});
  check_limits<F, u32>(&F::reserved, "reserved", {0}, {1});
  check_limits<F, u64>(&F::reserved2, "reserved", {0}, {1});
  using R = RuntimeOptions;
  check_limits<R, u64>(&R::blocks_count, "blocks_count", {64, 128, u64{1} << 32},
                       {0, 32, 65, (u64{1} << 32) + 64});
  check_limits<R, u32>(&R::cache_blocks, "cache_blocks", {16, 32, 1U << 24}, {0, 8, 17, (1U << 24) + 16});
  check_limits<R, u32>(&R::cache_hash_bits, "cache_hash_bits", {0, 64}, {65});
  check_limits<R, u32>(&R::read_iops, "read_iops", {1, 1024}, {0, 1025});
  check_limits<R, u32>(&R::write_iops, "write_iops", {1, 1024}, {0, 1025});
  check_limits<R, u32>(&R::compaction_blocks, "compaction_blocks", {6, 1024}, {0, 5, 1025});
  check_limits<R, u32>(&R::read_attempts_max, "read_attempts_max", {1, 64}, {0, 65});
  check_limits<R, u32>(&R::scans_max, "scans_max", {1, 64}, {0, 65});
}

TEST_CASE("forest: it needs exactly the memory it asks for") {
  for (const u32 levels : {2U, 4U, 7U}) {
    for (const u32 budget : {6U, 13U, 64U}) {
      ForestOptions options = changed(&FormatOptions::levels, levels);
      options.runtime.compaction_blocks = budget;
      TestForest forest(options);
      forest.begin();
      for (u32 op = 0; op < 24; ++op) {
        random_op(forest, 1, 24, 30);
        forest.commits(1);
      }
      forest.check_all(24, false);
      CHECK(forest.guard_intact());
    }
  }
  const u64 usual = Forest::memory_required(test_options());
  ForestOptions more = test_options();
  more.runtime.cache_blocks += 16;
  CHECK(Forest::memory_required(more) >= usual + 16 * 1024);
}

TEST_CASE("forest: a new data file is empty, and opens again") {
  TestForest forest(test_options());
  forest.begin();
  CHECK(forest->op() == 0);
  CHECK(forest->checkpoint_op() == 0);
  CHECK(forest->grid().free_set().count_acquired() == 0);
  CHECK_FALSE(forest.tree(kv).key_range());
  forest.check_all(4, true);
  const u128 id = forest->checkpoint_id();
  CHECK_FALSE(forest.reopen());
  CHECK(forest->checkpoint_id() == id);
  CHECK(forest->op() == 0);
}

TEST_CASE("forest: what is no data file does not open") {
  TestForest forest(test_options());
  CHECK(forest.open().kind == ErrorKind::not_found);
  CHECK(forest->error().kind == ErrorKind::not_found);
}

TEST_CASE("forest: another format option at open is named") {
  const struct {
    const char* field;
    ForestOptions options;
    u64 given;
    u64 stored;
  } cases[] = {
      {"levels", changed(&FormatOptions::levels, 5U), 5, 4},
      {"growth", changed(&FormatOptions::growth, 3U), 3, 2},
      {"beats", changed(&FormatOptions::beats, 2U), 2, 4},
      {"checkpoint_interval", changed(&FormatOptions::checkpoint_interval, 12U), 12, 8},
      {"batch_values_max", changed(&FormatOptions::batch_values_max, 3U), 3, 4},
      {"coalescing_percent", changed(&FormatOptions::coalescing_percent, 51U), 51, 50},
      {"manifest_extra_blocks", changed(&FormatOptions::manifest_extra_blocks, 6U), 6, 5},
      {"values_per_block_max", changed(&FormatOptions::values_per_block_max, 3U), 3, 2},
      {"value_blocks_max", changed(&FormatOptions::value_blocks_max, 9U), 9, 0},
  };
  for (const auto& [field, options, given, stored] : cases) {
    INFO(field);
    TestForest forest(test_options());
    forest.begin();
    const Error error = forest.reopen(options);
    CHECK(error.kind == ErrorKind::options_mismatch);
    CHECK(std::string_view(error.field) == field);
    CHECK(error.given == given);
    CHECK(error.stored == stored);
    // With the right options it opens as before.
    CHECK_FALSE(forest.reopen(test_options()));
  }
  SECTION("and so are other trees") {
    const auto opened = [](const TreeConfig& second) {
      ForestOptions options = test_options();
      options.format.batch_values_max = 2;  // So that an index has room for twice as many values.
      TestForest forest(options);
      forest.begin();
      const TreeConfig trees[] = {test_trees[0], second};
      options.trees = trees;
      const Error error = forest.reopen(options);
      return error ? std::string(error.field) : "opened";
    };
    CHECK(opened(test_trees[1]) == "opened");
    CHECK(opened({.id = 3, .name = "id", .kernel = &id_kernel}) == "schema_hash");
    TreeConfig changed_twice = test_trees[1];
    changed_twice.values_per_change = 2;
    CHECK(opened(changed_twice) == "schema_hash");
  }
}

TEST_CASE("forest: checkpoints are due at fixed ops") {
  TestForest forest(test_options());
  forest.begin();
  std::vector<u64> taken;
  for (u64 op = 1; op <= 40; ++op) {
    const u64 before = forest->checkpoint_op();
    forest.commits(1);
    if (forest->checkpoint_op() == before) continue;
    taken.push_back(op);
    CHECK(forest->checkpoint_op() == op - 4);
  }
  CHECK(taken == std::vector<u64>{11, 19, 27, 35});
}

TEST_CASE("forest: what was checkpointed is what opens, and replay leads back") {
  constexpr u64 universe = 60;
  TestForest straight(test_options());
  straight.begin();
  TestForest forest(test_options());
  forest.begin();
  std::map<u64, std::array<std::map<u64, u64>, 2>> states;  // By op.
  std::map<u64, u128> ids;
  for (u64 op = 1; op <= 120; ++op) {
    random_op(straight, 3, universe, 30);
    straight.commits(1);
    ids[straight->checkpoint_op()] = straight->checkpoint_id();
  }
  u64 replayed = 0;
  states[0] = {};
  for (u64 op = 1; op <= 120; ++op) {
    random_op(forest, 3, universe, 30);
    states[op] = forest.models();
    forest.commits(1);
    CHECK(forest->checkpoint_id() == ids.at(forest->checkpoint_op()));
    if (op % 13 != 0) continue;

    const u64 checkpoint = forest->checkpoint_op();
    REQUIRE_FALSE(forest.reopen());
    REQUIRE(forest->op() == checkpoint);
    REQUIRE(forest->checkpoint_id() == ids.at(checkpoint));
    forest.set_models(states.at(checkpoint));
    forest.check_all(universe, op % 2 == 0);
    if (checkpoint == 0) forest->mark_checkpoint_durable();
    while (forest->op() < op) {
      random_op(forest, 3, universe, 30);
      REQUIRE(forest.models() == states.at(forest->op() + 1));
      forest.commits(1);
      ++replayed;
    }
    forest.check_all(universe, false);
  }
  CHECK(replayed > 50);
  CHECK(straight->checkpoint_id() == forest->checkpoint_id());
  CHECK(straight.models() == forest.models());
  CHECK(straight->grid().free_set().count_acquired() == forest->grid().free_set().count_acquired());
}

TEST_CASE("forest: a checkpoint depends on nothing but the ops and the format") {
  const auto id_after = [](const ForestOptions& options, u64 seed) {
    TestForest forest(options);
    forest.begin();
    for (u64 op = 1; op <= 100; ++op) {
      random_op(forest, seed, 60, 30);
      forest.commits(1);
    }
    CHECK(forest->compactions_done() > 20);
    return forest->checkpoint_id();
  };
  const u128 id = id_after(test_options(), 4);
  for (const u32 budget : {6U, 7U, 64U}) {
    INFO("budget " << budget);
    ForestOptions options = test_options();
    options.runtime.compaction_blocks = budget;
    CHECK(id_after(options, 4) == id);
  }
  ForestOptions options = test_options();
  options.runtime.read_iops = options.runtime.write_iops = 1;
  options.runtime.cache_blocks = 16;
  options.runtime.cache_hash_bits = 0;
  CHECK(id_after(options, 4) == id);
  CHECK(id_after(test_options(), 5) != id);
  CHECK(id_after(changed(&FormatOptions::growth, 3U), 4) != id);
}

TEST_CASE("forest: a full disk is a typed error that stays, and more room is the way out") {
  ForestOptions options = changed(&FormatOptions::levels, 6U);
  options.runtime.blocks_count = 192;
  TestForest forest(options);
  forest.begin();
  constexpr u64 universe = 400;
  std::map<u64, std::array<std::map<u64, u64>, 2>> states{{0, {}}};
  MarkCounter marks;
  u64 op = 0;
  for (op = 1; op <= 400; ++op) {
    random_op(forest, 6, universe, 5);
    states[op] = forest.models();
    if (forest.commit()) break;
  }
  REQUIRE(op <= 400);
  CHECK(forest->error().kind == ErrorKind::storage_full);
  CHECK(marks[Mark::storage_full] == 1);
  const u64 checkpoint = forest->checkpoint_op();
  REQUIRE(checkpoint > 0);
  CHECK(marks[Mark::sticky_error] == 0);

  // It stays, and what is refused changes nothing; lookups go on.
  const u64 acquired = forest->grid().free_set().count_acquired();
  const u64 written = forest->grid().counters().writes;
  CHECK(forest.commit().kind == ErrorKind::storage_full);
  CHECK(marks[Mark::sticky_error] == 1);
  const std::optional<u64> before = forest.get(kv, universe + 7, false);
  const u32 left = forest.tree(kv).batch_left();
  CHECK(forest.put(universe + 7, 1) == PutResult::failed);
  CHECK(forest.remove(universe + 7) == PutResult::failed);
  CHECK(forest.index_put(universe + 7) == PutResult::failed);
  CHECK_FALSE(forest->scope_open());
  CHECK_FALSE(forest->scope_active());
  CHECK(marks[Mark::sticky_error] == 5);
  CHECK(forest.get(kv, universe + 7, false) == before);
  CHECK(forest.tree(kv).batch_left() == left);
  const bool durable = forest->checkpoint_durable();
  forest->mark_checkpoint_durable();
  CHECK(forest->checkpoint_durable() == durable);
  CHECK(forest->error().kind == ErrorKind::storage_full);
  CHECK(forest->grid().free_set().count_acquired() == acquired);
  CHECK(forest->grid().counters().writes == written);
  const auto& [key, payload] = *forest.model(kv).begin();
  CHECK(forest.get(kv, key, true) == payload);
  CHECK(forest.get(kv, universe + 1, false) == std::nullopt);

  // With as much room as before the replay comes to the same end.
  REQUIRE_FALSE(forest.reopen(options));
  forest.set_models(states.at(checkpoint));
  while (forest->op() + 1 < op) {
    random_op(forest, 6, universe, 5);
    REQUIRE_FALSE(forest.commit());
  }
  random_op(forest, 6, universe, 5);
  CHECK(forest.commit().kind == ErrorKind::storage_full);

  options.runtime.blocks_count = 2048;
  REQUIRE_FALSE(forest.reopen(options));
  CHECK(forest->op() == checkpoint);
  forest.set_models(states.at(checkpoint));
  forest.check_all(universe, true);
  while (forest->op() < op + 40) {
    random_op(forest, 6, universe, 5);
    forest.commits(1);
  }
  forest.check_all(universe, false);
}

TEST_CASE("forest: a full last level is no error until a table has no room") {
  ForestOptions options = changed(&FormatOptions::levels, 2U);
  TestForest forest(options);
  forest.begin();
  const u64 full = level_tables_max(options.format, 1);
  constexpr u64 universe = 48;  // Of 64 that four tables hold when they are full.
  u64 key = 0;
  u64 rounds_full = 0;
  // The last level is full most of the time; what is there is written again: its tables are merged, and
  // none is added.
  for (u64 op = 1; op <= 400; ++op) {
    for (u32 i = 0; i < options.format.batch_values_max; ++i, ++key) {
      REQUIRE(forest.put((key * 7) % universe, op) == PutResult::ok);
    }
    forest.commits(1);
    rounds_full += forest.level_count(kv, 1) == full ? 1 : 0;
  }
  CHECK(rounds_full > 200);
  forest.check_all(universe, false);
  const u64 op_full = forest->op();

  // New keys above: there is no room for them.
  std::map<u64, std::array<std::map<u64, u64>, 2>> states{{op_full, forest.models()}};
  u64 op = op_full + 1;
  for (; op <= op_full + 100; ++op) {
    for (u32 i = 0; i < options.format.batch_values_max; ++i, ++key) {
      REQUIRE(forest.put(key + universe, op) == PutResult::ok);
    }
    states[op] = forest.models();
    if (forest.commit()) break;
  }
  REQUIRE(op <= op_full + 100);
  CHECK(forest->error().kind == ErrorKind::manifest_full);
  CHECK(forest.level_count(kv, 1) == full);
  CHECK(forest.commit().kind == ErrorKind::manifest_full);
  // What was put before can be read still, and the last checkpoint opens.
  CHECK(forest.get(kv, 3, true) == forest.model(kv).at(3));
  CHECK(forest.get(kv, key + universe - 1, false) == forest.model(kv).rbegin()->second);
  const u64 checkpoint = forest->checkpoint_op();
  REQUIRE_FALSE(forest.reopen());
  CHECK(forest->op() == checkpoint);
  CHECK(forest.level_count(kv, 1) == full);
  forest.set_models(states.at(std::max(checkpoint, op_full)));
  if (checkpoint > op_full) forest.check_all(universe, true);
}

TEST_CASE("forest: one that could not be opened refuses everything until it is made anew") {
  TestForest forest(test_options());
  REQUIRE(forest.open().kind == ErrorKind::not_found);
  const u64 steps = forest.storage().steps();
  CHECK(forest.open().kind == ErrorKind::not_found);
  CHECK(forest.storage().steps() == steps + 1);  // It does not look again.
  CHECK_FALSE(forest->scope_open());
  CHECK(forest.put(1, 2) == PutResult::failed);
  CHECK(forest.reopen().kind == ErrorKind::not_found);
}

TEST_CASE("forest: a failed sync leaves the checkpoint where it was") {
  TestForest forest(test_options(), sim::DurabilityProfile::cached);
  forest.begin();
  for (u64 op = 1; op <= 18; ++op) {
    random_op(forest, 7, 40, 20);
    forest.commits(1);
  }
  REQUIRE(forest->checkpoint_op() == 7);
  const u128 id = forest->checkpoint_id();
  const sim::Attribution attribution{.op = {.number = 19}, .context = 0};
  forest.storage().strike({.attribution = attribution,
                           .tag = {.purpose = IoPurpose::checkpoint_sync},
                           .n = 0,
                           .fault = {.kind = sim::FaultKind::failed_sync}});
  forest.storage().set_attribution(attribution);
  random_op(forest, 7, 40, 20);
  CHECK(forest.commit().kind == ErrorKind::sync_failed);
  CHECK(forest->checkpoint_op() == 7);
  CHECK(forest->checkpoint_id() == id);
  CHECK(forest.commit().kind == ErrorKind::sync_failed);
  const u64 written = forest->grid().counters().writes;
  CHECK(forest.checkpoint().kind == ErrorKind::sync_failed);
  CHECK(forest->grid().counters().writes == written);
  REQUIRE_FALSE(forest.reopen());
  CHECK(forest->checkpoint_id() == id);
  CHECK(forest->op() == 7);
}

}  // namespace tonearm
