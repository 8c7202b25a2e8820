// What the seeds of `tree` must reach: each mark of the list at least once in the first seeds.
#include <algorithm>
#include <array>
#include <span>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// What makes these is drawn by no seed of `tree`, or cannot happen there.
constexpr Mark never[] = {
    // Damaged or failing blocks, full disks.
    Mark::sticky_error,
    Mark::grid_read_retried,
    Mark::read_block_failed,
    Mark::read_block_invalid_checksum,
    Mark::read_block_invalid_checksum_body,
    Mark::read_block_invalid_padding,
    Mark::read_block_unexpected_checksum,
    Mark::read_block_unexpected_command,
    // Reads that overlap: the runner waits for each query, and compaction reads nothing twice.
    Mark::grid_read_coalesced,
    Mark::grid_read_from_write,
    // Larger disks, longer runs.
    Mark::free_set_shard_full,
    Mark::manifest_compacted_full_rate,
};

// Reached by a few seeds in two hundred: too few to expect them of a shorter list.
constexpr Mark rare[] = {
    Mark::superblock_copy_repaired,
    Mark::superblock_mixed_at_open,
    Mark::compaction_budget_min,
    Mark::merge_to_nothing,
    Mark::checkpoint_unchanged_trailer,
    Mark::table_memory_emptied,
    Mark::level_emptied,
    Mark::grid_write_queued,
    Mark::superblock_torn_at_open,
};

bool contains(std::span<const Mark> marks, Mark mark) {
  return std::find(marks.begin(), marks.end(), mark) != marks.end();
}

}  // namespace

TEST_CASE("the seeds of tree reach what they must", "[marks]") {
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
    INFO(mark_name(mark) << ": " << mark_text(mark) << ": " << hits[i] << " hits in " << seeds[i]
                         << " seeds");
    if (contains(never, mark)) {
      if (hits[i] > 0) WARN(mark_name(mark) << " is reached now: require it");
    } else if (repeats(200) == 200 || !contains(rare, mark)) {
      CHECK(hits[i] > 0);
    }
  }
}

}  // namespace tonearm::sim
