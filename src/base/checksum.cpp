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

}  // namespace tonearm
