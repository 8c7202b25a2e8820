// What a scrub tour must have read, and how many blocks it must have counted.
#pragma once

#include <compare>

#include "forest/scrubber.h"

namespace tonearm::sim {

// What a scrub tour must have read: blocks that were reachable when it began.
struct ScrubTarget {
  u64 address = 0;
  u128 checksum = 0;
  u32 level = 0;  // Of the table; the manifest log has none.
  u64 index = 0;  // Of a value block: that of the index block that leads to it.

  friend auto operator<=>(const ScrubTarget&, const ScrubTarget&) = default;
};

// A side of a block that was damaged.
struct CuredSide {
  u64 address = 0;
  bool mirror = false;
};

// Of the tour that is going on, or was the last one.
struct TourCounts {
  Scrubber::Counters before;  // When it began.
  bool going = false;         // It is, or has not been looked at since.
  u64 op = 0;                 // After which it began.
  bool stepped = false;
  u64 first_due = 0;   // The index block of the table at its origin; 0 if that is not known.
  u64 first = 0;       // That was read.
  u64 reads = 0;       // As the disk was asked for them.
  u64 indexes = 0;     // Of those, index blocks,
  u64 values = 0;      // and value blocks;
  u64 values_due = 0;  // so many are named by those index blocks.
};

}  // namespace tonearm::sim
