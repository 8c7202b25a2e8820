#include "sim/model/object_store.h"

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

template <class T>
T read(const std::byte* bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes + offset, sizeof value);
  return value;
}

// 0 if there is no object.
u64 timestamp_of(const Side& side) { return side.presence == Presence::object ? side.object.timestamp : 0; }

}  // namespace

ObjectStore::ObjectStore(GrooveName groove)
    : groove_(groove),
      has_id_(groove_spec(groove).has_id),
      object_bytes_(offsetof(Object, fields) + groove_spec(groove).fields.size() * sizeof(u64)),
      object_parts_((object_bytes_ + sizeof(Part) - 1) / sizeof(Part)),
      places_(object_parts_) {
  ASSERT(object_bytes_ <= sizeof(Object));
}

u32 ObjectStore::find(u128 key) const {
  return by_key_.find(place_hash(key), [&](u32 place) {
    const std::byte* const bytes = places_[place]->bytes;
    const u128 id = read<u128>(bytes, offsetof(Object, id));
    return (has_id_ ? id : read<u64>(bytes, offsetof(Object, timestamp))) == key;
  });
}

Presence ObjectStore::presence_at(u32 place) const {
  const u64 timestamp = read<u64>(places_[place]->bytes, offsetof(Object, timestamp));
  return timestamp == 0 ? Presence::orphan : Presence::object;
}

Side ObjectStore::side_at(u32 place) const {
  Side side;
  std::memcpy(&side.object, places_[place]->bytes, object_bytes_);
  side.presence = presence_at(place);
  return side;
}

Side ObjectStore::get(u128 key) const {
  const u32 place = find(key);
  return place == PlaceTable::none ? Side{} : side_at(place);
}

Side ObjectStore::at(u64 timestamp) const {
  if (!has_id_) return get(timestamp);
  const u32 place = by_timestamp_.find(place_hash(timestamp), [&](u32 candidate) {
    const std::byte* const bytes = places_[candidate]->bytes;
    return read<u64>(bytes, offsetof(Object, timestamp)) == timestamp;
  });
  return place == PlaceTable::none ? Side{} : side_at(place);
}

void ObjectStore::fetch_object(u32 place) const {
  if (place == PlaceTable::none) return;
  const Part* const object = places_[place];
  for (std::size_t i = 0; i < object_parts_; ++i) __builtin_prefetch(object + i);
}

bool ObjectStore::keeps_all(const Object& object) const {
  for (std::size_t i = groove_spec(groove_).fields.size(); i < fields_max; ++i) {
    if (object.fields[i] != 0) return false;
  }
  return true;
}

bool ObjectStore::is_at(u32 place, const Side& side) const {
  static_assert(std::has_unique_object_representations_v<Object>);
  return side.presence == presence_at(place) && keeps_all(side.object) &&
         std::memcmp(places_[place]->bytes, &side.object, object_bytes_) == 0;
}

void ObjectStore::change(u128 key, const Side& before, const Side& after) {
  u32 place = find(key);
  const bool was_there = before.presence != Presence::absent;
  const bool is_there = after.presence != Presence::absent;
  ASSERT((place != PlaceTable::none) == was_there);
  ASSERT(!was_there || is_at(place, before));
  ASSERT(was_there || is_there);
  if (!was_there) {
    place = places_.take();
    by_key_.insert(place_hash(key), place);
  }
  const u64 timestamp_before = timestamp_of(before);
  const u64 timestamp_after = timestamp_of(after);
  if (has_id_ && timestamp_before != timestamp_after) {
    if (timestamp_before != 0) by_timestamp_.erase(place_hash(timestamp_before), place);
    if (timestamp_after != 0) by_timestamp_.insert(place_hash(timestamp_after), place);
  }
  if (is_there) {
    ASSERT(keeps_all(after.object));
    std::memcpy(places_[place]->bytes, &after.object, object_bytes_);
    ASSERT(presence_at(place) == after.presence);
  } else {
    by_key_.erase(place_hash(key), place);
    places_.give_back(place);
  }
}

}  // namespace tonearm::sim
