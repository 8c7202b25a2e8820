// What twins and the poison twin compare, and that they see what they are for.
#include "sim/run/twin.h"
#include "sim/decode/image_compare.h"
#include "sim/run/player.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

SeedRun recorded(u64 seed) {
  SeedRun run(seed);
  record_for_twin(&run.config);
  return run;
}

RunResult twin_of(const SeedRun& run, const RunResult& result, u32 twin, TwinKind kind) {
  return run_twin(run.config, result, twin, runner_memory(), kind);
}

}  // namespace

TEST_CASE("twins of another layout give the same answers", "[twins]") {
  u64 answers = 0;
  u64 idle = 0;
  u64 twins = 0;
  u64 crashes = 0;
  for (u64 seed = 7201; seed <= 7200 + repeats(40); ++seed) {
    const SeedRun run = recorded(seed);
    const RunResult result = run.play();
    check_passed(result);
    crashes += result.counters.crashes;
    for (const u32 twin : {1U, 2U}) {
      INFO("seed " << seed << " twin " << twin);
      const RunResult other = twin_of(run, result, twin, TwinKind::layout);
      check_passed(other);
      CHECK(other.counters.twin_answers ==
            (other.counters.twins_idle > 0 ? 0 : result.effective_answers.size()));
      answers += other.counters.twin_answers;
      idle += other.counters.twins_idle;
      ++twins;
    }
  }
  CHECK(answers > 500 * twins / 2);
  CHECK(idle <= twins / 10);
  CHECK(crashes > 0);
}

TEST_CASE("both kinds of twins are drawn, and some compare blocks", "[twins]") {
  u64 machines = 0;
  u64 blocks = 0;
  constexpr u64 count = 40;  // The runs end with the first comparison.
  for (u64 seed = 7301; seed <= 7300 + count; ++seed) {
    machines += twin_kind(seed, 1) == TwinKind::machine ? 1 : 0;
    if (blocks > 0) continue;
    INFO("seed " << seed);
    const SeedRun run = recorded(seed);
    const RunResult result = run.play();
    check_passed(result);
    const RunResult other = twin_of(run, result, 1, TwinKind::machine);
    check_passed(other);
    blocks += other.counters.twin_blocks;
  }
  CHECK(blocks > 10);
  CHECK(machines > count / 5);
  CHECK(machines < count * 4 / 5);
}

TEST_CASE("a twin sees another answer, and a line that is missing", "[twins]") {
  SeedRun run = recorded(7101);
  RunResult result = run.play();
  for (u64 seed = 7102; result.effective_answers.size() <= 10; ++seed) {
    REQUIRE(seed < 7120);
    run = recorded(seed);
    result = run.play();
  }
  check_passed(result);
  check_passed(twin_of(run, result, 1, TwinKind::layout));
  SECTION("another answer") {
    RunResult tampered = result;
    tampered.effective_answers[7] ^= 1;
    const RunResult other = twin_of(run, tampered, 1, TwinKind::layout);
    CHECK(other.failure.failure_class == FailureClass::determinism);
    CHECK(other.failure.site == "twin: another answer");
  }
  SECTION("and a run without its changes") {
    RunResult tampered = result;
    std::erase_if(tampered.effective, [](u64 entry) {
      return entry < effective_commits_from && (entry & effective_query_bit) == 0;
    });
    const RunResult other = twin_of(run, tampered, 1, TwinKind::layout);
    CHECK(other.failure.site == "twin: another answer");
  }
}

TEST_CASE("the comparison of images sees one bit", "[twins]") {
  const SeedRun run = recorded(7101);
  check_passed(run.play());
  REQUIRE(runner_memory().parts().final_image);
  const Image first = *runner_memory().parts().final_image;
  runner_memory().parts().final_image.reset();
  Image second = first;
  const BlockComparison same = compare_blocks(first, second, three_trees_shape());
  CHECK(same.difference == "");
  REQUIRE(same.count > 10);
  CHECK(same.count == decode_image(first).blocks.size());
  // A value block: the checkpoint is read all the same, since the decoder looks at no values here.
  const DecodedImage decoded = decode_image(first);
  u64 address = 0;
  for (const DecodedBlock& block : decoded.blocks) {
    if (block.use == BlockUse::value) address = block.ref.address;
  }
  REQUIRE(address > 0);
  const u64 size = decoded.format.block_size;
  const u64 offset = (4 * 8192 + size - 1) / size * size + (address - 1) * size;
  std::vector<std::byte> sector(decoded.format.sector_size);
  first.read(offset, sector);
  sector[20] ^= std::byte{4};  // Beside the checksum, which does not cover it.
  second.write(offset, sector);
  const BlockComparison other = compare_blocks(first, second, three_trees_shape());
  CHECK(other.difference.ends_with("differs at byte 20"));
}

TEST_CASE("poison in fresh memory, unwritten sectors and recycled blocks changes no event", "[poison]") {
  for (u64 seed = 7401; seed <= 7400 + repeats(16); ++seed) {
    INFO("seed " << seed);
    SeedRun run(seed);
    const RunResult plain = run.play();
    check_passed(plain);
    for (const u64 poison : {u64{1}, u64_max, u64{0x9d3f'0a55'c3e1'77b5}}) {
      run.config.poison = poison;
      run.config.options.disk.seed_poison = poison;
      const RunResult other = run.play();
      check_passed(other);
      CHECK(other.digests.digest == plain.digests.digest);
      CHECK(other.digests.answers == plain.digests.answers);
    }
  }
}

TEST_CASE("a failure of a twin says whose it is, and names no line of the scenario", "[twins]") {
  SeedRun run = recorded(7101);
  run.config.role = "twin 9";
  run.config.options.liveness_ticks_max = 1;
  const RunResult result = run.play();
  REQUIRE(result.failed());
  CHECK(result.failure.message.starts_with("in twin 9: "));
  CHECK_FALSE(result.failure.has_op);
}

}  // namespace tonearm::sim
