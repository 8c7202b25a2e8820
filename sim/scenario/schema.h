// What a scenario can name: the trees of the harness, the grooves over them, and the worlds that a run
// plays. Names, sizes and shapes only: engine and model each build the same things on their own.
//
// A TreeName is a place in one list of all trees, so that a key or a line can be printed without knowing
// whose it is. A world is a run of neighbours in that list; their ids on disk ascend without a gap, so
// that (id - first id) is the tree's place in a forest of that world. Two worlds may use the same ids.
//
//   world    trees                             ids
//   tree     kv index id                       1..3     no grooves: lines name trees
//   things   things things.id things.a .. .m   1..15
//   notes    notes notes.id notes.author ...   16..23
//   events   events events.source .weight      24..26
//   readings readings readings.sensor ...      27..30
//   forest   those of things, notes and events 1..26
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/key.h"
#include "base/types.h"

namespace tonearm::sim {

enum class TreeName : u8 {
  kv,
  index,
  id,
  things,  // The object tree of a groove stands for the groove, too.
  things_id,
  things_a,  // .. things_m: the next twelve.
  notes = things_a + 13,
  notes_id,
  notes_author,
  notes_pinned,
  notes_topic,
  notes_kind,
  notes_large,
  notes_draft,
  events,
  events_source,
  events_weight,
  readings,
  readings_sensor,
  readings_label,
  readings_square,
};
inline constexpr u32 tree_names_max = static_cast<u32>(TreeName::readings_square) + 1;

enum class GrooveName : u8 { things, notes, events, readings, none };
inline constexpr u32 groove_count = 4;

// How a key of the tree is written, and how it lies in Key.
enum class KeyShape : u8 {
  number,       // `5`            lo; less than 63 bits
  wide_number,  // `0xffee`       lo
  index,        // `3/12`         lo = field << 64 | timestamp
  wide_index,   // `0xffee/12`    hi = field, lo = timestamp
  timestamp,    // `12`           lo; 63 bits
};

struct TreeSpec {
  const char* name;
  u16 id;  // On disk.
  KeyShape shape;
  bool secondary_index;  // Takes puts of absent keys and removes of present ones only.
  GrooveName groove;
};
extern const TreeSpec tree_specs[tree_names_max];
inline const TreeSpec& tree_spec(TreeName tree) {
  ASSERT(static_cast<u32>(tree) < tree_names_max);
  return tree_specs[static_cast<u32>(tree)];
}
inline const char* tree_name(TreeName tree) { return tree_spec(tree).name; }

// A field of an object that a line can set. Its number stands at `offset` of the object, `bytes` long,
// native byte order, `copies` times in a row.
struct FieldSpec {
  const char* name;
  u32 offset;
  u32 bytes;  // 1, 4, 8 or 16.
  u32 copies = 1;
};
inline constexpr u32 fields_max = 13;
inline u128 field_max(const FieldSpec& field) {
  return field.bytes == 16 ? u128_max : (u128{1} << (8 * field.bytes)) - 1;
}

// The object is zero wherever no field, id or timestamp stands.
struct GrooveSpec {
  const char* name;
  TreeName objects;  // The id tree is the next one.
  bool has_id;       // At offset 0, 16 bytes. Else objects are named by their timestamp.
  bool orphans;      // Takes orphaned ids.
  u32 object_bytes;
  u32 timestamp_offset;
  std::span<const FieldSpec> fields;  // In the order in which they are printed.
};
extern const GrooveSpec groove_specs[groove_count];
inline const GrooveSpec& groove_spec(GrooveName groove) {
  ASSERT(static_cast<u32>(groove) < groove_count);
  return groove_specs[static_cast<u32>(groove)];
}

struct World {
  const char* name;
  TreeName first;
  u32 count;  // Of trees.
  GrooveName first_groove;
  u32 groove_count;

  constexpr TreeName tree(u32 i) const { return static_cast<TreeName>(static_cast<u32>(first) + i); }
  constexpr bool has(TreeName tree) const { return tree >= first && position(tree) < count; }
  constexpr u32 position(TreeName tree) const { return static_cast<u32>(tree) - static_cast<u32>(first); }
  constexpr GrooveName groove(u32 i) const {
    return static_cast<GrooveName>(static_cast<u32>(first_groove) + i);
  }
  bool has_id(u32 id) const;       // Of a tree on disk.
  TreeName tree_of(u32 id) const;  // Which must be one of them.
};
inline constexpr World world_tree = {"tree", TreeName::kv, 3, GrooveName::none, 0};
inline constexpr World world_things = {"things", TreeName::things, 15, GrooveName::things, 1};
inline constexpr World world_notes = {"notes", TreeName::notes, 8, GrooveName::notes, 1};
inline constexpr World world_events = {"events", TreeName::events, 3, GrooveName::events, 1};
inline constexpr World world_readings = {"readings", TreeName::readings, 4, GrooveName::readings, 1};
inline constexpr World world_forest = {"forest", TreeName::things, 26, GrooveName::things, 3};

// Of a run: `groove` (the setting) decides for the workloads `groove` and `scan` only.
const World& world_of(std::string_view workload, GrooveName groove);

inline constexpr u64 timestamp_max = (u64{1} << 63) - 1;  // The bit above it is the tombstone's.

// Keys as text, and `min` or `max` when parsed. Not every number below key_max() is a key of an index:
// see timestamp_max.
Key key_max(TreeName tree);  // The least key of every tree is 0.
bool key_valid(TreeName tree, const Key& key);
void append_key(TreeName tree, const Key& key, std::string* target);
std::string key_text(TreeName tree, const Key& key);
std::string parse_key(TreeName tree, std::string_view text, Key* key);  // What was expected; empty: fine.

}  // namespace tonearm::sim
