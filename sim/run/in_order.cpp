#include "sim/run/in_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/disk/keyed.h"
#include "sim/run/audit.h"

namespace tonearm::sim {

namespace {

ModelKey key_at(TreeName tree, u128 value, u64 timestamp) {
  if (tree_spec(tree).shape == KeyShape::index) return value << 64 | timestamp;
  return ModelKey::wide(value, timestamp);
}

u128 value_of(TreeName tree, const ModelKey& key) {
  if (tree_spec(tree).shape == KeyShape::index) return key.middle;
  return u128{key.high} << 64 | key.middle;
}

}  // namespace

ScanDecision in_order_decision(const InOrderRequest& request, u64 place, u64 timestamp) {
  const bool left_out = below(remix(request.random, timestamp), 4) == 0;
  if (place == request.last) return left_out ? ScanDecision::exclude_last : ScanDecision::include_last;
  return left_out ? ScanDecision::exclude : ScanDecision::include;
}

InOrderResult in_order_expected(const InOrderRequest& request, const ModelMap& index) {
  InOrderResult result;
  if (request.max < request.min) return result;
  auto low = index.lower_bound(key_at(request.tree, request.min, 0));
  auto high = index.upper_bound(key_at(request.tree, request.max, timestamp_max));
  while (low != high) {
    const ModelKey key = request.direction == Direction::ascending ? (low++)->first : (--high)->first;
    if (!request.filtered) {
      result.timestamps.push_back(key.low);
      continue;
    }
    const ScanDecision decision = in_order_decision(request, result.shown.size(), key.low);
    result.shown.push_back(key);
    if (decision == ScanDecision::include || decision == ScanDecision::include_last) {
      result.timestamps.push_back(key.low);
    }
    if (decision == ScanDecision::include_last || decision == ScanDecision::exclude_last) break;
  }
  return result;
}

InOrderRequest draw_in_order(GrooveName groove, const Model& model, u64 random) {
  const auto draw = [random](u64 n) { return remix(random, n); };
  const u32 objects = static_cast<u32>(groove_spec(groove).objects);
  InOrderRequest request{.groove = groove, .random = draw(1), .last = u64_max};
  // Some trees are none, and some of the indexes have no values.
  for (u64 i = 0;; ++i) {
    const TreeName tree = static_cast<TreeName>(objects + below(remix(draw(2), i), query_trees(groove)));
    if (!query_narrows(tree) || query_existence(tree)) continue;
    request.tree = tree;
    break;
  }
  const ModelMap& index = model.tree(request.tree);
  const u128 most = query_value_max(request.tree);
  const auto value_near = [&](u64 n) -> u128 {
    if (index.empty() || below(draw(n), 8) == 0) return below(draw(n), 16) < 8 ? 0 : most;
    // Most values are small.
    const u128 near = std::min<u128>(draw(n + 1) >> below(draw(n), 64), most);
    const auto at = index.lower_bound(key_at(request.tree, near, 0));
    return value_of(request.tree, at == index.end() ? index.begin()->first : at->first);
  };
  switch (below(draw(3), 4)) {
    case 0: request.max = most; break;
    case 1: request.min = request.max = value_near(4); break;
    default:  // Turned around now and then: nothing.
      request.min = value_near(4);
      request.max = value_near(6);
      if (request.max < request.min && below(draw(8), 8) != 0) std::swap(request.min, request.max);
      break;
  }
  request.direction = below(draw(9), 2) == 0 ? Direction::ascending : Direction::descending;
  request.cold = below(draw(10), 2) == 0;
  request.filtered = below(draw(11), 4) != 0;
  request.pool_full = below(draw(16), 8) == 0;
  if (request.filtered && below(draw(12), 2) == 0) request.last = below(draw(13), index.size() + 1);
  if (request.filtered && below(draw(14), 4) == 0) request.last = below(draw(15), 4);
  return request;
}

void Audit::in_order(const InOrderRequest& request, const Model& model) {
  if (failed()) return;
  InOrderResult given;
  host_->in_order(request, &given);
  const InOrderResult expected = in_order_expected(request, model.tree(request.tree));
  ++outcome_.checks;
  if (given.error) unanswered(given.error);
  const char* broken = given.broken;
  for (std::size_t i = 0; i < given.timestamps.size() && broken == nullptr; ++i) {
    if (i == expected.timestamps.size())
      broken = "an extra row";
    else if (given.timestamps[i] != expected.timestamps[i])
      broken = "another row";
  }
  for (std::size_t i = 0; i < given.shown.size() && broken == nullptr; ++i) {
    if (i == expected.shown.size())
      broken = "the filter is shown an entry too many";
    else if (!(given.shown[i] == expected.shown[i]))
      broken = "the filter is shown another entry";
  }
  if (broken == nullptr && !given.error && given.timestamps.size() < expected.timestamps.size()) {
    broken = "a missing row";
  }
  if (broken == nullptr) return;
  const char* const tree = tree_name(request.tree);
  mismatch(
      request.tree, engine_key(request.tree, key_at(request.tree, request.min, 0)),
      fmt::format("scan in order of {}: {}", tree, broken),
      fmt::format("scan {} in order of {} from {} to {}{}: {}; the engine says {} of {} entries, the model "
                  "says {} of {}",
                  request.direction == Direction::ascending ? "ascending" : "descending", tree,
                  key_text(request.tree, engine_key(request.tree, key_at(request.tree, request.min, 0))),
                  key_text(request.tree, engine_key(request.tree, key_at(request.tree, request.max, 0))),
                  request.filtered ? ", filtered" : "", broken, given.timestamps.size(), given.shown.size(),
                  expected.timestamps.size(), expected.shown.size()));
}

}  // namespace tonearm::sim
