// Plays queries and open scans on the model alone, for the tests of generators: how often what they ask for
// is interesting.
#pragma once

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <variant>

#include "sim/model/scan_model.h"

namespace tonearm::sim {

// For structs of u64 counters and nothing else.
template <class Counters>
void add_counters(Counters* sum, const Counters& more) {
  static_assert(std::is_trivially_copyable_v<Counters> && sizeof(Counters) % sizeof(u64) == 0);
  std::array<u64, sizeof(Counters) / sizeof(u64)> left, right;
  std::memcpy(left.data(), sum, sizeof *sum);
  std::memcpy(right.data(), &more, sizeof more);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  std::memcpy(static_cast<void*>(sum), left.data(), sizeof *sum);
}

struct ScanCounts {
  u64 queries = 0, refused = 0, empty = 0, partial = 0, all = 0;
  u64 rows = 0, resumed = 0, exact = 0, one_more = 0;
  u64 pages = 0, page_rows = 0, pages_later = 0, last_pages = 0;
  u64 opened = 0, open_refused = 0, together = 0, next_rows = 0, next_ends = 0;
  u64 probes = 0, probes_drop = 0, probes_end = 0, aborted = 0;
  std::array<u64, query_leaves_max + 1> by_leaves{};
  std::array<u64, query_leaves_max + 1> by_depth{};
  std::array<u64, 4> by_kind{};

  void add(const ScanCounts& other) { add_counters(this, other); }

  std::string text() const {
    std::string text;
    const std::pair<const char*, u64> counts[] = {{"queries", queries},
                                                  {"refused", refused},
                                                  {"empty", empty},
                                                  {"partial", partial},
                                                  {"all", all},
                                                  {"rows", rows},
                                                  {"resumed", resumed},
                                                  {"buffer exact", exact},
                                                  {"one more", one_more},
                                                  {"pages", pages},
                                                  {"page rows", page_rows},
                                                  {"pages in later ops", pages_later},
                                                  {"last pages", last_pages},
                                                  {"opened", opened},
                                                  {"open refused", open_refused},
                                                  {"opened beside others", together},
                                                  {"next rows", next_rows},
                                                  {"next ends", next_ends},
                                                  {"probes", probes},
                                                  {"dropping", probes_drop},
                                                  {"ending", probes_end},
                                                  {"aborted", aborted}};
    for (const auto& [name, count] : counts) text += std::string(name) + " " + std::to_string(count) + "\n";
    for (const auto* list : {&by_leaves, &by_depth}) {
      for (const u64 count : *list) text += std::to_string(count) + " ";
      text += "\n";
    }
    return text;
  }
};

class ScanPlay {
 public:
  ScanCounts counts;

  // False: the line does not apply. `op`: the running one.
  bool play(const Operation& line, const Model& model, u32 scans_max, u64 op) {
    if (ends_scans(line.kind)) close_all();
    if (line.kind < OperationKind::query || line.kind >= OperationKind::heal) return true;
    if (model.scope_active()) return false;
    scans_max_ = scans_max;
    if (line.kind == OperationKind::query) return query(line, model, op);
    if (line.kind == OperationKind::page) return page(line, model, op);
    if (line.kind == OperationKind::scan_open) return open(line, model);
    if (line.kind == OperationKind::scan_next) return next(line);
    const u32 slot = scan_slot(line);
    if (!slots_[slot].open) return false;
    if (line.kind == OperationKind::scan_probe) return probe(line, &slots_[slot]);
    if (line.kind == OperationKind::scan_close) {
      leaves_ -= slots_[slot].leaves;
      slots_[slot] = {};
    } else {
      std::visit([](auto& scan) { scan.abort(); }, *slots_[slot].scan);
      ++counts.aborted;
    }
    return true;
  }

 private:
  struct Slot {
    bool open = false;
    TreeName tree = TreeName::kv;
    u32 leaves = 0;
    std::optional<std::variant<TreeScanModel, QueryScanModel>> scan;
  };
  struct Pages {
    QueryPlan plan;
    u64 op = 0;
  };

  void close_all() {
    if (leaves_ == 0) return;
    slots_ = {};
    leaves_ = 0;
  }

  static u32 depth_of(const QueryTree& tree, u32 at) {
    u32 deepest = 0;
    u32 operand = at + 1;
    for (u32 i = 0; i < tree.nodes[at].operands; ++i) {
      deepest = std::max(deepest, 1 + depth_of(tree, operand));
      operand += tree.nodes[operand].size;
    }
    return deepest;
  }

  bool fits(const QueryTree& tree) const { return leaves_ + tree.leaves() <= scans_max_; }

  // The rows, and whether the query was refused.
  bool ask(const QueryPlan& plan, const Model& model, std::vector<u64>* rows) {
    const QueryTree tree = decode_query(plan.groove, plan.query);
    ++counts.by_leaves[tree.leaves()];
    ++counts.by_depth[depth_of(tree, 0)];
    for (const QueryNode& node : tree.nodes) ++counts.by_kind[static_cast<u32>(node.kind)];
    if (!fits(tree)) {
      ++counts.refused;
      return false;
    }
    *rows = query_answer(model, plan);
    counts.rows += rows->size();
    counts.resumed += rows->size() > plan.buffer ? 1 : 0;
    counts.exact += rows->size() == plan.buffer ? 1 : 0;
    counts.one_more += rows->size() + 1 == plan.buffer ? 1 : 0;
    return true;
  }

  bool query(const Operation& line, const Model& model, u64 op) {
    ++counts.queries;
    Pages& pages = pages_[line.groove()];
    pages = {.plan = query_plan(line), .op = op};
    std::vector<u64> rows;
    if (!ask(pages.plan, model, &rows)) return true;
    if (!rows.empty()) pages.plan.beyond = rows.back();
    const u64 all = model.tree(groove_spec(line.groove()).objects).size();
    const u64 matches = query_matches(model, line.groove(), decode_query(line.groove(), line.query)).size();
    ++(matches == 0 ? counts.empty : matches == all ? counts.all : counts.partial);
    return true;
  }

  bool page(const Operation& line, const Model& model, u64 op) {
    const auto found = pages_.find(line.groove());
    if (found == pages_.end()) return false;
    Pages& pages = found->second;
    std::vector<u64> rows;
    if (!ask(pages.plan, model, &rows)) return true;
    ++counts.pages;
    counts.page_rows += rows.size();
    counts.pages_later += op != pages.op && !rows.empty() ? 1 : 0;
    counts.last_pages += rows.empty() ? 1 : 0;
    pages.op = op;
    if (!rows.empty()) pages.plan.beyond = rows.back();
    return true;
  }

  bool open(const Operation& line, const Model& model) {
    Slot& slot = slots_[scan_slot(line)];
    if (slot.open) return false;
    u32 leaves = 1;
    if (line.query.size > 0) leaves = decode_query(line.groove(), line.query).leaves();
    if (leaves_ + leaves > scans_max_) {
      ++counts.open_refused;
      return true;
    }
    counts.together += leaves_ > 0 ? 1 : 0;
    ++counts.opened;
    slot = {.open = true, .tree = line.tree, .leaves = leaves, .scan = {}};
    leaves_ += leaves;
    if (line.query.size > 0) {
      const QueryTree tree = decode_query(line.groove(), line.query);
      slot.scan.emplace(QueryScanModel(query_matches(model, line.groove(), tree), line.direction));
    } else {
      slot.scan.emplace(
          TreeScanModel(model.tree(line.tree), model_key(line.key), model_key(line.key_end), line.direction));
    }
    return true;
  }

  bool next(const Operation& line) {
    bool any = false;
    for (u32 slot = 0; slot < scan_slots; ++slot) {
      if ((line.slots >> slot & 1) == 0 || !slots_[slot].open) continue;
      any = true;
      for (u64 i = 0; i < line.count; ++i) {
        const bool row = std::visit([](auto& scan) { return scan.next().has_value(); }, *slots_[slot].scan);
        ++(row ? counts.next_rows : counts.next_ends);
        if (!row) break;
      }
    }
    return any;
  }

  bool probe(const Operation& line, Slot* slot) {
    auto* tree = std::get_if<TreeScanModel>(&*slot->scan);
    if ((tree != nullptr) == line.timestamped) return false;
    if (tree != nullptr && line.tree != slot->tree) return false;
    ++counts.probes;
    const auto before = *slot->scan;
    // What comes next, as one number; 0: nothing.
    const auto first = [](auto scan) {
      if (auto* of_tree = std::get_if<TreeScanModel>(&scan)) {
        const auto row = of_tree->next();
        return row ? 1 + row->first.low + 31 * row->first.middle : 0;
      }
      return std::get<QueryScanModel>(scan).next().value_or(0);
    };
    if (tree != nullptr) {
      tree->probe(model_key(line.key));
    } else {
      std::get<QueryScanModel>(*slot->scan).probe(static_cast<u64>(line.key.lo));
    }
    const u64 was = first(before);
    const u64 is = first(*slot->scan);
    counts.probes_drop += was != is ? 1 : 0;
    counts.probes_end += was != is && is == 0 ? 1 : 0;
    return true;
  }

  std::array<Slot, scan_slots> slots_{};
  std::map<GrooveName, Pages> pages_;
  u32 leaves_ = 0;
  u32 scans_max_ = 0;
};

}  // namespace tonearm::sim
