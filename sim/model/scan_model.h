// What scans that stay open must yield still. Nothing changes while one is open, so that a scan of a tree is
// a place in the oracle's map, and a query the list of its matches and a place in it.
//
// A probe drops what has not been yielded yet and lies in front of its key, in the direction of the scan.
// It may lag behind what was yielded, or behind another probe: then it drops nothing.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/key.h"
#include "sim/model/query_model.h"

namespace tonearm::sim {

class TreeScanModel {
 public:
  TreeScanModel(const ModelMap& map, ModelKey min, ModelKey max, Direction direction)
      : map_(&map), min_(min), max_(max), direction_(direction) {}

  std::optional<ModelMap::value_type> next() {
    if (ended_) return std::nullopt;
    ended_ = true;  // Unless there is another one.
    if (direction_ == Direction::ascending) {
      const auto at = yielded_ ? map_->upper_bound(min_) : map_->lower_bound(min_);
      if (at == map_->end() || max_ < at->first) return std::nullopt;
      min_ = at->first;
      yielded_ = true;
      ended_ = false;
      return *at;
    }
    auto at = yielded_ ? map_->lower_bound(max_) : map_->upper_bound(max_);
    if (at == map_->begin()) return std::nullopt;
    --at;
    if (at->first < min_) return std::nullopt;
    max_ = at->first;
    yielded_ = true;
    ended_ = false;
    return *at;
  }
  void probe(const ModelKey& key) {
    if (direction_ == Direction::ascending ? key <= min_ : max_ <= key) return;
    (direction_ == Direction::ascending ? min_ : max_) = key;
    yielded_ = false;
  }
  void abort() { ended_ = true; }

 private:
  const ModelMap* map_;
  ModelKey min_;  // What is left; `yielded_`: without the end at which the scan stands.
  ModelKey max_;
  Direction direction_;
  bool yielded_ = false;
  bool ended_ = false;
};

class QueryScanModel {
 public:
  // Ascending, whatever the direction.
  QueryScanModel(std::vector<u64> matches, Direction direction)
      : matches_(std::move(matches)), direction_(direction) {
    if (direction == Direction::descending) std::reverse(matches_.begin(), matches_.end());
  }

  std::optional<u64> next() {
    if (at_ == matches_.size()) return std::nullopt;
    return matches_[at_++];
  }
  void probe(u64 timestamp) {
    const auto in_front = [&](u64 match) {
      return direction_ == Direction::ascending ? match < timestamp : match > timestamp;
    };
    while (at_ < matches_.size() && in_front(matches_[at_])) ++at_;
  }
  void abort() { at_ = matches_.size(); }

 private:
  std::vector<u64> matches_;
  std::size_t at_ = 0;
  Direction direction_;
};

}  // namespace tonearm::sim
