#include "fuzz/target.h"

#include "fuzz/forgery.h"
#include "fuzz/mutate.h"

namespace tonearm::sim {

namespace {

// Fewer lines where each is dear: a line of `manifest_log` may be 24 half-bars, one of `superblock` writes
// four copies.
constexpr Target part(const char* name, u64 lines = 150) {
  return {.name = name,
          .play = play_scenario,
          .workload = name,
          .bounds = {.lines = lines},
          .mutate = mutate_input};
}
constexpr Target engine(const char* name, const char* other_workload = nullptr) {
  return {.name = name,
          .play = play_scenario,
          .workload = name,
          .other_workload = other_workload,
          .bounds = {.lines = 400, .ops = 300},
          .mutate = mutate_input};
}

constexpr Target table[] = {
    engine("tree"),
    engine("groove"),
    engine("scan", "scan_tree"),
    engine("forest"),
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
    {.name = "block", .play = play_blocks, .mutate = mutate_forgeries},
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
