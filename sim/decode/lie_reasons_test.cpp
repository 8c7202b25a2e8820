// Every lie is explained, and by nothing else.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "sim/decode/lie.h"
#include "sim/decode/lie_reasons.h"

namespace tonearm::sim {

TEST_CASE("every lie has reasons, and no other text is one", "[lie]") {
  constexpr auto disagreements = std::to_array<std::string_view>(
      {"an id names another timestamp", "an index entry has another value",
       "an index entry is beside the right one", "an index entry is of another object",
       "an object has another id", "an object has another value of an indexed field"});
  for (const std::span<const Lie> lies : {tree_lies(), groove_lies(), table_lies()}) {
    REQUIRE_FALSE(lies.empty());
    for (const Lie& lie : lies) {
      INFO(lie.name);
      const bool disagrees =
          std::find(disagreements.begin(), disagreements.end(), lie.name) != disagreements.end();
      REQUIRE(lie_known(lie.name) != disagrees);
      if (disagrees) continue;
      CHECK_FALSE(lie_explained({.lie = lie.name}, ""));
      CHECK_FALSE(lie_explained({.lie = lie.name}, "something else"));
    }
  }
  std::vector<std::byte> block(disk_format::header_size);
  for (u64 random = 0; random < 100; ++random) CHECK(lie_known(header_lies(block, remix(random, 0))));
  CHECK_FALSE(lie_known("no lie"));
  CHECK(lie_explained({.lie = "an id is 0"}, "no object may have this id"));
  CHECK_FALSE(lie_explained({.lie = "an id is 0"}, "no object may have this timestamp"));
  const Forged left{.lie = disagreements[0].data(), .disagreement = ForgedDisagreement::entry_left};
  CHECK(lie_explained(left, "an entry is of no object"));
  CHECK_FALSE(lie_explained(left, "an object's entry is missing"));
}

}  // namespace tonearm::sim
