// Workload `superblock`: what must hold of its writes, opens and copies.
#include <fmt/format.h>

#include <algorithm>

#include "sim/component/superblock_component.h"
#include "sim/decode/open_error.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;
using Tap = SuperblockTap;

constexpr u64 tries = superblock_tries;

bool fails(Tap::WriteFault kind) {
  return kind == Tap::WriteFault::fails_old || kind == Tap::WriteFault::fails_new ||
         kind == Tap::WriteFault::fails_garbage;
}

}  // namespace

CopyBytes numbered(const CopyBytes& header, u32 number) {
  CopyBytes copy = header;
  store<u16>(copy, f::copy_number, static_cast<u16>(number));
  return copy;
}

std::string describe(const CopiesAsRead& copies) {
  std::string text;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    const char* fault = copy_fault(copies[slot]);
    text += fmt::format("  slot {}: ", slot);
    if (copies[slot].empty()) {
      text += "not read\n";
      continue;
    }
    text += fmt::format(
        "copy {} sequence {} op {} checksum {:016x} {}\n", f::load<u16>(copies[slot], f::copy_number),
        f::load<u64>(copies[slot], f::copy_sequence), f::load<u64>(copies[slot], f::copy_state + f::state_op),
        f::load<u64>(copies[slot], 0), fault == nullptr ? "intact" : fault);
  }
  return text;
}

bool SuperblockComponent::lasting(u32 slot) const {
  return fails(plan_.writes[slot].kind) && plan_.writes[slot].times >= tries;
}

u64 SuperblockComponent::requests(u32 slot) const {
  return fails(plan_.writes[slot].kind) ? std::min(tries, plan_.writes[slot].times + 1) : 1;
}

u32 SuperblockComponent::touched() const {
  u32 slots = 0;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if (plan_.reads[slot].times > 0) slots |= 1U << slot;  // What seemed right was not written.
    const auto& fault = plan_.writes[slot];
    if (fault.times == 0 || fault.kind == Tap::WriteFault::none) continue;
    slots |= 1U << slot;
    if (fault.kind == Tap::WriteFault::misdirected) slots |= 1U << (fault.other % f::copies);
  }
  return slots;
}

// --- what is written

void SuperblockComponent::check_write(const Tap::WriteSeen& write, const CopyBytes& header,
                                      IoPurpose purpose) {
  require(write.superblock_zone && write.on_completion && write.purpose == purpose, "another kind of write",
          [&] {
            return fmt::format("copy {}: {}, zone or durability", write.slot, io_purpose_name(write.purpose));
          });
  require(equal(write.bytes, numbered(header, write.slot)), "other bytes are written", [&] {
    return fmt::format("copy {} is written as number {} of sequence {}, checksum {}", write.slot,
                       f::load<u16>(write.bytes, f::copy_number), f::load<u64>(write.bytes, f::copy_sequence),
                       f::hex(checksum_in(write.bytes)));
  });
}

// Of format and checkpoint: in order, and no copy is begun before the one before it is written.
void SuperblockComponent::check_writes(const CopyBytes& header, IoPurpose purpose) {
  Copies view = before_;
  u32 slot = 0;
  u64 request = 0;
  for (const Tap::WriteSeen& write : tap_.writes_seen()) {
    check_write(write, header, purpose);
    if (request == requests(slot)) {
      view[slot] = numbered(header, slot);
      ++slot;
      request = 0;
    }
    ++request;
    require(slot < f::copies && write.slot == slot, "the copies are written in another order",
            [&] { return fmt::format("copy {} is written, expected {}", write.slot, slot); });
    if (!legal_ || purpose == IoPurpose::superblock_format || touched() != 0) continue;
    view[slot].clear();
    const CopiesVerdict torn = judge_copies(view_of(view), f::quorum);
    require(torn.outcome == DecodeOutcome::ok &&
                (torn.checksum == checksum_in(current_) || torn.checksum == checksum_in(header)),
            "a torn write of a checkpoint costs the quorum", [&] {
              return fmt::format("while copy {} is written: {}", slot, decode_outcome_name(torn.outcome));
            });
  }
}

// All copies were read more than once, and the last time as the time before. One that cannot be read is as
// good as one of zeros.
bool SuperblockComponent::read_alike() const {
  const CopiesAsRead before = tap_.delivered_before();
  const CopiesAsRead read = tap_.delivered();
  const auto zeros = [](f::Bytes copy) { return copy.empty() || f::all_zero(copy); };
  bool alike = tap_.readings() > 1;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    alike &= equal(before[slot], read[slot]) || (zeros(before[slot]) && zeros(read[slot]));
  }
  return alike;
}

// `view`: the copies as open was given them. Each copy that is not right is written once; while it is,
// it counts for nothing, and what is left must lead to the same choice.
void SuperblockComponent::check_repairs(const CopiesVerdict& verdict, CopiesAsRead view) {
  const CopyBytes header(view[verdict.slot].begin(), view[verdict.slot].end());
  require(tap_.writes_seen().empty() || read_alike(), FailureClass::crash_legal,
          "a copy is written over on the strength of one reading",
          [&] { return fmt::format("{} readings, the last two unlike", tap_.readings()); });
  Copies written;
  std::array<u64, f::copies> counts{};
  u32 last = f::copies;
  for (const Tap::WriteSeen& write : tap_.writes_seen()) {
    const u32 slot = write.slot;
    check_write(write, header, IoPurpose::superblock_repair);
    require((verdict.right >> slot & 1) == 0, "a right copy is written again",
            [&] { return fmt::format("copy {} is right and is written", slot); });
    ++counts[slot];
    require(counts[slot] == 1 || (slot == last && counts[slot] <= requests(slot)), "a copy is repaired twice",
            [&] { return fmt::format("copy {} is written {} times", slot, counts[slot]); });
    view[slot] = {};
    const CopiesVerdict torn = judge_copies(view, f::quorum);
    require(torn.outcome == DecodeOutcome::ok && torn.checksum == verdict.checksum, FailureClass::crash_legal,
            "a torn repair changes the choice", [&] {
              return fmt::format("while copy {} is written, an open would find: {}", slot,
                                 decode_outcome_name(torn.outcome));
            });
    written[slot] = write.bytes;
    view[slot] = written[slot];
    last = slot;
  }
}

// Whether a crash in the last repair has made a damaged copy whole: one of another header than the chosen,
// whose damage lay in tear units that are alike in both. So it can be only if each unit is as it was or as
// written.
bool SuperblockComponent::made_whole(const CopiesVerdict& verdict) const {
  const Tap::WriteSeen& write = tap_.writes_seen().back();
  const CopyBytes& was = before_[write.slot];
  const CopyBytes is = medium()[write.slot];
  if (copy_fault(was) == nullptr || copy_fault(is) != nullptr) return false;
  if (checksum_in(is) == verdict.checksum) return false;
  const u64 size = referee_->options().disk.tear_unit;
  for (u64 at = 0; at < is.size(); at += size) {
    const auto unit = [at, size](const CopyBytes& copy) { return f::Bytes(copy).subspan(at, size); };
    if (!equal(unit(is), unit(was)) && !equal(unit(is), unit(write.bytes))) return false;
  }
  return true;
}

// That copy counts again, and may decide: its header can be a later one that has a quorum with it.
void SuperblockComponent::legal_whole() {
  const Copies after = medium();
  const CopiesVerdict whole = judge_copies(view_of(after), f::quorum);
  ++referee_->counters().checks;
  legal_.reset();
  if (whole.outcome == DecodeOutcome::ok) legal_ = {whole.checksum};
}

void SuperblockComponent::check_medium(const CopyBytes& header) {
  const Copies after = medium();
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if ((touched() >> slot & 1) != 0) continue;
    require(equal(after[slot], numbered(header, slot)), "a copy on the disk is not what it should be",
            [&] { return fmt::format("copy {}:\n{}", slot, describe(view_of(after))); });
  }
}

void SuperblockComponent::check_working() {
  const SuperblockHeader& working = engine_->working();
  require(equal(std::as_bytes(std::span(&working, 1)), current_), "the working header is another one",
          [&] { return fmt::format("sequence {}, op {}", working.sequence, working.state.op); });
  require(engine_->checkpoint_id() == f::checksum(f::Bytes(current_).subspan(f::copy_state, f::state_size)),
          "another checkpoint id", [] { return "it is not the hash of the state"; });
}

// What was found is one of the headers that may be, whoever judged it.
void SuperblockComponent::check_legal(const CopiesVerdict& verdict) {
  if (!legal_) return;
  const bool legal = verdict.outcome == DecodeOutcome::ok &&
                     std::find(legal_->begin(), legal_->end(), verdict.checksum) != legal_->end();
  require(legal, FailureClass::crash_legal, "neither the old header nor the new one", [&] {
    return fmt::format("after crashes and nothing else the copies amount to: {}",
                       decode_outcome_name(verdict.outcome));
  });
}

// The last write of all was that of the copy that could not be written.
void SuperblockComponent::check_error(const Error& error, Error expected) {
  std::string reason = error.reason;
  if (error.kind == ErrorKind::write_failed) {
    reason = tap_.writes_seen().empty() ? "no copy"
                                        : fmt::format("superblock copy {}", tap_.writes_seen().back().slot);
  } else if (*expected.reason != 0) {
    reason = expected.reason;
  }
  const bool same = error.address == expected.address && error.checksum == expected.checksum &&
                    error.reason == reason && std::string_view(error.field) == expected.field &&
                    error.stored == expected.stored && error.given == expected.given;
  require(error.kind != expected.kind || same, "the error says something else", [&] {
    return fmt::format("{}: {}, checksum {}, field `{}`, stored {}, given {}; expected {}, {}, `{}`, {}, {}",
                       error_name(error.kind), error.reason, f::hex(error.checksum), error.field,
                       error.stored, error.given, reason, f::hex(expected.checksum), expected.field,
                       expected.stored, expected.given);
  });
}

namespace {

// The layout before the releases, of which that of the file may be newer, or that of its state.
u64 newer_number(f::Bytes copy) {
  const u64 version = f::load<u16>(copy, f::copy_version);
  if (version > f::release_known) return version;
  const u32 of_state = f::load<u32>(copy, f::copy_state + f::state_release);
  return of_state > f::release_known ? of_state : f::load<u32>(copy, f::copy_release);
}

}  // namespace

void SuperblockComponent::check_error_of_open(const CopiesVerdict& verdict, const CopiesAsRead& read,
                                              const FormatOptions& given) {
  Error expected{
      .kind = error_of(verdict.outcome), .checksum = verdict.contradicting, .stored = verdict.contradicts};
  if (verdict.outcome == DecodeOutcome::release_unknown) {
    expected.stored = newer_number(read[verdict.slot]);
    expected.given = f::release_known;
  }
  const f::Bytes given_bytes = std::as_bytes(std::span(&given, 1));
  if (expected.kind == ErrorKind::none) {
    const f::Bytes stored = read[verdict.slot].subspan(f::copy_format, given_bytes.size());
    for (const PlainOption& option : plain_options()) {
      if (option_value(stored, option) == option_value(given_bytes, option)) continue;
      expected.kind = ErrorKind::options_mismatch;
      expected.field = option.name.data();
      expected.stored = option_value(stored, option);
      expected.given = option_value(given_bytes, option);
      break;
    }
  }
  const bool repairs = verdict.right != (1U << f::copies) - 1;
  if (expected.kind == ErrorKind::none && repairs && !read_alike()) expected.kind = ErrorKind::quorum_lost;
  for (u32 slot = 0; slot < f::copies && expected.kind == ErrorKind::none; ++slot) {
    if ((verdict.right >> slot & 1) == 0 && lasting(slot)) expected.kind = ErrorKind::write_failed;
  }
  const Error error = engine_->error();
  require(error.kind == expected.kind, "open ends otherwise", [&] {
    return fmt::format("open ends with {} ({}), expected {}; read was\n{}", error_name(error.kind),
                       error.reason, error_name(expected.kind), describe(read));
  });
  if (error && error.kind != ErrorKind::write_failed) {
    const u64 version = verdict.slot < f::copies ? f::load<u16>(read[verdict.slot], f::copy_version) : 0;
    expected.reason = open_reason(error.kind, verdict, version > f::release_known).data();
  }
  check_error(error, expected);
}

// After the writes: what the reading back must lead to.
ErrorKind SuperblockComponent::expected_of_write(const CopyBytes& header) {
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if (lasting(slot)) return ErrorKind::write_failed;
  }
  const CopiesAsRead read = tap_.delivered();
  if (tap_.reads_fired() == 0) {
    const Copies after = medium();
    for (u32 slot = 0; slot < f::copies; ++slot) {
      require(equal(read[slot], after[slot]), "a copy was not read back",
              [&] { return fmt::format("slot {}", slot); });
    }
  }
  const CopiesVerdict verdict = judge_copies(read, 3);
  const bool good = verdict.outcome == DecodeOutcome::ok && verdict.checksum == checksum_in(header);
  const Error error = engine_->error();
  if (!good && error.kind == ErrorKind::checkpoint_failed) {
    const bool older = std::string_view(error.reason) == "the superblock read back is an older one";
    require(older == (verdict.outcome == DecodeOutcome::ok), "a checkpoint has failed for another reason",
            [&] {
              return fmt::format("{}; of what was read back it is said: {}",
                                 decode_outcome_name(verdict.outcome), error.reason);
            });
  }
  return good ? ErrorKind::none : ErrorKind::checkpoint_failed;
}

}  // namespace tonearm::sim
