// False numbers: of both sides, near and far, and never the true one.
#include <catch2/catch.hpp>
#include <set>

#include "sim/decode/lie_range.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("another number is next to the true one, far from it, on both sides", "[lie]") {
  for (const u64 number : {u64{0}, u64{1}, u64{7}, u64{1} << 32, ~u64{0} - 1, ~u64{0}}) {
    INFO(number);
    std::set<u64> drawn;
    for (u64 i = 0; i < 400; ++i) drawn.insert(another(number, 0, ~u64{0}, remix(i, 0)));
    CHECK_FALSE(drawn.contains(number));
    CHECK(drawn.size() > 100);
    if (number > 0) CHECK((drawn.contains(number - 1) && drawn.contains(0)));
    if (number < ~u64{0}) CHECK((drawn.contains(number + 1) && drawn.contains(~u64{0})));
  }
  std::set<u64> few;
  for (u64 i = 0; i < 100; ++i) few.insert(another(5, 4, 8, remix(i, 0)));
  CHECK(few == std::set<u64>{4, 6, 7, 8});
}

TEST_CASE("a key of a range is an end of it, or anywhere between", "[lie]") {
  const DecodedKey least{3, ~u128{0} - 1};
  const DecodedKey most{u128{1} << 100, 5};
  std::set<DecodedKey> drawn;
  for (u64 i = 0; i < 400; ++i) {
    const DecodedKey key = key_between(least, most, remix(i, 0));
    CHECK((least <= key && key <= most));
    drawn.insert(key);
  }
  CHECK((drawn.contains(least) && drawn.contains(most) && drawn.size() > 100));
  CHECK(key_between(least, least, 1) == least);
  CHECK(next_key({3, ~u128{0}}) == DecodedKey{4, 0});
  CHECK(key_before({4, 0}) == DecodedKey{3, ~u128{0}});
}

}  // namespace tonearm::sim
