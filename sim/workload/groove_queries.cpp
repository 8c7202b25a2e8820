// Queries and open scans of grooves: what they ask for.
//
// A predicate takes its value from an earlier line, whatever has become of the object since; or from the
// values that the field has now and then; or from beside those: so that some match much, some little and
// some nothing. Which fields, how many predicates, which operators: all that is drawn, never looked up.
#include <algorithm>

#include "base/assert.h"
#include "sim/workload/groove_source.h"
#include "sim/workload/salts.h"
#include "sim/workload/scan_burst.h"

namespace tonearm::sim {

namespace {

constexpr u64 value_tries = 8;
constexpr u64 large_buffer_max = 1024;  // Objects.
constexpr u64 paging_phases_one_in = 2;

bool percent(u64 random, u32 percent) { return below(random, 100) < percent; }

u32 field_of_index(TreeName tree) {
  const GrooveSpec& groove = groove_spec(tree_spec(tree).groove);
  return static_cast<u32>(tree) - static_cast<u32>(groove.objects) - (groove.has_id ? 2 : 1);
}

// What an index holds of a field's value.
u128 indexed(TreeName tree, u128 value) {
  if (tree == TreeName::notes_large) return value / 16;
  if (tree == TreeName::readings_square) return value * value;
  return value;
}

// Indexed unless it is 0.
bool optional_index(TreeName tree) {
  return tree == TreeName::notes_pinned || tree == TreeName::events_weight ||
         tree == TreeName::readings_label || tree == TreeName::readings_square;
}

void order(u128* a, u128* b) {
  if (*b < *a) std::swap(*a, *b);
}

}  // namespace

// Of an earlier line that sets the field: most likely some object has it, or had it.
bool GrooveSource::earlier_value(u64 index, GrooveName groove, u32 field, u64 random, u128* value) const {
  Operation line;
  line.tree = groove_spec(groove).objects;
  for (u64 i = 0; i < value_tries && index > 0; ++i) {
    const u64 earlier = index - distance(index, remix(random, i));
    const Wish wish = wish_of(earlier);
    const bool sets = wish.kind == OperationKind::insert || wish.kind == OperationKind::upsert ||
                      wish.kind == OperationKind::update;
    if (wish.groove != groove || !sets || !data_line(earlier)) continue;
    line.kind = wish.kind;
    line.named = 0;
    line.fields = {};
    line.wide_field = 0;
    set_fields({.wish = wish, .number = 0, .era = era_of(earlier)}, lines_.at(earlier), &line);
    if (wish.kind == OperationKind::update && (line.named >> field & 1) == 0) continue;
    *value = field_value(line, field);
    return true;
  }
  return false;
}

u128 GrooveSource::predicate_value(const QuerySite& site, TreeName tree, u64 random) const {
  const GrooveName groove = tree_spec(tree).groove;
  const u32 field = field_of_index(tree);
  const u128 max = query_value_max(tree);
  const u64 source = below(random, 16);
  u128 value = 0;
  for (u64 i = 0; i < 4 && source < 12; ++i) {
    const u64 lines = site.common != 0 && i == 0 ? site.common : remix(random, 100 + i);
    if (!earlier_value(site.index, groove, field, lines, &value)) break;
    if (!optional_index(tree) || value != 0) return indexed(tree, value);  // Their zeros are in no index.
  }
  value = indexed(tree, space_.value(groove, field, remix(random, 2), era_of(site.index)));
  if (source == 14) return (random >> 32 & 1) != 0 ? max : 0;
  if (source == 15) return (random >> 32 & 1) != 0 ? value - (value > 0 ? 1 : 0) : std::min(value + 1, max);
  return value;
}

// Index, ids or timestamps; fields that the run does not use mostly not.
TreeName GrooveSource::predicate_tree(GrooveName groove, u64 random) const {
  const GrooveSpec& spec = groove_spec(groove);
  const u32 first = static_cast<u32>(spec.objects);
  const u32 others = spec.has_id ? 2 : 1;
  const u64 drawn = below(random, 16);
  if (drawn == 0) return spec.objects;
  if (drawn == 1 && spec.has_id) return static_cast<TreeName>(first + 1);
  const u32 indexes = query_trees(groove) - others;
  u32 place = static_cast<u32>(below(remix(random, 1), indexes));
  const bool careless = below(remix(random, 2), 16) == 0;
  for (u32 i = 0; i < indexes && !careless && !space_.used(groove, place); ++i) place = (place + 1) % indexes;
  return static_cast<TreeName>(first + others + place);
}

u64 GrooveSource::query_timestamp(u64 index, GrooveName groove, u64 random) const {
  const Target target{.wish = {.kind = OperationKind::insert, .groove = groove},
                      .number = phases_.number(phases_.at(index), random),
                      .era = era_of(index)};
  return std::min(some_timestamp(index, target, random), timestamp_max);
}

QueryNode GrooveSource::predicate(const QuerySite& site, u64 random) const {
  const u64 index = site.index;
  const GrooveName groove = site.groove;
  QueryNode leaf;
  leaf.tree = predicate_tree(groove, random);
  const u64 drawn = remix(random, salt_key);
  const u64 second = remix(random, salt_end);
  const bool range = percent(remix(random, salt_shape), options_.bias_range);
  const u128 max = query_value_max(leaf.tree);
  if (!query_narrows(leaf.tree)) {
    const bool ids = leaf.tree != groove_spec(groove).objects;
    const u64 number = phases_.number(phases_.at(index), drawn);
    const u64 length = below(second, u64{2} << below(remix(second, 1), 10));
    const u64 last = std::min(space_.universe() - 1, number + length);
    leaf.min = ids ? space_.id(number) : u128{query_timestamp(index, groove, drawn)};
    leaf.max = ids ? space_.id(last) : u128{query_timestamp(index, groove, second)};
    if (ids ? !range : below(second, 16) == 0) leaf.max = leaf.min;
    order(&leaf.min, &leaf.max);
    const u64 side = below(remix(second, 2), 16);
    if (side < 4) leaf.max = max;
    if (side > 1 && side < 6) leaf.min = 0;
    return leaf;
  }
  if (query_existence(leaf.tree)) {
    leaf.min = leaf.max = 0;
  } else {
    leaf.min = leaf.max = std::min(predicate_value(site, leaf.tree, drawn), max);
    if (range) {
      QuerySite other = site;
      other.common = 0;
      leaf.max = std::min(predicate_value(other, leaf.tree, second), max);
      const u128 step = below(remix(second, 1), 8);
      const u64 kind = below(remix(second, 2), 8);
      if (kind < 3) leaf.max = max - leaf.min < step ? max : leaf.min + step;
      if (kind == 3) leaf.max = max;
      if (kind == 4) leaf.min = 0;
      order(&leaf.min, &leaf.max);
      if (kind == 5 && below(remix(second, 3), 2) == 0) {
        leaf.min = 0;
        leaf.max = max;
      }
    }
  }
  if (!site.narrow && !percent(remix(random, salt_limit), options_.bias_narrowed)) return leaf;
  u128 from = query_timestamp(index, groove, remix(drawn, 7));
  u128 to = query_timestamp(index, groove, remix(second, 7));
  order(&from, &to);
  const u64 kind = below(remix(random, salt_count), 8);
  leaf.timestamp_min = kind < 3 ? 0 : static_cast<u64>(from);
  leaf.timestamp_end = kind > 4 ? timestamp_max : static_cast<u64>(to);
  return leaf;
}

// Below an intersection mostly unions, below a union intersections.
QueryKind GrooveSource::operator_kind(QueryKind around, u64 random) {
  static constexpr QueryKind all = QueryKind::intersection;
  static constexpr QueryKind any = QueryKind::any;
  static constexpr QueryKind but = QueryKind::difference;
  static constexpr QueryKind outermost[] = {all, all, all, all, any, any, but, but};
  static constexpr QueryKind in_all[] = {any, any, any, any, any, but, but, all};
  static constexpr QueryKind in_others[] = {all, all, all, all, any, any, but, but};
  const u64 drawn = below(random, 8);
  if (around == QueryKind::leaf) return outermost[drawn];
  return around == QueryKind::intersection ? in_all[drawn] : in_others[drawn];
}

void GrooveSource::query_leaf(QuerySite site, u64 random, QueryTree* tree) const {
  QueryNode leaf = predicate(site, random);
  // The same field twice, or the same predicate.
  const u32 count = tree->nodes.count();
  const u64 again = below(remix(random, salt_jitter), 16);
  if (count > 0 && again < 2 && tree->nodes[count - 1].kind == QueryKind::leaf) {
    const QueryNode& before = tree->nodes[count - 1];
    if (again == 0) leaf = before;
    if (again == 1 && query_narrows(before.tree) && !query_existence(before.tree)) {
      leaf.tree = before.tree;
      site.common = 0;
      leaf.min = leaf.max = std::min(predicate_value(site, leaf.tree, random), query_value_max(leaf.tree));
    }
  }
  tree->nodes.push(leaf);
}

// `leaves` of them below at most so many operators in each other.
void GrooveSource::query_node(QuerySite site, u64 random, u32 leaves, u32 depth, QueryTree* tree) const {
  if (leaves == 1) return query_leaf(site, random, tree);
  const QueryKind kind = operator_kind(site.around, remix(random, salt_kind));
  // So that some object is likely to be in all of them.
  if (kind == QueryKind::intersection && below(remix(random, 400), 2) == 0)
    site.common = remix(random, 401) | 1;
  // Operands that end sooner than the others.
  site.narrow = kind == QueryKind::any && site.around != QueryKind::leaf && below(remix(random, 402), 4) != 0;
  site.around = kind;
  const u32 begin = tree->nodes.count();
  u32 operands = kind == QueryKind::difference || leaves == 2
                     ? 2
                     : static_cast<u32>(between(remix(random, salt_tree), 2, std::min<u32>(leaves, 4)));
  if (depth <= 1) operands = leaves;  // a - b - c, too.
  u32 left = leaves;
  for (u32 i = 0; i < operands; ++i) {
    const u32 rest = operands - i - 1;
    const u32 most = left - rest;
    const u32 mine = rest == 0 ? left : static_cast<u32>(between(remix(random, 200 + i), 1, most));
    query_node(site, remix(random, 300 + i), mine, depth <= 1 ? 1 : depth - 1, tree);
    left -= mine;
    if (kind == QueryKind::difference && i > 0) tree->wrap(begin, kind, 2);
  }
  if (kind != QueryKind::difference) tree->wrap(begin, kind, operands);
}

void GrooveSource::make_query(u64 index, GrooveName groove, u64 random, u32 leaves, Query* query) const {
  const bool many = paging(index) && below(remix(random, salt_rare), 3) != 0;
  const QuerySite site{.index = index, .groove = groove};
  for (;; leaves = (leaves + 1) / 2) {
    QueryTree tree;
    if (many) {  // All, or all but a few: worth many pages.
      tree.nodes.push({.tree = groove_spec(groove).objects, .min = 0, .max = timestamp_max});
      if (leaves > 1) {
        query_node(site, random, leaves - 1, options_.query_depth_max, &tree);
        tree.wrap(0, QueryKind::difference, 2);
      }
    } else {
      query_node(site, random, leaves, options_.query_depth_max, &tree);
    }
    if (encode_query(tree, query)) return;
    ASSERT(leaves > 1);
  }
}

u32 GrooveSource::drawn_leaves(u64 random) const {
  const u32 pool = options_.runtime.scans_max;
  const u64 drawn = below(random, 32);
  // What the pool holds, one more, and as many as a line may have.
  if (drawn == 0) return std::clamp<u32>(pool, 1, query_leaves_max);
  if (drawn == 1) return std::min(pool + 1, query_leaves_max);
  if (drawn == 2) return static_cast<u32>(between(remix(random, 1), 1, query_leaves_max));
  if (drawn < 8) return 1;
  if (drawn < 18) return std::min(2U, options_.query_leaves_max);
  return static_cast<u32>(between(remix(random, 1), 1, options_.query_leaves_max));
}

// In some phases queries and pages are rare, so that what lies between two pages is an op, a bar or more.
bool GrooveSource::paging(u64 index) const {
  if (era_of(index) == 0) return false;  // Nobody has asked anything yet.
  return below(lines_.at(era_of(index), salt_phase), paging_phases_one_in) == 0;
}

OperationKind GrooveSource::asking_kind(u64 index, OperationKind kind, u64 random) const {
  if (!paging(index)) return kind;
  const u64 drawn = below(remix(random, salt_kind + 100), 64);
  if (drawn == 0) return OperationKind::query;
  if (drawn < 16) return OperationKind::page;
  const bool updates = options_.weight_update > 0 && drawn % 2 == 0;
  return updates ? OperationKind::update : OperationKind::get;
}

void GrooveSource::query(u64 index, const Target& target, u64 random, Operation* operation) const {
  const GrooveName groove = target.wish.groove;
  const bool pages = paging(index);
  operation->tree = groove_spec(groove).objects;
  operation->kind = target.wish.kind;
  if (operation->kind == OperationKind::page) return;
  const u64 leaves = remix(random, salt_count);
  make_query(index, groove, remix(random, salt_rare),
             pages ? 1 + static_cast<u32>(below(leaves, 2)) : drawn_leaves(leaves), &operation->query);
  operation->direction =
      (remix(random, salt_direction) & 1) != 0 ? Direction::descending : Direction::ascending;
  operation->cold = percent(remix(random, salt_cold), options_.bias_cold);
  const u64 rows = remix(random, salt_limit);
  const u64 bits = pages ? 2 : 6;
  operation->limit = 1 + static_cast<u32>(below(rows, u64{1} << below(remix(rows, 1), bits)));
  const u64 unlimited = space_.universe() <= 512 && !pages ? 6 : 64;
  if (below(remix(rows, 2), unlimited) == 0) operation->limit = 0;
  const u64 drawn = remix(random, salt_end);
  const u64 limit = std::max<u64>(1, operation->limit);
  switch (below(drawn, 6)) {
    case 0: operation->value = 1; break;
    case 1: operation->value = limit; break;
    case 2: operation->value = limit + 1; break;
    case 3: operation->value = std::max<u64>(1, limit - 1); break;
    case 4: operation->value = 1 + below(remix(drawn, 1), 8); break;
    default: operation->value = query_buffer_default; break;
  }
  if (operation->limit == 0 && below(remix(drawn, 2), 2) == 0)
    operation->value = 1 + below(remix(drawn, 3), large_buffer_max);
}

bool GrooveSource::burst(u64 index, Operation* operation) const {
  u64 place = 0;
  u64 random = 0;
  if (!schedule_.in_burst(index, &place, &random)) return false;
  const ScanStep step = scan_step(random, place, options_.runtime.scans_max);
  fill_scan_step(step, operation);
  const u64 begin = index - place;
  const GrooveName groove = drawn_groove(remix(step.scan, salt_tree));
  const bool descending = (remix(step.scan, salt_direction) & 1) != 0;
  if (step.kind == OperationKind::scan_open) {
    // Few mostly, so that others are open beside it.
    const u64 few = std::min<u64>(3, 1 + options_.runtime.scans_max / 3);
    const u64 leaves = below(remix(step.scan, salt_count), 8) == 0
                           ? drawn_leaves(remix(step.scan, salt_count + 100))
                           : 1 + below(remix(step.scan, salt_count + 200), few);
    operation->tree = groove_spec(groove).objects;
    operation->direction = descending ? Direction::descending : Direction::ascending;
    operation->cold = percent(remix(step.scan, salt_cold), options_.bias_cold);
    make_query(begin, groove, step.scan, static_cast<u32>(leaves), &operation->query);
  } else if (step.kind == OperationKind::scan_probe) {
    i64 at = probe_place(step);
    if (descending) at = probe_end - at;
    u64 timestamp = 0;
    if (at > probe_end) {
      timestamp = timestamp_max;
    } else if (at >= 0) {
      const u128 top = space_.timestamp_top(groove, begin);
      timestamp = static_cast<u64>(top * static_cast<u64>(at) / static_cast<u64>(probe_end));
    }
    if (below(remix(step.random, salt_key_kind), 3) == 0)
      timestamp = query_timestamp(begin, groove, step.random);
    operation->timestamped = true;
    operation->key = Key::of(timestamp);
  }
  return true;
}

}  // namespace tonearm::sim
