// A map in order of its keys, with the part of std::map's interface that the oracle needs.
//
// Entries lie in chunks of at most 32, sorted, which are places of one array; the chunks' least keys lie
// side by side. So a lookup is two binary searches over few cache lines, a walk is a walk over arrays, and a
// change moves the entries of one chunk. (In std::map each step to the next key is a node elsewhere in
// memory: comparing with the model cost more than what was compared.)
//
// No chunk is empty. One that is full splits in the middle; one that became empty goes. Chunks do not
// merge: sparse ones cost space, which random changes fill again. Any change invalidates iterators.
#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm::sim {

template <class Key, class Value>
class SortedMap {
 public:
  // Not a std::pair, whose assignment is no copy of bytes: entries move by the dozen.
  struct value_type {
    Key first;
    Value second;
    friend bool operator==(const value_type&, const value_type&) = default;
  };

 private:
  struct Chunk {
    u32 place;  // Of its entries: so many times chunk_max from the begin of them all.
    u32 size;
  };

  template <class Map, class Entry>
  class Iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = SortedMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = Entry*;
    using reference = Entry&;

    Iterator() = default;
    Iterator(Map& map, std::size_t chunk, std::size_t index) : map_(&map), chunk_(chunk), index_(index) {}
    operator Iterator<const Map, const Entry>() const { return {*map_, chunk_, index_}; }

    Entry& operator*() const { return map_->entries_of(map_->chunks_[chunk_])[index_]; }
    Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++index_ == map_->chunks_[chunk_].size) ++chunk_, index_ = 0;
      return *this;
    }
    Iterator& operator--() {
      if (index_ == 0) index_ = map_->chunks_[--chunk_].size;
      --index_;
      return *this;
    }
    Iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    Iterator operator--(int) { return std::exchange(*this, std::prev(*this)); }
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.chunk_ == b.chunk_ && a.index_ == b.index_;
    }

   private:
    friend class SortedMap;
    Map* map_ = nullptr;
    std::size_t chunk_ = 0;  // The end: one behind the last chunk.
    std::size_t index_ = 0;
  };

 public:
  using iterator = Iterator<SortedMap, value_type>;
  using const_iterator = Iterator<const SortedMap, const value_type>;

  SortedMap() = default;
  SortedMap(std::initializer_list<value_type> entries) {
    for (const value_type& entry : entries) try_emplace(entry.first, entry.second);
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  iterator begin() { return {*this, 0, 0}; }
  iterator end() { return {*this, chunks_.size(), 0}; }
  const_iterator begin() const { return {*this, 0, 0}; }
  const_iterator end() const { return {*this, chunks_.size(), 0}; }

  // The first entry whose key is not below `key`; whose key is above it.
  iterator lower_bound(const Key& key) { return bound<iterator>(*this, key, std::less<Key>()); }
  const_iterator lower_bound(const Key& key) const {
    return bound<const_iterator>(*this, key, std::less<Key>());
  }
  const_iterator upper_bound(const Key& key) const {
    return bound<const_iterator>(*this, key, std::less_equal<Key>());
  }
  iterator find(const Key& key) { return found(*this, lower_bound(key), key); }
  const_iterator find(const Key& key) const { return found(*this, lower_bound(key), key); }
  bool contains(const Key& key) const { return find(key) != end(); }

  // Brings the entries around the key into the processor's caches, for who will look soon.
  void fetch(const Key& key) const {
    if (empty()) return;
    const value_type* const entries = entries_of(chunks_[chunk_of(key)]);
    for (std::size_t at = 0; at < chunk_max; at += entries_per_line) {
      __builtin_prefetch(entries + at, 1);
    }
  }

  // As std::map does: nothing changes if the key is there.
  std::pair<iterator, bool> try_emplace(const Key& key, const Value& value) {
    if (chunks_.empty()) {
      chunks_.push_back({.place = take_place(), .size = 0});
      firsts_.push_back(key);
    }
    std::size_t at = chunk_of(key);
    std::size_t index = index_in(at, key);
    if (index < chunks_[at].size && entries_of(chunks_[at])[index].first == key) {
      return {iterator(*this, at, index), false};
    }
    if (chunks_[at].size == chunk_max) {
      split(at);
      if (index > chunks_[at].size) index -= chunks_[at++].size;
    }
    Chunk& chunk = chunks_[at];
    value_type* const entries = entries_of(chunk);
    std::move_backward(entries + index, entries + chunk.size, entries + chunk.size + 1);
    entries[index] = {key, value};
    ++chunk.size;
    firsts_[at] = entries[0].first;
    ++size_;
    return {iterator(*this, at, index), true};
  }
  Value& operator[](const Key& key) { return try_emplace(key, Value{}).first->second; }

  void erase(iterator at) {
    Chunk& chunk = chunks_[at.chunk_];
    ASSERT(at.index_ < chunk.size);
    value_type* const entries = entries_of(chunk);
    std::move(entries + at.index_ + 1, entries + chunk.size, entries + at.index_);
    --chunk.size;
    --size_;
    const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(at.chunk_);
    if (chunk.size == 0) {
      free_places_.push_back(chunk.place);
      chunks_.erase(chunks_.begin() + place);
      firsts_.erase(firsts_.begin() + place);
    } else {
      firsts_[at.chunk_] = entries[0].first;
    }
  }
  std::size_t erase(const Key& key) {
    const iterator at = find(key);
    if (at == end()) return 0;
    erase(at);
    return 1;
  }
  void clear() { *this = SortedMap(); }

  friend bool operator==(const SortedMap& a, const SortedMap& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  static constexpr std::size_t chunk_max = 32;
  static constexpr std::size_t entries_per_line = std::max<std::size_t>(1, 64 / sizeof(value_type));

  value_type* entries_of(const Chunk& chunk) { return entries_.data() + chunk.place * chunk_max; }
  const value_type* entries_of(const Chunk& chunk) const { return entries_.data() + chunk.place * chunk_max; }
  u32 take_place() {
    if (free_places_.empty()) {
      const std::size_t size = entries_.size();
      free_places_.push_back(static_cast<u32>(size / chunk_max));
      // Doubled, half of it would lie idle.
      if (size == entries_.capacity()) entries_.reserve(size + size / 4 + chunk_max);
      entries_.resize(size + chunk_max);
    }
    const u32 place = free_places_.back();
    free_places_.pop_back();
    return place;
  }

  // The chunk in which the key is, or would be. There is at least one.
  std::size_t chunk_of(const Key& key) const {
    const Key* const firsts = firsts_.data();
    std::size_t base = 0;
    for (std::size_t left = firsts_.size(); left > 1; left -= left / 2) {
      base += left / 2 & (0 - std::size_t{!(key < firsts[base + left / 2])});
    }
    return base;
  }

  // Of the first entry in the chunk whose key is not below `key`.
  std::size_t index_in(std::size_t chunk, const Key& key) const {
    return index_in(chunk, key, std::less<Key>());
  }
  template <class Before>
  std::size_t index_in(std::size_t chunk, const Key& key, Before before) const {
    const value_type* const entries = entries_of(chunks_[chunk]);
    std::size_t left = chunks_[chunk].size;
    // All of the chunk is fetched at once: it is far away, and each step would wait for its own part.
    for (std::size_t at = 0; at < left; at += entries_per_line) {
      __builtin_prefetch(entries + at);
    }
    std::size_t base = 0;
    for (; left > 1; left -= left / 2) {
      base += left / 2 & (0 - std::size_t{before(entries[base + left / 2 - 1].first, key)});
    }
    return base + (left == 1 && before(entries[base].first, key) ? 1 : 0);
  }

  template <class It, class Map, class Before>
  static It bound(Map& map, const Key& key, Before before) {
    if (map.empty()) return map.end();
    const std::size_t chunk = map.chunk_of(key);
    const std::size_t index = map.index_in(chunk, key, before);
    return index == map.chunks_[chunk].size ? It(map, chunk + 1, 0) : It(map, chunk, index);
  }

  template <class Map, class It>
  static It found(Map& map, It at, const Key& key) {
    return at != map.end() && at->first == key ? at : map.end();
  }

  void split(std::size_t at) {
    const u32 place = take_place();
    Chunk& lower = chunks_[at];
    Chunk upper{.place = place, .size = lower.size - lower.size / 2};
    lower.size /= 2;
    const value_type* const moving = entries_of(lower) + lower.size;
    std::copy(moving, moving + upper.size, entries_of(upper));
    const std::ptrdiff_t behind = static_cast<std::ptrdiff_t>(at) + 1;
    firsts_.insert(firsts_.begin() + behind, entries_of(upper)[0].first);
    chunks_.insert(chunks_.begin() + behind, upper);
  }

  std::vector<Key> firsts_;
  std::vector<Chunk> chunks_;
  std::vector<value_type> entries_;  // Of all chunks, in their places.
  std::vector<u32> free_places_;
  std::size_t size_ = 0;
};

}  // namespace tonearm::sim
