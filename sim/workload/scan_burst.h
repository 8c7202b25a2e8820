// A burst: a run of lines between which scans are open. Which of them opens, reads, probes, aborts or closes
// which scan follows from the burst's random value and the line's place, by going through the lines before
// it.
//
// What a scan is about, the generator decides from the scan's own random value, which is the same in all of
// its lines.
#pragma once

#include "sim/scenario/operation.h"

namespace tonearm::sim {

inline constexpr u64 burst_lines_max = 60;

struct ScanStep {
  OperationKind kind;
  u32 slot;      // Of the scan; of a scan_next of several, one of them.
  u64 scan;      // Random value of the scan.
  u64 progress;  // Lines about it before this one.
  u64 random;    // Of the line.
  u16 slots;     // Of the line; count, too.
  u64 count;
};
// `pool`: how many scans may be open; a burst in eight wants more.
ScanStep scan_step(u64 random, u64 place, u32 pool);
// Kind, slots and count of the line.
void fill_scan_step(const ScanStep& step, Operation* operation);

// Where a probe goes, between the beginning of what its scan wants (0), and the end (probe_end): a leap
// forwards mostly, sometimes one back or beyond either end.
inline constexpr i64 probe_end = 1024;
i64 probe_place(const ScanStep& step);

}  // namespace tonearm::sim
