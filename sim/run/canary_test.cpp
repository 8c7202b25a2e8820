// The canary: a workload that must fail at a known rate, or the pipeline has gone silent.
#include "sim/run/test_runs.h"

namespace tonearm::sim {

TEST_CASE("about one canary in four must fail", "[canary]") {
  u64 expected = 0;
  for (u64 seed = 1; seed <= 4000; ++seed) expected += canary_fails(seed) ? 1 : 0;
  CHECK(expected > 4000 / canary_one_in * 9 / 10);
  CHECK(expected < 4000 / canary_one_in * 11 / 10);
}

TEST_CASE("the canaries that must fail do, and no other", "[canary]") {
  u64 failed = 0;
  for (u64 seed = 1; seed <= repeats(400); ++seed) {
    INFO("canary seed " << seed);
    const RunResult result = SeedRun(seed, "canary").play();
    CHECK(result.failed() == canary_fails(seed));
    failed += result.failed() ? 1 : 0;
    if (result.failed()) CHECK(result.failure.signature() != 0);
  }
  CHECK(failed > repeats(400) / canary_one_in / 2);
}

}  // namespace tonearm::sim
