// How a simulated disk behaves: geometry, latencies, durability and what may go wrong.
#pragma once

#include "base/types.h"
#include "sim/disk/fault.h"
#include "sim/disk/keyed.h"
#include "sim/disk/medium.h"
#include "storage/storage.h"

namespace tonearm::sim {

enum class CompletionPolicy : u8 { latency, fifo, lifo, uniform, starve, priority };
const char* completion_policy_name(CompletionPolicy policy);

struct LatencyProfile {
  u32 latency_ticks_min = 0;
  u32 latency_ticks_mean = 0;  // Of the exponential part; 0: none.
  Ratio stall{};               // A stalled request takes 100 times as long.
};

struct DiskOptions {
  u32 sector_size = 4096;
  u32 block_size = 4096;
  u64 blocks_count = 4096;
  bool mirror = false;  // A second side of the grid, behind the first in the image; such a disk cannot grow.
  LatencyProfile read, write, sync;
  LatencyProfile superblock;  // For both directions in the superblock zone.
  Ratio slow{};  // Chance of a slow episode: reads, writes or both take longer for a few operations.
  CompletionPolicy policy = CompletionPolicy::latency;
  IoPurpose starved = IoPurpose::lookup;  // For CompletionPolicy::starve.
  u32 queue_depth = 32;  // Requests the device works on; the others wait in order of submission.
  DurabilityProfile profile = DurabilityProfile::durable;
  u32 tear_unit = 512;  // 512 or 4096; at most the sector size.
  FaultOptions faults;
  u64 seed = 0;          // Of the run: streams derive theirs from it unless given below.
  u64 seed_latency = 0;  // 0: derived.
  u64 seed_poison = 0;   // 0: derived.
  // What a shorter write to a block leaves behind it reads as poison, as if it had never been written.
  bool poison_recycled = false;
};

}  // namespace tonearm::sim
