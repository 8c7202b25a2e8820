// The oracle: what the trees must hold, in plain standard containers, without a byte of engine code.
//
// The model knows three states: `current`; the state at the last verified checkpoint; and the list of
// ops since, each with its effects, so that after a crash it can say what the state at C must be and
// what replaying brings back. Values are 64-bit payloads (0 for the index tree).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/scenario/operation.h"

namespace tonearm::sim {

// 256 bits compared as a number, independent of the engine's type.
using ModelKey = std::pair<u128, u128>;  // hi, lo
using ModelMap = std::map<ModelKey, u64>;

inline ModelKey model_key(const Key& key) { return {key.hi, key.lo}; }
inline Key engine_key(const ModelKey& key) { return {.lo = key.second, .hi = key.first}; }

struct Effect {
  TreeName tree;
  bool removed;
  ModelKey key;
  u64 value;
};

struct LoggedOp {
  u64 op;      // The engine's op number.
  OpId line;   // The commit line it came from: its requests are attributed to that when replayed.
  u32 repeat;  // Which of a `commit times=K`.
  std::vector<Effect> effects;
};

class TreeModel {
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
  const ModelMap& tree(TreeName tree) const { return current_[static_cast<u32>(tree)]; }
  u64 size() const;

  // --- checkpoints and crashes
  void checkpoint_verified(u64 op);  // Folds ops <= op into the checkpointed state.
  u64 checkpoint_op() const { return checkpoint_op_; }
  const ModelMap& checkpointed(TreeName tree) const { return checkpointed_[static_cast<u32>(tree)]; }
  u64 op() const { return log_.empty() ? checkpoint_op_ : log_.back().op; }  // The last op that is known.
  // The current state becomes what was true at op C (>= checkpoint_op(), in the log); returns the ops
  // after C, which the engine must be given again (the log then ends at C). The running op is forgotten.
  std::vector<LoggedOp> crash_to(u64 op);
  void replay(const LoggedOp& op);  // Applies it to the current state and to the log.

 private:
  using Trees = std::array<ModelMap, tree_name_count>;

  // What a change of the running op replaced, to be put back if the change is undone.
  struct Replaced {
    TreeName tree;
    ModelKey key;
    std::optional<u64> value;
  };

  static void apply(Trees& trees, const Effect& effect);
  void change(const Effect& effect);
  void undo_to(std::size_t count);

  Trees current_;
  Trees checkpointed_;
  u64 checkpoint_op_ = 0;
  std::deque<LoggedOp> log_;

  // The running op: its changes in order, and what each of them replaced.
  std::vector<Effect> effects_;
  std::vector<Replaced> replaced_;
  std::array<u32, tree_name_count> batch_used_{};
  std::optional<std::size_t> scope_;  // How many changes there were when it was opened.
};

}  // namespace tonearm::sim
