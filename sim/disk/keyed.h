// Randomness that is keyed, not drawn: a random value is a function of what it is for.
//
//     value = XXH3_64(stream name, operation id, io tag, n ; seed of that stream)
//
// Nothing is consumed, so one more request or one removed operation shifts no other value. Each
// stream has a name and its own seed, derived from the run's seed unless given (`seed.latency=`).
// All distributions are integers, so that every compiler and processor agrees.
#pragma once

#include <string_view>

#include "base/types.h"
#include "storage/storage.h"

namespace tonearm::sim {

// The number that begins a line of a scenario: `17`, or `17.1` for a split child (child >= 1).
// Opaque and unique, not necessarily ascending.
struct OpId {
  u64 number = 0;
  u32 child = 0;

  friend bool operator==(const OpId&, const OpId&) = default;
};

// What requests are attributed to. `context` separates work that shares an operation id but is not
// the operation itself: 0 the operation; else hash of a recovery (crash line), a directed check, ...
struct Attribution {
  OpId op;
  u64 context = 0;

  friend bool operator==(const Attribution&, const Attribution&) = default;
};

// A chance as a fraction: `fault torn_write 1/50`. Zero in anything never happens.
struct Ratio {
  u32 numerator = 0;
  u32 denominator = 1;

  friend bool operator==(const Ratio&, const Ratio&) = default;
};

class Stream {
 public:
  Stream() = default;
  Stream(std::string_view name, u64 seed);

  u64 at(const Attribution& attribution, IoTag tag, u64 n) const;
  u64 at(u64 a, u64 b = 0, u64 c = 0) const;  // For draws that belong to no request.
  u64 seed() const { return seed_; }

 private:
  u64 name_ = 0;  // Hash of the name.
  u64 seed_ = 0;
};

// The seed of a stream that was not given one.
u64 stream_seed(u64 run_seed, std::string_view name);

// Turning 64 random bits into what is wanted.
u64 below(u64 random, u64 bound);           // Uniform in [0, bound); bound >= 1. Multiply-high.
u64 between(u64 random, u64 min, u64 max);  // Uniform in [min, max].
bool chance(u64 random, Ratio ratio);
u64 exponential(u64 random, u64 mean);  // Integer, mean about `mean`, 0 for mean 0, at most 20x.
u64 remix(u64 random, u64 salt);        // Another 64 bits from the same draw.
// One of so many places: often the first or the last one, where loops begin and end.
u64 place_of(u64 random, u64 count);

}  // namespace tonearm::sim
