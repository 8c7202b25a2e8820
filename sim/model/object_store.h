// The objects and orphans of one groove, by key and by timestamp.
//
// They lie at places that they keep. Of an Object only so much is kept as the groove has
// fields; an orphan has no timestamp, and is known by that.
#pragma once

#include "sim/model/kept_places.h"
#include "sim/model/object.h"
#include "sim/model/place_table.h"

namespace tonearm::sim {

enum class Presence : u8 { absent, object, orphan };

struct Side {
  Presence presence = Presence::absent;
  Object object = {};  // Of an orphan: only the id.

  friend bool operator==(const Side&, const Side&) = default;
};

class ObjectStore {
 public:
  explicit ObjectStore(GrooveName groove);

  Side get(u128 key) const;
  Side at(u64 timestamp) const;  // Never an orphan.

  // Bring what they will find on its way into the processor's caches: first where it lies, then the object.
  void fetch_place(u128 key) const { by_key_.fetch(place_hash(key)); }
  void fetch_place_at(u64 timestamp) const { by_time().fetch(place_hash(timestamp)); }
  void fetch(u128 key) const { fetch_object(by_key_.guess(place_hash(key))); }
  void fetch_at(u64 timestamp) const { fetch_object(by_time().guess(place_hash(timestamp))); }

  // Asserts that `before` is what is there.
  void change(u128 key, const Side& before, const Side& after);

 private:
  // The bytes of an object in half a line of the processor's caches each, so that few lines are touched.
  struct alignas(32) Part {
    std::byte bytes[32];
  };

  const PlaceTable& by_time() const { return has_id_ ? by_timestamp_ : by_key_; }
  u32 find(u128 key) const;
  Side side_at(u32 place) const;
  Presence presence_at(u32 place) const;
  bool is_at(u32 place, const Side& side) const;
  bool keeps_all(const Object& object) const;  // What is not kept is 0.
  void fetch_object(u32 place) const;

  GrooveName groove_;
  bool has_id_;
  std::size_t object_bytes_;  // That are kept, the first ones.
  std::size_t object_parts_;
  KeptPlaces<Part, 256> places_;
  PlaceTable by_key_;
  PlaceTable by_timestamp_;  // Objects; empty if that is the key.
};

}  // namespace tonearm::sim
