#include "sim/model/model.h"

#include "base/assert.h"

namespace tonearm::sim {

void Model::reset(u32 beats) {
  ASSERT(beats > 0);
  *this = Model();
  beats_ = beats;
}

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
  scope_ = {.effects = effects_.size(), .changes = changes_.size()};
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
  log_.push_back({.op = op,
                  .line = line,
                  .repeat = repeat,
                  .effects = std::exchange(effects_, {}),
                  .changes = std::exchange(changes_, {})});
  changes_.reserve(log_.back().changes.size());  // One op is like another.
  op_ends(op);
}

void Model::op_ends(u64 op) {
  batch_used_ = {};
  forget_prefetched();
  if (op % beats_ != beats_ - 1) return;
  for (KeyCounts& changed : changed_) changed.clear();
}

void Model::forget_op() {
  undo_to({});
  scope_.reset();
  forget_prefetched();
}

void Model::forget_prefetched() {
  for (Prefetched& prefetched : prefetched_) {
    prefetched.forget();
    prefetched.before = 0;
  }
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
  for (KeyCounts& changed : changed_) changed.clear();  // A bar begins behind every checkpoint.
  return lost;
}

void Model::replay(LoggedOp op) {
  ASSERT(effects_.empty());
  ASSERT(rewound_ == 0);
  ASSERT(op.op == this->op() + 1);
  ASSERT(changes_.empty());
  apply_all(op.effects, op.changes);
  for (const ObjectChange& change : op.changes) changed_[static_cast<u32>(change.groove)].add(change.key());
  op_ends(op.op);
  log_.push_back(std::move(op));
}

// Newest first, so that a key changed twice ends with the value it had before both. The changes of the
// running op, if there are any, are undone with it.
void Model::rewind(u64 op) {
  ASSERT(rewound_ == 0);
  undo_all(effects_, changes_);
  for (auto logged = log_.rbegin(); logged != log_.rend() && logged->op > op; ++logged) {
    undo_all(logged->effects, logged->changes);
    ++rewound_;
  }
}

void Model::restore() {
  for (; rewound_ > 0; --rewound_) {
    LoggedOp& logged = log_[log_.size() - rewound_];
    apply_all(logged.effects, logged.changes);
  }
  apply_all(effects_, changes_);
}

void Model::apply_all(std::vector<Effect>& effects, const std::vector<ObjectChange>& changes) {
  for (Effect& effect : effects) apply(effect);
  for (const ObjectChange& change : changes) {
    grooves_.apply(change.groove, change.before, change.after, trees_);
  }
}

void Model::undo_all(const std::vector<Effect>& effects, const std::vector<ObjectChange>& changes) {
  for (auto effect = effects.rbegin(); effect != effects.rend(); ++effect) undo(*effect);
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    grooves_.apply(change->groove, change->after, change->before, trees_);
  }
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
  map.set_payload(place, effect.value);
}

void Model::undo(const Effect& effect) {
  ModelMap& map = trees_[static_cast<u32>(effect.tree)];
  if (!effect.before) {
    map.erase(effect.key);
    return;
  }
  const auto [place, inserted] = map.try_emplace(effect.key, *effect.before);
  if (!inserted) map.set_payload(place, *effect.before);
}

void Model::undo_to(const Marker& marker) {
  for (; effects_.size() > marker.effects; effects_.pop_back()) {
    undo(effects_.back());
    --batch_used_[static_cast<u32>(effects_.back().tree)];
  }
  for (; changes_.size() > marker.changes; changes_.pop_back()) {
    const ObjectChange& change = changes_.back();
    const u32 groove = static_cast<u32>(change.groove);
    grooves_.apply(change.groove, change.after, change.before, trees_);
    --batch_used_[static_cast<u32>(groove_spec(change.groove).objects)];
    changed_[groove].subtract(change.key());
  }
}

// --- grooves

bool Model::prefetch(GrooveName groove, Asked asked, u128 key, u32 keys_max) {
  ASSERT(!scope_active());
  Prefetched& prefetched = prefetched_[static_cast<u32>(groove)];
  KeyCounts& keys = prefetched.of(asked);
  if (keys.of(key) > 0) return true;
  if (prefetched.known() + prefetched.before >= keys_max) return false;
  keys.add(key);
  return true;
}

void Model::prefetch_setup() {
  ASSERT(!scope_active());
  for (Prefetched& prefetched : prefetched_) {
    prefetched.before += prefetched.known();
    prefetched.forget();
  }
}

bool Model::known(GrooveName groove, Asked asked, u128 key) const {
  const Prefetched& prefetched = prefetched_[static_cast<u32>(groove)];
  if (asked == Asked::exists) return prefetched.exists.of(key) > 0;
  return prefetched.keys.of(key) > 0 || changed_[static_cast<u32>(groove)].of(key) > 0;
}

void Model::change(const ObjectChange& change) {
  ASSERT(!(change.before == change.after));
  grooves_.apply(change.groove, change.before, change.after, trees_);
  ++batch_used_[static_cast<u32>(groove_spec(change.groove).objects)];
  changed_[static_cast<u32>(change.groove)].add(change.key());
  changes_.push_back(change);
}

// Of a key under which nothing is.
Side Model::plan_insert(const Operation& line, ChangeVerdict* verdict) const {
  const GrooveName groove = line.groove();
  const Object object = inserted_object(line);
  *verdict = ChangeVerdict::applies;
  if (groove_spec(groove).has_id && (object.id == 0 || object.id == u128_max)) {
    *verdict = ChangeVerdict::id_invalid;
  } else if (object.timestamp == 0 || object.timestamp > timestamp_max) {
    *verdict = ChangeVerdict::timestamp_invalid;
  } else if (exists(groove, object.timestamp)) {
    *verdict = ChangeVerdict::skipped;  // Another object has it.
  }
  return {.presence = Presence::object, .object = object};
}

ChangePlan Model::plan(const Operation& line, u32 changes_max) const {
  ASSERT(line.of_groove());
  const GrooveName groove = line.groove();
  const u128 key = object_key(line);
  ChangePlan plan{.verdict = ChangeVerdict::skipped,
                  .change = {.groove = groove, .before = get_object(groove, key), .after = {}}};
  const Side& before = plan.change.before;
  const bool found = before.presence == Presence::object;
  const bool absent = before.presence == Presence::absent;
  Side& after = plan.change.after;
  const OperationKind kind = line.kind;
  if (kind == OperationKind::remove) {
    if (found) plan.verdict = ChangeVerdict::applies;
  } else if (kind == OperationKind::orphan) {
    const bool valid = key != 0 && key != u128_max;
    after = {.presence = Presence::orphan, .object = {.id = key}};
    if (absent && !scope_active()) plan.verdict = valid ? ChangeVerdict::applies : ChangeVerdict::id_invalid;
  } else if (absent && (kind == OperationKind::insert || kind == OperationKind::upsert)) {
    after = plan_insert(line, &plan.verdict);
  } else if (found && (kind == OperationKind::update || kind == OperationKind::upsert)) {
    after = {.presence = Presence::object, .object = changed_object(line, before.object)};
    plan.verdict = ChangeVerdict::applies;
    if (after == before) {
      plan.verdict = kind == OperationKind::upsert ? ChangeVerdict::unchanged : ChangeVerdict::skipped;
    }
  }
  const u32 used = batch_used(groove_spec(groove).objects);
  if (plan.verdict == ChangeVerdict::applies && used >= changes_max) plan.verdict = ChangeVerdict::batch_full;
  if (plan.verdict == ChangeVerdict::applies) grooves_.fetch(groove, before, after, trees_);
  return plan;
}

}  // namespace tonearm::sim
