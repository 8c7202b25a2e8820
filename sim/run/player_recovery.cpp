#include <fmt/format.h>

#include <algorithm>

#include "sim/run/checkpoint_due.h"
#include "sim/run/player.h"

namespace tonearm::sim {

namespace {

// The disk must end a run by itself: a sync that fails in every recovery would go on for ever. Crash lines
// are not counted: each strikes once, and a file may have any number of them.
constexpr u32 recoveries_max = 1000;
// So many recoveries meet new faults, where an engine that is out is opened again at once.
constexpr u32 recoveries_faulty = 8;

}  // namespace

void Player::make_host() {
  if (deliveries_) deliveries_->clear();
  if (scrubbed_) scrubbed_->clear();
  repairs_seen_ = 0;
  turned_ = 0;
  turned_last_.clear();
  written_known_ = 0;
  RunOptions given = options_;
  given.runtime.blocks_count = blocks_given();
  if (options_.scrub != 0 || mirrored()) {
    watch_.emplace(options_.runtime.read_attempts_max, mirrored(),
                   disk_->fault_count(FaultKind::failed_sync));
  }
  host_.emplace(world_, *disk_, given, memory_->engine, *this, config_->poison, config_->seam);
}

void Player::format_and_open() {
  make_host();
  disk_->set_attribution({.op = {.number = 0}, .context = 0});
  disk_->begin_deliveries();
  const Error error = host_->format();
  judge_verified(error, "format");
  if (error) go_down("format");
  formatted_ = true;
  open_engine({.line = {}, .strike = false});
}

// --- ops

void Player::commit_op(u64 op) {
  ++result_.counters.commits;
  ++commits_since_full_;
  if (const Error error = host_->compact(op)) {
    if (error.kind == ErrorKind::manifest_full && last_level_full(op)) {
      ++result_.counters.ended_full;
      check_sticky(error, "an op", true);
      verify_end();
      throw RunFailed{};
    }
    if (error.kind == ErrorKind::storage_full) ran_full(error, {.op = op, .checkpoint = false});
    judge_error(error, "compact");
    go_sticky(error, "an op");
  }
  had_room({.op = op, .checkpoint = false});
  after_compact(op);
  if (model_.op() == op) compare_key_ranges();
}

void Player::after_compact(u64 op) {
  // The replay of what a checkpoint holds in part does not compact.
  const bool compacts = op > model_.checkpoint_op() + options_.format.beats || model_.checkpoint_op() == 0;
  if (compacts && config_->oracles.has(Oracle::legal)) {
    ++result_.counters.checks;
    if (!states_.agree(host_->forest(), op)) {
      fail(FailureClass::crash_legal, "a replayed op leaves other tables",
           fmt::format("op {} leaves other tables or blocks than when it was played before", op));
    }
  }
  if (const std::string text = due_otherwise(host_->forest(), options_.format, op); !text.empty())
    fail(FailureClass::oracle, "checkpoint: due otherwise", text);
  if (host_->forest().checkpoint_due(op)) take_checkpoint(op);
  if (!host_->forest().checkpoint_durable() && op >= durable_at_) host_->mark_checkpoint_durable();
  scrub(op);
}

void Player::take_checkpoint(u64 op) {
  // One that failed may have left copies of its superblock: it is taken again at the same op.
  const u64 taken = op - options_.format.beats;
  if (pending_op_ != taken) superblock_submitted_ = false;
  pending_op_ = taken;
  const bool submitted_before = std::exchange(superblock_submitted_, false);
  const u64 faults_before = disk_->fault_count(FaultKind::failed_sync);
  begin_call();
  if (const Error error = host_->checkpoint()) {
    const bool injected = disk_->fault_count(FaultKind::failed_sync) > faults_before;
    if (error.kind == ErrorKind::sync_failed) {
      if (!injected) alarm(error, "checkpoint", "no sync has failed");
    } else if (error.kind == ErrorKind::storage_full) {
      ran_full(error, {.op = op, .checkpoint = true});
    } else {
      judge_verified(error, "checkpoint");
    }
    // The error is true.
    if (injected && superblock_submitted_ && config_->oracles.has(Oracle::legal)) {
      fail(FailureClass::crash_legal, "superblock written after a failed sync",
           fmt::format("the sync of checkpoint {} failed, and its superblock was written all the same",
                       pending_op_));
    }
    superblock_submitted_ |= submitted_before;
    ++result_.counters.checkpoints_failed;
    if (host_->forest().checkpoint_op() != model_.checkpoint_op() && config_->oracles.has(Oracle::legal)) {
      fail(FailureClass::crash_legal, "a checkpoint that failed counts",
           fmt::format("the checkpoint of op {} failed, and the engine says that its checkpoint is of op {}, "
                       "not {}",
                       pending_op_, host_->forest().checkpoint_op(), model_.checkpoint_op()));
    }
    go_sticky(error, "a checkpoint");
  }
  judge_verified({}, "checkpoint");
  had_room({.op = op, .checkpoint = true});
  if (disk_->fault_count(FaultKind::failed_sync) > faults_before && config_->oracles.has(Oracle::legal)) {
    fail(FailureClass::crash_legal, "checkpoint advanced after a failed sync",
         fmt::format("a sync of checkpoint {} failed, and the checkpoint says it succeeded", pending_op_));
  }
  const u64 verified = pending_op_;
  pending_op_ = 0;
  superblock_submitted_ = false;
  if (host_->forest().checkpoint_op() != verified) {
    fail(FailureClass::crash_legal, "checkpoint of another op",
         fmt::format("checkpoint at op {} says it holds ops up to {}", op, host_->forest().checkpoint_op()));
  }
  ++result_.counters.checkpoints;
  durable_at_ = durable_at(verified);
  checkpoint_verified(verified);
  check_checkpoint(verified);
}

// An engine that failed refuses everything but queries, with the same error, until it is opened again, and
// leaves the disk as it is.
void Player::check_sticky(const Error& error, const char* what, bool audit) {
  const auto same = [](const Error& a, const Error& b) {
    return a.kind == b.kind && a.address == b.address && a.checksum == b.checksum &&
           std::string_view(a.reason) == b.reason;
  };
  const Error first = error;  // It may be the engine's own.
  const u64 written = host_->blocks_written();
  const u64 op = host_->forest().op();
  const char* went_on = nullptr;
  if (world_.groove_count > 0 && audit) check_bar_goes_on(std::string_view(what) != "an op");
  if (world_.groove_count > 0) check_refused(first);
  if (world_.groove_count > 0 && audit) audit_after_error();
  for (u32 i = 0; world_.groove_count == 0 && i < world_.count; ++i) {
    const TreeName tree = world_.tree(i);
    const Key key = tree_range(tree).min;
    if (host_->put(tree, key, 1) != PutResult::failed) went_on = "a put";
    if (host_->remove(tree, key) != PutResult::failed) went_on = "a remove";
  }
  if (host_->scope_open()) went_on = "a scope";
  if (!same(host_->compact(op + 1), first) || host_->forest().op() != op) went_on = "an op";
  if (host_->blocks_written() != written) went_on = "a write";
  if (!config_->oracles.has(Oracle::legal)) return;
  ++result_.counters.checks;
  if (went_on == nullptr) return;
  fail(FailureClass::crash_legal, fmt::format("went on after an error: {}", went_on),
       fmt::format("{} ended in {}, and {} was not refused with the same error", what, error_name(first.kind),
                   went_on));
}

void Player::checkpoint_verified(u64 op) {
  model_.checkpoint_verified(op);
  states_.forget(op);
  sweep_verified(op);
  if (config_->record_checkpoints) {
    result_.checkpoints.push_back({.op = op, .id = host_->forest().checkpoint_id()});
  }
  trace_.record(disk_->now(), EventKind::decision, op, static_cast<u64>(host_->forest().checkpoint_id()), 1);
}

// --- crashes

void Player::arm_next_crash() {
  if (crashes_.empty()) return;
  strike_awaits_superblock_ = crashes_.front().superblock;
  strike_step_ = strike_awaits_superblock_ ? u64_max : disk_->steps() + crashes_.front().count;
}

// A superblock copy was submitted.
void Player::superblock_written() {
  superblock_submitted_ = true;
  if (crashes_.empty() || !strike_awaits_superblock_) return;
  strike_awaits_superblock_ = false;
  strike_step_ = disk_->steps() + crashes_.front().count;
}

void Player::recover_until_open(const Recover& cause) {
  Recover next = cause;
  u32 unasked = 0;
  for (recovery_attempt_ = 0; unasked < recoveries_max; ++recovery_attempt_) {
    try {
      recover(next);
      return;
    } catch (const Recover& again) {
      next = again;
      if (again.strike) ++result_.counters.crashes_in_recovery;
      if (!again.strike) ++unasked;
    } catch (const WentOut&) {
      ++unasked;
      if (heal_lines() > 0) return;
      next = {.line = line_.id, .strike = false, .heal = true};
      faults_paused_ = recovery_attempt_ >= recoveries_faulty;
    }
  }
  fail(FailureClass::sim, "recovery without end", "the run was recovered 1000 times in a row");
}

// What happens in a recovery belongs to the pair (crash line, replayed operation), so that a replayed
// commit does not meet the same faults again; and a recovery of that recovery meets others still.
Attribution Player::recovering(OpId op, OpId line) const {
  Attribution attribution = attribution_of(op, line);
  if (recovery_attempt_ > 0) attribution.context = hash_of(attribution.context + recovery_attempt_);
  return attribution;
}

void Player::recover(const Recover& cause) {
  if (cause.strike) ++result_.counters.crashes;
  BoundedArray<CrashWrite, 16> writes;
  if (cause.strike) {
    ASSERT(!crashes_.empty());
    writes = crashes_.front().writes;
    crashes_.pop_front();
  }
  drop_engine({.op = cause.line, .context = recovery_attempt_}, {writes.begin(), writes.count()},
              cause.strike);
  if (cause.strike && config_->record_faults) {
    result_.crashed.push_back({.line = cause.line, .writes = disk_->last_crash()});
  }
  if (cause.heal) {
    ++heals_;
    heal();
  }
  // A crash line that follows at once is meant for this recovery.
  if (crashes_.empty() && index_ < config_->source->count()) {
    Operation next;
    config_->source->at(index_, &next);
    if (next.kind == OperationKind::crash && !next.at_end) {
      ++index_;
      ++result_.counters.ops;
      crashes_.push_back(next);
      trace_.record(disk_->now(), EventKind::operation, next.id.number, next.id.child, next.count);
    }
  }
  arm_next_crash();
  if (!ended_ || cause.strike) sweep_count_from(index_);
  open_engine(cause);
  replay(cause);
}

void Player::drop_engine(const Attribution& attribution, std::span<const CrashWrite> writes, bool strike) {
  disk_->protect({});
  scrub_end();
  check_repairs();
  note_half_repaired();
  if (host_) {
    blocks_read_before_ += host_->blocks_read();
    blocks_written_before_ += host_->blocks_written();
    bounds_checked_before_ += host_->bounds_checked();
  }
  disk_->crash(attribution, writes, strike);
  host_.reset();
  queries_crashed();
  forget_open_queries();
  forget_scans();
  standing_ = Standing::down;
  lines_out_ = 0;
  reconfigure();
  effective_op_.clear();
  directed_.clear();
}

void Player::open_engine(const Recover& cause) {
  if (!host_) make_host();
  disk_->set_attribution(recovering(cause.line, cause.line));
  begin_open();
  Error error = host_->open();
  judge_open(error);
  judge_open_repairs();
  if (error && !formatted_) {
    // A crash in format: nothing was promised yet, and format works again.
    const Attribution crash{.op = cause.line, .context = 1};
    drop_engine(crash, {});
    make_host();
    disk_->set_attribution(recovering(cause.line, cause.line));
    disk_->begin_deliveries();
    const Error again = host_->format();
    judge_verified(again, "format");
    if (again) go_down("format");
    begin_open();
    error = host_->open();
    judge_open(error);
    judge_open_repairs();
  }
  if (error && faulty_) judge_lost(error);
  if (error) go_down("open");
  formatted_ = true;
  standing_ = Standing::up;
  losses_at_open_ = legal_losses();
  judge_opened();
  audit_opened();
  if (host_->forest().checkpoint_op() != 0) scrub_begin(host_->forest().checkpoint_op());
}

// The superblock must hold the last verified checkpoint, or the one whose superblock writes had begun.
void Player::judge_opened() {
  const u64 opened = host_->forest().checkpoint_op();
  const u64 verified = model_.checkpoint_op();
  const bool next = opened != verified;
  if (faulty_ && (opened < verified || later_lies(opened))) judge_older(opened);
  const bool legal = !next || (pending_op_ != 0 && superblock_submitted_ && opened == pending_op_);
  if (!legal && config_->oracles.has(Oracle::legal)) {
    fail(FailureClass::crash_legal,
         opened < verified ? "opened an older checkpoint" : "opened a checkpoint never taken",
         fmt::format("after a crash the engine opened checkpoint {}; verified was {}, in progress {}", opened,
                     verified, superblock_submitted_ ? pending_op_ : 0));
  }
  if (opened < verified || (next && opened != pending_op_)) give_up();
  // What copies of a later superblock there are may be found by a later open, when the disk is healed.
  if (next || !faulty_) {
    pending_op_ = 0;
    superblock_submitted_ = false;
  }
  durable_at_ = durable_at(opened);
  if (opened == 0) {
    host_->mark_checkpoint_durable();
    acquired_known_ = 0;
  }
  if (next) {
    // Then a part of what it holds is still to be replayed.
    if (model_.op() < opened) model_.forget_op();
    for (; model_.op() < opened; replay_.pop_back()) {
      ASSERT(!replay_.empty());
      model_.replay(std::move(replay_.back()));
    }
    checkpoint_verified(opened);
  }
  if (opened != 0)
    check_structure(opened, true, predicted_ ? predicted_->image : whole(disk_->truth_durable()));
  const bool known = decoded_.outcome == DecodeOutcome::ok && decoded_.op == opened && opened != 0;
  if (known && config_->oracles.has(Oracle::audit)) {
    ++result_.counters.checks;
    if (const std::string text = KeyRanges::opened(*host_, world_, decoded_); !text.empty())
      fail(FailureClass::oracle, "key range: not what the tables span", text);
  }
  std::vector<LoggedOp> lost = model_.crash_to(opened);
  // Oldest first in `lost`, then what an earlier recovery had not replayed yet.
  std::reverse(lost.begin(), lost.end());
  replay_.insert(replay_.end(), std::make_move_iterator(lost.begin()), std::make_move_iterator(lost.end()));
}

// As a write-ahead log would: the effects only, each op with its compaction.
void Player::replay(const Recover& cause) {
  while (!replay_.empty()) {
    const LoggedOp& op = replay_.back();  // It stays there until it is applied: a crash may strike before.
    if (op.op != host_->forest().op() + 1) {
      fail(FailureClass::crash_legal, "replay does not follow the checkpoint",
           fmt::format("op {} is to be replayed after op {}", op.op, host_->forest().op()));
    }
    disk_->set_attribution(recovering(op.line, cause.line));
    for (const Effect& effect : op.effects) {
      const Key key = engine_key(effect.tree, effect.key);
      const PutResult result =
          effect.removed ? host_->remove(effect.tree, key) : host_->put(effect.tree, key, effect.value);
      if (result != PutResult::ok)
        fail(FailureClass::oracle, "replay: batch_full", "a replayed op does not fit");
    }
    replay_changes(op.changes);
    const u64 number = op.op;
    model_.replay(std::move(replay_.back()));
    replay_.pop_back();
    ++result_.counters.replayed_ops;
    commit_op(number);
  }
}

}  // namespace tonearm::sim
