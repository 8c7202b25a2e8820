#include "sim/disk/keyed.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

namespace tonearm::sim {

namespace {

constexpr IoTag tag{.purpose = IoPurpose::lookup, .level = 2, .tree = 3};
const Attribution op{.op = {.number = 17}};

}  // namespace

TEST_CASE("a draw is a function of every part of its key, and of nothing else", "[keyed]") {
  const Stream stream("latency.read", 7);
  const u64 value = stream.at(op, tag, 4);
  REQUIRE(value == Stream("latency.read", 7).at(op, tag, 4));

  std::set<u64> values{value};
  values.insert(Stream("latency.write", 7).at(op, tag, 4));
  values.insert(Stream("latency.read", 8).at(op, tag, 4));
  values.insert(stream.at({.op = {.number = 18}}, tag, 4));
  values.insert(stream.at({.op = {.number = 17, .child = 1}}, tag, 4));
  values.insert(stream.at({.op = {.number = 17}, .context = 1}, tag, 4));
  values.insert(stream.at(op, {.purpose = IoPurpose::scan, .level = 2, .tree = 3}, 4));
  values.insert(stream.at(op, {.purpose = IoPurpose::lookup, .level = 3, .tree = 3}, 4));
  values.insert(stream.at(op, {.purpose = IoPurpose::lookup, .level = 2, .tree = 2}, 4));
  values.insert(stream.at(op, tag, 5));
  values.insert(stream.at(17, 4));
  REQUIRE(values.size() == 11);
}

// The same everywhere, for ever: golden digests depend on it.
TEST_CASE("draws are frozen", "[keyed]") {
  REQUIRE(stream_seed(1, "latency") == 0x97573e7183f0e1b3u);
  REQUIRE(Stream("latency.read", 7).at(op, tag, 4) == 0x7c87b1b784368c94u);
  REQUIRE(Stream("latency.read", 7).at(1, 2, 3) == 0xb4f8c0ddf6125391u);
  REQUIRE(remix(1, 2) == 0x382ff84cb27281e9u);
  REQUIRE(exponential(0x123456789abcdef0, 1'000'000) == 2648777);
}

TEST_CASE("ranges hold their ends and are uniform", "[keyed]") {
  REQUIRE(below(u64_max, 10) == 9);
  REQUIRE(below(0, 10) == 0);
  REQUIRE(below(u64_max, 1) == 0);
  REQUIRE(between(0, 5, 5) == 5);
  REQUIRE(between(u64_max, 3, 9) == 9);
  REQUIRE(between(123, 0, u64_max) == 123);
  std::vector<u32> counts(10);
  for (u64 i = 0; i < 100'000; ++i) ++counts[below(remix(1, i), 10)];
  for (const u32 count : counts) {
    REQUIRE(count > 9'500);
    REQUIRE(count < 10'500);
  }
}

TEST_CASE("a chance with a zero in it never happens", "[keyed]") {
  u32 hits = 0;
  for (u64 i = 0; i < 100'000; ++i) {
    const u64 random = remix(2, i);
    REQUIRE_FALSE(chance(random, {.numerator = 0, .denominator = 1}));
    REQUIRE_FALSE(chance(random, {.numerator = 1, .denominator = 0}));
    REQUIRE(chance(random, {.numerator = 1, .denominator = 1}));
    hits += chance(random, {.numerator = 1, .denominator = 50}) ? 1 : 0;
  }
  REQUIRE(hits > 1'800);
  REQUIRE(hits < 2'200);
}

TEST_CASE("the integer exponential has its mean and its bound", "[keyed]") {
  REQUIRE(exponential(u64_max, 0) == 0);
  REQUIRE(exponential(0, 0) == 0);
  REQUIRE(exponential(u64_max, 1'000'000) == 0);
  REQUIRE(exponential(0, 1'000'000) == 20'000'000);
  for (const u64 mean : {2ull, 10ull, 1'000ull, 1'000'000'007ull}) {
    constexpr u64 count = 200'000;
    u64 sum = 0;
    u64 over_mean = 0;
    for (u64 i = 0; i < count; ++i) {
      const u64 value = exponential(remix(3, i), mean);
      REQUIRE(value <= 20 * mean);
      sum += value;
      over_mean += value > 2 * mean ? 1 : 0;
    }
    REQUIRE(sum <= mean * count / 100 * 101);
    REQUIRE(sum >= mean * count / 100 * 98);
    // exp(-2) is 0.135: the tail is there.
    if (mean >= 1'000) {
      REQUIRE(over_mean > count / 1000 * 130);
      REQUIRE(over_mean < count / 1000 * 140);
    }
  }
  // Monotone: the integer logarithm has no step back at powers of two.
  u64 last = u64_max;
  for (u64 random = 1; random < u64_max - (u64{1} << 51); random += u64{1} << 50) {
    const u64 value = exponential(random, 1'000'000'007);
    REQUIRE(value <= last);
    last = value;
  }
}

}  // namespace tonearm::sim
