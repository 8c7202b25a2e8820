// EWAH: run-length encoding of bitmaps in words of 64 bits.
//
//   stream  = { marker, literal words }*
//   marker  = bit 0       the uniform bit
//             bits 1..31  count of words that consist of the uniform bit only
//             bits 32..63 count of literal words that follow the marker (after the uniform ones)
//
// Zero words at the end of the bitmap are not encoded, so a bitmap with no bit set is empty, and a
// stream can be decoded into a smaller bitmap as long as what it has beyond is zero.
#pragma once

#include <span>

#include "base/types.h"

namespace tonearm {

// Upper bound of what ewah_encode() writes for a bitmap of so many words.
constexpr u64 ewah_encode_size_max(u64 words) {
  constexpr u64 literals_max = (u64{1} << 32) - 1;
  // A marker without uniform words occurs once per literals_max words at most; every other marker
  // stands for at least one uniform word.
  return 8 * (words + (words + literals_max - 1) / literals_max);
}

// Writes the stream to the front of `target`, which has room for ewah_encode_size_max() bytes.
// Returns its size in bytes, a multiple of 8.
[[nodiscard]] u64 ewah_encode(std::span<const u64> words, std::span<std::byte> target);

enum class [[nodiscard]] EwahResult : u8{
    decoded,
    malformed,      // No bitmap at all: the bytes are no whole words, or a marker promises more than follows.
    beyond_target,  // A bitmap, but with a bit set that the target does not have.
};

// Fills all of `target`; unless it says `decoded`, with unspecified contents. Any bytes are safe to
// decode, in time proportional to source and target.
EwahResult ewah_decode(std::span<const std::byte> source, std::span<u64> target);

}  // namespace tonearm
