// For tests of scans: a tree whose tables are made to order, and what it must answer.
//
// A test says which keys lie in which block of which level; the blocks go straight into the bytes of the
// storage. Requests complete in whatever order the test takes them.
//
// Tests that hold in both directions are written in ascending order once. With `mirrored` every key becomes
// 1000 - key and the scan is descending, so that the same words describe the mirror image.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "table/table_builder.h"
#include "table/tree_types.h"
#include "tree/test_manifest.h"
#include "tree/tree_scan.h"

namespace tonearm {

class ScannedTree {
 public:
  static constexpr u64 gone = u64_max;  // Payload of a tombstone.
  struct Row {
    u64 key;
    u64 payload;
    friend bool operator==(const Row&, const Row&) = default;
  };
  using Rows = std::vector<Row>;
  static constexpr u64 mirror_at = 1000;

  // Tables of up to 6 blocks of up to 4 values.
  static TestLogOptions options() {
    TestLogOptions options;
    options.format = {.sector_size = 512,
                      .block_size = 1024,
                      .levels = 4,
                      .growth = 2,
                      .beats = 4,
                      .batch_values_max = 6,
                      .values_per_block_max = 4,
                      .value_blocks_max = 6};
    options.blocks_count = 1024;
    options.trees = 1;
    options.tables_max = tree_tables_max(options.format, options.blocks_count);
    return options;
  }
  static constexpr TreeConfig config = {.id = 1, .name = "kv", .kernel = &kv_kernel};

  explicit ScannedTree(bool mirrored = false, u32 buffer_count = 4)
      : mirrored_(mirrored),
        storage(options().blocks_count * options().format.block_size),
        log(storage, options()),
        scratch_bytes_(scratch_size),
        scratch_{.bytes = (*scratch_bytes_).take<std::byte>(scratch_size, 64)},
        pool_arena_(pool_size()),
        pool_(*pool_arena_, nodes()),
        arena_(tree_size()),
        tree({.grid = &log.grid.grid, .node_pool = &pool_, .manifest_log = &log.log, .scratch = &scratch_},
             *arena_, options().format, options().blocks_count, config),
        buffer_arena_(buffers_size(buffer_count)),
        buffers(*buffer_arena_, options().format, buffer_count) {
    REQUIRE(arena_.exhausted());
    REQUIRE(buffer_arena_.exhausted());
  }
  ~ScannedTree() { (*buffer_arena_).give_back(); }
  ScannedTree(const ScannedTree&) = delete;

  // --- what it holds: tables first, then open(), then puts

  // Blocks in the order of a scan, each of one row or more.
  void table(u32 level, std::vector<Rows> blocks) {
    if (mirrored_) std::reverse(blocks.begin(), blocks.end());
    TableBuilder builder;
    builder.init(tree.layout(), tree.kernel());
    AlignedBlock index;
    builder.set_index_block(index.bytes);
    for (Rows& block : blocks) {
      if (mirrored_) std::reverse(block.begin(), block.end());
      AlignedBlock values;
      builder.set_value_block(values.bytes);
      for (const Row& row : block) {
        const KvTraits::Value value = value_of(row);
        std::memcpy(builder.value_space().data(), &value, sizeof value);
        builder.values_added(1);
        layers_[1 + level][row.key] = row.payload;
      }
      write(builder.value_block_finish(finish()));
    }
    BuiltTable built;
    write(builder.index_block_finish(finish(), &built));
    TableInfo info{};
    info.key_min = built.key_range.min;
    info.key_max = built.key_range.max;
    info.checksum = built.index.checksum;
    info.address = built.index.address;
    info.snapshot_min = 1;
    info.snapshot_max = snapshot_max_live;
    info.value_count = built.value_count;
    info.tree_id = config.id;
    info.set_label(level, ManifestEvent::insert);
    const char* misfit = tree.open_table(info);
    INFO((misfit == nullptr ? "" : misfit));
    REQUIRE(misfit == nullptr);
  }
  // A table of one block for each row, as short as can be.
  void table_of(u32 level, std::initializer_list<u64> keys) {
    std::vector<Rows> blocks;
    for (const u64 key : keys) blocks.push_back({{key, key + level}});
    table(level, blocks);
  }
  void open() { tree.open_complete(); }
  void put(u64 key, u64 payload) {
    const KvTraits::Value value = value_of({key, payload});
    const PutResult result = payload == gone ? tree.remove(Key::of(place(key)))
                                             : tree.put(reinterpret_cast<const std::byte*>(&value));
    REQUIRE(result == PutResult::ok);
    layers_[0][key] = payload;
  }
  void remove(u64 key) { put(key, gone); }
  void swap() {
    tree.op_end();
    tree.swap_mutable_and_immutable(1);
  }

  // --- what it must answer
  Rows expected(u64 min, u64 max) const {
    std::map<u64, u64> newest;
    for (const std::map<u64, u64>& layer : layers_) newest.insert(layer.begin(), layer.end());
    Rows rows;
    for (auto row = newest.lower_bound(min); row != newest.end() && row->first <= max; ++row) {
      if (row->second != gone) rows.push_back({row->first, row->second});
    }
    return rows;
  }

  u64 place(u64 key) const { return mirrored_ ? mirror_at - key : key; }
  Key key(u64 key) const { return Key::of(place(key)); }
  KeyRange range(u64 min, u64 max) const {
    return mirrored_ ? KeyRange{.min = key(max), .max = key(min)}
                     : KeyRange{.min = key(min), .max = key(max)};
  }
  Direction direction() const { return mirrored_ ? Direction::descending : Direction::ascending; }
  Row row_of(const std::byte* bytes) const {
    KvTraits::Value value;
    std::memcpy(&value, bytes, sizeof value);
    return {place(value.key_and_flag), value.payload};
  }

 private:
  static constexpr u64 scratch_size = 24 * sizeof(KvTraits::Value);
  static u64 nodes() { return Manifest::nodes_max(options().format, options().blocks_count, 1); }
  static u64 pool_size() {
    Arena arena;
    NodePool::measure(arena, nodes());
    return arena.used();
  }
  static u64 tree_size() {
    Arena arena;
    Tree::measure(arena, options().format, options().blocks_count, config);
    return arena.used();
  }
  static u64 buffers_size(u32 count) {
    Arena arena;
    ScanBufferPool::measure(arena, options().format, count);
    return arena.used();
  }
  KvTraits::Value value_of(const Row& row) const {
    if (row.payload == gone) return KvTraits::tombstone(place(row.key));
    return {.key_and_flag = place(row.key), .payload = row.payload};
  }
  TableBuilder::Finish finish() {
    return {.address = ++address_, .snapshot_min = 1, .cluster = TestGrid::cluster, .sector_size = 512};
  }
  void write(const std::byte* block) {
    REQUIRE(address_ <= options().blocks_count);
    const u32 size = options().format.block_size;
    std::memcpy(&storage.bytes[(address_ - 1) * size], block, size);
  }

  bool mirrored_;
  u64 address_ = 0;                                        // The last one taken.
  std::array<std::map<u64, u64>, 1 + levels_max> layers_;  // Memory first, then the levels.

 public:
  TestStorage storage;
  TestLog log;

 private:
  TestArena scratch_bytes_;
  ScratchMemory scratch_;
  TestArena pool_arena_;
  NodePool pool_;
  TestArena arena_;

 public:
  Tree tree;

 private:
  TestArena buffer_arena_;

 public:
  ScanBufferPool buffers;
};

// A scan of it, with a buffer of the pool.
class TestScan {
 public:
  using Row = ScannedTree::Row;
  using Rows = ScannedTree::Rows;

  TestScan(ScannedTree& tree, u64 min, u64 max, bool cache_read = true)
      : tree_(&tree), buffer_(&tree.buffers.acquire_assume_capacity()) {
    scan.open(tree.tree, *buffer_, tree.range(min, max), tree.direction(), cache_read);
  }
  ~TestScan() {
    if (scan.state() == TreeScan::State::buffering) return;  // The test has failed.
    if (scan.state() != TreeScan::State::closed) scan.close();
    tree_->buffers.release(*buffer_);
  }
  TestScan(const TestScan&) = delete;

  void read() {
    REQUIRE(calls == 0);
    scan.read(Callback<>::to<&TestScan::done>(this));
    REQUIRE(calls == 0);  // Never inside the call.
  }
  void read_all() {
    read();
    tree_->storage.run();
    REQUIRE(calls == 1);
    calls = 0;
  }
  TreeScan::Next next(Row* row) {
    const std::byte* value = nullptr;
    const TreeScan::Next result = scan.next(&value);
    if (result == TreeScan::Next::value) *row = tree_->row_of(value);
    return result;
  }
  // Up to `limit` rows; reads as often as it is told to.
  Rows rows(u64 limit = u64_max) {
    Rows rows;
    while (rows.size() < limit) {
      Row row{};
      const TreeScan::Next result = next(&row);
      if (result == TreeScan::Next::value) {
        rows.push_back(row);
      } else if (result == TreeScan::Next::read_again) {
        read_all();
      } else {
        REQUIRE(result == TreeScan::Next::end);
        break;
      }
    }
    return rows;
  }
  std::vector<u64> keys(u64 limit = u64_max) {
    std::vector<u64> keys;
    for (const Row& row : rows(limit)) keys.push_back(row.key);
    return keys;
  }
  void probe(u64 key) { scan.probe(tree_->key(key)); }

  TreeScan scan;
  u32 calls = 0;

 private:
  void done() { ++calls; }

  ScannedTree* tree_;
  ScanBuffer* buffer_;
};

}  // namespace tonearm
