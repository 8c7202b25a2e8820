#include "sim/run/op_states.h"

#include <algorithm>

#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

u64 digest_of(const Forest& forest) {
  const FreeSet& free_set = forest.grid().free_set();
  u64 digest = remix(free_set.count_acquired(), free_set.count_released());
  for (u32 tree = 0; tree < forest.tree_count(); ++tree) {
    const Manifest& manifest = forest.tree(tree).manifest();
    for (u32 level = 0; level < manifest.levels(); ++level) {
      digest = remix(digest, u64{tree} << 32 | level);
      ManifestLevel::Tables::Cursor cursor = manifest.level(level).tables().cursor();
      for (; !cursor.end(); cursor.next()) {
        const TableInfo& table = cursor.get();
        digest = remix(digest, table.address);
        digest = remix(digest, static_cast<u64>(table.checksum));
        digest = remix(digest, table.snapshot_min);
      }
    }
  }
  return digest;
}

}  // namespace

bool OpStates::agree(const Forest& forest, u64 op) {
  if (forest.compacting()) return true;
  const u64 digest = digest_of(forest);
  if (states_.empty() || states_.back().op < op) {
    states_.push_back({.op = op, .digest = digest});
    return true;
  }
  const auto before = [](const State& state, u64 number) { return state.op < number; };
  const auto found = std::lower_bound(states_.begin(), states_.end(), op, before);
  return found->op != op || found->digest == digest;
}

void OpStates::forget(u64 op) {
  while (!states_.empty() && states_.front().op <= op) states_.pop_front();
}

}  // namespace tonearm::sim
