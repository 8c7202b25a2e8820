// Scrub tours leave no trace in what is stored and answered; images that lie are seen through.
#include <algorithm>
#include <set>

#include "sim/decode/image_forgery.h"
#include "sim/run/player.h"
#include "sim/run/test_runs.h"
#include "sim/run/world_shape.h"

namespace tonearm::sim {

namespace {

constexpr u64 first_seed = 9001;

// Without crashes: those strike by steps, of which a scrubber takes some.
SeedRun plain_run(u64 seed, u32 scrub, const char* workload = "tree") {
  SeedRun run(seed, workload);
  run.config.options.weight_crash = 0;
  run.config.options.disk.faults = {};
  run.config.options.scrub = scrub;
  run.config.record_checkpoints = run.config.record_image = true;
  run.changed();
  return run;
}

}  // namespace

TEST_CASE("a scrubber changes no answer and no byte", "[verify]") {
  u64 tours = 0;
  u64 blocks = 0;
  for (u64 seed = first_seed; seed < first_seed + repeats(12); ++seed) {
    INFO("seed " << seed);
    const RunResult without = plain_run(seed, 0).play();
    check_passed(without);
    CHECK(without.counters.blocks_scrubbed == 0);
    const DecodedImage image = decode_image(*runner_memory().parts().final_image);
    for (const u32 reads : {1U, 7U, 64U}) {
      const RunResult with = plain_run(seed, reads).play();
      check_passed(with);
      CHECK(with.digests.answers == without.digests.answers);
      CHECK(with.digests.digest != without.digests.digest);
      CHECK(decode_image(*runner_memory().parts().final_image).checkpoint_id == image.checkpoint_id);
      CHECK(std::equal(with.checkpoints.begin(), with.checkpoints.end(), without.checkpoints.begin(),
                       without.checkpoints.end(), [](const CheckpointRecord& a, const CheckpointRecord& b) {
                         return a.op == b.op && a.id == b.id;
                       }));
      tours += with.counters.scrub_tours;
      blocks += with.counters.blocks_scrubbed;
    }
  }
  CHECK(tours > 20 / (TONEARM_TEST_SLOW != 0 ? 8 : 1));
  CHECK(blocks > 1000);
  runner_memory().parts().final_image.reset();
}

TEST_CASE("every run is verified, some are shown damage", "[verify]") {
  u64 damages = 0;
  for (u64 seed = first_seed + 100; seed < first_seed + 100 + repeats(40); ++seed) {
    SeedRun run(seed);
    const RunResult result = run.play();
    check_passed(result);
    CHECK(result.counters.verifications >= 1);
    damages += result.counters.damages_shown;
    run.config.oracles.set(Oracle::verify, false);
    const RunResult blind = run.play();
    CHECK(blind.counters.verifications + blind.counters.scrub_tours + blind.counters.damages_shown == 0);
    CHECK(blind.digests.digest == result.digests.digest);
  }
  CHECK(damages >= repeats(40) / 10);
}

TEST_CASE("a forged image has right checksums, and the decoder sees the lie", "[verify]") {
  std::set<std::string> lies;
  u64 told = 0;
  u64 played = 0;
  for (u64 seed = first_seed + 200; played < 5; ++seed) {
    const RunResult result = plain_run(seed, 0).play();
    check_passed(result);
    REQUIRE(seed < first_seed + 220);
    if (result.counters.ended_full > 0) continue;  // It left no image.
    ++played;
    const Image image = *runner_memory().parts().final_image;
    const DecodedImage decoded = decode_image(image);
    REQUIRE(decoded.outcome == DecodeOutcome::ok);
    CHECK(check_image(decode_image(image, {.values = true})).empty());
    for (u64 random = 0; random < 400; ++random) {
      Image lying = image;
      const Forged forged = forge_image(&lying, decoded, hash_of(seed << 16 | random));
      if (!forged.told()) continue;
      INFO("seed " << seed << ": " << forged.lie << " at " << forged.address);
      const DecodedImage seen = decode_image(lying, {.values = true});
      CHECK(seen.outcome == DecodeOutcome::ok);
      CHECK(seen.damaged.empty() != forged.unreadable);
      CHECK((forged.unreadable || !check_image(seen).empty()));
      lies.insert(forged.lie);
      ++told;
    }
  }
  CHECK(lies.size() == 41);
  CHECK(told > 1000);
  runner_memory().parts().final_image.reset();
}

TEST_CASE("a forged image of a groove, whose blocks and trees are right one by one", "[verify]") {
  std::set<std::string> all;
  std::set<std::string> lies;
  u64 told = 0;
  for (u64 seed = first_seed + 300; seed < first_seed + 306; ++seed) {
    const SeedRun run = plain_run(seed, 0, "groove");
    check_passed(run.play());
    const Image image = *runner_memory().parts().final_image;
    const ForestShape& shape = shape_of_run(run.config);
    const DecodedImage decoded = decode_image(image, {.shape = &shape});
    for (u64 random = 0; random < 120; ++random) {
      Image lying = image;
      const Forged forged = forge_image(&lying, decoded, hash_of(seed << 8 | random));
      if (!forged.told() || forged.unreadable) continue;
      INFO("seed " << seed << ": " << forged.lie << " at " << forged.address);
      const DecodedImage seen = decode_image(lying, {.values = true, .shape = &shape});
      CHECK(seen.damaged.empty());
      const std::vector<std::string> lines = check_image(seen);
      REQUIRE_FALSE(lines.empty());
      all.insert(forged.lie);
      if (forged.disagreement == ForgedDisagreement::none) continue;
      // Only what compares the trees of the groove complains.
      for (const std::string& line : lines) CHECK(line.find(shape.grooves[0].name) == 0);
      lies.insert(forged.lie);
      ++told;
    }
  }
  CHECK(lies.size() == 6);
  CHECK(told > 50);
  CHECK(all.contains("an object has timestamp 0"));
  CHECK(all.contains("an index entry has timestamp 0"));
  CHECK(all.contains("an id is 0"));
  runner_memory().parts().final_image.reset();
}

TEST_CASE("a forged image that does not open, and the decoder sees the lie", "[verify]") {
  std::set<std::string> lies;
  u64 files = 0;
  for (u64 seed = first_seed + 400; files < 4; ++seed) {
    REQUIRE(seed < first_seed + 420);
    const RunResult result = plain_run(seed, 0).play();
    check_passed(result);
    if (result.counters.ended_full > 0) continue;
    ++files;
    const Image image = *runner_memory().parts().final_image;
    const DecodedImage decoded = decode_image(image);
    for (u64 random = 0; random < 200; ++random) {
      Image lying = image;
      const Forged forged =
          forge_opening(&lying, decoded, decoded.blocks_count, hash_of(seed << 16 | random));
      if (!forged.told()) continue;
      INFO("seed " << seed << ": " << forged.lie << " at " << forged.address);
      CHECK(forged.refused);
      const DecodedImage seen = decode_image(lying, {.values = true});
      CHECK(seen.outcome == DecodeOutcome::ok);
      CHECK((!seen.damaged.empty() || !check_image(seen).empty()));
      lies.insert(forged.lie);
    }
  }
  CHECK(lies.size() == 28);
  runner_memory().parts().final_image.reset();
}

}  // namespace tonearm::sim
