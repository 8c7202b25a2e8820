// Faults: which errors are true, what opening must come to, and what is played while the engine is out.
//
// Nothing is guessed from what may break. The disk knows where its medium differs from the truth and what it
// has delivered; sim/decode says what that means. An error about an intact block is a failure, and so is
// success where a block that was needed is damaged.
//
// An engine that is out is either sticky, after an error of an op, a checkpoint or a replay: then it answers
// queries and refuses the rest; or down, after an error of opening: then lines are counted and not played. So
// it stays until a line brings it back (crash, reopen, heal), or `heal_lines` of them have passed.
#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/block_fault.h"
#include "sim/decode/open_error.h"
#include "sim/run/player.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

bool of_superblock(ErrorKind kind) {
  return kind >= ErrorKind::not_found && kind <= ErrorKind::release_unknown;
}

std::string copies_text(const CopiesAsRead& copies) {
  std::string text;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    const char* const fault = copy_fault(copies[slot]);
    text += fmt::format("  slot {}: ", slot);
    if (fault != nullptr) {
      text += fmt::format("{}\n", fault);
      continue;
    }
    text += fmt::format("copy {} sequence {} op {}\n", f::load<u16>(copies[slot], f::copy_number),
                        f::load<u64>(copies[slot], f::copy_sequence),
                        f::load<u64>(copies[slot], f::copy_state + f::state_op));
  }
  return text;
}

}  // namespace

// --- errors

u64 Player::legal_losses() const {
  return disk_->fault_count(FaultKind::failed_sync) + disk_->fault_count(FaultKind::write_error);
}

// Of the side that has the block.
BlockTruth Player::truth_of(u64 address) const {
  const BlockTruth first = truth_on(address, false);
  if (first.intact || !mirrored()) return first;
  const BlockTruth mirror = truth_on(address, true);
  return mirror.intact ? mirror : first;
}

// Why the block of the error can be read and holds what it should; empty if that is not so.
std::string Player::why_intact(const Error& error) const {
  if (error.address < 1 || error.address > options_.disk.blocks_count) return "there is no such block";
  const u32 tries = options_.runtime.read_attempts_max;
  bool meant = false;  // On one of its sides.
  for (u32 side = 0; side < (mirrored() ? 2 : 1); ++side) {
    const bool mirror = side == 1;
    const BlockTruth truth = truth_on(error.address, mirror);
    if (!truth.intact || truth.checksum != error.checksum) continue;
    meant = true;
    if (disk_->damaged(error.address, truth.written, mirror) || cured_now(error.address, mirror)) continue;
    const u32 bad = disk_->bad_reads(error.address, mirror);
    if (bad >= tries) continue;
    return fmt::format("the block is intact{}, and of {} reads only {} went wrong",
                       mirror ? " on the mirror" : "", tries, bad);
  }
  // A sync or a write that failed may have lost blocks that this engine relies on: legally, so the truth has
  // lost them, too.
  if (meant || legal_losses() > losses_at_open_ || predicted_older_) return {};
  return "the block that is there is another one, and nothing has lost it";
}

// What is delivered as it should be needs no record: it can be read again.
void Player::watch_deliveries() {
  deliveries_.emplace(options_.disk.sector_size);
  scrubbed_.emplace(options_.disk.sector_size);
  disk_->set_failure_listener(this, [](void* context, u64 address, const Storage::Write& write) {
    static_cast<Player*>(context)->deliveries_->write_failed(address, write);
  });
  disk_->set_delivery_listener(this, [](void* context, u64 address, const Storage::Read& read) {
    Player& self = *static_cast<Player*>(context);
    const u32 size = self.options_.format.block_size;
    const bool bad_mirror = self.mirrored() && self.disk_->bad_reads(address, true) > 0;
    const bool clean =
        !self.damaged_somewhere(address, size) && self.disk_->bad_reads(address) == 0 && !bad_mirror;
    if (self.watch_) self.watched_read(address, read, clean);
    if (clean) return;
    self.deliveries_->read(address, read);
    if (read.tag.purpose == IoPurpose::scrub) self.scrubbed_->read(address, read);
    if (read.result == IoResult::failed) return;
    const bool mirror = read.tag.purpose == IoPurpose::mirror_scrub;
    if (!mirror && read.tag.purpose != IoPurpose::scrub) return;
    // That the other side is as it should be cures nothing.
    const bool bad = self.disk_->damaged(address, size, mirror) || self.disk_->bad_reads(address, mirror) > 0;
    if (bad && self.is_truth(address, read.buffer)) {
      set_bit(&self.tour_cured_, address);
    }
  });
}

bool Player::is_truth(u64 address, std::span<const std::byte> delivered) const {
  const u64 size = std::min<u64>(truth_of(address).written, delivered.size());
  std::vector<std::byte> truth(delivered.size());
  disk_->truth().read(disk_->grid_offset() + (address - 1) * options_.format.block_size, truth);
  return std::equal(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(size), delivered.begin());
}

std::string Player::why_other_reason(const Error& error) const {
  if (!deliveries_) return {};
  std::vector<std::byte> truth(options_.format.block_size);
  std::string why;
  for (u32 side = 0; side < (mirrored() ? 2 : 1); ++side) {
    disk_->truth().read(disk_->offset_of(error.address, side == 1), truth);
    why = deliveries_->why_not(error.address, error.checksum, error.reason, truth);
    if (why.empty()) return {};
  }
  return why;
}

// Empty: the error is true, and has the right reason.
std::string Player::why_false(const Error& error) const {
  if (error.kind == ErrorKind::block_damaged) {
    const std::string why = why_intact(error);
    return why.empty() ? why_other_reason(error) : why;
  }
  if (error.kind != ErrorKind::write_failed) return "nothing is damaged";
  const u32 tries = error.address == 0 ? superblock_tries : options_.runtime.read_attempts_max;
  const bool block_on_two = mirrored() && error.address != 0;
  const u32 bad =
      std::max(disk_->bad_writes(error.address), block_on_two ? disk_->bad_writes(error.address, true) : 0);
  if (bad >= tries) return deliveries_ ? deliveries_->why_not_written(error) : "";
  return fmt::format("of {} writes only {} failed", tries, bad);
}

// A query that ends in an error is unanswered, if the error is true.
void Player::judge_error(const Error& error, const char* where) {
  ++result_.counters.unanswered;
  ++result_.counters.checks;
  if (!config_->oracles.has(Oracle::false_alarm)) return;
  const std::string why = why_false(error);
  if (why.empty()) return;
  fail(FailureClass::false_alarm, fmt::format("{}: {}", where, error_name(error.kind)),
       fmt::format("{} ended in {} (address {}, {}), but {}", where, error_name(error.kind), error.address,
                   error.reason, why));
}

void Player::alarm(const Error& error, const char* where, const std::string& why) {
  ++result_.counters.unanswered;
  if (!config_->oracles.has(Oracle::false_alarm)) give_up();
  fail(FailureClass::false_alarm, fmt::format("{}: {}", where, error_name(error.kind)),
       fmt::format("{} ended in {} (address {}, {}), but {}", where, error_name(error.kind), error.address,
                   error.reason, why));
}

// What was written of the superblock and read back, three good copies of four, decides a checkpoint.
void Player::judge_verified(const Error& error, const char* what) {
  if (!faulty_) {
    if (error) alarm(error, what, "nothing is damaged");
    return;
  }
  ++result_.counters.checks;
  if (error && error.kind != ErrorKind::checkpoint_failed) {
    const std::string why = why_false(error);
    if (!why.empty()) alarm(error, what, why);
    return;
  }
  const CopiesAsRead copies = delivered_copies();
  const CopiesVerdict verdict = judge_copies(copies, 3);
  const u64 expected = std::string_view(what) == "format" ? 0 : pending_op_;
  const bool good = verdict.outcome == DecodeOutcome::ok &&
                    f::load<u64>(copies[verdict.slot], f::copy_state + f::state_op) == expected;
  if (good == !error) return;
  if (good) alarm(error, what, "three good copies were read back");
  if (!config_->oracles.has(Oracle::legal)) return;
  fail(FailureClass::crash_legal, fmt::format("{}: verified without three good copies", what),
       fmt::format("a {} says that it is done, and fewer than three good copies of its superblock were read "
                   "back",
                   what),
       copies_text(copies));
}

// From here on deliveries are counted anew. What the scrubber has found before is judged by those before.
void Player::begin_call() {
  judge_scrub();
  disk_->begin_deliveries();
  cured_.clear();
}

// --- opening

CopiesAsRead Player::delivered_copies() const {
  CopiesAsRead copies;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if (const auto copy = disk_->delivered_copy(slot)) copies[slot] = *copy;
  }
  return copies;
}

void Player::begin_open() {
  disk_->begin_deliveries();
  damaged_before_.clear();
  predicted_.reset();
  predicted_older_ = false;
  losses_at_open_ = legal_losses();  // A verified checkpoint has lost nothing.
  if (!faulty_) return;
  const std::optional<u64> demanded = demanded_op(disk_->truth());
  if (demanded && *demanded >= model_.checkpoint_op()) {
    lies_at_quorum_ = superblock_lies();
    lie_lay_there_ = false;
    for (u32 slot = 0; slot < f::copies; ++slot) lie_lay_there_ |= disk_->damaged_superblock(slot);
  }
  if (!disk_->damage()) return;
  for (u64 address = 1; address <= options_.disk.blocks_count; ++address) {
    if (lost(address, options_.format.block_size) && lost(address, truth_of(address).written)) {
      damaged_before_.push_back(address);
    }
  }
}

void Player::judge_open(const Error& error) {
  if (!faulty_) {
    const bool legal =
        !formatted_ && (error.kind == ErrorKind::not_found || error.kind == ErrorKind::quorum_lost);
    if (error && !legal) alarm(error, "open", "nothing is damaged");
    return;
  }
  const CopiesAsRead copies = delivered_copies();
  predicted_ = predict_open(whole(disk_->truth()), copies,
                            {.shape = shape_, .memo = &memory_->decoded, .brought = disk_->brought()});
  ++result_.counters.checks;
  ++result_.counters.opens_predicted;
  ErrorKind expected = error_of(predicted_->copies.outcome);
  // A copy must not be written over unless it was read twice.
  const bool repairs = predicted_->copies.right != (1U << f::copies) - 1;
  if (expected == ErrorKind::none && repairs && !disk_->delivered_alike()) expected = ErrorKind::quorum_lost;
  if (expected == ErrorKind::none && !of_superblock(error.kind)) return judge_open_blocks(error);
  if (error.kind == expected && (!error || error.reason == open_reason(expected, predicted_->copies))) return;
  if (!config_->oracles.has(Oracle::legal)) give_up();
  fail(FailureClass::crash_legal,
       fmt::format("open: {}, expected {}", error_name(error.kind), error_name(expected)),
       fmt::format("opening ended in {} ({}); the superblock copies as they were read demand {}",
                   error_name(error.kind), error.reason, error_name(expected)),
       copies_text(copies));
}

// A stale read, say, may bring the very block that the medium has no more, every byte of it.
bool Player::was_brought(const DecodedBlock& block) const {
  std::vector<std::byte> bytes;
  return brought_block(disk_->brought(), block.ref, block_type(block.use), predicted_->reached, &bytes);
}

// The superblock was found. Only trailers and manifest log are read now.
void Player::judge_open_blocks(const Error& error) {
  const OpenPrediction& predicted = *predicted_;
  predicted_older_ = predicted.reached.op < model_.checkpoint_op() || later_lies(predicted.reached.op);
  const DecodedBlock* needed = nullptr;  // One that cannot have been read.
  const DecodedBlock* named = nullptr;   // By the error.
  for (const DecodedBlock& block : predicted.reached.blocks) {
    if (!OpenPrediction::read_by_open(block.use)) continue;
    const u64 address = block.ref.address;
    if (address == error.address) named = &block;
    const bool was = std::binary_search(damaged_before_.begin(), damaged_before_.end(), address);
    if (was && lost(address, truth_of(address).written) && !was_brought(block)) needed = &block;
  }
  if (error) {
    std::string why = why_false(error);
    if (why.empty() && error.kind == ErrorKind::block_damaged && named == nullptr) {
      why = "opening needs no such block";
    }
    if (!why.empty()) alarm(error, "open", why);
    return;
  }
  if (!config_->oracles.has(Oracle::legal)) return;
  if (needed != nullptr) {
    fail(FailureClass::crash_legal, "open: a damaged block is believed",
         fmt::format("{} block {} is damaged, and opening succeeded all the same",
                     block_use_name(needed->use), needed->ref.address));
  }
  if (host_->forest().checkpoint_op() == predicted.reached.op) return;
  fail(FailureClass::crash_legal, "open: another checkpoint than the copies say",
       fmt::format("the engine opened checkpoint {}; the superblock copies as they were read demand {}",
                   host_->forest().checkpoint_op(), predicted.reached.op),
       copies_text(delivered_copies()));
}

// Copies of a later checkpoint lie on the disk, enough of them to be found by another open, though this one
// was given others: stale ones, most often. What the engine writes from now on may destroy its blocks.
bool Player::later_lies(u64 opened) const {
  for (const Image* const image : {&disk_->truth(), &disk_->image()}) {
    const std::optional<u64> op = demanded_op(*image);
    if (op && *op > opened) return true;
  }
  return false;
}

// The engine has an older checkpoint than the disk. The model cannot follow, so the engine goes, until the
// disk is healed; if that does not help, nothing more can be said of this run.
void Player::judge_older(u64 opened) {
  ++result_.counters.opened_older;
  const std::optional<u64> healed = demanded_op(disk_->truth());
  if (opened < model_.checkpoint_op() && healed && *healed <= opened) {
    check_lied("a verified checkpoint is lost");
    ++result_.counters.ended_older;
    throw RunFailed{};
  }
  go_down("open");
}

// Faults that have struck the superblock zone and of which the engine is not told, or gets to know only that
// a copy cannot be read.
u64 Player::superblock_lies() const {
  u64 lies = 0;
  for (const FaultKind kind : {FaultKind::read_error, FaultKind::corrupt_transfer, FaultKind::unreadable,
                               FaultKind::rot, FaultKind::lost_write, FaultKind::misdirected_write,
                               FaultKind::misdirected_read, FaultKind::stale_read}) {
    lies += disk_->faults_fired().of(kind, Zone::superblock);
  }
  return lies;
}

bool Player::superblock_lied() const { return superblock_lies() > lies_at_quorum_ || lie_lay_there_; }

// Crashes and errors alone cannot cost an engine that repairs what it finds its last checkpoint: it takes a
// lie about the copies on which the last open went, or that was told since.
void Player::check_lied(const char* what) {
  ++result_.counters.checks;
  if (superblock_lied()) return;
  if (!config_->oracles.has(Oracle::legal)) give_up();
  fail(FailureClass::crash_legal, fmt::format("{}: no fault has struck the superblock", what),
       fmt::format("{} for good, in truth as well, and no fault has struck the superblock", what),
       copies_text(delivered_copies()));
}

// Whether no open can succeed any more, because the copies demand no checkpoint, not in truth either, or one
// before the last verified of which opening needs a block that is gone: then no heal brings anything back.
void Player::judge_lost(const Error& error) {
  if (!formatted_ || !error) return;
  std::vector<std::byte> zone(superblock_zone_size);
  disk_->truth().read(0, zone);
  CopiesAsRead copies;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    copies[slot] = f::Bytes(zone).subspan(u64{slot} * f::copy_size, f::copy_size);
  }
  const OpenPrediction truth = predict_open(whole(disk_->truth()), copies,
                                            {.shape = shape_, .memo = &memory_->decoded, .brought = {}});
  bool gone = truth.copies.outcome != DecodeOutcome::ok;
  if (!gone && truth.reached.op >= model_.checkpoint_op()) return;
  for (const DamagedBlock& damaged : truth.reached.damaged) {
    gone |= OpenPrediction::read_by_open(damaged.use);
  }
  if (!gone) return;
  check_lied("the superblock is lost");
  ++result_.counters.ended_lost;
  throw RunFailed{};
}

// --- an engine that is out

void Player::go_sticky(const Error& error, const char* what) {
  sticky_ = error;  // A copy: it is the engine's own.
  ++result_.counters.went_sticky;
  full_.reset();
  standing_ = Standing::sticky;
  lines_out_ = 0;
  check_sticky(sticky_, what, true);
  throw WentOut{};
}

void Player::go_down(const char* what) {
  ++result_.counters.went_down;
  full_.reset();
  drop_engine(aside(what, result_.counters.went_down), {});
  ASSERT(standing_ == Standing::down);
  throw WentOut{};
}

// Lines that an engine stays out, longer and longer where it goes out again and again: such a run would be
// nothing but recoveries, each with an audit of everything, and gets ahead so.
u64 Player::heal_lines() const {
  constexpr u64 heals_until_longer = 64;
  const u64 times = std::min<u64>(heals_ / heals_until_longer, 20);
  return options_.heal_lines + (times == 0 || ended_ ? 0 : u64{1} << times);
}

// True: the line is not to be played as usual.
bool Player::out_line() {
  const OperationKind kind = line_.kind;
  const bool helps =
      kind == OperationKind::heal || kind == OperationKind::crash || kind == OperationKind::reopen;
  const bool request = kind == OperationKind::fault || kind == OperationKind::latency;
  if (helps || request) return false;
  if (++lines_out_ > heal_lines()) {
    recover_until_open({.line = line_.id, .strike = false, .heal = true});
    disk_->set_attribution({.op = line_.id, .context = 0});
    if (standing_ == Standing::up) return false;
  }
  if (standing_ == Standing::sticky) return false;
  ++result_.counters.down;
  return true;
}

// A line that changes something: refused with the same error, whatever it is.
void Player::out_change() {
  ++result_.counters.refused_sticky;
  check_sticky(sticky_, "an engine that is out", false);
}

void Player::line_heal() {
  ++result_.counters.heals;
  if (standing_ != Standing::up) throw Recover{.line = line_.id, .strike = false, .heal = true};
  heal();
}

void Player::heal() {
  judge_scrub();
  if (disk_->damage()) ++result_.counters.healed;
  disk_->heal();
}

void Player::reconfigure() {
  DiskOptions disk = options_.disk;
  if (faults_paused_) disk.faults = {};
  disk_->reconfigure(disk);
}

}  // namespace tonearm::sim
