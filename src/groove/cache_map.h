// The objects of a groove by key: a cache in front of the trees that forgets only what may be forgotten.
//
// Two places: a set-associative cache (optional), which evicts, and the stash, a hash table of fixed
// capacity, which does not. A key is in one of them at most. The promise:
//
//   What was upserted, removed or protected since the last compact() is answered until the next one.
//
// Such keys are *young*. An evicted value moves to the stash if it is young and is dropped otherwise,
// so the stash holds young keys only and its capacity is what a bar may make young. That is tighter
// than stashing every victim, and still right when a discarded scope gives its budget back: what a
// discard leaves behind was young before. compact(), at the end of a bar, makes nothing young and
// empties the stash: what it held is in the immutable tables by then.
//
// Removal leaves a *tombstone* in the stash, so that nothing brings the object back from the trees
// while its removal is still in memory.
//
// Scopes: open, change, and close with persist or discard. What a change replaced goes to a log, which
// a discard applies backwards:
//
//   restore            the key had this value
//   restore_tombstone  the key had a tombstone
//   remove             nothing was known of the key
//
// Any change invalidates every view that get() returned before: reading one then is an assertion.
#pragma once

#include <bit>
#include <optional>

#include "base/bit_set.h"
#include "base/mark.h"
#include "base/variation.h"
#include "groove/set_associative_cache.h"

namespace tonearm {

enum class ScopeClose : u8 { persist, discard };

template <class Traits>
class CacheMap {
 public:
  using Key = typename Traits::Key;
  using Value = typename Traits::Value;
  using Cache = SetAssociativeCache<Traits>;

  struct Options {
    u64 cache_slots;        // A multiple of 16; 0: no cache, only the stash.
    u32 hash_bits;          // 0..64, of the cache.
    u64 young_max;          // Different keys that are made young between two compact().
    u64 scope_changes_max;  // Upserts and removes in one scope.
  };

  enum class Found : u8 { absent, present, tombstone };

  class View {
   public:
    Found found() const { return found_; }
    bool young() const { return young_; }  // Touched in this bar: not by luck in the cache.
    const Value& value() const {
      ASSERT(found_ == Found::present);
      ASSERT(map_->changes_ == changes_);
      return *value_;
    }

   private:
    friend class CacheMap;
    View(const CacheMap* map, Found found, const Value* value, bool young)
        : map_(map), changes_(map->changes_), value_(value), found_(found), young_(young) {}

    const CacheMap* map_;
    u64 changes_;
    const Value* value_;
    Found found_;
    bool young_;
  };

  static void measure(Arena& arena, const Options& options) {
    ASSERT(arena.measuring());
    if (options.cache_slots > 0) Cache::measure(arena, cache_options(options));
    Memory(arena, options);
  }

  CacheMap(Arena& arena, const Options& options)
      : cache_(std::nullopt), options_(options), memory_(arena_of_stash(arena), options) {
    young_ = BitSet(memory_.young);
    young_.clear();
    for (StashEntry& entry : memory_.stash) entry.generation = 0;
  }
  CacheMap(const CacheMap&) = delete;

  // Counts as a use of what is cached. The view is good until the next change.
  [[nodiscard]] View get(const Key& key) {
    if (cache_) {
      const u64 slot = cache_->find(key);
      if (slot != slot_none) {
        cache_->use(slot);
        return View(this, Found::present, &cache_->value(slot), young_.test(slot));
      }
    }
    const u64 slot = stash_find(key);
    if (slot == slot_none) return View(this, Found::absent, nullptr, false);
    const StashEntry& entry = memory_.stash[slot];
    return View(this, entry.tombstone ? Found::tombstone : Found::present, &entry.value, true);
  }

  // Makes a key that is known here young, so that it stays until compact(). False: nothing is known.
  [[nodiscard]] bool protect(const Key& key) {
    if (cache_) {
      const u64 slot = cache_->find(key);
      if (slot != slot_none) {
        make_young(slot);
        return true;
      }
    }
    return stash_find(key) != slot_none;
  }

  void upsert(const Value& value) {
    const Value copy = value;  // It may be one that a change of the cache moves.
    const Key key = Traits::key_of(copy);
    if (scope_active_) log_before(key);
    ++changes_;
    put(copy);
  }

  // The key must be present.
  void remove(const Key& key) {
    ASSERT(get(key).found() == Found::present);
    if (scope_active_) log_before(key);
    ++changes_;
    bury(key);
  }

  void scope_open() {
    ASSERT(!scope_active_);
    ASSERT(log_count_ == 0);
    scope_active_ = true;
  }

  void scope_close(ScopeClose close) {
    ASSERT(scope_active_);
    scope_active_ = false;
    if (close == ScopeClose::discard) {
      ++changes_;
      while (log_count_ > 0) undo(memory_.log[--log_count_]);
    }
    log_count_ = 0;
  }

  // The end of a bar: nothing is young any more. No scope may be open.
  void compact() {
    ASSERT(!scope_active_);
    ++changes_;
    young_.clear();
    young_count_ = 0;
    stash_count_ = 0;
    ++generation_;
    // Legal: of what is not young nobody may rely on anything being here.
    if (cache_ && variation(Variation::object_cache_emptied, generation_) != 0) cache_->clear();
  }

  u64 stash_count() const { return stash_count_; }
  u64 young_count() const { return young_count_; }

  // O(slots).
  void assert_valid() const {
    u64 young = 0;
    if (cache_) {
      for (u64 slot = 0; slot < cache_->slots(); ++slot) {
        if (!young_.test(slot)) continue;
        ++young;
        ASSERT(cache_->used(slot));
        ASSERT(stash_find(Traits::key_of(cache_->value(slot))) == slot_none);
      }
    }
    u64 stashed = 0;
    for (u64 slot = 0; slot < memory_.stash.size(); ++slot) {
      if (!stash_used(slot)) continue;
      ++stashed;
      ASSERT(stash_find(memory_.stash[slot].key) == slot);
    }
    ASSERT(stashed == stash_count_);
    ASSERT(young + stashed == young_count_);
  }

 private:
  static constexpr u64 slot_none = u64_max;

  struct StashEntry {
    u64 generation;  // In use if equal to generation_.
    Key key;
    Value value;  // Unspecified of a tombstone.
    bool tombstone;
  };
  struct LogEntry {
    Found before;
    Key key;
    Value value;  // If it was present.
  };
  struct Memory {
    Memory(Arena& arena, const Options& options)
        : young(arena.take<u64>(BitSet::words_for(options.cache_slots))),
          stash(arena.take<StashEntry>(stash_slots(options))),
          log(arena.take<LogEntry>(options.scope_changes_max)) {}
    std::span<u64> young;  // One bit a slot of the cache.
    std::span<StashEntry> stash;
    std::span<LogEntry> log;
  };

  static typename Cache::Options cache_options(const Options& options) {
    return {.slots = options.cache_slots, .hash_bits = options.hash_bits};
  }
  // At most half full, so that probes stay short and always end.
  static u64 stash_slots(const Options& options) { return std::bit_ceil(2 * options.young_max + 2); }

  // The cache comes first in the arena, as in measure().
  Arena& arena_of_stash(Arena& arena) {
    if (options_.cache_slots > 0) cache_.emplace(arena, cache_options(options_));
    return arena;
  }

  // --- what is young

  void make_young(u64 slot) {
    if (young_.test(slot)) return;
    young_.set(slot);
    ++young_count_;
    ASSERT(young_count_ <= options_.young_max);
  }

  // --- changes of one key, without log

  void put(const Value& value) {
    const Key key = Traits::key_of(value);
    if (!cache_) return stash_put(key, &value);
    // Legal: the stash has room for all that a bar may make young, and this is.
    if (variation(Variation::object_stashed, Traits::hash(key), changes_) != 0) {
      forget(key);
      return stash_put(key, &value);
    }
    Value before;
    const typename Cache::Upserted upserted = cache_->upsert(value, &before);
    if (upserted.evicted) {
      const bool young = young_.test(upserted.slot);
      young_.unset(upserted.slot);
      if (young) {
        // It only moves: young_count_ stays.
        mark(Mark::cache_map_stashed);
        if (scope_active_) mark(Mark::cache_map_stashed_in_scope);
        --young_count_;
        stash_put(Traits::key_of(before), &before);
      }
    }
    const u64 stashed = upserted.updated ? slot_none : stash_find(key);
    if (stashed != slot_none) stash_remove(stashed);
    make_young(upserted.slot);
  }

  // Whatever is known of the key is forgotten.
  void forget(const Key& key) {
    const u64 cached = cache_ ? cache_->find(key) : slot_none;
    if (cached != slot_none) {
      if (young_.test(cached)) --young_count_;
      young_.unset(cached);
      cache_->remove(cached);
      ASSERT(stash_find(key) == slot_none);
      return;
    }
    const u64 stashed = stash_find(key);
    if (stashed != slot_none) stash_remove(stashed);
  }

  // A tombstone replaces whatever is known of the key.
  void bury(const Key& key) {
    forget(key);
    stash_put(key, nullptr);
  }

  // --- scopes

  void log_before(const Key& key) {
    ASSERT(log_count_ < memory_.log.size());
    LogEntry& entry = memory_.log[log_count_++];
    const View view = get(key);
    entry.before = view.found();
    entry.key = key;
    if (view.found() == Found::present) entry.value = view.value();
  }

  void undo(const LogEntry& entry) {
    switch (entry.before) {
      case Found::absent: {
        // What was inserted may have been evicted into the stash since.
        mark(Mark::cache_map_insert_undone);
        if (cache_ && cache_->find(entry.key) == slot_none) mark(Mark::cache_map_rolled_back_from_stash);
        return forget(entry.key);
      }
      case Found::present: mark(Mark::cache_map_restored); return put(entry.value);
      case Found::tombstone: mark(Mark::cache_map_tombstone_restored); return bury(entry.key);
    }
    UNREACHABLE();
  }

  // --- the stash: open addressing, linear probing, no graves

  u64 stash_home(const Key& key) const { return Traits::hash(key) & (memory_.stash.size() - 1); }
  u64 stash_next(u64 slot) const { return (slot + 1) & (memory_.stash.size() - 1); }
  bool stash_used(u64 slot) const { return memory_.stash[slot].generation == generation_; }

  u64 stash_find(const Key& key) const {
    for (u64 slot = stash_home(key); stash_used(slot); slot = stash_next(slot)) {
      if (memory_.stash[slot].key == key) return slot;
    }
    return slot_none;
  }

  // Null: a tombstone.
  void stash_put(const Key& key, const Value* value) {
    u64 slot = stash_home(key);
    while (stash_used(slot) && !(memory_.stash[slot].key == key)) slot = stash_next(slot);
    StashEntry& entry = memory_.stash[slot];
    if (!stash_used(slot)) {
      ++stash_count_;
      ++young_count_;
      ASSERT(young_count_ <= options_.young_max);
    }
    entry.generation = generation_;
    entry.key = key;
    entry.tombstone = value == nullptr;
    if (value != nullptr) entry.value = *value;
  }

  // Those behind it move up, as far as their homes allow, so that no probe meets a gap.
  void stash_remove(u64 slot) {
    ASSERT(stash_used(slot));
    --stash_count_;
    --young_count_;
    const u64 mask = memory_.stash.size() - 1;
    u64 gap = slot;
    for (u64 next = stash_next(gap); stash_used(next); next = stash_next(next)) {
      const u64 home = stash_home(memory_.stash[next].key);
      if (((next - home) & mask) < ((next - gap) & mask)) continue;
      memory_.stash[gap] = memory_.stash[next];
      gap = next;
    }
    memory_.stash[gap].generation = 0;
  }

  std::optional<Cache> cache_;
  Options options_;
  Memory memory_;
  BitSet young_;         // Of the slots of the cache; all of the stash is young.
  u64 young_count_ = 0;  // Both together.
  u64 stash_count_ = 0;
  u64 generation_ = 1;
  u64 changes_ = 0;
  u64 log_count_ = 0;
  bool scope_active_ = false;
};

}  // namespace tonearm
