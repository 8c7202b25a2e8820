// A workload turns a seed into a scenario, and yields operation i on demand from (seed, i), so that a
// run of ten million operations holds no list of them.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/scenario/scenario.h"
#include "sim/workload/line_stream.h"

namespace tonearm::sim {

class OperationSource {
 public:
  virtual ~OperationSource() = default;
  virtual u64 count() const = 0;
  virtual void at(u64 index, Operation* operation) const = 0;  // Pure: any order, any number of times.
  // Some line is a fault. A generator yields none.
  virtual bool asks_for_faults() const { return false; }
};

struct Workload {
  const char* name;
  const char* help;
  // Draws all options from the seed (swarm). Overrides are applied by the caller afterwards.
  void (*draw)(u64 seed, RunOptions* options);
  // The generator over the final options. What belongs to the whole run (which keys there are, who climbs
  // ladders) is drawn from the seed, whatever the reseeds; see reseeded_source.h for the lines that say so.
  std::unique_ptr<OperationSource> (*source)(u64 seed, const RunOptions& options, const Reseeds& reseeds);
};

std::span<const Workload> workloads();
const Workload* find_workload(std::string_view name);

// A source over the operations of a scenario file, which must outlive it.
std::unique_ptr<OperationSource> source_of(const std::vector<Operation>& operations);

// Whether the run of this seed of `canary` is one of those that must fail. The runner arranges it.
inline constexpr u32 canary_one_in = 4;
bool canary_fails(u64 seed);

}  // namespace tonearm::sim
