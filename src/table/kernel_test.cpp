#include <array>
#include <catch2/catch.hpp>
#include <map>

#include "table/test_values.h"

namespace tonearm {
namespace {

using namespace test;

template <class T>
std::vector<Row> random_rows(Random& random, u32 count, u32 domain) {
  RowSource<T> source(random, domain, 30);
  std::vector<Row> rows;
  for (u32 index = 0; index < count; ++index) rows.push_back(source.next());
  return rows;
}

// Two inputs of a merge, `b` the older. Index versions alternate across the two.
template <class T>
void random_inputs(Random& random, u32 domain, std::vector<Row>* a, std::vector<Row>* b) {
  for (u32 index = 0; index < domain; ++index) {
    const Row older{.key = domain_key(T{}, index),
                    .payload = T::usage == TableUsage::general ? 2 * index : 0,
                    .tombstone = random.chance(30)};
    Row newer = older;
    newer.payload += T::usage == TableUsage::general ? 1 : 0;
    newer.tombstone = T::usage == TableUsage::general ? random.chance(30) : !older.tombstone;
    const u32 where = random.below(5);
    if (where == 0 || where == 1) b->push_back(older);
    if (where == 1 || where == 2) a->push_back(newer);
  }
  std::sort(a->begin(), a->end(), key_less);
  std::sort(b->begin(), b->end(), key_less);
}

template <class T>
std::vector<Row> merge_naive(const std::vector<Row>& a, const std::vector<Row>& b, bool drop) {
  std::vector<Row> arrival = b;
  arrival.insert(arrival.end(), a.begin(), a.end());
  std::vector<Row> merged = resolve<T>(arrival);
  if (drop) std::erase_if(merged, [](const Row& row) { return row.tombstone; });
  return merged;
}

}  // namespace

TEMPLATE_TEST_CASE("keys and tombstones survive the way through a value", "[kernel]", KvTraits, IndexTraits,
                   IdTraits, WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  alignas(64) std::byte value[64];
  for (const Key& key : {domain_key(TestType{}, 0), domain_key(TestType{}, 17), kernel.key_max()}) {
    kernel.make_tombstone(key, value);
    CHECK(kernel.key_of(value) == key);
    CHECK(kernel.is_tombstone(value));
    alignas(64) std::byte keys[3 * 32];
    kernel.key_write(keys, 2, key);
    CHECK(kernel.key_read(keys, 2) == key);
  }
  CHECK(kernel.value_size() == sizeof(typename TestType::Value));
  CHECK(kernel.key_size() == sizeof(typename TestType::NativeKey));
}

TEST_CASE("a key is widened as one unsigned number", "[kernel]") {
  CHECK(kv_kernel.key_max() == Key::of((u64{1} << 63) - 2));
  CHECK(id_kernel.key_max() == Key::of(u128_max - 1));
  CHECK(index_kernel.key_max() == Key::of(u128{u64_max} << 64 | ((u64{1} << 63) - 1)));
  CHECK(wide_kernel.key_max() == Key{.lo = u128_max - 1, .hi = u128_max});
  CHECK(NativeKeyOf<Key>::one_less({.lo = 0, .hi = 5}) == Key{.lo = u128_max, .hi = 4});
  CHECK(index_kernel.usage() == TableUsage::secondary_index);
}

TEMPLATE_TEST_CASE("searches agree with a walk", "[kernel]", KvTraits, IndexTraits, IdTraits, WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  Random random(1);
  for (u32 round = 0; round < 200; ++round) {
    const std::vector<Row> arrival = random_rows<TestType>(random, random.below(40), 60);
    auto unsorted = values_of<TestType>(arrival);
    std::vector<Row> sorted = resolve<TestType>(arrival);
    auto values = values_of<TestType>(sorted);
    std::vector<std::byte> keys(sorted.size() * kernel.key_size() + 1);
    for (u32 index = 0; index < sorted.size(); ++index)
      kernel.key_write(keys.data(), index, sorted[index].key);
    for (u32 index = 0; index < 60; ++index) {
      const Key key = domain_key(TestType{}, index);
      const auto expected =
          std::find_if(sorted.begin(), sorted.end(), [&](const Row& row) { return row.key >= key; });
      const u32 at = static_cast<u32>(expected - sorted.begin());
      const u32 count = static_cast<u32>(sorted.size());
      REQUIRE(kernel.lower_bound(bytes_of(values), count, key) == at);
      REQUIRE(kernel.keys_lower_bound(keys.data(), count, key) == at);

      const auto last =
          std::find_if(arrival.rbegin(), arrival.rend(), [&](const Row& row) { return row.key == key; });
      const std::byte* found = kernel.find_last(bytes_of(unsorted), static_cast<u32>(arrival.size()), key);
      REQUIRE((found == nullptr) == (last == arrival.rend()));
      if (found != nullptr) REQUIRE(row_of<TestType>(found) == *last);
    }
  }
}

TEMPLATE_TEST_CASE("sorting is stable", "[kernel]", KvTraits, IndexTraits, IdTraits, WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  Random random(2);
  for (u32 round = 0; round < 300; ++round) {
    const u32 count = round < 80 ? round : random.below(700);
    std::vector<Row> rows = random_rows<TestType>(random, count, 1 + random.below(500));
    if (random.chance(10)) std::stable_sort(rows.begin(), rows.end(), key_less);
    if (random.chance(10)) std::reverse(rows.begin(), rows.end());
    auto values = values_of<TestType>(rows);
    auto scratch = values;
    kernel.sort(bytes_of(values), count, bytes_of(scratch));
    std::stable_sort(rows.begin(), rows.end(), key_less);
    REQUIRE(rows_of<TestType>(bytes_of(values), count) == rows);
  }
}

TEMPLATE_TEST_CASE("adjacent runs merge in place and stably", "[kernel]", KvTraits, IndexTraits, IdTraits,
                   WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  Random random(3);
  for (u32 round = 0; round < 500; ++round) {
    const u32 count = random.below(120);
    const u32 left = random.below(count + 1);
    std::vector<Row> rows = random_rows<TestType>(random, count, 1 + random.below(150));
    if (random.chance(20)) std::sort(rows.begin(), rows.end(), key_less);    // Nothing to do.
    if (random.chance(20)) std::sort(rows.rbegin(), rows.rend(), key_less);  // Right before left.
    std::stable_sort(rows.begin(), rows.begin() + left, key_less);
    std::stable_sort(rows.begin() + left, rows.end(), key_less);
    auto values = values_of<TestType>(rows);
    std::vector<typename TestType::Value> scratch(left);
    kernel.merge_runs(bytes_of(values), left, count - left, bytes_of(scratch));
    std::stable_sort(rows.begin(), rows.end(), key_less);
    REQUIRE(rows_of<TestType>(bytes_of(values), count) == rows);
  }
}

TEMPLATE_TEST_CASE("dedupe resolves versions by usage", "[kernel]", KvTraits, IndexTraits, IdTraits,
                   WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  Random random(4);
  u32 emptied = 0;
  for (u32 round = 0; round < 500; ++round) {
    std::vector<Row> rows = random_rows<TestType>(random, random.below(80), 1 + random.below(60));
    const std::vector<Row> expected = resolve<TestType>(rows);
    std::stable_sort(rows.begin(), rows.end(), key_less);
    auto values = values_of<TestType>(rows);
    Key dropped = kernel.key_max();
    const u32 count = kernel.dedupe(bytes_of(values), static_cast<u32>(rows.size()), &dropped);
    REQUIRE(rows_of<TestType>(bytes_of(values), count) == expected);
    const auto versions =
        std::count_if(rows.begin(), rows.end(), [&](const Row& row) { return row.key == dropped; });
    REQUIRE((count < rows.size() ? versions >= 2 : versions == 0));
    emptied += count == 0 && !rows.empty() ? 1 : 0;
  }
  CHECK((emptied > 0) == (TestType::usage == TableUsage::secondary_index));
}

TEMPLATE_TEST_CASE("a merge fed in chunks equals the naive one", "[kernel][merge]", KvTraits, IndexTraits,
                   IdTraits, WideTraits) {
  const auto& kernel = kernel_of<TestType>();
  const u64 size = kernel.value_size();
  Random random(5);
  for (u32 round = 0; round < 1500; ++round) {
    std::vector<Row> a_rows;
    std::vector<Row> b_rows;
    random_inputs<TestType>(random, random.below(120), &a_rows, &b_rows);
    if (random.chance(5)) a_rows.clear();
    if (random.chance(5)) b_rows.clear();
    const bool drop = TestType::usage == TableUsage::general && random.chance(50);
    const std::vector<Row> expected = merge_naive<TestType>(a_rows, b_rows, drop);
    auto a = values_of<TestType>(a_rows);
    auto b = values_of<TestType>(b_rows);
    const u32 chunk_max = 1 + random.below(40);

    std::vector<Row> merged;
    u64 a_at = 0, b_at = 0, superseded = 0, annihilated = 0, dropped = 0, kept = 0;
    u64 a_loaded = 0, b_loaded = 0;  // Ends of the chunks that are "in memory".
    for (u32 steps = 0; a_at < a.size() || b_at < b.size(); ++steps) {
      REQUIRE(steps < 2000);
      if (a_at == a_loaded) a_loaded = std::min<u64>(a.size(), a_at + 1 + random.below(chunk_max));
      if (b_at == b_loaded) b_loaded = std::min<u64>(b.size(), b_at + 1 + random.below(chunk_max));
      const u32 room = 1 + random.below(chunk_max);
      std::vector<typename TestType::Value> output(room + 1);
      std::memset(bytes_of(output) + room * size, 0xEE, size);
      const MergeStep step{
          .a = {bytes_of(a) + a_at * size, static_cast<std::size_t>((a_loaded - a_at) * size)},
          .b = {bytes_of(b) + b_at * size, static_cast<std::size_t>((b_loaded - b_at) * size)},
          .a_last = a_loaded == a.size(),
          .b_last = b_loaded == b.size(),
          .drop_tombstones = drop,
          .consume_max = random.chance(50) ? u64_max : 1 + random.below(chunk_max),
          .output = {bytes_of(output), static_cast<std::size_t>(room * size)},
      };
      const MergeResult result = kernel.merge(step);
      a_at += result.a_consumed;
      b_at += result.b_consumed;
      REQUIRE((a_at <= a_loaded && b_at <= b_loaded && result.produced <= room));
      const u64 consumed = result.a_consumed + result.b_consumed;
      REQUIRE((step.consume_max == u64_max || consumed <= step.consume_max + 1));
      // It stops for one of the reasons it may have, and for no other.
      const bool a_dry = a_at == a_loaded && (!step.a_last || b_at == b_loaded);
      const bool b_dry = b_at == b_loaded && (!step.b_last || a_at == a_loaded);
      REQUIRE((result.produced == room || consumed >= step.consume_max || a_dry || b_dry));
      const std::byte* guard = bytes_of(output) + room * size;
      REQUIRE(std::all_of(guard, guard + size, [](std::byte byte) { return byte == std::byte{0xEE}; }));
      const std::vector<Row> produced = rows_of<TestType>(bytes_of(output), result.produced);
      merged.insert(merged.end(), produced.begin(), produced.end());
      superseded += result.superseded;
      annihilated += result.annihilated;
      dropped += result.tombstones_dropped;
      kept += result.tombstones_kept;
    }
    REQUIRE(merged == expected);
    u64 pairs = 0;
    for (const Row& row : a_rows) {
      pairs += std::any_of(b_rows.begin(), b_rows.end(), [&](const Row& old) { return old.key == row.key; })
                   ? 1
                   : 0;
    }
    const bool general = TestType::usage == TableUsage::general;
    REQUIRE(superseded == (general ? pairs : 0));
    REQUIRE(annihilated == (general ? 0 : pairs));
    REQUIRE(kept == static_cast<u64>(std::count_if(expected.begin(), expected.end(),
                                                   [](const Row& row) { return row.tombstone; })));
    REQUIRE(a.size() + b.size() == merged.size() + dropped + superseded + 2 * annihilated);
  }
}

TEST_CASE("a merge names keys for its marks", "[kernel][merge]") {
  auto a = values_of<KvTraits>({{.key = Key::of(1)}, {.key = Key::of(2), .tombstone = true}});
  auto b = values_of<KvTraits>({{.key = Key::of(1)}, {.key = Key::of(7)}});
  std::vector<KvTraits::Value> output(4);
  MergeStep step{.a = std::as_bytes(std::span(a)),
                 .b = std::as_bytes(std::span(b)),
                 .a_last = true,
                 .b_last = true,
                 .drop_tombstones = false,
                 .consume_max = u64_max,
                 .output = std::as_writable_bytes(std::span(output))};
  MergeResult result = kv_kernel.merge(step);
  CHECK(result.produced == 3);
  CHECK(result.met_key == Key::of(1));
  CHECK(result.tombstone_key == Key::of(2));
  CHECK(result.tombstones_kept == 1);
  step.drop_tombstones = true;
  result = kv_kernel.merge(step);
  CHECK(result.produced == 2);
  CHECK(result.tombstones_dropped == 1);
}

TEST_CASE("tombstones of the older input are dropped as well", "[kernel][merge]") {
  auto b = values_of<KvTraits>({{.key = Key::of(1), .tombstone = true}, {.key = Key::of(7)}});
  auto a = values_of<KvTraits>({{.key = Key::of(3)}});
  std::vector<KvTraits::Value> output(3);
  const MergeResult result = kv_kernel.merge({.a = std::as_bytes(std::span(a)),
                                              .b = std::as_bytes(std::span(b)),
                                              .a_last = true,
                                              .b_last = true,
                                              .drop_tombstones = true,
                                              .consume_max = u64_max,
                                              .output = std::as_writable_bytes(std::span(output))});
  CHECK(result.produced == 2);
  CHECK(result.tombstones_dropped == 1);
  CHECK(result.tombstone_key == Key::of(1));
}

// Streams that run dry in the middle are refilled as a scan would: between calls.
TEMPLATE_TEST_CASE("heads merge to the newest versions, in both directions", "[kernel][merge]", KvTraits,
                   IndexTraits, IdTraits, WideTraits) {
  using Value = typename TestType::Value;
  const auto& kernel = kernel_of<TestType>();
  Random random(7);
  for (u32 round = 0; round < 400; ++round) {
    const u32 domain = 1 + random.below(80);
    const u32 streams = random.below(6);
    const Direction direction = random.chance(50) ? Direction::ascending : Direction::descending;
    const bool up = direction == Direction::ascending;
    std::map<Key, std::pair<Row, u32>> newest;  // With the number of versions.
    std::vector<std::vector<Value>> values(streams);
    for (u32 stream = 0; stream < streams; ++stream) {
      const u32 percent = random.below(101);
      std::vector<Row> rows;
      for (u32 index = 0; index < domain; ++index) {
        if (!random.chance(percent)) continue;
        const Row row{.key = domain_key(TestType{}, index),
                      .payload = TestType::usage == TableUsage::general ? u64{stream} << 32 | index : 0,
                      .tombstone = random.chance(30)};
        rows.push_back(row);
        ++newest.try_emplace(row.key, row, 0).first->second.second;
      }
      std::sort(rows.begin(), rows.end(), key_less);
      values[stream] = values_of<TestType>(rows);
    }

    std::vector<StreamHead> heads(streams);
    std::vector<u64> given(streams, 0);
    const auto refill = [&] {
      for (u32 stream = 0; stream < streams; ++stream) {
        if (heads[stream].left > 0 || given[stream] == values[stream].size()) continue;
        const u64 left = values[stream].size() - given[stream];
        const u64 count = 1 + random.below(static_cast<u32>(std::min<u64>(left, 9)));
        const u64 first = up ? given[stream] : values[stream].size() - 1 - given[stream];
        heads[stream] = {.next = bytes_of(values[stream]) + first * sizeof(Value),
                         .left = static_cast<u32>(count)};
        given[stream] += count;
      }
    };
    std::vector<Row> merged;
    u64 dropped = 0;
    u32 dropped_max = 0;
    for (;;) {
      refill();
      std::array<const std::byte*, 16> output{};
      const u32 room = 1 + random.below(16);
      const MergedHeads step = kernel.merge_heads(heads, direction, {output.data(), room});
      REQUIRE(step.count <= room);
      dropped += step.versions_dropped;
      dropped_max = std::max(dropped_max, step.versions_dropped_max);
      for (u32 i = 0; i < step.count; ++i) merged.push_back(row_of<TestType>(output[i]));
      if (step.count == 0) break;
    }
    std::vector<Row> expected;
    u64 versions = 0;
    u32 versions_max = 1;
    for (const auto& [key, row] : newest) {
      expected.push_back(row.first);
      versions += row.second;
      versions_max = std::max(versions_max, row.second);
    }
    if (!up) std::reverse(expected.begin(), expected.end());
    REQUIRE(merged == expected);
    REQUIRE(dropped == versions - expected.size());
    REQUIRE(dropped_max == versions_max - 1);
  }
}

}  // namespace tonearm
