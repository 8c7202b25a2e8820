#include "sim/model/key_counts.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("keys are counted as std::map counts them", "[key_counts]") {
  const Stream stream("key_counts", 5);
  KeyCounts counts;
  std::map<u128, u32> reference;
  for (u64 i = 0; i < 20'000; ++i) {
    const u64 random = stream.at(i);
    const u64 number = below(random, 300);
    const u128 key = number % 3 == 0 ? u128{number} << 64 : u128{number};
    REQUIRE(counts.of(key) == (reference.contains(key) ? reference[key] : 0));
    if (reference.contains(key) && reference[key] > 0 && below(remix(random, 1), 3) == 0) {
      counts.subtract(key);
      --reference[key];
    } else {
      counts.add(key);
      ++reference[key];
    }
    REQUIRE(counts.keys() == reference.size());
    if (below(remix(random, 2), 500) != 0) continue;
    counts.clear();
    reference.clear();
    REQUIRE(counts.keys() == 0);
  }
}

}  // namespace tonearm::sim
