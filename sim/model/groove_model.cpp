#include "sim/model/groove_model.h"

#include <optional>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// --- what an object has in each index of its groove, in their order

using Entry = std::optional<ModelKey>;

ModelKey by_field(u64 field, u64 timestamp) { return u128{field} << 64 | timestamp; }

template <class Index>
void thing_indexes(const Index& index) {
  for (u32 i = 0; i < 13; ++i)
    index(i, [i](const Object& thing) -> Entry { return by_field(thing.fields[i], thing.timestamp); });
}

template <class Index>
void note_indexes(const Index& index) {
  index(0, [](const Object& note) -> Entry {
    const u64 author = note.fields[0];
    return by_field(author, note.timestamp);
  });
  index(1, [](const Object& note) -> Entry {
    const u64 pinned = note.fields[1];
    if (pinned == 0) return std::nullopt;
    return by_field(pinned, note.timestamp);
  });
  index(2, [](const Object& note) -> Entry {
    const u128 topic = note.wide;
    return ModelKey::wide(topic, note.timestamp);
  });
  index(3, [](const Object& note) -> Entry {
    const u64 kind = note.fields[3];
    return by_field(kind, note.timestamp);
  });
  index(4, [](const Object& note) -> Entry {  // Large.
    const u64 size = note.fields[4];
    if (size <= 1000) return std::nullopt;
    return by_field(size / 16, note.timestamp);
  });
  index(5, [](const Object& note) -> Entry {  // Draft.
    const u64 flags = note.fields[5];
    if (flags % 2 == 0) return std::nullopt;
    return note.timestamp;
  });
}

template <class Index>
void event_indexes(const Index& index) {
  index(0, [](const Object& event) -> Entry {
    const u64 source = event.fields[0];
    return by_field(source, event.timestamp);
  });
  index(1, [](const Object& event) -> Entry {
    const u64 weight = event.fields[1];
    if (weight == 0) return std::nullopt;
    return by_field(weight, event.timestamp);
  });
}

template <class Index>
void reading_indexes(const Index& index) {
  index(0, [](const Object& reading) -> Entry {
    const u64 sensor = reading.fields[0];
    return by_field(sensor, reading.timestamp);
  });
  index(1, [](const Object& reading) -> Entry {
    const u128 label = reading.wide;
    if (label == 0) return std::nullopt;
    return ModelKey::wide(label, reading.timestamp);
  });
  index(2, [](const Object& reading) -> Entry {  // Square.
    const u128 peak = reading.fields[2];
    if (peak == 0) return std::nullopt;
    return ModelKey::wide(peak * peak, reading.timestamp);
  });
}

// Of each index that the change does something to its place behind the object tree, the entry that goes and
// the one that comes.
template <class Visit>
void each_move(GrooveName groove, const Side& before, const Side& after, const Visit& visit) {
  const u32 first = groove_spec(groove).has_id ? 2 : 1;
  const bool was = before.presence == Presence::object;
  const bool is = after.presence == Presence::object;
  const auto index = [&](u32 i, const auto& entry_of) {
    const Entry gone = was ? entry_of(before.object) : std::nullopt;
    const Entry come = is ? entry_of(after.object) : std::nullopt;
    if (gone != come) visit(first + i, gone, come);
  };
  switch (groove) {
    case GrooveName::things: return thing_indexes(index);
    case GrooveName::notes: return note_indexes(index);
    case GrooveName::events: return event_indexes(index);
    case GrooveName::readings: return reading_indexes(index);
    case GrooveName::none: break;
  }
  UNREACHABLE();
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
  each_move(groove, before, after, [&](u32 index, const Entry& gone, const Entry& come) {
    if (gone) map(index).fetch(*gone);
    if (come) map(index).fetch(*come);
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
  each_move(groove, before, after, [&](u32 index, const Entry& gone, const Entry& come) {
    ModelMap& map = tree_at(trees, spec.objects, index);
    if (gone) take_entry(map, *gone, 0);
    if (come) add_entry(map, *come, 0);
  });
}

}  // namespace tonearm::sim
