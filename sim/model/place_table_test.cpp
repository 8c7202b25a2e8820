// Against std::map, in whose order nobody asks here.
#include "sim/model/place_table.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("a table of places finds what std::map holds", "[place_table]") {
  const Stream stream("place_table", 3);
  for (const u64 universe : {u64{4}, u64{60}, u64{3000}}) {
    // A place stands for itself; several have the hash of another, too.
    const auto hash_at = [universe](u32 place) {
      return place % 5 == 0 ? u32{7} : place_hash(place % (universe / 2));
    };
    PlaceTable table;
    std::map<u32, u32> reference;
    const auto find = [&](u32 place) {
      return table.find(hash_at(place), [&](u32 candidate) { return candidate == place; });
    };
    for (u64 i = 0; i < 20'000; ++i) {
      const u64 random = stream.at(universe, i);
      const u32 place = static_cast<u32>(below(random, universe));
      const bool there = reference.contains(place);
      REQUIRE(find(place) == (there ? place : PlaceTable::none));
      const u32 guess = table.guess(hash_at(place));
      if (there) REQUIRE(guess != PlaceTable::none);
      if (guess != PlaceTable::none) REQUIRE(reference.at(guess) == hash_at(place));
      table.fetch(hash_at(place));
      const bool grows = i / 4000 % 2 == 0;
      if (!there && below(remix(random, 1), 100) < (grows ? 80 : 30)) {
        table.insert(hash_at(place), place);
        reference.emplace(place, hash_at(place));
      } else if (there && below(remix(random, 2), 100) < (grows ? 30 : 90)) {
        table.erase(hash_at(place), place);
        reference.erase(place);
      }
      REQUIRE(table.size() == reference.size());
    }
    for (u32 place = 0; place < universe; ++place) {
      REQUIRE((find(place) == place) == reference.contains(place));
    }
    table.clear();
    CHECK(table.size() == 0);
    for (u32 place = 0; place < universe; ++place) REQUIRE(find(place) == PlaceTable::none);
  }
}

TEST_CASE("an empty table of places finds nothing, before and after it had something", "[place_table]") {
  const auto any = [](u32) { return true; };
  PlaceTable table;
  table.fetch(5);
  CHECK(table.find(5, any) == PlaceTable::none);
  table.insert(5, 1);
  CHECK(table.find(5, any) == 1);
  CHECK(table.find(5, [](u32 place) { return place != 1; }) == PlaceTable::none);
  CHECK(table.find(21, any) == PlaceTable::none);  // Its slot is the same.
  table.erase(5, 1);
  CHECK(table.find(5, any) == PlaceTable::none);
  CHECK(table.size() == 0);
}

TEST_CASE("keys that differ in one half only have hashes of their own", "[place_table]") {
  std::map<u32, u32> low;
  std::map<u32, u32> high;
  for (u64 i = 0; i < 4096; ++i) {
    ++low[place_hash(i) % 4096];
    ++high[place_hash(u128{i} << 64 | 7) % 4096];
  }
  // Drawn at random, about 2600 of 4096 would be hit.
  CHECK(low.size() > 2000);
  CHECK(high.size() > 2000);
}

}  // namespace tonearm::sim
