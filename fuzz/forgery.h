// What a hostile data file has that its run did not write: the input of the target `block`.
//
// A byte that chooses the file, then records of 12 bytes {place u16, offset u16, how u8, value u56}. Any
// bytes at all mean something.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "base/types.h"

namespace tonearm::sim {

struct Target;

// Bytes that are drawn are rarely what others refer to: so a field may also become a little greater or less,
// and references, keys or entries be copied or exchanged.
enum class ForgeryKind : u8 { set, add, copy, exchange };

struct Forgery {
  static constexpr std::size_t size = 12;
  static constexpr std::size_t count_max = 64;  // Of an input.

  u16 place = 0, offset = 0;
  u8 how = 0;  // Two bits for the width, two for the kind; the others mean nothing.
  u64 value = 0;

  u32 width() const { return 1U << (how & 3); }
  ForgeryKind kind() const { return static_cast<ForgeryKind>(how >> 2 & 3); }
  // Of copy and exchange: where from.
  u16 other_place() const { return static_cast<u16>(value); }
  u16 other_offset() const { return static_cast<u16>(value >> 16); }

  static Forgery of(const char* bytes) {
    Forgery forgery;
    u64 last = 0;
    std::memcpy(&forgery.place, bytes, 2);
    std::memcpy(&forgery.offset, bytes + 2, 2);
    std::memcpy(&last, bytes + 4, 8);
    forgery.how = static_cast<u8>(last);
    forgery.value = last >> 8;
    return forgery;
  }
  std::array<char, size> bytes() const {
    std::array<char, size> bytes{};
    const u64 last = value << 8 | how;
    std::memcpy(bytes.data(), &place, 2);
    std::memcpy(bytes.data() + 2, &offset, 2);
    std::memcpy(bytes.data() + 4, &last, 8);
    return bytes;
  }
};

// One record inserted, dropped, repeated, or one of its numbers changed. `target` is not asked.
std::string mutate_forgeries(const Target& target, std::string_view input, std::size_t size_max, u64 random);

}  // namespace tonearm::sim
