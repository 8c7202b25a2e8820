// Queries as text, see query.h. Words end at white space, parentheses and operators.
#include <fmt/format.h>

#include "base/assert.h"
#include "sim/scenario/line_cursor.h"

namespace tonearm::sim {

namespace {

class QueryParser {
 public:
  QueryParser(LineCursor& cursor, GrooveName groove, QueryTree* tree)
      : cursor_(&cursor), groove_(groove), tree_(tree) {}

  bool expression(u32 nesting) {
    const u32 begin = tree_->nodes.count();
    if (!operand(nesting)) return false;
    QueryKind kind = QueryKind::leaf;
    u32 operands = 1;
    for (; operator_of(cursor_->peek_word()) != QueryKind::leaf; ++operands) {
      const std::string_view word = cursor_->next_word();
      const QueryKind next = operator_of(word);
      if (kind != QueryKind::leaf && next != kind) {
        return cursor_->fail(word, "the same operator again: different ones need parentheses");
      }
      kind = next;
      if (!operand(nesting)) return false;
      if (kind == QueryKind::difference) tree_->wrap(begin, kind, 2);
    }
    if (operands > 1 && kind != QueryKind::difference) tree_->wrap(begin, kind, operands);
    return true;
  }

 private:
  static QueryKind operator_of(std::string_view word) {
    if (word == "&") return QueryKind::intersection;
    if (word == "|") return QueryKind::any;
    return word == "-" ? QueryKind::difference : QueryKind::leaf;
  }

  bool operand(u32 nesting) {
    const std::string_view word = cursor_->next_word();
    if (word != "(") return predicate(word);
    if (nesting == query_nesting_max) {
      return cursor_->fail(word, fmt::format("at most {} parentheses in each other", query_nesting_max));
    }
    if (!expression(nesting + 1)) return false;
    const std::string_view close = cursor_->next_word();
    return close == ")" || cursor_->fail(close, "an operator and another operand, or )");
  }

  TreeName tree_at(u32 place) const {
    return static_cast<TreeName>(static_cast<u32>(groove_spec(groove_).objects) + place);
  }

  std::string expected_predicate() const {
    const u32 count = query_trees(groove_);
    return "a predicate: " + alternatives(count + 1, [&](u32 i) -> std::string {
             if (i == count) return "(";
             return query_name(tree_at(i)) + (query_existence(tree_at(i)) ? "" : "=");
           });
  }

  bool predicate(std::string_view word) {
    const std::string_view name = word.substr(0, word.find_first_of("=@"));
    u32 place = 0;
    while (place < query_trees(groove_) && name != query_name(tree_at(place))) ++place;
    if (place == query_trees(groove_)) return cursor_->fail(word, expected_predicate());
    if (tree_->leaves() == query_leaves_max) {
      return cursor_->fail(word, fmt::format("at most {} predicates", query_leaves_max));
    }
    QueryNode leaf;
    leaf.tree = tree_at(place);
    std::string_view rest = word.substr(name.size());
    if (query_existence(leaf.tree)) {
      if (rest.starts_with('=')) return cursor_->fail(rest, fmt::format("no value: {} has none", name));
    } else {
      if (!rest.starts_with('=')) return cursor_->fail(rest, "= and a value or a range");
      rest.remove_prefix(1);
      const std::string_view values = rest.substr(0, rest.find('@'));
      if (!range(values, query_value_max(leaf.tree), &leaf.min, &leaf.max)) return false;
      rest.remove_prefix(values.size());
    }
    if (rest.starts_with('@')) {
      if (!query_narrows(leaf.tree)) {
        return cursor_->fail(rest, "no timestamps: only a predicate on an index has them");
      }
      u128 min = 0;
      u128 max = 0;
      if (!range(rest.substr(1), timestamp_max, &min, &max)) return false;
      leaf.timestamp_min = static_cast<u64>(min);
      leaf.timestamp_end = static_cast<u64>(max);
    }
    tree_->nodes.push(leaf);
    return true;
  }

  bool range(std::string_view text, u128 greatest, u128* min, u128* max) {
    const std::size_t dots = text.find("..");
    const std::string_view first = text.substr(0, dots);
    *min = 0;
    *max = greatest;
    if (dots == std::string_view::npos || !first.empty()) {
      if (!number(first, greatest, min)) return false;
    }
    if (dots == std::string_view::npos) {
      *max = *min;
      return true;
    }
    const std::string_view second = text.substr(dots + 2);
    if (!second.empty() && !number(second, greatest, max)) return false;
    return *min <= *max || cursor_->fail(second, "a range that does not end before it begins");
  }

  bool number(std::string_view text, u128 greatest, u128* value) {
    const std::string wrong = parse_wide_number(text, greatest, value);
    return wrong.empty() || cursor_->fail(text, wrong + ", or a range");
  }

  LineCursor* cursor_;
  GrooveName groove_;
  QueryTree* tree_;
};

}  // namespace

bool parse_query(LineCursor& cursor, GrooveName groove, Query* query) {
  QueryTree tree;
  const std::string_view first = cursor.peek_word();
  if (!QueryParser(cursor, groove, &tree).expression(0)) return false;
  if (encode_query(tree, query)) return true;
  return cursor.fail(first,
                     fmt::format("a shorter query: its numbers take more than {} bytes", query_code_max));
}

}  // namespace tonearm::sim
