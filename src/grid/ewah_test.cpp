#include "grid/ewah.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

namespace tonearm {

namespace {

std::vector<std::byte> encode(const std::vector<u64>& words) {
  std::vector<std::byte> bytes(ewah_encode_size_max(words.size()));
  bytes.resize(ewah_encode(words, bytes));
  return bytes;
}

std::vector<u64> as_words(const std::vector<std::byte>& bytes) {
  std::vector<u64> words(bytes.size() / 8);
  if (!bytes.empty()) std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

std::vector<std::byte> as_bytes(const std::vector<u64>& words) {
  std::vector<std::byte> bytes(words.size() * 8);
  if (!words.empty()) std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

// Reads a well-formed stream by the format's words alone.
std::vector<u64> expand(const std::vector<u64>& stream) {
  std::vector<u64> words;
  for (std::size_t at = 0; at < stream.size();) {
    const u64 marker = stream[at++];
    for (u64 i = 0; i < (marker >> 1 & 0x7fffffff); ++i) words.push_back((marker & 1) != 0 ? u64_max : 0);
    for (u64 i = 0; i < marker >> 32; ++i) words.push_back(stream.at(at++));
  }
  return words;
}

}  // namespace

TEST_CASE("the words of an EWAH stream", "[ewah]") {
  REQUIRE(encode({}).empty());
  REQUIRE(encode({0, 0, 0}).empty());
  REQUIRE(as_words(encode({5})) == std::vector<u64>{u64{1} << 32, 5});
  REQUIRE(as_words(encode({0, 0, u64_max, 7, 8, 0})) ==
          std::vector<u64>{2 << 1, 1 | 1 << 1 | u64{2} << 32, 7, 8});
  REQUIRE(ewah_encode_size_max(0) == 0);
  REQUIRE(ewah_encode_size_max(1) == 16);
  REQUIRE(ewah_encode_size_max(65) == 8 * 66);
}

TEST_CASE("EWAH streams decode to what was encoded", "[ewah]") {
  std::mt19937_64 random(1);
  for (u32 round = 0; round < 3000; ++round) {
    std::vector<u64> words(random() % 40);
    // Runs of each kind; one round in four is dense in literals, the worst case for the size.
    for (std::size_t i = 0; i < words.size();) {
      const u64 kind = round % 4 == 0 ? 2 + random() % 8 : random() % 3;
      for (u64 run = 1 + random() % 5; run > 0 && i < words.size(); --run, ++i) {
        words[i] = kind == 0 ? 0 : kind == 1 ? u64_max : random();
      }
    }
    const std::vector<std::byte> stream = encode(words);
    REQUIRE(stream.size() <= ewah_encode_size_max(words.size()));

    std::vector<u64> decoded(words.size() + random() % 3, 0x5555);
    REQUIRE(ewah_decode(stream, decoded) == EwahResult::decoded);
    std::vector<u64> expected = words;
    expected.resize(decoded.size(), 0);
    REQUIRE(decoded == expected);

    std::vector<u64> expanded = expand(as_words(stream));
    REQUIRE((expanded.empty() || expanded.back() != 0));
    expanded.resize(words.size(), 0);
    REQUIRE(expanded == words);
  }
}

TEST_CASE("a larger bitmap decodes into a smaller one if the tail is zero", "[ewah]") {
  std::vector<u64> two(2);
  // The encoder drops zeros at the end; a stream that spells them out is as good.
  REQUIRE(ewah_decode(as_bytes({u64{1} << 32, 9, 1000 << 1}), two) == EwahResult::decoded);
  REQUIRE(two == std::vector<u64>{9, 0});
  REQUIRE(ewah_decode(as_bytes({u64{3} << 32, 9, 1, 0}), two) == EwahResult::decoded);
  REQUIRE(two == std::vector<u64>{9, 1});
  REQUIRE(ewah_decode(as_bytes({u64{3} << 32, 9, 1, 1}), two) == EwahResult::beyond_target);
  REQUIRE(ewah_decode(as_bytes({1 | 3 << 1}), two) == EwahResult::beyond_target);
  REQUIRE(ewah_decode(as_bytes({1 | 2 << 1}), two) == EwahResult::decoded);
  REQUIRE(two == std::vector<u64>{u64_max, u64_max});
  REQUIRE(ewah_decode(as_bytes({2 << 1, 1 | 1 << 1}), two) == EwahResult::beyond_target);
}

TEST_CASE("malformed EWAH streams are refused, not believed", "[ewah]") {
  std::vector<u64> target(4);
  std::vector<std::byte> odd = as_bytes({u64{1} << 32, 5});
  odd.pop_back();
  REQUIRE(ewah_decode(odd, target) == EwahResult::malformed);
  REQUIRE(ewah_decode(as_bytes({u64{2} << 32, 5}), target) == EwahResult::malformed);
  REQUIRE(ewah_decode(as_bytes({u64_max}), target) == EwahResult::malformed);
  // A word count whose sum passes 32 bits must not come round to the front of the target again.
  const u64 zeros = u64{0x7fffffff} << 1;
  REQUIRE(ewah_decode(as_bytes({zeros, zeros, 2 << 1 | u64{1} << 32, 5}), target) ==
          EwahResult::beyond_target);
  REQUIRE(ewah_decode(as_bytes({zeros, zeros, 2 << 1 | u64{1} << 32, 0}), target) == EwahResult::decoded);
  // What is no stream is malformed, also when it has set a bit beyond the target before.
  REQUIRE(ewah_decode(as_bytes({1 | 9 << 1, u64{2} << 32, 5}), target) == EwahResult::malformed);
  REQUIRE(ewah_decode(as_bytes({0, 0, 1}), target) ==
          EwahResult::decoded);  // Markers that stand for nothing do no harm.

  std::mt19937_64 random(2);
  u32 accepted = 0;
  for (u32 round = 0; round < 20000; ++round) {
    std::vector<u64> stream(random() % 6);
    for (u64& word : stream) {
      word = random() % 3 == 0 ? random() : (random() % 2) | (random() % 3) << 1 | (random() % 3) << 32;
    }
    if (ewah_decode(as_bytes(stream), target) == EwahResult::decoded) {
      ++accepted;
      std::vector<std::byte> again = encode(target);
      std::vector<u64> copy(target.size());
      REQUIRE(ewah_decode(again, copy) == EwahResult::decoded);
      REQUIRE(copy == target);
    }
  }
  REQUIRE(accepted > 100);
}

}  // namespace tonearm
