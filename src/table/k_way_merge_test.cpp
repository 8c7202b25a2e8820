#include "table/k_way_merge.h"

#include <catch2/catch.hpp>

#include "table/test_values.h"

namespace tonearm {
namespace {

using namespace test;

// Streams of (key, payload), each sorted in the direction of the merge; any peek may be pending.
class Streams final : public MergeSource {
 public:
  Streams(Random& random, u32 pending_percent) : random_(random), pending_percent_(pending_percent) {}

  PeekResult peek(u32 stream, Key* key) override {
    Stream& s = streams_[stream];
    // Once a head was seen it stays visible until it is popped: peek is idempotent.
    if (!s.seen && random_.chance(pending_percent_)) return PeekResult::pending;
    s.seen = true;
    if (s.at == s.rows.size()) return PeekResult::end;
    *key = s.rows[s.at].key;
    return PeekResult::value;
  }
  const std::byte* pop(u32 stream) override {
    Stream& s = streams_[stream];
    REQUIRE(s.seen);
    REQUIRE(s.at < s.rows.size());
    s.seen = false;
    return reinterpret_cast<const std::byte*>(&s.rows[s.at++]);
  }

  struct Stream {
    std::vector<Row> rows;
    u64 at = 0;
    bool seen = false;
  };
  std::vector<Stream> streams_;

 private:
  Random& random_;
  u32 pending_percent_;
};

// Fills the streams; returns what must come out, newest versions first in `direction`.
std::vector<Row> fill(Random& random, Streams& source, u32 stream_count, Direction direction, u64* dropped) {
  std::map<Key, Row> newest;
  *dropped = 0;
  const u32 domain = 1 + random.below(60);
  source.streams_.resize(stream_count);
  for (u32 stream = 0; stream < stream_count; ++stream) {
    const u32 percent = random.chance(20) ? 0 : random.below(101);
    for (u32 index = 0; index < domain; ++index) {
      if (!random.chance(percent)) continue;
      // The least and the greatest key are legal ones here: ends are not told by a key.
      const Key key = index == 0   ? Key{}
                      : index == 1 ? Key{.lo = u128_max, .hi = u128_max}
                                   : Key{.lo = index % 7, .hi = index};
      const Row row{.key = key, .payload = u64{stream} << 32 | index};
      source.streams_[stream].rows.push_back(row);
      *dropped += newest.emplace(key, row).second ? 0 : 1;
    }
    auto& rows = source.streams_[stream].rows;
    std::sort(rows.begin(), rows.end(), key_less);
    if (direction == Direction::descending) std::reverse(rows.begin(), rows.end());
  }
  std::vector<Row> expected;
  for (const auto& [key, row] : newest) expected.push_back(row);
  if (direction == Direction::descending) std::reverse(expected.begin(), expected.end());
  return expected;
}

}  // namespace

TEST_CASE("a k-way merge equals the naive one, whatever is pending", "[k_way_merge]") {
  Random random(1);
  u32 pending_seen = 0;
  for (u32 round = 0; round < 3000; ++round) {
    const Direction direction = random.chance(50) ? Direction::ascending : Direction::descending;
    const u32 stream_count = random.chance(3) ? KWayMerge::streams_max : random.below(13);
    Streams source(random, random.chance(50) ? 0 : random.below(60));
    u64 dropped = 0;
    const std::vector<Row> expected = fill(random, source, stream_count, direction, &dropped);
    const bool resets = random.chance(20);

    KWayMerge merge;
    merge.init(source, stream_count, direction);
    std::vector<Row> merged;
    for (u32 pops = 0;; ++pops) {
      REQUIRE(pops < 1000000);
      if (resets && random.chance(10)) merge.reset();
      const std::byte* value = nullptr;
      u32 stream = ~0U;
      const KWayMerge::Result result = merge.pop(&value, &stream);
      if (result == KWayMerge::Result::end) break;
      if (result == KWayMerge::Result::pending) {
        ++pending_seen;
        continue;
      }
      const Row row = *reinterpret_cast<const Row*>(value);
      REQUIRE(row.payload >> 32 == stream);
      merged.push_back(row);
    }
    REQUIRE(merged == expected);
    REQUIRE(merge.versions_dropped() == dropped);
    const std::byte* value = nullptr;
    u32 stream = 0;
    for (u32 again = 0; again < 200; ++again) {  // The end is final.
      REQUIRE(merge.pop(&value, &stream) != KWayMerge::Result::value);
    }
  }
  CHECK(pending_seen > 1000);
}

TEST_CASE("no streams are an empty set", "[k_way_merge]") {
  Random random(2);
  Streams source(random, 0);
  KWayMerge merge;
  merge.init(source, 0, Direction::ascending);
  const std::byte* value = nullptr;
  u32 stream = 0;
  CHECK(merge.pop(&value, &stream) == KWayMerge::Result::end);
}

TEST_CASE("a stream that turns pending after its pop does not keep its old place", "[k_way_merge]") {
  // Stream 0 gives 1 and is then pending; its next key, 2, must still come before 3 of stream 1.
  struct Script final : MergeSource {
    PeekResult peek(u32 stream, Key* key) override {
      if (stream == 0 && at[0] == 1 && pending) return PeekResult::pending;
      if (at[stream] == 2) return PeekResult::end;
      *key = Key::of(keys[stream][at[stream]]);
      return PeekResult::value;
    }
    const std::byte* pop(u32 stream) override {
      return reinterpret_cast<const std::byte*>(&keys[stream][at[stream]++]);
    }
    u64 keys[2][2] = {{1, 2}, {3, 4}};
    u32 at[2] = {0, 0};
    bool pending = true;
  } script;
  KWayMerge merge;
  merge.init(script, 2, Direction::ascending);
  const std::byte* value = nullptr;
  u32 stream = 9;
  REQUIRE(merge.pop(&value, &stream) == KWayMerge::Result::value);
  REQUIRE(merge.pop(&value, &stream) == KWayMerge::Result::pending);
  REQUIRE(merge.pop(&value, &stream) == KWayMerge::Result::pending);
  script.pending = false;
  for (u64 expected = 2; expected <= 4; ++expected) {
    REQUIRE(merge.pop(&value, &stream) == KWayMerge::Result::value);
    u64 key = 0;
    std::memcpy(&key, value, sizeof(key));
    CHECK(key == expected);
  }
  CHECK(merge.pop(&value, &stream) == KWayMerge::Result::end);
}

}  // namespace tonearm
