// Two sides of the grid, each a disk whose requests complete as the test says.
#include <catch2/catch.hpp>

#include "grid/grid.h"
#include "grid/test_storage.h"

namespace tonearm {

namespace {

constexpr u32 tries = 3;  // TestGrid's.

struct Mirrored {
  explicit Mirrored(u32 read_iops = 2, u32 write_iops = 2)
      : first(64 * TestGrid::block_size),
        mirror(64 * TestGrid::block_size),
        grid(first, options(read_iops, write_iops)) {
    grid->free_set().open_empty();
    grid->allow_repairs(true);
  }
  Grid::Options options(u32 read_iops, u32 write_iops) {
    Grid::Options options = TestGrid::options(read_iops, write_iops);
    options.mirror = &mirror;
    return options;
  }

  // Everything, the first side's requests before the other's.
  void run() {
    first.run();
    while (!mirror.requests.empty() || !first.requests.empty()) {
      if (!mirror.requests.empty()) mirror.complete();
      first.run();
    }
  }
  u64 acquire() {
    Reservation reservation = *grid->reserve(1);
    const u64 address = grid->acquire(reservation);
    grid->forfeit(reservation);
    return address;
  }
  BlockReference write(u8 fill = 1) {
    TestWrite write(acquire(), fill);
    grid->write(write.write);
    run();
    REQUIRE(write.done_count == 1);
    REQUIRE(write.write.result == IoResult::ok);
    return write.reference;
  }
  // What a cache has is never read.
  TestRead& cold(TestRead& read) {
    read.read.cache_read = false;
    grid->read(read.read);
    first.drain();
    return read;
  }
  std::byte* at(TestStorage& side, const BlockReference& block) {
    return &side.bytes[(block.address - 1) * TestGrid::block_size];
  }
  bool alike(const BlockReference& block) {
    return std::memcmp(at(first, block), at(mirror, block), header_of(at(mirror, block)).size) == 0;
  }
  void rot(TestStorage& side, const BlockReference& block, u32 byte = 300) {
    at(side, block)[byte] ^= std::byte{1};
  }

  TestStorage first;
  TestStorage mirror;
  TestGrid grid;
};

struct TestVisit {
  explicit TestVisit(u64 address) {
    visit.address = address;
    visit.begin = Callback<Grid::Visit&>::to<&TestVisit::begin>(this);
  }
  void begin(Grid::Visit&) { ++begun; }

  Grid::Visit visit;
  u32 begun = 0;
};

}  // namespace

TEST_CASE("a write is done when both sides have it, whichever is first", "[mirror]") {
  for (const bool mirror_first : {false, true}) {
    Mirrored f;
    TestWrite write(f.acquire(), 7);
    f.grid->write(write.write);
    REQUIRE(f.first.requests.size() == 1);
    REQUIRE(f.mirror.requests.size() == 1);
    (mirror_first ? f.mirror : f.first).complete();
    CHECK(write.done_count == 0);
    CHECK(f.grid->writes_in_flight() == 1);
    CHECK(f.grid->cached(write.reference) == nullptr);
    // Meanwhile a read is served from the write.
    TestRead read(write.reference);
    f.grid->read(read.read);
    f.first.drain();
    CHECK(read.good());
    (mirror_first ? f.first : f.mirror).complete();
    CHECK(write.done_count == 1);
    CHECK(write.write.result == IoResult::ok);
    CHECK(f.alike(write.reference));
    CHECK(f.grid->counters().writes == 1);
    CHECK(f.grid->idle());
  }
}

TEST_CASE("each side of a write is tried again by itself, and one that fails for good fails the write",
          "[mirror]") {
  for (const bool on_mirror : {false, true}) {
    for (const u32 failing : {1U, tries - 1, tries, tries + tries}) {
      Mirrored f;
      // The other one comes through at last.
      const u32 failing_other = failing > tries ? tries - 1 : 0;
      TestStorage& failing_side = on_mirror ? f.mirror : f.first;
      TestStorage& other_side = on_mirror ? f.first : f.mirror;
      failing_side.writes_failing = failing;
      other_side.writes_failing = failing_other;
      TestWrite write(f.acquire(), 7);
      f.grid->write(write.write);
      f.run();
      INFO("mirror " << on_mirror << " failing " << failing);
      CHECK(write.done_count == 1);
      CHECK((write.write.result == IoResult::ok) == (failing < tries));
      CHECK(failing_side.writes == std::min(failing + 1, tries));
      CHECK(other_side.writes == failing_other + 1);
      CHECK((f.grid->cached(write.reference) != nullptr) == (failing < tries));
    }
  }
}

TEST_CASE("a read answers from the mirror and repairs the first side before it does", "[mirror]") {
  MarksSeen marks;
  Mirrored f;
  const BlockReference block = f.write(9);
  f.rot(f.first, block);
  TestRead root(block), joined(block), own(block);
  own.read.buffer = own.buffer.bytes;
  f.cold(root);
  f.cold(joined);
  f.cold(own);
  for (u32 i = 0; i < tries; ++i) f.first.complete();
  REQUIRE(f.first.requests.empty());
  REQUIRE(f.mirror.requests.size() == 1);
  CHECK(f.mirror.requests[0].read->tag.purpose == IoPurpose::mirror_read);
  f.mirror.complete();
  REQUIRE(f.first.requests.size() == 1);
  const Storage::Write& repair = *f.first.requests[0].write;
  CHECK(repair.tag.purpose == IoPurpose::repair);
  CHECK(repair.durability == Durability::on_completion);
  CHECK(repair.buffer.size() == TestGrid::block_size);  // Also what is behind its end may be unreadable.
  CHECK(root.done_count + joined.done_count + own.done_count == 0);
  CHECK(f.grid->reads_in_flight() == 3);
  TestRead late(block);
  f.cold(late);
  f.first.complete();
  CHECK(root.good());
  CHECK(joined.good());
  CHECK(own.good());
  CHECK(late.good());
  CHECK(own.read.data == own.buffer.bytes);
  CHECK(root.fill == std::byte{9});
  CHECK(f.alike(block));
  CHECK(f.grid->idle());
  CHECK(f.grid->counters().reads_mirror == 1);
  CHECK(f.grid->counters().repairs == 1);
  CHECK(marks[Mark::grid_read_repaired] == 1);
  // And now the first side has it.
  const u32 mirror_reads = f.mirror.reads;
  TestRead again(block);
  f.cold(again);
  f.run();
  CHECK(again.good());
  CHECK(f.mirror.reads == mirror_reads);
}

TEST_CASE("a read that fails on the first side is answered by the mirror, however often it is tried",
          "[mirror]") {
  Mirrored f;
  const BlockReference block = f.write(9);
  f.first.reads_failing = tries;
  f.mirror.reads_damaged = tries - 1;
  TestRead read(block);
  f.cold(read);
  f.run();
  CHECK(read.good());
  CHECK(f.first.reads == tries);
  CHECK(f.mirror.reads == tries);
  CHECK(f.grid->counters().repairs == 1);
  CHECK(f.grid->counters().retries == tries - 1);
}

TEST_CASE("a block that neither side has is an error with the reason of the last try", "[mirror]") {
  Mirrored f;
  const BlockReference block = f.write(9);
  f.rot(f.first, block);
  f.rot(f.mirror, block, 40);
  TestRead read(block);
  f.cold(read);
  f.run();
  CHECK(read.done_count == 1);
  CHECK(read.read.result == BlockResult::invalid_checksum);
  CHECK(read.read.data == nullptr);
  CHECK(f.first.writes == 1);  // Only the write itself.
  CHECK(f.mirror.writes == 1);
  CHECK(f.grid->idle());
}

TEST_CASE("an intact block in the wrong place is no block, on the mirror neither", "[mirror]") {
  Mirrored f;
  const BlockReference block = f.write(1);
  const BlockReference other = f.write(2);
  f.rot(f.first, block);
  std::memcpy(f.at(f.mirror, block), f.at(f.mirror, other), TestGrid::block_size);
  TestRead read(block);
  f.cold(read);
  f.run();
  CHECK(read.read.result == BlockResult::unexpected_checksum);
  CHECK(f.first.writes == 2);
}

TEST_CASE("nothing is repaired unless that is allowed", "[mirror]") {
  Mirrored f;
  f.grid->allow_repairs(false);
  const BlockReference block = f.write(9);
  f.rot(f.first, block);
  TestRead read(block);
  f.cold(read);
  f.run();
  CHECK(read.good());
  CHECK(f.first.writes == 1);
  CHECK_FALSE(f.alike(block));
  CHECK(f.grid->counters().reads_mirror == 1);
  CHECK(f.grid->counters().repairs == 0);
}

TEST_CASE("a repair is tried again, and given up without harm to the answer", "[mirror]") {
  for (const u32 failing : {1U, tries}) {
    MarksSeen marks;
    Mirrored f;
    const BlockReference block = f.write(9);
    f.rot(f.first, block);
    f.first.writes_failing = failing;
    TestRead read(block);
    f.cold(read);
    f.run();
    CHECK(read.good());
    CHECK(f.alike(block) == (failing < tries));
    CHECK(f.grid->counters().repairs == (failing < tries ? 1 : 0));
    CHECK(f.grid->counters().repairs_failed == (failing < tries ? 0 : 1));
    CHECK(marks[Mark::grid_repair_failed] == (failing < tries ? 0 : 1));
    CHECK(f.grid->idle());
  }
}

TEST_CASE("the next read in line goes on while a block is being repaired", "[mirror]") {
  Mirrored f(1, 1);
  const BlockReference block = f.write(1);
  const BlockReference other = f.write(2);
  f.rot(f.first, block);
  TestRead damaged(block), waiting(other);
  f.cold(damaged);
  f.cold(waiting);
  f.run();
  CHECK(damaged.good());
  CHECK(waiting.good());
  CHECK(damaged.fill == std::byte{1});
  CHECK(waiting.fill == std::byte{2});
  CHECK(f.alike(block));
}

TEST_CASE("a block that somebody visits is not written again by a read", "[mirror]") {
  MarksSeen marks;
  Mirrored f;
  const BlockReference block = f.write(9);
  f.rot(f.first, block);
  TestVisit visit(block.address);
  REQUIRE(f.grid->visit_begin(visit.visit));
  TestRead read(block);
  f.cold(read);
  CHECK_FALSE(f.grid->may_repair(visit.visit));  // It is being read.
  f.run();
  CHECK(read.good());
  CHECK(f.first.writes == 1);
  CHECK(f.grid->counters().repairs_left == 1);
  CHECK(marks[Mark::grid_repair_left] == 1);
  CHECK(f.grid->may_repair(visit.visit));
  TestVisit second(block.address);
  REQUIRE(f.grid->visit_begin(second.visit));
  CHECK_FALSE(f.grid->may_repair(visit.visit));  // Two are there.
  f.grid->visit_end(second.visit);
  CHECK(f.grid->may_repair(visit.visit));
  f.grid->visit_end(visit.visit);
  CHECK(visit.begun == 0);
}

TEST_CASE("what a visitor writes again is read from it", "[mirror]") {
  Mirrored f;
  const BlockReference block = f.write(9);
  TestVisit visit(block.address);
  REQUIRE(f.grid->visit_begin(visit.visit));
  REQUIRE(f.grid->may_repair(visit.visit));
  AlignedBlock copy;
  std::memcpy(copy.bytes, f.at(f.first, block), TestGrid::block_size);
  visit.visit.repairing = copy.bytes;
  TestRead read(block), own(block);
  own.read.buffer = own.buffer.bytes;
  f.cold(read);
  f.cold(own);
  CHECK(read.good());
  CHECK(own.good());
  CHECK(f.first.reads == 0);
  // Another visitor waits until it is done.
  TestVisit waiting(block.address);
  REQUIRE_FALSE(f.grid->visit_begin(waiting.visit));
  CHECK(waiting.begun == 0);
  f.grid->visit_end(visit.visit);
  CHECK(waiting.begun == 1);
  f.grid->visit_end(waiting.visit);
}

TEST_CASE("a visitor waits for the repair of a read", "[mirror]") {
  Mirrored f;
  const BlockReference block = f.write(9);
  const BlockReference other = f.write(8);
  f.rot(f.first, block);
  TestRead read(block);
  f.cold(read);
  for (u32 i = 0; i < tries; ++i) f.first.complete();
  f.mirror.complete();
  REQUIRE(f.first.requests.size() == 1);
  TestVisit visit(block.address), elsewhere(other.address);
  REQUIRE_FALSE(f.grid->visit_begin(visit.visit));
  REQUIRE(f.grid->visit_begin(elsewhere.visit));
  CHECK(visit.begun == 0);
  f.first.complete();
  CHECK(visit.begun == 1);
  CHECK(elsewhere.begun == 0);
  CHECK(read.good());
  f.grid->visit_end(visit.visit);
  f.grid->visit_end(elsewhere.visit);
}

}  // namespace tonearm
