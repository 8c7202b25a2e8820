// A filter of keys: it never denies a key that came, and says so of most others.
#include "table/key_filter.h"

#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "base/checksum.h"

namespace tonearm {
namespace {

struct Fixture {
  explicit Fixture(u32 keys_max) {
    Arena measure;
    KeyFilter::measure(measure, keys_max);
    buffer.resize(measure.used() + Arena::align_max, std::byte{0xA5});
    const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
    arena.emplace(std::span(buffer).subspan(
        (Arena::align_max - address % Arena::align_max) % Arena::align_max, measure.used()));
    filter.emplace(*arena, keys_max);
    CHECK(arena->used() == measure.used());
  }
  std::vector<std::byte> buffer;
  std::optional<Arena> arena;
  std::optional<KeyFilter> filter;
};

// Keys of each width, neighbours of which differ in one word only.
Key key_of(u32 shape, u64 number) {
  switch (shape) {
    case 0: return Key::of(number);                                          // Timestamps.
    case 1: return Key::of(u128{hash_of(number)} << 64 | hash_of(~number));  // Ids.
    case 2: return Key::of(u128{7} << 64 | number * 1000);                   // One value of an index.
    case 3: return Key::of(u128{number} << 64 | 5);                          // One timestamp.
    case 4: return {.lo = 5, .hi = u128{number} << 64 | 7};                  // A wide index.
    default: return Key::of(number << 40);
  }
}

}  // namespace

TEST_CASE("a filter lets pass every key that came, and few others") {
  for (const u32 keys_max : {1U, 7U, 8U, 9U, 240U, 1000U}) {
    for (u32 shape = 0; shape < 6; ++shape) {
      INFO(keys_max << " keys, shape " << shape);
      Fixture f(keys_max);
      for (u64 i = 0; i < keys_max; ++i) CHECK_FALSE(f.filter->may_hold(key_of(shape, 0)));
      for (u64 i = 0; i < keys_max; ++i) f.filter->add(key_of(shape, 2 * i));
      for (u64 i = 0; i < keys_max; ++i) REQUIRE(f.filter->may_hold(key_of(shape, 2 * i)));
      u32 passed = 0;
      for (u64 i = 0; i < 1000; ++i) passed += f.filter->may_hold(key_of(shape, 2 * i + 1)) ? 1 : 0;
      CHECK(passed <= 250);  // 125 where the hash spreads them evenly.
    }
  }
}

TEST_CASE("a filter takes over another one's keys, and forgets all when it is cleared") {
  Fixture a(100);
  Fixture b(100);
  for (u64 i = 0; i < 50; ++i) a.filter->add(Key::of(i));
  for (u64 i = 50; i < 100; ++i) b.filter->add(Key::of(i));
  a.filter->add_all(*b.filter);
  for (u64 i = 0; i < 100; ++i) REQUIRE(a.filter->may_hold(Key::of(i)));
  a.filter->clear();
  for (u64 i = 0; i < 100; ++i) REQUIRE_FALSE(a.filter->may_hold(Key::of(i)));
  CHECK(b.filter->may_hold(Key::of(50)));
}

}  // namespace tonearm
