// What every workload over a whole engine draws alike.
#pragma once

#include <span>

#include "base/math.h"
#include "sim/scenario/run_options.h"
#include "sim/scenario/schema.h"
#include "sim/workload/draw.h"

namespace tonearm::sim {

// What the weights mean: how many of the lines that are neither commit nor scope write into the tree, or the
// groove, that is written most.
struct Rates {
  u64 others;   // Weights besides that of the commit.
  u64 writes;   // Of those that write.
  u64 targets;  // Of the trees, or grooves,
  u64 busiest;  // and of the one with most.

  // Values that go into the busiest one in so many lines, and the lines that so many values need.
  u64 values(u64 lines) const { return lines * writes * busiest / (others * targets); }
  u64 lines(u64 values) const { return div_ceil(values * others * targets, writes * busiest); }
};

struct Pace {
  Rates rates;
  u32 batch_use_percent_min;  // How full the batches are.
  u32 batch_use_percent_max;
  u64 op_lines_min;
  u64 op_lines_max;
};

// Sizes that any trees may have; whether these trees fit is the caller's to see.
void draw_tiny_format(const Draw& draw, std::span<const u32> block_sizes, FormatOptions* f);
void draw_usual_format(const Draw& draw, std::span<const u32> growths, FormatOptions* f);
// Now and then more slots for value blocks than any table of `world` needs: the rest of each part of an index
// block stays empty.
void draw_value_blocks(const Draw& draw, const World& world, FormatOptions* f);
// Ops are as long as their batches allow, checkpoints as far apart as the number of ops allows. Returns the
// lines of an op.
u64 draw_pace(const Draw& draw, const Pace& pace, RunOptions* o);
// The deepest levels that so many values fill.
u32 draw_levels(const Draw& draw, const FormatOptions& format, u64 values, u32 levels_max);
// Of a usual geometry: mostly enough keys for level 0 and more, or even for levels 0 and 1.
u32 draw_usual_universe(const Draw& draw, const FormatOptions& format, u64 universe_max);
// Of those with narrow levels some, or false: tables move and merge into the last level, which otherwise
// hardly any run reaches, because it must have room for all keys in small tables. One in sixteen has more
// keys than are sure to fit: in the end the last level is full, which is the end of the tree, and legal.
bool draw_last_level(const Draw& draw, const World& world, RunOptions* o);
void draw_runtime(const Draw& draw, bool tiny, RuntimeOptions* r);
// After all others: each of the options that decide nothing but memory and pace may have any value.
void draw_legal_options(const Draw& draw, const World& world, RunOptions* o);
// Of a format: as usual, or any.
u32 draw_legal_beats(const Draw& draw, u32 usual, u32 max);
u32 draw_legal_sector(const Draw& draw, u32 usual, u32 block_size);
// How often the run is looked at from outside.
void draw_watch(const Draw& draw, RunOptions* o);
// After the format and the weights: disk, faults, delays of durability.
void draw_disk(const Draw& draw, u64 seed, RunOptions* o);
// Of `groove` and `forest`; of `scan`; of `scan_tree`. After the other weights.
void draw_few_queries(const Draw& draw, RunOptions* o);
void draw_many_queries(const Draw& draw, RunOptions* o);
void draw_tree_scans(const Draw& draw, RunOptions* o);
// Each variation point is on in a quarter of the runs, seldom or often.
void draw_variations(const Draw& draw, RunOptions* o);

}  // namespace tonearm::sim
