// What can go wrong with a disk: the kinds of faults, how often each strikes, and one fault as a value.
//
// A fault belongs to one request and is drawn from the stream of its kind, keyed by the request; or a
// line of the scenario asks for it. What it does then is spelled out in a Fault, so that a run in
// which faults were drawn can be written down as one in which lines ask for them.
//
//     kind               of a      what happens
//     failed_sync        sync      what it should have made durable is lost, landed or torn at once
//     torn_write         crash     some tear units of a write that is not durable are on the medium
//     lost_at_crash      crash     nothing of such a write is
//     read_error         read      it fails, and so do the next reads of that place: `times` in all
//     write_error        write     the same; what is there then is old, new or a mixture
//     corrupt_transfer   read      damaged bytes come back, the medium is fine
//     unreadable         any       sectors there fail to read from now on, until they are written
//     rot                any       bytes there are others from now on; a write rots after it landed
//     lying_sync         sync      it succeeds, and nothing is durable that was not before
//     lost_write         write     it succeeds, and nothing is on the medium
//     misdirected_write  write     it succeeds, and the bytes are in another place
//     misdirected_read   read      the bytes of another place come back
//     stale_read         read      what was there before the last write comes back
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "sim/disk/keyed.h"
#include "storage/storage.h"

namespace tonearm::sim {

enum class FaultKind : u8 {
  failed_sync,
  torn_write,
  lost_at_crash,
  read_error,
  write_error,
  corrupt_transfer,
  unreadable,
  rot,
  lying_sync,
  lost_write,
  misdirected_write,
  misdirected_read,
  stale_read,
};
inline constexpr u32 fault_kind_count = 13;
const char* fault_kind_name(FaultKind kind);
// Those that a crash decides have no chance of their own and no line: see `writes=` of a crash line.
constexpr bool decided_by_crash(FaultKind kind) {
  return kind == FaultKind::torn_write || kind == FaultKind::lost_at_crash;
}
constexpr bool strikes_syncs(FaultKind kind) {
  return kind == FaultKind::failed_sync || kind == FaultKind::lying_sync;
}

enum class RotShape : u8 {
  bit,          // One bit flips.
  byte,         // One byte is another.
  zeroed,       // One unit of 512 bytes, or a burst of sectors, is zero.
  ones,         // The same, all ones.
  swapped,      // Two units have changed places.
  other_block,  // From there on the bytes of another block.
  truncated,    // From there on nothing but zeros.
};
inline constexpr u32 rot_shape_count = 7;
const char* rot_shape_name(RotShape shape);

// Where a kind may strike. `first` and `mirror` are the sides of the grid; `manifest` and `trailer` what is
// done for the blocks of the manifest log and for the trailers of a checkpoint, on the first side; `repairs`
// the writes that repair a side of the grid: few among all requests.
enum class FaultZone : u8 { grid, superblock, both, first, mirror, manifest, trailer, repairs };
inline constexpr u32 fault_zone_count = 8;
const char* fault_zone_name(FaultZone zone);

inline constexpr u32 fault_sectors_max = 64;

struct FaultOptions {
  struct Kind {
    Ratio ratio{};  // Of the requests that it may strike.
    FaultZone zone = FaultZone::both;

    friend bool operator==(const Kind&, const Kind&) = default;
  };
  std::array<Kind, fault_kind_count> kinds{};
  u32 sectors_max = 8;  // Adjacent sectors that one rot or unreadable fault takes, at most 64.
  u32 times_max = 8;    // Of an error, in a row; twice as often as the engine tries.

  Kind& operator[](FaultKind kind) { return kinds[static_cast<u32>(kind)]; }
  const Kind& operator[](FaultKind kind) const { return kinds[static_cast<u32>(kind)]; }
  bool any() const;

  friend bool operator==(const FaultOptions&, const FaultOptions&) = default;
};

// What one fault does. Only what its kind needs means anything, the rest is as new.
struct Fault {
  FaultKind kind{};
  RotShape shape{};  // rot, corrupt_transfer.
  u32 times = 0;     // read_error, write_error: the failures in a row.
  u32 sectors = 0;   // unreadable; rot by zeroed and ones: 0 for one unit.
  u64 at = 0;        // rot, corrupt_transfer, unreadable: byte in the request's range (of `bit`: bit).
  u64 to = 0;        // misdirected: a block, or a superblock copy; other_block: a block; swapped: a byte.
  u8 mask = 0;       // byte: what it is exclusive-ored with.
  bool superblock = false;  // misdirected: `to` is a copy.
  u64 random = 0;           // write_error: decides what is there.

  friend bool operator==(const Fault&, const Fault&) = default;
};

// A fault that struck, and the request that it struck.
struct FiredFault {
  Attribution attribution;
  IoTag tag{};
  u32 n = 0;
  Fault fault;
};

// A block as one read was given it, because of a fault.
struct Brought {
  u64 address = 0;
  std::vector<std::byte> bytes;
};

// What a count of expected firings counts.
inline constexpr u64 expected_unit = 1'000'000;

// How often each kind could have fired, or did, by zone. Syncs count for the grid.
struct FaultCounts {
  std::array<std::array<u64, 2>, fault_kind_count> counts{};

  void add(FaultKind kind, Zone zone, u64 count = 1) {
    counts[static_cast<u32>(kind)][static_cast<u32>(zone)] += count;
  }
  u64 of(FaultKind kind, Zone zone) const { return counts[static_cast<u32>(kind)][static_cast<u32>(zone)]; }
  u64 of(FaultKind kind) const { return of(kind, Zone::grid) + of(kind, Zone::superblock); }
  u64 total() const;
  FaultCounts& operator+=(const FaultCounts& other);
};

struct SilentFault {
  FaultKind kind;
  Zone zone;

  friend bool operator==(const SilentFault&, const SilentFault&) = default;
};
// What never fired although it should have 30 times: chance alone explains that once in 10^13.
std::vector<SilentFault> silent_faults(const FaultCounts& fired, const FaultCounts& expected);

}  // namespace tonearm::sim
