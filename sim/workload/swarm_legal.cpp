// Options drawn from all that is legal, limits included, each in a run of its own now and then: what nobody
// would choose is where sizes that were thought of as small stop being so.
#include <algorithm>
#include <bit>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "sim/scenario/settings.h"
#include "sim/workload/swarm_parts.h"

namespace tonearm::sim {

namespace {

constexpr u64 memory_bytes_max = 6_MiB;

struct LegalOption {
  const char* name;
  u64 max;  // Beyond it a run would only take longer.
  u64 multiple = 1;
  u64 blocks = 0;  // Of memory that each takes.
};

constexpr LegalOption legal_options[] = {
    {.name = "manifest_extra_blocks", .max = 64},
    {.name = "cache_blocks", .max = 8192, .multiple = 16, .blocks = 1},
    {.name = "read_iops", .max = 1024, .blocks = 1},
    {.name = "write_iops", .max = 1024},
    {.name = "compaction_blocks", .max = 1024, .blocks = 1},
    {.name = "read_attempts_max", .max = 64},
    {.name = "scans_max", .max = 64, .blocks = 16},
    {.name = "object_cache_slots", .max = 16'384, .multiple = 16},
    {.name = "prefetch_workers", .max = 1024},
    {.name = "scan_sort_timestamps", .max = 8192},
    {.name = "lookup_workers", .max = 16},
    {.name = "scrub", .max = 64},
};

// Half of the draws are the limits themselves, of the others every magnitude is alike.
u64 draw_value(u64 random, u64 min, u64 max) {
  ASSERT(min <= max);
  switch (below(random, 4)) {
    case 0: return max;
    case 1: return min;
    default: break;
  }
  const u64 bits = between(remix(random, 1), std::bit_width(min), std::bit_width(max));
  const u64 least = bits == 0 ? 0 : u64{1} << (bits - 1);
  return between(remix(random, 2), std::max(min, least), std::min(max, least == 0 ? 0 : 2 * least - 1));
}

}  // namespace

void draw_legal_options(const Draw& draw, const World& world, RunOptions* o) {
  const bool scans = world.groove_count > 0 || o->weight_scan_open > 0;
  for (const LegalOption& option : legal_options) {
    const Setting& setting = settings()[*find_setting(option.name)];
    if (setting.of_grooves && world.groove_count == 0) continue;
    if (option.name == std::string_view("scans_max") && !scans) continue;
    const u64 random = draw.random(std::string("legal ") + option.name);
    if (!chance(random, {.numerator = 1, .denominator = 10})) continue;
    u64 max = std::min(option.max, setting.max);
    if (option.blocks > 0) max = std::min(max, memory_bytes_max / option.blocks / o->format.block_size);
    max -= max % option.multiple;
    const u64 min = std::max(setting.min, option.multiple);
    if (max < min) continue;
    const u64 value = draw_value(remix(random, 1), min, max);
    setting.set(*o, value - value % option.multiple);
  }
}

u32 draw_legal_beats(const Draw& draw, u32 usual, u32 max) {
  static constexpr u32 beats[] = {6, 6, 6, 6, 10, 12, 14, 24, 48, 64};
  return draw.happens("legal beats", 1, 9) ? std::min(max, draw.one_of("legal beats of", beats)) : usual;
}

u32 draw_legal_sector(const Draw& draw, u32 usual, u32 block_size) {
  if (!draw.happens("legal sector", 1, 10)) return usual;
  return std::min(block_size, draw.one_of("legal sector size", {512, 1024, 1024, 2048, 2048, 4096}));
}

}  // namespace tonearm::sim
