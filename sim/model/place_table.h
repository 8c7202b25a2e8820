// Where things lie that are looked up by name far more often than they come and go: an open table of hashes
// and places. It knows no names: who asks says which of the places with its hash is the right one.
//
// Hash and place are half a word each, and lie side by side: of what is looked up one line of the processor's
// caches is waited for here, and then the thing itself.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm::sim {

// Not all bits of a key differ in its low half.
inline u32 place_hash(u128 key) {
  const u64 folded = (static_cast<u64>(key >> 64) * 0xff51afd7ed558ccd) ^ static_cast<u64>(key);
  return static_cast<u32>(folded * 0x9e3779b97f4a7c15 >> 32);
}

class PlaceTable {
 public:
  static constexpr u32 none = ~u32{0};

  u32 size() const { return size_; }

  // The place with this hash of which it is true, or none.
  template <class IsIt>
  u32 find(u32 hash, IsIt&& is_it) const {
    if (slots_.empty()) return none;
    for (u64 slot = home(hash); slots_[slot].place != none; slot = next(slot)) {
      if (slots_[slot].hash == hash && is_it(slots_[slot].place)) return slots_[slot].place;
    }
    return none;
  }
  // The first one with this hash: most likely what find() says.
  u32 guess(u32 hash) const {
    return find(hash, [](u32) { return true; });
  }
  // Brings what find() looks at first into the processor's caches, for who will look soon.
  void fetch(u32 hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[home(hash)]);
    asm volatile("");  // Else a call is one of a function that does nothing, and is left out.
  }

  // The place must not be there.
  void insert(u32 hash, u32 place) {
    ASSERT(place != none);
    if (4 * (u64{size_} + 1) > 3 * slots_.size()) grow();
    put({.hash = hash, .place = place});
    ++size_;
  }

  // It must be there.
  void erase(u32 hash, u32 place) {
    u64 free = home(hash);
    while (slots_[free].place != place) {
      ASSERT(slots_[free].place != none);
      free = next(free);
    }
    --size_;
    slots_[free] = {};
    // No search may end at the free slot that would have gone on: what belongs at or before it moves there.
    for (u64 slot = next(free); slots_[slot].place != none; slot = next(slot)) {
      const u64 mask = slots_.size() - 1;
      if (((slot - home(slots_[slot].hash)) & mask) < ((slot - free) & mask)) continue;
      slots_[free] = std::exchange(slots_[slot], Slot{});
      free = slot;
    }
  }
  void clear() {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    size_ = 0;
  }

 private:
  static constexpr u64 slots_min = 16;
  struct Slot {
    u32 hash = 0;
    u32 place = none;
  };

  u64 home(u32 hash) const { return hash & (slots_.size() - 1); }
  u64 next(u64 slot) const { return (slot + 1) & (slots_.size() - 1); }
  void put(Slot slot) {
    u64 at = home(slot.hash);
    for (; slots_[at].place != none; at = next(at)) ASSERT(slots_[at].place != slot.place);
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old(std::max(slots_min, 2 * u64{slots_.size()}));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.place != none) put(slot);
    }
  }

  std::vector<Slot> slots_;  // A power of two of them, at most three quarters taken.
  u32 size_ = 0;
};

}  // namespace tonearm::sim
