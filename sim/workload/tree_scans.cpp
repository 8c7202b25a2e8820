// Scans of trees that stay open from line to line.
#include <algorithm>

#include "base/assert.h"
#include "sim/workload/salts.h"
#include "sim/workload/scan_burst.h"
#include "sim/workload/tree_workload.h"

namespace tonearm::sim {

namespace {

// What all lines about one scan have in common: numbers of the universe, both included.
struct Range {
  TreeName tree = TreeName::kv;
  u64 from = 0;
  u64 to = 0;
};

TreeName drawn_tree(const RunOptions& o, u64 random) {
  const u64 drawn = below(random, u64{o.weight_kv} + o.weight_index + o.weight_id);
  if (drawn < o.weight_kv) return TreeName::kv;
  return drawn < u64{o.weight_kv} + o.weight_index ? TreeName::index : TreeName::id;
}

Range range_of(const RunOptions& o, const PhaseRange& phase, u64 universe, u64 random) {
  Range range{.tree = drawn_tree(o, remix(random, salt_tree)), .from = 0, .to = universe - 1};
  const u64 drawn = remix(random, salt_key);
  switch (below(remix(random, salt_shape), 8)) {
    case 0:
    case 1: break;  // All of it.
    case 2: range.from = range.to = below(drawn, universe); break;
    case 3:
    case 4:  // Where the phase writes.
      range.from = phase.from + below(drawn, phase.length);
      range.to = phase.from + below(remix(drawn, 1), phase.length);
      break;
    case 5: range.from = below(drawn, universe); break;
    case 6: range.to = below(drawn, universe); break;
    default:  // Of every length.
      range.from = below(drawn, universe);
      range.to =
          std::min(universe - 1, range.from + below(remix(drawn, 1), u64{1} << below(remix(drawn, 2), 12)));
      break;
  }
  if (range.to < range.from) std::swap(range.from, range.to);
  return range;
}

}  // namespace

bool TreeSource::burst(u64 index, Operation* operation) const {
  u64 place = 0;
  u64 random = 0;
  if (!schedule_.in_burst(index, &place, &random)) return false;
  const ScanStep step = scan_step(random, place, options_.runtime.scans_max);
  fill_scan_step(step, operation);
  if (step.kind != OperationKind::scan_open && step.kind != OperationKind::scan_probe) return true;
  // The same in all lines of a scan: the phase is that of the burst.
  const Range range = range_of(options_, phases_.at(index - place), keys_.universe(), step.scan);
  operation->tree = range.tree;
  const u64 drawn = remix(step.scan, salt_end);
  const bool descending = (remix(step.scan, salt_direction) & 1) != 0;
  const auto beside = [&](const Key& key, u64 salt) {
    const u64 side = remix(drawn, salt);
    return below(side, 4) == 0 ? KeySpace::neighbour(range.tree, key, (side >> 32 & 1) != 0) : key;
  };
  if (step.kind == OperationKind::scan_open) {
    operation->direction = descending ? Direction::descending : Direction::ascending;
    operation->cold = below(remix(step.scan, salt_cold), 100) < options_.bias_cold;
    operation->key = beside(keys_.key(range.tree, range.from), 1);
    operation->key_end = beside(keys_.key(range.tree, range.to), 2);
    if (range.from == 0 && below(drawn, 2) == 0) operation->key = Key{};
    if (range.to == keys_.universe() - 1 && below(remix(drawn, 3), 2) == 0)
      operation->key_end = key_max(range.tree);
    if (operation->key_end < operation->key) std::swap(operation->key, operation->key_end);
    return true;
  }
  i64 at = probe_place(step);
  if (descending) at = probe_end - at;
  const u64 length = range.to - range.from;
  if (at < 0) {
    operation->key = below(step.random, 2) == 0 ? Key{} : keys_.key(range.tree, below(drawn, range.from + 1));
  } else if (at > probe_end) {
    const u64 above = below(drawn, keys_.universe() - range.to) + range.to;
    operation->key = below(step.random, 2) == 0 ? key_max(range.tree) : keys_.key(range.tree, above);
  } else {
    const u64 number = range.from + length * static_cast<u64>(at) / static_cast<u64>(probe_end);
    operation->key = keys_.key(range.tree, number);
    const u64 side = remix(step.random, salt_key_side);
    if (below(side, 4) == 0)
      operation->key = KeySpace::neighbour(range.tree, operation->key, (side >> 32 & 1) != 0);
  }
  return true;
}

}  // namespace tonearm::sim
