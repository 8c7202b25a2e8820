#include "sim/workload/workload.h"

#include <string_view>

#include "base/assert.h"
#include "sim/workload/call_source.h"
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

 private:
  const std::vector<Operation>* operations_;
};

std::unique_ptr<OperationSource> tree_source(u64 seed, const RunOptions& options) {
  return std::make_unique<TreeSource>(seed, options);
}

template <const Alphabet& alphabet>
std::unique_ptr<OperationSource> calls(u64 seed, const RunOptions& options) {
  return std::make_unique<CallSource>(alphabet, seed, options);
}

constexpr Workload table[] = {
    {.name = "tree",
     .help =
         "Three trees (general, secondary index, wide keys) under puts, removes, gets, scans and crashes.",
     .draw = draw_tree,
     .source = tree_source},
    {.name = "canary",
     .help = "A short tree run that fails for one seed in four, on purpose: notices a pipeline gone silent.",
     .draw = draw_canary,
     .source = tree_source},
    {.name = "manifest_log",
     .help = "The manifest log of up to three trees over a grid, against a list of entries; hostile blocks.",
     .draw = draw_manifest_log,
     .source = calls<manifest_log_alphabet>},
    {.name = "segmented_array",
     .help = "Three segmented arrays that share one pool of nodes, against vectors.",
     .draw = draw_component,
     .source = calls<segmented_array_alphabet>},
    {.name = "superblock",
     .help = "The four copies of the superblock, torn, damaged, forged and repaired, against an enumerator.",
     .draw = draw_superblock,
     .source = calls<superblock_alphabet>},
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
