// Swarm: each seed draws what exists in its run at all, with which weights, on which geometry, disk
// and completion order. Half of the seeds get a tiny geometry, in which everything rare is common:
// blocks of one value, levels of two tables, a cache of one set, hashes of no bits.
//
// Every draw is keyed by a name, so that a new one shifts no other.
#pragma once

#include "sim/scenario/run_options.h"

namespace tonearm::sim {

// The options of the `tree` workload, always valid.
void draw_tree(u64 seed, RunOptions* options);

// The same with scans that stay open from line to line.
void draw_scan_tree(u64 seed, RunOptions* options);

// Of `groove`, one of the grooves, and `forest`, three of them; of `scan`, one groove and mostly queries.
void draw_groove(u64 seed, RunOptions* options);
void draw_forest(u64 seed, RunOptions* options);
void draw_scan(u64 seed, RunOptions* options);

// A short run on a tiny geometry, without crashes and faults: what fails in it was planted.
void draw_canary(u64 seed, RunOptions* options);

// The same geometry and disk, a few thousand lines: of component workloads, each of which reads the
// settings that concern it.
void draw_component(u64 seed, RunOptions* options);
void draw_cache(u64 seed, RunOptions* options);     // Few sets, hashes of few bits, more addresses than ways.
void draw_grid(u64 seed, RunOptions* options);      // Few blocks, so that addresses come again.
void draw_free_set(u64 seed, RunOptions* options);  // From one word of blocks to many shards.
void draw_table_memory(u64 seed, RunOptions* options);  // Tables of two values to thousands.

// Of `manifest_level`: every growth, and as many levels as some thousand tables need.
void draw_manifest_level(u64 seed, RunOptions* options);

// Of `merge`: from a few keys, which all streams have, to many.
void draw_merge(u64 seed, RunOptions* options);
void draw_manifest_log(u64 seed, RunOptions* options);
void draw_superblock(u64 seed, RunOptions* options);
void draw_trailer(u64 seed, RunOptions* options);

// Of `segmented_array`: arrays of a few elements, and of enough for many nodes.
void draw_segmented_array(u64 seed, RunOptions* options);

}  // namespace tonearm::sim
