// Against std::map, which it replaces.
#include "sim/model/sorted_map.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

using Map = SortedMap<u128, u64>;
using Reference = std::map<u128, u64>;

constexpr u128 wide(u64 key) { return u128{key} << 60 | key; }

void check_equal(const Map& map, const Reference& reference) {
  REQUIRE(map.size() == reference.size());
  REQUIRE(map.empty() == reference.empty());
  auto at = map.begin();
  for (const auto& [key, value] : reference) {
    REQUIRE(at != map.end());
    REQUIRE(at->first == key);
    REQUIRE(at->second == value);
    ++at;
  }
  REQUIRE(at == map.end());
  for (auto expected = reference.rbegin(); expected != reference.rend(); ++expected) {
    --at;
    REQUIRE(at->first == expected->first);
  }
  REQUIRE(at == map.begin());
}

void check_bounds(const Map& map, const Reference& reference, u128 key) {
  const auto same = [&](Map::const_iterator at, Reference::const_iterator expected) {
    REQUIRE((at == map.end()) == (expected == reference.end()));
    if (at != map.end()) REQUIRE(at->first == expected->first);
  };
  same(map.lower_bound(key), reference.lower_bound(key));
  same(map.upper_bound(key), reference.upper_bound(key));
  same(map.find(key), reference.find(key));
  REQUIRE(map.contains(key) == reference.contains(key));
}

}  // namespace

TEST_CASE("random changes leave what std::map holds", "[sorted_map]") {
  const Stream stream("sorted_map", 7);
  for (const u64 universe : {u64{3}, u64{100}, u64{5000}}) {
    Map map;
    Reference reference;
    for (u64 i = 0; i < 30'000; ++i) {
      const u64 random = stream.at(universe, i);
      const u128 key = wide(below(random, universe));
      // Phases in which it grows, and phases in which it shrinks to nothing.
      const bool grows = i / 6000 % 2 == 0;
      if (below(remix(random, 1), 100) < (grows ? 80 : 5)) {
        const auto [at, inserted] = map.try_emplace(key, i);
        const auto [expected, expected_inserted] = reference.try_emplace(key, i);
        REQUIRE(inserted == expected_inserted);
        REQUIRE(at->first == key);
        REQUIRE(at->second == expected->second);
        if (!inserted) at->second = expected->second = i;
      } else {
        REQUIRE(map.erase(key) == reference.erase(key));
      }
      check_bounds(map, reference, wide(below(remix(random, 2), universe + 2)) + (random & 1));
      if (i % 1009 == 0) check_equal(map, reference);
    }
    for (u64 key = 0; key < universe; ++key) {
      map.erase(wide(key));
      reference.erase(wide(key));
    }
    check_equal(map, reference);
  }
}

TEST_CASE("keys in order, in either direction, fill and empty it", "[sorted_map]") {
  const bool up = GENERATE(true, false);
  Map map;
  Reference reference;
  for (u64 i = 0; i < 1000; ++i) {
    map[wide(up ? i : 1000 - i)] = i;
    reference[wide(up ? i : 1000 - i)] = i;
  }
  check_equal(map, reference);
  const Map copy = map;
  while (!map.empty()) {
    const auto last = std::prev(map.end());
    reference.erase(last->first);
    map.erase(last);
    if (map.size() % 97 == 0) check_equal(map, reference);
  }
  CHECK(copy.size() == 1000);
  CHECK_FALSE(copy == map);
  map = copy;
  CHECK(copy == map);
  map[wide(5)] = 12345;
  CHECK_FALSE(copy == map);
  CHECK(Map{{2, 20}, {1, 10}} == Map{{1, 10}, {2, 20}});
  map.clear();
  CHECK(map.begin() == map.end());
}

}  // namespace tonearm::sim
