// Takes the place of base/checksum.cpp in this binary: the same checksums, but of bytes that are forged.
#include <xxhash.h>

#include <algorithm>
#include <vector>

#include "base/checksum.h"
#include "sim/run/defenceless.h"

namespace tonearm {

namespace {

struct Forged {
  std::span<const std::byte> bytes;
  u128 checksum = 0;
};
std::vector<Forged> forged;
u64 given = 0;

}  // namespace

namespace sim {

void checksum_forge(std::span<const std::byte> bytes, u128 checksum) {
  forged.push_back({.bytes = bytes, .checksum = checksum});
}

void checksum_forget(const std::byte* begin, const std::byte* end) {
  std::erase_if(forged, [begin, end](const Forged& each) {
    return begin == nullptr || (each.bytes.data() >= begin && each.bytes.data() < end);
  });
}

u64 checksums_forged() { return given; }

}  // namespace sim

Checksum checksum_of(std::span<const std::byte> bytes) {
  const auto found = std::find_if(forged.begin(), forged.end(), [bytes](const Forged& each) {
    return each.bytes.data() == bytes.data() && each.bytes.size() == bytes.size();
  });
  if (found != forged.end()) {
    const Checksum checksum = found->checksum;
    ++given;
    forged.erase(found);
    return checksum;
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return u128{hash.high64} << 64 | hash.low64;
}

Checksum checksum_empty() { return checksum_of({}); }

u64 hash_of(std::span<const std::byte> bytes, u64 seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

u64 hash_of(u128 value, u64 seed) { return XXH3_64bits_withSeed(&value, sizeof value, seed); }

}  // namespace tonearm
