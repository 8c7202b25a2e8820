// Variation points: places where the engine may legally do otherwise than it usually does.
//
// A block that is cached may be read again, a flush that could wait may happen now. Whoever uses the
// engine must not notice: every answer stays the same. A harness installs a source that asks for it now
// and then, so that what is rare by itself becomes common. Without one a point is a test of one word.
//
//   schedule   What is decided reaches no byte of the disk: when something is read, what is kept.
//   layout     Decides what is written, or where. The point is asked with what the decision is about (op,
//              tree, level), and the source must answer by that alone, never by how often it was asked:
//              an op that is replayed after a crash must decide as it did, or its blocks would differ.
#pragma once

#include "base/types.h"

namespace tonearm {

enum class VariationKind : u8 { schedule, layout };

// One line each: identifier, kind, and the sentence that `tonearm options` prints.
#define TONEARM_VARIATIONS(X)                                                                       \
  X(cache_miss, schedule, "a cached block is not found in the cache")                               \
  X(cache_insert_refused, schedule, "a block that was read or written is not cached")               \
  X(cache_evicted_early, schedule, "a released block leaves the cache at once")                     \
  X(read_slot_single, schedule, "a read waits as if there were one I/O slot")                       \
  X(write_slot_single, schedule, "a write waits as if there were one I/O slot")                     \
  X(read_repeated, schedule, "a block that was read well is read once more")                        \
  X(lookup_uncached, schedule, "a lookup does not try the cached blocks first")                     \
  X(key_range_ignored, schedule, "a lookup goes to the levels although the tree never had the key") \
  X(scan_refilled_early, schedule, "a scan asks to be refilled before a level has run dry")         \
  X(suffix_sorted_early, schedule, "a memory table is sorted after a put")                          \
  X(prefetch_uncached, schedule, "a prefetch looks in the trees for what the object cache knows")   \
  X(prefetch_narrow, schedule, "a prefetch has one worker")                                         \
  X(prefetch_backwards, schedule, "a prefetch takes its keys from the last to the first")           \
  X(object_stashed, schedule, "an object goes to the stash although the object cache has room")     \
  X(object_cache_emptied, schedule, "at the end of a bar the object cache forgets everything")      \
  X(compaction_narrow, schedule, "a share of a compaction uses the least number of buffers")        \
  X(flush_not_deferred, layout, "a small immutable table is flushed although it could wait")        \
  X(beat_uneven, layout, "a beat consumes more or less than its even share")                        \
  X(coalescing_refused, layout, "a merge takes no small neighbour along")                           \
  X(coalescing_eager, layout, "a merge takes every neighbour along that adds no output")            \
  X(move_rewritten, layout, "a table that could move is written again instead")                     \
  X(table_not_least, layout, "another table than the one of least overlap is compacted")            \
  X(tombstones_kept, layout, "a merge keeps tombstones that it could drop")                         \
  X(manifest_block_cut, layout, "a manifest block is closed although it has room")                  \
  X(manifest_compacted_more, layout, "one manifest block more than due is compacted")               \
  X(manifest_compacted_late, layout, "the manifest is not compacted before that is due at full rate")

enum class Variation : u8 {
#define X(name, kind, text) name,
  TONEARM_VARIATIONS(X)
#undef X
};

inline constexpr u32 variation_count = 0
#define X(name, kind, text) +1
    TONEARM_VARIATIONS(X)
#undef X
    ;

const char* variation_name(Variation site);
const char* variation_text(Variation site);
VariationKind variation_kind(Variation site);

struct VariationSource {
  void* context = nullptr;
  u64 (*ask)(void* context, Variation site, u64 a, u64 b) = nullptr;
  u32 sites = 0;  // Bit by site: those that are asked at all.
};
VariationSource set_variation_source(VariationSource source);  // Returns the old one.

namespace detail {
extern VariationSource variation_source;
}

// Whether anybody varies it in this process at all: who works ahead must not work past a place that is asked.
inline bool varied(Variation site) {
  return (detail::variation_source.sites >> static_cast<u32>(site) & 1) != 0;
}

// 0: as usual. Otherwise: otherwise; where there is a choice, the number makes it.
inline u64 variation(Variation site, u64 a, u64 b = 0) {
  if (!varied(site)) return 0;
  return detail::variation_source.ask(detail::variation_source.context, site, a, b);
}

}  // namespace tonearm
