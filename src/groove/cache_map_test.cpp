// What the workload `cache_map` cannot see: views that outlive a change, bounds, and that the cache caches.
#include "groove/cache_map.h"

#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "base/checksum.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

struct Object {
  u64 key;
  u64 version;
};

struct Traits {
  using Key = u64;
  using Value = Object;
  static Key key_of(const Value& value) { return value.key; }
  static u64 hash(const Key& key) { return hash_of(key); }
};

using Map = CacheMap<Traits>;

struct Fixture {
  explicit Fixture(const Map::Options& options) {
    Arena measure;
    Map::measure(measure, options);
    memory.resize(measure.used() + 2 * Arena::align_max);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    Arena arena{std::span<std::byte>(memory).subspan(skip, measure.used())};
    map.emplace(arena, options);
    CHECK(arena.used() == measure.used());
  }
  std::optional<u64> version(u64 key) {
    const Map::View view = map->get(key);
    if (view.found() != Map::Found::present) return {};
    return view.value().version;
  }
  std::vector<std::byte> memory;
  std::optional<Map> map;
};

constexpr Map::Options usual{.cache_slots = 256, .hash_bits = 64, .young_max = 64, .scope_changes_max = 16};

}  // namespace

TEST_CASE("cache_map: a compact forgets little of a cache that is large enough", "[cache_map]") {
  Fixture f(usual);
  for (u64 key = 0; key < 64; ++key) f.map->upsert({.key = key, .version = key + 1});
  CHECK(f.map->young_count() == 64);
  f.map->compact();
  CHECK(f.map->young_count() == 0);
  u64 found = 0;
  for (u64 key = 0; key < 64; ++key) {
    const std::optional<u64> version = f.version(key);
    if (version) CHECK(*version == key + 1);
    found += version ? 1 : 0;
  }
  CHECK(found >= 60);
}

TEST_CASE("cache_map: without a cache everything is forgotten, but not before", "[cache_map]") {
  Map::Options options = usual;
  options.cache_slots = 0;
  Fixture f(options);
  for (u64 key = 0; key < 64; ++key) f.map->upsert({.key = key, .version = key + 1});
  for (u64 key = 0; key < 64; ++key) REQUIRE(f.version(key) == key + 1);
  f.map->compact();
  for (u64 key = 0; key < 64; ++key) REQUIRE(f.map->get(key).found() == Map::Found::absent);
}

TEST_CASE("cache_map: a tombstone ends with the bar", "[cache_map]") {
  Fixture f(usual);
  f.map->upsert({.key = 1, .version = 1});
  f.map->remove(1);
  CHECK(f.map->get(1).found() == Map::Found::tombstone);
  f.map->scope_open();
  f.map->upsert({.key = 1, .version = 2});
  CHECK(f.version(1) == 2);
  f.map->scope_close(ScopeClose::discard);
  CHECK(f.map->get(1).found() == Map::Found::tombstone);
  CHECK(f.map->young_count() == 1);
  f.map->compact();
  CHECK(f.map->get(1).found() == Map::Found::absent);
}

TEST_CASE("cache_map: no view survives a change", "[cache_map]") {
  using sim::dies;
  Fixture f(usual);
  f.map->upsert({.key = 1, .version = 1});
  const Map::View view = f.map->get(1);
  CHECK(view.value().version == 1);
  CHECK_FALSE(dies([&] { (void)view.value(); }));
  f.map->upsert({.key = 2, .version = 1});
  CHECK(dies([&] { (void)view.value(); }));
  const Map::View absent = f.map->get(3);
  CHECK(dies([&] { (void)absent.value(); }));
}

TEST_CASE("cache_map: what may not be done is an assertion", "[cache_map]") {
  using sim::dies;
  Fixture f(usual);
  CHECK(dies([&] { f.map->remove(1); }));
  CHECK(dies([&] { f.map->scope_close(ScopeClose::persist); }));
  CHECK(dies([&] {
    for (u64 key = 0; key <= usual.young_max; ++key) f.map->upsert({.key = key, .version = 1});
  }));
  f.map->scope_open();
  CHECK(dies([&] { f.map->scope_open(); }));
  CHECK(dies([&] { f.map->compact(); }));
  CHECK(dies([&] {
    for (u64 i = 0; i <= usual.scope_changes_max; ++i) f.map->upsert({.key = 1, .version = i});
  }));
}

}  // namespace tonearm
