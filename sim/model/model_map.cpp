#include "sim/model/model_map.h"

#include <cstring>
#include <type_traits>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// Of a key of so many words.
template <u32 key_words>
ModelKey key_at(const u64* words) {
  ModelKey key;
  key.low = words[0];
  if constexpr (key_words > 1) key.middle = words[1];
  if constexpr (key_words > 2) key.high = words[2];
  return key;
}

template <u32 key_words>
bool below(const ModelKey& a, const ModelKey& b) {
  if constexpr (key_words == 1) return a.low < b.low;
  if constexpr (key_words == 2) return a.number() < b.number();
  return a < b;
}

// How many of these sorted keys, so many words apart, are below the key; `or_equal`: or are the key.
template <u32 key_words, u32 stride, bool or_equal>
std::size_t keys_in_front(const u64* words, std::size_t count, const ModelKey& key) {
  const auto in_front = [&](const u64* at) {
    if constexpr (or_equal) return !below<key_words>(key, key_at<key_words>(at));
    return below<key_words>(key_at<key_words>(at), key);
  };
  const u64* base = words;
  // Computed, not branched to: every step is a coin flip.
  for (std::size_t left = count; left > 1;) {
    const std::size_t half = left / 2;
    const std::size_t step = half * stride;
    base += step & (0 - std::size_t{in_front(base + step - stride)});
    left -= half;
  }
  return static_cast<std::size_t>(base - words) / stride + (count > 0 && in_front(base) ? 1 : 0);
}

}  // namespace

ModelMap::ModelMap(Layout layout)
    : key_words_(layout.key_words),
      entry_words_(layout.key_words + (layout.payload ? 1 : 0)),
      places_(chunk_max * entry_words_ / std::size(Line{}.words)) {
  ASSERT(layout.key_words >= 1);
  ASSERT(layout.key_words <= 3);
}

ModelMap::ModelMap(std::initializer_list<value_type> entries) : ModelMap() {
  for (const value_type& entry : entries) try_emplace(entry.first, entry.second);
}

// What is searched is compiled for each number of words.
template <class Act>
auto ModelMap::with_key_words(Act&& act) const {
  switch (key_words_) {
    case 1: return act(std::integral_constant<u32, 1>());
    case 2: return act(std::integral_constant<u32, 2>());
    default: return act(std::integral_constant<u32, 3>());
  }
}

// The last one whose least key is not above the key; the first one, if all are.
template <u32 key_words>
std::size_t ModelMap::chunk_of(const ModelKey& key) const {
  return keys_in_front<key_words, key_words, true>(firsts_.data() + key_words, chunks_.size() - 1, key);
}

// What chunk_of() would say.
template <u32 key_words>
bool ModelMap::in_chunk(const ModelKey& key, std::size_t chunk) const {
  if (chunk >= chunks_.size()) return false;
  const u64* const first = firsts_.data() + chunk * key_words;
  return (chunk == 0 || !below<key_words>(key, key_at<key_words>(first))) &&
         (chunk + 1 == chunks_.size() || below<key_words>(key, key_at<key_words>(first + key_words)));
}

ModelMap::Place ModelMap::place_of(const ModelKey& key) const {
  return with_key_words([&]<u32 key_words>(std::integral_constant<u32, key_words>) {
    std::size_t chunk = fetched_[0];
    if (!in_chunk<key_words>(key, chunk)) chunk = fetched_[1];
    if (!in_chunk<key_words>(key, chunk)) {
      chunk = chunk_of<key_words>(key);
      // All of it at once: it is far away, and each step would wait for its own part.
      fetch_chunk(chunk);
    }
    const u64* const words = words_of(chunks_[chunk]);
    const std::size_t size = chunks_[chunk].size;
    return Place{.chunk = chunk,
                 .index = entry_words_ == key_words
                              ? keys_in_front<key_words, key_words, false>(words, size, key)
                              : keys_in_front<key_words, key_words + 1, false>(words, size, key)};
  });
}

ModelMap::const_iterator ModelMap::lower_bound(const ModelKey& key) const {
  if (empty() || !fits(key)) return end();
  const Place place = place_of(key);
  if (place.index == chunks_[place.chunk].size) return {*this, place.chunk + 1, 0};
  return {*this, place.chunk, place.index};
}

ModelMap::const_iterator ModelMap::upper_bound(const ModelKey& key) const {
  const const_iterator at = lower_bound(key);
  return at != end() && at->first == key ? std::next(at) : at;
}

ModelMap::const_iterator ModelMap::find(const ModelKey& key) const {
  const const_iterator at = lower_bound(key);
  return at != end() && at->first == key ? at : end();
}

void ModelMap::fetch(const ModelKey& key) const {
  if (empty() || !fits(key)) return;
  fetched_[1] = fetched_[0];
  fetched_[0] = with_key_words(
      [&]<u32 key_words>(std::integral_constant<u32, key_words>) { return chunk_of<key_words>(key); });
  fetch_chunk(fetched_[0]);
}

void ModelMap::fetch_chunk(std::size_t chunk) const {
  const u64* const words = words_of(chunks_[chunk]);
  const u64* const end = words + chunks_[chunk].size * entry_words_;
  for (const u64* line = words; line < end; line += std::size(Line{}.words)) __builtin_prefetch(line, 1);
  asm volatile("");  // Else a call is one of a function that does nothing, and is left out.
}

void ModelMap::write(u64* words, const ModelKey& key, u64 payload) const {
  words[0] = key.low;
  if (key_words_ > 1) words[1] = key.middle;
  if (key_words_ > 2) words[2] = key.high;
  if (entry_words_ > key_words_) words[key_words_] = payload;
}

void ModelMap::write_first(std::size_t chunk) {
  std::copy_n(words_of(chunks_[chunk]), key_words_, &firsts_[chunk * key_words_]);
}

std::pair<ModelMap::const_iterator, bool> ModelMap::try_emplace(const ModelKey& key, u64 payload) {
  ASSERT(fits(key));
  ASSERT(entry_words_ > key_words_ || payload == 0);
  if (chunks_.empty()) {
    chunks_.push_back({.place = places_.take(), .size = 0});
    firsts_.resize(key_words_);
  }
  auto [at, index] = place_of(key);
  if (index < chunks_[at].size && entry_at(at, index).first == key) {
    return {const_iterator(*this, at, index), false};
  }
  if (chunks_[at].size == chunk_max) {
    // What comes in order fills its chunks.
    const u32 staying = index == chunk_max ? chunk_max : chunk_max / 2;
    split(at, staying);
    if (index > chunks_[at].size || index == chunk_max) index -= chunks_[at++].size;
  }
  Chunk& chunk = chunks_[at];
  u64* const words = words_of(chunk) + index * entry_words_;
  std::memmove(words + entry_words_, words, (chunk.size - index) * entry_words_ * sizeof(u64));
  write(words, key, payload);
  ++chunk.size;
  ++size_;
  if (index == 0) write_first(at);
  return {const_iterator(*this, at, index), true};
}

void ModelMap::set_payload(const_iterator at, u64 payload) {
  ASSERT(at.index_ < chunks_[at.chunk_].size);
  ASSERT(entry_words_ > key_words_ || payload == 0);
  if (entry_words_ > key_words_) {
    words_of(chunks_[at.chunk_])[at.index_ * entry_words_ + key_words_] = payload;
  }
}

void ModelMap::erase(const_iterator at) {
  Chunk& chunk = chunks_[at.chunk_];
  ASSERT(at.index_ < chunk.size);
  u64* const words = words_of(chunk) + at.index_ * entry_words_;
  --chunk.size;
  --size_;
  std::memmove(words, words + entry_words_, (chunk.size - at.index_) * entry_words_ * sizeof(u64));
  if (at.index_ == 0 && chunk.size > 0) write_first(at.chunk_);
  if (at.chunk_ + 1 < chunks_.size() && chunk.size + chunks_[at.chunk_ + 1].size <= merged_max) {
    merge(at.chunk_);
  } else if (at.chunk_ > 0 && chunk.size + chunks_[at.chunk_ - 1].size <= merged_max) {
    merge(at.chunk_ - 1);
  } else if (chunk.size == 0) {
    drop(at.chunk_);
  }
}

std::size_t ModelMap::erase(const ModelKey& key) {
  const const_iterator at = find(key);
  if (at == end()) return 0;
  erase(at);
  return 1;
}

void ModelMap::split(std::size_t at, std::size_t staying) {
  const u32 place = places_.take();
  Chunk& lower = chunks_[at];
  const Chunk upper{.place = place, .size = lower.size - static_cast<u32>(staying)};
  lower.size = static_cast<u32>(staying);
  std::copy_n(words_of(lower) + staying * entry_words_, upper.size * entry_words_, words_of(upper));
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(at) + 1, upper);
  firsts_.insert(firsts_.begin() + static_cast<std::ptrdiff_t>((at + 1) * key_words_), key_words_, 0);
  if (upper.size > 0) write_first(at + 1);
}

// With the next one.
void ModelMap::merge(std::size_t at) {
  Chunk& lower = chunks_[at];
  const Chunk& upper = chunks_[at + 1];
  ASSERT(lower.size + upper.size <= chunk_max);
  std::copy_n(words_of(upper), upper.size * entry_words_, words_of(lower) + lower.size * entry_words_);
  lower.size += upper.size;
  if (lower.size > 0) write_first(at);
  drop(at + 1);
}

void ModelMap::drop(std::size_t at) {
  places_.give_back(chunks_[at].place);
  chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(at));
  const auto first = firsts_.begin() + static_cast<std::ptrdiff_t>(at * key_words_);
  firsts_.erase(first, first + key_words_);
}

}  // namespace tonearm::sim
