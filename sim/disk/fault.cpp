#include "sim/disk/fault.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

const char* fault_kind_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::failed_sync: return "failed_sync";
    case FaultKind::torn_write: return "torn_write";
    case FaultKind::lost_at_crash: return "lost_at_crash";
    case FaultKind::read_error: return "read_error";
    case FaultKind::write_error: return "write_error";
    case FaultKind::corrupt_transfer: return "corrupt_transfer";
    case FaultKind::unreadable: return "unreadable";
    case FaultKind::rot: return "rot";
    case FaultKind::lying_sync: return "lying_sync";
    case FaultKind::lost_write: return "lost_write";
    case FaultKind::misdirected_write: return "misdirected_write";
    case FaultKind::misdirected_read: return "misdirected_read";
    case FaultKind::stale_read: return "stale_read";
  }
  UNREACHABLE();
}

const char* rot_shape_name(RotShape shape) {
  switch (shape) {
    case RotShape::bit: return "bit";
    case RotShape::byte: return "byte";
    case RotShape::zeroed: return "zeroed";
    case RotShape::ones: return "ones";
    case RotShape::swapped: return "swapped";
    case RotShape::other_block: return "other_block";
    case RotShape::truncated: return "truncated";
  }
  UNREACHABLE();
}

const char* fault_zone_name(FaultZone zone) {
  switch (zone) {
    case FaultZone::grid: return "grid";
    case FaultZone::superblock: return "superblock";
    case FaultZone::both: return "both";
    case FaultZone::first: return "first";
    case FaultZone::mirror: return "mirror";
    case FaultZone::manifest: return "manifest";
    case FaultZone::trailer: return "trailer";
    case FaultZone::repairs: return "repairs";
  }
  UNREACHABLE();
}

bool FaultOptions::any() const {
  return std::any_of(kinds.begin(), kinds.end(), [](const Kind& kind) { return kind.ratio.numerator != 0; });
}

u64 FaultCounts::total() const {
  u64 sum = 0;
  for (u32 i = 0; i < fault_kind_count; ++i) sum += of(static_cast<FaultKind>(i));
  return sum;
}

FaultCounts& FaultCounts::operator+=(const FaultCounts& other) {
  for (u32 i = 0; i < fault_kind_count; ++i) {
    for (u32 zone = 0; zone < 2; ++zone) counts[i][zone] += other.counts[i][zone];
  }
  return *this;
}

std::vector<SilentFault> silent_faults(const FaultCounts& fired, const FaultCounts& expected) {
  constexpr u64 expected_min = 30 * expected_unit;
  std::vector<SilentFault> silent;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    for (const Zone zone : {Zone::grid, Zone::superblock}) {
      if (expected.of(kind, zone) < expected_min || fired.of(kind, zone) > 0) continue;
      silent.push_back({.kind = kind, .zone = zone});
    }
  }
  return silent;
}

}  // namespace tonearm::sim
