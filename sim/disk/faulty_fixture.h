// For tests of faults: a disk that is asked for them, one request at a time.
#pragma once

#include <algorithm>

#include "sim/disk/disk_fixture.h"

namespace tonearm::sim {

inline constexpr IoTag read_tag{.purpose = IoPurpose::lookup};
inline constexpr IoTag write_tag{.purpose = IoPurpose::compact_write};
inline constexpr IoTag sync_tag{.purpose = IoPurpose::checkpoint_sync};
inline constexpr u64 op = 17;

inline DiskOptions small(DurabilityProfile profile = DurabilityProfile::durable, u64 seed = 1) {
  DiskOptions options;
  options.sector_size = 512;
  options.blocks_count = 64;
  options.profile = profile;
  options.seed = seed;
  return options;
}

struct FaultyDisk : Disk {
  explicit FaultyDisk(const DiskOptions& options) : Disk(options) {
    storage.set_attribution({.op = {.number = op}});
    storage.expect_faults();
  }

  void strike(IoTag tag, u32 n, Fault fault) {
    storage.strike({.attribution = {.op = {.number = op}}, .tag = tag, .n = n, .fault = fault});
  }
  // Whether it was acknowledged.
  bool write_now(u64 address, u8 value, Zone zone = Zone::grid) {
    Io& io = write(address, value, write_tag, zone);
    run();
    return io.write.result == IoResult::ok;
  }
  // -1: failed; -2: not all bytes are equal; else their value.
  int read_now(u64 address) {
    Io& io = read(address);
    run();
    if (io.read.result == IoResult::failed) return -1;
    const bool equal =
        std::all_of(io.bytes.begin(), io.bytes.end(), [&](std::byte b) { return b == io.bytes[0]; });
    return equal ? static_cast<int>(io.bytes[0]) : -2;
  }
  int truth(u64 address) const { return block(storage.truth(), address); }
  bool damaged(u64 address) const { return storage.damaged(address, storage.options().block_size); }
};

}  // namespace tonearm::sim
