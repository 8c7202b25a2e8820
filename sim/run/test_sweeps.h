// What the tests of sweeps share.
#pragma once

#include <string>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

// Of a scenario with small bars, in which little is enough for a checkpoint.
inline std::string sweep_header(const std::string& settings) {
  return "tonearm 1\nworkload tree\nexpect pass\nseed 77\n"
         "set sector_size=4096 tear_unit=4096 block_size=4096 levels=4 growth=2 beats=2 "
         "checkpoint_interval=4\n"
         "set batch_values_max=4 values_per_block_max=2 blocks_count=1024 cache_blocks=16 queue_depth=4\n"
         "set latency.write.mean=20 latency.read.mean=10 latency.sync.mean=50 latency.superblock.mean=30\n" +
         (settings.empty() ? "" : "set " + settings + "\n") + "---\n";
}

struct Swept {
  RunResult result;
  Sweep sweep;
};

inline Swept sweep_of(RunConfig config, const SweepOptions& options) {
  Swept swept;
  swept.sweep.options = options;
  config.sweep = &swept.sweep;
  swept.result = run(config, runner_memory());
  return swept;
}

}  // namespace tonearm::sim
