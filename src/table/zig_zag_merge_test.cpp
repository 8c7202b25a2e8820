#include "table/zig_zag_merge.h"

#include <catch2/catch.hpp>

#include "table/test_values.h"

namespace tonearm {
namespace {

using namespace test;

// Sorted timestamps. A stream that has moved may be pending until somebody fetches what comes next.
class Streams {
 public:
  Streams(Random& random, u32 pending_percent, Direction direction)
      : random_(random), pending_percent_(pending_percent), direction_(direction) {}

  PeekResult peek(u32 stream, u64* timestamp) {
    const Stream& s = streams_[stream];
    if (s.pending) return PeekResult::pending;
    if (s.at == s.timestamps.size()) return PeekResult::end;
    *timestamp = s.timestamps[s.at];
    return PeekResult::value;
  }
  void pop(u32 stream) {
    Stream& s = streams_[stream];
    REQUIRE(!s.pending);
    REQUIRE(s.at < s.timestamps.size());
    ++s.at;
    moved(s);
  }
  void probe(u32 stream, u64 timestamp) {
    Stream& s = streams_[stream];
    ++probes;
    REQUIRE(s.probed != timestamp);  // Never the same twice.
    s.probed = timestamp;
    const u64 before = s.at;
    while (s.at < s.timestamps.size() && is_before(s.timestamps[s.at], timestamp)) ++s.at;
    // Only what is behind is probed, or what nobody has seen.
    REQUIRE((s.at > before || s.pending));
    if (s.at > before && !s.pending) moved(s);
    if (random_.chance(pending_percent_ / 4)) s.pending = false;  // It has ended, for instance.
  }
  void fetch() {
    for (Stream& s : streams_) s.pending = false;
  }
  bool is_before(u64 a, u64 b) const { return direction_ == Direction::ascending ? a < b : b < a; }

  struct Stream {
    std::vector<u64> timestamps;
    u64 at = 0;
    u64 probed = 0;
    bool pending = false;
  };
  std::vector<Stream> streams_;
  u64 probes = 0;

 private:
  void moved(Stream& s) { s.pending = random_.chance(pending_percent_); }

  Random& random_;
  u32 pending_percent_;
  Direction direction_;
};

// Of 1..domain, each with the same probability; but some streams come in runs with long gaps.
std::vector<u64> timestamps(Random& random, u64 domain) {
  const u32 percent = random.chance(10) ? 0 : random.chance(20) ? 100 : random.below(101);
  const u32 run = random.chance(50) ? 1 : 1 + random.below(40);
  std::vector<u64> all;
  bool in_run = false;
  for (u64 timestamp = 1; timestamp <= domain; ++timestamp) {
    if (timestamp % run == 0) in_run = random.chance(percent);
    if (in_run) all.push_back(timestamp);
  }
  return all;
}

std::vector<u64> naive(const Streams& streams) {
  std::vector<u64> all = streams.streams_[0].timestamps;
  for (const Streams::Stream& stream : streams.streams_) {
    std::erase_if(all, [&](u64 timestamp) {
      return std::find(stream.timestamps.begin(), stream.timestamps.end(), timestamp) ==
             stream.timestamps.end();
    });
  }
  return all;
}

using Merge = ZigZagMergeOf<Streams>;

}  // namespace

TEST_CASE("a zig-zag merge equals the naive intersection, whatever is pending", "[zig_zag]") {
  Random random(1);
  u64 pending_seen = 0;
  u64 found = 0;
  for (u32 round = 0; round < 3000; ++round) {
    const Direction direction = random.chance(50) ? Direction::ascending : Direction::descending;
    Streams streams(random, random.chance(50) ? 0 : random.below(101), direction);
    const u32 count = random.chance(2) ? Merge::streams_max : 2 + random.below(5);
    const u64 domain = 1 + random.below(150);
    for (u32 i = 0; i < count; ++i) {
      std::vector<u64> all = timestamps(random, domain);
      if (direction == Direction::descending) std::reverse(all.begin(), all.end());
      streams.streams_.push_back({.timestamps = std::move(all), .pending = random.chance(50)});
    }
    const std::vector<u64> expected = naive(streams);
    Merge merge;
    merge.init(streams, count, direction);
    std::vector<u64> merged;
    u64 refills = 0;
    for (;;) {
      u64 timestamp = 0;
      const Merge::Result result = merge.pop(&timestamp);
      if (result == Merge::Result::end) break;
      if (result == Merge::Result::value) {
        merged.push_back(timestamp);
        continue;
      }
      ++pending_seen;
      REQUIRE(++refills < 10000);
      if (random.chance(80)) streams.fetch();  // Otherwise it is asked once more, and says the same.
    }
    REQUIRE(merged == expected);
    REQUIRE(merge.probes() == streams.probes);
    found += merged.size();
    u64 again = 0;
    REQUIRE(merge.pop(&again) == Merge::Result::end);
  }
  CHECK(pending_seen > 1000);
  CHECK(found > 1000);
}

TEST_CASE("a stream that has ended ends the intersection, pending ones or not", "[zig_zag]") {
  Random random(2);
  Streams streams(random, 0, Direction::ascending);
  streams.streams_ = {{.timestamps = {5}, .pending = true}, {.timestamps = {}}, {.timestamps = {5}}};
  Merge merge;
  merge.init(streams, 3, Direction::ascending);
  u64 timestamp = 0;
  CHECK(merge.pop(&timestamp) == Merge::Result::end);
  CHECK(streams.probes == 0);
}

TEST_CASE("with all streams pending nothing is probed", "[zig_zag]") {
  Random random(3);
  Streams streams(random, 0, Direction::descending);
  streams.streams_ = {{.timestamps = {7, 5}, .pending = true}, {.timestamps = {5}, .pending = true}};
  Merge merge;
  merge.init(streams, 2, Direction::descending);
  u64 timestamp = 0;
  REQUIRE(merge.pop(&timestamp) == Merge::Result::pending);
  CHECK(streams.probes == 0);
  streams.streams_[1].pending = false;
  REQUIRE(merge.pop(&timestamp) == Merge::Result::pending);
  REQUIRE(merge.pop(&timestamp) == Merge::Result::pending);
  CHECK(streams.probes == 1);  // Once, by what the other one has.
  CHECK(streams.streams_[0].probed == 5);
  streams.fetch();
  REQUIRE(merge.pop(&timestamp) == Merge::Result::value);
  CHECK(timestamp == 5);
  CHECK(merge.pop(&timestamp) == Merge::Result::end);
}

TEST_CASE("a pending stream is probed to what the others have agreed on", "[zig_zag]") {
  Random random(4);
  Streams streams(random, 0, Direction::ascending);
  streams.streams_ = {
      {.timestamps = {1, 2, 90}, .pending = true}, {.timestamps = {3, 40, 90}}, {.timestamps = {2, 40, 90}}};
  Merge merge;
  merge.init(streams, 3, Direction::ascending);
  u64 timestamp = 0;
  REQUIRE(merge.pop(&timestamp) == Merge::Result::pending);
  CHECK(streams.streams_[0].probed == 40);
  CHECK(streams.probes == 3);
}

TEST_CASE("the sparse stream decides how many probes there are", "[zig_zag]") {
  Random random(5);
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    Streams streams(random, 0, direction);
    streams.streams_.resize(2);
    for (u64 timestamp = 1; timestamp <= 100'000; ++timestamp) {
      streams.streams_[0].timestamps.push_back(timestamp);
      if (timestamp % 1000 == 500) streams.streams_[1].timestamps.push_back(timestamp);
    }
    if (direction == Direction::descending) {
      for (Streams::Stream& s : streams.streams_) std::reverse(s.timestamps.begin(), s.timestamps.end());
    }
    Merge merge;
    merge.init(streams, 2, direction);
    u64 count = 0;
    u64 timestamp = 0;
    while (merge.pop(&timestamp) == Merge::Result::value) ++count;
    CHECK(count == 100);
    CHECK(merge.probes() == 100);
  }
}

}  // namespace tonearm
