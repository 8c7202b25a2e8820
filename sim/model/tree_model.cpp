#include "sim/model/tree_model.h"

#include "base/assert.h"

namespace tonearm::sim {

void TreeModel::reset() { *this = TreeModel(); }

void TreeModel::put(TreeName tree, const ModelKey& key, u64 value) {
  change({.tree = tree, .removed = false, .key = key, .value = value});
}

void TreeModel::remove(TreeName tree, const ModelKey& key) {
  change({.tree = tree, .removed = true, .key = key, .value = 0});
}

u32 TreeModel::batch_used(TreeName tree) const { return batch_used_[static_cast<u32>(tree)]; }

void TreeModel::scope_open() {
  ASSERT(!scope_active());
  scope_ = effects_.size();
}

void TreeModel::scope_close(bool persist) {
  ASSERT(scope_active());
  if (!persist) undo_to(*scope_);
  scope_.reset();
}

bool TreeModel::scope_active() const { return scope_.has_value(); }

void TreeModel::commit(u64 op, OpId line, u32 repeat) {
  ASSERT(!scope_active());
  ASSERT(op == this->op() + 1);
  log_.push_back({.op = op, .line = line, .repeat = repeat, .effects = effects_});
  effects_.clear();
  replaced_.clear();
  batch_used_ = {};
}

void TreeModel::forget_op() {
  undo_to(0);
  scope_.reset();
}

std::optional<u64> TreeModel::get(TreeName tree, const ModelKey& key) const {
  const ModelMap& map = this->tree(tree);
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

u64 TreeModel::size() const {
  u64 size = 0;
  for (const ModelMap& map : current_) size += map.size();
  return size;
}

void TreeModel::checkpoint_verified(u64 op) {
  ASSERT(op >= checkpoint_op_);
  ASSERT(op <= this->op());
  while (!log_.empty() && log_.front().op <= op) {
    for (const Effect& effect : log_.front().effects) apply(checkpointed_, effect);
    log_.pop_front();
  }
  checkpoint_op_ = op;
}

std::vector<LoggedOp> TreeModel::crash_to(u64 op) {
  ASSERT(op >= checkpoint_op_);
  ASSERT(op <= this->op());
  forget_op();
  current_ = checkpointed_;
  std::deque<LoggedOp> kept;
  std::vector<LoggedOp> later;
  for (LoggedOp& logged : log_) {
    if (logged.op > op) {
      later.push_back(std::move(logged));
      continue;
    }
    for (const Effect& effect : logged.effects) apply(current_, effect);
    kept.push_back(std::move(logged));
  }
  log_ = std::move(kept);
  return later;
}

void TreeModel::replay(const LoggedOp& op) {
  ASSERT(effects_.empty());
  ASSERT(op.op == this->op() + 1);
  for (const Effect& effect : op.effects) apply(current_, effect);
  log_.push_back(op);
}

void TreeModel::apply(Trees& trees, const Effect& effect) {
  ModelMap& map = trees[static_cast<u32>(effect.tree)];
  if (effect.removed) {
    map.erase(effect.key);
  } else {
    map[effect.key] = effect.value;
  }
}

void TreeModel::change(const Effect& effect) {
  replaced_.push_back({.tree = effect.tree, .key = effect.key, .value = get(effect.tree, effect.key)});
  effects_.push_back(effect);
  ++batch_used_[static_cast<u32>(effect.tree)];
  apply(current_, effect);
}

// Newest first, so that a key changed twice ends with the value it had before both.
void TreeModel::undo_to(std::size_t count) {
  while (effects_.size() > count) {
    const Replaced& replaced = replaced_.back();
    ModelMap& map = current_[static_cast<u32>(replaced.tree)];
    if (replaced.value) {
      map[replaced.key] = *replaced.value;
    } else {
      map.erase(replaced.key);
    }
    --batch_used_[static_cast<u32>(replaced.tree)];
    replaced_.pop_back();
    effects_.pop_back();
  }
}

}  // namespace tonearm::sim
