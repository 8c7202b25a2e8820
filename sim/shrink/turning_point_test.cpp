#include "sim/shrink/turning_point.h"

#include <catch2/catch.hpp>

namespace tonearm::sim {

namespace {

// Suffix `number` at `place` fails alike if it says so.
using Rule = bool (*)(u64 place, u32 number);

struct Searched {
  TurningPoint search;
  u64 played = 0;

  Searched(u64 last, Rule rule, u64 plays_max = u64_max)
      : search(
            last, 8, 3,
            [this, rule](std::span<const Suffix> suffixes) {
              std::vector<SuffixEnd> ends;
              for (const Suffix& suffix : suffixes) {
                ++played;
                ends.push_back(rule(suffix.place, suffix.number) ? SuffixEnd::alike : SuffixEnd::passes);
              }
              return ends;
            },
            [this, plays_max] { return played >= plays_max; }) {
    search.search();
  }
};

}  // namespace

TEST_CASE("turning point: of a run that turns at once it is found exactly") {
  const Searched searched(5000, [](u64 place, u32) { return place >= 1234; });
  CHECK(searched.search.bound() == u64{1234});
  CHECK(searched.search.before_bound() == u64{1233});
  CHECK(searched.search.exact());
  CHECK_FALSE(searched.search.stopped());
  CHECK(searched.search.shares().at(1234).played == 8 * TurningPoint::sure);
  CHECK(searched.search.shares().at(1233).alike == 0);
  REQUIRE(searched.search.rise());
  CHECK(searched.search.rise()->from == 1233);
  CHECK(searched.search.rise()->to == 1234);
  CHECK(searched.played < 400);
}

TEST_CASE("turning point: where the share grows, the rise is looked at more closely") {
  // One more of eight every hundred lines.
  const Searched searched(1000, [](u64 place, u32 number) { return place >= 100 * (1 + u64{number} % 8); });
  CHECK(searched.search.bound() == u64{800});
  CHECK(searched.search.exact());
  CHECK(searched.search.shares().at(799).alike == 7);
  CHECK(searched.search.shares().size() > 10);
}

TEST_CASE("turning point: it may be the start, and it may be nowhere") {
  const Searched always(300, [](u64, u32) { return true; });
  CHECK(always.search.bound() == u64{0});
  CHECK(always.search.exact());
  CHECK_FALSE(always.search.before_bound());
  const Searched never(300, [](u64, u32 number) { return number == 3; });
  CHECK_FALSE(never.search.bound());
  CHECK_FALSE(never.search.exact());
  CHECK(never.search.shares().at(300).alike == 1);
  CHECK_FALSE(never.search.rise());
  const Searched nothing(0, [](u64, u32) { return true; });
  CHECK(nothing.search.bound() == u64{0});
}

TEST_CASE("turning point: what makes it likely is found, though nothing makes it certain") {
  const Searched searched(1000, [](u64 place, u32 number) { return place >= 333 && number % 8 != 2; });
  CHECK_FALSE(searched.search.bound());
  REQUIRE(searched.search.rise());
  CHECK(searched.search.rise()->from == 332);
  CHECK(searched.search.rise()->to == 333);
}

TEST_CASE("turning point: a place that few suffixes made look bound is given up") {
  // From 500 on all of the first eight fail, but not the twelfth; from 700 on all do.
  const Searched searched(1000,
                          [](u64 place, u32 number) { return place >= 700 || (place >= 500 && number < 8); });
  CHECK(searched.search.bound().value_or(0) > 500);
  CHECK(searched.search.shares().at(500).alike < searched.search.shares().at(500).played);
}

TEST_CASE("turning point: out of time it says what it knows, and no more") {
  for (u64 plays = 0; plays < 60; plays += 7) {
    CAPTURE(plays);
    const Searched searched(
        5000, [](u64 place, u32) { return place >= 1234; }, plays);
    CHECK(searched.search.stopped());
    CHECK(searched.played < plays + 3);
    CHECK_FALSE(searched.search.exact());
    if (searched.search.bound()) CHECK(*searched.search.bound() >= 1234);
  }
}

}  // namespace tonearm::sim
