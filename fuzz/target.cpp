#include "fuzz/target.h"

namespace tonearm::sim {

namespace {

constexpr Bounds of_engine = {.lines = 400, .ops = 300};

// Fewer lines where each is dear: a line of `manifest_log` may be 24 half-bars, one of `superblock` writes
// four copies.
constexpr Target part(const char* name, u64 lines = 150) {
  return {.name = name, .play = play_scenario, .workload = name, .bounds = {.lines = lines}};
}

constexpr Target table[] = {
    {.name = "tree", .play = play_scenario, .workload = "tree", .bounds = of_engine},
    {.name = "groove", .play = play_scenario, .workload = "groove", .bounds = of_engine},
    {.name = "scan",
     .play = play_scenario,
     .workload = "scan",
     .other_workload = "scan_tree",
     .bounds = of_engine},
    {.name = "forest", .play = play_scenario, .workload = "forest", .bounds = of_engine},
    part("cache"),
    part("cache_map"),
    part("free_set"),
    part("grid"),
    part("manifest_level"),
    part("manifest_log", 40),
    part("merge"),
    part("segmented_array"),
    part("superblock", 80),
    part("table_memory"),
    {.name = "block", .play = play_blocks},
    {.name = "scenario", .play = parse_any_scenario},
    {.name = "query", .play = parse_any_query},
};

}  // namespace

std::span<const Target> targets() { return table; }

const Target* find_target(std::string_view name) {
  for (const Target& target : table) {
    if (name == target.name) return &target;
  }
  return nullptr;
}

}  // namespace tonearm::sim
