// Against std::map, in whose order nobody asks here.
#include "sim/model/hash_table.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("a hash table holds what std::map holds", "[hash_table]") {
  const Stream stream("hash_table", 3);
  // Keys that differ in their high half only, among others.
  for (const u64 universe : {u64{4}, u64{60}, u64{3000}}) {
    const auto key_at = [](u64 number) { return number % 3 == 0 ? u128{number} << 64 : u128{number} * 7; };
    HashTable<u64> table;
    std::map<u128, u64> reference;
    for (u64 i = 0; i < 40'000; ++i) {
      const u64 random = stream.at(universe, i);
      const u128 key = key_at(below(random, universe));
      u64* const found = table.find(key);
      const auto expected = reference.find(key);
      REQUIRE((found != nullptr) == (expected != reference.end()));
      const bool grows = i / 8000 % 2 == 0;
      if (found == nullptr) {
        if (below(remix(random, 1), 100) >= (grows ? 80 : 30)) continue;
        table.insert(key, i);
        reference.emplace(key, i);
        continue;
      }
      REQUIRE(*found == expected->second);
      if (below(remix(random, 2), 100) < (grows ? 30 : 90)) {
        table.erase(key);
        reference.erase(expected);
      } else {
        *found = expected->second = i;
      }
    }
    for (u64 number = 0; number < universe; ++number) {
      const u64* const found = std::as_const(table).find(key_at(number));
      const auto expected = reference.find(key_at(number));
      REQUIRE((found == nullptr) == (expected == reference.end()));
      if (found != nullptr) CHECK(*found == expected->second);
    }
    CHECK(table.entries().size() == reference.size());
  }
}

TEST_CASE("an empty hash table has nothing, before and after it had something", "[hash_table]") {
  HashTable<u64> table;
  CHECK(table.find(5) == nullptr);
  table.insert(5, 1);
  table.insert(u128{5} << 64, 2);
  table.erase(5);
  CHECK(table.find(5) == nullptr);
  REQUIRE(table.find(u128{5} << 64) != nullptr);
  CHECK(*table.find(u128{5} << 64) == 2);
  table.erase(u128{5} << 64);
  CHECK(table.find(u128{5} << 64) == nullptr);
  CHECK(table.entries().empty());
}

}  // namespace tonearm::sim
