// Run-time options of the grooves of a forest: how much is cached, and how much is fetched at once.
#pragma once

#include "base/options.h"

namespace tonearm {

inline constexpr u32 lookup_workers_max = 16;

struct GrooveOptions {
  u32 cache_slots = 1024;       // Objects cached by each groove; a multiple of 16. 0: none.
  u32 cache_hash_bits = 64;     // 0..64: fewer make equal tags and crowded sets common.
  u32 prefetch_keys_max = 256;  // Keys that one op may prefetch in each groove.
  u32 prefetch_workers = 8;     // Keys of a groove looked up at the same time, at least 1.
  u32 scan_sort_timestamps = 512;  // Of a range of values, brought into order in one pass, at least 1.
  u32 lookup_workers = 8;          // Objects of a scan looked up at the same time: 1..lookup_workers_max.
};

OptionsError validate(const GrooveOptions& options);

}  // namespace tonearm
