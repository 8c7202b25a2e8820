#include "sim/workload/scan_burst.h"

#include <bit>
#include <catch2/catch.hpp>
#include <set>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

TEST_CASE("a burst opens scans before it uses them", "[scan burst]") {
  u64 unopened = 0, lines = 0, several = 0;
  std::array<u64, operation_kind_count> kinds{};
  u32 most = 0;
  const Stream bursts("bursts", 1);
  for (u64 burst = 0; burst < 500; ++burst) {
    const u64 random = bursts.at(burst);
    const u32 pool = 1 + static_cast<u32>(burst % 16);
    std::set<u32> open;
    std::array<u64, scan_slots> scans{};
    for (u64 place = 0; place < burst_lines_max; ++place) {
      const ScanStep step = scan_step(random, place, pool);
      ++lines;
      ++kinds[static_cast<u32>(step.kind)];
      REQUIRE(step.slot < scan_slots);
      REQUIRE((step.slots >> step.slot & 1) == 1);
      REQUIRE(step.count >= 1);
      REQUIRE(step.count <= scan_next_max);
      if (place == 0) REQUIRE(step.kind == OperationKind::scan_open);
      if (step.kind == OperationKind::scan_open) {
        if (open.insert(step.slot).second) scans[step.slot] = step.scan;
        most = std::max<u32>(most, static_cast<u32>(open.size()));
        continue;
      }
      // All lines about one scan agree which it is.
      if (open.contains(step.slot)) {
        REQUIRE(step.scan == scans[step.slot]);
      } else {
        ++unopened;
      }
      if (std::popcount(step.slots) > 1) {
        REQUIRE(step.kind == OperationKind::scan_next);
        ++several;
      }
      if (step.kind == OperationKind::scan_close) open.erase(step.slot);
    }
  }
  CHECK(20 * unopened < lines);
  CHECK(several > lines / 50);
  CHECK(most >= 12);
  for (u32 k = static_cast<u32>(OperationKind::scan_open); k <= static_cast<u32>(OperationKind::scan_close);
       ++k)
    CHECK(kinds[k] > lines / 100);
}

TEST_CASE("probes of a burst go everywhere, and farther from line to line", "[scan burst]") {
  u64 before = 0, first = 0, inside = 0, last = 0, beyond = 0;
  ScanStep step{.kind = OperationKind::scan_probe,
                .slot = 0,
                .scan = 0,
                .progress = 0,
                .random = 0,
                .slots = 1,
                .count = 1};
  const Stream lines("lines", 1);
  i64 early = 0;
  i64 late = 0;
  for (u64 i = 0; i < 4000; ++i) {
    step.random = lines.at(i);
    step.progress = i % 30;
    const i64 place = probe_place(step);
    ++(place < 0            ? before
       : place == 0         ? first
       : place < probe_end  ? inside
       : place == probe_end ? last
                            : beyond);
    REQUIRE(place >= -1);
    REQUIRE(place <= probe_end + 1);
    (step.progress < 10 ? early : late) += place;
  }
  for (const u64 count : {before, first, last, beyond}) CHECK(count > 100);
  CHECK(inside > 1500);
  CHECK(2 * early < late);
}

}  // namespace tonearm::sim
