// A cache of small objects by key: 16 ways a set (base/clock_ways.h), the objects beside the tags.
//
// `Traits` says what is cached:
//
//   using Key = u128;                      compared with ==
//   using Value = Thing;                   trivially copyable; holds its key
//   static Key key_of(const Value& value);
//   static u64 hash(const Key& key);
//
// Slots number the places of values. What a slot holds stays there until it is removed or evicted.
#pragma once

#include <span>
#include <type_traits>

#include "base/arena.h"
#include "base/clock_ways.h"

namespace tonearm {

template <class Traits>
class SetAssociativeCache {
 public:
  using Key = typename Traits::Key;
  using Value = typename Traits::Value;
  static_assert(std::is_trivially_copyable_v<Value>);

  struct Options {
    u64 slots;      // A multiple of 16, at least 16.
    u32 hash_bits;  // 0..64.
  };

  struct Memory {
    Memory(Arena& arena, const Options& options)
        : sets(arena.take<ClockWays>(options.slots / ClockWays::ways, 64)),
          values(arena.take<Value>(options.slots, 64)) {}
    std::span<ClockWays> sets;
    std::span<Value> values;
  };

  static void measure(Arena& arena, const Options& options) {
    ASSERT(arena.measuring());
    Memory(arena, options);
  }

  SetAssociativeCache(Arena& arena, const Options& options)
      : hash_mask_(cache_hash_mask(options.hash_bits)), memory_(arena, options) {
    ASSERT(options.slots >= ClockWays::ways);
    ASSERT(options.slots % ClockWays::ways == 0);
    ASSERT(options.hash_bits <= 64);
    clear();
  }
  SetAssociativeCache(const SetAssociativeCache&) = delete;

  static constexpr u64 slot_none = u64_max;

  // Where the value of this key is, or slot_none. No use.
  u64 find(const Key& key) const {
    const CachePlace place = place_of(key);
    const Value* values = memory_.values.data() + place.set * ClockWays::ways;
    const u32 way = memory_.sets[place.set].find(
        place.tag, [&](u32 candidate) { return Traits::key_of(values[candidate]) == key; });
    return way == ClockWays::ways ? slot_none : place.set * ClockWays::ways + way;
  }

  const Value& value(u64 slot) const {
    ASSERT(used(slot));
    return memory_.values[slot];
  }

  void use(u64 slot) { set_of(slot).use(static_cast<u32>(slot % ClockWays::ways)); }

  struct Upserted {
    u64 slot = slot_none;
    bool updated = false;  // The key was here; `before` is its former value.
    bool evicted = false;  // Another key had to go; `before` is its value.
  };
  // A newcomer gets count 1; so does a value that is replaced.
  [[nodiscard]] Upserted upsert(const Value& value, Value* before) {
    const Key key = Traits::key_of(value);
    Upserted result{.slot = find(key)};
    if (result.slot != slot_none) {
      result.updated = true;
    } else {
      const CachePlace place = place_of(key);
      const ClockWays::Vacated vacated = memory_.sets[place.set].vacate();
      result.slot = place.set * ClockWays::ways + vacated.way;
      result.evicted = vacated.evicted;
      memory_.sets[place.set].tags[vacated.way] = place.tag;
    }
    ASSERT(!(result.updated && result.evicted));
    if (result.updated || result.evicted) *before = memory_.values[result.slot];
    memory_.values[result.slot] = value;
    set_of(result.slot).counts[result.slot % ClockWays::ways] = 1;
    return result;
  }

  void remove(u64 slot) {
    ASSERT(used(slot));
    set_of(slot).counts[slot % ClockWays::ways] = 0;
  }

  void clear() {
    for (ClockWays& set : memory_.sets) set = ClockWays{};
  }

  // The next candidate for eviction in its set.
  void demote(u64 slot) {
    ASSERT(used(slot));
    set_of(slot).counts[slot % ClockWays::ways] = 1;
  }

  u64 slots() const { return memory_.values.size(); }
  bool used(u64 slot) const {
    ASSERT(slot < slots());
    return memory_.sets[slot / ClockWays::ways].counts[slot % ClockWays::ways] > 0;
  }

 private:
  CachePlace place_of(const Key& key) const {
    return cache_place(Traits::hash(key) & hash_mask_, memory_.sets.size());
  }
  ClockWays& set_of(u64 slot) { return memory_.sets[slot / ClockWays::ways]; }

  u64 hash_mask_;
  Memory memory_;
};

}  // namespace tonearm
