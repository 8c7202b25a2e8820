// A second reader of EWAH streams (src/grid/ewah.h has the format), which knows nothing of the first
// one: bit by bit, into a page of bits. And the streams that nobody should believe.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace tonearm::sim {

struct EwahPage {
  bool malformed = false;
  bool beyond = false;     // A bit behind the page is set.
  std::vector<bool> bits;  // As many as asked for.
};
EwahPage read_ewah(const std::vector<std::byte>& stream, u64 bits);

// What `spoil_ewah` can do to a stream.
enum class EwahSpoil : u8 {
  truncate,       // To any number of bytes.
  extend,         // By random words.
  flip_bit,       //
  random_word,    // In the place of another.
  uniform_max,    // A word, maybe a marker, counts as many uniform words as can be said.
  literals_max,   // The same of literals: more than follow.
  wrap,           // So many zeros that a count of 32 bits comes round, then a literal.
  ones_beyond,    // A run of ones at the end, across the end of the page or behind it.
  small_markers,  // A stream of markers and literals that mostly is one, of other bits.
  empty_markers,  // Markers that stand for nothing, put in front: another spelling of the same bits.
};
inline constexpr u64 ewah_spoil_count = 10;
const char* ewah_spoil_name(EwahSpoil spoil);

void spoil_ewah(EwahSpoil spoil, u64 random, std::vector<std::byte>* stream);

}  // namespace tonearm::sim
