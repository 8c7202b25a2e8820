// XXH3-128: identifies and authenticates every block. It guards against accidents (rot, tears,
// misdirected I/O), not against an adversary who writes blocks on purpose.
#pragma once

#include <span>

#include "base/types.h"

namespace tonearm {

using Checksum = u128;

// Note that the checksum of no bytes is not zero (checksum_empty()).
[[nodiscard]] Checksum checksum_of(std::span<const std::byte> bytes);
[[nodiscard]] Checksum checksum_empty();

// A 64-bit hash with a seed, for tables and caches; never written to disk.
[[nodiscard]] u64 hash_of(std::span<const std::byte> bytes, u64 seed);
// Of the bytes of this value.
[[nodiscard]] u64 hash_of(u128 value, u64 seed);
// The 64-bit finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable PRNGs, 2014).
[[nodiscard]] constexpr u64 hash_of(u64 value) {
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9;
  value ^= value >> 27;
  value *= 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace tonearm
