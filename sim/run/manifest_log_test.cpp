// Workload `manifest_log`: its first seeds reach what is rare, and every kind of hostile block.
#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "sim/component/manifest_forgery.h"
#include "sim/component/superblock_forgery.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

constexpr Mark required[] = {
    Mark::manifest_block_closed_full,
    Mark::manifest_block_closed_partial,
    Mark::manifest_compacted,
    Mark::manifest_compacted_full_rate,
    Mark::manifest_entry_dropped,
    Mark::manifest_entry_kept,
    Mark::free_set_reused,
    Mark::free_set_released_before_durable,
    Mark::read_block_invalid_checksum,
    Mark::read_block_invalid_checksum_body,
    Mark::read_block_invalid_padding,
    Mark::read_block_unexpected_checksum,
    Mark::read_block_unexpected_command,
};

u64 max_of(std::string_view workload, std::string_view verb, std::string_view argument) {
  const Verb* found = find_verb(*find_alphabet(workload), verb);
  REQUIRE(found != nullptr);
  for (const VerbArgument& one : found->arguments) {
    if (one.name != nullptr && argument == one.name) return one.max;
  }
  FAIL("no such argument");
  return 0;
}

}  // namespace

TEST_CASE("the seeds of manifest_log reach what is rare", "[component][manifest_log]") {
  std::array<u64, mark_count> hits{};
  std::map<u64, u64> kinds_forged;
  std::map<u64, u64> errors;
  u64 full_rate_seeds = 0;
  const u64 seeds = repeats(80);
  for (u64 seed = 1; seed <= seeds; ++seed) {
    SeedRun run(seed, "manifest_log");
    for (u64 i = 0; i < run.source->count(); ++i) {
      Operation line;
      run.source->at(i, &line);
      if (std::string_view(line.verb->name) == "forge") ++kinds_forged[line.arguments[1]];
    }
    const RunResult result = run.play();
    check_passed(result);
    for (u32 i = 0; i < mark_count; ++i) hits[i] += result.marks[i];
    full_rate_seeds += result.marks[static_cast<u32>(Mark::manifest_compacted_full_rate)] > 0 ? 1 : 0;
    ++errors[result.counters.unanswered > 0 ? 1 : 0];
  }
  for (const Mark mark : required) {
    INFO(mark_name(mark));
    CHECK(hits[static_cast<u32>(mark)] > 0);
  }
  // The median seed does.
  CHECK(full_rate_seeds * 2 > seeds);
  CHECK(errors[1] > errors[0]);
  if (seeds >= 80) CHECK(kinds_forged.size() == manifest_forgery_count());
}

TEST_CASE("the alphabets name every kind of forgery", "[component]") {
  CHECK(max_of("manifest_log", "forge", "kind") + 1 == manifest_forgery_count());
  CHECK(max_of("superblock", "forge", "kind") + 1 == forgery_count());
  CHECK(max_of("superblock", "alter", "field") + 1 == copy_field_count());
  CHECK(max_of("superblock", "alter", "how") + 1 == 2 * copy_change_count);
}

}  // namespace tonearm::sim
