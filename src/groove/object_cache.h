// The objects of a groove that were touched in this bar, and as many of before as there is room for.
//
// An object as it is now, an orphan (an object that is zero but for its id), or a removal: what is known
// here is newer than anything in the trees. Everything of this bar is known, so that what is still in the
// mutable tables need not be looked for there; of what is older nobody may rely on anything being here.
#pragma once

#include <cstring>
#include <span>

#include "base/checksum.h"
#include "groove/cache_map.h"
#include "groove/description.h"
#include "groove/groove_options.h"
#include "groove/object_lookup.h"
#include "groove/prefetch.h"

namespace tonearm {

template <class Description>
class ObjectCache final : public PrefetchCache, public ObjectsAtHand {
 public:
  using Object = typename Description::Object;
  using Key = typename Description::Key;

  static void measure(Arena& arena, const FormatOptions& format, const GrooveOptions& options) {
    Map::measure(arena, map_options(format, options));
  }
  ObjectCache(Arena& arena, const FormatOptions& format, const GrooveOptions& options)
      : map_(arena, map_options(format, options)) {}

  static Key key_of(const Object& object) {
    if constexpr (Description::has_id) {
      return object.id;
    } else {
      return object.timestamp;
    }
  }

  // `object` is written if there is one. Unknown: also what was not touched in this bar, although it is here.
  Known find(Key key, Object* object) {
    const typename Map::View view = map_.get(key);
    if (!view.young()) return Known::unknown;
    const Known known = known_of(view);
    if (known == Known::object) *object = view.value();
    return known;
  }
  void upsert(const Object& object) { map_.upsert(object); }
  void upsert_orphan(u128 id) {
    if constexpr (Description::orphaned_ids) {
      Object object = zeroed<Object>();
      object.id = id;
      map_.upsert(object);
    } else {
      ASSERT(id == 0 && "only a groove with OrphanedIds has orphans");
    }
  }
  void remove(Key key) { map_.remove(key); }

  // --- PrefetchCache
  Known protect(u128 key) override {
    if (!map_.protect(static_cast<Key>(key))) return Known::unknown;
    const typename Map::View view = map_.get(static_cast<Key>(key));
    ASSERT(view.young());
    return known_of(view);
  }
  void found(u128 key, const std::byte* bytes) override {
    Object object;
    std::memcpy(&object, bytes, sizeof object);
    ASSERT(key_of(object) == key);
    ASSERT(object.timestamp >= 1 && object.timestamp <= timestamp_max);
    map_.upsert(object);
  }
  void orphaned(u128 id) override { upsert_orphan(id); }

  // --- ObjectsAtHand, of a groove keyed by timestamp
  bool copy(u64 timestamp, std::byte* object) override {
    const typename Map::View view = map_.get(timestamp);
    if (known_of(view) != Known::object) return false;
    std::memcpy(object, &view.value(), sizeof(Object));
    return true;
  }

  void scope_open() { map_.scope_open(); }
  void scope_close(ScopeMode mode) {
    map_.scope_close(mode == ScopeMode::persist ? ScopeClose::persist : ScopeClose::discard);
  }
  void compact() { map_.compact(); }

 private:
  struct Traits {
    using Key = ObjectCache::Key;
    using Value = Object;
    static Key key_of(const Object& object) { return ObjectCache::key_of(object); }
    static u64 hash(const Key& key) {
      if constexpr (sizeof key == sizeof(u128)) return hash_of(u128{key}, 0);
      return hash_of(std::as_bytes(std::span(&key, 1)), 0);
    }
  };
  using Map = CacheMap<Traits>;

  // Every key that a bar makes young was prefetched in one of its ops, whatever was done with it then.
  static typename Map::Options map_options(const FormatOptions& format, const GrooveOptions& options) {
    return {.cache_slots = Description::cached ? options.cache_slots : 0,
            .hash_bits = options.cache_hash_bits,
            .young_max = u64{format.beats} * options.prefetch_keys_max,
            .scope_changes_max = format.batch_values_max};
  }

  static Known known_of(const typename Map::View& view) {
    switch (view.found()) {
      case Map::Found::absent: return Known::unknown;
      case Map::Found::tombstone: return Known::tombstone;
      case Map::Found::present: return view.value().timestamp == 0 ? Known::orphan : Known::object;
    }
    UNREACHABLE();
  }

  Map map_;
};

}  // namespace tonearm
