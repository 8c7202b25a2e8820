#include "sim/run/odd_leaf.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/disk/keyed.h"
#include "sim/run/audit.h"

namespace tonearm::sim {

namespace {

// Bounds that some entry of the tree is within, and the timestamp of an entry.
struct Place {
  u128 value = 0;
  u64 timestamp = 1;
};

Place place_near(const Model& model, TreeName tree, u64 random) {
  const ModelMap& map = model.tree(tree);
  if (map.empty()) return {};
  const u128 near = u128{remix(random, 1)} << 64 | remix(random, 2);
  const ModelKey key =
      tree_spec(tree).shape == KeyShape::wide_index
          ? ModelKey::wide(near >> below(remix(random, 3), 128), remix(random, 4) % timestamp_max)
          : ModelKey(near >> below(remix(random, 3), 128));
  auto at = map.lower_bound(key);
  if (at == map.end()) at = map.begin();
  switch (tree_spec(tree).shape) {
    case KeyShape::index: return {.value = at->first.middle, .timestamp = at->first.low};
    case KeyShape::wide_index:
      return {.value = u128{at->first.high} << 64 | at->first.middle, .timestamp = at->first.low};
    case KeyShape::wide_number:
      return {.value = u128{at->first.middle} << 64 | at->first.low,
              .timestamp = std::max<u64>(1, at->second)};
    case KeyShape::timestamp:
      return {.value = query_existence(tree) ? 0 : u128{at->first.low}, .timestamp = at->first.low};
    case KeyShape::number: break;
  }
  UNREACHABLE();
}

enum class Odd : u8 { values_turned, timestamps_turned, beyond, up_to_beyond, zero, from_zero };

void make_odd(Odd odd, u64 timestamp, u64 random, QueryNode* leaf) {
  const u64 beyond = timestamp_max + 1 + below(random, below(remix(random, 1), 2) == 0 ? 4 : timestamp_max);
  switch (odd) {
    case Odd::values_turned:
      if (leaf->min < leaf->max) std::swap(leaf->min, leaf->max);
      break;
    case Odd::timestamps_turned:
      leaf->timestamp_min = timestamp + (timestamp < timestamp_max ? 1 : 0);
      leaf->timestamp_end = leaf->timestamp_min - 1 - below(random, std::min<u64>(3, leaf->timestamp_min));
      break;
    case Odd::beyond:
      leaf->timestamp_min = beyond;
      leaf->timestamp_end = u64_max;
      break;
    case Odd::up_to_beyond:
      leaf->timestamp_min = timestamp;
      leaf->timestamp_end = below(remix(random, 2), 2) == 0 ? u64_max : beyond;
      break;
    case Odd::zero: leaf->timestamp_min = leaf->timestamp_end = 0; break;
    case Odd::from_zero:
      leaf->timestamp_min = 0;
      leaf->timestamp_end = timestamp;
      break;
  }
}

}  // namespace

OddLeafRequest draw_odd_leaf(GrooveName groove, const Model& model, u64 random) {
  const auto draw = [random](u64 n) { return remix(random, n); };
  const u32 objects = static_cast<u32>(groove_spec(groove).objects);
  OddLeafRequest request{.groove = groove};
  QueryNode& leaf = request.leaf;
  leaf.tree = static_cast<TreeName>(objects + below(draw(1), query_trees(groove)));
  if (groove_spec(groove).has_id && below(draw(10), 4) == 0) leaf.tree = key_tree(groove);
  const Place first = place_near(model, leaf.tree, draw(2));
  const Place second = place_near(model, leaf.tree, draw(3));
  leaf.min = std::min(first.value, second.value);
  leaf.max = std::max(first.value, second.value);
  const u64 shape = below(draw(4), 4);
  if (shape < 2) leaf.max = leaf.min;
  // Of the timestamps themselves, the values are bounds already.
  const bool of_objects = leaf.tree == groove_spec(groove).objects;
  if (shape == 2 || of_objects) {
    leaf.min = 0;
    leaf.max = of_objects ? u64_max : query_existence(leaf.tree) ? 0 : query_value_max(leaf.tree);
  }
  static constexpr Odd odds[] = {Odd::values_turned, Odd::timestamps_turned, Odd::beyond,
                                 Odd::up_to_beyond,  Odd::up_to_beyond,      Odd::zero,
                                 Odd::from_zero};
  make_odd(odds[below(draw(5), std::size(odds))], first.timestamp, draw(6), &leaf);
  request.direction = below(draw(7), 2) == 0 ? Direction::ascending : Direction::descending;
  request.cold = below(draw(8), 4) == 0;
  request.pool_full = below(draw(9), 8) == 0;
  return request;
}

void Audit::odd_leaf(const OddLeafRequest& request, const Model& model) {
  if (failed()) return;
  OddLeafResult given;
  host_->odd_leaf(request, &given);
  QueryTree query;
  query.nodes.push(request.leaf);
  std::vector<u64> expected = query_matches(model, request.groove, query);
  if (request.direction == Direction::descending) std::reverse(expected.begin(), expected.end());
  ++outcome_.checks;
  if (given.error) unanswered(given.error);
  const std::size_t count = given.timestamps.size();
  const bool begins = count <= expected.size() &&
                      std::equal(given.timestamps.begin(), given.timestamps.end(), expected.begin());
  const char* broken = given.broken;
  if (broken == nullptr && !begins) broken = "an extra row, or another one";
  if (broken == nullptr && !given.error && count < expected.size()) broken = "a missing row";
  if (broken == nullptr) return;
  const QueryNode& leaf = request.leaf;
  const char* const tree = tree_name(leaf.tree);
  mismatch(
      leaf.tree, tree_range(leaf.tree).min, fmt::format("odd scan of {}: {}", tree, broken),
      fmt::format("scan {} of {} with values {:#x} to {:#x}, timestamps {} to {}: {}; the engine says {} "
                  "objects, the model says {}",
                  request.direction == Direction::ascending ? "ascending" : "descending", tree, leaf.min,
                  leaf.max, leaf.timestamp_min, leaf.timestamp_end, broken, count, expected.size()));
}

}  // namespace tonearm::sim
