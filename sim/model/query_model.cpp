#include "sim/model/query_model.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

using Timestamps = std::vector<u64>;

// --- from the indexes

u64 timestamp_of(TreeName tree, const ModelMap::value_type& entry) {
  // In the id tree the timestamp is the payload; elsewhere the key is, or ends in it.
  return tree_spec(tree).shape == KeyShape::wide_number ? entry.second : entry.first.low;
}

std::pair<ModelKey, ModelKey> keys_of(const QueryNode& leaf) {
  switch (tree_spec(leaf.tree).shape) {
    case KeyShape::index: return {leaf.min << 64 | leaf.timestamp_min, leaf.max << 64 | leaf.timestamp_end};
    case KeyShape::wide_index:
      return {ModelKey::wide(leaf.min, leaf.timestamp_min), ModelKey::wide(leaf.max, leaf.timestamp_end)};
    case KeyShape::wide_number: return {leaf.min, leaf.max};
    case KeyShape::timestamp:
      if (query_existence(leaf.tree)) return {u128{leaf.timestamp_min}, u128{leaf.timestamp_end}};
      return {leaf.min, leaf.max};
    case KeyShape::number: break;
  }
  UNREACHABLE();
}

Timestamps leaf_matches(const Model& model, const QueryNode& leaf) {
  const ModelMap& map = model.tree(leaf.tree);
  const auto [first, last] = keys_of(leaf);
  Timestamps found;
  for (auto at = map.lower_bound(first); at != map.end() && at->first <= last; ++at) {
    const u64 timestamp = timestamp_of(leaf.tree, *at);
    if (timestamp == 0) continue;  // An orphan.
    if (timestamp < leaf.timestamp_min || timestamp > leaf.timestamp_end) continue;
    found.push_back(timestamp);
  }
  // Of one value they are in order already.
  if (!std::is_sorted(found.begin(), found.end())) std::sort(found.begin(), found.end());
  return found;
}

Timestamps combined(QueryKind kind, const Timestamps& a, const Timestamps& b) {
  Timestamps result;
  const auto target = std::back_inserter(result);
  switch (kind) {
    case QueryKind::intersection:
      std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), target);
      return result;
    case QueryKind::any: std::set_union(a.begin(), a.end(), b.begin(), b.end(), target); return result;
    case QueryKind::difference:
      std::set_difference(a.begin(), a.end(), b.begin(), b.end(), target);
      return result;
    case QueryKind::leaf: break;
  }
  UNREACHABLE();
}

Timestamps node_matches(const Model& model, const QueryTree& query, u32 at) {
  const QueryNode& node = query.nodes[at];
  if (node.kind == QueryKind::leaf) return leaf_matches(model, node);
  u32 operand = at + 1;
  Timestamps result = node_matches(model, query, operand);
  for (u32 i = 1; i < node.operands; ++i) {
    operand += query.nodes[operand].size;
    // Nothing that follows can add anything.
    if (result.empty() && node.kind != QueryKind::any) return result;
    result = combined(node.kind, result, node_matches(model, query, operand));
  }
  return result;
}

// --- of one object

// What the indexes hold of the object's fields, by their place in the groove; nothing: it is not in there.
using Values = std::array<std::optional<u128>, 13>;

Values thing_values(const Object& thing) {
  Values values;
  for (u32 i = 0; i < 13; ++i) values[i] = thing.fields[i];
  return values;
}

Values note_values(const Object& note) {
  Values values;
  values[0] = note.fields[0];                                   // Author.
  if (note.fields[1] > 0) values[1] = note.fields[1];           // Pinned.
  values[2] = note.wide;                                        // Topic.
  values[3] = note.fields[3];                                   // Kind.
  if (note.fields[4] >= 1001) values[4] = note.fields[4] >> 4;  // Large, of the size.
  if ((note.fields[5] & 1) != 0) values[5] = 0;                 // Draft, of the flags.
  return values;
}

Values event_values(const Object& event) {
  Values values;
  values[0] = event.fields[0];                           // Source.
  if (event.fields[1] > 0) values[1] = event.fields[1];  // Weight.
  return values;
}

std::optional<u128> indexed_value(TreeName index, const Object& object) {
  const u32 place = static_cast<u32>(index);
  switch (tree_spec(index).groove) {
    case GrooveName::things: return thing_values(object)[place - static_cast<u32>(TreeName::things_a)];
    case GrooveName::notes: return note_values(object)[place - static_cast<u32>(TreeName::notes_author)];
    case GrooveName::events: return event_values(object)[place - static_cast<u32>(TreeName::events_source)];
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

bool leaf_holds(GrooveName groove, const QueryNode& leaf, const Object& object) {
  if (object.timestamp < leaf.timestamp_min || object.timestamp > leaf.timestamp_end) return false;
  const GrooveSpec& spec = groove_spec(groove);
  std::optional<u128> value;
  if (leaf.tree == spec.objects) {
    value = object.timestamp;
  } else if (!tree_spec(leaf.tree).secondary_index) {
    value = object.id;
  } else {
    value = indexed_value(leaf.tree, object);
  }
  return value && *value >= leaf.min && *value <= leaf.max;
}

}  // namespace

std::vector<u64> query_matches(const Model& model, GrooveName groove, const QueryTree& query) {
  ASSERT(!query.nodes.empty());
  for (const QueryNode& node : query.nodes) {
    ASSERT(node.kind != QueryKind::leaf || tree_spec(node.tree).groove == groove);
  }
  return node_matches(model, query, 0);
}

bool query_holds(GrooveName groove, const QueryTree& query, const Object& object, u32 at) {
  const QueryNode& node = query.nodes[at];
  if (node.kind == QueryKind::leaf) return leaf_holds(groove, node, object);
  u32 trues = 0;
  u32 operand = at + 1;
  bool first = false;
  for (u32 i = 0; i < node.operands; ++i) {
    const bool holds = query_holds(groove, query, object, operand);
    if (i == 0) first = holds;
    trues += holds ? 1 : 0;
    operand += query.nodes[operand].size;
  }
  switch (node.kind) {
    case QueryKind::intersection: return trues == node.operands;
    case QueryKind::any: return trues > 0;
    case QueryKind::difference: return first && trues == 1;
    case QueryKind::leaf: break;
  }
  UNREACHABLE();
}

QueryPlan query_plan(const Operation& line) {
  ASSERT(line.kind == OperationKind::query);
  ASSERT(line.value > 0);
  return {.groove = line.groove(),
          .query = line.query,
          .direction = line.direction,
          .limit = line.limit,
          .buffer = line.value,
          .cold = line.cold,
          .beyond = {}};
}

std::vector<u64> query_answer(const Model& model, const QueryPlan& plan) {
  std::vector<u64> matches = query_matches(model, plan.groove, decode_query(plan.groove, plan.query));
  if (plan.direction == Direction::descending) std::reverse(matches.begin(), matches.end());
  if (plan.beyond) {
    const u64 beyond = *plan.beyond;
    std::erase_if(matches, [&](u64 timestamp) {
      return plan.direction == Direction::ascending ? timestamp <= beyond : timestamp >= beyond;
    });
  }
  if (plan.limit != 0 && matches.size() > plan.limit) matches.resize(plan.limit);
  return matches;
}

}  // namespace tonearm::sim
