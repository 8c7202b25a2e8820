#include "sim/scenario/schema.h"

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr TreeSpec general(const char* name, u16 id, KeyShape shape, GrooveName groove) {
  return {.name = name, .id = id, .shape = shape, .secondary_index = false, .groove = groove};
}
constexpr TreeSpec secondary(const char* name, u16 id, KeyShape shape, GrooveName groove) {
  return {.name = name, .id = id, .shape = shape, .secondary_index = true, .groove = groove};
}

// 128 bytes: id, thirteen indexed fields, timestamp.
constexpr FieldSpec thing_fields[] = {
    {"a", 16, 8}, {"b", 24, 8}, {"c", 32, 8}, {"d", 40, 8}, {"e", 48, 8},  {"f", 56, 8},  {"g", 64, 8},
    {"h", 72, 8}, {"i", 80, 8}, {"j", 88, 8}, {"k", 96, 8}, {"l", 104, 8}, {"m", 112, 8},
};
static_assert(std::size(thing_fields) == fields_max);

// 128 bytes. `pinned` is indexed unless it is 0, `large` holds size / 16 of those over 1000, `draft` those
// with bit 0 of `flags`; neither size, flags nor body has an index.
constexpr FieldSpec note_fields[] = {
    {"author", 32, 8}, {"pinned", 40, 8}, {"topic", 16, 16},  {"kind", 72, 1},
    {"size", 48, 8},   {"flags", 56, 8},  {"body", 80, 8, 6},
};

// 64 bytes. `weight` is indexed unless it is 0; neither length nor body has an index.
constexpr FieldSpec event_fields[] = {
    {"source", 8, 8},
    {"weight", 16, 4},
    {"length", 20, 4},
    {"body", 24, 8, 5},
};

// 64 bytes. `label` is indexed unless it is 0, `square` holds that of `peak` unless it is 0; body has no
// index.
constexpr FieldSpec reading_fields[] = {
    {"sensor", 24, 8},
    {"label", 0, 16},
    {"peak", 32, 8},
    {"body", 40, 8, 3},
};

}  // namespace

constexpr TreeSpec tree_specs[] = {
    general("kv", 1, KeyShape::number, GrooveName::none),
    secondary("index", 2, KeyShape::index, GrooveName::none),
    general("id", 3, KeyShape::wide_number, GrooveName::none),

    general("things", 1, KeyShape::timestamp, GrooveName::things),
    general("things.id", 2, KeyShape::wide_number, GrooveName::things),
    secondary("things.a", 3, KeyShape::index, GrooveName::things),
    secondary("things.b", 4, KeyShape::index, GrooveName::things),
    secondary("things.c", 5, KeyShape::index, GrooveName::things),
    secondary("things.d", 6, KeyShape::index, GrooveName::things),
    secondary("things.e", 7, KeyShape::index, GrooveName::things),
    secondary("things.f", 8, KeyShape::index, GrooveName::things),
    secondary("things.g", 9, KeyShape::index, GrooveName::things),
    secondary("things.h", 10, KeyShape::index, GrooveName::things),
    secondary("things.i", 11, KeyShape::index, GrooveName::things),
    secondary("things.j", 12, KeyShape::index, GrooveName::things),
    secondary("things.k", 13, KeyShape::index, GrooveName::things),
    secondary("things.l", 14, KeyShape::index, GrooveName::things),
    secondary("things.m", 15, KeyShape::index, GrooveName::things),

    general("notes", 16, KeyShape::timestamp, GrooveName::notes),
    general("notes.id", 17, KeyShape::wide_number, GrooveName::notes),
    secondary("notes.author", 18, KeyShape::index, GrooveName::notes),
    secondary("notes.pinned", 19, KeyShape::index, GrooveName::notes),
    secondary("notes.topic", 20, KeyShape::wide_index, GrooveName::notes),
    secondary("notes.kind", 21, KeyShape::index, GrooveName::notes),
    secondary("notes.large", 22, KeyShape::index, GrooveName::notes),
    secondary("notes.draft", 23, KeyShape::timestamp, GrooveName::notes),

    general("events", 24, KeyShape::timestamp, GrooveName::events),
    secondary("events.source", 25, KeyShape::index, GrooveName::events),
    secondary("events.weight", 26, KeyShape::index, GrooveName::events),

    general("readings", 27, KeyShape::timestamp, GrooveName::readings),
    secondary("readings.sensor", 28, KeyShape::index, GrooveName::readings),
    secondary("readings.label", 29, KeyShape::wide_index, GrooveName::readings),
    secondary("readings.square", 30, KeyShape::wide_index, GrooveName::readings),
};

constexpr GrooveSpec groove_specs[] = {
    {.name = "things",
     .objects = TreeName::things,
     .has_id = true,
     .orphans = false,
     .object_bytes = 128,
     .timestamp_offset = 120,
     .fields = thing_fields},
    {.name = "notes",
     .objects = TreeName::notes,
     .has_id = true,
     .orphans = true,
     .object_bytes = 128,
     .timestamp_offset = 64,
     .fields = note_fields},
    {.name = "events",
     .objects = TreeName::events,
     .has_id = false,
     .orphans = false,
     .object_bytes = 64,
     .timestamp_offset = 0,
     .fields = event_fields},
    {.name = "readings",
     .objects = TreeName::readings,
     .has_id = false,
     .orphans = false,
     .object_bytes = 64,
     .timestamp_offset = 16,
     .fields = reading_fields},
};

bool World::has_id(u32 id) const {
  const u32 first_id = tree_spec(first).id;
  return id >= first_id && id - first_id < count;
}

TreeName World::tree_of(u32 id) const {
  ASSERT(has_id(id));
  const TreeName found = tree(id - tree_spec(first).id);
  ASSERT(tree_spec(found).id == id);
  return found;
}

const World& world_of(std::string_view workload, GrooveName groove) {
  if (workload == "forest") return world_forest;
  if (workload != "groove" && workload != "scan") return world_tree;  // Component workloads name no trees.
  switch (groove) {
    case GrooveName::things: return world_things;
    case GrooveName::notes: return world_notes;
    case GrooveName::events: return world_events;
    case GrooveName::readings: return world_readings;
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
