#include "sim/model/groove_model.h"

#include <optional>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// --- what an object has in the indexes of its groove, by the place of the index among them

constexpr u32 indexes_max = 13;
using Entries = std::array<std::optional<ModelKey>, indexes_max>;

ModelKey by_field(u64 field, u64 timestamp) { return u128{field} << 64 | timestamp; }

void thing_entries(const Object& thing, Entries* entries) {
  for (u32 i = 0; i < 13; ++i) (*entries)[i] = by_field(thing.fields[i], thing.timestamp);
}

void note_entries(const Object& note, Entries* entries) {
  const u64 author = note.fields[0];
  const u64 pinned = note.fields[1];
  const u64 kind = note.fields[3];
  const u64 size = note.fields[4];
  const u64 flags = note.fields[5];
  (*entries)[0] = by_field(author, note.timestamp);
  if (pinned != 0) (*entries)[1] = by_field(pinned, note.timestamp);
  (*entries)[2] = ModelKey::wide(note.wide, note.timestamp);  // Topic.
  (*entries)[3] = by_field(kind, note.timestamp);
  if (size > 1000) (*entries)[4] = by_field(size / 16, note.timestamp);  // Large.
  if (flags % 2 == 1) (*entries)[5] = note.timestamp;                    // Draft.
}

void event_entries(const Object& event, Entries* entries) {
  const u64 source = event.fields[0];
  const u64 weight = event.fields[1];
  (*entries)[0] = by_field(source, event.timestamp);
  if (weight != 0) (*entries)[1] = by_field(weight, event.timestamp);
}

Entries entries_of(GrooveName groove, const Side& side) {
  Entries entries;
  if (side.presence != Presence::object) return entries;
  switch (groove) {
    case GrooveName::things: thing_entries(side.object, &entries); return entries;
    case GrooveName::notes: note_entries(side.object, &entries); return entries;
    case GrooveName::events: event_entries(side.object, &entries); return entries;
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

ModelMap& tree_at(ModelTrees& trees, TreeName first, u32 offset) {
  return trees[static_cast<u32>(first) + offset];
}

// Swaps one entry of a tree for another, either of which may be missing.
void swap_entry(ModelMap& map, const std::optional<ModelKey>& before, const std::optional<ModelKey>& after,
                u64 payload_before, u64 payload_after) {
  if (before && after && *before == *after) {
    const auto found = map.find(*before);
    ASSERT(found != map.end() && found->second == payload_before);
    found->second = payload_after;
    return;
  }
  if (before) {
    const auto found = map.find(*before);
    ASSERT(found != map.end() && found->second == payload_before);
    map.erase(found);
  }
  if (after) {
    const bool inserted = map.try_emplace(*after, payload_after).second;
    ASSERT(inserted);
  }
}

}  // namespace

u128 ObjectChange::key() const {
  ASSERT(before.presence != Presence::absent || after.presence != Presence::absent);
  return key_of(groove, before.presence != Presence::absent ? before.object : after.object);
}

Side GrooveModel::get(GrooveName groove, u128 key, const ModelTrees& trees) const {
  const GrooveSpec& spec = groove_spec(groove);
  const auto& objects = objects_[static_cast<u32>(groove)];
  u128 timestamp = key;
  if (spec.has_id) {
    const ModelMap& ids = trees[static_cast<u32>(spec.objects) + 1];
    const auto found = ids.find(key);
    if (found == ids.end()) return {};
    timestamp = found->second;
    if (timestamp == 0) return {.presence = Presence::orphan, .object = {.id = key}};
  }
  if (timestamp > timestamp_max) return {};
  const auto found = objects.find(static_cast<u64>(timestamp));
  if (found == objects.end()) {
    ASSERT(!spec.has_id);
    return {};
  }
  return {.presence = Presence::object, .object = found->second};
}

Side GrooveModel::at(GrooveName groove, u64 timestamp) const {
  const auto& objects = objects_[static_cast<u32>(groove)];
  const auto found = objects.find(timestamp);
  if (found == objects.end()) return {};
  return {.presence = Presence::object, .object = found->second};
}

bool GrooveModel::exists(GrooveName groove, u64 timestamp) const {
  return objects_[static_cast<u32>(groove)].contains(timestamp);
}

void GrooveModel::apply(GrooveName groove, const Side& before, const Side& after, ModelTrees& trees) {
  const GrooveSpec& spec = groove_spec(groove);
  auto& objects = objects_[static_cast<u32>(groove)];
  const bool was = before.presence == Presence::object;
  const bool is = after.presence == Presence::object;
  if (was) {
    const auto found = objects.find(before.object.timestamp);
    ASSERT(found != objects.end() && found->second == before.object);
    if (is && after.object.timestamp == before.object.timestamp) {
      found->second = after.object;
    } else {
      objects.erase(found);
    }
  }
  if (is && !(was && after.object.timestamp == before.object.timestamp)) {
    const bool inserted = objects.try_emplace(after.object.timestamp, after.object).second;
    ASSERT(inserted);
  }
  std::optional<ModelKey> key_before, key_after;
  u64 hash_before = 0, hash_after = 0;
  if (was) {
    key_before = before.object.timestamp;
    hash_before = object_hash(groove, object_bytes(groove, before.object).data());
  }
  if (is) {
    key_after = after.object.timestamp;
    hash_after = object_hash(groove, object_bytes(groove, after.object).data());
  }
  swap_entry(tree_at(trees, spec.objects, 0), key_before, key_after, hash_before, hash_after);
  if (spec.has_id) {
    std::optional<ModelKey> id_before, id_after;
    if (before.presence != Presence::absent) id_before = before.object.id;
    if (after.presence != Presence::absent) id_after = after.object.id;
    swap_entry(tree_at(trees, spec.objects, 1), id_before, id_after, was ? before.object.timestamp : 0,
               is ? after.object.timestamp : 0);
  }
  const Entries entries_before = entries_of(groove, before);
  const Entries entries_after = entries_of(groove, after);
  for (u32 i = 0; i < indexes_max; ++i) {
    if (entries_before[i] == entries_after[i]) continue;
    swap_entry(tree_at(trees, spec.objects, (spec.has_id ? 2 : 1) + i), entries_before[i], entries_after[i],
               0, 0);
  }
}

}  // namespace tonearm::sim
