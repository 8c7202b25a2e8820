#include "sim/run/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checksum.h"
#include "sim/decode/superblock_copies.h"
#include "sim/model/object.h"
#include "sim/run/checkpoint_due.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

constexpr u32 points_max = 4;  // By key, of each tree: its scans compare all of it.
// What it asks of the disk is attributed to no line.
constexpr u64 crash_line = op_number_max;
constexpr u64 salt_mirror = 1;

DiskOptions disk_options(const RunOptions& options) {
  DiskOptions disk = options.disk;
  disk.faults = {};
  return disk;
}

}  // namespace

Recovery::Recovery(Sweeper& sweeper, const CrashState& state, DecisionPath& path, StepTracker& tracker,
                   const Legal& legal, u32 level, bool second)
    : sweeper_(sweeper),
      source_(sweeper.source()),
      options_(*sweeper.source().options),
      state_(state),
      path_(path),
      tracker_(tracker),
      level_(level),
      legal_(legal),
      before_(legal),
      decisions_(state),
      steps_(tracker),
      second_(second),
      disk_(state.durable(), disk_options(options_), nullptr) {
  for (const u64 sector : state.unreadable()) disk_.settle_unreadable(sector);
  if (damaged()) disk_.expect_lost_writes();
  disk_.set_observer(this);
  sweeper_.active_.push_back(this);
  sweeper_.set_disk(&disk_);
  sweeper_.sweep().depth = level + 1;
  decisions_.publish(&sweeper_.sweep().points[level]);
}

Recovery::~Recovery() {
  disk_.set_observer(nullptr);
  disk_.protect({});
  disk_.crash({});
  if (host_) host_.reset();
  sweeper_.active_.pop_back();
}

bool Recovery::damaged() const { return sweeper_.sweep().options.damage != SweptDamage::none; }

bool Recovery::has(Oracle oracle) const { return source_.config->oracles.has(oracle); }

void Recovery::fail(FailureClass failure_class, std::string site, std::string message) {
  Failure failure;
  failure.failure_class = failure_class;
  failure.site = std::move(site);
  failure.message = std::move(message);
  failure.story = sweeper_.story();
  throw RunFailed{std::move(failure)};
}

void Recovery::stuck(const char* why) {
  fail(FailureClass::liveness, why, fmt::format("{}: in a recovery", why));
}

void Recovery::exceeded(const char* bound, const std::string& message) {
  if (has(Oracle::resource)) fail(FailureClass::resource, bound, message);
}

void Recovery::check_error(const Error& error, const char* where) {
  if (!error) return;
  if (mirror_alone_) {
    fail(FailureClass::crash_legal, fmt::format("{} from the mirror: {}", where, error_name(error.kind)),
         fmt::format("{} ended in {} (address {}, {}): the first side of the grid cannot be read, and the "
                     "mirror does not have what the checkpoint needs",
                     where, error_name(error.kind), error.address, error.reason));
  }
  fail(FailureClass::false_alarm, fmt::format("{}: {}", where, error_name(error.kind)),
       fmt::format("{} ended in {} (address {}, {}), but nothing is damaged", where, error_name(error.kind),
                   error.address, error.reason));
}

// --- what happens on its disk

// Where an earlier outcome has been, the crashes have been judged.
void Recovery::before_step() {
  if (level_ + 1 >= sweeper_.sweep().options.depth || auditing_ || second_ || path_.leads_on()) return;
  sweeper_.sweep().points[level_ + 1].at = disk_.steps();
  sweeper_.judge(disk_, steps_, legal_, level_ + 1, this);
}

void Recovery::before_read(u64 begin, u64 end) {
  const u64 unit_size = state_.unit_size();
  for (u64 at = begin; at < end; at += unit_size) {
    const bool own = at / unit_size < overwritten_.size() && overwritten_[at / unit_size];
    if (!own) tracker_.read(at, at + unit_size);
  }
  if (opening_ && begin >= disk_.grid_offset()) {
    if (requests_ == 0) choices_before_grid_ = path_.choices();
    requests_ = hash_of(requests_ ^ begin) + end;
  }
  const u64 before = decisions_.hash();
  decisions_.read(disk_, path_, begin, end);
  if (decisions_.hash() != before) decisions_.publish(&sweeper_.sweep().points[level_]);
}

void Recovery::write_submitted(u64 begin, u64 end) {
  if (begin < superblock_zone_size && pending_op_ != 0) legal_.pending = pending_op_;
  steps_.changed(begin, end);
}

void Recovery::write_completed(u64 begin, u64 end) {
  const u64 unit_size = state_.unit_size();
  if (end / unit_size > overwritten_.size()) overwritten_.resize(end / unit_size);
  for (u64 unit = begin / unit_size; unit < end / unit_size; ++unit) overwritten_[unit] = true;
  decisions_.overwritten(begin, end);
}

void Recovery::became_durable(u64 begin, u64 end) {
  decisions_.made_durable(begin, end);
  steps_.changed(begin, end);
}

// --- open

u64 Recovery::judge() {
  const Legal legal = legal_;
  SweepCounters& counters = sweeper_.counters(level_);
  open();
  if (decisions_.any_garbage()) ++counters.garbage;
  if (decisions_.any_unreadable()) ++counters.unreadable;
  if (!opened_) return hash_of(decisions_.hash());
  judge_opened();
  const u64 opened = legal_.verified;
  const u64 led_to = outcome_class();
  const u64 outcome = hash_of(decisions_.hash() ^ led_to);
  // Of a class that is known, the decisions that were met behind its open may be still to be walked.
  const bool walked = path_.sampled() || !path_.leads_on();
  if (!tracker_.learn(led_to) && walked) return outcome;
  ++counters.judged;
  judge_image(opened);
  audit(opened, "after open");
  if (!formatted_) {
    DecisionPath path = path_.fixed();
    Recovery again(sweeper_, state_, path, tracker_, legal, level_, true);
    again.open_again(opened, host_->forest().checkpoint_id());
  }
  judge_mirror(opened);
  sweeper_.set_disk(&disk_);
  sweeper_.sweep().depth = level_ + 1;
  decisions_.publish(&sweeper_.sweep().points[level_]);
  replay();
  return outcome;
}

void Recovery::make_host() {
  host_.emplace(*source_.world, disk_, options_, sweeper_.engine_memory(level_, second_), *this,
                source_.config->poison);
}

void Recovery::open() {
  opening_ = true;
  disk_.set_attribution({.op = {.number = crash_line}, .context = level_});
  make_host();
  Error error = host_->open();
  if (error && !legal_.formatted) {
    // A crash in format: nothing was promised yet, and format works again.
    const bool none = error.kind == ErrorKind::not_found || error.kind == ErrorKind::quorum_lost;
    if (!none) check_error(error, "open");
    if (!second_) ++sweeper_.counters(level_).never_opened;
    // Format writes all that it reads, so one of them shows what any does.
    if (!second_ && !tracker_.learn(static_cast<u64>(error.kind))) return;
    make_host();
    formatted_ = true;
    check_error(host_->format(), "format");
    error = host_->open();
  }
  check_error(error, "open");
  opening_ = false;
  opened_ = true;
}

void Recovery::judge_opened() {
  const u64 opened = host_->forest().checkpoint_op();
  const bool next = opened != legal_.verified;
  if (next && (legal_.pending == 0 || opened != legal_.pending)) {
    fail(FailureClass::crash_legal,
         opened < legal_.verified ? "opened an older checkpoint" : "opened a checkpoint never taken",
         fmt::format("after a crash the engine opened checkpoint {}; verified was {}, in progress {}", opened,
                     legal_.verified, legal_.pending));
  }
  if (next) ++sweeper_.counters(level_).next_found;
  legal_ = {.formatted = true, .verified = opened, .pending = 0};
  durable_at_ = source_.durable_at(opened);
  if (opened == 0) host_->mark_checkpoint_durable();
  check_id(opened);
  judge_copies_repaired();
}

// The same on the same disk, after nothing but an open and its repairs.
void Recovery::open_again(u64 op, u128 id) {
  ASSERT(second_);
  open();
  host_.reset();
  disk_.crash({});
  if (damaged()) disk_.expect_lost_writes();
  legal_.formatted = true;
  open();
  if (host_->forest().checkpoint_op() == op && host_->forest().checkpoint_id() == id) return;
  fail(FailureClass::crash_legal, "the second open chooses another checkpoint",
       fmt::format("after a crash the engine opened checkpoint {}, and when it was opened again {}", op,
                   host_->forest().checkpoint_op()));
}

// Where the mirror has to have it all. What is the same in all recoveries that leave the superblock zone like
// this: the first side is not read, so nothing is decided there.
void Recovery::judge_mirror(u64 op) {
  if (!disk_.options().mirror || damaged()) return;
  if (reached_.empty()) return;
  ASSERT(requests_ != 0);
  if (!tracker_.learn(hash_of(hash_of(zone_, op) ^ salt_mirror))) return;
  const u64 outcomes_max = sweeper_.sweep().options.outcomes_max;
  DecisionPath path = path_.beginning(choices_before_grid_);
  u64 count = 0;
  do {
    path.begin();
    Recovery alone(sweeper_, state_, path, tracker_, before_, level_, true);
    alone.open_mirror(*this, op);
    ++sweeper_.counters(level_).mirror_alone;
    if (sweeper_.sweep().stop || path.sampled()) return;
    if (++count < outcomes_max) continue;
    ++sweeper_.counters(level_).sampled;
    return;
  } while (path.next());
}

void Recovery::open_mirror(const Recovery& whole, u64 op) {
  ASSERT(second_);
  ASSERT(!whole.second_);
  mirror_alone_ = true;
  disk_.expect_lost_writes();  // An engine that has not waited for the mirror is to be told by an error.
  for (const u64 address : whole.reached_) {
    const u64 begin = disk_.offset_of(address);
    const u64 end = begin + disk_.options().block_size;
    for (u64 at = begin; at < end; at += state_.sector_size()) disk_.settle_unreadable(at);
    decisions_.overwritten(begin, end);
  }
  open();
  const Forest& forest = host_->forest();
  if (forest.checkpoint_op() != op || forest.checkpoint_id() != whole.host_->forest().checkpoint_id()) {
    fail(FailureClass::crash_legal, "the mirror opens another checkpoint",
         fmt::format("after a crash the engine opened checkpoint {}, and from the mirror {}", op,
                     forest.checkpoint_op()));
  }
  audit(op, "from the mirror");
}

// Bad copies must not outlive an open: each would be one that the next crash need not tear.
void Recovery::judge_copies_repaired() {
  zone_.resize(superblock_zone_size);
  disk_.image().read(0, zone_);
  CopiesAsRead copies;
  for (u32 i = 0; i < copies.size(); ++i) {
    copies[i] = std::span(zone_).subspan(u64{i} * superblock_copy_size, superblock_copy_size);
  }
  const CopiesVerdict verdict = judge_copies(copies, superblock_quorum_verify);
  constexpr u32 all = (1U << superblock_copies) - 1;
  if ((verdict.outcome == DecodeOutcome::ok && verdict.right == all) || !has(Oracle::structure)) return;
  fail(FailureClass::structure, "open leaves bad superblock copies",
       fmt::format("after an open {} of {} superblock copies are right", std::popcount(verdict.right),
                   superblock_copies));
}

u64 Recovery::outcome_class() {
  u64 hash = hash_of(zone_, host_->forest().checkpoint_op());
  hash = hash_of(hash ^ static_cast<u64>(host_->forest().checkpoint_id()));
  return hash_of(hash ^ requests_);
}

// --- what is there

void Recovery::judge_image(u64 op) {
  if (op == 0) return;
  const SweptDamage damage = sweeper_.sweep().options.damage;
  const DecodedImage decoded =
      decode_image(disk_.durable_image(), {.values = false,
                                           .shape = source_.shape,
                                           .memo = &source_.memory->decoded,
                                           .side = damage == SweptDamage::first ? disk_.side_distance() : 0});
  reached_.clear();
  for (const DecodedBlock& block : decoded.blocks) reached_.push_back(block.ref.address);
  std::sort(reached_.begin(), reached_.end());
  if (has(Oracle::protect)) disk_.protect(decoded.protected_words());
  if (!has(Oracle::structure)) return;
  std::vector<std::string> violations = check_image(decoded);
  violations.insert(violations.begin(), decoded.violations.begin(), decoded.violations.end());
  if (decoded.outcome != DecodeOutcome::ok) {
    violations.insert(violations.begin(), decode_outcome_name(decoded.outcome));
  } else if (decoded.op != op) {
    violations.push_back(fmt::format("the durable superblock holds op {}, expected {}", decoded.op, op));
  }
  for (const DamagedBlock& damaged : decoded.damaged) {
    violations.push_back(fmt::format("{} block at {} is damaged: {}", block_use_name(damaged.use),
                                     damaged.ref.address, damaged.reason));
  }
  if (violations.empty()) return judge_sides(decoded);
  std::string site = violations.front();
  std::erase_if(site, [](char c) { return c >= '0' && c <= '9'; });
  fail(FailureClass::structure, site, violations.front());
}

void Recovery::judge_sides(const DecodedImage& decoded) {
  if (!disk_.options().mirror || damaged()) return;
  SidesComparison& sides = sweeper_.sides_;
  const u64 before = sides.compared();
  const DecodedBlock* const unlike =
      sides.first_unlike(disk_.durable_image(), decoded, disk_.side_distance(), {});
  sweeper_.counters(level_).sides_compared += sides.compared() - before;
  if (unlike == nullptr) return;
  fail(FailureClass::structure, fmt::format("the sides of a {} block differ", block_use_name(unlike->use)),
       fmt::format("checkpoint {} reaches {} block {}, and its mirror holds something else", decoded.op,
                   block_use_name(unlike->use), unlike->ref.address));
}

// All of it against the model as of that op.
void Recovery::audit(u64 op, const char* where) {
  Model& model = *source_.model;
  auditing_ = true;
  std::vector<ScanRow> rows;
  Audit audit(*host_, rows);
  model.rewind(op);
  for (u32 i = 0; i < source_.world->count; ++i) {
    const TreeName tree = source_.world->tree(i);
    audit.full(tree, model.tree(tree), op, points_max, false);
  }
  model.restore();
  auditing_ = false;
  const AuditOutcome& outcome = audit.outcome();
  sweeper_.counters(level_).checks += outcome.checks;
  if (outcome.mismatch) {
    fail(FailureClass::crash_legal, fmt::format("{}: {}", where, outcome.mismatch->site),
         outcome.mismatch->message);
  }
  if (outcome.unanswered > 0) check_error(outcome.error, where);
}

// --- the log

void Recovery::replay() {
  const u64 opened = host_->forest().checkpoint_op();
  bool any = false;
  for (const LoggedOp& op : source_.model->log()) {
    if (op.op <= opened) continue;
    any = true;
    disk_.set_attribution(attribution_of(op.line, {.number = crash_line}));
    for (const Effect& effect : op.effects) {
      const Key key = engine_key(effect.tree, effect.key);
      const PutResult result =
          effect.removed ? host_->remove(effect.tree, key) : host_->put(effect.tree, key, effect.value);
      if (result != PutResult::ok) {
        fail(FailureClass::oracle, "replay: batch_full", "a replayed op does not fit");
      }
    }
    if (!op.changes.empty()) replay_objects(op);
    check_error(host_->compact(op.op), "compact");
    after_compact(op.op);
    ++sweeper_.counters(level_).replayed_ops;
    if (op.op % options_.format.beats == options_.format.beats - 1) known_.clear();
  }
  if (any) audit(source_.model->op(), "after replay");
}

void Recovery::replay_objects(const LoggedOp& op) {
  using Kind = EngineHost::ObjectChange;
  for (u32 i = 0; i < source_.world->groove_count; ++i) {
    const GrooveName groove = source_.world->groove(i);
    std::set<u128> asked;
    for (const ObjectChange& change : op.changes) {
      if (change.groove != groove || known_.contains({static_cast<u32>(groove), change.key()})) continue;
      if (!asked.insert(change.key()).second) continue;
      if (!host_->prefetch_enqueue(groove, change.key())) {
        fail(FailureClass::oracle, "replay: prefetch_full", "a replayed op does not fit");
      }
    }
    if (!asked.empty()) check_error(host_->prefetch(groove), "replay");
  }
  for (const ObjectChange& change : op.changes) {
    known_.insert({static_cast<u32>(change.groove), change.key()});
    const ObjectAnswer answer = host_->object(change.groove, change.key());
    if (object_difference(change.groove, change.before, answer) != nullptr) {
      fail(FailureClass::crash_legal, "replay: another object",
           fmt::format("before a replayed change the engine has {}, the model {}",
                       answer_text(change.groove, answer), side_text(change.groove, change.before)));
    }
    const bool was = change.before.presence == Presence::object;
    GrooveEngine::Change result = GrooveEngine::Change::ok;
    if (change.after.presence == Presence::object) {
      const ObjectBytes after = object_bytes(change.groove, change.after.object);
      result = host_->change(change.groove, was ? Kind::update : Kind::insert, after.data());
    } else if (change.after.presence == Presence::orphan) {
      result = host_->insert_orphaned_id(change.groove, change.key());
    } else {
      result = host_->remove_object(change.groove, change.key());
    }
    if (result == GrooveEngine::Change::ok) continue;
    fail(FailureClass::oracle, "replay: a change is refused", "a replayed change is refused");
  }
}

void Recovery::after_compact(u64 op) {
  if (const std::string text = due_otherwise(host_->forest(), options_.format, op); !text.empty())
    fail(FailureClass::oracle, "checkpoint: due otherwise", text);
  if (host_->forest().checkpoint_due(op)) take_checkpoint(op);
  if (!host_->forest().checkpoint_durable() && op >= durable_at_) host_->mark_checkpoint_durable();
}

void Recovery::take_checkpoint(u64 op) {
  pending_op_ = op - options_.format.beats;
  check_error(host_->checkpoint(), "checkpoint");
  const u64 verified = std::exchange(pending_op_, 0);
  if (host_->forest().checkpoint_op() != verified) {
    fail(FailureClass::crash_legal, "checkpoint of another op",
         fmt::format("checkpoint at op {} says it holds ops up to {}", op, host_->forest().checkpoint_op()));
  }
  legal_.verified = verified;
  legal_.pending = 0;
  durable_at_ = source_.durable_at(verified);
  check_id(verified);
  judge_image(verified);
}

// Converges: byte by byte to what a run without the crash has written.
void Recovery::check_id(u64 op) {
  if (op == 0 || sweeper_.same_checkpoint(op, host_->forest().checkpoint_id())) return;
  fail(FailureClass::crash_legal, "replay: another checkpoint",
       fmt::format("checkpoint {} differs from what the run itself wrote", op));
}

}  // namespace tonearm::sim
