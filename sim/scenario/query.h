// A query: which objects of a groove a `query` or `scan_open` line asks its indexes for.
//
//   a=1 & (b=7..9 - c=2@5..) & draft
//
//   expression  operand, or several of them between equal operators
//   operator    `&` in all of them, `|` in any, `-` in the first and in none of the others
//   operand     predicate, or ( expression ): different operators never mix without parentheses
//   predicate   NAME=RANGE       of an index, by its name within the groove
//               NAME             of an index of existence, which has no values
//               id=RANGE         in a groove that has ids
//               timestamp=RANGE
//   RANGE       7 or 7..9 or 7.. or ..9 or ..   both ends included
//
// A predicate on an index may end in `@RANGE`, timestamps that narrow this predicate alone. `&` and `|` take
// any number of operands, `a - b - c` is `(a - b) - c`. A predicate means what its index holds: `pinned=0`
// is true of no object, because an index of an optional field has no zeros.
//
// A line is copied often and a query is large, so lines hold its compact form. Whoever looks into a query
// decodes it to a tree first.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/bounded_array.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

inline constexpr u32 query_leaves_max = 16;
inline constexpr u32 query_nodes_max = 2 * query_leaves_max - 1;
inline constexpr u32 query_code_max = 382;
inline constexpr u32 query_nesting_max = 32;  // Parentheses in each other, redundant ones too.

struct Query {
  u16 size = 0;  // Bytes of the code; 0: there is no query. What follows them means nothing.
  std::array<u8, query_code_max> code{};
};
bool operator==(const Query& a, const Query& b);

enum class QueryKind : u8 { leaf, intersection, any, difference };

struct QueryNode {
  QueryKind kind = QueryKind::leaf;
  u8 operands = 0;  // Of a leaf 0, of a difference 2, else at least 2.
  u8 size = 1;      // Nodes of its subtree, itself included.

  // Of a leaf: an index; the id tree; or the object tree, for a range of timestamps.
  TreeName tree = TreeName::kv;
  u128 min = 0;  // Of an index of existence, 0.
  u128 max = 0;
  u64 timestamp_min = 0;
  u64 timestamp_end = timestamp_max;  // Inclusive.
};

// In prefix order: the operands of a node are the next one, and the one behind each operand's subtree.
struct QueryTree {
  BoundedArray<QueryNode, query_nodes_max> nodes;

  u32 leaves() const;
  u32 root_size() const { return nodes.empty() ? 0 : nodes[0].size; }
  // Puts a node in front of all from `at` on, which become its operands.
  void wrap(u32 at, QueryKind kind, u32 operands);
};

// The greatest value of a predicate: of the index's field, an id, a timestamp.
u128 query_value_max(TreeName tree);
inline bool query_existence(TreeName tree) {
  return tree_spec(tree).secondary_index && tree_spec(tree).shape == KeyShape::timestamp;
}
// Whether `@RANGE` may follow.
inline bool query_narrows(TreeName tree) { return tree_spec(tree).secondary_index; }
// `id`, `timestamp`, or the name of the index within its groove.
std::string query_name(TreeName tree);
// How many trees of a groove there are to ask: they follow each other from its object tree on.
u32 query_trees(GrooveName groove);

// False: its numbers take too many bytes.
bool encode_query(const QueryTree& tree, Query* query);
QueryTree decode_query(GrooveName groove, const Query& query);

void print_query(const QueryTree& tree, std::string* target);
std::string query_text(GrooveName groove, const Query& query);
// Of the subtree that begins at the node.
void print_query_node(const QueryTree& tree, u32 node, std::string* target);

}  // namespace tonearm::sim
