// Against std::map, in every layout that a tree has.
#include "sim/model/model_map.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

using Reference = std::map<ModelKey, u64>;

constexpr ModelMap::Layout layouts[] = {{1, false}, {1, true}, {2, false}, {2, true}, {3, false}, {3, true}};

// The number-th of keys in order; neighbours differ in each of their words now and then.
ModelKey key_of(ModelMap::Layout layout, u64 number) {
  ModelKey key;
  if (layout.key_words == 1) key.low = number << 40 | number;
  if (layout.key_words == 2) key = u128{number / 3} << 65 | (number % 3 << 62);
  if (layout.key_words == 3) key = ModelKey::wide(u128{number / 9} << 63 | number / 3 % 3, number % 3);
  return key;
}

void check_equal(const ModelMap& map, const Reference& reference) {
  REQUIRE(map.size() == reference.size());
  REQUIRE(map.empty() == reference.empty());
  auto at = map.begin();
  for (const auto& [key, payload] : reference) {
    REQUIRE(at != map.end());
    REQUIRE(at->first == key);
    REQUIRE(at->second == payload);
    ++at;
  }
  REQUIRE(at == map.end());
  for (auto expected = reference.rbegin(); expected != reference.rend(); ++expected) {
    --at;
    REQUIRE(at->first == expected->first);
  }
  REQUIRE(at == map.begin());
}

void check_bounds(const ModelMap& map, const Reference& reference, const ModelKey& key) {
  const auto same = [&](ModelMap::const_iterator at, Reference::const_iterator expected) {
    REQUIRE((at == map.end()) == (expected == reference.end()));
    if (at != map.end()) REQUIRE(at->first == expected->first);
  };
  same(map.lower_bound(key), reference.lower_bound(key));
  same(map.upper_bound(key), reference.upper_bound(key));
  same(map.find(key), reference.find(key));
  REQUIRE(map.contains(key) == reference.contains(key));
  map.fetch(key);  // No more than that it does no harm can be seen.
}

void change(ModelMap& map, Reference& reference, const ModelKey& key, u64 payload) {
  const auto [at, inserted] = map.try_emplace(key, payload);
  const auto [expected, expected_inserted] = reference.try_emplace(key, payload);
  REQUIRE(inserted == expected_inserted);
  REQUIRE(at->first == key);
  REQUIRE(at->second == expected->second);
  if (inserted) return;
  map.set_payload(at, payload);
  expected->second = payload;
}

}  // namespace

TEST_CASE("random changes leave what std::map holds", "[model_map]") {
  const Stream stream("model_map", 7);
  for (const ModelMap::Layout layout : layouts) {
    for (const u64 universe : {u64{3}, u64{100}, u64{3000}}) {
      ModelMap map(layout);
      Reference reference;
      for (u64 i = 0; i < 16'000; ++i) {
        const u64 random = stream.at(universe, i);
        const ModelKey key = key_of(layout, below(random, universe));
        // Phases in which it grows, and phases in which it shrinks to nothing.
        const bool grows = i / 4000 % 2 == 0;
        if (below(remix(random, 1), 100) < (grows ? 80 : 5)) {
          change(map, reference, key, layout.payload ? i : 0);
        } else {
          REQUIRE(map.erase(key) == reference.erase(key));
        }
        ModelKey near = key_of(layout, below(remix(random, 2), universe + 2));
        near.low += random & 1;
        check_bounds(map, reference, near);
        if (i % 1009 == 0) check_equal(map, reference);
      }
      for (u64 number = 0; number < universe; ++number) {
        map.erase(key_of(layout, number));
        reference.erase(key_of(layout, number));
      }
      check_equal(map, reference);
    }
  }
}

TEST_CASE("keys in order, in either direction, fill and empty a map", "[model_map]") {
  const bool up = GENERATE(true, false);
  for (const ModelMap::Layout layout : layouts) {
    ModelMap map(layout);
    Reference reference;
    for (u64 i = 0; i < 1000; ++i) {
      change(map, reference, key_of(layout, up ? i : 1000 - i), layout.payload ? i : 0);
    }
    check_equal(map, reference);
    const ModelMap copy = map;
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
    map.erase(map.begin());
    CHECK_FALSE(copy == map);
  }
  CHECK(ModelMap{{u128{2}, 20}, {u128{1}, 10}} == ModelMap{{u128{1}, 10}, {u128{2}, 20}});
  CHECK_FALSE(ModelMap{{u128{1}, 10}} == ModelMap{{u128{1}, 11}});
}

TEST_CASE("a walk shows what lies between two entries, until it is refused", "[model_map]") {
  const Stream stream("model_map", 9);
  for (const ModelMap::Layout layout : layouts) {
    ModelMap map(layout);
    for (u64 i = 0; i < 300; ++i) {
      map.try_emplace(key_of(layout, below(stream.at(i), 4000)), layout.payload ? i : 0);
    }
    const std::vector<ModelMap::value_type> all(map.begin(), map.end());
    for (u64 i = 0; i < 2000; ++i) {
      const u64 begin = below(stream.at(i, 1), all.size() + 1);
      const u64 end = begin + below(stream.at(i, 2), all.size() - begin + 1);
      const u64 accepted = below(stream.at(i, 3), end - begin + 20);
      std::vector<ModelMap::value_type> shown;
      const auto accept = [&](const ModelMap::value_type& entry) {
        shown.push_back(entry);
        return shown.size() <= accepted;
      };
      const auto first = std::next(map.begin(), static_cast<std::ptrdiff_t>(begin));
      const auto last = std::next(map.begin(), static_cast<std::ptrdiff_t>(end));
      std::vector<ModelMap::value_type> between(first, last);
      const u64 count = std::min<u64>(accepted, between.size());
      const bool down = i % 2 != 0;
      if (down) {
        REQUIRE(map.walk_down(first, last, accept) == std::prev(last, static_cast<std::ptrdiff_t>(count)));
        std::reverse(between.begin(), between.end());
      } else {
        REQUIRE(map.walk(first, last, accept) == std::next(first, static_cast<std::ptrdiff_t>(count)));
      }
      between.resize(std::min<std::size_t>(between.size(), count + 1));
      REQUIRE(shown == between);
    }
  }
}

TEST_CASE("a key with words that are not kept is above all that are", "[model_map]") {
  ModelMap narrow({.key_words = 1, .payload = false});
  ModelMap wide({.key_words = 2, .payload = true});
  for (ModelMap* const map : {&narrow, &wide}) {
    map->try_emplace(u128{5}, 0);
    for (const ModelKey& key : {ModelKey(u128{1} << 64), ModelKey::wide(u128{1} << 64, 5)}) {
      if (map == &wide && key.high == 0) continue;
      CHECK(map->find(key) == map->end());
      CHECK(map->lower_bound(key) == map->end());
      CHECK(map->upper_bound(key) == map->end());
      CHECK(map->erase(key) == 0);
      map->fetch(key);
    }
    CHECK(map->contains(u128{5}));
  }
}

}  // namespace tonearm::sim
