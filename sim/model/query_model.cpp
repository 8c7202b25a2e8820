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

// --- one match after the other, for small limits

// Leaps from match to match: little work where few are wanted of many. It gives up where it would leap more
// often than listing everything costs.
class Seeker {
 public:
  static constexpr u32 leaps_max = 512;
  static constexpr u32 steps_max = 8;

  Seeker(const Model& model, const QueryTree& query, Direction direction)
      : model_(&model), query_(&query), ascending_(direction == Direction::ascending) {}

  bool gave_up() const { return leaps_ > leaps_max; }

  // The first match of the node that is not in front of the timestamp, in the direction.
  std::optional<u64> seek(u32 at, u64 timestamp) {
    const QueryNode& node = query_->nodes[at];
    switch (node.kind) {
      case QueryKind::leaf: return seek_leaf(at, timestamp);
      case QueryKind::any: {
        std::optional<u64> first;
        for_operands(at, [&](u32 operand) {
          const std::optional<u64> match = seek(operand, timestamp);
          if (match && (!first || in_front(*match, *first))) first = match;
        });
        return first;
      }
      case QueryKind::intersection: {
        std::optional<u64> all = timestamp;
        for (u64 before = timestamp; all; before = *all) {
          for_operands(at, [&](u32 operand) {
            if (all) all = seek(operand, *all);
          });
          if (!all || *all == before) return all;
        }
        return all;
      }
      case QueryKind::difference: {
        const u32 first = at + 1;
        const u32 second = first + query_->nodes[first].size;
        std::optional<u64> match = seek(first, timestamp);
        while (match && seek(second, *match) == match) {
          if (!step(&*match)) return std::nullopt;
          match = seek(first, *match);
        }
        return match;
      }
    }
    UNREACHABLE();
  }
  // To the next timestamp. False: there is none.
  bool step(u64* timestamp) const {
    if (*timestamp == (ascending_ ? timestamp_max : 0)) return false;
    *timestamp += ascending_ ? 1 : u64_max;
    return true;
  }

 private:
  bool in_front(u64 a, u64 b) const { return ascending_ ? a < b : a > b; }

  template <class Visit>
  void for_operands(u32 at, const Visit& visit) const {
    u32 operand = at + 1;
    for (u32 i = 0; i < query_->nodes[at].operands; ++i) {
      visit(operand);
      operand += query_->nodes[operand].size;
    }
  }

  std::optional<u64> seek_leaf(u32 at, u64 timestamp) {
    const QueryNode& leaf = query_->nodes[at];
    if (++leaps_ > leaps_max) return std::nullopt;
    const bool objects = leaf.tree == groove_spec(tree_spec(leaf.tree).groove).objects;
    if (!objects && (leaf.min != leaf.max || !query_narrows(leaf.tree))) return seek_listed(at, timestamp);
    // The keys of one value, in the order of their timestamps.
    u64 least = objects ? static_cast<u64>(leaf.min) : leaf.timestamp_min;
    u64 greatest = objects ? static_cast<u64>(leaf.max) : leaf.timestamp_end;
    (ascending_ ? least : greatest) = ascending_ ? std::max(least, timestamp) : std::min(greatest, timestamp);
    if (least > greatest) return std::nullopt;
    const auto key = [&](u64 of) -> ModelKey {
      if (tree_spec(leaf.tree).shape == KeyShape::timestamp) return u128{of};
      return ModelKey::wide(leaf.min, of);
    };
    const ModelMap& map = model_->tree(leaf.tree);
    const auto found = ascending_ ? not_below(at, map, key(least)) : not_above(at, map, key(greatest));
    if (found == map.end()) return std::nullopt;
    places_[at] = found;
    const ModelKey match = found->first;
    if (match < key(least) || key(greatest) < match) return std::nullopt;
    return match.low;
  }

  // The first entry that is not below the key, and the last one that is not above it, or the end. Most lie
  // a few steps beyond the one that the leaf found last.
  ModelMap::const_iterator not_below(u32 at, const ModelMap& map, const ModelKey& key) const {
    if (places_[at] && (**places_[at]).first < key) {
      auto place = *places_[at];
      for (u32 step = 0; step < steps_max; ++step) {
        if (++place == map.end() || key <= place->first) return place;
      }
    }
    return map.lower_bound(key);
  }
  ModelMap::const_iterator not_above(u32 at, const ModelMap& map, const ModelKey& key) const {
    if (places_[at] && key < (**places_[at]).first) {
      auto place = *places_[at];
      for (u32 step = 0; step < steps_max && place != map.begin(); ++step) {
        if ((--place)->first <= key) return place;
      }
    }
    const auto above = map.upper_bound(key);
    return above == map.begin() ? map.end() : std::prev(above);
  }

  std::optional<u64> seek_listed(u32 at, u64 timestamp) {
    if (!listed_[at]) listed_[at] = leaf_matches(*model_, query_->nodes[at]);
    const Timestamps& list = *listed_[at];
    if (ascending_) {
      const auto found = std::lower_bound(list.begin(), list.end(), timestamp);
      if (found == list.end()) return std::nullopt;
      return *found;
    }
    const auto behind = std::upper_bound(list.begin(), list.end(), timestamp);
    if (behind == list.begin()) return std::nullopt;
    return *(behind - 1);
  }

  const Model* model_;
  const QueryTree* query_;
  bool ascending_;
  u32 leaps_ = 0;
  std::array<std::optional<Timestamps>, query_nodes_max> listed_;
  std::array<std::optional<ModelMap::const_iterator>, query_nodes_max> places_;  // Of leaves.
};

// Nothing: it gave up.
std::optional<Timestamps> few_matches(const Model& model, const QueryPlan& plan, const QueryTree& query) {
  Seeker seeker(model, query, plan.direction);
  u64 timestamp = plan.direction == Direction::ascending ? 0 : timestamp_max;
  Timestamps found;
  if (plan.beyond) {
    timestamp = *plan.beyond;
    if (!seeker.step(&timestamp)) return found;
  }
  while (found.size() < plan.limit) {
    const std::optional<u64> match = seeker.seek(0, timestamp);
    if (seeker.gave_up()) return std::nullopt;
    if (!match) return found;
    found.push_back(*match);
    timestamp = *match;
    if (!seeker.step(&timestamp)) return found;
  }
  return found;
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

Values reading_values(const Object& reading) {
  Values values;
  const u128 peak = reading.fields[2];
  values[0] = reading.fields[0];                   // Sensor.
  if (reading.wide > 0) values[1] = reading.wide;  // Label.
  if (peak > 0) values[2] = peak * peak;           // Square, of the peak.
  return values;
}

std::optional<u128> indexed_value(TreeName index, const Object& object) {
  const u32 place = static_cast<u32>(index);
  switch (tree_spec(index).groove) {
    case GrooveName::things: return thing_values(object)[place - static_cast<u32>(TreeName::things_a)];
    case GrooveName::notes: return note_values(object)[place - static_cast<u32>(TreeName::notes_author)];
    case GrooveName::events: return event_values(object)[place - static_cast<u32>(TreeName::events_source)];
    case GrooveName::readings:
      return reading_values(object)[place - static_cast<u32>(TreeName::readings_sensor)];
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
  constexpr u32 few = 64;
  const QueryTree query = decode_query(plan.groove, plan.query);
  if (plan.limit != 0 && plan.limit <= few) {
    if (std::optional<Timestamps> found = few_matches(model, plan, query)) return *std::move(found);
  }
  std::vector<u64> matches = query_matches(model, plan.groove, query);
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
