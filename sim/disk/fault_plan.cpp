#include "sim/disk/fault_plan.h"

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 salt_rest = 1;

bool same_tag(IoTag a, IoTag b) { return a.purpose == b.purpose && a.level == b.level && a.tree == b.tree; }

bool of_manifest(IoPurpose purpose) {
  return purpose == IoPurpose::manifest_read || purpose == IoPurpose::manifest_write ||
         purpose == IoPurpose::manifest_compact;
}

bool of_trailer(IoPurpose purpose) {
  return purpose == IoPurpose::trailer_read || purpose == IoPurpose::trailer_write;
}

bool of_repair(IoPurpose purpose) {
  return purpose == IoPurpose::repair || purpose == IoPurpose::mirror_repair;
}

bool in_zone(FaultZone filter, Zone zone, IoTag tag) {
  switch (filter) {
    case FaultZone::both: return true;
    case FaultZone::superblock: return zone == Zone::superblock;
    case FaultZone::grid: return zone != Zone::superblock;
    case FaultZone::first: return zone != Zone::superblock && !of_mirror(tag);
    case FaultZone::mirror: return zone != Zone::superblock && of_mirror(tag);
    case FaultZone::manifest: return of_manifest(tag.purpose);
    case FaultZone::trailer: return of_trailer(tag.purpose);
    case FaultZone::repairs: return of_repair(tag.purpose);
  }
  UNREACHABLE();
}

u64 hash_of_asked(FaultKind kind, const Attribution& attribution, IoTag tag, u32 n) {
  static const Stream stream("asked", 0);
  return remix(stream.at(attribution, tag, n), static_cast<u64>(kind));
}

}  // namespace

FaultPlan::FaultPlan(const DiskOptions& options) { reconfigure(options); }

void FaultPlan::reconfigure(const DiskOptions& options) {
  options_ = options.faults;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const char* const name = fault_kind_name(static_cast<FaultKind>(i));
    streams_[i] = Stream(name, stream_seed(options.seed, name));
  }
}

bool FaultPlan::only_failed_syncs() const {
  for (u32 i = 0; i < fault_kind_count; ++i) {
    if (i != static_cast<u32>(FaultKind::failed_sync) && options_.kinds[i].ratio.numerator != 0) return false;
  }
  return asked_other_ == 0;
}

void FaultPlan::strike(const FiredFault& fault) {
  asked_.emplace(hash_of_asked(fault.fault.kind, fault.attribution, fault.tag, fault.n), fault);
  if (fault.fault.kind != FaultKind::failed_sync) ++asked_other_;
}

FaultPlan::Asked::iterator FaultPlan::find_asked(FaultKind kind, const FaultTarget& target) {
  if (asked_.empty()) return asked_.end();
  auto [at, end] = asked_.equal_range(hash_of_asked(kind, target.attribution, target.tag, target.n));
  for (; at != end; ++at) {
    const FiredFault& each = at->second;
    if (each.fault.kind == kind && each.n == target.n && each.attribution == target.attribution &&
        same_tag(each.tag, target.tag)) {
      return at;
    }
  }
  return asked_.end();
}

bool FaultPlan::possible(FaultKind kind, Zone zone, IoTag tag) const {
  const FaultOptions::Kind& chances = options_[kind];
  return chances.ratio.numerator != 0 && chances.ratio.denominator != 0 && in_zone(chances.zone, zone, tag);
}

std::optional<FaultPlan::Strike> FaultPlan::strikes(FaultKind kind, const FaultTarget& target) {
  ASSERT(!decided_by_crash(kind));
  Strike strike;
  if (const auto asked = find_asked(kind, target); asked != asked_.end()) strike.given = asked->second.fault;
  if (!strike.given && !possible(kind, target.zone, target.tag)) return std::nullopt;
  counts_armed.add(kind, target.zone);
  const u64 random = streams_[static_cast<u32>(kind)].at(target.attribution, target.tag, target.n);
  if (!strike.given) {
    const Ratio ratio = options_[kind].ratio;
    counts_expected.add(kind, target.zone, expected_unit * ratio.numerator / ratio.denominator);
    if (!chance(random, ratio)) return std::nullopt;
  }
  strike.random = remix(random, salt_rest);
  return strike;
}

// Far less often than it does, because the writes of a crash fare alike.
void FaultPlan::crash_decides(FaultKind kind, Zone zone) {
  ASSERT(decided_by_crash(kind));
  constexpr u64 crash_one_in = 20;
  counts_armed.add(kind, zone);
  counts_expected.add(kind, zone, expected_unit / crash_one_in);
}

// Only now is what a line has asked for done with. Requests of two audits may have the same name, and what
// would have changed nothing at the first one strikes the second, as it does by chance.
void FaultPlan::fired(const Fault& fault, const FaultTarget& target) {
  if (const auto asked = find_asked(fault.kind, target); asked != asked_.end()) {
    asked_.erase(asked);
    if (fault.kind != FaultKind::failed_sync) --asked_other_;
  }
  counts_fired.add(fault.kind, target.zone);
  fired_now_.push_back({.attribution = target.attribution, .tag = target.tag, .n = target.n, .fault = fault});
}

}  // namespace tonearm::sim
