// Where in the manifest log the latest record of each live table is.
//
// Open addressing with linear probing over a power of two of slots, at most half of them full. A
// removal shifts back what follows, so there are no tombstones and a lookup ends at the first empty
// slot. The address of a table, at least 1, is its key: 0 marks an empty slot.
#pragma once

#include <bit>
#include <span>

#include "base/arena.h"
#include "base/checksum.h"

namespace tonearm {

class TableExtents {
 public:
  struct Location {
    u64 block = 0;  // Address of the manifest block.
    u32 entry = 0;  // Index within it.

    friend bool operator==(const Location&, const Location&) = default;
  };

  struct Slot {
    u64 table;
    u64 block : 48;
    u64 entry : 16;
  };
  static_assert(sizeof(Slot) == 16);

  struct Memory {
    Memory(Arena& arena, u64 count_max) : slots(arena.take<Slot>(std::bit_ceil(2 * count_max + 2))) {}
    std::span<Slot> slots;
  };

  static void measure(Arena& arena, u64 count_max) {
    ASSERT(arena.measuring());
    Memory(arena, count_max);
  }

  TableExtents(Arena& arena, u64 count_max)
      : count_max_(count_max), slots_(Memory(arena, count_max).slots), mask_(slots_.size() - 1) {
    ASSERT(std::has_single_bit(slots_.size()));
    for (Slot& slot : slots_) slot = Slot{.table = 0, .block = 0, .entry = 0};
  }
  TableExtents(const TableExtents&) = delete;

  u64 count() const { return count_; }
  u64 count_max() const { return count_max_; }
  bool contains(u64 table) const { return slots_[slot_of(table)].table == table; }
  // True iff this is the table's latest record.
  bool at(u64 table, Location location) const {
    const Slot& slot = slots_[slot_of(table)];
    return slot.table == table && slot.block == location.block && slot.entry == location.entry;
  }

  void insert(u64 table, Location location) {
    ASSERT(count_ < count_max_);
    Slot& slot = slots_[slot_of(table)];
    ASSERT(slot.table == 0);
    set(slot, table, location);
    ++count_;
  }

  void update(u64 table, Location location) {
    Slot& slot = slots_[slot_of(table)];
    ASSERT(slot.table == table);
    set(slot, table, location);
  }

  void remove(u64 table) {
    u64 hole = slot_of(table);
    ASSERT(slots_[hole].table == table);
    ASSERT(count_ > 0);
    --count_;
    for (u64 at = (hole + 1) & mask_; slots_[at].table != 0; at = (at + 1) & mask_) {
      // What is found by probing from a slot behind the hole stays where it is.
      const u64 home = hash_of(slots_[at].table) & mask_;
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = Slot{.table = 0, .block = 0, .entry = 0};
  }

 private:
  // The slot that holds the table, or the empty one where it would go.
  u64 slot_of(u64 table) const {
    ASSERT(table >= 1);
    u64 slot = hash_of(table) & mask_;
    while (slots_[slot].table != 0 && slots_[slot].table != table) slot = (slot + 1) & mask_;
    return slot;
  }
  static void set(Slot& slot, u64 table, Location location) {
    ASSERT(location.block >= 1);
    ASSERT(location.block < u64{1} << 48);
    ASSERT(location.entry < 1U << 16);
    slot.table = table;
    slot.block = location.block & ((u64{1} << 48) - 1);
    slot.entry = location.entry & 0xffffU;
  }

  u64 count_max_;
  std::span<Slot> slots_;
  u64 mask_;
  u64 count_ = 0;
};

}  // namespace tonearm
