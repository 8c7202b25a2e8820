// How often something was done to keys, until all of it is forgotten.
#pragma once

#include <utility>
#include <vector>

#include "sim/model/place_table.h"

namespace tonearm::sim {

class KeyCounts {
 public:
  u32 of(u128 key) const {
    const u32 place = find(key);
    return place == PlaceTable::none ? 0 : counts_[place].second;
  }
  void add(u128 key) {
    u32 place = find(key);
    if (place == PlaceTable::none) {
      place = static_cast<u32>(counts_.size());
      counts_.emplace_back(key, 0);
      places_.insert(place_hash(key), place);
    }
    ++counts_[place].second;
  }
  void subtract(u128 key) {
    const u32 place = find(key);
    ASSERT(place != PlaceTable::none);
    ASSERT(counts_[place].second > 0);
    --counts_[place].second;
  }
  u32 keys() const { return places_.size(); }  // Those that went back to 0 included.
  void clear() {
    if (counts_.empty()) return;
    counts_.clear();
    places_.clear();
  }

 private:
  u32 find(u128 key) const {
    return places_.find(place_hash(key), [&](u32 place) { return counts_[place].first == key; });
  }

  std::vector<std::pair<u128, u32>> counts_;
  PlaceTable places_;
};

}  // namespace tonearm::sim
