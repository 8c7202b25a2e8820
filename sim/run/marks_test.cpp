// corpus/marks.required says of every mark who must reach it: the median one of the first seeds of
// `tree`, or, of what no seed of `tree` can do, a unit test that demands it.
#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

constexpr u64 seeds_played = 200;
constexpr u64 seeds_of_workload = 50;

struct Required {
  std::string by;  // "seeds", "rare", workloads, or a file.
  std::string reason;

  // The workloads that it names, if it names any: "scan_tree,scan".
  std::vector<std::string> workloads() const {
    std::vector<std::string> names;
    std::istringstream list(by);
    for (std::string name; std::getline(list, name, ',');) {
      if (find_workload(name) != nullptr) names.push_back(name);
    }
    const bool all = names.size() == 1 + static_cast<u64>(std::count(by.begin(), by.end(), ','));
    CHECK((names.empty() || all));
    return names;
  }
};

std::string file_text(const std::string& name) {
  std::ifstream file(std::string(TONEARM_SOURCE_DIR "/") + name);
  INFO(name);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::array<Required, mark_count> read_required() {
  std::array<Required, mark_count> required;
  std::istringstream text(file_text("corpus/marks.required"));
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    std::string name;
    Required row;
    fields >> name >> row.by;
    std::getline(fields >> std::ws, row.reason);
    INFO(line);
    u32 number = 0;
    while (number < mark_count && name != mark_name(static_cast<Mark>(number))) ++number;
    REQUIRE(number < mark_count);
    REQUIRE(required[number].by.empty());  // Once.
    REQUIRE_FALSE(row.by.empty());
    required[number] = row;
  }
  return required;
}

bool by_seeds(const Required& required) { return required.by == "seeds" || required.by == "rare"; }

struct Hits {
  std::array<u64, mark_count> hits{};
  std::array<u64, mark_count> seeds{};
};

// At most so many, until the marks of `wanted` are hit, if there are any.
Hits play_seeds(std::string_view workload, u64 count, const std::vector<u32>& wanted = {}) {
  Hits sum;
  const auto hit = [&sum](u32 mark) { return sum.hits[mark] > 0; };
  for (u64 seed = 1; seed <= count; ++seed) {
    if (!wanted.empty() && std::all_of(wanted.begin(), wanted.end(), hit)) break;
    const RunResult result = SeedRun(seed, workload).play();
    check_passed(result);
    for (u32 i = 0; i < mark_count; ++i) {
      sum.hits[i] += result.marks[i];
      sum.seeds[i] += result.marks[i] > 0 ? 1 : 0;
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("every mark has somebody who must reach it", "[marks]") {
  const std::array<Required, mark_count> required = read_required();
  for (u32 i = 0; i < mark_count; ++i) {
    const std::string name = mark_name(static_cast<Mark>(i));
    INFO(name);
    REQUIRE_FALSE(required[i].by.empty());
    if (required[i].by == "seeds") continue;
    CHECK_FALSE(required[i].reason.empty());
    if (required[i].by == "rare") continue;
    if (!required[i].workloads().empty()) continue;
    CHECK(required[i].by.ends_with("_test.cpp"));
    CHECK(file_text(required[i].by).find("Mark::" + name) != std::string::npos);
  }
}

TEST_CASE("the seeds of tree reach what they must", "[marks]") {
  const std::array<Required, mark_count> required = read_required();
  const auto [hits, seeds] = play_seeds("tree", repeats(seeds_played));
  const bool all = repeats(seeds_played) == seeds_played;
  for (u32 i = 0; i < mark_count; ++i) {
    const Mark mark = static_cast<Mark>(i);
    INFO(mark_name(mark) << ": " << mark_text(mark) << ": " << hits[i] << " hits in " << seeds[i]
                         << " seeds");
    if (by_seeds(required[i]) && (all || required[i].by == "seeds")) CHECK(hits[i] > 0);
    if (!all) continue;
    if (required[i].by == "rare") CHECK(seeds[i] < seeds_played / 2);   // Else it is no longer rare.
    if (required[i].by == "seeds") CHECK(seeds[i] > seeds_played / 2);  // Else not by the median seed.
    // Else the seeds are to be held to it: to what another workload hits often, if one in twenty reaches it.
    if (by_seeds(required[i])) continue;
    if (required[i].workloads().empty()) CHECK(hits[i] == 0);
    CHECK(seeds[i] * 20 < seeds_played);
  }
}

TEST_CASE("the seeds of components reach what those of tree cannot", "[marks]") {
  const std::array<Required, mark_count> required = read_required();
  for (const Workload& workload : workloads()) {
    std::vector<u32> wanted;
    for (u32 i = 0; i < mark_count; ++i) {
      const std::vector<std::string> names = required[i].workloads();
      if (std::find(names.begin(), names.end(), workload.name) != names.end()) wanted.push_back(i);
    }
    if (wanted.empty()) continue;
    const Hits sum = play_seeds(workload.name, seeds_of_workload, wanted);
    for (const u32 mark : wanted) {
      INFO(workload.name << ": " << mark_name(static_cast<Mark>(mark)));
      CHECK(sum.hits[mark] > 0);
    }
  }
}

}  // namespace tonearm::sim
