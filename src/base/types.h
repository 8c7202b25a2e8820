// Integer names used everywhere. Sizes are part of every on-disk and in-memory format here, so no
// plain `int` or `size_t` decides a layout.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tonearm {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;
__extension__ using u128 = unsigned __int128;

inline constexpr u64 u64_max = ~u64{0};
inline constexpr u128 u128_max = ~u128{0};

constexpr u64 operator""_KiB(unsigned long long n) { return n * 1024; }
constexpr u64 operator""_MiB(unsigned long long n) { return n * 1024 * 1024; }

}  // namespace tonearm
