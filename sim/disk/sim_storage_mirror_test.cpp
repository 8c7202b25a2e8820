// The second side of the grid: a device of its own, with its own cache, that the first side shares nothing
// with but clock and queue.
#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "sim/disk/faulty_fixture.h"

namespace tonearm::sim {

namespace {

constexpr IoTag mirror_read{.purpose = IoPurpose::mirror_read};
constexpr IoTag mirror_write{.purpose = IoPurpose::mirror_write};
constexpr IoTag mirror_sync{.purpose = IoPurpose::mirror_sync};
constexpr IoTag repair{.purpose = IoPurpose::repair};

DiskOptions mirrored(DurabilityProfile profile = DurabilityProfile::durable, u64 seed = 1) {
  DiskOptions options = small(profile, seed);
  options.mirror = true;
  return options;
}

struct MirroredDisk : FaultyDisk {
  explicit MirroredDisk(const DiskOptions& options) : FaultyDisk(options) {}

  Io& mirror_write_of(u64 address, u8 value) {
    Io& io = add();
    io.bytes = filled(storage.options().block_size, value);
    io.write = {.buffer = io.bytes,
                .offset = (address - 1) * storage.options().block_size,
                .tag = mirror_write,
                .done = Callback<Storage::Write&>::to<&Io::write_done>(&io)};
    storage.mirror().write(io.write);
    run();
    return io;
  }
  int mirror_read_of(u64 address) {
    Io& io = add();
    io.bytes.resize(storage.options().block_size);
    io.read = {.buffer = io.bytes,
               .offset = (address - 1) * storage.options().block_size,
               .tag = mirror_read,
               .done = Callback<Storage::Read&>::to<&Io::read_done>(&io)};
    storage.mirror().read(io.read);
    run();
    return io.read.result == IoResult::failed ? -1 : static_cast<int>(io.bytes[0]);
  }
  bool mirror_sync_now() {
    Io& io = add();
    io.sync = {.tag = mirror_sync, .done = Callback<Storage::Sync&>::to<&Io::sync_done>(&io)};
    storage.mirror().sync(io.sync);
    run();
    return io.sync.result == IoResult::ok;
  }
  bool sync_now() {
    Io& io = sync();
    run();
    return io.sync.result == IoResult::ok;
  }
  int durable(u64 address, bool mirror) const {
    std::array<std::byte, 512> bytes;
    storage.durable_image().read(storage.offset_of(address, mirror), bytes);
    return storage.durable_image().written(storage.offset_of(address, mirror), bytes.size())
               ? static_cast<int>(bytes[0])
               : -1;
  }
  bool mirror_damaged(u64 address) const {
    return storage.damaged(address, storage.options().block_size, true);
  }
};

}  // namespace

TEST_CASE("the two sides hold what was written to each", "[mirror]") {
  MirroredDisk disk(mirrored());
  for (const u64 address : {u64{1}, u64{7}, u64{64}}) {
    disk.write_now(address, 3);
    disk.mirror_write_of(address, 4);
    CHECK(disk.read_now(address) == 3);
    CHECK(disk.mirror_read_of(address) == 4);
    CHECK(disk.storage.address_at(disk.storage.offset_of(address)) == address);
    CHECK(disk.storage.address_at(disk.storage.offset_of(address, true)) == address);
  }
}

TEST_CASE("a sync makes durable what its own side has", "[mirror]") {
  MirroredDisk disk(mirrored(DurabilityProfile::cached));
  disk.write_now(5, 3);
  disk.mirror_write_of(5, 3);
  disk.write_now(6, 4);
  disk.mirror_write_of(6, 4);
  CHECK(disk.storage.writes_undurable() == 4);
  CHECK(disk.mirror_sync_now());
  CHECK(disk.storage.writes_undurable() == 2);
  CHECK(disk.durable(5, true) == 3);
  CHECK(disk.durable(6, true) == 4);
  CHECK(disk.durable(5, false) == -1);
  disk.mirror_write_of(7, 5);
  CHECK(disk.sync_now());
  CHECK(disk.durable(5, false) == 3);
  CHECK(disk.durable(6, false) == 4);
  CHECK(disk.durable(7, true) == -1);
  CHECK(disk.storage.writes_undurable() == 1);
  CHECK(disk.mirror_sync_now());
  CHECK(disk.durable(7, true) == 5);
  CHECK(disk.storage.writes_undurable() == 0);
}

TEST_CASE("a sync that fails on one side leaves the other alone", "[mirror]") {
  MirroredDisk disk(mirrored(DurabilityProfile::cached));
  disk.write_now(5, 3);
  disk.mirror_write_of(5, 3);
  disk.strike(mirror_sync, 0, {.kind = FaultKind::failed_sync});
  CHECK_FALSE(disk.mirror_sync_now());
  CHECK(disk.storage.writes_undurable() == 1);
  CHECK(disk.read_now(5) == 3);
  CHECK(disk.sync_now());
  CHECK(disk.durable(5, false) == 3);
  CHECK_FALSE(disk.storage.damage());  // Both medium and truth have it, or have lost it.
}

TEST_CASE("damage is on one side, and a write there cures it", "[mirror]") {
  MirroredDisk disk(mirrored());
  disk.write_now(5, 3);
  disk.mirror_write_of(5, 3);
  disk.strike(mirror_read, 0, {.kind = FaultKind::unreadable, .sectors = 1, .at = 0});
  CHECK(disk.mirror_read_of(5) == -1);
  CHECK(disk.mirror_damaged(5));
  CHECK_FALSE(disk.damaged(5));
  CHECK(disk.storage.bad_reads(5, true) == 1);
  CHECK(disk.storage.bad_reads(5) == 0);
  CHECK(disk.read_now(5) == 3);
  disk.mirror_write_of(5, 3);
  CHECK_FALSE(disk.mirror_damaged(5));
  CHECK(disk.mirror_read_of(5) == 3);
}

TEST_CASE("a repair may touch what the durable checkpoint needs, and nothing else may", "[mirror]") {
  MirroredDisk disk(mirrored(DurabilityProfile::cached));
  disk.write_now(5, 3);
  disk.write_now(6, 3);
  const u64 words[] = {u64{1} << 4};
  disk.storage.protect(words);
  u32 shown = 0;
  disk.storage.set_repair_listener(&shown, [](void* count, u64 address, const Storage::Write& write) {
    CHECK(address == 5);
    CHECK(write.buffer[0] == std::byte{3});
    ++*static_cast<u32*>(count);
    return true;
  });
  // It does not take along what else is in the cache.
  Disk::Io& io = disk.write(5, 3, repair, Zone::grid, Durability::on_completion);
  disk.run();
  CHECK(io.done);
  CHECK(shown == 1);
  CHECK(disk.durable(5, false) == 3);
  CHECK(disk.durable(6, false) == -1);
}

TEST_CASE("a kind strikes the side that its zone names, and no superblock", "[mirror]") {
  for (const FaultZone zone : {FaultZone::first, FaultZone::mirror, FaultZone::grid}) {
    INFO(fault_zone_name(zone));
    DiskOptions options = mirrored();
    options.faults[FaultKind::read_error] = {.ratio = {1, 1}, .zone = zone};
    options.faults[FaultKind::lying_sync] = {.ratio = {1, 1}, .zone = zone};
    options.profile = DurabilityProfile::cached;
    MirroredDisk disk(options);
    disk.write_now(5, 3);
    disk.mirror_write_of(5, 3);
    disk.write(1, 9, write_tag, Zone::superblock, Durability::on_completion);
    disk.run();
    CHECK((disk.read_now(5) == -1) == (zone != FaultZone::mirror));
    CHECK((disk.mirror_read_of(5) == -1) == (zone != FaultZone::first));
    Disk::Io& superblock = disk.read(1, read_tag, Zone::superblock);
    disk.run();
    CHECK(superblock.read.result == IoResult::ok);
    disk.sync_now();
    disk.mirror_sync_now();
    CHECK((disk.durable(5, false) == -1) == (zone != FaultZone::mirror));
    CHECK((disk.durable(5, true) == -1) == (zone != FaultZone::first));
  }
}

TEST_CASE("a kind strikes what is done for the zone's blocks only", "[mirror]") {
  constexpr IoPurpose purposes[] = {IoPurpose::manifest_read, IoPurpose::manifest_compact,
                                    IoPurpose::trailer_read, IoPurpose::lookup, IoPurpose::mirror_read};
  for (const FaultZone zone : {FaultZone::manifest, FaultZone::trailer}) {
    DiskOptions options = mirrored();
    options.faults.times_max = 1;  // What is done again for another reason would fail as well.
    options.faults[FaultKind::read_error] = {.ratio = {1, 1}, .zone = zone};
    options.faults[FaultKind::write_error] = {.ratio = {1, 1}, .zone = zone};
    MirroredDisk disk(options);
    disk.write_now(5, 3);
    disk.mirror_write_of(5, 3);
    for (const IoPurpose purpose : purposes) {
      INFO(fault_zone_name(zone) << ", " << io_purpose_name(purpose));
      Disk::Io& io = disk.read(5, {.purpose = purpose});
      disk.run();
      const bool manifest = purpose == IoPurpose::manifest_read || purpose == IoPurpose::manifest_compact;
      const bool struck = zone == FaultZone::manifest ? manifest : purpose == IoPurpose::trailer_read;
      CHECK((io.read.result == IoResult::failed) == struck);
    }
    for (const IoPurpose purpose : {IoPurpose::manifest_write, IoPurpose::trailer_write}) {
      INFO(fault_zone_name(zone) << ", " << io_purpose_name(purpose));
      Disk::Io& io = disk.write(6, 4, {.purpose = purpose});
      disk.run();
      CHECK((io.write.result == IoResult::failed) ==
            ((zone == FaultZone::manifest) == (purpose == IoPurpose::manifest_write)));
    }
  }
}

TEST_CASE("a kind strikes repairs only", "[mirror]") {
  DiskOptions options = mirrored();
  options.faults.times_max = 1;
  options.faults[FaultKind::write_error] = {.ratio = {1, 1}, .zone = FaultZone::repairs};
  MirroredDisk disk(options);
  disk.write_now(5, 3);
  for (const IoPurpose purpose : {IoPurpose::repair, IoPurpose::mirror_repair, IoPurpose::compact_write,
                                  IoPurpose::mirror_write, IoPurpose::superblock_repair}) {
    INFO(io_purpose_name(purpose));
    Disk::Io& io = disk.write(5, 3, {.purpose = purpose});
    disk.run();
    const bool repairs = purpose == IoPurpose::repair || purpose == IoPurpose::mirror_repair;
    CHECK((io.write.result == IoResult::failed) == repairs);
  }
}

// A sweep learns from its observer that a crash would leave something else; damage comes without a write.
TEST_CASE("an observer is told of damage, and of healing", "[mirror]") {
  struct Seen final : DiskObserver {
    void before_read(u64, u64) override {}
    void write_submitted(u64, u64) override {}
    void write_completed(u64, u64) override {}
    void became_durable(u64 begin, u64 end) override { ranges.emplace_back(begin, end); }
    bool covers(u64 offset) const {
      return std::any_of(ranges.begin(), ranges.end(), [offset](const std::pair<u64, u64>& range) {
        return range.first <= offset && offset < range.second;
      });
    }
    std::vector<std::pair<u64, u64>> ranges;
  };
  for (const FaultKind kind : {FaultKind::rot, FaultKind::unreadable}) {
    MirroredDisk disk(mirrored());
    disk.write_now(5, 3);
    disk.mirror_write_of(5, 3);
    Seen seen;
    disk.storage.set_observer(&seen);
    disk.strike(mirror_read, 0, {.kind = kind, .shape = RotShape::byte, .sectors = 1, .at = 7, .mask = 1});
    disk.mirror_read_of(5);
    CHECK(disk.mirror_damaged(5));
    CHECK(seen.covers(disk.storage.offset_of(5, true)));
    CHECK_FALSE(seen.covers(disk.storage.offset_of(5)));
    disk.storage.heal();
    CHECK(seen.covers(disk.storage.offset_of(5)));
    CHECK(seen.covers(0));
    disk.storage.set_observer(nullptr);
  }
}

}  // namespace tonearm::sim
