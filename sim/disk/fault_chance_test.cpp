// Faults by chance: how often, where, and that the same run can be written down with each of them as a line.
#include <catch2/catch.hpp>

#include <iterator>
#include <span>
#include <vector>

#include "sim/disk/faulty_fixture.h"

namespace tonearm::sim {
namespace {

constexpr FaultKind lies[] = {FaultKind::unreadable, FaultKind::rot, FaultKind::lying_sync,
                              FaultKind::lost_write, FaultKind::misdirected_write};
constexpr FaultKind harmless[] = {FaultKind::failed_sync,      FaultKind::read_error,
                                  FaultKind::write_error,      FaultKind::corrupt_transfer,
                                  FaultKind::misdirected_read, FaultKind::stale_read};

struct Played {
  Digests digests;
  std::vector<FiredFault> fired;
  FaultCounts counts, armed;
  u64 content = 0;  // Of everything delivered.
  u64 damaged_steps = 0;
};

// Writes, reads, syncs and crashes of both zones, at random places.
Played play(const DiskOptions& options, std::span<const FiredFault> asked = {}) {
  Played played;
  FaultyDisk disk(options);
  disk.storage.set_fault_listener(&played.fired, [](void* context, const FiredFault& fired) {
    static_cast<std::vector<FiredFault>*>(context)->push_back(fired);
  });
  for (const FiredFault& fault : asked) disk.storage.strike(fault);
  const Stream stream("play", options.seed);
  for (u64 i = 1; i <= 400; ++i) {
    disk.storage.set_attribution({.op = {.number = i}});
    const u64 random = stream.at(i);
    const bool superblock = below(remix(random, 1), 4) == 0;
    const Zone zone = superblock ? Zone::superblock : Zone::grid;
    const u64 address = 1 + below(remix(random, 2), 8);
    const u64 what = below(remix(random, 3), 10);
    if (what < 4 || i <= 20) {
      disk.write(i <= 20 ? i % 8 + 1 : address, static_cast<u8>(i), write_tag, zone,
                 superblock ? Durability::on_completion : Durability::on_sync);
    } else if (what < 8) {
      if (superblock || disk.block_written(address)) disk.read(address, read_tag, zone);
    } else if (what == 8) {
      disk.sync();
    } else if (below(remix(random, 4), 4) == 0) {
      disk.storage.crash({.op = {.number = i}});
    }
    disk.run();
    if (disk.storage.damage()) ++played.damaged_steps;
  }
  for (const auto& io : disk.ios) {
    for (const std::byte b : io->bytes) played.content = played.content * 31 + static_cast<u64>(b);
    played.content += static_cast<u64>(io->read.result) + static_cast<u64>(io->write.result);
  }
  played.digests = disk.trace.digests();
  played.counts = disk.storage.faults_fired();
  played.armed = disk.storage.faults_armed();
  disk.storage.heal();
  REQUIRE_FALSE(disk.storage.damage());
  return played;
}

DiskOptions with(std::span<const FaultKind> kinds, u64 seed, FaultZone zone = FaultZone::both) {
  DiskOptions options = small(DurabilityProfile::cached, seed);
  for (const FaultKind kind : kinds)
    options.faults[kind] = {.ratio = {.numerator = 1, .denominator = 8}, .zone = zone};
  return options;
}

TEST_CASE("fault: each kind fires, in its zone alone, at about its rate", "[fault]") {
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    if (decided_by_crash(kind)) continue;
    CAPTURE(fault_kind_name(kind));
    for (const FaultZone zone : {FaultZone::grid, FaultZone::superblock, FaultZone::both}) {
      if (strikes_syncs(kind) && zone == FaultZone::superblock) continue;
      FaultCounts fired, armed;
      for (u64 seed = 1; seed <= 6; ++seed) {
        const Played played = play(with(std::span(&kind, 1), seed, zone));
        fired += played.counts;
        armed += played.armed;
      }
      CAPTURE(fault_zone_name(zone), fired.of(kind), armed.of(kind));
      REQUIRE((fired.of(kind, Zone::grid) > 0) == (zone != FaultZone::superblock));
      REQUIRE((fired.of(kind, Zone::superblock) > 0) == (zone != FaultZone::grid && !strikes_syncs(kind)));
      REQUIRE(fired.of(kind) * 24 > armed.of(kind));
      REQUIRE(fired.of(kind) * 3 < armed.of(kind));
    }
  }
}

TEST_CASE("fault: what should have fired and never did is told, by kind and zone", "[fault]") {
  FaultCounts fired, expected;
  expected.add(FaultKind::rot, Zone::superblock, 30 * expected_unit - 1);
  expected.add(FaultKind::rot, Zone::grid, 31 * expected_unit);
  expected.add(FaultKind::stale_read, Zone::superblock, 30 * expected_unit);
  fired.add(FaultKind::rot, Zone::grid);
  fired.add(FaultKind::stale_read, Zone::grid);
  const std::vector<SilentFault> stale{{.kind = FaultKind::stale_read, .zone = Zone::superblock}};
  REQUIRE(silent_faults(fired, expected) == stale);
  fired.add(FaultKind::stale_read, Zone::superblock);
  REQUIRE(silent_faults(fired, expected).empty());
  REQUIRE(silent_faults({}, expected).size() == 2);
}

TEST_CASE("fault: what a caller is told about damages nothing; what lies does", "[fault]") {
  u64 damaged = 0;
  for (u64 seed = 1; seed <= 8; ++seed) {
    REQUIRE(play(with(harmless, seed)).damaged_steps == 0);
    damaged += play(with(lies, seed)).damaged_steps;
  }
  REQUIRE(damaged > 1000);
}

TEST_CASE("fault: a run in which lines ask for what chance had done is the same run", "[fault]") {
  std::vector<FaultKind> all(std::begin(lies), std::end(lies));
  all.insert(all.end(), std::begin(harmless), std::end(harmless));
  for (u64 seed = 1; seed <= 10; ++seed) {
    const Played chance = play(with(all, seed));
    const Played again = play(with(all, seed));
    REQUIRE(chance.digests == again.digests);
    const Played frozen = play(small(DurabilityProfile::cached, seed), chance.fired);
    CAPTURE(seed, chance.fired.size(), frozen.fired.size());
    REQUIRE(chance.fired.size() > 40);
    REQUIRE(frozen.fired.size() == chance.fired.size());
    REQUIRE(frozen.digests == chance.digests);
    REQUIRE(frozen.content == chance.content);
  }
}

TEST_CASE("fault: a disk on which nothing may go wrong has no second medium", "[fault]") {
  Disk quiet(small());
  DiskOptions failing = small();
  failing.faults[FaultKind::failed_sync].ratio = {.numerator = 1, .denominator = 2};
  Disk failed(failing);
  REQUIRE(&quiet.storage.truth() == &quiet.storage.image());
  REQUIRE(&failed.storage.truth() == &failed.storage.image());
  FaultyDisk faulty(small());
  REQUIRE(&faulty.storage.truth() != &faulty.storage.image());
}

}  // namespace
}  // namespace tonearm::sim
