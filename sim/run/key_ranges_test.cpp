#include "sim/run/key_ranges.h"

#include "sim/run/test_host.h"

namespace tonearm::sim {

namespace {

void put(TestHost& host, TreeName tree, u64 key) {
  REQUIRE(host->put(tree, Key::of(key), 1) == PutResult::ok);
}

DecodedTable table(TreeName tree, u32 level, const DecodedKey& min, const DecodedKey& max) {
  return {.tree = tree_spec(tree).id, .level = level, .key_min = min, .key_max = max};
}

}  // namespace

TEST_CASE("a discarded scope leaves the key range of every tree as it was", "[key_ranges]") {
  TestHost host;
  KeyRanges ranges;
  put(host, TreeName::kv, 20);
  put(host, TreeName::kv, 30);
  ranges.scope_opens(*host, world_tree);
  REQUIRE(host->scope_open());
  SECTION("it does") {
    put(host, TreeName::kv, 10);
    put(host, TreeName::id, 5);
    host->scope_close(ScopeMode::discard);
    CHECK(ranges.discarded(*host, world_tree) == "");
  }
  SECTION("nothing has widened them") {
    put(host, TreeName::kv, 25);
    host->scope_close(ScopeMode::persist);
    CHECK(ranges.discarded(*host, world_tree) == "");
  }
  SECTION("below") {
    put(host, TreeName::kv, 10);
    host->scope_close(ScopeMode::persist);
    CHECK(ranges.discarded(*host, world_tree) == "the key range of kv is 10..30, not 20..30");
  }
  SECTION("above") {
    put(host, TreeName::kv, 31);
    host->scope_close(ScopeMode::persist);
    CHECK(ranges.discarded(*host, world_tree) == "the key range of kv is 20..31, not 20..30");
  }
  SECTION("where nothing was, of the last tree") {
    put(host, TreeName::id, 5);
    host->scope_close(ScopeMode::persist);
    CHECK(ranges.discarded(*host, world_tree) == "the key range of id is 5..5, not nothing");
  }
  SECTION("the next scope begins with what it finds") {
    put(host, TreeName::kv, 10);
    host->scope_close(ScopeMode::persist);
    ranges.scope_opens(*host, world_tree);
    CHECK(ranges.discarded(*host, world_tree) == "");
  }
}

TEST_CASE("behind an open the key range is what the tables of the tree span", "[key_ranges]") {
  TestHost host;
  for (u64 op = 1; op <= 30; ++op) {
    put(host, TreeName::kv, 100 + op * 37 % 64);
    put(host, TreeName::id, 1000 - op);
    host.commit();
  }
  const Image image = host.durable_image();
  host.crash();
  REQUIRE(host.forest().checkpoint_op() == 23);
  DecodedImage decoded = decode_image(image);
  REQUIRE(decoded.outcome == DecodeOutcome::ok);
  const auto opened = [&] { return KeyRanges::opened(*host, world_tree, decoded); };
  const std::size_t tables = decoded.tables.size();
  REQUIRE(tables >= 3);
  CHECK(opened() == "");
  SECTION("a table within makes no difference, in whatever order they come") {
    decoded.tables.insert(decoded.tables.begin(), table(TreeName::kv, 0, {0, 120}, {0, 125}));
    CHECK(opened() == "");
    std::reverse(decoded.tables.begin(), decoded.tables.end());
    CHECK(opened() == "");
  }
  SECTION("one that reaches further, of whatever level") {
    decoded.tables.push_back(table(TreeName::kv, 3, {0, 99}, {0, 120}));
    CHECK(opened() == "the key range of kv is 103..163, not 99..163");
    decoded.tables.back() = table(TreeName::kv, 0, {0, 120}, {0, 164});
    CHECK(opened() == "the key range of kv is 103..163, not 103..164");
  }
  SECTION("without tables") {
    decoded.tables.clear();
    CHECK(opened() == "the key range of kv is 103..163, not nothing");
  }
  SECTION("of the last tree alone") {
    const auto of_id = [](const DecodedTable& t) { return t.tree == tree_spec(TreeName::id).id; };
    REQUIRE(std::erase_if(decoded.tables, of_id) > 0);
    CHECK(opened() == "the key range of id is 977..999, not nothing");
  }
}

TEST_CASE("a wide key of a table is compared in both halves", "[key_ranges]") {
  RunOptions options = host_options();
  options.format.block_size = 4096;
  finish_options(&options);
  TestHost host(world_notes, options);
  DecodedImage decoded;
  CHECK(KeyRanges::opened(*host, world_notes, decoded) == "");
  decoded.tables.push_back(table(TreeName::notes_topic, 0, {1, 5}, {2, 7}));
  CHECK(KeyRanges::opened(*host, world_notes, decoded) ==
        "the key range of notes.topic is nothing, not 1/5..2/7");
}

}  // namespace tonearm::sim
