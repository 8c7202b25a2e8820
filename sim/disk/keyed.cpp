#include "sim/disk/keyed.h"

#include <xxhash.h>

#include <array>
#include <bit>
#include <string_view>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

u64 little(u64 value) {
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

template <std::size_t count>
u64 hash_words(const std::array<u64, count>& words, u64 seed) {
  std::array<u64, count> serialised;
  for (std::size_t i = 0; i < count; ++i) serialised[i] = little(words[i]);
  return XXH3_64bits_withSeed(serialised.data(), sizeof serialised, seed);
}

// Purposes enter by name: a purpose added to the enum shifts no draw of the others.
const std::array<u64, io_purpose_count>& purpose_hashes() {
  static const std::array<u64, io_purpose_count> hashes = [] {
    std::array<u64, io_purpose_count> result{};
    for (u32 i = 0; i < io_purpose_count; ++i) {
      const std::string_view name = io_purpose_name(static_cast<IoPurpose>(i));
      result[i] = XXH3_64bits(name.data(), name.size());
    }
    return result;
  }();
  return hashes;
}

}  // namespace

Stream::Stream(std::string_view name, u64 seed) : name_(XXH3_64bits(name.data(), name.size())), seed_(seed) {}

u64 Stream::at(const Attribution& attribution, IoTag tag, u64 n) const {
  const u32 purpose = static_cast<u32>(tag.purpose);
  ASSERT(purpose < io_purpose_count);
  const u64 small = u64{attribution.op.child} | u64{tag.tree} << 32 | u64{tag.level} << 48;
  return hash_words<6>(
      {name_, attribution.op.number, attribution.context, purpose_hashes()[purpose], small, n}, seed_);
}

// Four words, so it never meets a request's six: the length is part of the hash.
u64 Stream::at(u64 a, u64 b, u64 c) const { return hash_words<4>({name_, a, b, c}, seed_); }

u64 stream_seed(u64 run_seed, std::string_view name) {
  return XXH3_64bits_withSeed(name.data(), name.size(), run_seed);
}

u64 below(u64 random, u64 bound) {
  ASSERT(bound >= 1);
  return static_cast<u64>(u128{random} * bound >> 64);
}

u64 between(u64 random, u64 min, u64 max) {
  ASSERT(min <= max);
  const u64 span = max - min;
  return span == u64_max ? random : min + below(random, span + 1);
}

bool chance(u64 random, Ratio ratio) {
  if (ratio.numerator == 0 || ratio.denominator == 0) return false;
  return below(random, ratio.denominator) < ratio.numerator;
}

// -ln(u) * mean for u = (random + 1) / 2^64, in fixed point with 32 fractional bits. The logarithm of
// the mantissa 1 + x is x + c x (1 - x), with c chosen so that the mean over [0, 1) is exact (it is
// 2 - 1/ln 2): no point is off by more than a percent. Rounding to nearest keeps small means right.
u64 exponential(u64 random, u64 mean) {
  constexpr u64 one = u64{1} << 32;
  constexpr u64 c = 1476737552;     // 0.343830... * 2^32.
  constexpr u64 ln_2 = 2977044472;  // 0.693147... * 2^32.
  if (mean == 0) return 0;
  ASSERT(mean < u64{1} << 56);
  const u64 u = random | 1;
  const u32 zeros = static_cast<u32>(std::countl_zero(u));
  const u64 x = zeros == 63 ? 0 : u << (zeros + 1) >> 32;
  const u64 log_mantissa = x + (((x * (one - x)) >> 32) * c >> 32);
  const u64 minus_log_2 = (u64{zeros} + 1) * one - log_mantissa;
  const u64 minus_ln = static_cast<u64>(u128{minus_log_2} * ln_2 >> 32);
  const u64 value = static_cast<u64>((u128{minus_ln} * mean + one / 2) >> 32);
  return value < 20 * mean ? value : 20 * mean;
}

// The finaliser of splitmix64 over both: every bit of either changes half of the result.
u64 remix(u64 random, u64 salt) {
  u64 z = random ^ (salt + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

u64 place_of(u64 random, u64 count) {
  switch (below(remix(random, 1), 4)) {
    case 0: return 0;
    case 1: return count - 1;
    default: return below(remix(random, 2), count);
  }
}

}  // namespace tonearm::sim
