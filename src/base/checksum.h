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
[[nodiscard]] u64 hash_of(u64 value);

}  // namespace tonearm
