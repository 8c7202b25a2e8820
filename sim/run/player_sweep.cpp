// A sweep: before each step of the run a crash, judged by recoveries beside it. The run itself notices
// nothing: its disk, its caches, its trace and its digest are those of a run that is not swept.
#include <fmt/format.h>

#include <utility>

#include "sim/run/player.h"
#include "sim/run/sweeper.h"

namespace tonearm::sim {

void Player::sweep_begin() {
  if (config_->sweep == nullptr) return;
  sweep_ = std::make_unique<SweepWatch>(
      Sweeper::Source{.config = config_,
                      .world = &world_,
                      .shape = shape_,
                      .options = &options_,
                      .memory = memory_,
                      .model = &model_,
                      .durable_at = [this](u64 checkpoint) { return durable_at(checkpoint); }},
      options_.disk.tear_unit);
  disk_->set_observer(sweep_.get());
}

void Player::sweep_count_from(u64 line) {
  if (!sweep_) return;
  sweep_->index = line;
  sweep_->from = disk_->steps();
}

// What recoveries read there may come in another order: the latencies are others.
void Player::sweep_end_begins() {
  if (!sweep_) return;
  sweep_count_from(config_->source->count());
  sweep_->tracker.forget();
}

void Player::sweep_step() {
  SweepPoint& point = config_->sweep->points[0];
  point.index = sweep_->index;
  point.at_end = ended_;
  point.at = disk_->steps() - sweep_->from;
  point.armed_count = 0;
  for (const Operation& crash : crashes_) {
    if (point.armed_count < point.armed.size()) point.armed[point.armed_count++] = crash.id;
  }
  const bool muted = std::exchange(muted_, true);
  try {
    sweep_->sweeper.judge(*disk_, sweep_->tracker,
                          {.formatted = formatted_,
                           .verified = model_.checkpoint_op(),
                           .pending = superblock_submitted_ ? pending_op_ : 0},
                          0, nullptr);
  } catch (RunFailed& failed) {
    failed.failure.op = line_.id;
    failed.failure.has_op = true;
    throw;
  }
  muted_ = muted;
  if (config_->sweep->stop) throw RunFailed{};  // In nothing: the run is over here.
}

void Player::sweep_verified(u64 op) {
  if (!sweep_ || sweep_->sweeper.same_checkpoint(op, host_->forest().checkpoint_id())) return;
  fail(FailureClass::crash_legal, "replay: another checkpoint",
       fmt::format("checkpoint {} differs from what a replay of its ops has written", op));
}

void Player::sweep_end() {
  if (sweep_ && disk_) disk_->set_observer(nullptr);
  sweep_.reset();
}

std::string Player::sweep_story() const { return sweep_ ? sweep_->sweeper.story() : std::string(); }

// A replay must decide as the run has: what is asked about ops reaches the disk.
u64 Player::ask_variation(Variation site, u64 a, u64 b) {
  const SimStorage* const swept = sweep_ ? sweep_->sweeper.disk() : nullptr;
  if (swept != nullptr) return variations_.ask(site, a, b, swept->attribution(), sweep_->sweeper.op());
  if (muted_ || !disk_) return 0;
  return variations_.ask(site, a, b, disk_->attribution(), host_ ? host_->forest().op() : 0);
}

}  // namespace tonearm::sim
