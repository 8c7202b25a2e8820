#include "base/checksum.h"

#include <xxhash.h>

#ifdef TONEARM_XXHASH_DISPATCHES
// As in xxh_x86dispatch.h, which cannot be included beside the functions that are inline.
extern "C" XXH128_hash_t XXH3_128bits_dispatch(const void* input, std::size_t size);
#endif

namespace tonearm {

namespace {

// Above it XXH3 works on stripes, and wide vectors are worth a call.
[[maybe_unused]] constexpr std::size_t short_max = 240;

XXH128_hash_t hash_128(const void* bytes, std::size_t size) {
#ifdef TONEARM_XXHASH_DISPATCHES
  if (size > short_max) return XXH3_128bits_dispatch(bytes, size);
#endif
  return XXH3_128bits(bytes, size);
}

}  // namespace

Checksum checksum_of(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = hash_128(bytes.data(), bytes.size());
  return u128{hash.high64} << 64 | hash.low64;
}

Checksum checksum_empty() { return checksum_of({}); }

u64 hash_of(std::span<const std::byte> bytes, u64 seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

u64 hash_of(u128 value, u64 seed) { return XXH3_64bits_withSeed(&value, sizeof value, seed); }

}  // namespace tonearm
