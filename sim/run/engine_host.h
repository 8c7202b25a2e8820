// An engine over a simulated disk, driven synchronously: each call pumps the disk until it is done.
//
// The live engine of a run and the shadow engines of its audits are both hosts. What may interrupt a
// pump (a crash that strikes, a run that is stuck) is the owner's business, through `Interrupt`.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "forest/forest.h"
#include "sim/disk/sim_storage.h"
#include "sim/model/tree_model.h"
#include "sim/scenario/run_options.h"

namespace tonearm::sim {

// The engine's trees, in the order of TreeName.
std::span<const TreeConfig> tree_configs();
ForestOptions forest_options(const RunOptions& options);

// A value of one of the trees, as the engine stores it.
struct Encoded {
  alignas(16) std::array<std::byte, value_size_max> bytes;
};
Encoded encode_value(TreeName tree, const Key& key, u64 value);
u64 decode_value(TreeName tree, const std::byte* bytes);

struct Answer {
  Error error;  // Set: unanswered.
  std::optional<u64> value;
};

struct ScanRow {
  ModelKey key;
  u64 value;
};

struct ScanRequest {
  TreeName tree = TreeName::kv;
  KeyRange range{};
  Direction direction = Direction::ascending;
  u64 limit = u64_max;
  bool cold = false;
};

class Interrupt {
 public:
  // Before every event-loop step; throws to abandon the pump.
  virtual void before_step() = 0;
  // The call cannot complete: nothing is pending, or it has taken too long. Throws.
  virtual void stuck(const char* why) = 0;

 protected:
  ~Interrupt() = default;
};

// Bytes that nobody has written, other ones for every `poison`.
void fill_poison(std::span<std::byte> memory, u64 poison);

class EngineHost {
 public:
  // `memory`: grown if needed, never shrunk; its contents do not matter. Not 0: `poison` decides them.
  EngineHost(SimStorage& disk, const RunOptions& options, std::vector<std::byte>& memory,
             Interrupt& interrupt, u64 poison);
  EngineHost(const EngineHost&) = delete;
  EngineHost& operator=(const EngineHost&) = delete;

  Forest& forest() { return *forest_; }
  SimStorage& disk() { return *disk_; }

  Error format();
  Error open();
  Error compact(u64 op);
  Error checkpoint();

  // Cold: no cached block may answer (memory tables still do).
  Answer get(TreeName tree, const Key& key, bool cold);
  // Rows are appended to `rows` (cleared first), whose memory is reused.
  Error scan(const ScanRequest& request, std::vector<ScanRow>* rows);

  u64 blocks_read() const { return forest_->grid().counters().reads_storage; }
  u64 blocks_written() const { return forest_->grid().counters().writes; }

 private:
  void call_done() { done_ = true; }
  void lookup_done(Tree::Lookup&) { done_ = true; }
  void pump();

  SimStorage* disk_;
  Interrupt* interrupt_;
  u64 liveness_ticks_max_;
  bool done_ = false;
  Tree::Lookup lookup_;
  std::optional<Forest> forest_;
};

}  // namespace tonearm::sim
