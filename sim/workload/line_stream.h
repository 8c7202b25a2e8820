// A stream of the generator whose draws are about places of the run: from a reseed on they are those of
// another seed, and the ones before it stay what they were. So a line may still look back.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/math.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

// Lines from this one on (by index in the generator) are drawn from another seed.
struct Reseed {
  u64 from = 0;
  u64 seed = 0;

  friend bool operator==(const Reseed&, const Reseed&) = default;
};
using Reseeds = std::vector<Reseed>;  // Ascending; of equal ones the last counts.

class LineStream {
 public:
  // What is drawn is about units of so many lines (a phase, a chunk): one that has begun stays as it is.
  LineStream(std::string_view name, u64 seed, const Reseeds& reseeds, u64 unit = 1)
      : first_(name, stream_seed(seed, name)) {
    for (const Reseed& reseed : reseeds) {
      const u64 from = div_ceil(reseed.from, std::max<u64>(1, unit));
      ASSERT(later_.empty() || later_.back().from <= from);
      later_.push_back({.from = from, .stream = Stream(name, stream_seed(reseed.seed, name))});
    }
  }

  u64 at(u64 place, u64 b = 0) const { return of(place).at(place, b); }
  u64 seed_at(u64 place) const { return of(place).seed(); }

 private:
  struct Later {
    u64 from;
    Stream stream;
  };
  const Stream& of(u64 place) const {
    for (u64 i = later_.size(); i > 0; --i) {
      if (place >= later_[i - 1].from) return later_[i - 1].stream;
    }
    return first_;
  }

  Stream first_;
  std::vector<Later> later_;
};

}  // namespace tonearm::sim
