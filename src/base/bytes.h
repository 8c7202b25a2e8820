// Looking at bytes in bulk.
#pragma once

#include <cstring>

#include "base/types.h"

namespace tonearm {

// Eight words at a time: of every block the rest of its last sector is looked at.
inline bool all_zero(const void* bytes, u64 size) {
  constexpr u64 stride = 64;
  const std::byte* at = static_cast<const std::byte*>(bytes);
  const std::byte* const end = at + size;
  const auto word = [&at](u64 index) {
    u64 value;
    std::memcpy(&value, at + index * sizeof value, sizeof value);
    return value;
  };
  for (; static_cast<u64>(end - at) >= stride; at += stride) {
    if ((word(0) | word(1) | word(2) | word(3) | word(4) | word(5) | word(6) | word(7)) != 0) return false;
  }
  for (; static_cast<u64>(end - at) >= sizeof(u64); at += sizeof(u64)) {
    if (word(0) != 0) return false;
  }
  u8 rest = 0;
  for (; at != end; ++at) rest |= static_cast<u8>(*at);
  return rest == 0;
}

}  // namespace tonearm
