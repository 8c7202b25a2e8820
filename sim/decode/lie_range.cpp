#include "sim/decode/lie_range.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

constexpr u64 few = 16;

DecodedKey plus(const DecodedKey& a, const DecodedKey& b) {
  const u128 low = a.second + b.second;
  return {a.first + b.first + (low < a.second ? 1 : 0), low};
}

DecodedKey minus(const DecodedKey& a, const DecodedKey& b) {
  return {a.first - b.first - (a.second < b.second ? 1 : 0), a.second - b.second};
}

// At most `bits` of them, 1 to 256.
DecodedKey of_bits(u64 random, u64 bits) {
  const auto word = [random](u64 i) { return u128{remix(random, 2 * i)} << 64 | remix(random, 2 * i + 1); };
  if (bits > 128) return {word(0) >> (256 - bits), word(1)};
  return {0, word(0) >> (128 - bits)};
}

u64 bits_of(const DecodedKey& key) {
  const auto bits = [](u128 word) {
    u64 count = 0;
    for (; word != 0; word >>= 1) ++count;
    return count;
  };
  return key.first != 0 ? 128 + bits(key.first) : bits(key.second);
}

}  // namespace

DecodedKey next_key(const DecodedKey& key) { return plus(key, {0, 1}); }
DecodedKey key_before(const DecodedKey& key) { return minus(key, {0, 1}); }

DecodedKey key_between(const DecodedKey& least, const DecodedKey& most, u64 random) {
  ASSERT(least <= most);
  const DecodedKey width = minus(most, least);
  if (width == DecodedKey{}) return least;
  DecodedKey from_end;
  switch (below(remix(random, 1), 4)) {
    case 0: break;
    case 1: from_end.second = below(remix(random, 2), few); break;
    default: from_end = of_bits(remix(random, 3), 1 + below(remix(random, 4), bits_of(width)));
  }
  from_end = std::min(from_end, width);
  return below(random, 2) == 0 ? plus(least, from_end) : minus(most, from_end);
}

u64 number_between(u64 least, u64 most, u64 random) {
  return static_cast<u64>(key_between({0, least}, {0, most}, random).second);
}

u64 another(u64 number, u64 least, u64 most, u64 random) {
  ASSERT(least <= number && number <= most && least < most);
  const bool more = number == least || (number != most && below(remix(random, 5), 2) == 0);
  return more ? number_between(number + 1, most, random) : number_between(least, number - 1, random);
}

}  // namespace tonearm::sim
