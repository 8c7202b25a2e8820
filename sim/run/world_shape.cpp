#include "sim/run/world_shape.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

using Bytes = std::span<const std::byte>;
using Entries = std::vector<IndexEntry>;

u64 word(Bytes object, u32 at, u32 bytes = 8) {
  u64 value = 0;
  std::memcpy(&value, object.data() + at, bytes);
  return value;
}
u16 id_of(TreeName tree) { return tree_spec(tree).id; }

void add(Entries* to, TreeName tree, u64 field, u64 timestamp) {
  to->push_back({.tree = id_of(tree), .key = {0, u128{field} << 64 | timestamp}});
}

void thing_entries(Bytes object, Entries* to) {
  for (u32 i = 0; i < 13; ++i) {
    const TreeName tree = static_cast<TreeName>(static_cast<u32>(TreeName::things_a) + i);
    add(to, tree, word(object, 16 + 8 * i), word(object, 120));
  }
}

void note_entries(Bytes object, Entries* to) {
  const u64 timestamp = word(object, 64);
  const u64 pinned = word(object, 40);
  const u64 size = word(object, 48);
  u128 topic = 0;
  std::memcpy(&topic, object.data() + 16, sizeof topic);
  add(to, TreeName::notes_author, word(object, 32), timestamp);
  if (pinned != 0) add(to, TreeName::notes_pinned, pinned, timestamp);
  to->push_back({.tree = id_of(TreeName::notes_topic), .key = {topic, timestamp}});
  add(to, TreeName::notes_kind, word(object, 72, 1), timestamp);
  if (size > 1000) add(to, TreeName::notes_large, size / 16, timestamp);
  if ((word(object, 56) & 1) != 0)
    to->push_back({.tree = id_of(TreeName::notes_draft), .key = {0, timestamp}});
}

void event_entries(Bytes object, Entries* to) {
  const u64 timestamp = word(object, 0);
  const u64 weight = word(object, 16, 4);
  add(to, TreeName::events_source, word(object, 8), timestamp);
  if (weight != 0) add(to, TreeName::events_weight, weight, timestamp);
}

void reading_entries(Bytes object, Entries* to) {
  const u64 timestamp = word(object, 16);
  const u128 peak = word(object, 32);
  u128 label = 0;
  std::memcpy(&label, object.data(), sizeof label);
  add(to, TreeName::readings_sensor, word(object, 24), timestamp);
  if (label != 0) to->push_back({.tree = id_of(TreeName::readings_label), .key = {label, timestamp}});
  if (peak != 0) to->push_back({.tree = id_of(TreeName::readings_square), .key = {peak * peak, timestamp}});
}

using Derive = void (*)(Bytes, Entries*);
Derive derive_of(GrooveName groove) {
  switch (groove) {
    case GrooveName::things: return thing_entries;
    case GrooveName::notes: return note_entries;
    case GrooveName::events: return event_entries;
    case GrooveName::readings: return reading_entries;
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

// A shape with what it points to.
struct WorldShape {
  std::vector<TreeShape> trees;
  std::vector<std::vector<u16>> indexes;  // Of each groove.
  std::vector<GrooveShape> grooves;
  ForestShape shape;

  WorldShape(const WorldShape&) = delete;
  explicit WorldShape(const World& world) {
    indexes.resize(world.groove_count);
    for (u32 i = 0; i < world.count; ++i) add_tree(world, world.tree(i));
    for (u32 i = 0; i < world.groove_count; ++i) {
      const GrooveName name = world.groove(i);
      const GrooveSpec& spec = groove_spec(name);
      const u16 objects = id_of(spec.objects);
      grooves.push_back({.name = spec.name,
                         .object_tree = objects,
                         .id_tree = spec.has_id ? static_cast<u16>(objects + 1) : u16{0},
                         .id_at = 0,
                         .orphans = spec.orphans,
                         .index_trees = indexes[i],
                         .entries = derive_of(name)});
    }
    shape = {.trees = trees, .grooves = grooves};
  }

 private:
  void add_tree(const World& world, TreeName tree) {
    const TreeSpec& spec = tree_spec(tree);
    TreeShape added{.id = spec.id, .name = spec.name, .kind = ValueKind::pair};
    switch (spec.shape) {
      case KeyShape::number: break;
      case KeyShape::wide_number: added.kind = ValueKind::id; break;
      case KeyShape::index: added.kind = ValueKind::index; break;
      case KeyShape::wide_index: added.kind = ValueKind::wide; break;
      case KeyShape::timestamp: added.kind = ValueKind::exists; break;
    }
    if (spec.groove != GrooveName::none) {
      const GrooveSpec& groove = groove_spec(spec.groove);
      const u32 number = static_cast<u32>(spec.groove) - static_cast<u32>(world.first_groove);
      if (groove.objects == tree) {
        added.kind = ValueKind::object;
        added.object_size = groove.object_bytes;
        added.timestamp_at = groove.timestamp_offset;
      }
      if (spec.secondary_index) indexes[number].push_back(spec.id);
    }
    trees.push_back(added);
  }
};

}  // namespace

const ForestShape& shape_of(const World& world) {
  static const WorldShape shapes[] = {WorldShape(world_tree),     WorldShape(world_things),
                                      WorldShape(world_notes),    WorldShape(world_events),
                                      WorldShape(world_readings), WorldShape(world_forest)};
  const World* const worlds[] = {&world_tree,   &world_things,   &world_notes,
                                 &world_events, &world_readings, &world_forest};
  for (u32 i = 0; i < std::size(worlds); ++i) {
    if (worlds[i]->first == world.first && worlds[i]->count == world.count) return shapes[i].shape;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
