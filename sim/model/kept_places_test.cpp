#include "sim/model/kept_places.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("places are taken once, stay where they are, and keep what was written", "[kept_places]") {
  const Stream stream("kept_places", 2);
  KeptPlaces<u64, 4> places(3);
  struct Taken {
    u64* address;
    u64 written;
  };
  std::map<u32, Taken> taken;
  for (u64 i = 0; i < 5000; ++i) {
    const u64 random = stream.at(i);
    const bool grows = i / 1000 % 2 == 0;
    if (taken.empty() || below(random, 100) < (grows ? 70 : 30)) {
      const u32 place = places.take();
      REQUIRE_FALSE(taken.contains(place));
      u64* const address = places[place];
      for (u32 word = 0; word < 3; ++word) address[word] = i + word;
      taken[place] = {.address = address, .written = i};
    } else {
      const auto gone = std::next(taken.begin(), static_cast<std::ptrdiff_t>(below(random, taken.size())));
      places.give_back(gone->first);
      taken.erase(gone);
    }
    if (i % 50 != 0) continue;
    for (const auto& [place, what] : taken) {
      REQUIRE(places[place] == what.address);
      for (u32 word = 0; word < 3; ++word) REQUIRE(what.address[word] == what.written + word);
    }
  }
  const KeptPlaces<u64, 4> copy = places;
  const auto& [place, what] = *taken.begin();
  CHECK(copy[place] != what.address);
  CHECK(copy[place][2] == what.written + 2);
}

}  // namespace tonearm::sim
