#include "sim/run/repair_watch.h"

#include <catch2/catch.hpp>

namespace tonearm::sim {

namespace {

using Sight = RepairWatch::Sight;

struct Watched {
  RepairWatch watch{2, true, 0};
  Scrubber::Counters scrubber;
  Grid::Counters grid;
  const Sight bad{.valid = false};

  void submit(IoPurpose purpose) { watch.submitted({.purpose = purpose}, 7, 1); }
  void complete(IoPurpose purpose, const Sight& sight = {}) {
    watch.settle();
    watch.completed({.purpose = purpose}, 7, sight);
  }
  // The scrubber has read both sides; the next request is due.
  void visit(const Sight& first, const Sight& mirror) {
    for (const auto& [purpose, sight] :
         {std::pair{IoPurpose::scrub, first}, std::pair{IoPurpose::mirror_scrub, mirror}}) {
      submit(purpose);
      complete(purpose, sight);
      if (sight.valid || sight.released) continue;
      ++scrubber.retries;
      submit(purpose);
      complete(purpose, sight);
    }
  }
  std::string complaint() { return watch.complaint(scrubber, grid); }
};

}  // namespace

TEST_CASE("what is damaged on one side must be written again, unless somebody reads it", "[repair_watch]") {
  Watched w;
  w.visit(w.bad, {});
  SECTION("it is") {
    w.submit(IoPurpose::repair);
    w.complete(IoPurpose::repair);
    w.scrubber.repaired = w.scrubber.index = 1;
    CHECK(w.complaint().empty());
    CHECK(w.watch.take_left().empty());
    w.scrubber.repaired = 0;
    CHECK_FALSE(w.complaint().empty());
  }
  SECTION("it is not") {
    w.scrubber.unrepaired = w.scrubber.index = 1;
    CHECK(w.complaint() == "block 7 is not written again on the first side");
  }
  SECTION("the other side is") {
    w.submit(IoPurpose::mirror_repair);
    CHECK(w.complaint() == "block 7 is written again on the mirror for no reason");
  }
  SECTION("a write that fails is tried again, and then it is left") {
    for (u32 tries = 0; tries < 2; ++tries) {
      w.submit(IoPurpose::repair);
      w.complete(IoPurpose::repair, w.bad);
    }
    ++w.scrubber.retries;
    w.scrubber.unrepaired = w.scrubber.index = 1;
    CHECK(w.complaint().empty());
    CHECK(w.watch.take_left() == std::vector<u64>{7});
  }
  SECTION("not tried again") {
    w.submit(IoPurpose::repair);
    w.complete(IoPurpose::repair, w.bad);
    CHECK_FALSE(w.complaint().empty());
  }
}

TEST_CASE("what nobody needs is left as it is", "[repair_watch]") {
  Watched w;
  const Sight gone{.valid = false, .released = true};
  w.visit(gone, {.released = true});
  SECTION("it is") { CHECK(w.complaint().empty()); }
  SECTION("it is not") {
    w.submit(IoPurpose::repair);
    CHECK_FALSE(w.complaint().empty());
  }
}

TEST_CASE("beside a reader it may be left, and is counted", "[repair_watch]") {
  Watched w;
  w.visit({}, {.valid = false, .reading = true});
  CHECK(w.complaint() != "");
  w.scrubber.unrepaired = w.scrubber.index = 1;
  CHECK(w.complaint().empty());
  CHECK(w.watch.take_left() == std::vector<u64>{7});
}

TEST_CASE("two visits of one block are not told apart", "[repair_watch]") {
  Watched w;
  w.submit(IoPurpose::scrub);
  w.submit(IoPurpose::scrub);
  w.complete(IoPurpose::scrub, w.bad);
  w.complete(IoPurpose::scrub, w.bad);
  w.scrubber.damaged = 5;
  CHECK(w.complaint().empty());
  w.visit({}, {});
  CHECK_FALSE(w.complaint().empty());
  w.scrubber.index = 1;
  CHECK(w.complaint().empty());
}

TEST_CASE("a read that turned to the mirror repairs, unless the scrubber is there", "[repair_watch]") {
  Watched w;
  const bool visited = GENERATE(false, true);
  if (visited) w.submit(IoPurpose::scrub);
  w.submit(IoPurpose::mirror_read);
  w.complete(IoPurpose::mirror_read);
  SECTION("it does") {
    w.submit(IoPurpose::repair);
    w.complete(IoPurpose::repair);
    w.grid.repairs = 1;
    CHECK(w.complaint().empty() != visited);
  }
  SECTION("it leaves it") {
    w.grid.repairs_left = 1;
    CHECK(w.complaint().empty() == visited);
  }
  SECTION("it looks again first") {
    w.submit(IoPurpose::mirror_read);
    w.complete(IoPurpose::mirror_read, w.bad);
    CHECK(w.complaint().empty());
  }
}

}  // namespace tonearm::sim
