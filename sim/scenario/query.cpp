// The compact form is the tree in prefix order. A node is a byte, then its numbers:
//
//   leaf    bits 0-3 place of its tree in the groove; 4-5 what is said of its values: all, one, a range;
//           6-7 the same of its timestamps
//   other   bits 0-3 all ones; 4-5 its kind; then its operands in a byte
//
// A number is 7 bits a byte, the low ones first, bit 7 set if another byte follows; the end of a range is
// its distance from the beginning.
#include "sim/scenario/query.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "sim/scenario/number.h"

namespace tonearm::sim {

namespace {

constexpr u32 no_leaf = 15;

enum class Extent : u8 { all, one, range };

Extent extent_of(u128 min, u128 max, u128 greatest) {
  ASSERT(min <= max);
  ASSERT(max <= greatest);
  if (min == 0 && max == greatest) return Extent::all;
  return min == max ? Extent::one : Extent::range;
}

class Encoder {
 public:
  explicit Encoder(Query* query) : query_(query) { query_->size = 0; }

  void byte(u32 value) {
    if (query_->size == query_code_max) {
      fits_ = false;
    } else {
      query_->code[query_->size++] = static_cast<u8>(value);
    }
  }
  void number(u128 value) {
    for (; value > 0x7f; value >>= 7) byte(static_cast<u32>(value & 0x7f) | 0x80);
    byte(static_cast<u32>(value));
  }
  void extent(Extent extent, u128 min, u128 max) {
    if (extent != Extent::all) number(min);
    if (extent == Extent::range) number(max - min);
  }
  bool fits() const { return fits_; }

 private:
  Query* query_;
  bool fits_ = true;
};

class Decoder {
 public:
  explicit Decoder(const Query& query) : query_(&query) {}

  bool end() const { return at_ == query_->size; }
  u32 byte() {
    ASSERT(at_ < query_->size);
    return query_->code[at_++];
  }
  u128 number() {
    u128 value = 0;
    for (u32 shift = 0;; shift += 7) {
      const u32 next = byte();
      value |= u128{next & 0x7f} << shift;
      if ((next & 0x80) == 0) return value;
    }
  }
  void extent(Extent extent, u128 greatest, u128* min, u128* max) {
    *min = extent == Extent::all ? 0 : number();
    *max = extent == Extent::all ? greatest : extent == Extent::one ? *min : *min + number();
    ASSERT(*max <= greatest);
  }

 private:
  const Query* query_;
  u32 at_ = 0;
};

// --- text

void append_range(u128 min, u128 max, u128 greatest, std::string* target) {
  if (min == max) return append_number(min, target);
  if (min != 0) append_number(min, target);
  target->append("..");
  if (max != greatest) append_number(max, target);
}

void print_leaf(const QueryNode& leaf, std::string* target) {
  target->append(query_name(leaf.tree));
  if (!query_existence(leaf.tree)) {
    target->push_back('=');
    append_range(leaf.min, leaf.max, query_value_max(leaf.tree), target);
  }
  if (leaf.timestamp_min == 0 && leaf.timestamp_end == timestamp_max) return;
  target->push_back('@');
  append_range(leaf.timestamp_min, leaf.timestamp_end, timestamp_max, target);
}

const char* operator_text(QueryKind kind) {
  switch (kind) {
    case QueryKind::intersection: return " & ";
    case QueryKind::any: return " | ";
    case QueryKind::difference: return " - ";
    case QueryKind::leaf: break;
  }
  UNREACHABLE();
}

}  // namespace

bool operator==(const Query& a, const Query& b) {
  return a.size == b.size && std::equal(a.code.begin(), a.code.begin() + a.size, b.code.begin());
}

u32 QueryTree::leaves() const {
  u32 count = 0;
  for (const QueryNode& node : nodes) count += node.kind == QueryKind::leaf ? 1 : 0;
  return count;
}

void QueryTree::wrap(u32 at, QueryKind kind, u32 operands) {
  ASSERT(at < nodes.count());
  ASSERT(kind != QueryKind::leaf);
  ASSERT(kind == QueryKind::difference ? operands == 2 : operands >= 2);
  nodes.push({});
  std::move_backward(nodes.begin() + at, nodes.end() - 1, nodes.end());
  nodes[at] = {
      .kind = kind, .operands = static_cast<u8>(operands), .size = static_cast<u8>(nodes.count() - at)};
}

u128 query_value_max(TreeName tree) {
  const TreeSpec& spec = tree_spec(tree);
  const GrooveSpec& groove = groove_spec(spec.groove);
  if (tree == groove.objects) return timestamp_max;
  if (!spec.secondary_index) return u128_max;
  if (query_existence(tree)) return 0;
  const std::string name = query_name(tree);
  for (const FieldSpec& field : groove.fields) {
    if (name == field.name) return field_max(field);
  }
  return spec.shape == KeyShape::wide_index ? u128_max : u64_max;  // Derived.
}

u32 query_trees(GrooveName groove) {
  const u32 first = static_cast<u32>(groove_spec(groove).objects);
  u32 count = 0;
  while (first + count < tree_names_max && tree_spec(static_cast<TreeName>(first + count)).groove == groove) {
    ++count;
  }
  return count;
}

std::string query_name(TreeName tree) {
  const std::string_view name = tree_name(tree);
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? "timestamp" : std::string(name.substr(dot + 1));
}

bool encode_query(const QueryTree& tree, Query* query) {
  ASSERT(!tree.nodes.empty());
  ASSERT(tree.root_size() == tree.nodes.count());
  Encoder encoder(query);
  for (const QueryNode& node : tree.nodes) {
    if (node.kind != QueryKind::leaf) {
      encoder.byte(no_leaf | static_cast<u32>(node.kind) << 4);
      encoder.byte(node.operands);
      continue;
    }
    const TreeName objects = groove_spec(tree_spec(node.tree).groove).objects;
    const u32 place = static_cast<u32>(node.tree) - static_cast<u32>(objects);
    ASSERT(place < no_leaf);
    const Extent values = extent_of(node.min, node.max, query_value_max(node.tree));
    const Extent times = extent_of(node.timestamp_min, node.timestamp_end, timestamp_max);
    ASSERT(times == Extent::all || query_narrows(node.tree));
    encoder.byte(place | static_cast<u32>(values) << 4 | static_cast<u32>(times) << 6);
    encoder.extent(values, node.min, node.max);
    encoder.extent(times, node.timestamp_min, node.timestamp_end);
  }
  return encoder.fits();
}

QueryTree decode_query(GrooveName groove, const Query& query) {
  ASSERT(query.size > 0);
  QueryTree tree;
  Decoder decoder(query);
  while (!decoder.end()) {
    const u32 head = decoder.byte();
    QueryNode& node = tree.nodes.push({});
    const u32 place = head & 15;
    if (place == no_leaf) {
      node.kind = static_cast<QueryKind>(head >> 4 & 3);
      node.operands = static_cast<u8>(decoder.byte());
      continue;
    }
    ASSERT(place < query_trees(groove));
    node.tree = static_cast<TreeName>(static_cast<u32>(groove_spec(groove).objects) + place);
    decoder.extent(static_cast<Extent>(head >> 4 & 3), query_value_max(node.tree), &node.min, &node.max);
    u128 min = 0;
    u128 max = 0;
    decoder.extent(static_cast<Extent>(head >> 6), timestamp_max, &min, &max);
    node.timestamp_min = static_cast<u64>(min);
    node.timestamp_end = static_cast<u64>(max);
  }
  for (u32 i = tree.nodes.count(); i-- > 0;) {
    u32 size = 1;
    for (u32 operand = 0; operand < tree.nodes[i].operands; ++operand) size += tree.nodes[i + size].size;
    tree.nodes[i].size = static_cast<u8>(size);
  }
  ASSERT(tree.root_size() == tree.nodes.count());
  return tree;
}

void print_query_node(const QueryTree& tree, u32 at, std::string* target) {
  const QueryNode& node = tree.nodes[at];
  if (node.kind == QueryKind::leaf) return print_leaf(node, target);
  u32 operand = at + 1;
  for (u32 i = 0; i < node.operands; ++i) {
    if (i > 0) target->append(operator_text(node.kind));
    const QueryKind kind = tree.nodes[operand].kind;
    const bool leftmost = i == 0 && kind == QueryKind::difference && node.kind == kind;
    const bool bare = kind == QueryKind::leaf || leftmost;
    if (!bare) target->push_back('(');
    print_query_node(tree, operand, target);
    if (!bare) target->push_back(')');
    operand += tree.nodes[operand].size;
  }
  ASSERT(operand == at + node.size);
}

void print_query(const QueryTree& tree, std::string* target) { print_query_node(tree, 0, target); }

std::string query_text(GrooveName groove, const Query& query) {
  std::string text;
  print_query(decode_query(groove, query), &text);
  return text;
}

}  // namespace tonearm::sim
