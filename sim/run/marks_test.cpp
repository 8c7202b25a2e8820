// What the seeds of `tree` must reach: each mark of the list at least once in the first seeds.
#include <array>
#include <cstdlib>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// Marks that no seed reaches today, because what makes them (read faults, full disks) is not drawn.
constexpr Mark never[] = {
    Mark::sticky_error,
};

}  // namespace

TEST_CASE("the seeds of tree reach every mark", "[marks]") {
  std::array<u64, mark_count> hits{};
  std::array<u64, mark_count> seeds{};
  for (u64 seed = 1; seed <= repeats(200); ++seed) {
    const RunResult result = SeedRun(seed).play();
    check_passed(result);
    for (u32 i = 0; i < mark_count; ++i) {
      hits[i] += result.marks[i];
      seeds[i] += result.marks[i] > 0 ? 1 : 0;
    }
  }
  for (u32 i = 0; i < mark_count; ++i) {
    const Mark mark = static_cast<Mark>(i);
    INFO(mark_name(mark) << ": " << mark_text(mark) << ": " << hits[i] << " hits in " << seeds[i] << " seeds");
    if (std::getenv("TONEARM_SHOW_MARKS") != nullptr) {
      std::printf("%-36s %8llu hits %4llu seeds\n", mark_name(mark), static_cast<unsigned long long>(hits[i]),
                  static_cast<unsigned long long>(seeds[i]));
    }
    CHECK(hits[i] > 0);
  }
}

}  // namespace tonearm::sim
