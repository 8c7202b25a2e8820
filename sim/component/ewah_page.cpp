#include "sim/component/ewah_page.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

constexpr u64 word_bytes = 8;
constexpr u64 word_bits = 64;
constexpr u64 uniform_max = 0x7fffffff;
constexpr u64 literals_max = 0xffffffff;

u64 marker(bool bit, u64 uniform, u64 literals) { return (bit ? 1 : 0) + 2 * uniform + (literals << 32); }

// Little-endian, wherever it runs.
u64 word_at(const std::vector<std::byte>& stream, u64 index) {
  u64 word = 0;
  for (u64 i = word_bytes; i > 0; --i)
    word = word * 256 + static_cast<u64>(stream[index * word_bytes + i - 1]);
  return word;
}

void put_word(std::vector<std::byte>* stream, u64 index, u64 word) {
  for (u64 i = 0; i < word_bytes; ++i)
    (*stream)[index * word_bytes + i] = static_cast<std::byte>(word >> (8 * i));
}

void append_word(std::vector<std::byte>* stream, u64 word) {
  stream->resize(stream->size() / word_bytes * word_bytes + word_bytes);
  put_word(stream, stream->size() / word_bytes - 1, word);
}

// Mostly of few bits, so that it may pass for a marker.
u64 any_word(u64 random) {
  if (below(remix(random, 1), 3) == 0) return random;
  return marker((random & 1) != 0, below(remix(random, 2), 4), below(remix(random, 3), 3));
}

}  // namespace

EwahPage read_ewah(const std::vector<std::byte>& stream, u64 bits) {
  EwahPage page;
  page.bits.assign(bits, false);
  page.malformed = stream.size() % word_bytes != 0;
  u64 at = 0;  // Of the next bit. A stream of so many words that this overflows does not fit in memory.
  const u64 words = stream.size() / word_bytes;
  for (u64 i = 0; i < words && !page.malformed;) {
    const u64 head = word_at(stream, i++);
    const u64 run = (head / 2 % (uniform_max + 1)) * word_bits;
    if (head % 2 == 1) {
      page.beyond |= run > 0 && at + run > bits;
      for (u64 bit = at; bit < std::min(at + run, bits); ++bit) page.bits[bit] = true;
    }
    at += run;
    const u64 literals = head >> 32;
    page.malformed = literals > words - i;
    for (u64 end = i + literals; i < end && !page.malformed; ++i) {
      const u64 literal = word_at(stream, i);
      for (u64 bit = 0; bit < word_bits; ++bit, ++at) {
        if ((literal >> bit) % 2 == 0) continue;
        if (at < bits) page.bits[at] = true;
        page.beyond |= at >= bits;
      }
    }
  }
  return page;
}

const char* ewah_spoil_name(EwahSpoil spoil) {
  switch (spoil) {
    case EwahSpoil::truncate: return "truncated";
    case EwahSpoil::extend: return "extended";
    case EwahSpoil::flip_bit: return "a bit flipped";
    case EwahSpoil::random_word: return "a random word";
    case EwahSpoil::uniform_max: return "the greatest uniform count";
    case EwahSpoil::literals_max: return "the greatest literal count";
    case EwahSpoil::wrap: return "zeros beyond 32 bits";
    case EwahSpoil::ones_beyond: return "ones at the end";
    case EwahSpoil::small_markers: return "another stream";
    case EwahSpoil::empty_markers: return "empty markers";
  }
  UNREACHABLE();
}

void spoil_ewah(EwahSpoil spoil, u64 random, std::vector<std::byte>* stream) {
  const u64 words = stream->size() / word_bytes;
  const u64 at = words == 0 ? 0 : below(remix(random, 10), words);
  const u64 few = 1 + below(remix(random, 11), 4);
  switch (spoil) {
    case EwahSpoil::truncate: stream->resize(below(random, stream->size() + 1)); return;
    case EwahSpoil::extend:
      for (u64 i = 0; i < few; ++i) append_word(stream, any_word(remix(random, 20 + i)));
      return;
    case EwahSpoil::flip_bit:
      if (words > 0) put_word(stream, at, word_at(*stream, at) ^ u64{1} << below(random, word_bits));
      return;
    case EwahSpoil::random_word:
      if (words > 0) put_word(stream, at, any_word(random));
      return;
    case EwahSpoil::uniform_max:
      if (words > 0) put_word(stream, at, word_at(*stream, at) | uniform_max << 1);
      return;
    case EwahSpoil::literals_max:
      if (words > 0) put_word(stream, at, word_at(*stream, at) | (literals_max - below(random, 3)) << 32);
      return;
    case EwahSpoil::wrap:
      // Two of them are two short of 2^32 words.
      for (u64 i = 0; i < 2 * (1 + few / 3); ++i) append_word(stream, marker(false, uniform_max, 0));
      append_word(stream, marker(false, 2 + below(random, 3), 1));
      append_word(stream, below(remix(random, 12), 4) == 0 ? 0 : random);
      return;
    case EwahSpoil::ones_beyond: append_word(stream, marker(true, few, 0)); return;
    case EwahSpoil::small_markers:
      stream->clear();
      for (u64 i = 0; i < 2 * few; ++i) append_word(stream, any_word(remix(random, 20 + i)));
      return;
    case EwahSpoil::empty_markers: {
      const std::vector<std::byte> rest = *stream;
      stream->clear();
      for (u64 i = 0; i < few; ++i) append_word(stream, (random >> i) % 2);
      stream->insert(stream->end(), rest.begin(), rest.end());
      return;
    }
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
