// Workload `superblock`: four copies that are written, torn, damaged and repaired, against an enumerator
// (decode/superblock_copies.h) that says from the copies as delivered what every open must end in.
//
//   format, checkpoint, open   against the bytes that must be there, and the writes that must be made
//   crash                      in any of them: nothing but the old header or the new one may be found
//   repairs                    each write must leave, should it be torn, what the same choice rests on
//   damage, forgeries          of copies at rest; hostile contents with a right checksum
//   read_fault, write_fault    of single requests (superblock_tap.h)
//
// The model is the header that was verified last, the headers that may be found now (unless damage came
// in between) and the bytes of every header that was written. The options that matter: those of the disk.
#include <fmt/format.h>

#include <algorithm>

#include "sim/component/superblock_component.h"
#include "sim/component/superblock_forgery.h"
#include "sim/component/support.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;
using Tap = SuperblockTap;
using Asked = SuperblockAsked;

constexpr u32 all_slots = 15;
constexpr std::size_t history_max = 16;

}  // namespace

// --- the process and its disk

void SuperblockComponent::start() {
  drop();
  Arena measure;
  Superblock::measure(measure);
  Arena arena{poisoned_memory(*referee_, measure.used())};
  engine_.emplace(tap_, arena);
}

void SuperblockComponent::drop() {
  engine_.reset();
  opened_ = false;
}

// False: a crash struck.
template <class Begin>
bool SuperblockComponent::run(Begin begin) {
  plan_ = plan_next_;
  plan_next_ = {};
  before_ = medium();
  tap_.begin(plan_);
  begin();
  struck_ = !wait("the completion ran inside the call");
  return !struck_;
}

Copies SuperblockComponent::medium() const {
  Copies copies;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    copies[slot].resize(f::copy_size);
    disk_.image().read(u64{slot} * f::copy_size, copies[slot]);
  }
  return copies;
}

CopiesAsRead SuperblockComponent::view_of(const Copies& copies) {
  return {copies[0], copies[1], copies[2], copies[3]};
}

// Damage: whatever may be found now.
void SuperblockComponent::write_medium(u32 slot, const CopyBytes& bytes) {
  write_at_rest(Zone::superblock, u64{slot} * f::copy_size, bytes);
  legal_.reset();
}

// --- open

bool SuperblockComponent::open(const FormatOptions& given) {
  start();
  if (!run([&] { engine_->open(given, callback()); })) {
    open_struck(given);
    return false;
  }
  const CopiesAsRead read = tap_.delivered();
  if (tap_.reads_fired() == 0) {
    for (u32 slot = 0; slot < f::copies; ++slot) {
      require(equal(read[slot], before_[slot]), "a copy was not read",
              [&] { return fmt::format("slot {}", slot); });
    }
  }
  const CopiesVerdict verdict = judge_copies(read, f::quorum);
  if (tap_.reads_fired() == 0) check_legal(verdict);
  opened(verdict, read, given);
  return opened_;
}

void SuperblockComponent::opened(const CopiesVerdict& verdict, const CopiesAsRead& read,
                                 const FormatOptions& given) {
  check_error_of_open(verdict, read, given);
  const Error error = engine_->error();
  const u64 repaired = tap_.writes_seen().size();
  answer(Asked::open, static_cast<u64>(error.kind), repaired * 8 + verdict.headers);
  if (error && error.kind != ErrorKind::write_failed) {
    require(repaired == 0, "an open that failed has written", [&] { return error_name(error.kind); });
    return drop();
  }
  check_repairs(verdict, read);
  if (faults_fired()) {
    legal_.reset();
  } else {
    legal_ = {verdict.checksum};
  }
  if (error) return drop();
  current_ = numbered(CopyBytes(read[verdict.slot].begin(), read[verdict.slot].end()), 0);
  opened_ = true;
  check_working();
  check_medium(current_);
  ++referee_->counters().reopens;
}

void SuperblockComponent::open_struck(const FormatOptions& given) {
  answer(Asked::open, superblock_answer_struck, tap_.writes_seen().size());
  ++referee_->counters().crashes_in_recovery;
  if (faults_fired()) {
    legal_.reset();
    return;
  }
  const CopiesVerdict verdict = judge_copies(view_of(before_), f::quorum);
  check_legal(verdict);
  const bool writes = !tap_.writes_seen().empty();
  require(!writes || (verdict.outcome == DecodeOutcome::ok && given == referee_->options().format),
          "an open that must fail writes", [&] { return decode_outcome_name(verdict.outcome); });
  if (writes) check_repairs(verdict, view_of(before_));
  // However far the repair came: from now on only this may be found.
  if (verdict.outcome == DecodeOutcome::ok) legal_ = {verdict.checksum};
  if (writes && made_whole(verdict)) legal_whole();
}

// --- format and checkpoint

void SuperblockComponent::write_done(Asked asked, const CopyBytes& header, bool struck) {
  const bool formats = asked == Asked::format;
  const std::size_t begun = tap_.writes_seen().size();
  check_writes(header, formats ? IoPurpose::superblock_format : IoPurpose::superblock_write);
  history_.push_front(header);
  if (history_.size() > history_max) history_.pop_back();
  if (faults_fired() || (struck && formats)) legal_.reset();
  if (struck) {
    answer(asked, superblock_answer_struck, begun);
    // Which of the two depends on the copies that were complete for certain, and the torn one.
    const u128 new_one = checksum_in(header);
    if (legal_ && begun == f::quorum) legal_->push_back(new_one);
    if (legal_ && begun > f::quorum) legal_ = {new_one};
    return;
  }
  const ErrorKind expected = expected_of_write(header);
  const Error error = engine_->error();
  require(error.kind == expected, formats ? "format ends otherwise" : "a checkpoint ends otherwise", [&] {
    return fmt::format("it ends with {} ({}), expected {}; read back was\n{}", error_name(error.kind),
                       error.reason, error_name(expected), describe(tap_.delivered()));
  });
  check_error(error, {.kind = expected});
  answer(asked, static_cast<u64>(error.kind), begun);
  if (error) {
    ++referee_->counters().checkpoints_failed;
    return drop();
  }
  ++referee_->counters().checkpoints;
  current_ = header;
  opened_ = true;
  if (!faults_fired()) legal_ = {checksum_in(header)};
  check_working();
  check_medium(current_);
}

bool SuperblockComponent::format(u128 cluster, bool fresh) {
  if (fresh || !engine_) start();
  opened_ = false;
  const FormatOptions& options = referee_->options().format;
  const CopyBytes header =
      encode_copy({}, cluster, plain_state_empty(cluster), std::as_bytes(std::span(&options, 1)));
  const bool struck = !run([&] { engine_->format(cluster, options, callback()); });
  write_done(Asked::format, header, struck);
  return opened_;
}

namespace {

// The same state twice: as the engine has it and as plain numbers.
CheckpointState engine_state(const PlainState& plain) {
  CheckpointState state = checkpoint_state_empty(0);
  state.op = plain.op;
  state.user_context = plain.user_context;
  state.op_id = plain.op_id;
  state.acquired_last = plain.acquired.last;
  state.acquired_last_address = plain.acquired.address;
  state.acquired_size = plain.acquired.size;
  state.acquired_payload = plain.acquired.payload;
  state.released_last = plain.released.last;
  state.released_last_address = plain.released.address;
  state.released_size = plain.released.size;
  state.released_payload = plain.released.payload;
  state.manifest_oldest = plain.manifest_oldest.checksum;
  state.manifest_oldest_address = plain.manifest_oldest.address;
  state.manifest_newest = plain.manifest_newest.checksum;
  state.manifest_newest_address = plain.manifest_newest.address;
  state.manifest_block_count = plain.manifest_blocks;
  state.storage_size = plain.storage_size;
  return state;
}

// `shape`: 4 bits for what is there and 2 for the manifest.
PlainState drawn_state(const Stream& content, OpId line, u64 shape) {
  u64 draws = 0;
  const auto number = [&] { return content.at(line.number, line.child, draws++) >> 8; };
  PlainState state = plain_state_empty(0);
  state.user_context = (shape & 1) != 0 ? number() : 0;
  state.op_id = u128{number()} << 64 | number();
  if ((shape & 2) != 0) state.acquired = {number(), 1 + number(), 8 + number(), number()};
  if ((shape & 4) != 0) state.released = {number(), 1 + number(), 8 + number(), number()};
  if ((shape & 6) != 0) state.storage_size += 1 + (number() >> 8);
  if ((shape & 8) != 0) {
    state.manifest_oldest = {.address = 1 + number(), .checksum = number()};
    state.manifest_newest = state.manifest_oldest;
    state.manifest_blocks = 1;
    if (shape >> 4 != 0) {
      state.manifest_newest = {.address = state.manifest_oldest.address + (shape >> 4), .checksum = number()};
      state.manifest_blocks += 1 + static_cast<u32>(number() >> 40);
    }
  }
  return state;
}

}  // namespace

CopyBytes SuperblockComponent::next_header(const PlainState& state) const {
  const f::Bytes parent = current_;
  return encode_copy(current_, f::load<u128>(parent, f::copy_cluster), state,
                     parent.subspan(f::copy_format, sizeof(FormatOptions)));
}

// Of a forged header that nothing can follow.
void SuperblockComponent::checkpoint_refused(const PlainState& state) {
  if (!run([&] { engine_->checkpoint(engine_state(state), callback()); })) return;
  const Error error = engine_->error();
  require(error.kind == ErrorKind::checkpoint_failed, "a checkpoint ends otherwise",
          [&] { return fmt::format("{} without a sequence left", error_name(error.kind)); });
  check_error(error, {.kind = ErrorKind::checkpoint_failed, .stored = u64_max - 1});
  require(tap_.writes_seen().empty(), "a checkpoint that is refused writes",
          [&] { return fmt::format("{} writes", tap_.writes_seen().size()); });
  answer(Asked::checkpoint, static_cast<u64>(error.kind), 0);
  drop();
}

void SuperblockComponent::checkpoint(u64 ops, u64 shape) {
  if (!opened_ && !open(referee_->options().format)) {
    if (struck_ || !format(1, true)) return;
  }
  const u64 op = f::load<u64>(current_, f::copy_state + f::state_op);
  if (op > u64_max - 1 - ops) return referee_->skip();  // Of a forged header.
  PlainState state = drawn_state(content_, line_, shape);
  state.op = op + 1 + ops;
  if (f::load<u64>(current_, f::copy_sequence) == u64_max - 1) return checkpoint_refused(state);
  const CopyBytes header = next_header(state);
  const bool struck = !run([&] { engine_->checkpoint(engine_state(state), callback()); });
  write_done(Asked::checkpoint, header, struck);
}

// --- lines

namespace {

// Where `flip` flips: fields of a copy, from here up to the next.
constexpr u32 flip_fields[] = {0,
                               16,
                               f::copy_number,
                               f::copy_version,
                               f::copy_release,
                               f::copy_sequence,
                               f::copy_cluster,
                               f::copy_parent,
                               f::copy_state,
                               f::copy_state + f::state_manifest_oldest,
                               f::copy_state + f::state_storage_size,
                               f::copy_format,
                               f::copy_byte_order,
                               f::copy_zero_from,
                               f::copy_tail,
                               f::copy_tail + 16,
                               f::copy_size};

void spoil(CopyBytes& copy, u64 sector, u64 sectors, u64 how, u64 random) {
  constexpr u64 size = 512;
  constexpr u64 count = f::copy_size / size;
  for (u64 i = sector; i <= sector + sectors; ++i) {
    std::byte* at = copy.data() + i % count * size;
    if (how == 3) {
      std::swap_ranges(at, at + size, copy.data() + (i + 1 + sectors) % count * size);
      continue;
    }
    for (u64 byte = 0; byte < size; ++byte) {
      const u64 garbage = how == 2 ? random >> (byte % 57) : how == 1 ? 0xff : 0;
      at[byte] = static_cast<std::byte>(garbage & 0xff);
    }
  }
}

// `which`: a copy, or all of them.
template <class Do>
void for_slots(u64 which, Do apply) {
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if (which == slot || which == f::copies) apply(slot);
  }
}

}  // namespace

// Some copies become, with one number of theirs changed, the header that was verified last, or one that would
// follow it; the others are that header. So what a header must be by itself is asked, and how two must agree.
void SuperblockComponent::alter(u64 slots, u64 field, u64 how, u64 value) {
  CopyBytes header = current_;
  if (how % 2 != 0) {
    PlainState state = drawn_state(content_, line_, value % 64);
    state.op = f::load<u64>(current_, f::copy_state + f::state_op) + 1;
    header = next_header(state);
  }
  const CopyBytes& older = history_[value % history_.size()];
  for (u32 slot = 0; slot < f::copies; ++slot) {
    const bool altered = (slots >> slot & 1) != 0;
    CopyBytes copy = numbered(altered ? header : current_, slot);
    if (altered) change_copy(copy, field, how / 2 % copy_change_count, value, older);
    write_medium(slot, copy);
  }
}

void SuperblockComponent::damage(std::string_view verb, const Arguments& a) {
  Copies copies = medium();
  const u32 slot = static_cast<u32>(a[0] % f::copies);
  if (verb == "flip") {
    const u64 begin = flip_fields[a[1]];
    const u64 bit = begin * 8 + a[2] % ((flip_fields[a[1] + 1] - begin) * 8);
    copies[slot][bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    return write_medium(slot, copies[slot]);
  }
  if (verb == "spoil") {
    spoil(copies[slot], a[1], a[2], a[3], content_.at(line_.number, line_.child));
    return write_medium(slot, copies[slot]);
  }
  if (verb == "mislay") return write_medium(static_cast<u32>(a[1]), copies[slot]);
  if (verb == "swap") {
    write_medium(slot, copies[a[1]]);
    return write_medium(static_cast<u32>(a[1]), copies[slot]);
  }
  // The rest needs a header to begin with.
  if (history_.empty() || current_.empty()) return referee_->skip();
  CopyBytes header = verb == "old_copy" ? history_[a[1] % history_.size()] : current_;
  if (verb == "alter") return alter(a[0], a[1] % copy_field_count(), a[2], a[3]);
  if (verb == "forge") forge_copy(header, a[1] % forgery_count(), a[2]);
  const u64 slots = verb == "heal" ? all_slots : a[0];
  for (u32 i = 0; i < f::copies; ++i) {
    if ((slots >> i & 1) != 0) write_medium(i, numbered(header, i));
  }
  if (verb == "heal") legal_ = {checksum_in(current_)};
}

void SuperblockComponent::play(const Operation& line) {
  const std::string_view verb = line.verb->name;
  const Arguments& a = line.arguments;
  line_ = line.id;
  if (verb == "format") {
    format(a[0], a[1] != 0);
  } else if (verb == "checkpoint") {
    checkpoint(a[0], a[1]);
  } else if (verb == "open") {
    open(referee_->options().format);
  } else if (verb == "open_other") {
    FormatOptions given = referee_->options().format;
    const PlainOption& option = plain_options()[a[0] % plain_options().size()];
    auto* byte = reinterpret_cast<std::byte*>(&given) + option.offset;
    *byte = static_cast<std::byte>(static_cast<u64>(*byte) + a[1]);
    open(given);
  } else if (verb == "crash") {
    arm_crash(a[0]);
  } else if (verb == "read_fault") {
    const auto kind = static_cast<Tap::ReadFault>(1 + a[1] % Tap::read_faults);
    for_slots(a[0], [&](u32 slot) { plan_next_.reads[slot] = {kind, a[2], static_cast<u32>(a[3])}; });
  } else if (verb == "write_fault") {
    const auto kind = static_cast<Tap::WriteFault>(1 + a[1] % Tap::write_faults);
    for_slots(a[0], [&](u32 slot) { plan_next_.writes[slot] = {kind, a[2], static_cast<u32>(a[3])}; });
  } else {
    damage(verb, a);
  }
}

void SuperblockComponent::finish() {
  disarm_crash();
  plan_next_ = {};
  open(referee_->options().format);
}

std::unique_ptr<Component> make_superblock(Referee& referee) {
  return std::make_unique<SuperblockComponent>(referee);
}

}  // namespace tonearm::sim
