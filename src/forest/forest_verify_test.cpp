#include "forest/forest_verify.h"

#include "forest/test_blocks.h"
#include "table/table_builder.h"

namespace tonearm {

namespace {

struct Verified {
  Error error;
  ForestVerify::Counts counts;
};

Verified verify(TestForest& forest, const ForestOptions& options, ForestVerify::Visitor* visitor = nullptr) {
  TestArena arena([&](Arena& measuring) { ForestVerify::measure(measuring, options); });
  ForestVerify verification(*forest, *arena);
  verification.run(visitor, forest.callback());
  forest.pump();
  CHECK(forest->grid().idle());
  return {.error = verification.error(), .counts = verification.counts()};
}
Verified verify(TestForest& forest, ForestVerify::Visitor* visitor = nullptr) {
  return verify(forest, test_options(), visitor);
}

void check_refused(TestForest& forest, u64 address, const std::string& reason) {
  const Verified verified = verify(forest);
  CHECK(verified.error.kind == ErrorKind::inconsistent);
  CHECK(verified.error.reason == reason);
  CHECK(verified.error.address == address);
}

class Rows final : public ForestVerify::Visitor {
 public:
  const char* value(u32 tree, const std::byte* value) override {
    rows[tree].push_back(tree == kv ? static_cast<u64>(kv_kernel.key_of(value).lo)
                                    : static_cast<u64>(index_kernel.key_of(value).lo >> 64));
    return rows[tree].size() == refuse_at ? "the visitor refuses" : nullptr;
  }
  const char* end() override {
    ended = true;
    return refuse_end ? "the visitor refuses the end" : nullptr;
  }
  std::array<std::vector<u64>, 2> rows;
  u64 refuse_at = 0;
  bool refuse_end = false;
  bool ended = false;
};

// A table built by hand, in blocks of its own that are acquired: to be made a lie, sealed and believed.
class ForgedTable {
 public:
  ForgedTable(TestForest& forest, u32 tree, const std::vector<u64>& keys, bool tombstones = false)
      : forest_(forest), tree_(tree), layout_(forest.tree(tree).layout()) {
    const TableKernel& kernel = forest.tree(tree).kernel();
    index.resize(forest->grid().block_size());
    std::optional<Reservation> reservation = forest->grid().reserve(1 + static_cast<u32>(keys.size()));
    REQUIRE(reservation);
    TableBuilder builder;
    builder.init(layout_, kernel);
    builder.set_index_block(index.data());
    for (std::size_t at = 0; at < keys.size();) {
      values.emplace_back(index.size());
      addresses.push_back(forest->grid().acquire(*reservation));
      builder.set_value_block(values.back().data());
      for (; at < keys.size() && !builder.value_block_full(); ++at) {
        std::byte* place = builder.value_space().data();
        kernel.make_tombstone(TestForest::key_of(tree, keys[at]), place);
        if (!tombstones) place[tree == kv ? 7 : 15] &= std::byte{0x7f};
        builder.values_added(1);
      }
      (void)builder.value_block_finish(finish(addresses.back()));
    }
    BuiltTable built{};
    (void)builder.index_block_finish(finish(forest->grid().acquire(*reservation)), &built);
    forest->grid().forfeit(*reservation);
    info = {.key_min = built.key_range.min,
            .key_max = built.key_range.max,
            .address = built.index.address,
            .snapshot_min = built.snapshot_min,
            .snapshot_max = snapshot_max_live,
            .value_count = built.value_count,
            .tree_id = forest.tree(tree).config().id};
  }

  void install(u32 level) {
    BlockEditor editor(forest_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Checksum checksum = seal(values[i], addresses[i], BlockType::value);
      std::memcpy(index.data() + block_header_size + i * 32, &checksum, sizeof checksum);
      editor.write(addresses[i], values[i]);
    }
    info.checksum = seal(index, info.address, BlockType::index);
    info.set_label(level, ManifestEvent::insert);
    editor.write(info.address, index);
    ASSERT(forest_.tree(tree_).manifest().open_table(info) == nullptr);
  }

  ValueMetadata& value_metadata(std::size_t i) { return metadata_of<ValueMetadata>(values[i].data()); }
  IndexMetadata& index_metadata() { return metadata_of<IndexMetadata>(index.data()); }
  u64& number(std::vector<std::byte>& block, u64 offset) {
    return *reinterpret_cast<u64*>(block.data() + offset);
  }

  std::vector<std::byte> index;
  std::vector<std::vector<std::byte>> values;
  std::vector<u64> addresses;
  TableInfo info{};
  BlockType value_type = BlockType::value;
  const TableLayout& layout() const { return layout_; }

 private:
  TableBuilder::Finish finish(u64 address) {
    return {.address = address,
            .snapshot_min = 3,
            .cluster = forest_->grid().cluster(),
            .sector_size = forest_->grid().sector_size()};
  }
  Checksum seal(std::vector<std::byte>& block, u64 address, BlockType type) {
    const BlockHeader& header = header_of(block.data());
    return block_seal(block.data(),
                      {.type = type == BlockType::value ? value_type : type,
                       .address = address,
                       .snapshot = header.snapshot,
                       .size = header.size,
                       .cluster = header.cluster},
                      forest_->grid().sector_size());
  }

  TestForest& forest_;
  u32 tree_;
  TableLayout layout_;
};

const std::vector<u64> forged_keys = {1000, 1010, 1020, 1030, 1040};
constexpr u32 deepest = 3;

}  // namespace

TEST_CASE("a healthy forest verifies, whatever led to it") {
  u64 verified_count = 0;
  for (u64 seed = 1; seed <= 3; ++seed) {
    TestForest forest(test_options());
    forest.begin();
    CHECK_FALSE(verify(forest).error);
    for (u64 op = 0; op < 150; ++op) {
      random_op(forest, seed, 150, 30);
      forest.commits(1);
      if (forest->compacting()) continue;
      const Verified verified = verify(forest);
      INFO("seed " << seed << " op " << forest->op() << ": " << verified.error.reason << " at "
                   << verified.error.address);
      REQUIRE(verified.error.kind == ErrorKind::none);
      REQUIRE(verified.counts.index == forest->manifest_log().table_count());
      ++verified_count;
    }
    REQUIRE_FALSE(forest.reopen());
    Rows rows;
    const Verified verified = verify(forest, &rows);
    CHECK_FALSE(verified.error);
    CHECK(verified.counts.blocks() == BlockEditor(forest).reached().size());
    CHECK(rows.ended);
    u64 keys = 0;
    for (u32 tree = 0; tree < 2; ++tree) {
      std::vector<u64> scanned;
      for (const auto& [key, payload] : forest.scan(tree, 0, 150, Direction::ascending, true)) {
        scanned.push_back(key);
      }
      CHECK(rows.rows[tree] == scanned);
      keys += scanned.size();
    }
    CHECK(verified.counts.keys == keys);
    CHECK(verified.counts.versions > keys);
  }
  CHECK(verified_count > 200);
}

TEST_CASE("verification reads each block once from the disk, and caches none") {
  TestForest forest(test_options());
  fill(forest, 4, 200);
  const u64 reads_before = forest.storage().grid_reads();
  for (u32 time = 1; time <= 2; ++time) {
    const Verified verified = verify(forest);
    CHECK_FALSE(verified.error);
    CHECK(forest.storage().grid_reads() - reads_before == time * verified.counts.blocks());
  }
  const Key key = Key::of(forest.model(kv).begin()->first);
  CHECK(forest.tree(kv).lookup_from_levels_cache(key).kind == Tree::CacheLookup::Kind::possible);
}

TEST_CASE("verification names exactly the damaged block") {
  for (const BlockType type :
       {BlockType::index, BlockType::value, BlockType::manifest, BlockType::free_set}) {
    for (const u64 byte : {u64{40}, u64{260}}) {
      TestForest forest(test_options());
      fill(forest, 5, 200);
      BlockEditor editor(forest);
      std::vector<ReachedBlock> of_type;
      for (const ReachedBlock& block : editor.reached()) {
        if (block.type == type) of_type.push_back(block);
      }
      REQUIRE_FALSE(of_type.empty());
      const BlockReference victim = of_type[of_type.size() / 2].block;
      editor.flip(victim.address, byte);
      const Error error = verify(forest).error;
      CHECK(error.kind == ErrorKind::block_damaged);
      CHECK(error.address == victim.address);
      CHECK(error.checksum == victim.checksum);
      CHECK(error.reason == std::string(byte == 40 ? "invalid_checksum" : "invalid_checksum_body"));
    }
  }
}

TEST_CASE("a visitor may refuse what it sees") {
  TestForest forest(test_options());
  fill(forest, 4, 100);
  Rows rows;
  rows.refuse_at = 5;
  const Verified verified = verify(forest, &rows);
  CHECK(verified.error.kind == ErrorKind::inconsistent);
  CHECK(verified.error.reason == std::string("the visitor refuses"));
  CHECK(verified.error.address >= 1);
  CHECK_FALSE(rows.ended);
  Rows at_end;
  at_end.refuse_end = true;
  CHECK(verify(forest, &at_end).error.reason == std::string("the visitor refuses the end"));
}

TEST_CASE("a table that the manifest log does not know") {
  TestForest forest(test_options());
  fill(forest, 4, 100);
  ForgedTable(forest, kv, forged_keys).install(deepest);
  check_refused(forest, 0, "the manifest log has another number of tables than the levels");
}

TEST_CASE("every lie of a table is found") {
  struct Lie {
    const char* reason;
    bool in_index;  // Else in the value block that is named.
    void (*tell)(ForgedTable&);
  };
  const Lie lies[] = {
      {"a table has another number of values", true, [](ForgedTable& t) { ++t.info.value_count; }},
      {"a table has no values", true, [](ForgedTable& t) { t.info.value_count = 0; }},
      {"an index block's least key is not its table's", true, [](ForgedTable& t) { --t.info.key_min.lo; }},
      {"an index block's greatest key is not its table's", true, [](ForgedTable& t) { ++t.info.key_max.lo; }},
      {"an index block is of another snapshot than its table", true,
       [](ForgedTable& t) { ++t.info.snapshot_min; }},
      {"a table's snapshots are impossible", true, [](ForgedTable& t) { t.info.snapshot_max = 9; }},
      {"an index block is of another tree", true, [](ForgedTable& t) { t.index_metadata().tree_id = 2; }},
      {"an index block is of another layout", true, [](ForgedTable& t) { ++t.index_metadata().key_size; }},
      {"an index block has no such number of blocks", true,
       [](ForgedTable& t) { t.index_metadata().value_block_count = 0; }},
      {"an unused slot of an index block is not zero", true,
       [](ForgedTable& t) { t.number(t.index, t.layout().addresses_offset() + 8 * 5) = 1; }},
      {"an index block's reserved bytes are not zero", true,
       [](ForgedTable& t) { t.index_metadata().reserved[3] = 1; }},
      {"an index block's keys are out of order", true,
       [](ForgedTable& t) { t.number(t.index, t.layout().keys_max_offset()) = 1020; }},
      {"a value block's greatest key is not its index's", false,
       [](ForgedTable& t) { t.number(t.index, t.layout().keys_max_offset() + 8) = 1031; }},
      {"a value block's least key is not its index's", false,
       [](ForgedTable& t) { t.number(t.index, t.layout().keys_min_offset() + 8) = 1019; }},
      {"a value block's keys are out of order", false,
       [](ForgedTable& t) {
         // The same key twice; first and last are what the index says.
         t.number(t.values[1], block_header_size + 16) = 1020;
         t.number(t.index, t.layout().keys_max_offset() + 8) = 1020;
       }},
      {"a value block is of another snapshot than its table", false,
       [](ForgedTable& t) { ++header_of(t.values[1].data()).snapshot; }},
      {"a value block is of another tree", false, [](ForgedTable& t) { t.value_metadata(1).tree_id = 2; }},
      {"a value block is of another layout", false,
       [](ForgedTable& t) { t.value_metadata(1).value_size = 8; }},
      {"a value block has no such number of values", false,
       [](ForgedTable& t) { t.value_metadata(1).value_count = 3; }},
      {"a value block has another size", false, [](ForgedTable& t) { t.value_metadata(1).value_count = 1; }},
      {"a value block's reserved bytes are not zero", false,
       [](ForgedTable& t) { t.value_metadata(1).reserved[0] = 1; }},
  };
  for (const Lie& lie : lies) {
    INFO(lie.reason);
    TestForest forest(test_options());
    fill(forest, 4, 100);
    ForgedTable table(forest, kv, forged_keys);
    REQUIRE(table.values.size() == 3);
    lie.tell(table);
    table.install(deepest);
    check_refused(forest, lie.in_index ? table.info.address : table.addresses[1], lie.reason);
  }
}

TEST_CASE("a block of another type in a table is found") {
  TestForest forest(test_options());
  fill(forest, 4, 100);
  ForgedTable table(forest, kv, forged_keys);
  table.value_type = BlockType::manifest;
  table.install(deepest);
  check_refused(forest, table.addresses[0], "not a value block");
}

TEST_CASE("in a secondary index versions must alternate, down to a put") {
  const auto install = [](TestForest& forest, u32 level, bool tombstones) {
    ForgedTable table(forest, index_tree, {2000, 2001}, tombstones);
    table.install(level);
    return table.addresses[0];
  };
  struct Versions {
    std::vector<bool> tombstones;  // From level 3 - n + 1 down to level 3.
    const char* reason;
    u32 named;  // Which of them.
  };
  const char* good = "the manifest log has another number of tables than the levels";
  const Versions cases[] = {
      {{false}, good, 9},
      {{true}, "a tombstone has nothing below it", 0},
      {{true, false}, good, 9},
      {{false, false}, "two versions of a key do not alternate", 1},
      {{true, true}, "two versions of a key do not alternate", 1},
      {{false, true, false}, good, 9},
      {{false, true}, "a tombstone has nothing below it", 1},
  };
  for (const Versions& versions : cases) {
    TestForest forest(test_options());
    fill(forest, 4, 60);
    const u32 count = static_cast<u32>(versions.tombstones.size());
    std::vector<u64> addresses(10, 0);
    for (u32 i = 0; i < count; ++i) {
      addresses[i] = install(forest, deepest + 1 - count + i, versions.tombstones[i]);
    }
    check_refused(forest, versions.named == 9 ? 0 : addresses[versions.named], versions.reason);
  }
  // A general tree may have a tombstone anywhere.
  TestForest forest(test_options());
  fill(forest, 4, 60);
  ForgedTable(forest, kv, {2000, 2001}, true).install(deepest);
  check_refused(forest, 0, good);
}

TEST_CASE("what is acquired is reached once") {
  TestForest forest(test_options());
  fill(forest, 4, 100);
  const std::vector<ReachedBlock> reached = BlockEditor(forest).reached();
  Grid& grid = forest->grid();
  SECTION("a leak") {
    std::optional<Reservation> reservation = grid.reserve(1);
    const u64 address = grid.acquire(*reservation);
    grid.forfeit(*reservation);
    check_refused(forest, address, "an acquired block is not reached");
  }
  SECTION("a released block that is in use") {
    grid.release(reached[1].block.address);
    check_refused(forest, reached[1].block.address, "a released block is reached");
  }
  SECTION("a value block of two tables") {
    ForgedTable table(forest, kv, forged_keys);
    table.install(deepest);
    ForgedTable other(forest, kv, {1100, 1101});
    other.number(other.index, other.layout().addresses_offset()) = table.addresses[0];
    other.install(deepest);
    check_refused(forest, table.addresses[0], "a block is reached twice");
  }
  SECTION("a value block that is free, and one that is none") {
    const u64 address = GENERATE(u64{1023}, u64{1025}, u64_max);
    ForgedTable table(forest, kv, forged_keys);
    table.number(table.index, table.layout().addresses_offset() + 8) = address;
    table.install(deepest);
    check_refused(forest, address,
                  address == 1023 ? "a reference to a free block" : "a reference to no block");
  }
}

}  // namespace tonearm
