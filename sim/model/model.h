// The oracle: what the trees must hold, in plain standard containers, without a byte of engine code.
//
// A run changes either trees (put, remove) or objects of grooves (change), which the model turns into what
// their trees hold. The rest is the same for both.
//
// There is one state, the current one, and the list of ops since the last verified checkpoint, each
// with its effects and what every effect replaced. Undoing the newest effects first gives the state at
// any op of the list: at C after a crash, or for a while, to audit a checkpoint. When a checkpoint is
// verified its ops leave the list. Values are 64-bit payloads: 0 in an index, the hash of an object.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "sim/model/groove_model.h"
#include "sim/model/key_counts.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

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
  std::vector<Effect> effects;        // Of trees,
  std::vector<ObjectChange> changes;  // or of grooves.
};

// What a line that changes an object must come to, in the order in which it is decided.
enum class ChangeVerdict : u8 {
  skipped,            // Does not apply to what is there; the engine is not asked to change anything.
  id_invalid,         // Refused by the engine.
  timestamp_invalid,  // Refused by the engine.
  unchanged,          // An upsert of what is there: fine, and nothing happens.
  batch_full,         // Refused by the engine.
  applies,
};
struct ChangePlan {
  ChangeVerdict verdict = ChangeVerdict::skipped;
  ObjectChange change;  // Of a refused one, what was refused.
};

// What of a key a prefetch finds out: the object or orphan, or whether there is an object.
enum class Asked : u8 { key, exists };

class Model {
 public:
  void reset(u32 beats);  // Ops of a bar.

  // --- the running op
  void put(TreeName tree, const ModelKey& key, u64 value);
  void remove(TreeName tree, const ModelKey& key);
  u32 batch_used(TreeName tree) const;  // Changes of the tree, or groove, in this op (scopes included).
  void scope_open();
  void scope_close(bool persist);
  bool scope_active() const;
  void commit(u64 op, OpId line, u32 repeat);  // The op enters the log.
  void forget_op();                            // Its lines are lost (a crash before commit).

  // --- grooves in the running op
  // Not inside a scope. False: the op has prefetched `keys_max` different keys of the groove already.
  bool prefetch(GrooveName groove, Asked asked, u128 key, u32 keys_max);
  // Forgets what was prefetched, not what it cost. Not inside a scope.
  void prefetch_setup();
  // Whether the engine must have an answer without prefetching: prefetched in this op, or changed in this
  // bar (which says nothing of timestamps).
  bool known(GrooveName groove, Asked asked, u128 key) const;
  // Looks at the groove, not at what is known of it; `changes_max`: of a groove in an op.
  ChangePlan plan(const Operation& line, u32 changes_max) const;
  void change(const ObjectChange& change);

  // --- queries on the current state
  Side get_object(GrooveName groove, u128 key) const { return grooves_.store(groove).get(key); }
  Side object_at(GrooveName groove, u64 timestamp) const { return grooves_.store(groove).at(timestamp); }
  // Said ahead, these answer sooner.
  const ObjectStore& objects(GrooveName groove) const { return grooves_.store(groove); }
  bool exists(GrooveName groove, u64 timestamp) const {
    return tree(groove_spec(groove).objects).contains(u128{timestamp});
  }
  std::optional<u64> get(TreeName tree, const ModelKey& key) const;
  const ModelMap& tree(TreeName tree) const { return trees_[static_cast<u32>(tree)]; }
  u64 size() const;

  // --- checkpoints and crashes
  void checkpoint_verified(u64 op);  // Ops <= op can no longer be lost.
  u64 checkpoint_op() const { return checkpoint_op_; }
  const std::deque<LoggedOp>& log() const { return log_; }  // The ops after the last verified checkpoint.
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
  // Everything of a log entry or of the running op, in order or backwards.
  void apply_all(std::vector<Effect>& effects, const std::vector<ObjectChange>& changes);
  void undo_all(const std::vector<Effect>& effects, const std::vector<ObjectChange>& changes);
  struct Marker {
    std::size_t effects = 0;
    std::size_t changes = 0;
  };
  void undo_to(const Marker& marker);
  void op_ends(u64 op);
  void forget_prefetched();
  Side plan_insert(const Operation& line, ChangeVerdict* verdict) const;

  u32 beats_ = 2;
  ModelTrees trees_ = model_trees();
  GrooveModel grooves_;
  u64 checkpoint_op_ = 0;
  std::deque<LoggedOp> log_;
  u64 rewound_ = 0;  // Ops at the end of the log that rewind() has undone.

  // The running op: its changes in order.
  std::vector<Effect> effects_;
  std::vector<ObjectChange> changes_;
  std::array<u32, tree_names_max> batch_used_{};
  std::optional<Marker> scope_;  // How many changes there were when it was opened.
  struct Prefetched {
    KeyCounts keys;
    KeyCounts exists;
    u32 before = 0;  // Forgotten by prefetch_setup().

    KeyCounts& of(Asked asked) { return asked == Asked::key ? keys : exists; }
    u32 known() const { return keys.keys() + exists.keys(); }
    void forget() {
      keys.clear();
      exists.clear();
    }
  };
  std::array<Prefetched, groove_count> prefetched_;
  std::array<KeyCounts, groove_count> changed_;  // How often in this bar.
};

}  // namespace tonearm::sim
