// A line from which on all that the harness draws comes from another seed.
//
// What lies in the past and is asked for again does not change: the ops so far are replayed as they were
// played, so what reaches the disk by the number of an op (durable_at(), and see variations.h) is drawn from
// the new seed for later ops only. Bytes that nobody has written stay as they are, and so do all settings.
#include "sim/run/player.h"

namespace tonearm::sim {

void Player::line_reseed() {
  if (config_->record_effective) result_.effective.push_back(index_ - 1);
  const u64 last_op = replay_.empty() ? model_.op() : replay_.front().op;
  seed_ = line_.value;
  durability_.push_back({.after_op = last_op, .stream = {"durability", stream_seed(seed_, "durability")}});
  variations_.reseed(seed_, last_op);
  audits_ = Stream("audits", stream_seed(seed_, "audits"));
  setups_ = Stream("prefetch_setup", stream_seed(seed_, "prefetch_setup"));
  scrubs_ = Stream("scrubs", stream_seed(seed_, "scrubs"));
  looks_ = Stream("looks", stream_seed(seed_, "looks"));
  DiskOptions& disk = options_.disk;
  if (disk.seed_poison == 0) disk.seed_poison = stream_seed(disk.seed, "poison");
  disk.seed = seed_;
  disk.seed_latency = 0;
  reconfigure();
  result_.reseed_tick = disk_->now();
}

u64 Player::durable_at(u64 checkpoint_op) const {
  if (checkpoint_op == 0) return 0;
  const u64 delay_max =
      std::min<u64>(options_.durability_delay_ops_max, options_.format.checkpoint_interval - 1);
  auto drawn = durability_.end() - 1;
  while (drawn != durability_.begin() && drawn->after_op >= checkpoint_op) --drawn;
  return checkpoint_op + options_.format.beats + below(drawn->stream.at(checkpoint_op), delay_max + 1);
}

}  // namespace tonearm::sim
