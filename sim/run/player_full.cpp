// A disk that is full. Only a reservation can find that out, before anything was done for it, so nothing is
// lost: opened again with the same blocks the engine must find it at the same op or checkpoint, and with more
// it must go on. A run may end full, if it has no more to give.
#include <fmt/format.h>

#include <algorithm>

#include "base/math.h"
#include "sim/run/player.h"
#include "sim/workload/geometry.h"

namespace tonearm::sim {

u64 Player::blocks_given() const {
  const u64 all = options_.runtime.blocks_count;
  if (options_.full_blocks == 0) return all;
  u64 given = std::max<u64>(64, round_up(options_.full_blocks, 64));
  // In small steps: what goes wrong on a full disk shows while it is nearly full.
  for (u32 i = 0; i < full_growths_ && given < all; ++i) given += round_up(div_ceil(given, 8), 64);
  return std::min(all, given);
}

// No reservation is for more than all that there is, written once more: what lies on the disk, and what the
// memory tables make; nor for more than the merges of a half-bar, the manifest log or the trailers may want.
// Empty: that might not have fitted, or nobody can say.
std::string Player::why_room(bool checkpoint) {
  const FormatOptions& format = options_.format;
  const u64 taken = acquired_known_ + host_->blocks_written() - written_known_;
  // Of each tree a block a value at worst, and the index blocks.
  const u64 of_memory = u64{world_.count} * 2 * (u64{format.batch_values_max} * format.beats + 1);
  const u64 of_merges = std::min(taken + of_memory, merged_blocks_max(format, world_));
  const u64 entries = u64{world_.count} * div_ceil(format.levels, 2) * 2 * (1 + format.growth);
  const u64 appended = div_ceil(entries, body_bytes(format) / manifest_entry_bytes);
  const u64 of_log = 2 * appended + format.manifest_extra_blocks;
  const u64 of_trailers = 2 * (2 + blocks_given() / 4 / body_bytes(format));  // At worst two bits a block.
  const u64 wanted_max = checkpoint ? of_trailers : of_merges + of_log;
  const bool known = config_->oracles.has(Oracle::structure) || config_->oracles.has(Oracle::protect);
  if (!known || wanted_max >= blocks_given()) {
    ++result_.counters.full_unjudged;
    return {};
  }
  if (taken + wanted_max >= blocks_given()) return {};
  return fmt::format("of {} blocks {} are taken, and it cannot want more than {}", blocks_given(), taken,
                     wanted_max);
}

void Player::ran_full(const Error& error, FullAt at) {
  const char* const what = at.checkpoint ? "a checkpoint" : "an op";
  const Error first = error;  // It is the engine's own.
  ++result_.counters.disk_full;
  ++result_.counters.checks;
  if (const std::string why = why_room(at.checkpoint); !why.empty()) alarm(first, what, why);
  const bool again = full_ == at;
  if (full_ && !again && config_->oracles.has(Oracle::legal)) {
    fail(FailureClass::crash_legal, "a full disk is full elsewhere",
         fmt::format("the disk was full at {}; opened again at {}", full_->text(), at.text()));
  }
  bool ends = false;
  full_ = at;
  if (again) {
    full_.reset();
    ends = blocks_given() == options_.runtime.blocks_count;
    if (!ends) ++full_growths_;
  }
  check_sticky(first, what, true);  // A crash may strike here, where all of the above has happened.
  if (ends) {
    ++result_.counters.ended_full;
    throw RunFailed{};
  }
  throw Recover{.line = line_.id, .strike = false};
}

// Where the disk was full, opened again with as many blocks.
void Player::had_room(FullAt at) {
  if (full_ != at) return;
  full_.reset();
  if (!config_->oracles.has(Oracle::legal)) return;
  fail(FailureClass::crash_legal, "a full disk has room when it is opened again",
       fmt::format("the disk was full at {}; opened again with the same blocks it was not", at.text()));
}

}  // namespace tonearm::sim
