#include "groove/groove_options.h"

namespace tonearm {

OptionsError validate(const GrooveOptions& options) {
  if (options.cache_slots % 16 != 0 || options.cache_slots > (1U << 24)) {
    return {.field = "object_cache_slots",
            .expected = "a multiple of 16, to 16777216",
            .given = options.cache_slots};
  }
  if (options.cache_hash_bits > 64) {
    return {.field = "object_cache_hash_bits", .expected = "0 to 64", .given = options.cache_hash_bits};
  }
  if (options.prefetch_keys_max < 1 || options.prefetch_keys_max > (1U << 20)) {
    return {.field = "prefetch_keys_max", .expected = "1 to 1048576", .given = options.prefetch_keys_max};
  }
  if (options.prefetch_workers < 1 || options.prefetch_workers > 1024) {
    return {.field = "prefetch_workers", .expected = "1 to 1024", .given = options.prefetch_workers};
  }
  if (options.scan_sort_timestamps < 1 || options.scan_sort_timestamps > (1U << 20)) {
    return {
        .field = "scan_sort_timestamps", .expected = "1 to 1048576", .given = options.scan_sort_timestamps};
  }
  if (options.lookup_workers < 1 || options.lookup_workers > lookup_workers_max) {
    return {.field = "lookup_workers", .expected = "1 to 16", .given = options.lookup_workers};
  }
  return {};
}

}  // namespace tonearm
