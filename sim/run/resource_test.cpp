// What bounds the engine's use of things: that it is counted at all, and that runs look at it.
#include <cstdlib>
#include <memory>
#include <utility>

#include "sim/component/tested.h"
#include "sim/disk/engine_code.h"
#include "sim/run/allocations.h"
#include "sim/run/storage_seam.h"
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

// Between the engine and its disk: the first request of a purpose allocates, as if the engine did.
class Allocating final : public StorageSeam, public Storage {
 public:
  explicit Allocating(IoPurpose purpose) : purpose_(purpose) {}

  Storage& over(SimStorage& disk) override {
    disk_ = &disk;
    return *this;
  }
  void read(Read& read) override {
    submitted(read.tag);
    disk_->read(read);
  }
  void write(Write& write) override {
    submitted(write.tag);
    disk_->write(write);
  }
  void sync(Sync& sync) override {
    submitted(sync.tag);
    disk_->sync(sync);
  }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  void submitted(const IoTag& tag) {
    if (tag.purpose == purpose_ && !std::exchange(allocated_, true)) allocate(16);
  }

  IoPurpose purpose_;
  SimStorage* disk_ = nullptr;
  bool allocated_ = false;
};

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

TEST_CASE("a run fails on the first allocation, wherever it is", "[resource]") {
  for (const IoPurpose purpose :
       {IoPurpose::superblock_format, IoPurpose::superblock_read, IoPurpose::superblock_write,
        IoPurpose::trailer_write, IoPurpose::manifest_write, IoPurpose::lookup, IoPurpose::scan,
        IoPurpose::compact_read, IoPurpose::compact_write, IoPurpose::checkpoint_sync}) {
    INFO(io_purpose_name(purpose));
    for (const bool judged : {true, false}) {
      SeedRun run(1);
      Allocating seam(purpose);
      run.config.seam = &seam;
      run.config.oracles.set(Oracle::resource, judged);
      const RunResult result = run.play();
      INFO(result.failure.site << ": " << result.failure.message);
      CHECK(result.counters.allocations == 1);
      CHECK(result.failed() == judged);
      if (!judged) continue;
      CHECK(failure_class_name(result.failure.failure_class) == failure_class_name(FailureClass::resource));
      CHECK(result.failure.site.ends_with(": allocations"));
    }
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
