#include "sim/scenario/schema.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

namespace tonearm::sim {

namespace {

constexpr const World* worlds[] = {&world_tree,   &world_things,   &world_notes,
                                   &world_events, &world_readings, &world_forest};

}  // namespace

TEST_CASE("schema: ids ascend without a gap in every world, and lead back to the tree", "[schema]") {
  for (const World* world : worlds) {
    INFO(world->name);
    const u32 first_id = tree_spec(world->first).id;
    for (u32 i = 0; i < world->count; ++i) {
      const TreeName tree = world->tree(i);
      CHECK(tree_spec(tree).id == first_id + i);
      CHECK(world->tree_of(first_id + i) == tree);
      CHECK(world->position(tree) == i);
      CHECK(world->has(tree));
    }
    CHECK_FALSE(world->has_id(first_id - 1));
    CHECK_FALSE(world->has_id(first_id + world->count));
  }
  CHECK_FALSE(world_notes.has(TreeName::things_a));
  CHECK_FALSE(world_notes.has(TreeName::events));
  CHECK(world_of("tree", GrooveName::notes).count == 3);
  CHECK(world_of("groove", GrooveName::notes).first == TreeName::notes);
  CHECK(world_of("groove", GrooveName::readings).count == 4);
  CHECK(world_of("forest", GrooveName::notes).groove_count == 3);
}

TEST_CASE("schema: names are unique, and a groove's trees begin with its own", "[schema]") {
  std::set<std::string> names;
  for (u32 i = 0; i < tree_names_max; ++i) {
    const TreeSpec& tree = tree_spec(static_cast<TreeName>(i));
    CHECK(names.insert(tree.name).second);
    if (tree.groove == GrooveName::none) continue;
    CHECK(std::string(tree.name).starts_with(groove_spec(tree.groove).name));
    CHECK(tree.secondary_index == (i != static_cast<u32>(groove_spec(tree.groove).objects) &&
                                   !std::string(tree.name).ends_with(".id")));
  }
  CHECK(names.size() == tree_names_max);
}

TEST_CASE("schema: fields lie inside the object, side by side", "[schema]") {
  for (u32 g = 0; g < groove_count; ++g) {
    const GrooveSpec& groove = groove_spec(static_cast<GrooveName>(g));
    INFO(groove.name);
    std::vector<bool> taken(groove.object_bytes);
    const auto take = [&](u32 offset, u32 bytes) {
      REQUIRE(offset + bytes <= groove.object_bytes);
      CHECK(offset % std::min(bytes, 16U) == 0);
      for (u32 i = offset; i < offset + bytes; ++i) {
        CHECK_FALSE(taken[i]);
        taken[i] = true;
      }
    };
    if (groove.has_id) take(0, 16);
    take(groove.timestamp_offset, 8);
    CHECK(groove.fields.size() <= fields_max);
    for (const FieldSpec& field : groove.fields) {
      for (u32 copy = 0; copy < field.copies; ++copy) take(field.offset + copy * field.bytes, field.bytes);
    }
  }
}

TEST_CASE("schema: keys of every shape print as they parse", "[schema]") {
  struct Row {
    TreeName tree;
    const char* text;
    Key key;
  };
  const Row rows[] = {
      {TreeName::things, "5", Key::of(5)},
      {TreeName::things, "9223372036854775807", key_max(TreeName::things)},
      {TreeName::things_id, "0x10000000000000000", Key::of(u128{1} << 64)},
      {TreeName::things_a, "3/12", Key::of(u128{3} << 64 | 12)},
      {TreeName::notes_topic, "3/12", {.lo = 12, .hi = 3}},
      {TreeName::notes_topic, "0xffffffffffffffffffffffffffffffff/9223372036854775807",
       key_max(TreeName::notes_topic)},
      {TreeName::notes_draft, "0", Key::of(0)},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    Key key;
    CHECK(parse_key(row.tree, row.text, &key) == "");
    CHECK(key == row.key);
    CHECK(key_text(row.tree, key) == row.text);
    CHECK(key_valid(row.tree, key));
  }
  Key key;
  CHECK(parse_key(TreeName::notes_topic, "5", &key) == "field/timestamp, min or max");
  CHECK(parse_key(TreeName::notes_topic, "x/5", &key) ==
        "field/timestamp, the field a number from 0 to 0xffffffffffffffffffffffffffffffff");
  CHECK(parse_key(TreeName::events, "9223372036854775808", &key) == "a number from 0 to 9223372036854775807");
  CHECK_FALSE(key_valid(TreeName::notes_topic, {.lo = timestamp_max + 1, .hi = 0}));
  CHECK_FALSE(key_valid(TreeName::things_a, Key::of(u64_max)));
}

}  // namespace tonearm::sim
