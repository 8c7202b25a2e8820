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

// What a change does to the indexes.
class Moves {
 public:
  Moves(GrooveName groove, const Side& before, const Side& after)
      : first_(groove_spec(groove).has_id ? 2 : 1) {
    add_entries(groove, before, &before_);
    add_entries(groove, after, &after_);
  }
  // Of each index that changes its place behind the object tree, and the entry that goes and the one that
  // comes, or null.
  template <class Visit>
  void each(const Visit& visit) const {
    for (u32 left = before_.present | after_.present; left != 0; left &= left - 1) {
      const u32 i = static_cast<u32>(std::countr_zero(left));
      if (before_.has(i) && after_.has(i) && before_.keys[i] == after_.keys[i]) continue;
      visit(first_ + i, before_.has(i) ? &before_.keys[i] : nullptr,
            after_.has(i) ? &after_.keys[i] : nullptr);
    }
  }

 private:
  u32 first_;
  Entries before_;
  Entries after_;
};

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

void GrooveModel::fetch(GrooveName groove, const Side& before, const Side& after,
                        const ModelTrees& trees) const {
  const GrooveSpec& spec = groove_spec(groove);
  const auto map = [&](u32 offset) -> const ModelMap& {
    return trees[static_cast<u32>(spec.objects) + offset];
  };
  const bool was = before.presence == Presence::object;
  const bool is = after.presence == Presence::object;
  if (was || is) map(0).fetch(is ? after.object.timestamp : before.object.timestamp);
  if (spec.has_id && was != is) map(1).fetch(is ? after.object.id : before.object.id);
  const Moves moves(groove, before, after);
  moves.each([&](u32 index, const ModelKey* gone, const ModelKey* come) {
    if (gone != nullptr) map(index).fetch(*gone);
    if (come != nullptr) map(index).fetch(*come);
  });
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
  stores_[static_cast<u32>(groove)].change(key, before, after);

  ModelMap& objects = tree_at(trees, spec.objects, 0);
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
  const Moves moves(groove, before, after);
  moves.each([&](u32 index, const ModelKey* gone, const ModelKey* come) {
    ModelMap& map = tree_at(trees, spec.objects, index);
    if (gone != nullptr) take_entry(map, *gone, 0);
    if (come != nullptr) add_entry(map, *come, 0);
  });
}

}  // namespace tonearm::sim
