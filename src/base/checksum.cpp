#include "base/checksum.h"

#include <xxhash.h>

namespace tonearm {

Checksum checksum_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return u128{hash.high64} << 64 | hash.low64;
}

Checksum checksum_empty() { return checksum_of({}); }

u64 hash_of(std::span<const std::byte> bytes, u64 seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

u64 hash_of(u64 value) {
  // The 64-bit finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable PRNGs, 2014).
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9;
  value ^= value >> 27;
  value *= 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace tonearm
