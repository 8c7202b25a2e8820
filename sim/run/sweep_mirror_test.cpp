// Sweeps over two sides of the grid: either of them has all that a crash must leave, and a defect of that is
// found.
#include <memory>
#include <vector>

#include "sim/disk/engine_code.h"
#include "sim/run/test_sweeps.h"

namespace tonearm::sim {

namespace {

// With all faults that damage a side at rest, or bring something else of it.
FaultOptions faults_of(FaultZone side) {
  FaultOptions faults{};
  for (const FaultKind kind : {FaultKind::rot, FaultKind::unreadable, FaultKind::lost_write,
                               FaultKind::read_error, FaultKind::misdirected_write}) {
    faults[kind] = {.ratio = {1, 60}, .zone = side};
  }
  return faults;
}

// Between the live engine and its mirror: syncs of it are answered, and are none.
class UnsyncedMirror final : public StorageSeam, public Storage {
 public:
  Storage& over(SimStorage& disk) override { return disk; }
  Storage& over_mirror(SimStorage& disk) override {
    disk_ = &disk;
    tick_.link.queued = false;
    return *this;
  }
  void read(Read& read) override { disk_->mirror().read(read); }
  void write(Write& write) override { disk_->mirror().write(write); }
  void next_tick(NextTick& next_tick) override { disk_->mirror().next_tick(next_tick); }
  void sync(Sync& sync) override {
    sync_ = &sync;
    tick_.done = Callback<NextTick&>::to<&UnsyncedMirror::answer>(this);
    disk_->next_tick(tick_);
  }

 private:
  void answer(NextTick&) {
    sync_->result = IoResult::ok;
    sync_->done(*sync_);
  }

  SimStorage* disk_ = nullptr;
  Sync* sync_ = nullptr;
  NextTick tick_;
};

// Between the live engine and its disk: what is written again on the first side is written on the mirror at
// the same time, so that a crash may tear both.
class RepairOfBothSides final : public StorageSeam, public Storage {
 public:
  Storage& over(SimStorage& disk) override {
    disk_ = &disk;
    others_.clear();
    return *this;
  }
  void read(Read& read) override { disk_->read(read); }
  void sync(Sync& sync) override { disk_->sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }
  void write(Write& write) override {
    const HarnessCode harness;
    if (write.tag.purpose == IoPurpose::repair) {
      Other& other = *others_.emplace_back(std::make_unique<Other>());
      other.bytes.assign(write.buffer.begin(), write.buffer.end());
      other.write = {.buffer = other.bytes,
                     .offset = write.offset,
                     .zone = write.zone,
                     .durability = write.durability,
                     .tag = {.purpose = IoPurpose::mirror_repair},
                     .done = Callback<Write&>::plain(nullptr, [](void*, Write&) {})};
      disk_->mirror().write(other.write);
    }
    disk_->write(write);
  }

 private:
  struct Other {
    std::vector<std::byte> bytes;
    Write write;
  };
  SimStorage* disk_ = nullptr;
  std::vector<std::unique_ptr<Other>> others_;
};
}  // namespace

TEST_CASE("a sweep opens what a crash leaves from the mirror alone, too", "[sweep][mirror]") {
  for (const char* workload : {"tree", "groove"}) {
    INFO(workload);
    SeedRun seed(5, workload);
    RunOptions& options = seed.config.options;
    options.ops = 120;
    options.disk.faults = {};
    options.disk.mirror = true;
    options.disk.profile = DurabilityProfile::cached;
    seed.changed();
    const Swept swept = sweep_of(seed.config, {.outcomes_max = 200});
    check_passed(swept.result);
    CHECK(swept.result.digests == seed.play().digests);
    const SweepCounters& c = swept.sweep.counters[0];
    CHECK(c.mirror_alone > 0);
    CHECK(c.mirror_alone < c.judged);
    CHECK(c.sides_compared > 10);
    options.disk.mirror = false;
    seed.changed();
    CHECK(sweep_of(seed.config, {.outcomes_max = 200}).sweep.counters[0].mirror_alone == 0);
  }
}

// That both sides have it all is seen twice: by comparing them, and by opening from the mirror.
TEST_CASE("a sweep finds that a checkpoint does not wait for the mirror", "[sweep][mirror]") {
  const std::string two_bars = "put kv key=1 value=1\ncommit times=9\nput kv key=2 value=2\ncommit times=9\n";
  const Scenario scenario = require_scenario(sweep_header("durability=cached mirror=on") + two_bars);
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  RunConfig config = RunConfig::of(scenario, *source);
  check_passed(sweep_of(config, {.outcomes_max = 100}).result);
  UnsyncedMirror seam;
  config.seam = &seam;
  const auto failure_without = [&](std::initializer_list<Oracle> without) {
    config.oracles = OracleSet::all();
    for (const Oracle oracle : without) config.oracles.set(oracle, false);
    return sweep_of(config, {.outcomes_max = 100}).result.failure;
  };
  const Failure compared = failure_without({});
  CHECK(compared.failure_class == FailureClass::structure);
  CHECK(compared.site.find("the sides of a ") == 0);
  const Failure opened = failure_without({Oracle::structure});
  CHECK(opened.failure_class == FailureClass::crash_legal);
  CHECK(opened.site.find("from the mirror: block_") != std::string::npos);
  CHECK(opened.story.find("with nothing on the first side of the grid that can be read") !=
        std::string::npos);
}

TEST_CASE("a sweep over one damaged side of the grid never misses the other", "[sweep][mirror]") {
  for (const FaultZone side : {FaultZone::first, FaultZone::mirror}) {
    RunCounters sum{};
    u64 judged = 0;
    for (u64 number = 4; number <= 6; ++number) {
      SeedRun seed(number, number == 6 ? "groove" : "tree");
      INFO(fault_zone_name(side) << " of seed " << number);
      RunOptions& options = seed.config.options;
      options.ops = 120;
      options.disk.faults = faults_of(side);
      options.disk.mirror = true;
      options.full_blocks = 0;
      options.scrub = 3;
      seed.changed();
      const SweptDamage damage = side == FaultZone::first ? SweptDamage::first : SweptDamage::mirror;
      // Every step: what is judged once stands for them, with damage that comes between writes, too.
      const Swept swept =
          sweep_of(seed.config, {.outcomes_max = 200, .every_step = number == 5, .damage = damage});
      check_passed(swept.result);
      CHECK(swept.result.digests == seed.play().digests);
      CHECK(swept.sweep.counters[0].mirror_alone == 0);
      judged += swept.sweep.counters[0].judged;
      sum.repairs += swept.result.counters.repairs;
      sum.repairs_mirror += swept.result.counters.repairs_mirror;
    }
    CHECK(judged > 50);
    CHECK((sum.repairs > 0) == (side == FaultZone::first));
    CHECK((sum.repairs_mirror > 0) == (side == FaultZone::mirror));
  }
}

// Opening repairs nothing, so only tables are: no recovery reads them before it compares all that there is.
TEST_CASE("a sweep finds what a crash has torn where nothing but an audit looks", "[sweep][mirror]") {
  SeedRun seed(5);
  RunOptions& options = seed.config.options;
  options.ops = 400;
  options.disk.faults = {};
  options.disk.faults[FaultKind::rot] = {.ratio = {1, 8}, .zone = FaultZone::first};
  options.disk.mirror = true;
  options.full_blocks = 0;
  options.scrub = 0;
  seed.changed();
  seed.config.oracles.set(Oracle::structure, false);  // It counts the repairs.
  const SweepOptions swept{.outcomes_max = 200, .damage = SweptDamage::first};
  check_passed(sweep_of(seed.config, swept).result);
  RepairOfBothSides seam;
  seed.config.seam = &seam;
  check_passed(seed.play());
  const Swept found = sweep_of(seed.config, swept);
  CHECK(found.result.failure.failure_class == FailureClass::false_alarm);
  CHECK(found.result.failure.site == "after open: block_damaged");
  CHECK(found.result.failure.story.find("/repair") != std::string::npos);
}

}  // namespace tonearm::sim
