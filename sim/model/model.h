// The oracle: what the trees must hold, in plain standard containers, without a byte of engine code.
//
// There is one state, the current one, and the list of ops since the last verified checkpoint, each
// with its effects and what every effect replaced. Undoing the newest effects first gives the state at
// any op of the list: at C after a crash, or for a while, to audit a checkpoint. When a checkpoint is
// verified its ops leave the list. Values are 64-bit payloads (0 for the index tree).
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "sim/model/model_key.h"
#include "sim/model/sorted_map.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

using ModelMap = SortedMap<ModelKey, u64>;
static_assert(sizeof(ModelMap::value_type) == 32);

struct Effect {
  TreeName tree;
  bool removed;
  ModelKey key;
  u64 value;
  std::optional<u64> before = {};  // What it replaced: filled in by the model.
};

struct LoggedOp {
  u64 op;      // The engine's op number.
  OpId line;   // The commit line it came from: its requests are attributed to that when replayed.
  u32 repeat;  // Which of a `commit times=K`.
  std::vector<Effect> effects;
};

class Model {
 public:
  void reset();

  // --- the running op
  void put(TreeName tree, const ModelKey& key, u64 value);
  void remove(TreeName tree, const ModelKey& key);
  u32 batch_used(TreeName tree) const;  // Values put into the tree in this op (scopes included).
  void scope_open();
  void scope_close(bool persist);
  bool scope_active() const;
  void commit(u64 op, OpId line, u32 repeat);  // The op enters the log.
  void forget_op();                            // Its lines are lost (a crash before commit).

  // --- queries on the current state
  std::optional<u64> get(TreeName tree, const ModelKey& key) const;
  const ModelMap& tree(TreeName tree) const { return trees_[static_cast<u32>(tree)]; }
  u64 size() const;

  // --- checkpoints and crashes
  void checkpoint_verified(u64 op);  // Ops <= op can no longer be lost.
  u64 checkpoint_op() const { return checkpoint_op_; }
  u64 op() const { return log_.empty() ? checkpoint_op_ : log_.back().op; }  // The last op that is known.
  // The current state becomes what was true at op C (>= checkpoint_op()); returns the ops after C, which
  // the engine must be given again (the log then ends at C). The running op is forgotten.
  std::vector<LoggedOp> crash_to(u64 op);
  void replay(LoggedOp op);  // Applies it to the current state and to the log.

  // Shows the state at op C until restore(). Nothing else may be called in between but queries.
  void rewind(u64 op);
  void restore();

 private:
  void apply(Effect& effect);  // Notes what it replaced.
  void undo(const Effect& effect);
  void undo_to(std::size_t count);

  std::array<ModelMap, tree_names_max> trees_;
  u64 checkpoint_op_ = 0;
  std::deque<LoggedOp> log_;
  u64 rewound_ = 0;  // Ops at the end of the log that rewind() has undone.

  // The running op: its changes in order.
  std::vector<Effect> effects_;
  std::array<u32, tree_names_max> batch_used_{};
  std::optional<std::size_t> scope_;  // How many changes there were when it was opened.
};

}  // namespace tonearm::sim
