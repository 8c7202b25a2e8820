// A tree without tables on disk: what it holds in memory, scopes, budgets and its key range. Its levels
// are tested where there is something to fill them, in the tests of the forest.
#include "tree/tree.h"

#include <cstring>

#include "sim/disk/sim_storage.h"
#include "table/tree_types.h"
#include "tree/test_manifest.h"

namespace tonearm {

namespace {

constexpr TreeConfig configs[] = {
    {.id = 1, .name = "kv", .kernel = &kv_kernel},
    {.id = 2, .name = "index", .kernel = &index_kernel},
};

TestLogOptions options() {
  TestLogOptions options;
  options.format.block_size = 1024;
  options.format.beats = 4;
  options.format.batch_values_max = 4;
  options.trees = 1;
  options.tables_max = tree_tables_max(options.format, options.blocks_count);
  return options;
}

u64 tree_size(const TreeConfig& config) {
  Arena arena;
  Tree::measure(arena, options().format, options().blocks_count, config);
  return arena.used();
}

// The parts that all trees share come first: the tree keeps pointers to them.
struct TestTree {
  explicit TestTree(const TreeConfig& config)
      : storage(pages, disk(), nullptr),
        log(storage, options()),
        scratch_bytes(u64{16} * config.kernel->value_size()),
        scratch{.bytes = (*scratch_bytes).take<std::byte>(u64{16} * config.kernel->value_size(), 64)},
        pool_arena(pool_size()),
        pool(*pool_arena, nodes()),
        arena(tree_size(config)),
        tree({.grid = &log.grid.grid, .node_pool = &pool, .manifest_log = &log.log, .scratch = &scratch},
             *arena, options().format, options().blocks_count, config) {
    REQUIRE(arena.exhausted());
    tree.open_complete();
  }

  static sim::DiskOptions disk() {
    sim::DiskOptions disk;
    disk.sector_size = 512;
    disk.block_size = 1024;
    disk.blocks_count = options().blocks_count;
    return disk;
  }
  static u64 nodes() { return Manifest::nodes_max(options().format, options().blocks_count, 1); }
  static u64 pool_size() {
    Arena arena;
    NodePool::measure(arena, nodes());
    return arena.used();
  }

  PutResult put(u64 key, u64 payload) {
    const KvTraits::Value value{.key_and_flag = key, .payload = payload};
    return tree.put(reinterpret_cast<const std::byte*>(&value));
  }
  PutResult remove(u64 key) { return tree.remove(Key::of(key)); }
  // "none", "tombstone", or the payload.
  std::string get(u64 key) const {
    const std::byte* found = tree.lookup_from_memory(Key::of(key));
    if (found == nullptr) return "none";
    if (tree.kernel().is_tombstone(found)) return "tombstone";
    KvTraits::Value value;
    std::memcpy(&value, found, sizeof value);
    return std::to_string(value.payload);
  }
  // A whole op.
  void op(u64 key, u64 count, u64 payload) {
    for (u64 i = 0; i < count; ++i) REQUIRE(put(key + i, payload) == PutResult::ok);
    tree.op_end();
  }

  sim::PageStore pages;
  sim::SimStorage storage;
  TestLog log;
  TestArena scratch_bytes;
  ScratchMemory scratch;
  TestArena pool_arena;
  NodePool pool;
  TestArena arena;
  Tree tree;
};

const TreeConfig& kv = configs[0];
const TreeConfig& secondary = configs[1];

}  // namespace

TEST_CASE("tree: the last write of a key counts, within an op and across ops") {
  TestTree test(kv);
  CHECK(test.get(1) == "none");
  CHECK_FALSE(test.tree.key_range());
  REQUIRE(test.put(1, 10) == PutResult::ok);
  REQUIRE(test.put(2, 20) == PutResult::ok);
  REQUIRE(test.put(1, 11) == PutResult::ok);
  CHECK(test.get(1) == "11");
  test.tree.op_end();
  CHECK(test.get(1) == "11");
  REQUIRE(test.remove(1) == PutResult::ok);
  CHECK(test.get(1) == "tombstone");
  CHECK(test.get(2) == "20");
  test.tree.op_end();
  REQUIRE(test.put(1, 12) == PutResult::ok);
  CHECK(test.get(1) == "12");
  CHECK(test.get(3) == "none");
}

TEST_CASE("tree: an op has a budget, and the next one has it again") {
  TestTree test(kv);
  CHECK(test.tree.batch_left() == 4);
  for (u64 i = 0; i < 3; ++i) REQUIRE(test.put(7, i) == PutResult::ok);
  REQUIRE(test.remove(8) == PutResult::ok);
  CHECK(test.tree.batch_left() == 0);
  // Refused: nothing changes, the key range neither.
  CHECK(test.put(9, 1) == PutResult::batch_full);
  CHECK(test.remove(7) == PutResult::batch_full);
  CHECK(test.get(9) == "none");
  CHECK(test.get(7) == "2");
  CHECK(test.tree.key_range()->max == Key::of(8));
  test.tree.op_end();
  CHECK(test.tree.batch_left() == 4);
  CHECK(test.put(9, 1) == PutResult::ok);
}

TEST_CASE("tree: the key range covers every key ever written, tombstones too") {
  TestTree test(kv);
  REQUIRE(test.put(50, 1) == PutResult::ok);
  CHECK(test.tree.key_range()->min == Key::of(50));
  CHECK(test.tree.key_range()->max == Key::of(50));
  REQUIRE(test.put(0, 1) == PutResult::ok);
  REQUIRE(test.remove(KvTraits::key_max) == PutResult::ok);
  CHECK(test.tree.key_range()->min == Key::of(0));
  CHECK(test.tree.key_range()->max == Key::of(KvTraits::key_max));
  CHECK(test.get(KvTraits::key_max) == "tombstone");
}

TEST_CASE("tree: a scope undoes values, budget and key range, or keeps them") {
  TestTree test(kv);
  REQUIRE(test.put(10, 1) == PutResult::ok);
  test.tree.scope_open();
  CHECK(test.tree.scope_active());
  REQUIRE(test.put(10, 2) == PutResult::ok);
  REQUIRE(test.put(99, 2) == PutResult::ok);
  REQUIRE(test.remove(10) == PutResult::ok);
  CHECK(test.get(10) == "tombstone");
  CHECK(test.get(99) == "2");
  CHECK(test.tree.batch_left() == 0);

  SECTION("discard") {
    test.tree.scope_close(ScopeMode::discard);
    CHECK(test.get(10) == "1");
    CHECK(test.get(99) == "none");
    CHECK(test.tree.batch_left() == 3);
    CHECK(test.tree.key_range()->max == Key::of(10));
    // The place is used again.
    REQUIRE(test.put(11, 3) == PutResult::ok);
    CHECK(test.get(11) == "3");
  }
  SECTION("persist") {
    test.tree.scope_close(ScopeMode::persist);
    CHECK(test.get(10) == "tombstone");
    CHECK(test.get(99) == "2");
    CHECK(test.tree.batch_left() == 0);
    CHECK(test.tree.key_range()->max == Key::of(99));
  }
  CHECK_FALSE(test.tree.scope_active());
}

TEST_CASE("tree: a scope with which the tree began leaves no key range when it is discarded") {
  TestTree test(kv);
  test.tree.scope_open();
  REQUIRE(test.put(5, 1) == PutResult::ok);
  REQUIRE(test.tree.key_range());
  test.tree.scope_close(ScopeMode::discard);
  CHECK_FALSE(test.tree.key_range());
}

TEST_CASE("tree: what swaps is found in the immutable table, behind the mutable one") {
  TestTree test(kv);
  for (u64 op = 1; op < 4; ++op) test.op(op * 100, 3, op);
  test.tree.swap_mutable_and_immutable(4);
  CHECK(test.tree.table_mutable().count() == 0);
  CHECK(test.tree.table_immutable().count() == 9);
  CHECK_FALSE(test.tree.table_immutable().flushed());
  CHECK(test.get(100) == "1");
  CHECK(test.get(302) == "3");
  REQUIRE(test.put(100, 7) == PutResult::ok);
  REQUIRE(test.remove(200) == PutResult::ok);
  CHECK(test.get(100) == "7");
  CHECK(test.get(200) == "tombstone");
  CHECK(test.get(201) == "2");
  // The values of the immutable table are sorted and unique, as compaction takes them.
  const std::span<const std::byte> values = test.tree.table_immutable().values();
  REQUIRE(values.size() == 9 * sizeof(KvTraits::Value));
  for (u64 i = 1; i < 9; ++i) {
    const std::byte* value = values.data() + i * sizeof(KvTraits::Value);
    CHECK(test.tree.kernel().key_of(value - sizeof(KvTraits::Value)) < test.tree.kernel().key_of(value));
  }
}

TEST_CASE("tree: without tables every lookup in the levels is negative") {
  TestTree test(kv);
  CHECK(test.tree.lookup_from_levels_cache(Key::of(1)).kind == Tree::CacheLookup::Kind::negative);
  REQUIRE(test.put(1, 1) == PutResult::ok);
  CHECK(test.tree.lookup_from_levels_cache(Key::of(1)).kind == Tree::CacheLookup::Kind::negative);

  struct Asked {
    u32 done = 0;
    void finished(Tree::Lookup&) { ++done; }
  } asked;
  Tree::Lookup lookup;
  lookup.key = Key::of(1);
  lookup.done = Callback<Tree::Lookup&>::to<&Asked::finished>(&asked);
  test.tree.lookup_from_levels_storage(lookup);
  CHECK(asked.done == 0);
  while (test.storage.step()) {
  }
  CHECK(asked.done == 1);
  CHECK_FALSE(lookup.found);
  CHECK_FALSE(lookup.error);
}

TEST_CASE("tree: in a secondary index a put and its removal cancel out at the swap") {
  TestTree test(secondary);
  const auto value = [](u64 field) { return IndexTraits::Value{.field = field, .timestamp_and_flag = 1}; };
  const auto key = [](u64 field) { return Key::of(u128{field} << 64 | 1); };
  for (u64 field = 0; field < 4; ++field) {
    const IndexTraits::Value stored = value(field);
    REQUIRE(test.tree.put(reinterpret_cast<const std::byte*>(&stored)) == PutResult::ok);
  }
  test.tree.op_end();
  for (u64 field = 0; field < 3; ++field) REQUIRE(test.tree.remove(key(field)) == PutResult::ok);
  const std::byte* removed = test.tree.lookup_from_memory(key(0));
  REQUIRE(removed != nullptr);
  CHECK(test.tree.kernel().is_tombstone(removed));
  test.tree.op_end();
  test.tree.swap_mutable_and_immutable(4);
  CHECK(test.tree.table_immutable().count() == 1);
  CHECK(test.tree.lookup_from_memory(key(0)) == nullptr);
  CHECK(test.tree.lookup_from_memory(key(3)) != nullptr);
}

}  // namespace tonearm
