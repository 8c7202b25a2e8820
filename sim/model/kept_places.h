// Places of so many Ts each, which are taken, given back, and taken again, and never move.
//
// They lie in pages: one array would be copied whenever it grows, and leave holes of every former size.
#pragma once

#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm::sim {

template <class T, u32 page_places>
class KeptPlaces {
 public:
  explicit KeptPlaces(std::size_t place_size) : place_size_(place_size) { ASSERT(place_size > 0); }

  T* operator[](u32 place) { return &pages_[place / page_places][place % page_places * place_size_]; }
  const T* operator[](u32 place) const {
    return &pages_[place / page_places][place % page_places * place_size_];
  }

  // What is there is whatever was there before.
  u32 take() {
    if (free_.empty()) {
      const u32 first = static_cast<u32>(pages_.size()) * page_places;
      pages_.emplace_back(page_places * place_size_);
      for (u32 i = page_places; i > 0; --i) free_.push_back(first + i - 1);
    }
    const u32 place = free_.back();
    free_.pop_back();
    return place;
  }
  void give_back(u32 place) {
    ASSERT(place / page_places < pages_.size());
    free_.push_back(place);
  }

 private:
  std::size_t place_size_;
  std::vector<std::vector<T>> pages_;
  std::vector<u32> free_;
};

}  // namespace tonearm::sim
