#include "sim/run/sweeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/run/recovery.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

// Of a state with too many outcomes, so many are drawn instead of the rest.
constexpr u64 samples_per_state = 1000;

}  // namespace

void StepTracker::read(u64 begin, u64 end) {
  if (end / unit_size_ > read_.size()) read_.resize(end / unit_size_);
  for (u64 unit = begin / unit_size_; unit < end / unit_size_; ++unit) read_[unit] = true;
}

void StepTracker::changed(u64 begin, u64 end) {
  bool& to = begin < superblock_zone_size ? superblock_changed_ : grid_changed_;
  for (u64 unit = begin / unit_size_; unit < end / unit_size_ && unit < read_.size() && !to; ++unit) {
    to = read_[unit];
  }
}

bool StepTracker::enter(const Legal& legal, u64 op) {
  if (grid_changed_ || op != op_) {
    read_.clear();
    classes_.clear();
  } else if (!superblock_changed_ && legal == legal_) {
    return false;
  }
  superblock_changed_ = grid_changed_ = false;
  legal_ = legal;
  op_ = op;
  return true;
}

void Sweeper::judge(SimStorage& disk, StepTracker& tracker, const Legal& legal, u32 level,
                    const Recovery* outer) {
  if (sweep_->stop) return;
  SweepCounters& counters = this->counters(level);
  ++counters.steps;
  const bool known = !tracker.enter(legal, source_.model->op());
  if (known && !sweep_->options.every_step) return;
  if (known) tracker.forget_classes();
  if (level == 0) second_outcomes_ = 0;
  if (level > 0 && second_outcomes_ >= sweep_->options.second_outcomes_max) {
    ++sweep_->second_cut;
    return;
  }
  if (!known) ++counters.states;
  CrashState state(disk);
  if (outer != nullptr) outer->decisions().carry_into(&state);
  state.index();
  counters.undecided_max = std::max<u64>(counters.undecided_max, state.writes().size());
  const u64 outcomes = judge_outcomes(state, tracker, legal, level);
  ASSERT(!known || outcomes == tracker.outcomes || sweep_->stop);
  tracker.outcomes = outcomes;
}

u64 Sweeper::judge_outcomes(const CrashState& state, StepTracker& tracker, const Legal& legal, u32 level) {
  SweepCounters& counters = this->counters(level);
  const SimStorage* const disk_before = disk_;
  DecisionPath path;
  u64 count = 0;
  u64 samples = 0;
  u64 outcomes = 0;
  do {
    path.begin();
    {
      Recovery recovery(*this, state, path, tracker, legal, level, false);
      outcomes += recovery.judge();
    }
    ++counters.outcomes;
    if (level > 0) ++second_outcomes_;
    if (sweep_->stop) break;
    if (++count < sweep_->options.outcomes_max) continue;
    if (samples == 0) ++counters.sampled;
    path.sample(hash_of(state.durable().poison_seed() + counters.outcomes));
    if (++samples > samples_per_state) break;
  } while (samples > 0 || path.next());
  disk_ = disk_before;
  sweep_->depth = level;
  return outcomes;
}

bool Sweeper::same_checkpoint(u64 op, u128 id) {
  return checkpoints_.try_emplace(op, id).first->second == id;
}

u64 Sweeper::op() const { return active_.empty() ? 0 : active_.back()->op(); }

std::string Sweeper::story() const {
  std::string text;
  for (const Recovery* recovery : active_) {
    const SweepPoint& point = sweep_->points[recovery->level()];
    text += recovery->level() == 0 ? fmt::format("crashed before step {} of that line", point.at)
                                   : fmt::format("crashed again before step {} of the recovery", point.at);
    if (recovery->mirror_alone()) text += ", with nothing on the first side of the grid that can be read";
    text += ", and of what was not durable it read:\n" + recovery->decisions().text();
  }
  return text;
}

}  // namespace tonearm::sim
