#include "grid/ewah.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace tonearm {

namespace {

constexpr u64 uniform_count_max = (u64{1} << 31) - 1;
constexpr u64 literal_count_max = (u64{1} << 32) - 1;

struct Marker {
  bool uniform_bit;
  u64 uniform_count;
  u64 literal_count;

  static Marker of(u64 word) {
    return {
        .uniform_bit = (word & 1) != 0,
        .uniform_count = word >> 1 & uniform_count_max,
        .literal_count = word >> 32,
    };
  }
  u64 word() const {
    ASSERT(uniform_count <= uniform_count_max);
    ASSERT(literal_count <= literal_count_max);
    return u64{uniform_bit} | uniform_count << 1 | literal_count << 32;
  }
};

// Streams are byte strings: block bodies and payload buffers promise no alignment.
u64 load(std::span<const std::byte> source, u64 word) {
  u64 value;
  std::memcpy(&value, source.data() + word * 8, 8);
  return value;
}

bool is_uniform(u64 word) { return word == 0 || word == u64_max; }

}  // namespace

u64 ewah_encode(std::span<const u64> words, std::span<std::byte> target) {
  u64 end = words.size();
  while (end > 0 && words[end - 1] == 0) --end;

  u64 at = 0;
  u64 size = 0;
  while (at < end) {
    const u64 uniform = words[at];
    const u64 uniform_from = at;
    if (is_uniform(uniform)) {
      while (at < end && words[at] == uniform && at - uniform_from < uniform_count_max) ++at;
    }
    const u64 literal_from = at;
    while (at < end && !is_uniform(words[at]) && at - literal_from < literal_count_max) ++at;
    ASSERT(at > uniform_from);

    const u64 literal_count = at - literal_from;
    const Marker marker{
        .uniform_bit = uniform == u64_max,
        .uniform_count = literal_from - uniform_from,
        .literal_count = literal_count,
    };
    const u64 word = marker.word();
    ASSERT(size + 8 * (1 + literal_count) <= target.size());
    std::memcpy(target.data() + size, &word, 8);
    // An empty span may have no data to copy from.
    if (literal_count > 0) std::memcpy(target.data() + size + 8, &words[literal_from], 8 * literal_count);
    size += 8 * (1 + literal_count);
  }
  ASSERT(size <= ewah_encode_size_max(words.size()));
  return size;
}

EwahResult ewah_decode(std::span<const std::byte> source, std::span<u64> target) {
  if (source.size() % 8 != 0) return EwahResult::malformed;
  const u64 source_words = source.size() / 8;
  const u64 target_words = target.size();

  u64 from = 0;
  u64 to = 0;  // May run beyond the target, where everything has to be zero.
  bool beyond = false;
  while (from < source_words) {
    const Marker marker = Marker::of(load(source, from++));
    if (marker.literal_count > source_words - from) return EwahResult::malformed;

    const u64 uniform_end = to + marker.uniform_count;
    beyond |= marker.uniform_bit && marker.uniform_count > 0 && uniform_end > target_words;
    for (; to < std::min(uniform_end, target_words); ++to) target[to] = marker.uniform_bit ? u64_max : 0;
    to = uniform_end;

    for (u64 i = 0; i < marker.literal_count; ++i, ++to) {
      const u64 literal = load(source, from++);
      if (to < target_words) {
        target[to] = literal;
      } else {
        beyond |= literal != 0;
      }
    }
  }
  for (; to < target_words; ++to) target[to] = 0;
  return beyond ? EwahResult::beyond_target : EwahResult::decoded;
}

}  // namespace tonearm
