// Runs on a disk that fills: nothing is lost by it, and with more blocks everything goes on as if it had been
// larger all the time.
#include "sim/run/test_runs.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

TEST_CASE("a disk that fills and grows leaves the same checkpoints as a large one", "[full]") {
  u64 full = 0;
  u64 checkpoints = 0;
  for (const std::string_view workload : {"tree", "groove", "scan"}) {
    for (const u64 seed : {4, 5, 8}) {
      INFO(workload << " seed " << seed);
      SeedRun run(seed, workload);
      run.config.options.disk.faults = {};
      run.config.options.full_blocks = 64;
      run.config.options.ops = 2500;
      run.changed();
      record_for_twin(&run.config);
      const RunResult small = run.play();
      check_passed(small);
      CHECK(small.counters.disk_full % 2 == 0);  // Each time it is opened again with as many blocks, too.
      CHECK(small.counters.ended_full == 0);
      full += small.counters.disk_full;
      // The same ops where everything fits.
      const RunResult large = run_twin(run.config, small, 1, runner_memory(), TwinKind::machine);
      check_passed(large);
      CHECK(large.counters.disk_full == 0);
      checkpoints += large.counters.twin_checkpoints;
    }
  }
  CHECK(full >= 2 * 9);
  CHECK(checkpoints > 9);
}

TEST_CASE("a run on a disk that cannot grow ends when it is full", "[full]") {
  SeedRun run(5, "tree");
  run.config.options.disk.faults = {};
  run.config.options.full_blocks = 0;
  run.config.options.runtime.blocks_count = 192;
  run.changed();
  const RunResult result = run.play();
  check_passed(result);
  CHECK(result.counters.disk_full == 2);
  CHECK(result.counters.ended_full == 1);
}

}  // namespace tonearm::sim
