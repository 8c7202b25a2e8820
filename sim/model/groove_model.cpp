#include "sim/model/groove_model.h"

#include <bit>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// --- what an object has in the indexes of its groove, by the place of the index among them

constexpr u32 indexes_max = 13;

struct Entries {
  std::array<ModelKey, indexes_max> keys;
  u32 present = 0;  // Bits.

  void add(u32 index, ModelKey key) {
    keys[index] = key;
    present |= u32{1} << index;
  }
  bool has(u32 index) const { return (present >> index & 1) != 0; }
};

ModelKey by_field(u64 field, u64 timestamp) { return u128{field} << 64 | timestamp; }

void thing_entries(const Object& thing, Entries* entries) {
  for (u32 i = 0; i < 13; ++i) entries->add(i, by_field(thing.fields[i], thing.timestamp));
}

void note_entries(const Object& note, Entries* entries) {
  const u64 author = note.fields[0];
  const u64 pinned = note.fields[1];
  const u64 kind = note.fields[3];
  const u64 size = note.fields[4];
  const u64 flags = note.fields[5];
  entries->add(0, by_field(author, note.timestamp));
  if (pinned != 0) entries->add(1, by_field(pinned, note.timestamp));
  entries->add(2, ModelKey::wide(note.wide, note.timestamp));  // Topic.
  entries->add(3, by_field(kind, note.timestamp));
  if (size > 1000) entries->add(4, by_field(size / 16, note.timestamp));  // Large.
  if (flags % 2 == 1) entries->add(5, note.timestamp);                    // Draft.
}

void event_entries(const Object& event, Entries* entries) {
  const u64 source = event.fields[0];
  const u64 weight = event.fields[1];
  entries->add(0, by_field(source, event.timestamp));
  if (weight != 0) entries->add(1, by_field(weight, event.timestamp));
}

void add_entries(GrooveName groove, const Side& side, Entries* entries) {
  if (side.presence != Presence::object) return;
  switch (groove) {
    case GrooveName::things: return thing_entries(side.object, entries);
    case GrooveName::notes: return note_entries(side.object, entries);
    case GrooveName::events: return event_entries(side.object, entries);
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

// Bits of those that the one has and the other has not, or has with another key.
u32 changed_entries(const Entries& a, const Entries& b) {
  u32 changed = a.present ^ b.present;
  for (u32 left = a.present & b.present; left != 0; left &= left - 1) {
    const u32 i = static_cast<u32>(std::countr_zero(left));
    if (a.keys[i] != b.keys[i]) changed |= u32{1} << i;
  }
  return changed;
}

u32 key_words(KeyShape shape) {
  switch (shape) {
    case KeyShape::number:
    case KeyShape::timestamp: return 1;
    case KeyShape::wide_number:
    case KeyShape::index: return 2;
    case KeyShape::wide_index: return 3;
  }
  UNREACHABLE();
}

ModelMap& tree_at(ModelTrees& trees, TreeName first, u32 offset) {
  return trees[static_cast<u32>(first) + offset];
}

void take_entry(ModelMap& map, const ModelKey& key, u64 payload) {
  const auto found = map.find(key);
  ASSERT(found != map.end() && (*found).second == payload);
  map.erase(found);
}

void add_entry(ModelMap& map, const ModelKey& key, u64 payload) {
  const bool inserted = map.try_emplace(key, payload).second;
  ASSERT(inserted);
}

// Another payload under the same key.
void set_payload(ModelMap& map, const ModelKey& key, u64 payload) {
  const auto found = map.find(key);
  ASSERT(found != map.end());
  map.set_payload(found, payload);
}

u64 hash_of_object(GrooveName groove, const Object& object) {
  return object_hash(groove, object_bytes(groove, object).data());
}

// What an id names: 0 for an orphan.
u64 named_timestamp(const Side& side) {
  return side.presence == Presence::object ? side.object.timestamp : 0;
}

}  // namespace

u128 ObjectChange::key() const {
  ASSERT(before.presence != Presence::absent || after.presence != Presence::absent);
  return key_of(groove, before.presence != Presence::absent ? before.object : after.object);
}

ModelTrees model_trees() {
  ModelTrees trees;
  for (u32 i = 0; i < tree_names_max; ++i) {
    const TreeSpec& spec = tree_spec(static_cast<TreeName>(i));
    trees[i] = ModelMap({.key_words = key_words(spec.shape), .payload = !spec.secondary_index});
  }
  return trees;
}

void GrooveModel::apply(GrooveName groove, const Side& before, const Side& after, ModelTrees& trees) {
  const GrooveSpec& spec = groove_spec(groove);
  const bool was_there = before.presence != Presence::absent;
  const bool is_there = after.presence != Presence::absent;
  const bool was = before.presence == Presence::object;
  const bool is = after.presence == Presence::object;
  ASSERT(was_there || is_there);
  const u128 key = key_of(groove, was_there ? before.object : after.object);
  ASSERT(!was_there || !is_there || key_of(groove, after.object) == key);
  Entries entries_before;
  Entries entries_after;
  add_entries(groove, before, &entries_before);
  add_entries(groove, after, &entries_after);
  const u32 changed = changed_entries(entries_before, entries_after);
  // What changes lies far apart in memory: all of it is on its way before the first is waited for.
  const u32 first_index = spec.has_id ? 2 : 1;
  ModelMap& objects = tree_at(trees, spec.objects, 0);
  if (was || is) objects.fetch(is ? after.object.timestamp : before.object.timestamp);
  for (u32 left = changed; left != 0; left &= left - 1) {
    const u32 i = static_cast<u32>(std::countr_zero(left));
    const ModelMap& index = tree_at(trees, spec.objects, first_index + i);
    if (entries_before.has(i)) index.fetch(entries_before.keys[i]);
    if (entries_after.has(i)) index.fetch(entries_after.keys[i]);
  }
  stores_[static_cast<u32>(groove)].change(key, before, after);

  if (was && is && before.object.timestamp == after.object.timestamp) {
    set_payload(objects, after.object.timestamp, hash_of_object(groove, after.object));
  } else {
    if (was) take_entry(objects, before.object.timestamp, hash_of_object(groove, before.object));
    if (is) add_entry(objects, after.object.timestamp, hash_of_object(groove, after.object));
  }
  if (spec.has_id) {
    ModelMap& ids = tree_at(trees, spec.objects, 1);
    const u64 named_before = named_timestamp(before);
    const u64 named_after = named_timestamp(after);
    if (!was_there) {
      add_entry(ids, key, named_after);
    } else if (!is_there) {
      take_entry(ids, key, named_before);
    } else if (named_before != named_after) {
      set_payload(ids, key, named_after);
    }
  }
  for (u32 left = changed; left != 0; left &= left - 1) {
    const u32 i = static_cast<u32>(std::countr_zero(left));
    ModelMap& index = tree_at(trees, spec.objects, first_index + i);
    if (entries_before.has(i)) take_entry(index, entries_before.keys[i], 0);
    if (entries_after.has(i)) add_entry(index, entries_after.keys[i], 0);
  }
}

}  // namespace tonearm::sim
