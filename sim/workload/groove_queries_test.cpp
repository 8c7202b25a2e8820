// What queries and open scans of grooves come to.
#include <catch2/catch.hpp>

#include "sim/workload/groove_play.h"

namespace tonearm::sim {

namespace {

struct Questions {
  ScanCounts counts;
  u64 lines = 0, queries = 0, of_scans = 0, skipped = 0;

  Questions(const char* workload, u64 seed_count) {
    for (u64 seed = 0; seed < seed_count; ++seed) {
      const Generated generated(seed, workload);
      ModelPlay play(generated);
      Operation line;
      for (u64 i = 0; i < generated.source->count(); ++i) {
        generated.source->at(i, &line);
        play.play(line);
      }
      INFO("seed " << seed << " " << workload << ": skips " << play.skips << " of " << play.lines);
      CHECK(3 * play.skips < play.lines);
      counts.add(play.scans.counts);
      lines += play.lines;
      for (u32 k = static_cast<u32>(OperationKind::query); k < operation_kind_count; ++k) {
        const bool scan = of_scan(static_cast<OperationKind>(k));
        (scan ? of_scans : queries) += play.kinds[k];
        skipped += play.kind_skips[k];
      }
    }
  }
  std::string text() const {
    return counts.text() + "lines " + std::to_string(lines) + ", queries and pages " +
           std::to_string(queries) + ", of scans " + std::to_string(of_scans) + ", skipped " +
           std::to_string(skipped);
  }
};

}  // namespace

TEST_CASE("queries of scan match much, little and nothing", "[groove source]") {
  const Questions asked("scan", 60);
  const ScanCounts& c = asked.counts;
  INFO(asked.text());
  CHECK(5 * asked.queries > asked.lines);
  CHECK(10 * asked.of_scans > asked.lines);
  CHECK(6 * asked.skipped < asked.queries + asked.of_scans);
  CHECK(c.refused > c.queries / 20);
  CHECK(c.refused < c.queries / 3);
  CHECK(c.empty > c.queries / 10);
  CHECK(c.empty < c.queries * 6 / 10);
  CHECK(c.partial > c.queries / 4);
  CHECK(c.all > c.queries / 100);
  CHECK(c.resumed > c.queries / 8);
  CHECK(c.exact > c.queries / 20);
  CHECK(c.one_more > c.queries / 30);
  CHECK(c.pages_later > 1500);
  CHECK(c.last_pages > c.pages / 10);
  CHECK(c.last_pages < c.pages * 7 / 10);
  CHECK(c.together > c.opened / 4);
  CHECK(c.open_refused > 100);
  CHECK(c.next_rows > 10'000);
  CHECK(c.next_ends > 1000);
  CHECK(c.probes_drop > c.probes / 8);
  CHECK(c.aborted > 100);
  for (u32 leaves = 1; leaves <= query_leaves_max; ++leaves) CHECK(c.by_leaves[leaves] > 10);
  for (u32 depth = 0; depth < 4; ++depth) CHECK(c.by_depth[depth] > 100);
  for (const u64 count : c.by_kind) CHECK(count > 1000);
}

TEST_CASE("grooves are asked now and then, too", "[groove source]") {
  const Questions asked("forest", 40);
  INFO(asked.text());
  CHECK(60 * (asked.queries + asked.of_scans) > asked.lines);
  CHECK(5 * (asked.queries + asked.of_scans) < asked.lines);
  CHECK(asked.counts.partial > 100);
  CHECK(asked.counts.pages_later > 100);
  CHECK(asked.counts.probes_drop > 10);
}

}  // namespace tonearm::sim
