#include "sim/workload/swarm_faults.h"

#include <string>

#include "sim/workload/draw.h"

namespace tonearm::sim {

namespace {

// What passes is frequent; what stays ends an engine, and with it what a run finds, so it is rare. A sync
// comes once a checkpoint, and so do a few trailers; blocks of the manifest log are few.
u32 denominator(FaultKind kind, FaultZone zone, u64 random) {
  static constexpr u32 passing[] = {8, 20, 50, 100, 300, 1000};
  static constexpr u32 staying[] = {300, 1000, 2000, 5000, 10000, 20000};
  static constexpr u32 syncs[] = {2, 3, 5, 8, 16, 40};
  const u64 which = below(random, std::size(passing));
  if (zone == FaultZone::trailer) return syncs[which];
  if (zone == FaultZone::manifest) return passing[which];
  switch (kind) {
    case FaultKind::failed_sync:
    case FaultKind::lying_sync: return syncs[which];
    case FaultKind::read_error:
    case FaultKind::corrupt_transfer:
    case FaultKind::misdirected_read:
    case FaultKind::stale_read: return passing[which];
    case FaultKind::write_error:
    case FaultKind::unreadable:
    case FaultKind::rot:
    case FaultKind::lost_write:
    case FaultKind::misdirected_write: return staying[which];
    case FaultKind::torn_write:
    case FaultKind::lost_at_crash: break;
  }
  return 1;
}

void draw_faults(u64 seed, RunOptions* o) {
  const Draw draw(seed);
  FaultOptions& faults = o->disk.faults;
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    if (decided_by_crash(kind)) continue;
    const u64 random = draw.random(std::string("fault ") + fault_kind_name(kind));
    faults[kind] = {};
    if (!chance(remix(random, 1), {1, 2})) continue;
    static constexpr FaultZone zones[] = {FaultZone::both,     FaultZone::both,       FaultZone::both,
                                          FaultZone::grid,     FaultZone::superblock, FaultZone::superblock,
                                          FaultZone::manifest, FaultZone::trailer};
    const FaultZone zone =
        strikes_syncs(kind) ? FaultZone::both : zones[below(remix(random, 3), std::size(zones))];
    faults[kind] = {.ratio = {.numerator = 1, .denominator = denominator(kind, zone, remix(random, 2))},
                    .zone = zone};
  }
  faults.sectors_max = draw.one_of("fault sectors", {1, 2, 8, fault_sectors_max});
  // Only a volatile cache has anything to lose when a sync fails or lies.
  if (draw.happens("fault cached", 1, 2)) o->disk.profile = DurabilityProfile::cached;
  // A second side repairs what the first loses; with it few faults are seen by an answer.
  o->disk.mirror = draw.happens("fault mirror", 1, 4);
  // What the scrubber repairs must be durable when the other side is lost: so a crash may not take it away.
  if (o->disk.mirror && draw.happens("fault mirror scrubbed", 1, 2)) {
    o->disk.profile = DurabilityProfile::cached;
    if (o->scrub == 0) o->scrub = draw.between("fault scrub", 1, 8);
  }
  // Writes that repair are a few of the run, and each may be tried as often as others.
  FaultOptions::Kind& write_errors = faults[FaultKind::write_error];
  if (o->disk.mirror && write_errors.ratio.numerator == 0) {
    write_errors = {.ratio = {.numerator = 1, .denominator = draw.one_of("fault repairs", {2, 4, 8})},
                    .zone = FaultZone::repairs};
  }
  o->full_blocks = draw.happens("fault full", 1, 4) ? draw.magnitude("fault full blocks", 6, 9) : 0;
  o->heal_lines = draw.one_of("fault heal lines", {0, 2, 10, 40, 150});
  o->weight_heal = draw.happens("fault heal", 1, 2) ? draw.between("fault heal weight", 1, 10) : 0;
}

}  // namespace

void maybe_draw_faults(u64 seed, RunOptions* options) {
  if (Draw(seed).below("faults", 100) < fault_seeds_percent) draw_faults(seed, options);
}

void apply_fault_profile(u64 seed, RunOptions* options) {
  switch (options->fault_profile) {
    case FaultProfile::drawn: return;
    case FaultProfile::full: return draw_faults(seed, options);
    case FaultProfile::none:
      options->disk.faults = {};
      options->disk.mirror = false;
      options->full_blocks = 0;
      options->weight_heal = 0;
      options->heal_lines = 0;
      return;
  }
}

}  // namespace tonearm::sim
