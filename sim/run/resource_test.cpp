// What bounds the engine's use of things: that it is counted at all, and that runs look at it.
#include <cstdlib>
#include <memory>

#include "sim/component/tested.h"
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

TEST_CASE("every line of a component is compared with its bounds", "[resource][component]") {
  for (const Workload& workload : workloads()) {
    if (find_alphabet(workload.name) == nullptr) continue;
    INFO(workload.name);
    const RunResult result = SeedRun(1, std::string(workload.name)).play();
    check_passed(result);
    CHECK(result.counters.allocations == 0);
    CHECK(result.counters.bounds_checked == result.counters.ops + 2);  // Construction and end.
  }
}

TEST_CASE("whatever is called of a part that is tested is code of the engine", "[resource][component]") {
  struct Part {
    u64 calls = 0;
    void call() {
      ++calls;
      allocate(10);
    }
  };
  Tested<Part> part;
  part.emplace();
  const u64 before = engine_allocations();
  part->call();
  part.pointer()->call();
  CHECK(engine_allocations() - before == 2);
  allocate(10);
  (*part).call();
  CHECK(engine_allocations() - before == 2);
  CHECK((*part).calls == 3);
}

}  // namespace tonearm::sim
