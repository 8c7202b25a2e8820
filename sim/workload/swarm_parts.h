// What every workload over a whole engine draws alike.
#pragma once

#include "sim/scenario/run_options.h"
#include "sim/workload/draw.h"

namespace tonearm::sim {

void draw_tiny_runtime(const Draw& draw, RuntimeOptions* r);
void draw_usual_runtime(const Draw& draw, RuntimeOptions* r);
// After the format and the weights: disk, faults, delays of durability.
void draw_disk(const Draw& draw, u64 seed, RunOptions* o);
// Of `groove` and `forest`; of `scan`; of `scan_tree`. After the other weights.
void draw_few_queries(const Draw& draw, RunOptions* o);
void draw_many_queries(const Draw& draw, RunOptions* o);
void draw_tree_scans(const Draw& draw, RunOptions* o);
// Each variation point is on in a quarter of the runs, seldom or often.
void draw_variations(const Draw& draw, RunOptions* o);

}  // namespace tonearm::sim
