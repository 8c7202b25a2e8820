// Each kind of fault bites: what is delivered, or left on the medium, is what the kind promises.
#include <catch2/catch.hpp>

#include <set>

#include "sim/disk/faulty_fixture.h"

namespace tonearm::sim {
namespace {

TEST_CASE("fault: a read error comes as often as it says, then the block is read", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.strike(read_tag, 0, {.kind = FaultKind::read_error, .times = 3});
  for (u32 i = 1; i <= 3; ++i) {
    REQUIRE(disk.read_now(3) == -1);
    REQUIRE(disk.storage.bad_reads(3) == i);
  }
  REQUIRE(disk.read_now(3) == 30);
  disk.storage.begin_deliveries();
  REQUIRE(disk.storage.bad_reads(3) == 0);
  REQUIRE_FALSE(disk.storage.damage());
  REQUIRE(disk.storage.fault_count(FaultKind::read_error) == 1);
}

TEST_CASE("fault: a write that fails leaves the old, the new or a mixture, in the truth too", "[fault]") {
  std::set<int> seen;
  for (u64 random = 1; random <= 60; ++random) {
    FaultyDisk disk(small());
    REQUIRE(disk.write_now(3, 30));
    disk.strike(write_tag, 1, {.kind = FaultKind::write_error, .times = 2, .random = random});
    REQUIRE_FALSE(disk.write_now(3, 31));
    seen.insert(disk.read_now(3));
    REQUIRE(disk.storage.bad_writes(3) == 1);
    REQUIRE(disk.block(3) == disk.truth(3));
    REQUIRE_FALSE(disk.damaged(3));
    REQUIRE_FALSE(disk.write_now(3, 32));
    REQUIRE(disk.write_now(3, 33));
    REQUIRE(disk.read_now(3) == 33);
    disk.storage.begin_deliveries();
    REQUIRE(disk.storage.bad_writes(3) == 0);
  }
  REQUIRE(seen == std::set<int>{-2, 30, 31});
}

TEST_CASE("fault: a corrupt transfer damages one delivery, not the medium", "[fault]") {
  for (u32 shape = 0; shape < rot_shape_count; ++shape) {
    FaultyDisk disk(small());
    disk.write_now(3, 30);
    disk.write_now(4, 40);
    if (static_cast<RotShape>(shape) == RotShape::swapped) continue;  // Of equal units: no change.
    const Fault fault{
        .kind = FaultKind::corrupt_transfer, .shape = static_cast<RotShape>(shape), .at = 1000, .to = 4};
    disk.strike(read_tag, 0, fault);
    CAPTURE(rot_shape_name(fault.shape));
    REQUIRE(disk.read_now(3) == -2);
    REQUIRE(disk.storage.bad_reads(3) == 1);
    REQUIRE_FALSE(disk.damaged(3));
    REQUIRE(disk.read_now(3) == 30);
  }
}

TEST_CASE("fault: what the scrubber is told ends no streak of another reader", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  for (const u32 n : {0U, 1U}) disk.strike(read_tag, n, {.kind = FaultKind::corrupt_transfer});
  REQUIRE(disk.read_now(3) == -2);
  disk.read(3, {.purpose = IoPurpose::scrub});
  disk.run();
  REQUIRE(disk.storage.bad_reads(3) == 1);
  REQUIRE(disk.read_now(3) == -2);
  REQUIRE(disk.storage.bad_reads(3) == 2);
}

TEST_CASE("fault: an unreadable sector fails until it is written", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.write_now(4, 40);
  disk.strike(write_tag, 2, {.kind = FaultKind::unreadable, .sectors = 2, .at = 7 * 512});
  disk.write_now(3, 31);
  for (u32 i = 0; i < 20; ++i) {
    REQUIRE(disk.read_now(3) == -1);
    REQUIRE(disk.read_now(4) == -1);  // The burst goes on there.
  }
  REQUIRE(disk.storage.bad_reads(3) == 20);
  REQUIRE((disk.damaged(3) && disk.damaged(4) && disk.storage.damage()));
  disk.write_now(3, 32);
  REQUIRE(disk.read_now(3) == 32);
  REQUIRE(disk.read_now(4) == -1);
  disk.storage.heal();
  REQUIRE(disk.read_now(4) == 40);
  REQUIRE_FALSE(disk.storage.damage());
}

TEST_CASE("fault: rot of each shape stays until the block is written", "[fault]") {
  for (const DurabilityProfile profile : {DurabilityProfile::durable, DurabilityProfile::cached}) {
    for (u32 shape = 0; shape < rot_shape_count; ++shape) {
      if (static_cast<RotShape>(shape) == RotShape::swapped) continue;
      FaultyDisk disk(small(profile));
      disk.write_now(3, 30);
      disk.write_now(4, 40);
      CAPTURE(rot_shape_name(static_cast<RotShape>(shape)));
      disk.strike(
          read_tag, 1,
          {.kind = FaultKind::rot, .shape = static_cast<RotShape>(shape), .at = 1000, .to = 4, .mask = 7});
      REQUIRE(disk.read_now(3) == 30);
      REQUIRE(disk.read_now(3) == -2);
      REQUIRE(disk.read_now(3) == -2);
      REQUIRE(disk.storage.bad_reads(3) == 0);  // That is what the medium holds.
      REQUIRE(disk.damaged(3));
      REQUIRE(disk.truth(3) == 30);
      disk.storage.crash({.op = {.number = 18}});
      REQUIRE(disk.read_now(3) == -2);
      disk.write_now(3, 31);
      REQUIRE(disk.read_now(3) == 31);
      REQUIRE_FALSE(disk.damaged(3));
    }
  }
}

TEST_CASE("fault: only the written length of a block counts as damaged", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.strike(read_tag, 0, {.kind = FaultKind::rot, .shape = RotShape::bit, .at = 1000 * 8});
  disk.read_now(3);
  REQUIRE(disk.storage.damaged(3, 1001));
  REQUIRE_FALSE(disk.storage.damaged(3, 1000));
}

void write_short(FaultyDisk& disk, u64 address, u64 length, u8 value) {
  Disk::Io& io = disk.add();
  io.bytes = Disk::filled(length, value);
  io.write.buffer = io.bytes;
  io.write.offset = (address - 1) * disk.storage.options().block_size;
  io.write.tag = write_tag;
  io.write.done = Callback<Storage::Write&>::to<&Disk::Io::write_done>(&io);
  disk.storage.write(io.write);
  disk.run();
}

// Block 4 was longer once; behind what is written there now lie the very bytes that block 3 has in that
// place.
TEST_CASE("fault: nothing depends on what another block has left behind it", "[fault]") {
  for (const DurabilityProfile profile : {DurabilityProfile::durable, DurabilityProfile::cached}) {
    for (const FaultKind kind :
         {FaultKind::corrupt_transfer, FaultKind::rot, FaultKind::misdirected_read, FaultKind::stale_read}) {
      CAPTURE(fault_kind_name(kind));
      std::vector<u64> digests;
      std::vector<Disk::Bytes> delivered;
      for (const bool poisoned : {false, true}) {
        DiskOptions options = small(profile);
        options.poison_recycled = poisoned;
        FaultyDisk disk(options);
        disk.write_now(4, 30);
        write_short(disk, 4, 512, 40);
        disk.write_now(3, 30);
        if (kind == FaultKind::stale_read) write_short(disk, 4, 1024, 50);
        const u64 read = kind == FaultKind::stale_read ? 4 : 3;
        const Fault other{.kind = kind, .shape = RotShape::other_block, .at = 1024, .to = 4};
        disk.strike(read_tag, 0, other);
        Disk::Io& io = disk.read(read);
        disk.run();
        CHECK(disk.storage.fault_count(kind) == 1);
        CHECK(disk.damaged(3) == (kind == FaultKind::rot));
        const std::size_t written = kind == FaultKind::stale_read ? 1024 : options.block_size;
        delivered.emplace_back(io.bytes.begin(), io.bytes.begin() + static_cast<std::ptrdiff_t>(written));
        CHECK(delivered.back() != Disk::filled(written, kind == FaultKind::stale_read ? 50 : 30));
        digests.push_back(disk.trace.digests().digest);
      }
      CHECK(digests[0] == digests[1]);
      CHECK(delivered[0] == delivered[1]);
    }
  }
}

TEST_CASE("fault: a stale read brings all of a block that was longer", "[fault]") {
  for (const bool poisoned : {false, true}) {
    DiskOptions options = small();
    options.poison_recycled = poisoned;
    FaultyDisk disk(options);
    disk.write_now(3, 30);
    write_short(disk, 3, 512, 40);
    disk.strike(read_tag, 0, {.kind = FaultKind::stale_read});
    CHECK(disk.read_now(3) == 30);
  }
}

// A block is written for the second time where a shorter one has lain meanwhile, and not all of it arrives:
// behind the shorter one lie its very bytes.
TEST_CASE("fault: a write that tears over what is nobody's leaves the same in a poison twin", "[fault]") {
  enum class Tear { crash, error };
  for (const DurabilityProfile profile : {DurabilityProfile::durable, DurabilityProfile::cached}) {
    for (const Tear tear : {Tear::crash, Tear::error}) {
      u32 torn = 0;
      for (u64 random = 0; random < 32; ++random) {
        std::vector<Disk::Bytes> delivered;
        for (const bool poisoned : {false, true}) {
          DiskOptions options = small(profile);
          options.poison_recycled = poisoned;
          FaultyDisk disk(options);
          disk.write_now(3, 30);
          write_short(disk, 3, 512, 40);
          disk.sync();
          disk.run();
          if (tear == Tear::error) {
            disk.strike(write_tag, 2, {.kind = FaultKind::write_error, .times = 1, .random = random});
            CHECK_FALSE(disk.write_now(3, 30));
          } else {
            disk.write(3, 30, write_tag);
            const CrashWrite half{
                .units = static_cast<u32>(random), .outcome = CrashOutcome::torn, .exact = true};
            disk.storage.crash({}, std::span(&half, 1));
          }
          Disk::Io& io = disk.read(3);
          disk.run();
          delivered.push_back(io.bytes);
        }
        REQUIRE(delivered[0][0] == delivered[1][0]);
        if (delivered[0][0] == std::byte{40}) continue;  // The shorter block is still there.
        CHECK(std::equal(delivered[0].begin(), delivered[0].end(), delivered[1].begin()));
        ++torn;
      }
      CHECK(torn > 5);
    }
  }
}

// A repair, say, of a block that never reached the medium.
TEST_CASE("fault: a write that fails takes nothing from the truth that it would have written", "[fault]") {
  u32 torn = 0;
  for (u64 random = 0; random < 32; ++random) {
    FaultyDisk disk(small());
    disk.strike(write_tag, 0, {.kind = FaultKind::lost_write});
    CHECK(disk.write_now(3, 30));
    disk.strike(write_tag, 1, {.kind = FaultKind::write_error, .times = 1, .random = random});
    CHECK_FALSE(disk.write_now(3, 30));
    CHECK(disk.truth(3) == 30);
    const int delivered = disk.read_now(3);
    CHECK(disk.damaged(3) == (delivered != 30));
    torn += delivered == -2 ? 1 : 0;
  }
  CHECK(torn > 5);
}

TEST_CASE("fault: two units change places", "[fault]") {
  FaultyDisk disk(small());
  Disk::Io& io = disk.add();
  io.bytes = Disk::filled(4096, 30);
  io.bytes[512] = std::byte{31};
  io.write = {.buffer = io.bytes, .offset = 0, .tag = write_tag};
  io.write.done = Callback<Storage::Write&>::to<&Disk::Io::write_done>(&io);
  disk.storage.write(io.write);
  disk.run();
  disk.strike(read_tag, 0, {.kind = FaultKind::rot, .shape = RotShape::swapped, .at = 600, .to = 1024});
  Disk::Io& seen = disk.read(1);
  disk.run();
  REQUIRE(seen.bytes[512] == std::byte{30});
  REQUIRE(seen.bytes[1024] == std::byte{31});
  REQUIRE(disk.damaged(1));
}

// A reader who was given the damaged block and asks again would be told that there never was any damage.
TEST_CASE("fault: rot does not undo rot", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  for (const u32 n : {0U, 1U}) {
    disk.strike(read_tag, n, {.kind = FaultKind::rot, .shape = RotShape::bit, .at = 4000});
  }
  REQUIRE(disk.read_now(3) == -2);
  REQUIRE(disk.read_now(3) == -2);
  REQUIRE(disk.damaged(3));
  REQUIRE(disk.storage.fault_count(FaultKind::rot) == 1);
}

TEST_CASE("fault: a burst of rot takes the next block along", "[fault]") {
  FaultyDisk disk(small());
  for (u64 address = 1; address <= 10; ++address) disk.write_now(address, 7);
  disk.strike(read_tag, 0, {.kind = FaultKind::rot, .shape = RotShape::ones, .sectors = 64, .at = 512});
  disk.read_now(2);
  for (u64 address = 1; address <= 10; ++address) {
    CAPTURE(address);
    REQUIRE(disk.damaged(address) == (address >= 2));
  }
  REQUIRE(disk.block(9) == 255);
  REQUIRE(disk.block(10) == -1);  // Its first sector.
}

TEST_CASE("fault: a burst of rot that changes nothing where it strikes leaves the next block alone",
          "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(2, 255);
  disk.write_now(3, 7);
  disk.strike(read_tag, 0, {.kind = FaultKind::rot, .shape = RotShape::ones, .sectors = 64, .at = 512});
  REQUIRE(disk.read_now(2) == 255);
  REQUIRE(disk.read_now(3) == 7);
  REQUIRE(disk.storage.fault_count(FaultKind::rot) == 0);
  REQUIRE_FALSE(disk.storage.damage());
}

// Two audits of one op name their requests alike.
TEST_CASE("fault: what would change nothing waits for the next request of that name", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(2, 255);
  disk.write_now(3, 7);
  disk.strike(read_tag, 0, {.kind = FaultKind::rot, .shape = RotShape::ones, .sectors = 1, .at = 0});
  REQUIRE(disk.read_now(2) == 255);
  REQUIRE(disk.storage.explicit_faults_waiting() == 1);
  disk.storage.set_attribution({.op = {.number = op + 1}});
  disk.storage.set_attribution({.op = {.number = op}});
  REQUIRE(disk.read_now(3) == -2);
  REQUIRE(disk.storage.explicit_faults_waiting() == 0);
}

TEST_CASE("fault: a sync that lies makes nothing durable", "[fault]") {
  FaultyDisk disk(small(DurabilityProfile::cached));
  disk.write_now(3, 30);
  disk.sync();
  disk.run();
  disk.strike(sync_tag, 1, {.kind = FaultKind::lying_sync});
  disk.write_now(3, 31);
  Disk::Io& sync = disk.sync();
  disk.run();
  REQUIRE(sync.sync.result == IoResult::ok);
  REQUIRE(disk.read_now(3) == 31);
  REQUIRE(disk.block(disk.storage.durable_image(), 3) == 30);
  REQUIRE(disk.block(disk.storage.truth_durable(), 3) == 31);
  std::vector<CrashWrite> lost(4);
  for (u16 i = 0; i < lost.size(); ++i) lost[i].write = i;
  disk.storage.crash({.op = {.number = 18}}, lost);
  REQUIRE(disk.read_now(3) == 30);
  REQUIRE(disk.truth(3) == 31);
  REQUIRE(disk.damaged(3));
  disk.storage.heal();
  REQUIRE(disk.read_now(3) == 31);
}

TEST_CASE("fault: a lost write is acknowledged and not there", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.strike(write_tag, 1, {.kind = FaultKind::lost_write});
  REQUIRE(disk.write_now(3, 31));
  REQUIRE(disk.read_now(3) == 30);
  REQUIRE(disk.truth(3) == 31);
  REQUIRE(disk.damaged(3));
  REQUIRE(disk.write_now(3, 32));
  REQUIRE_FALSE(disk.damaged(3));
}

TEST_CASE("fault: a misdirected write leaves two places wrong, also in the other zone", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.write_now(4, 40);
  disk.write_now(1, 10, Zone::superblock);
  disk.strike(write_tag, 3, {.kind = FaultKind::misdirected_write, .to = 4});
  REQUIRE(disk.write_now(3, 31));
  REQUIRE(disk.read_now(3) == 30);
  REQUIRE(disk.read_now(4) == 31);
  REQUIRE((disk.damaged(3) && disk.damaged(4)));
  REQUIRE_FALSE(disk.storage.damaged_superblock(0));
  disk.strike(write_tag, 4, {.kind = FaultKind::misdirected_write, .to = 0, .superblock = true});
  REQUIRE(disk.write_now(3, 32));
  REQUIRE(disk.read_now(3) == 30);
  REQUIRE(disk.storage.damaged_superblock(0));
  disk.storage.heal();
  REQUIRE(disk.read_now(3) == 32);
  REQUIRE(disk.read_now(4) == 40);
  REQUIRE_FALSE(disk.storage.damaged_superblock(0));
}

TEST_CASE("fault: a misdirected read brings another block, once", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.write_now(4, 40);
  disk.strike(read_tag, 0, {.kind = FaultKind::misdirected_read, .to = 4});
  REQUIRE(disk.read_now(3) == 40);
  REQUIRE(disk.storage.bad_reads(3) == 1);
  REQUIRE(disk.read_now(3) == 30);
  REQUIRE_FALSE(disk.storage.damage());
}

TEST_CASE("fault: a stale read brings what the block held before, if it held anything", "[fault]") {
  FaultyDisk disk(small());
  disk.write_now(3, 30);
  disk.write_now(3, 31);
  disk.write_now(3, 32);
  disk.write_now(4, 40);
  disk.strike(read_tag, 0, {.kind = FaultKind::stale_read});
  disk.strike(read_tag, 2, {.kind = FaultKind::stale_read});
  REQUIRE(disk.read_now(3) == 31);
  REQUIRE(disk.storage.bad_reads(3) == 1);
  REQUIRE(disk.read_now(3) == 32);
  REQUIRE(disk.read_now(4) == 40);
  REQUIRE(disk.storage.explicit_faults_waiting() == 1);
}

TEST_CASE("fault: what opening is given beside the truth is remembered", "[fault]") {
  constexpr IoTag manifest_tag{.purpose = IoPurpose::manifest_read};
  FaultyDisk disk(small(DurabilityProfile::cached));
  disk.write_now(3, 30);
  disk.sync();
  disk.run();
  disk.write_now(3, 31);
  disk.strike(sync_tag, 1, {.kind = FaultKind::lying_sync});
  disk.sync();
  disk.run();
  const CrashWrite lost{.outcome = CrashOutcome::lost};
  disk.storage.crash({}, std::span(&lost, 1));
  REQUIRE(disk.truth(3) == 31);
  disk.storage.begin_deliveries();
  for (const IoTag tag : {read_tag, manifest_tag}) {
    CHECK(disk.storage.brought().empty());
    disk.read(3, tag);
    disk.run();
  }
  REQUIRE(disk.storage.brought().size() == 1);
  CHECK(disk.storage.brought()[0].address == 3);
  CHECK(disk.storage.brought()[0].bytes == Disk::filled(disk.storage.options().block_size, 30));
}

TEST_CASE("fault: superblock copies are remembered as they were delivered", "[fault]") {
  DiskOptions options = small();
  options.block_size = superblock_copy_size;
  FaultyDisk disk(options);
  disk.write_now(2, 20, Zone::superblock);
  disk.storage.begin_deliveries();
  REQUIRE_FALSE(disk.storage.delivered_copy(1));
  disk.strike(read_tag, 0, {.kind = FaultKind::corrupt_transfer, .shape = RotShape::bit, .at = 9});
  disk.read(2, read_tag, Zone::superblock);
  disk.run();
  REQUIRE((*disk.storage.delivered_copy(1))[1] == std::byte{22});
  disk.read(2, read_tag, Zone::superblock);
  disk.run();
  REQUIRE((*disk.storage.delivered_copy(1))[1] == std::byte{20});
  disk.strike(read_tag, 2, {.kind = FaultKind::read_error, .times = 1});
  disk.read(2, read_tag, Zone::superblock);
  disk.run();
  REQUIRE_FALSE(disk.storage.delivered_copy(1));
  REQUIRE_FALSE(disk.storage.delivered_copy(0));
}

TEST_CASE("fault: two readings of the superblock copies in a row are compared", "[fault]") {
  DiskOptions options = small();
  options.block_size = superblock_copy_size;
  FaultyDisk disk(options);
  for (u64 copy = 1; copy <= 2; ++copy) disk.write_now(copy, 20, Zone::superblock);
  disk.storage.begin_deliveries();
  const auto read_both = [&] {
    for (u64 copy = 1; copy <= 2; ++copy) {
      disk.read(copy, read_tag, Zone::superblock);
      disk.run();
    }
    return disk.storage.delivered_alike();
  };
  REQUIRE_FALSE(read_both());
  REQUIRE(read_both());
  disk.strike(read_tag, 5, {.kind = FaultKind::corrupt_transfer, .shape = RotShape::bit, .at = 9});
  REQUIRE_FALSE(read_both());
  REQUIRE_FALSE(read_both());
  REQUIRE(read_both());
  disk.storage.begin_deliveries();
  REQUIRE_FALSE(read_both());
}

}  // namespace
}  // namespace tonearm::sim
