// Requests of a superblock that fail, and copies that are read otherwise than they are.
#include <algorithm>
#include <catch2/catch.hpp>

#include "storage/test_superblock.h"

namespace tonearm {
namespace {

TEST_CASE("failed requests are tried again, within a bound") {
  Disk disk;
  Process process(disk.storage);
  SECTION("a read that fails twice") {
    process.tap.reads_failing = {2, 0, 2, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.tap.writes == 0);
  }
  SECTION("copies that cannot be read are written again") {
    Marks marks;
    process.tap.reads_failing = {6, 0, 6, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.op() == 10);
    REQUIRE(process.tap.writes == 2);
    REQUIRE(marks.seen.count(Mark::superblock_copy_repaired) == 2);
    REQUIRE(marks.seen.count(Mark::superblock_torn_at_open) == 0);
  }
  SECTION("three copies lost are too many") {
    process.tap.reads_failing = {3, 3, 3, 0};
    REQUIRE(process.open() == ErrorKind::quorum_lost);
    REQUIRE(process.tap.writes == 0);
  }
  SECTION("a repair that goes on failing") {
    process.tap.reads_failing = {6, 0, 0, 0};
    process.tap.writes_failing = {3, 0, 0, 0};
    REQUIRE(process.open() == ErrorKind::write_failed);
    REQUIRE(reopen(disk.storage) == 10);
  }
  SECTION("a checkpoint's write that fails twice") {
    REQUIRE(process.open() == ErrorKind::none);
    process.tap.writes_failing = {2, 1, 0, 2};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(process.op() == 20);
  }
  SECTION("a checkpoint's write that goes on failing") {
    REQUIRE(process.open() == ErrorKind::none);
    process.tap.writes_failing = {0, 3, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::write_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(reopen(disk.storage) == 10);
  }
}

// What a reader was given once may not be what is there: nothing is written on the strength of it.
TEST_CASE("copies are read again before one is written over") {
  Disk disk;
  Process process(disk.storage);
  const auto reads = [&] {
    return std::count(process.tap.purposes.begin(), process.tap.purposes.end(), IoPurpose::superblock_read);
  };
  Marks marks;
  SECTION("not if all are right") {
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(reads() == 4);
  }
  SECTION("a copy that could not be read once is left alone") {
    process.tap.reads_failing = {3, 0, 3, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.tap.writes == 0);
    REQUIRE(reads() == 4 + 4 + 4);
    REQUIRE(marks.seen.count(Mark::superblock_misread_at_open) == 0);
  }
  SECTION("one that is wrong is read twice") {
    process.overwrite(0, std::vector<std::byte>(512));
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.tap.writes == 1);
    REQUIRE(reads() == 4 + 4);
    REQUIRE(marks.seen.count(Mark::superblock_misread_at_open) == 0);
  }
  SECTION("another one than before: until two readings agree") {
    process.overwrite(0, std::vector<std::byte>(512));
    process.tap.reads_failing = {0, 0, 3, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.tap.writes == 1);
    REQUIRE(reads() == 6 + 4 + 4);
    REQUIRE(marks.seen.count(Mark::superblock_misread_at_open) == 1);
  }
  SECTION("no two readings agree") {
    process.overwrite(0, std::vector<std::byte>(512));
    process.tap.reads_failing_after = 4;
    process.tap.reads_failing = {0, 0, 3, 0};
    REQUIRE(process.open() == ErrorKind::quorum_lost);
    REQUIRE(process.tap.writes == 0);
    REQUIRE(reads() == 4 + 6 + 4);
    REQUIRE(reopen(disk.storage) == 10);
  }
  SECTION("a quorum that is not there the second time") {
    process.overwrite(0, std::vector<std::byte>(512));
    process.overwrite(superblock_copy_size, std::vector<std::byte>(512));
    process.tap.reads_failing_after = 4;
    process.tap.reads_failing = {0, 0, 3, 0};
    REQUIRE(process.open() == ErrorKind::quorum_lost);
    REQUIRE(process.tap.writes == 0);
    REQUIRE(reads() == 4 + 6);
  }
}

TEST_CASE("a checkpoint needs three copies that read back good") {
  Disk disk;
  Process process(disk.storage);
  REQUIRE(process.open() == ErrorKind::none);
  SECTION("three") {
    process.tap.reads_failing = {0, 3, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(process.op() == 20);
  }
  SECTION("three, and an older one") {
    process.tap.writes_lost = {0, 1, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(reopen(disk.storage) == 20);
  }
  SECTION("none: every write was lost") {
    process.tap.writes_lost = {1, 1, 1, 1};
    REQUIRE(process.checkpoint(20) == ErrorKind::checkpoint_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(reopen(disk.storage) == 10);
  }
  SECTION("two") {
    process.tap.reads_failing = {0, 3, 0, 3};
    REQUIRE(process.checkpoint(20) == ErrorKind::checkpoint_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(process.superblock->error().kind == ErrorKind::checkpoint_failed);
    REQUIRE(reopen(disk.storage) == 20);
  }
}

}  // namespace
}  // namespace tonearm
