// What the oracle holds of one tree: a map in order of its keys, with the part of std::map's interface that
// is needed.
//
// Entries lie in chunks, sorted; the chunks' least keys lie side by side. So a
// lookup is two binary searches over few cache lines, a walk is a walk over arrays, and a change moves the
// entries of one chunk. (In std::map each step to the next key is a node elsewhere in memory: comparing with
// the model cost more than what was compared.)
//
// A run touches more memory than the processor's caches hold, so that space is time. Of an entry only those
// words are kept that the tree can fill: a timestamp is one, a narrow index key two, and an index has no
// payload. What is not kept is asserted to be 0. An entry is therefore not in memory as who asks sees it,
// and iterators give copies.
//
// No chunk is empty. One that is full splits in the middle, or at its end if that is where an entry comes in.
// Two neighbours that fit into one with room to spare become one: many keys end in a timestamp, so that what
// was removed does not come back where it was. Any change invalidates iterators.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "base/types.h"
#include "sim/model/kept_places.h"
#include "sim/model/model_key.h"

namespace tonearm::sim {

class ModelMap {
 public:
  struct value_type {
    ModelKey first;
    u64 second = 0;  // The payload.
    friend bool operator==(const value_type&, const value_type&) = default;
  };
  // What of an entry can be other than 0.
  struct Layout {
    u32 key_words;  // The low one, middle and high.
    bool payload;
  };

  class const_iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = ModelMap::value_type;
    using difference_type = std::ptrdiff_t;
    using reference = value_type;
    struct pointer {
      value_type entry;
      const value_type* operator->() const { return &entry; }
    };

    const_iterator() = default;
    const_iterator(const ModelMap& map, std::size_t chunk, std::size_t index)
        : map_(&map), chunk_(chunk), index_(index) {
      find_words();
    }

    value_type operator*() const { return map_->entry_of(words_); }
    pointer operator->() const { return {**this}; }
    const_iterator& operator++() {
      words_ += map_->entry_words_;
      if (++index_ < map_->chunks_[chunk_].size) return *this;
      ++chunk_, index_ = 0;
      find_words();
      return *this;
    }
    const_iterator& operator--() {
      if (index_ > 0) {
        --index_;
        words_ -= map_->entry_words_;
      } else {
        index_ = map_->chunks_[--chunk_].size - 1;
        find_words();
      }
      return *this;
    }
    const_iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    const_iterator operator--(int) { return std::exchange(*this, std::prev(*this)); }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.chunk_ == b.chunk_ && a.index_ == b.index_;
    }

   private:
    friend class ModelMap;
    void find_words() {
      words_ = chunk_ == map_->chunks_.size()
                   ? nullptr
                   : map_->words_of(map_->chunks_[chunk_]) + index_ * map_->entry_words_;
    }
    const ModelMap* map_ = nullptr;
    std::size_t chunk_ = 0;  // The end: one behind the last chunk.
    std::size_t index_ = 0;
    const u64* words_ = nullptr;  // Of the entry.
  };

  ModelMap() : ModelMap(Layout{.key_words = 3, .payload = true}) {}
  explicit ModelMap(Layout layout);
  ModelMap(std::initializer_list<value_type> entries);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const_iterator begin() const { return {*this, 0, 0}; }
  const_iterator end() const { return {*this, chunks_.size(), 0}; }

  // The first entry whose key is not below `key`; whose key is above it.
  const_iterator lower_bound(const ModelKey& key) const;
  const_iterator upper_bound(const ModelKey& key) const;
  const_iterator find(const ModelKey& key) const;
  bool contains(const ModelKey& key) const { return find(key) != end(); }

  // Shows entries of [first, last) in order, or from the last one down, until one is refused; returns it, or
  // the end behind which it was going down.
  template <class Accept>
  const_iterator walk(const_iterator first, const_iterator last, Accept&& accept) const;
  template <class Accept>
  const_iterator walk_down(const_iterator first, const_iterator last, Accept&& accept) const;

  // Brings the entries around the key into the processor's caches, for who will look soon.
  void fetch(const ModelKey& key) const;

  // As std::map does: nothing changes if the key is there.
  std::pair<const_iterator, bool> try_emplace(const ModelKey& key, u64 payload);
  void set_payload(const_iterator at, u64 payload);
  void erase(const_iterator at);
  std::size_t erase(const ModelKey& key);

  friend bool operator==(const ModelMap& a, const ModelMap& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  struct Chunk {
    u32 place;  // Of its entries.
    u32 size;
  };
  struct Place {
    std::size_t chunk;
    std::size_t index;
  };
  // Chunks begin with a line of the processor's caches.
  struct alignas(64) Line {
    u64 words[8];
  };
  static constexpr std::size_t chunk_max = 64;
  static constexpr std::size_t merged_max = 48;
  static constexpr std::size_t ahead = 2;  // A walk fetches chunks so early.

  u64* words_of(const Chunk& chunk) { return places_[chunk.place]->words; }
  const u64* words_of(const Chunk& chunk) const { return places_[chunk.place]->words; }
  value_type entry_at(std::size_t chunk, std::size_t index) const {
    return entry_of(words_of(chunks_[chunk]) + index * entry_words_);
  }
  value_type entry_of(const u64* words) const {
    value_type entry;
    entry.first.low = words[0];
    if (key_words_ > 1) entry.first.middle = words[1];
    if (key_words_ > 2) entry.first.high = words[2];
    if (entry_words_ > key_words_) entry.second = words[key_words_];
    return entry;
  }
  // Whether the key has nothing in a word that is not kept. One that has is above all keys.
  bool fits(const ModelKey& key) const {
    return (key_words_ > 1 || key.middle == 0) && (key_words_ > 2 || key.high == 0);
  }
  void write(u64* words, const ModelKey& key, u64 payload) const;
  void write_first(std::size_t chunk);

  template <class Act>
  auto with_key_words(Act&& act) const;
  template <u32 key_words>
  std::size_t chunk_of(const ModelKey& key) const;
  template <u32 key_words>
  bool in_chunk(const ModelKey& key, std::size_t chunk) const;
  void fetch_chunk(std::size_t chunk) const;
  // The chunk in which the key is, or would be, and there the first entry that is not below it: the chunk's
  // size, if none is. There is at least one chunk, and the key fits.
  Place place_of(const ModelKey& key) const;
  void split(std::size_t at, std::size_t staying);
  void merge(std::size_t at);
  void drop(std::size_t at);

  u32 key_words_;
  u32 entry_words_;
  std::vector<Chunk> chunks_;
  std::vector<u64> firsts_;  // The words of each chunk's least key.
  // Where fetch() found the last two keys: a change takes an entry out of a tree and puts another one in.
  mutable std::array<std::size_t, 2> fetched_{};
  KeptPlaces<Line, 16> places_;
  std::size_t size_ = 0;
};

// Entries of a chunk lie side by side.
template <class Accept>
ModelMap::const_iterator ModelMap::walk(const_iterator first, const_iterator last, Accept&& accept) const {
  while (first != last) {
    const Chunk& chunk = chunks_[first.chunk_];
    const bool at_last = first.chunk_ == last.chunk_;
    const std::size_t end = at_last ? last.index_ : chunk.size;
    // Where the walk goes next is far from where it is.
    if (first.chunk_ + ahead < last.chunk_) fetch_chunk(first.chunk_ + ahead);
    const u64* words = words_of(chunk) + first.index_ * entry_words_;
    for (; first.index_ < end; ++first.index_, words += entry_words_) {
      if (!accept(entry_of(words))) return first;
    }
    if (at_last) break;
    ++first.chunk_, first.index_ = 0;
  }
  return first;
}

template <class Accept>
ModelMap::const_iterator ModelMap::walk_down(const_iterator first, const_iterator last,
                                             Accept&& accept) const {
  while (first != last) {
    const std::size_t chunk = last.index_ == 0 ? last.chunk_ - 1 : last.chunk_;
    const std::size_t begin = first.chunk_ == chunk ? first.index_ : 0;
    if (first.chunk_ + ahead <= chunk) fetch_chunk(chunk - ahead);
    std::size_t index = last.index_ == 0 ? chunks_[chunk].size : last.index_;
    for (const u64* words = words_of(chunks_[chunk]) + index * entry_words_; index > begin; --index) {
      words -= entry_words_;
      if (!accept(entry_of(words))) return std::next(const_iterator(*this, chunk, index - 1));
    }
    last = {*this, chunk, begin};
  }
  return last;
}

}  // namespace tonearm::sim
