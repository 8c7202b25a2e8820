#include "sim/shrink/simpler_query.h"

#include "base/assert.h"

namespace tonearm::sim {

namespace {

// A query as a tree in memory: what is moved about in it takes its operands along.
struct Term {
  QueryNode node;
  std::vector<Term> operands;
};

Term term_of(const QueryTree& tree, u32 at) {
  Term term{.node = tree.nodes[at], .operands = {}};
  u32 next = at + 1;
  for (u32 i = 0; i < term.node.operands; ++i) {
    term.operands.push_back(term_of(tree, next));
    next += tree.nodes[next].size;
  }
  ASSERT(next == at + term.node.size);
  return term;
}

// Returns the nodes written.
u32 flatten(const Term& term, QueryTree* tree) {
  const u32 at = tree->nodes.count();
  tree->nodes.push(term.node);
  u32 size = 1;
  for (const Term& operand : term.operands) size += flatten(operand, tree);
  tree->nodes[at].operands = static_cast<u8>(term.operands.size());
  tree->nodes[at].size = static_cast<u8>(size);
  return size;
}

class Forms {
 public:
  Forms(GrooveName groove, const Query& query, std::vector<Query>* forms)
      : groove_(groove), query_(query), root_(term_of(decode_query(groove, query), 0)), forms_(forms) {}

  void make() {
    fewer(root_);
    wider(root_);
  }

 private:
  // The whole query, as `root_` is just now.
  void add() {
    QueryTree tree;
    flatten(root_, &tree);
    Query form;
    if (!encode_query(tree, &form)) return;
    if (query_text(groove_, form) != query_text(groove_, query_)) forms_->push_back(form);
  }

  void fewer(Term& term) {
    const Term whole = term;
    for (const Term& operand : whole.operands) {
      term = operand;
      add();
    }
    for (std::size_t i = 0; whole.operands.size() > 2 && i < whole.operands.size(); ++i) {
      term = whole;
      term.operands.erase(term.operands.begin() + static_cast<std::ptrdiff_t>(i));
      add();
    }
    term = whole;
    for (Term& operand : term.operands) fewer(operand);
  }

  void wider(Term& term) {
    for (Term& operand : term.operands) wider(operand);
    if (term.node.kind != QueryKind::leaf) return;
    const QueryNode leaf = term.node;
    term.node.timestamp_min = 0;
    term.node.timestamp_end = timestamp_max;
    add();
    term.node = leaf;
    if (query_existence(leaf.tree)) return;
    term.node.max = leaf.min;
    add();
    term.node = leaf;
    term.node.min = leaf.max;
    add();
    term.node = leaf;
  }

  GrooveName groove_;
  const Query& query_;
  Term root_;
  std::vector<Query>* forms_;
};

}  // namespace

std::vector<Query> simpler_queries(GrooveName groove, const Query& query) {
  std::vector<Query> forms;
  Forms(groove, query, &forms).make();
  return forms;
}

void each_range_end(QueryTree* tree, const VisitEnd& visit) {
  for (QueryNode& node : tree->nodes) {
    if (node.kind != QueryKind::leaf || query_existence(node.tree)) continue;
    if (node.min != 0) visit(node.tree, &node.min);
    if (node.max != query_value_max(node.tree)) visit(node.tree, &node.max);
  }
}

}  // namespace tonearm::sim
