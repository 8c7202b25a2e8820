#include <array>
#include <catch2/catch.hpp>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>

#include "sim/disk/death.h"
#include "sim/disk/disk_fixture.h"

namespace tonearm::sim {

namespace {

DiskOptions cached(u64 seed = 1) {
  return {.sector_size = 512,
          .block_size = 4096,
          .blocks_count = 256,
          .read = {.latency_ticks_mean = 50},
          .write = {.latency_ticks_mean = 50},
          .sync = {.latency_ticks_mean = 50},
          .profile = DurabilityProfile::cached,
          .seed = seed};
}

constexpr IoTag sync_tag{.purpose = IoPurpose::checkpoint_sync};

// The n-th sync of the operation is to fail.
FiredFault failing(u64 op, u32 n) {
  return {.attribution = {.op = {.number = op}},
          .tag = sync_tag,
          .n = n,
          .fault = {.kind = FaultKind::failed_sync}};
}
const Attribution crash_line{.op = {.number = 100}};

std::vector<CrashWrite> crash_writes(std::initializer_list<CrashOutcome> outcomes) {
  std::vector<CrashWrite> writes;
  for (const CrashOutcome outcome : outcomes) {
    writes.push_back({.write = static_cast<u16>(writes.size()), .outcome = outcome});
  }
  return writes;
}

}  // namespace

TEST_CASE("a crash that says which units land", "[sim_storage][crash]") {
  Disk disk(cached());
  disk.write(1, 10);
  disk.write(2, 20);
  disk.run();
  disk.sync();
  disk.run();
  for (u8 i = 0; i < 3; ++i) disk.write(1, 11 + i), disk.run();
  disk.write(2, 21);
  REQUIRE(disk.storage.undurable().size() == 4);
  CHECK(disk.storage.undurable()[3].offset == disk.storage.grid_offset() + 4096);
  const CrashWrite writes[] = {
      {.write = 0, .outcome = CrashOutcome::lost},
      {.units = 0x85, .write = 1, .outcome = CrashOutcome::torn, .exact = true},
      {.units = 0x2, .write = 2, .outcome = CrashOutcome::torn_garbage, .exact = true, .garbage = 7},
      {.write = 3, .outcome = CrashOutcome::torn, .exact = true}};
  disk.storage.crash(crash_line, writes);
  const auto unit = [&disk](u64 address, u64 number) {
    std::array<std::byte, 512> bytes;
    disk.storage.image().read(disk.storage.grid_offset() + (address - 1) * 4096 + number * 512, bytes);
    return bytes;
  };
  for (const auto& [at, value] : {std::pair{0, 12}, {1, 13}, {2, 12}, {3, 10}, {6, 10}}) {
    CHECK(unit(1, at)[5] == std::byte(value));
  }
  CHECK(unit(1, 7)[5] != unit(1, 7)[6]);  // Neither old nor new.
  CHECK(disk.block(2) == 20);
}

TEST_CASE("a crash leaves a sector unreadable, until it is written or healed", "[sim_storage][crash]") {
  for (const bool healed : {false, true}) {
    Disk disk(cached());
    disk.write(1, 10);
    disk.run();
    disk.sync();
    disk.run();
    disk.write(1, 11);
    const CrashWrite outcome[] = {
        {.units = 0x1, .write = 0, .outcome = CrashOutcome::torn_unreadable, .exact = true, .garbage = 7}};
    disk.storage.crash(crash_line, outcome);
    CHECK(disk.storage.last_crash()[0] == outcome[0]);
    CHECK(disk.storage.damaged(1, 4096));
    std::array<std::byte, 4096> bytes;
    disk.storage.truth().read(disk.storage.grid_offset(), bytes);
    CHECK(bytes[0] == std::byte{11});
    CHECK(bytes[512] == std::byte{10});
    CHECK(bytes[7 * 512] != bytes[7 * 512 + 1]);  // Garbage in the truth as well: a crash may do that.
    if (healed) {
      disk.storage.heal();
    } else {
      disk.write(1, 12);
      disk.run();
    }
    CHECK_FALSE(disk.storage.damage());
  }
}

// Which writes they are is as on a disk where nothing else can go wrong.
TEST_CASE("garbage is unreadable by chance where unreadable faults are, and a line can say so",
          "[sim_storage][crash]") {
  u64 unreadable = 0;
  for (u64 line = 1; line <= 200; ++line) {
    DiskOptions options = cached();
    Disk plain(options);
    options.faults[FaultKind::unreadable].ratio = {1, ~u32{0}};
    Disk faulty(options);
    Disk silent(options);
    for (Disk* disk : {&plain, &faulty, &silent}) {
      for (u8 address = 1; address <= 20; ++address) disk->write(address, address);
      disk->storage.crash({.op = {.number = line}, .context = 0}, {}, disk == &faulty);
    }
    for (u32 i = 0; i < crash_writes_max; ++i) {
      CrashWrite outcome = faulty.storage.last_crash()[i];
      if (outcome.outcome == CrashOutcome::torn_unreadable) {
        ++unreadable;
        outcome.outcome = CrashOutcome::torn_garbage;
      }
      REQUIRE(outcome == plain.storage.last_crash()[i]);
      REQUIRE(silent.storage.last_crash()[i] == plain.storage.last_crash()[i]);
    }
  }
  CHECK(unreadable > 0);
}

TEST_CASE("what happens to a disk is observed", "[sim_storage]") {
  struct Seen final : DiskObserver {
    void before_read(u64 begin, u64 end) override {
      text += "r" + std::to_string(begin / 4096) + " ";
      if (settled.empty()) return;
      REQUIRE(end - begin == settled.size());
      storage->settle(begin, settled);
    }
    void write_submitted(u64 begin, u64 /*end*/) override {
      text += "s" + std::to_string(begin / 4096) + " ";
    }
    void write_completed(u64 begin, u64 /*end*/) override {
      text += "w" + std::to_string(begin / 4096) + " ";
    }
    void became_durable(u64 begin, u64 /*end*/) override { text += "d" + std::to_string(begin / 4096) + " "; }
    std::string text;
    SimStorage* storage = nullptr;
    Disk::Bytes settled;
  };
  Disk disk(cached());
  const u64 first = disk.storage.grid_offset() / 4096;
  const auto place = [first](u64 address) { return std::to_string(first + address - 1) + " "; };
  Seen seen;
  seen.storage = &disk.storage;
  disk.storage.set_observer(&seen);
  disk.write(1, 10);
  CHECK(seen.text == "s" + place(1));
  disk.run();
  CHECK(seen.text == "s" + place(1) + "w" + place(1));
  disk.sync();
  disk.run();
  CHECK(seen.text == "s" + place(1) + "w" + place(1) + "d" + place(1));
  seen.text.clear();
  seen.settled = Disk::filled(4096, 77);
  Disk::Io& io = disk.read(1);
  disk.run();
  CHECK(seen.text == "r" + place(1));
  CHECK(io.bytes == seen.settled);
  CHECK(disk.block(disk.storage.durable_image(), 1) == 77);
}

SCENARIO("a volatile cache loses what was not synced", "[sim_storage][crash]") {
  GIVEN("a synced write, an unsynced one over it, and one written through") {
    Disk disk(cached());
    disk.write(1, 10);
    disk.write(2, 20);
    disk.run();
    disk.sync();
    disk.run();
    REQUIRE(disk.storage.writes_undurable() == 0);
    disk.write(1, 11);
    disk.write(3, 30);
    disk.write(4, 40, {.purpose = IoPurpose::superblock_write}, Zone::grid, Durability::on_completion);
    disk.run();
    REQUIRE(disk.block(1) == 11);
    REQUIRE(disk.storage.writes_undurable() == 2);
    const Image durable = disk.storage.durable_image();
    REQUIRE(disk.block(durable, 1) == 10);
    REQUIRE(disk.block(durable, 4) == 40);

    WHEN("all is lost") {
      const std::vector<CrashWrite> outcomes = crash_writes({CrashOutcome::lost, CrashOutcome::lost});
      disk.storage.crash(crash_line, outcomes);
      REQUIRE(disk.block(1) == 10);
      REQUIRE(disk.block(2) == 20);
      REQUIRE_FALSE(disk.block_written(3));
      REQUIRE(disk.block(4) == 40);
      REQUIRE(disk.storage.fault_count(FaultKind::lost_at_crash) == 2);
      REQUIRE(disk.storage.faults_armed().of(FaultKind::lost_at_crash) == 2);
      REQUIRE(dies([&] { disk.read(3); }));
    }
    WHEN("outcomes are mixed, by order of submission") {
      const std::vector<CrashWrite> outcomes = crash_writes({CrashOutcome::landed, CrashOutcome::lost});
      disk.storage.crash(crash_line, outcomes);
      REQUIRE(disk.block(1) == 11);
      REQUIRE_FALSE(disk.block_written(3));
    }
    WHEN("one is torn") {
      const std::vector<CrashWrite> outcomes =
          crash_writes({CrashOutcome::torn_garbage, CrashOutcome::landed});
      disk.storage.crash(crash_line, outcomes);
      REQUIRE(disk.block(1) == -1);
      REQUIRE(disk.block(3) == 30);
      REQUIRE(disk.storage.fault_count(FaultKind::torn_write) == 1);
    }
  }
}

TEST_CASE("a sync covers only what completed before it was submitted", "[sim_storage][crash]") {
  DiskOptions options = cached();
  options.policy = CompletionPolicy::lifo;
  Disk disk(options);
  disk.write(1, 10);
  disk.sync();
  disk.run();  // Last in first out: the sync completes first.
  REQUIRE(disk.order == std::vector<u32>{1, 0});
  REQUIRE(disk.storage.writes_undurable() == 1);

  options.policy = CompletionPolicy::fifo;
  disk.storage.reconfigure(options);
  disk.write(2, 20);
  disk.sync();  // The write completes before the sync does, but after it was submitted.
  disk.run();
  REQUIRE(disk.storage.writes_undurable() == 1);
  disk.sync();
  disk.run();
  REQUIRE(disk.storage.writes_undurable() == 0);
}

TEST_CASE("a crash drops the queues and decides the writes in flight", "[sim_storage][crash]") {
  for (const DurabilityProfile profile : {DurabilityProfile::durable, DurabilityProfile::cached}) {
    DiskOptions options = cached();
    options.profile = profile;
    options.queue_depth = 2;
    Disk disk(options);
    disk.write(1, 10);
    disk.run();
    disk.sync();
    disk.run();
    disk.order.clear();
    disk.write(1, 11);
    disk.write(2, 21);
    disk.write(3, 31);  // Waits for the device.
    disk.sync();
    Disk::Io& tick = disk.next_tick();
    REQUIRE(disk.storage.writes_undurable() == 3);
    const std::vector<CrashWrite> outcomes =
        crash_writes({CrashOutcome::landed, CrashOutcome::lost, CrashOutcome::landed});
    disk.storage.crash(crash_line, outcomes);
    disk.ios.clear();  // The nodes die with the engine.
    (void)tick;
    REQUIRE_FALSE(disk.storage.pending());
    REQUIRE_FALSE(disk.storage.step());
    REQUIRE(disk.order.empty());
    REQUIRE(disk.block(1) == 11);
    REQUIRE_FALSE(disk.block_written(2));
    REQUIRE(disk.block(3) == 31);
    disk.write(2, 22);
    disk.run();
    REQUIRE(disk.block(2) == 22);
  }
}

TEST_CASE("under the durable profile a completed write survives every crash", "[sim_storage][crash]") {
  for (u64 seed = 1; seed <= 50; ++seed) {
    DiskOptions options = cached(seed);
    options.profile = DurabilityProfile::durable;
    Disk disk(options);
    for (u64 i = 1; i <= 8; ++i) disk.write(i, static_cast<u8>(i));
    disk.run();
    REQUIRE(disk.storage.writes_undurable() == 0);
    disk.storage.crash(crash_line);
    for (u64 i = 1; i <= 8; ++i) REQUIRE(disk.block(i) == static_cast<int>(i));
  }
}

// Counts over keys: each outcome must occur, and so must the extremes that independent draws never give.
TEST_CASE("drawn crashes lose, land and tear, singly and all together", "[sim_storage][crash]") {
  u32 lost = 0;
  u32 landed = 0;
  u32 torn = 0;
  u32 all_lost = 0;
  u32 all_landed = 0;
  std::set<std::vector<int>> images;
  for (u64 number = 0; number < 300; ++number) {
    Disk disk(cached());
    for (u64 i = 1; i <= 16; ++i) disk.write(i, 1);
    disk.run();
    disk.sync();
    disk.run();
    for (u64 i = 1; i <= 16; ++i) disk.write(i, 2);
    for (u32 i = 0; i < 8; ++i) disk.storage.step();
    disk.storage.crash({.op = {.number = number}});
    std::vector<int> image;
    for (u64 i = 1; i <= 16; ++i) image.push_back(disk.block(i));
    const auto count = [&image](int value) {
      return static_cast<u32>(std::count(image.begin(), image.end(), value));
    };
    lost += count(1);
    landed += count(2);
    torn += count(-1);
    all_lost += count(1) == 16 ? 1 : 0;
    all_landed += count(2) == 16 ? 1 : 0;
    images.insert(image);
    REQUIRE(disk.storage.faults_armed().of(FaultKind::torn_write) == 16);
    REQUIRE(disk.storage.fault_count(FaultKind::torn_write) >= count(-1));
  }
  REQUIRE(lost > 500);
  REQUIRE(landed > 500);
  REQUIRE(torn > 300);
  REQUIRE(all_lost > 10);
  REQUIRE(all_landed > 10);
  REQUIRE(images.size() > 100);
}

TEST_CASE("a failed sync decides what it covered; a later one says nothing about it",
          "[sim_storage][fault]") {
  u32 lost = 0;
  u32 landed = 0;
  u32 torn = 0;
  for (u64 seed = 1; seed <= 100; ++seed) {
    Disk disk(cached(seed));
    disk.storage.set_attribution({.op = {.number = 17}});
    disk.storage.strike(failing(17, 1));
    disk.write(1, 10);
    disk.run();
    Disk::Io& good = disk.sync();
    disk.run();
    REQUIRE(good.sync.result == IoResult::ok);
    disk.write(1, 11);
    disk.write(2, 21);
    disk.run();
    Disk::Io& bad = disk.sync();
    disk.run();
    REQUIRE(bad.sync.result == IoResult::failed);
    REQUIRE(disk.storage.fault_count(FaultKind::failed_sync) == 1);
    REQUIRE(disk.storage.faults_armed().of(FaultKind::failed_sync) == 1);
    REQUIRE(disk.storage.explicit_faults_waiting() == 0);
    REQUIRE(disk.storage.writes_undurable() == 0);
    const int decided = disk.block(1);
    lost += decided == 10 ? 1 : 0;
    landed += decided == 11 ? 1 : 0;
    torn += decided == -1 ? 1 : 0;
    Disk::Bytes before(4096);
    disk.storage.image().read(disk.storage.grid_offset(), before);

    // The engine that is told so may still read what was lost under it.
    disk.read(2);
    Disk::Io& after = disk.sync();
    disk.run();
    REQUIRE(after.sync.result == IoResult::ok);
    disk.storage.crash(crash_line);
    Disk::Bytes now(4096);
    disk.storage.image().read(disk.storage.grid_offset(), now);
    REQUIRE(now == before);
  }
  REQUIRE(lost > 15);
  REQUIRE(landed > 15);
  REQUIRE(torn > 15);
}

TEST_CASE("syncs fail with their probability, keyed by their identity", "[sim_storage][fault]") {
  DiskOptions options = cached();
  options.faults[FaultKind::failed_sync].ratio = {.numerator = 1, .denominator = 10};
  const auto failures = [&options](bool more) {
    Disk disk(options);
    std::vector<u64> failed;
    for (u64 number = 0; number < 500; ++number) {
      disk.storage.set_attribution({.op = {.number = number}});
      if (more) disk.write(1, 1);
      Disk::Io& sync = disk.sync();
      disk.run();
      if (sync.sync.result == IoResult::failed) failed.push_back(number);
    }
    REQUIRE(disk.storage.faults_armed().of(FaultKind::failed_sync) == 500);
    REQUIRE(disk.storage.fault_count(FaultKind::failed_sync) == failed.size());
    return failed;
  };
  const std::vector<u64> failed = failures(false);
  REQUIRE(failed.size() > 25);
  REQUIRE(failed.size() < 80);
  REQUIRE(failed == failures(true));
}

TEST_CASE("an explicit fault whose request never comes is left waiting", "[sim_storage][fault]") {
  Disk disk(cached());
  disk.storage.strike(failing(3, 0));
  REQUIRE(disk.sync().id == 0);
  disk.run();
  REQUIRE(disk.ios[0]->sync.result == IoResult::ok);
  REQUIRE(disk.storage.explicit_faults_waiting() == 1);
  REQUIRE(disk.storage.faults_armed().of(FaultKind::failed_sync) == 0);
}

}  // namespace tonearm::sim
