// Whatever the engine does otherwise at its variation points, no answer changes.
#include <algorithm>

#include "sim/run/test_runs.h"
#include "sim/run/twin.h"
#include "sim/run/variations.h"

namespace tonearm::sim {

namespace {

constexpr u64 first_seed = 8001;

Variation site_at(u32 index) { return static_cast<Variation>(index); }

// The points that only grooves come to.
bool of_grooves(Variation site) {
  constexpr Variation sites[] = {Variation::prefetch_uncached, Variation::prefetch_narrow,
                                 Variation::prefetch_backwards, Variation::object_stashed,
                                 Variation::object_cache_emptied};
  return std::find(std::begin(sites), std::end(sites), site) != std::end(sites);
}

// Without crashes: those strike by steps, of which there are more when a block is read again.
SeedRun plain_run(u64 seed, const char* workload) {
  SeedRun run(seed, workload);
  run.config.options.weight_crash = 0;
  run.config.options.disk.faults = {};
  run.config.options.vary = {};
  run.changed();
  return run;
}

// Of one kind; the others are off.
void vary_all(RunOptions* options, VariationKind kind, Ratio ratio) {
  options->vary = {};
  for (u32 i = 0; i < variation_count; ++i) {
    if (variation_kind(site_at(i)) == kind) options->vary[i] = ratio;
  }
}

}  // namespace

namespace {

// With a full last level a run ends early, and what it was asked then depends on the layout.
bool ended_full(const RunResult& a, const RunResult& b) {
  return a.counters.ended_full + b.counters.ended_full > 0;
}

void check_each_point(const char* workload, bool grooves) {
  std::vector<SeedRun> runs;
  std::vector<RunResult> plain;
  for (u64 seed = first_seed; seed < first_seed + 6; ++seed) {
    runs.push_back(plain_run(seed, workload));
    plain.push_back(runs.back().play());
    check_passed(plain.back());
    for (const u64 armed : plain.back().variations_armed) REQUIRE(armed == 0);
  }
  for (u32 i = 0; i < variation_count; ++i) {
    if (of_grooves(site_at(i)) != grooves) continue;
    INFO(variation_name(site_at(i)));
    u64 fired = 0;
    u64 others = 0;  // Runs that took another course.
    for (std::size_t at = 0; at < runs.size(); ++at) {
      if (at >= repeats(runs.size()) && fired > 0 && others > 0) break;
      SeedRun& run = runs[at];
      INFO("seed " << run.config.seed);
      run.config.options.vary = {};
      run.config.options.vary[i] = {.numerator = 1, .denominator = 2};
      const RunResult result = run.play();
      check_passed(result);
      if (!ended_full(result, plain[at])) CHECK(result.digests.answers == plain[at].digests.answers);
      CHECK(result.variations_armed[i] >= result.variations_fired[i]);
      fired += result.variations_fired[i];
      others += result.digests.digest != plain[at].digests.digest ? 1 : 0;
      for (u32 other = 0; other < variation_count; ++other) {
        if (other != i) CHECK(result.variations_armed[other] == 0);
      }
    }
    CHECK(fired > 0);
    // Behind the range of the whole tree no table is found either, so that no request is made.
    if (site_at(i) != Variation::key_range_ignored) CHECK(others > 0);
  }
}

}  // namespace

TEST_CASE("every variation point fires, and changes no answer", "[variation]") {
  check_each_point("tree", false);
}

TEST_CASE("every variation point of grooves fires, and changes no answer", "[variation]") {
  check_each_point("forest", true);
}

TEST_CASE("variation points that are always on are survived too", "[variation]") {
  const char* const workload = GENERATE("tree", "groove", "forest");
  u64 compared = 0;
  for (const VariationKind kind : {VariationKind::schedule, VariationKind::layout}) {
    for (u64 seed = first_seed + 20; seed < first_seed + 20 + repeats(16); ++seed) {
      INFO("seed " << seed);
      SeedRun run = plain_run(seed, workload);
      const RunResult plain = run.play();
      vary_all(&run.config.options, kind, {.numerator = 1, .denominator = 1});
      const RunResult result = run.play();
      check_passed(result);
      if (ended_full(result, plain)) continue;
      CHECK(result.digests.answers == plain.digests.answers);
      ++compared;
    }
  }
  CHECK(compared >= repeats(16));
}

TEST_CASE("a replay after a crash lays out what the first run did", "[variation]") {
  u64 crashes = 0;
  u64 fired = 0;
  for (u64 seed = first_seed + 40; seed < first_seed + 40 + repeats(24); ++seed) {
    INFO("seed " << seed);
    SeedRun run(seed);
    run.config.options.weight_crash = 20;
    vary_all(&run.config.options, VariationKind::layout, {.numerator = 1, .denominator = 2});
    run.changed();
    run.config.record_checkpoints = run.config.record_effective = true;
    const RunResult result = run.play();
    check_passed(result);
    crashes += result.counters.crashes;
    for (const u64 count : result.variations_fired) fired += count;
    // Another schedule altogether, and no crash.
    RunConfig other = run.config;
    for (u32 i = 0; i < variation_count; ++i) {
      if (variation_kind(site_at(i)) == VariationKind::schedule)
        other.options.vary[i] = {.numerator = 1, .denominator = 3};
    }
    check_passed(run_twin(other, result, 1, runner_memory(), TwinKind::machine));
  }
  CHECK(crashes > 20 / (TONEARM_TEST_SLOW != 0 ? 8 : 1));
  CHECK(fired > 100);
}

TEST_CASE("a decision is a function of what it is about", "[variation]") {
  RunOptions options;
  options.vary.fill({.numerator = 1, .denominator = 2});
  Variations variations(options, 7);
  Variations again(options, 7);
  Variations other(options, 8);
  const Attribution first{.op = {.number = 1}, .context = 0};
  const Attribution later{.op = {.number = 2}, .context = 9};
  for (u32 i = 0; i < variation_count; ++i) {
    INFO(variation_name(site_at(i)));
    u64 fired = 0;
    bool by_seed = false;
    bool by_operation = false;
    for (u64 a = 0; a < 200; ++a) {
      const u64 decided = variations.ask(site_at(i), a, 3, first, 1);
      fired += decided != 0 ? 1 : 0;
      CHECK(variations.ask(site_at(i), a, 3, first, 1) == decided);
      CHECK(again.ask(site_at(i), a, 3, first, 1) == decided);
      by_seed |= other.ask(site_at(i), a, 3, first, 1) != decided;
      by_operation |= variations.ask(site_at(i), a, 3, later, 1) != decided;
    }
    CHECK(fired > 60);
    CHECK(fired < 140);
    CHECK(by_seed);
    CHECK(by_operation == (variation_kind(site_at(i)) == VariationKind::schedule));
    CHECK(variations.armed()[i] == 600);
  }
  options.vary = {};
  CHECK(Variations(options, 7).sites() == 0);
}

TEST_CASE("after a reseed what a replay must repeat is decided as it was", "[variation]") {
  RunOptions options;
  options.vary.fill({.numerator = 1, .denominator = 2});
  Variations plain(options, 7);
  Variations other(options, 8);
  Variations reseeded(options, 7);
  reseeded.reseed(8, 100);
  const Attribution line{.op = {.number = 1}, .context = 0};
  for (u32 i = 0; i < variation_count; ++i) {
    const bool layout = variation_kind(site_at(i)) == VariationKind::layout;
    for (u64 a = 0; a < 50; ++a) {
      Variations& then = layout ? plain : other;
      CHECK(reseeded.ask(site_at(i), a, 3, line, 100) == then.ask(site_at(i), a, 3, line, 100));
      CHECK(reseeded.ask(site_at(i), a, 3, line, 101) == other.ask(site_at(i), a, 3, line, 101));
    }
  }
}

}  // namespace tonearm::sim
