#include "sim/decode/disk_format.h"

#include <xxhash.h>

#include <fmt/format.h>

namespace tonearm::sim::disk_format {

u128 checksum(Bytes bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return u128{hash.high64} << 64 | hash.low64;
}

std::string hex(u128 value) {
  return fmt::format("0x{:016x}{:016x}", static_cast<u64>(value >> 64), static_cast<u64>(value));
}

bool decode_bitmap(Bytes stream, std::vector<u64>* words) {
  if (stream.size() % 8 != 0) return false;
  u64 at = 0;
  while (at < stream.size()) {
    const u64 marker = load<u64>(stream, at);
    at += 8;
    const u64 uniform = marker >> 1 & 0x7fffffff;
    const u64 literals = marker >> 32;
    if (words->size() + uniform + literals > bitmap_words_max) return false;
    if (literals > (stream.size() - at) / 8) return false;
    words->insert(words->end(), uniform, (marker & 1) != 0 ? u64_max : 0);
    for (u64 i = 0; i < literals; ++i, at += 8) words->push_back(load<u64>(stream, at));
  }
  while (!words->empty() && words->back() == 0) words->pop_back();
  return true;
}

}  // namespace tonearm::sim::disk_format
