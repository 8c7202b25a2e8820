// Draws of options, keyed by name.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

// Draws by name. `attempt` is for those that must be repeated until they fit together.
class Draw {
 public:
  explicit Draw(u64 seed) : seed_(stream_seed(seed, "swarm")) {}

  void attempt(u64 attempt) { attempt_ = attempt; }
  u64 random(std::string_view name) const { return Stream(name, seed_).at(attempt_); }
  u64 below(std::string_view name, u64 bound) const { return sim::below(random(name), bound); }
  u32 between(std::string_view name, u64 min, u64 max) const {
    return static_cast<u32>(sim::between(random(name), min, max));
  }
  bool happens(std::string_view name, u32 numerator, u32 denominator) const {
    return chance(random(name), {numerator, denominator});
  }
  // Towards `min`: half of the draws lie in the first quarter.
  u64 skewed(std::string_view name, u64 min, u64 max) const {
    const u64 x = random(name) >> 32;
    return min + sim::below((x * x), max - min + 1);
  }
  // Every magnitude alike.
  u64 magnitude(std::string_view name, u32 bits_min, u32 bits_max) const {
    const u64 r = random(name);
    const u64 bits = sim::between(r, bits_min, bits_max);
    return (u64{1} << bits) + sim::below(remix(r, 1), u64{1} << bits);
  }
  u32 one_of(std::string_view name, std::span<const u32> values) const {
    return values[below(name, values.size())];
  }
  u32 one_of(std::string_view name, std::initializer_list<u32> values) const {
    return one_of(name, std::span(values.begin(), values.size()));
  }

 private:
  u64 seed_;
  u64 attempt_ = 0;
};

}  // namespace tonearm::sim
