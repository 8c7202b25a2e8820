// Runs with faults: each must pass, and be about what it is about. What each verdict is worth is shown by the
// mutants `fault-*`, which switch off one of the engine's defences.
#include <fstream>
#include <iterator>
#include <string>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// Seeds of a workload under faults of one kind; the run, its counters summed up.
struct Faulty {
  RunCounters sum;
  u64 fired = 0;

  Faulty(std::string_view workload, u64 seeds, FaultKind kind, Ratio ratio, u32 heal_lines,
         FaultZone zone = FaultZone::both) {
    for (u64 seed = 1; seed <= seeds; ++seed) {
      INFO(workload << " seed " << seed << " " << fault_kind_name(kind));
      SeedRun run(seed, workload);
      run.config.options.disk.faults = {};
      run.config.options.disk.faults[kind] = {.ratio = ratio, .zone = zone};
      run.config.options.heal_lines = heal_lines;
      run.config.options.scrub = 2;
      run.config.options.ops = std::min<u64>(run.config.options.ops, 2500);
      run.changed();
      const RunResult result = run.play();
      check_passed(result);
      fired += result.faults_fired.of(kind);
      const RunCounters& c = result.counters;
      sum.unanswered += c.unanswered;
      sum.went_sticky += c.went_sticky;
      sum.went_down += c.went_down;
      sum.refused_sticky += c.refused_sticky;
      sum.down += c.down;
      sum.healed += c.healed;
      sum.opens_predicted += c.opens_predicted;
      sum.checkpoints_failed += c.checkpoints_failed;
      sum.latent_found += c.latent_found;
      sum.damages_scrubbed += c.damages_scrubbed;
    }
    CHECK(fired > 0);
  }
};

}  // namespace

TEST_CASE("what cannot be read goes unanswered, and the rest is exact", "[verdict]") {
  for (const FaultKind kind : {FaultKind::unreadable, FaultKind::rot}) {
    const Faulty faulty("groove", repeats(4), kind, {1, 60}, 40);
    CHECK(faulty.sum.unanswered > 0);
    CHECK(faulty.sum.went_sticky > 0);
    CHECK(faulty.sum.refused_sticky > 0);
    CHECK(faulty.sum.healed > 0);
    CHECK(faulty.sum.opens_predicted > 0);
  }
}

TEST_CASE("a damaged root or log keeps the engine down until it is healed", "[verdict]") {
  const Faulty faulty("tree", 6, FaultKind::unreadable, {1, 25}, 60);  // Few seeds reach it.
  CHECK(faulty.sum.went_down > 0);
  CHECK(faulty.sum.down > 0);
  CHECK(faulty.sum.healed >= faulty.sum.went_down / 2);
}

TEST_CASE("an engine that is out comes back at once where nothing is to be played without", "[verdict]") {
  const Faulty faulty("tree", repeats(4), FaultKind::rot, {1, 40}, 0);
  CHECK(faulty.sum.went_sticky > 0);
  CHECK(faulty.sum.down == 0);
  CHECK(faulty.sum.refused_sticky == 0);
}

TEST_CASE("a superblock that does not read back fails its checkpoint", "[verdict]") {
  const Faulty faulty("tree", repeats(6), FaultKind::lost_write, {1, 3}, 30, FaultZone::superblock);
  CHECK(faulty.sum.checkpoints_failed > 0);
  CHECK(faulty.sum.went_sticky > 0);
}

TEST_CASE("what rots is found by the scrubber", "[verdict]") {
  u64 latent_found = 0;
  u64 damages = 0;
  for (u64 seed = 4; seed <= 6; ++seed) {
    SeedRun run(seed, "tree");
    run.config.options.disk.faults = {};
    run.config.options.disk.faults[FaultKind::rot] = {.ratio = {1, 1500}, .zone = FaultZone::grid};
    run.config.options.heal_lines = 30;
    run.config.options.scrub = 4;
    run.config.options.runtime.cache_blocks = 1024;
    run.config.options.ops = 6000;
    run.changed();
    const RunResult result = run.play();
    check_passed(result);
    latent_found += result.counters.latent_found;
    damages += result.counters.damages_scrubbed;
  }
  CHECK(damages > 0);
  CHECK(latent_found > 0);
}

TEST_CASE("faults that pass are tried away", "[verdict]") {
  for (const FaultKind kind :
       {FaultKind::corrupt_transfer, FaultKind::misdirected_read, FaultKind::stale_read}) {
    const Faulty faulty("forest", repeats(2), kind, {1, 100}, 30);
    CHECK(faulty.sum.unanswered < faulty.fired);
  }
}

// Of what never fires nobody knows what it would do.
TEST_CASE("every kind of fault fires in a run, and in its zone alone", "[verdict]") {
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    if (decided_by_crash(kind)) continue;  // See crash_test.cpp.
    for (const FaultZone zone : {FaultZone::grid, FaultZone::superblock}) {
      if (strikes_syncs(kind) && zone == FaultZone::superblock) continue;
      CAPTURE(fault_kind_name(kind), fault_zone_name(zone));
      FaultCounts fired, expected;
      for (u64 seed = 1; seed <= 4; ++seed) {
        SeedRun run(seed, "tree");
        run.config.options.disk.faults = {};
        run.config.options.disk.faults[kind] = {.ratio = {.numerator = 1, .denominator = 6},
                                                .zone = strikes_syncs(kind) ? FaultZone::both : zone};
        run.config.options.heal_lines = 5;
        run.config.options.ops = 500;
        run.changed();
        const RunResult result = run.play();
        check_passed(result);
        fired += result.faults_fired;
        expected += result.faults_expected;
      }
      const bool grid = zone == FaultZone::grid;
      CHECK(fired.of(kind, grid ? Zone::grid : Zone::superblock) > 0);
      CHECK(fired.of(kind, grid ? Zone::superblock : Zone::grid) == 0);
      CHECK(silent_faults(fired, expected).empty());
    }
  }
}

// A test in which what the engine has against it is switched off, and somebody notices.
TEST_CASE("every kind of fault has a test that shows that it bites", "[verdict]") {
  std::ifstream file(TONEARM_SOURCE_DIR "/sim/run/defence_test.cpp");
  REQUIRE(file.is_open());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const std::string name = std::string("FaultKind::") + fault_kind_name(static_cast<FaultKind>(i));
    INFO(name);
    CHECK((text.find("check_read(" + name + ",") != std::string::npos ||
           text.find("check(" + name + ",") != std::string::npos ||
           text.find("{.kind = " + name + ",") != std::string::npos));
  }
}

TEST_CASE("a run with all faults is one run", "[verdict]") {
  SeedRun run(5, "groove");
  for (const FaultKind kind :
       {FaultKind::read_error, FaultKind::corrupt_transfer, FaultKind::misdirected_read,
        FaultKind::unreadable, FaultKind::rot, FaultKind::lost_write}) {
    run.config.options.disk.faults[kind].ratio = {1, 400};
  }
  run.config.options.heal_lines = 20;
  run.changed();
  const RunResult first = run.play();
  check_passed(first);
  CHECK(first.faults() > 0);
  CHECK(run.play().digests.digest == first.digests.digest);
}

}  // namespace tonearm::sim
