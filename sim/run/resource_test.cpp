// What bounds the engine's use of things: that it is counted at all, and that runs look at it.
#include <cstdlib>
#include <memory>

#include "sim/disk/engine_code.h"
#include "sim/run/allocations.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// The compiler may not see that nothing comes of it.
void allocate(u64 size) {
  std::unique_ptr<std::byte[]> memory = std::make_unique<std::byte[]>(size);
  std::byte* volatile address = memory.get();
  *address = std::byte{1};
}

u64 counted(u64 size) {
  const u64 before = engine_allocations();
  allocate(size);
  return engine_allocations() - before;
}

}  // namespace

TEST_CASE("only what the engine allocates is counted", "[resource]") {
  CHECK(counted(10) == 0);
  const EngineCode engine;
  CHECK(counted(10) > 0);
  CHECK(counted(1 << 20) > 0);
  {
    const HarnessCode harness;
    CHECK(counted(10) == 0);
    {
      const EngineCode again;
      CHECK(counted(10) > 0);
    }
    CHECK(counted(10) == 0);
  }
  CHECK(counted(10) > 0);
}

TEST_CASE("every call of a run is compared with its bounds", "[resource]") {
  for (u64 seed = 1; seed <= repeats(8); ++seed) {
    const RunResult result = SeedRun(seed).play();
    check_passed(result);
    CHECK(result.counters.allocations == 0);
    // At the least each op, each query of a line and each change.
    CHECK(result.counters.bounds_checked > result.counters.commits + result.counters.changes);
  }
}

}  // namespace tonearm::sim
