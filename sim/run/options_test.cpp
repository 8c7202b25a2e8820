// What is drawn from a seed and what the engine takes must be the same: only here both are known.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

TEST_CASE("the engine accepts whatever is drawn", "[options]") {
  for (const Workload& workload : workloads()) {
    for (u64 seed = 0; seed < repeats(1000); ++seed) {
      RunOptions options;
      workload.draw(seed, &options);
      INFO(workload.name << " seed " << seed);
      const std::string problem = validate_run(workload.name, options);
      INFO(problem);
      REQUIRE(problem.empty());
    }
  }
}

}  // namespace tonearm::sim
