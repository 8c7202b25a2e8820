// Why a query is wrong about an object, for a person: each leaf is asked alone, and so is each merge within
// it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sim/run/player.h"

namespace tonearm::sim {

namespace {

// Of an index or object tree the key says the timestamp, of an id tree the value does.
u64 timestamp_of(TreeName tree, u128 key_low, u64 value) {
  return tree_spec(tree).shape == KeyShape::wide_number ? value : static_cast<u64>(key_low);
}

// The query whose root is this node.
QueryTree alone(const QueryTree& query, u32 node) {
  QueryTree part;
  for (u32 i = 0; i < query.nodes[node].size; ++i) part.nodes.push(query.nodes[node + i]);
  return part;
}

}  // namespace

// Under which key the leaf's tree should have the timestamp; if the leaf has invented it: has it besides.
std::optional<Key> Player::key_of_timestamp(TreeName tree, u64 timestamp, bool invented) {
  std::optional<Key> right;
  for (const auto& [key, value] : model_.tree(tree)) {
    if (timestamp_of(tree, key.low, value) == timestamp) right = engine_key(tree, key);
  }
  if (right && !invented) return right;
  const ScanRequest all{.tree = tree, .range = tree_range(tree)};
  std::vector<ScanRow> rows;
  if (host_->scan(all, &rows)) return right;
  for (const ScanRow& row : rows) {
    if (timestamp_of(tree, row.key.low, row.value) != timestamp) continue;
    if (const Key key = engine_key(tree, row.key); key != right) return key;
  }
  return right;
}

std::string Player::explain_query(const QueryPlan& plan, const QueryTree& query, u64 timestamp) {
  close_open_queries();  // Their leaves are needed, and the run is over.
  const Side side = model_.object_at(plan.groove, timestamp);
  std::string story = fmt::format("timestamp {}: {}\n", timestamp, side_text(plan.groove, side));
  std::optional<std::pair<TreeName, Key>> wrong;
  for (u32 node = 0; node < query.nodes.count(); ++node) {
    const QueryNode& root = query.nodes[node];
    const bool leaf = root.kind == QueryKind::leaf;
    if (!leaf && node == 0) continue;  // It is what was asked.
    const QueryTree only = alone(query, node);
    std::string text = leaf ? "leaf " : "merge ";
    print_query(only, &text);
    QueryResult result;
    host_->query({.groove = plan.groove,
                  .query = &only,
                  .direction = plan.direction,
                  .beyond = plan.beyond,
                  .cold = plan.cold},
                 query_buffer_default, u64_max, &result);
    if (result.error || result.refused) {
      story += fmt::format("  {}: unanswered\n", text);
      continue;
    }
    const GrooveSpec& spec = groove_spec(plan.groove);
    bool given = false;
    for (u64 i = 0; i < result.count && !given; ++i) {
      u64 found = 0;
      std::memcpy(&found, result.objects.data() + i * spec.object_bytes + spec.timestamp_offset,
                  sizeof found);
      given = found == timestamp;
    }
    const bool expected = side.presence == Presence::object && query_holds(plan.groove, only, side.object) &&
                          beyond(plan, timestamp);
    story += fmt::format("  {}: {}\n", text,
                         given == expected ? (given ? "has it, rightly" : "does not have it, rightly")
                         : given           ? "has INVENTED it"
                                           : "has LOST it");
    if (!leaf || given == expected || wrong) continue;
    if (const std::optional<Key> key = key_of_timestamp(root.tree, timestamp, given))
      wrong = {root.tree, *key};
  }
  if (wrong) return story + explain(wrong->first, wrong->second);
  story += "every leaf alone is right: it was lost or invented where they are merged, or looked up\n";
  return story + explain(groove_spec(plan.groove).objects, Key::of(timestamp));
}

// Whether the page at hand may have it.
bool Player::beyond(const QueryPlan& plan, u64 timestamp) const {
  if (!plan.beyond) return true;
  return plan.direction == Direction::ascending ? *plan.beyond < timestamp : timestamp < *plan.beyond;
}

}  // namespace tonearm::sim
