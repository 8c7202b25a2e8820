// How fast the manifest log is compacted; see manifest_log.h.
#include <algorithm>

#include "base/math.h"
#include "tree/manifest_log.h"

namespace tonearm {

// A partly filled block that a checkpoint closes is lost space, one block in a checkpoint interval of
// h half-bars. So the whole log is compacted in the least q half-bars with C * q >= T + A * q + q / h + 1.
ManifestPace ManifestPace::of(const FormatOptions& format, u32 trees, u64 tables_max) {
  ASSERT(trees >= 1);
  ASSERT(tables_max >= 1);
  const u64 entry_count_max = (format.block_size - block_header_size) / sizeof(TableInfo);
  ASSERT(entry_count_max >= 1);
  const u64 compactions = trees * div_ceil(format.levels, 2);
  const u64 append = div_ceil(compactions * 2 * (1 + format.growth), entry_count_max);
  const u64 extra = format.manifest_extra_blocks;
  ASSERT(extra >= 1);
  const u64 compact = append + extra;
  const u64 live = div_ceil(tables_max, entry_count_max);
  const u64 cycle = live + append * div_ceil(live, extra);
  ASSERT(cycle == live + append * div_ceil(cycle, compact));

  const u64 interval = u64{2} * format.checkpoint_interval / format.beats;
  ASSERT(interval >= 4);
  const u64 passes = div_ceil(interval * (live + 1), interval * extra - 1);
  const u64 steady = live + append * passes + div_ceil(passes, interval);
  ASSERT(steady >= cycle);
  return {
      .entry_count_max = static_cast<u32>(entry_count_max),
      .tables_max = tables_max,
      .append_blocks = append,
      .compact_blocks_max = compact,
      .live_blocks = live,
      .cycle_blocks = cycle,
      .log_blocks_max = steady + (append + 1) * div_ceil(live + 1, compact) + 1,
  };
}

u64 ManifestPace::compact_blocks(u64 log_blocks, u64 tables) const {
  if (log_blocks + append_blocks >= cycle_blocks) return compact_blocks_max;
  const u128 cycle = u128{cycle_blocks} * tables / tables_max;
  const u128 blocks = u128{compact_blocks_max} * log_blocks / std::max<u128>(cycle, 1);
  return static_cast<u64>(std::min<u128>(blocks, compact_blocks_max));
}

bool ManifestPace::is_long(u64 log_blocks, u64 tables) const {
  return u128{log_blocks + append_blocks} * tables_max >= u128{cycle_blocks} * tables;
}

}  // namespace tonearm
