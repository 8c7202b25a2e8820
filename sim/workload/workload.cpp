#include "sim/workload/workload.h"

#include <algorithm>

#include <string_view>

#include "base/assert.h"
#include "sim/workload/call_source.h"
#include "sim/workload/groove_source.h"
#include "sim/workload/swarm.h"
#include "sim/workload/tree_workload.h"

namespace tonearm::sim {

namespace {

class ListSource final : public OperationSource {
 public:
  explicit ListSource(const std::vector<Operation>& operations) : operations_(&operations) {}

  u64 count() const override { return operations_->size(); }
  void at(u64 index, Operation* operation) const override {
    ASSERT(index < operations_->size());
    *operation = (*operations_)[index];
  }
  bool asks_for_faults() const override {
    return std::any_of(operations_->begin(), operations_->end(), [](const Operation& operation) {
      if (operation.kind == OperationKind::fault) return operation.fault.kind != FaultKind::failed_sync;
      return std::any_of(operation.writes.begin(), operation.writes.end(), [](const CrashWrite& write) {
        return write.outcome == CrashOutcome::torn_unreadable;
      });
    });
  }

 private:
  const std::vector<Operation>* operations_;
};

std::unique_ptr<OperationSource> groove_source(u64 seed, const RunOptions& options, const Reseeds& reseeds) {
  return std::make_unique<GrooveSource>(seed, options, world_of("groove", options.groove), reseeds);
}

std::unique_ptr<OperationSource> forest_source(u64 seed, const RunOptions& options, const Reseeds& reseeds) {
  return std::make_unique<GrooveSource>(seed, options, world_forest, reseeds);
}

std::unique_ptr<OperationSource> tree_source(u64 seed, const RunOptions& options, const Reseeds& reseeds) {
  return std::make_unique<TreeSource>(seed, options, reseeds);
}

template <const Alphabet& alphabet>
std::unique_ptr<OperationSource> calls(u64 seed, const RunOptions& options, const Reseeds& reseeds) {
  ASSERT(reseeds.empty());
  return std::make_unique<CallSource>(alphabet, seed, options);
}

constexpr Workload table[] = {
    {.name = "tree",
     .help =
         "Three trees (general, secondary index, wide keys) under puts, removes, gets, scans and crashes.",
     .draw = draw_tree,
     .source = tree_source},
    {.name = "groove",
     .help = "One of four grooves: objects, ids and indexes under changes, prefetches, scopes and crashes.",
     .draw = draw_groove,
     .source = groove_source},
    {.name = "forest",
     .help = "Three grooves in one forest, under the same.",
     .draw = draw_forest,
     .source = forest_source},
    {.name = "scan_tree",
     .help = "The three trees under the same, and scans that stay open: interleaved, probed, aborted.",
     .draw = draw_scan_tree,
     .source = tree_source},
    {.name = "scan",
     .help = "One of four grooves and mostly queries: set operations over indexes, pages, open scans.",
     .draw = draw_scan,
     .source = groove_source},
    {.name = "canary",
     .help = "A short tree run that fails for one seed in four, on purpose: notices a pipeline gone silent.",
     .draw = draw_canary,
     .source = tree_source},
    {.name = "cache",
     .help = "The cache of blocks under insertions, uses and removals, against its ways written down.",
     .draw = draw_cache,
     .source = calls<cache_alphabet>},
    {.name = "cache_map",
     .help = "The object cache of a groove with its stash and scopes, against maps.",
     .draw = draw_component,
     .source = calls<cache_map_alphabet>},
    {.name = "free_set",
     .help = "The free set through jobs, checkpoints, crashes and hostile payloads, against a state a block.",
     .draw = draw_free_set,
     .source = calls<free_set_alphabet>},
    {.name = "grid",
     .help = "The block store, half of the time with a mirror: reads, writes, visitors, damage, failures.",
     .draw = draw_grid,
     .source = calls<grid_alphabet>},
    {.name = "manifest_level",
     .help = "The levels of a manifest over its log, up to some thousand tables, against vectors.",
     .draw = draw_manifest_level,
     .source = calls<manifest_level_alphabet>},
    {.name = "manifest_log",
     .help = "The manifest log of up to three trees over a grid, against a list of entries; hostile blocks.",
     .draw = draw_manifest_log,
     .source = calls<manifest_log_alphabet>},
    {.name = "merge",
     .help = "A k-way merge of streams that are pending, end and seek, against a stable sort.",
     .draw = draw_merge,
     .source = calls<merge_alphabet>},
    {.name = "options",
     .help = "Which options are possible, at and beside their limits, and the tables they make.",
     .draw = draw_component,
     .source = calls<options_alphabet>},
    {.name = "segmented_array",
     .help = "Three segmented arrays that share one pool of nodes, against vectors.",
     .draw = draw_segmented_array,
     .source = calls<segmented_array_alphabet>},
    {.name = "superblock",
     .help = "The four copies of the superblock, torn, damaged, forged and repaired, against an enumerator.",
     .draw = draw_superblock,
     .source = calls<superblock_alphabet>},
    {.name = "table_memory",
     .help = "The memory tables of three trees through ops, scopes and bars, against the list of puts.",
     .draw = draw_table_memory,
     .source = calls<table_memory_alphabet>},
    {.name = "trailer",
     .help =
         "Chains of blocks that keep a checkpoint's bitmaps, against the bytes on the disk; hostile blocks.",
     .draw = draw_trailer,
     .source = calls<trailer_alphabet>},
};

}  // namespace

std::span<const Workload> workloads() { return table; }

const Workload* find_workload(std::string_view name) {
  for (const Workload& workload : table) {
    if (name == workload.name) return &workload;
  }
  return nullptr;
}

std::unique_ptr<OperationSource> source_of(const std::vector<Operation>& operations) {
  return std::make_unique<ListSource>(operations);
}

bool canary_fails(u64 seed) {
  return below(Stream("canary", stream_seed(seed, "canary")).at(0), canary_one_in) == 0;
}

}  // namespace tonearm::sim
