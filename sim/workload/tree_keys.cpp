// Which key a line means: phases, recent and removed keys, ladders, the cycles of the index.
#include <algorithm>

#include "base/assert.h"
#include "sim/workload/salts.h"
#include "sim/workload/tree_workload.h"

namespace tonearm::sim {

namespace {

constexpr u64 recent_lines = 64;  // How far back a recent key lies at most.
constexpr u64 removed_tries = 6;  // Lines looked at for one that removes.

}  // namespace

Key TreeSource::recent_key(u64 index, TreeName tree, u64 random) const {
  const u64 back = 1 + below(random, std::min(recent_lines, index));
  if (tree == TreeName::index && index_every_ > 0) {
    u64 visit = 0;
    return keys_.key(tree, index_number((index - back) / index_every_, &visit));
  }
  return keys_.key(tree, phases_.number(phases_.at(index - back), lines_.at(index - back)));
}

Key TreeSource::removed_key(u64 index, TreeName tree, u64 random) const {
  for (u64 i = 0; i < removed_tries; ++i) {
    const u64 line = index - 1 - below(remix(random, i), std::min(2 * recent_lines, index));
    if (tree == TreeName::index && index_every_ > 0) {
      u64 visit = 0;
      const u64 number = index_number(line / index_every_, &visit);
      if ((visit & 1) != 0) return keys_.key(tree, number);
      continue;
    }
    const u64 drawn = lines_.at(line);
    const PhaseRange phase = phases_.at(line);
    if (wish_of(phase, drawn).kind == OperationKind::remove)
      return keys_.key(tree, phases_.number(phase, drawn));
  }
  return recent_key(index, tree, random);
}

Key TreeSource::chosen_key(u64 index, const PhaseRange& phase, TreeName tree, u64 random, bool read) const {
  const RunOptions& o = options_;
  const u64 kind = below(remix(random, salt_key_kind), 100);
  const u64 side = remix(random, salt_key_side);
  u64 end = o.bias_limit;
  if (kind < end) {
    return below(side, 2) == 0 ? Key{} : key_max(tree);
  }
  if (index > 0) {
    if (kind < (end += o.bias_recent)) return recent_key(index, tree, side);
    if (kind < (end += o.bias_removed)) return removed_key(index, tree, side);
  }
  const Key key = keys_.key(tree, phases_.number(phase, random));
  // Only reads go beside the universe: its size bounds what the last level must hold.
  if (read && kind < end + o.bias_neighbour) return KeySpace::neighbour(tree, key, (side & 1) != 0);
  return key;
}

TreeName TreeSource::victim(u64 number, u64* key) const {
  const u64 random = ladders_.at(number, 1);
  switch (below(random, 4)) {
    case 0: *key = 0; break;
    case 1: *key = keys_.universe() - 1; break;
    default: *key = below(remix(random, salt_key), keys_.universe()); break;
  }
  const bool kv = options_.weight_id == 0 || (options_.weight_kv > 0 && (number & 1) == 0);
  return kv ? TreeName::kv : TreeName::id;
}

bool TreeSource::ladder(u64 index, bool in_scope, Operation* operation) const {
  if (ladder_lines_ == 0) return false;
  const u64 step = index / ladder_lines_;
  if (index % ladder_lines_ != below(ladders_.at(step, 2), ladder_lines_)) return false;
  static constexpr OperationKind rungs[] = {OperationKind::put,  OperationKind::put, OperationKind::remove,
                                            OperationKind::get,  OperationKind::put, OperationKind::remove,
                                            OperationKind::scan, OperationKind::get};
  u64 number = 0;
  OperationKind kind = rungs[step / options_.ladder_victims % std::size(rungs)];
  const bool missing = (kind == OperationKind::remove && options_.weight_remove == 0) ||
                       (kind == OperationKind::put && options_.weight_put == 0) ||
                       (kind == OperationKind::get && options_.weight_get == 0) ||
                       (kind == OperationKind::scan && options_.weight_scan == 0);
  if (missing) return false;
  if (in_scope && (kind == OperationKind::get || kind == OperationKind::scan)) return false;
  operation->kind = kind;
  operation->tree = victim(step % options_.ladder_victims, &number);
  operation->key = keys_.key(operation->tree, number);
  if (kind == OperationKind::put) operation->value = index + 1;
  operation->cold = kind == OperationKind::get || kind == OperationKind::scan;
  if (kind == OperationKind::scan) {
    const u64 random = ladders_.at(step, 3);
    operation->direction = (random & 1) != 0 ? Direction::descending : Direction::ascending;
    operation->limit = 1 + static_cast<u32>(below(random, 4));
    operation->key_end = operation->key;
    if ((random & 2) != 0) {
      operation->key_end = key_max(operation->tree);
    } else {
      operation->key = Key{};
    }
  }
  return true;
}

// The key of the ordinal-th write into the index, and how often that key was visited before.
u64 TreeSource::index_number(u64 ordinal, u64* visit) const {
  const u64 turn = ordinal / index_visits_;
  const u64 cycle = turn / index_window_;
  const u64 window = cycle / index_cycles_ % index_windows_;
  const u64 round = cycle / index_cycles_ / index_windows_;
  *visit = (round * index_cycles_ + cycle % index_cycles_) * index_visits_ + ordinal % index_visits_;
  u64 at = turn % index_window_;
  switch (below(ladders_.at(cycle, 4), 3)) {
    case 0: break;
    case 1: at = index_window_ - 1 - at; break;
    // A permutation: the multiplier is a prime greater than any window.
    default: at = static_cast<u64>(u128{at} * 4'294'967'311 % index_window_); break;
  }
  const u64 number = window * index_window_ + at;
  ASSERT(number < keys_.universe());
  return number;
}

bool TreeSource::index_write(u64 index, Operation* operation) const {
  if (index_every_ == 0 || index % index_every_ != 0) return false;
  u64 visit = 0;
  const u64 number = index_number(index / index_every_, &visit);
  if (visit > 0 && options_.weight_remove == 0) return false;
  operation->kind = (visit & 1) == 0 ? OperationKind::put : OperationKind::remove;
  operation->tree = TreeName::index;
  operation->key = keys_.key(TreeName::index, number);
  return true;
}

}  // namespace tonearm::sim
