// A run that goes on with another seed: the same up to there, determinate from there on.
#include "sim/disk/engine_code.h"
#include "sim/run/freeze.h"
#include "sim/run/test_runs.h"
#include "sim/run/twin.h"
#include "sim/shrink/turning_point.h"
#include "sim/workload/reseeded_source.h"

namespace tonearm::sim {

namespace {

constexpr u64 lines = 400;

struct ReseededRun {
  ReseededRun(u64 seed, const char* workload, const Reseeds& reseeds, FaultProfile faults)
      : run(seed, workload) {
    run.config.options.ops = lines;
    run.config.options.fault_profile = faults;
    if (faults == FaultProfile::none) run.config.options.disk.faults = {};
    run.changed();
    run.source = std::make_unique<ReseededSource>(*run.definition, seed, run.config.options, reseeds);
    run.config.source = run.source.get();
  }
  SeedRun run;
};

Digests digests_of(u64 seed, const char* workload, const Reseeds& reseeds) {
  const RunResult result = ReseededRun(seed, workload, reseeds, FaultProfile::drawn).run.play();
  check_passed(result);
  return result.digests;
}

using Events = std::vector<Event>;

Events events_of(u64 seed, const char* workload, const Reseeds& reseeds) {
  ReseededRun reseeded(seed, workload, reseeds, FaultProfile::drawn);
  Events events;
  reseeded.run.config.event_context = &events;
  reseeded.run.config.event_listener = [](void* context, u64, const Event& event) {
    static_cast<Events*>(context)->push_back(event);
  };
  check_passed(reseeded.run.play());
  return events;
}

// Up to the line with this number, which is not among them.
u64 events_before(const Events& events, u64 number) {
  u64 i = 0;
  while (i < events.size() && !(events[i].kind == EventKind::operation && events[i].a == number)) ++i;
  return i;
}

bool same(const Event& a, const Event& b) {
  return a.tick == b.tick && a.kind == b.kind && a.a == b.a && a.b == b.b && a.c == b.c;
}

// The bug: an engine that has taken a checkpoint in line 60 never hears of a read again.
class Deaf final : public StorageSeam, public Storage {
 public:
  Storage& over(SimStorage& disk) override {
    disk_ = &disk;
    return *this;
  }
  void read(Read& read) override {
    if (!deaf_) disk_->read(read);
  }
  void write(Write& write) override {
    const HarnessCode harness;
    deaf_ |= write.zone == Zone::superblock && disk_->attribution().op == OpId{.number = 60, .child = 0};
    disk_->write(write);
  }
  void sync(Sync& sync) override { disk_->sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  SimStorage* disk_ = nullptr;
  bool deaf_ = false;
};

}  // namespace

TEST_CASE("reseed: by the seed of the run nothing changes", "[reseed]") {
  for (const char* workload : {"tree", "groove", "forest", "scan_tree", "scan"}) {
    for (u64 seed = 401; seed <= 400 + repeats(8); ++seed) {
      CAPTURE(workload, seed);
      CHECK(digests_of(seed, workload, {{.from = 150, .seed = seed}}) == digests_of(seed, workload, {}));
    }
  }
}

TEST_CASE("reseed: up to there the run is the same, and from there on a determinate other one", "[reseed]") {
  u64 crossed = 0;
  for (const char* workload : {"tree", "forest"}) {
    for (u64 seed = 421; seed <= 420 + repeats(8); ++seed) {
      CAPTURE(workload, seed);
      const Reseeds reseeds{{.from = 200, .seed = seed + 1000}};
      const Events plain = events_of(seed, workload, {});
      const Events other = events_of(seed, workload, reseeds);
      const u64 end = events_before(plain, 201);
      REQUIRE(events_before(other, 201) == end);
      CHECK(std::equal(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(end), other.begin(), same));
      crossed += plain.size() == other.size() ? 0 : 1;
      CHECK(digests_of(seed, workload, reseeds) == digests_of(seed, workload, reseeds));
    }
  }
  CHECK(crossed > repeats(8));
}

TEST_CASE("reseed: as a file, and frozen, it is the same run", "[reseed]") {
  u64 ticks = 0;
  for (const char* workload : {"tree", "groove"}) {
    for (u64 seed = 441; seed <= 440 + repeats(8); ++seed) {
      CAPTURE(workload, seed);
      ReseededRun reseeded(seed, workload, {{.from = 120, .seed = 77}}, FaultProfile::drawn);
      reseeded.run.config.record_faults = true;
      const RunResult played = reseeded.run.play();
      const Scenario scenario = scenario_of(reseeded.run);
      const std::string text = print_scenario(scenario);
      CHECK(text.find("\n120.1 reseed seed=0x4d\n") != std::string::npos);
      CHECK(print_scenario(require_scenario(text)) == text);
      CHECK(play(require_scenario(text)).result.digests == played.digests);
      const std::string frozen = print_scenario(freeze(scenario, played));
      CHECK(play(require_scenario(frozen)).result.digests == played.digests);
      CHECK(played.reseed_tick <= played.counters.ticks);
      ticks += played.reseed_tick > 0 ? 1 : 0;  // Some disks take no time.
    }
  }
  CHECK(ticks > 0);
}

TEST_CASE("reseed: twins of a run that was reseeded agree with it, also after crashes", "[reseed]") {
  u64 compared = 0;
  u64 crashes = 0;
  for (const char* workload : {"tree", "groove"}) {
    for (u64 seed = 461; seed <= 460 + repeats(12); ++seed) {
      ReseededRun reseeded(seed, workload, {{.from = 100, .seed = seed + 7}, {.from = 250, .seed = 3}},
                           FaultProfile::none);
      SeedRun& run = reseeded.run;
      // What a replay must repeat is what could differ.
      run.config.options.durability_delay_ops_max = run.config.options.format.checkpoint_interval;
      for (u32 i = 0; i < variation_count; ++i)
        run.config.options.vary[i] = {.numerator = 1, .denominator = 3};
      record_for_twin(&run.config);
      const RunResult result = run.play();
      check_passed(result);
      crashes += result.counters.crashes;
      for (const TwinKind kind : {TwinKind::machine, TwinKind::layout}) {
        CAPTURE(workload, seed);
        const RunResult twin = run_twin(run.config, result, 1, runner_memory(), kind);
        check_passed(twin);
        compared += twin.counters.twin_checkpoints + twin.counters.twin_answers;
      }
    }
  }
  CHECK(compared > repeats(100));
  CHECK(crashes > repeats(8));
}

TEST_CASE("reseed: the line after which a planted bug is bound to be noticed is named", "[reseed]") {
  std::string text =
      "tonearm 1\nworkload tree\nexpect pass\nseed 5\n"
      "set beats=4 checkpoint_interval=16 cache_blocks=16 weight.commit=3 weight.checkpoint=0 "
      "weight.crash=0\n"
      "set weight.reopen=0\n---\n";
  for (u64 i = 1; i <= 100; ++i) {
    const bool put = i != 60 && i % 4 != 0;
    text += std::to_string(i) + (put       ? " put kv key=" + std::to_string(i) + " value=1\n"
                                 : i == 60 ? " checkpoint\n"
                                           : " commit\n");
  }
  const Scenario scenario = require_scenario(text);
  const auto fails = [&](const Scenario& played) {
    Deaf seam;
    const auto source = source_of(played.operations);
    RunConfig config;
    config.seed = played.seed;
    config.options = played.options;
    config.source = source.get();
    config.seam = &seam;
    const RunResult result = run(config, runner_memory());
    if (result.failed()) CHECK(result.failure.failure_class == FailureClass::liveness);
    return result.failed();
  };
  REQUIRE(fails(scenario));
  TurningPoint search(
      100, 4, 2,
      [&](std::span<const Suffix> suffixes) {
        std::vector<SuffixEnd> ends;
        for (const Suffix& suffix : suffixes) {
          RunOptions options = scenario.options;
          options.ops = 100;
          const Reseed reseed{.from = suffix.place, .seed = 1000 + suffix.number};
          const auto source = find_workload("tree")->source(scenario.seed, options, {reseed});
          Scenario other = scenario;
          for (u64 i = suffix.place; i < 100; ++i) source->at(i, &other.operations[i]);
          ends.push_back(fails(other) ? SuffixEnd::alike : SuffixEnd::passes);
        }
        return ends;
      },
      [] { return false; });
  search.search();
  CHECK(search.bound() == u64{60});
  CHECK(search.exact());
}

}  // namespace tonearm::sim
