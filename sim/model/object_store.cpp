#include "sim/model/object_store.h"

#include <cstddef>
#include <cstring>

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

ObjectStore::ObjectStore(GrooveName groove) : groove_(groove), has_id_(groove_spec(groove).has_id) {
  const std::size_t fields = groove_spec(groove).fields.size();
  ASSERT(fields <= fields_max);
  object_bytes_ = static_cast<u32>(offsetof(Object, fields) + fields * sizeof(u64));
  object_parts_ = static_cast<u32>((object_bytes_ + sizeof(Part) - 1) / sizeof(Part));
}

u32 ObjectStore::find(u128 key) const {
  return by_key_.find(place_hash(key), [&](u32 place) {
    const std::byte* const bytes = parts_[u64{place} * object_parts_].bytes;
    const u128 id = read<u128>(bytes, offsetof(Object, id));
    return (has_id_ ? id : read<u64>(bytes, offsetof(Object, timestamp))) == key;
  });
}

Side ObjectStore::side_at(u32 place) const {
  Side side;
  std::memcpy(&side.object, parts_[u64{place} * object_parts_].bytes, object_bytes_);
  side.presence = side.object.timestamp == 0 ? Presence::orphan : Presence::object;
  return side;
}

Side ObjectStore::get(u128 key) const {
  const u32 place = find(key);
  return place == PlaceTable::none ? Side{} : side_at(place);
}

Side ObjectStore::at(u64 timestamp) const {
  if (!has_id_) return get(timestamp);
  const u32 place = by_timestamp_.find(place_hash(timestamp), [&](u32 candidate) {
    const std::byte* const bytes = parts_[u64{candidate} * object_parts_].bytes;
    return read<u64>(bytes, offsetof(Object, timestamp)) == timestamp;
  });
  return place == PlaceTable::none ? Side{} : side_at(place);
}

void ObjectStore::fetch_object(u32 place) const {
  if (place == PlaceTable::none) return;
  const Part* const object = &parts_[u64{place} * object_parts_];
  for (u32 i = 0; i < object_parts_; ++i) __builtin_prefetch(object + i);
}

void ObjectStore::keep(u32 place, const Object& object) {
  for (std::size_t i = groove_spec(groove_).fields.size(); i < fields_max; ++i) ASSERT(object.fields[i] == 0);
  std::memcpy(parts_[u64{place} * object_parts_].bytes, &object, object_bytes_);
}

void ObjectStore::change(u128 key, const Side& before, const Side& after) {
  u32 place = find(key);
  const bool was_there = before.presence != Presence::absent;
  const bool is_there = after.presence != Presence::absent;
  ASSERT((place != PlaceTable::none) == was_there);
  ASSERT(!was_there || side_at(place) == before);
  ASSERT(was_there || is_there);
  if (!was_there) {
    if (free_places_.empty()) {
      const std::size_t size = parts_.size();
      free_places_.push_back(static_cast<u32>(size / object_parts_));
      // Doubled, half of it would lie idle.
      if (size == parts_.capacity()) parts_.reserve(size + (size / 4 / object_parts_ + 16) * object_parts_);
      parts_.resize(size + object_parts_);
    }
    place = free_places_.back();
    free_places_.pop_back();
    by_key_.insert(place_hash(key), place);
  }
  const u64 timestamp_before = timestamp_of(before);
  const u64 timestamp_after = timestamp_of(after);
  if (has_id_ && timestamp_before != timestamp_after) {
    if (timestamp_before != 0) by_timestamp_.erase(place_hash(timestamp_before), place);
    if (timestamp_after != 0) by_timestamp_.insert(place_hash(timestamp_after), place);
  }
  if (is_there) {
    keep(place, after.object);
    ASSERT(side_at(place).presence == after.presence);
  } else {
    by_key_.erase(place_hash(key), place);
    free_places_.push_back(place);
  }
}

}  // namespace tonearm::sim
