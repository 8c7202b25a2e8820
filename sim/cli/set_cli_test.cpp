// What `--set` gives, whatever the seed draws.
#include <catch2/catch.hpp>
#include <map>

#include "sim/cli/cli_fixture.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// Options that seeds draw from all that is legal; these values none of them does.
const std::map<std::string, u64> given = {
    {"manifest_extra_blocks", 29},
    {"cache_blocks", 48},
    {"read_iops", 777},
    {"write_iops", 778},
    {"compaction_blocks", 99},
    {"read_attempts_max", 37},
    {"scans_max", 13},
    {"object_cache_slots", 48},
    {"prefetch_workers", 333},
    {"scan_sort_timestamps", 777},
    {"lookup_workers", 11},
    {"scrub", 23},
};

RunOptions printed(const Fixture& f, const std::string& words) {
  const Ended ended = f.tonearm("print --ops 1 " + words);
  CAPTURE(words, ended.out, ended.err);
  REQUIRE(ended.status == 0);
  const auto parsed = parse_scenario(ended.out);
  const Scenario* scenario = std::get_if<Scenario>(&parsed);
  REQUIRE(scenario != nullptr);
  return scenario->options;
}

}  // namespace

TEST_CASE("what is set stays as it is, and all else as it was drawn", "[cli]") {
  const Fixture f;
  std::string sets;
  for (const auto& [name, value] : given) sets += " --set " + name + "=" + std::to_string(value);
  for (const std::string workload : {"scan", "tree"}) {
    for (u64 seed = 1; seed <= 12; ++seed) {
      const std::string words = "--workload " + workload + " --seed " + std::to_string(seed);
      INFO(words);
      const RunOptions drawn = printed(f, words);
      const RunOptions set = printed(f, words + sets);
      for (const Setting& setting : settings()) {
        const auto found = given.find(setting.name);
        INFO(setting.name);
        CHECK(setting.get(set) == (found == given.end() ? setting.get(drawn) : found->second));
      }
    }
  }
}

}  // namespace tonearm::sim
