// A map without an order, for what is looked up far more often than it changes.
//
// Entries lie side by side in no order that matters, and an open table of their numbers, at most half full,
// says where. So a lookup goes to two places of memory that are far away, not to a list of nodes.
//
// Any change moves entries.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm::sim {

template <class Value>
class HashTable {
 public:
  using Entry = std::pair<u128, Value>;

  const std::vector<Entry>& entries() const { return entries_; }

  // Null if the key is not there.
  Value* find(u128 key) { return found(*this, key); }
  const Value* find(u128 key) const { return found(*this, key); }

  // Brings the entry on its way into the processor's caches, for who will look soon.
  void fetch(u128 key) const {
    if (entries_.empty()) return;
    const u32 number = numbers_[home(key)];
    if (number == 0) return;
    const char* const entry = reinterpret_cast<const char*>(&entries_[number - 1]);
    for (std::size_t at = 0; at < sizeof(Entry); at += 64) __builtin_prefetch(entry + at);
  }

  // The key must not be there.
  void insert(u128 key, const Value& value) {
    if (2 * (entries_.size() + 1) > numbers_.size()) grow();
    const std::size_t slot = slot_of(key);
    ASSERT(numbers_[slot] == 0);
    const std::size_t size = entries_.size();
    // Doubled, half of it would lie idle.
    if (size == entries_.capacity()) entries_.reserve(size + size / 4 + slots_min);
    entries_.emplace_back(key, value);
    numbers_[slot] = static_cast<u32>(entries_.size());
  }

  // The key must be there.
  void erase(u128 key) {
    std::size_t free = slot_of(key);
    const u32 number = numbers_[free];
    ASSERT(number != 0);
    // The last entry takes its place.
    if (number != entries_.size()) {
      numbers_[slot_of(entries_.back().first)] = number;
      entries_[number - 1] = entries_.back();
    }
    entries_.pop_back();
    // No search may end at the free slot that would have gone on: what belongs at or before it moves there.
    const std::size_t mask = numbers_.size() - 1;
    numbers_[free] = 0;
    for (std::size_t slot = (free + 1) & mask; numbers_[slot] != 0; slot = (slot + 1) & mask) {
      const std::size_t wanted = home(entries_[numbers_[slot] - 1].first);
      if (((slot - wanted) & mask) < ((slot - free) & mask)) continue;
      numbers_[free] = std::exchange(numbers_[slot], 0);
      free = slot;
    }
  }

 private:
  static constexpr std::size_t slots_min = 16;

  std::size_t home(u128 key) const {
    const u64 folded = (static_cast<u64>(key >> 64) * 0xff51afd7ed558ccd) ^ static_cast<u64>(key);
    return (folded * 0x9e3779b97f4a7c15 >> 32) & (numbers_.size() - 1);
  }
  // That holds the key, or the free one where it would be.
  std::size_t slot_of(u128 key) const {
    std::size_t slot = home(key);
    while (numbers_[slot] != 0 && entries_[numbers_[slot] - 1].first != key) {
      slot = (slot + 1) & (numbers_.size() - 1);
    }
    return slot;
  }
  template <class Table>
  static auto found(Table& table, u128 key) -> decltype(&table.entries_[0].second) {
    if (table.entries_.empty()) return nullptr;
    const u32 number = table.numbers_[table.slot_of(key)];
    return number == 0 ? nullptr : &table.entries_[number - 1].second;
  }
  void grow() {
    numbers_.assign(std::max(slots_min, 2 * numbers_.size()), 0);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      numbers_[slot_of(entries_[i].first)] = static_cast<u32>(i + 1);
    }
  }

  std::vector<Entry> entries_;
  std::vector<u32> numbers_;  // Of an entry, from 1; 0: free. A power of two of them.
};

}  // namespace tonearm::sim
