// Everything that decides a run besides its operations. Swarm draws it from the seed, `--set` and
// `set` lines change it, and a printed scenario spells all of it out.
#pragma once

#include <array>

#include "base/options.h"
#include "base/variation.h"
#include "sim/disk/sim_storage.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

// Of the timestamps that insert lines name: only ever greater ones, the line's own; or any.
enum class Timestamps : u8 { increasing, any };

// Whether a seed draws faults: its own draw decides, it must, it must not.
enum class FaultProfile : u8 { drawn, full, none };

struct RunOptions {
  FormatOptions format;
  RuntimeOptions runtime;
  DiskOptions disk;

  // --- of grooves; each groove of a run has the same
  GrooveName groove = GrooveName::things;  // That the workloads `groove` and `scan` play.
  u32 object_cache_slots = 1024;
  u32 object_hash_bits = 64;
  u32 prefetch_keys_max = 256;
  u32 prefetch_workers = 8;
  u32 scan_sort_timestamps = 512;
  u32 lookup_workers = 8;

  // The caller's mark_checkpoint_durable() comes d(C) ops after the checkpoint, d keyed by C alone,
  // 0 <= d <= this, and always before the next checkpoint.
  u32 durability_delay_ops_max = 0;

  // After an error that ends the engine, so many lines are played without one, or with one that answers
  // queries only; then the disk is healed and the engine opened again.
  u32 heal_lines = 0;

  // The engine is given so many blocks, and an eighth more each time that it has found the disk full; 0: all.
  u64 full_blocks = 0;

  // Reads that the scrubber has in flight; 0: no scrubbing.
  u32 scrub = 0;
  u32 scrub_damages = 64;  // Listed of a tour.

  // How often the engine does otherwise at each variation point, by Variation.
  std::array<Ratio, variation_count> vary{};

  // --- the generator's knobs (see workload/); a scenario file carries them for information only
  FaultProfile fault_profile = FaultProfile::drawn;
  u64 ops = 4000;  // Lines.
  u32 key_universe = 512;
  u32 phase_lines = 200;
  u32 weight_put = 40, weight_remove = 10, weight_get = 20, weight_scan = 5;
  u32 weight_commit = 20, weight_checkpoint = 1, weight_scope = 2, weight_crash = 1, weight_reopen = 1;
  u32 weight_heal = 0;
  u32 weight_kv = 2, weight_index = 1, weight_id = 1;
  u32 bias_recent = 20, bias_removed = 10, bias_neighbour = 10, bias_limit = 2;  // Percent of the keys.
  u32 bias_cold = 50;                                                            // Percent of the reads.
  u32 ladder_victims = 2;
  u32 episode_lines = 0;  // From one episode to the next; 0: none.
  // Of lines between which scans are open, and of queries.
  u32 weight_scan_open = 0, weight_query = 0, weight_page = 0;
  u32 query_leaves_max = 4;  // Predicates of most queries.
  u32 query_depth_max = 2;   // Operators around a predicate.
  u32 bias_range = 30;       // Percent of the predicates: more than one value.
  u32 bias_narrowed = 20;    // Percent of the predicates: timestamps of their own.
  // Of grooves, which have no puts.
  Timestamps timestamps = Timestamps::increasing;
  u32 weight_insert = 20, weight_update = 20, weight_upsert = 10, weight_orphan = 1;
  u32 weight_exists = 5, weight_prefetch = 5;
  u32 weight_things = 2, weight_notes = 2, weight_events = 1;
  u32 bias_hot = 75;       // Percent of the values of fields.
  u32 bias_surprise = 15;  // Percent of the changes whose key is not chosen so that they apply.

  // --- oracles' work, not their strictness
  u32 audit_live_percent = 50;          // Chance that full audits go through the live engine, not a shadow.
  u32 shadow_every_checkpoints = 4;     // Shadow audits; 0: none.
  u32 directed_checks_max = 4;          // Per commit.
  u32 directed_every_lines = 250;       // Each check has to be paid for with so many lines.
  u64 liveness_ticks_max = 50'000'000;  // One engine call may take this long in virtual time.
};

}  // namespace tonearm::sim
