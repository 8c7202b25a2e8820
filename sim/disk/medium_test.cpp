#include "sim/disk/medium.h"

#include <catch2/catch.hpp>
#include <set>

namespace tonearm::sim {

namespace {

using Bytes = std::vector<std::byte>;

constexpr u32 sector = 4096;
constexpr u32 unit = 512;

Bytes filled(u64 length, u8 value) { return Bytes(length, std::byte{value}); }

struct Fixture {
  PageStore store;
  Medium medium{Image(store, 64 * sector, sector, 1), DurabilityProfile::cached, unit};
  u64 submissions = 0;

  void write(u64 index, u8 value, Durability durability = Durability::on_sync) {
    const Bytes bytes = filled(sector, value);
    medium.complete({.submission = submissions++, .offset = index * sector, .data = bytes}, durability);
  }
  void sync() { medium.make_durable(medium.position()); }
  void fail(std::vector<Fate> fates) { medium.fail(medium.position(), fates); }
  void crash(const std::vector<Fate>& fates) {
    std::vector<MediumWrite> writes;
    for (u64 i = 0; i < medium.logged_count(); ++i) writes.push_back(medium.logged(i));
    medium.crash(writes, fates);
  }
  Bytes read(u64 index) const { return read(medium.image(), index); }
  static Bytes read(const Image& image, u64 index) {
    Bytes bytes(sector);
    image.read(index * sector, bytes);
    return bytes;
  }
};

constexpr Fate lost{.outcome = CrashOutcome::lost, .random = 0};
constexpr Fate landed{.outcome = CrashOutcome::landed, .random = 0};

}  // namespace

TEST_CASE("reads see what is not durable yet; the durable image does not", "[medium]") {
  Fixture f;
  f.write(1, 10);
  REQUIRE(f.read(1) == filled(sector, 10));
  REQUIRE_FALSE(f.medium.durable_image().written_any(sector, sector));
  f.sync();
  REQUIRE(Fixture::read(f.medium.durable_image(), 1) == filled(sector, 10));
  f.write(1, 11);
  REQUIRE(Fixture::read(f.medium.durable_image(), 1) == filled(sector, 10));
  f.crash({lost});
  REQUIRE(f.read(1) == filled(sector, 10));
}

TEST_CASE("a sync makes durable only what completed before its position", "[medium]") {
  Fixture f;
  f.write(1, 10);
  const u64 position = f.medium.position();
  f.write(2, 20);
  f.medium.make_durable(position);
  REQUIRE(f.medium.logged_count() == 1);
  f.medium.make_durable(position);
  REQUIRE(f.medium.logged_count() == 1);
  f.crash({lost});
  REQUIRE(f.read(1) == filled(sector, 10));
  REQUIRE_FALSE(f.medium.image().written_any(2 * sector, sector));
}

TEST_CASE("an older write never undoes a newer one that landed", "[medium]") {
  Fixture f;
  f.write(1, 10);
  f.sync();
  f.write(1, 11);
  f.write(1, 12);
  SECTION("older landed, newer lost") {
    f.crash({landed, lost});
    REQUIRE(f.read(1) == filled(sector, 11));
  }
  SECTION("older lost, newer landed") {
    f.crash({lost, landed});
    REQUIRE(f.read(1) == filled(sector, 12));
  }
  SECTION("both lost") {
    f.crash({lost, lost});
    REQUIRE(f.read(1) == filled(sector, 10));
  }
  SECTION("a write through the cache over both") {
    f.write(1, 13, Durability::on_completion);
    f.crash(std::vector<Fate>(f.medium.logged_count(), landed));
    REQUIRE(f.read(1) == filled(sector, 13));
  }
}

// Sectors 1 and 2 are a block.
TEST_CASE("what a shorter block leaves behind it is nobody's only if it lands", "[medium]") {
  for (const Fate& fate : {lost, landed}) {
    for (const bool crash : {false, true}) {
      Fixture f;
      f.write(1, 10);
      f.write(2, 10);
      f.sync();
      const Bytes bytes = filled(sector, 11);
      f.medium.complete({.submission = 9, .offset = sector, .data = bytes, .tail = sector},
                        Durability::on_sync);
      REQUIRE_FALSE(f.medium.image().owned_any(2 * sector, sector));
      REQUIRE(f.medium.durable_image().owned_any(2 * sector, sector));
      crash ? f.crash({fate}) : f.fail({fate});
      const bool gone = fate.outcome == CrashOutcome::landed;
      REQUIRE(f.read(1) == filled(sector, gone ? 11 : 10));
      REQUIRE(f.read(2) == filled(sector, 10));
      REQUIRE(f.medium.image().owned_any(2 * sector, sector) != gone);
      REQUIRE(f.medium.durable_image().owned_any(2 * sector, sector) != gone);
    }
  }
}

TEST_CASE("rot does not make somebody's what is nobody's", "[medium]") {
  Fixture f;
  f.write(2, 10);
  const Bytes bytes = filled(sector, 11);
  f.medium.complete({.submission = 9, .offset = sector, .data = bytes, .tail = sector}, Durability::on_sync);
  f.sync();
  f.medium.overwrite(2 * sector, filled(unit, 12));
  REQUIRE_FALSE(f.medium.image().owned_any(2 * sector, sector));
  REQUIRE_FALSE(f.medium.durable_image().owned_any(2 * sector, sector));
  REQUIRE(f.read(2) != filled(sector, 10));
}

TEST_CASE("tears are subsets of units, all of them, and garbage is one unit", "[medium]") {
  std::set<u64> masks;
  std::set<u64> garbage_units;
  for (u64 key = 0; key < 4000; ++key) {
    for (const CrashOutcome outcome : {CrashOutcome::torn, CrashOutcome::torn_garbage}) {
      Fixture f;
      f.write(1, 10);
      f.sync();
      f.write(1, 11);
      f.crash({{.outcome = outcome, .random = remix(5, key)}});
      const Bytes bytes = f.read(1);
      u64 mask = 0;
      u64 garbage = 0;
      for (u64 i = 0; i < sector / unit; ++i) {
        const Bytes part(bytes.begin() + i * unit, bytes.begin() + (i + 1) * unit);
        if (part == filled(unit, 11)) {
          mask |= u64{1} << i;
        } else if (part != filled(unit, 10)) {
          ++garbage;
          garbage_units.insert(i);
        }
      }
      REQUIRE(garbage == (outcome == CrashOutcome::torn_garbage ? 1 : 0));
      if (outcome == CrashOutcome::torn) masks.insert(mask);
    }
  }
  REQUIRE(masks.size() == 256);
  REQUIRE(garbage_units.size() == 8);
}

TEST_CASE("a failed sync decides what it covered, now and for good", "[medium]") {
  Fixture f;
  f.write(1, 10);
  f.write(2, 20);
  f.sync();
  f.write(1, 11);
  f.write(2, 21);
  f.write(3, 31);
  const u64 position = f.medium.position();
  f.write(2, 22);
  f.medium.fail(position, std::vector<Fate>{lost, lost, lost});
  REQUIRE(f.read(1) == filled(sector, 10));
  REQUIRE(f.read(2) == filled(sector, 22));  // Newer than the sync: still in the cache.
  REQUIRE_FALSE(f.medium.image().written_any(3 * sector, sector));
  REQUIRE(f.medium.logged_count() == 1);
  REQUIRE(Fixture::read(f.medium.durable_image(), 2) == filled(sector, 20));

  SECTION("a later sync says nothing about them") {
    f.sync();
    REQUIRE(f.read(1) == filled(sector, 10));
    REQUIRE(Fixture::read(f.medium.durable_image(), 2) == filled(sector, 22));
  }
  SECTION("a crash undoes only the newer one") {
    f.crash({lost});
    REQUIRE(f.read(2) == filled(sector, 20));
  }
}

TEST_CASE("writes of less or more than a page are undecided like those of one", "[medium]") {
  Fixture f;
  const auto write = [&f](u64 offset, u64 length, u8 value) {
    const Bytes bytes = filled(length, value);
    f.medium.complete({.submission = f.submissions++, .offset = offset, .data = bytes}, Durability::on_sync);
  };
  write(sector + unit, 3 * unit, 1);
  write(2 * sector, 2 * sector, 2);
  write(4 * sector, sector, 3);
  const u64 position = f.medium.position();
  write(3 * sector, sector, 4);
  write(sector + unit, unit, 5);
  const auto durable = [&f](u64 offset) {
    Bytes bytes(unit);
    f.medium.durable_image().read(offset, bytes);
    return bytes;
  };
  f.medium.make_durable(position);
  REQUIRE(f.medium.logged_count() == 2);
  CHECK(durable(sector + unit) == filled(unit, 1));
  CHECK(durable(3 * sector) == filled(unit, 2));
  CHECK(durable(4 * sector) == filled(unit, 3));
  CHECK_FALSE(f.medium.durable_image().written_any(sector, unit));
  f.crash({lost, landed});
  CHECK(f.read(2) == filled(sector, 2));
  CHECK(f.read(3) == filled(sector, 2));
  CHECK(durable(sector + unit) == filled(unit, 5));
  CHECK(durable(sector + 2 * unit) == filled(unit, 1));
}

TEST_CASE("a full cache writes its older half back", "[medium]") {
  Fixture f;
  for (u64 i = 0; i < 5000; ++i) {
    f.write(i % 64, static_cast<u8>(i));
    REQUIRE(f.medium.logged_count() <= 4096);
  }
  REQUIRE(f.medium.position() == 5000);
  f.crash(std::vector<Fate>(f.medium.logged_count(), lost));
  REQUIRE(f.medium.image().written(0, 64 * sector));
}

}  // namespace tonearm::sim
