#include "sim/model/model.h"

#include "base/assert.h"

namespace tonearm::sim {

void Model::reset() { *this = Model(); }

void Model::put(TreeName tree, const ModelKey& key, u64 value) {
  effects_.push_back({.tree = tree, .removed = false, .key = key, .value = value});
  apply(effects_.back());
  ++batch_used_[static_cast<u32>(tree)];
}

void Model::remove(TreeName tree, const ModelKey& key) {
  effects_.push_back({.tree = tree, .removed = true, .key = key, .value = 0});
  apply(effects_.back());
  ++batch_used_[static_cast<u32>(tree)];
}

u32 Model::batch_used(TreeName tree) const { return batch_used_[static_cast<u32>(tree)]; }

void Model::scope_open() {
  ASSERT(!scope_active());
  scope_ = effects_.size();
}

void Model::scope_close(bool persist) {
  ASSERT(scope_active());
  if (!persist) undo_to(*scope_);
  scope_.reset();
}

bool Model::scope_active() const { return scope_.has_value(); }

void Model::commit(u64 op, OpId line, u32 repeat) {
  ASSERT(!scope_active());
  ASSERT(op == this->op() + 1);
  log_.push_back({.op = op, .line = line, .repeat = repeat, .effects = effects_});
  effects_.clear();
  batch_used_ = {};
}

void Model::forget_op() {
  undo_to(0);
  scope_.reset();
}

std::optional<u64> Model::get(TreeName tree, const ModelKey& key) const {
  const ModelMap& map = this->tree(tree);
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

u64 Model::size() const {
  u64 size = 0;
  for (const ModelMap& map : trees_) size += map.size();
  return size;
}

void Model::checkpoint_verified(u64 op) {
  ASSERT(op >= checkpoint_op_);
  ASSERT(op <= this->op());
  ASSERT(rewound_ == 0);
  while (!log_.empty() && log_.front().op <= op) log_.pop_front();
  checkpoint_op_ = op;
}

std::vector<LoggedOp> Model::crash_to(u64 op) {
  ASSERT(op >= checkpoint_op_);
  ASSERT(op <= this->op());
  forget_op();
  rewind(op);
  const auto later = log_.end() - static_cast<std::ptrdiff_t>(rewound_);
  std::vector<LoggedOp> lost(std::make_move_iterator(later), std::make_move_iterator(log_.end()));
  log_.erase(later, log_.end());
  rewound_ = 0;
  return lost;
}

void Model::replay(LoggedOp op) {
  ASSERT(effects_.empty());
  ASSERT(rewound_ == 0);
  ASSERT(op.op == this->op() + 1);
  for (Effect& effect : op.effects) apply(effect);
  log_.push_back(std::move(op));
}

// Newest first, so that a key changed twice ends with the value it had before both. The changes of the
// running op, if there are any, are undone with it.
void Model::rewind(u64 op) {
  ASSERT(rewound_ == 0);
  for (auto effect = effects_.rbegin(); effect != effects_.rend(); ++effect) undo(*effect);
  for (auto logged = log_.rbegin(); logged != log_.rend() && logged->op > op; ++logged) {
    for (auto effect = logged->effects.rbegin(); effect != logged->effects.rend(); ++effect) undo(*effect);
    ++rewound_;
  }
}

void Model::restore() {
  for (; rewound_ > 0; --rewound_) {
    for (Effect& effect : log_[log_.size() - rewound_].effects) apply(effect);
  }
  for (Effect& effect : effects_) apply(effect);
}

void Model::apply(Effect& effect) {
  ModelMap& map = trees_[static_cast<u32>(effect.tree)];
  effect.before.reset();
  if (effect.removed) {
    const auto found = map.find(effect.key);
    if (found == map.end()) return;
    effect.before = found->second;
    map.erase(found);
    return;
  }
  const auto [place, inserted] = map.try_emplace(effect.key, effect.value);
  if (inserted) return;
  effect.before = place->second;
  place->second = effect.value;
}

void Model::undo(const Effect& effect) {
  ModelMap& map = trees_[static_cast<u32>(effect.tree)];
  if (effect.before) {
    map[effect.key] = *effect.before;
  } else {
    map.erase(effect.key);
  }
}

void Model::undo_to(std::size_t count) {
  for (; effects_.size() > count; effects_.pop_back()) {
    undo(effects_.back());
    --batch_used_[static_cast<u32>(effects_.back().tree)];
  }
}

}  // namespace tonearm::sim
