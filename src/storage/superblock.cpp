#include "storage/superblock.h"

#include <cstring>

#include "base/mark.h"
#include "storage/superblock_quorums.h"

namespace tonearm {

namespace {

// Tries of one read or write before its copy counts as unreadable, or the operation as failed.
constexpr u32 attempts_max = 3;
// Readings of all copies by an open that has copies to repair. A disk that gives other bytes each time
// gets no better by more of them.
constexpr u32 readings_max = 3;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <class T>
bool zero(const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  return bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, sizeof(T) - 1) == 0;
}

bool trailer_valid(Checksum last, u64 address, u64 size, Checksum payload) {
  if (size == 0) return last == 0 && address == 0 && payload == checksum_empty();
  return address != 0;
}

bool manifest_valid(const CheckpointState& state) {
  const bool no_references = state.manifest_oldest == 0 && state.manifest_oldest_address == 0 &&
                             state.manifest_newest == 0 && state.manifest_newest_address == 0;
  if (state.manifest_block_count == 0) return no_references;
  if (state.manifest_oldest_address == 0 || state.manifest_newest_address == 0) return false;
  const bool same_address = state.manifest_oldest_address == state.manifest_newest_address;
  const bool same_block = same_address && state.manifest_oldest == state.manifest_newest;
  return state.manifest_block_count == 1 ? same_block : !same_address;
}

template <auto Member>
u64 field_value(const FormatOptions& options) {
  return options.*Member;
}

struct FormatField {
  const char* name;
  u64 (*value)(const FormatOptions& options);
};

constexpr FormatField format_fields[] = {
#define FIELD(name) \
  { #name, &field_value < &FormatOptions::name> }
    FIELD(sector_size),
    FIELD(block_size),
    FIELD(levels),
    FIELD(growth),
    FIELD(beats),
    FIELD(checkpoint_interval),
    FIELD(batch_values_max),
    FIELD(coalescing_percent),
    FIELD(manifest_extra_blocks),
    FIELD(values_per_block_max),
    FIELD(value_blocks_max),
    FIELD(reserved),
    FIELD(schema_hash),
    FIELD(reserved2),
#undef FIELD
};

Error compare_options(const FormatOptions& stored, const FormatOptions& given) {
  for (const FormatField& field : format_fields) {
    if (field.value(stored) == field.value(given)) continue;
    return {.kind = ErrorKind::options_mismatch,
            .reason = "the data file was formatted with other options",
            .field = field.name,
            .stored = field.value(stored),
            .given = field.value(given)};
  }
  ASSERT(stored == given);
  return {};
}

constexpr const char* copy_names[superblock_copies] = {
    "superblock copy 0",
    "superblock copy 1",
    "superblock copy 2",
    "superblock copy 3",
};

}  // namespace

Checksum superblock_checksum(const SuperblockHeader& header) {
  return checksum_of(bytes_of(header).subspan(offsetof(SuperblockHeader, version)));
}

u128 checkpoint_id_of(const CheckpointState& state) { return checksum_of(bytes_of(state)); }

CheckpointState checkpoint_state_empty(u128 cluster) {
  CheckpointState state;
  std::memset(&state, 0, sizeof(state));
  state.op_id = checksum_of(bytes_of(cluster));
  state.acquired_payload = checksum_empty();
  state.released_payload = checksum_empty();
  state.storage_size = superblock_zone_size;
  state.release = superblock_release;
  ASSERT(checkpoint_state_valid(state));
  return state;
}

bool checkpoint_state_valid(const CheckpointState& state) {
  const bool zeros = state.acquired_last_padding == 0 && state.released_last_padding == 0 &&
                     state.manifest_oldest_padding == 0 && state.manifest_newest_padding == 0 &&
                     zero(state.reserved_user) && zero(state.reserved_192) && state.reserved_256 == 0 &&
                     state.reserved_320 == 0 && state.reserved_376 == 0 && state.snapshots == 0 &&
                     zero(state.reserved);
  if (!zeros) return false;
  if (state.release == 0 || state.release > superblock_release) return false;
  if (!trailer_valid(state.acquired_last, state.acquired_last_address, state.acquired_size,
                     state.acquired_payload)) {
    return false;
  }
  if (!trailer_valid(state.released_last, state.released_last_address, state.released_size,
                     state.released_payload)) {
    return false;
  }
  if (!manifest_valid(state)) return false;
  const bool no_trailers = state.acquired_size == 0 && state.released_size == 0;
  if (state.storage_size < superblock_zone_size) return false;
  return (state.storage_size == superblock_zone_size) == no_trailers;
}

void superblock_seal(SuperblockHeader& header) {
  header.tail_sequence = header.sequence;
  header.tail_checkpoint_id = checkpoint_id_of(header.state);
  header.checksum = superblock_checksum(header);
}

Superblock::Memory::Memory(Arena& arena)
    : headers(arena.take<SuperblockHeader>(superblock_copies + 2, Arena::align_max)) {}

void Superblock::measure(Arena& arena) {
  ASSERT(arena.measuring());
  const Memory memory(arena);
  ASSERT(memory.headers.empty());
}

Superblock::Superblock(Storage& storage, Arena& arena) : Superblock(storage, Memory(arena)) {}

Superblock::Superblock(Storage& storage, const Memory& memory)
    : storage_(storage),
      slots_(memory.headers.first<superblock_copies>()),
      working_(memory.headers[superblock_copies]),
      staging_(memory.headers[superblock_copies + 1]) {
  ASSERT(memory.headers.size() == superblock_copies + 2);
}

const SuperblockHeader& Superblock::working() const {
  ASSERT(working_known_);
  ASSERT(working_.copy == 0);
  return working_;
}

void Superblock::format(u128 cluster, const FormatOptions& format, Callback<> done) {
  working_known_ = false;
  error_ = {};
  std::memset(static_cast<void*>(&staging_), 0, sizeof(staging_));
  staging_.version = superblock_version;
  staging_.release_format = superblock_release;
  staging_.sequence = 1;
  staging_.cluster = cluster;
  staging_.state = checkpoint_state_empty(cluster);
  staging_.format = format;
  staging_.byte_order = superblock_byte_order;
  superblock_seal(staging_);
  begin(Operation::format, Stage::writing, done);
  write_slot();
}

void Superblock::open(const FormatOptions& format, Callback<> done) {
  working_known_ = false;
  error_ = {};
  given_ = format;
  begin(Operation::open, Stage::reading, done);
  read_slot();
}

void Superblock::checkpoint(const CheckpointState& state, Callback<> done) {
  const SuperblockHeader& parent = working();
  ASSERT(!error_);
  ASSERT(checkpoint_state_valid(state));
  ASSERT(state.op > parent.state.op);
  ASSERT(state.op_id != parent.state.op_id);
  begin(Operation::checkpoint, Stage::writing, done);
  if (parent.sequence == superblock_sequence_max) {
    next_tick_.done = Callback<Storage::NextTick&>::to<&Superblock::sequence_exhausted>(this);
    return storage_.next_tick(next_tick_);
  }
  std::memcpy(&staging_, &parent, sizeof(staging_));
  staging_.sequence = parent.sequence + 1;
  staging_.parent = parent.checksum;
  staging_.state = state;
  staging_.state.parent_checkpoint_id = checkpoint_id_of(parent.state);
  staging_.state.grandparent_checkpoint_id = parent.state.parent_checkpoint_id;
  superblock_seal(staging_);
  ASSERT(staging_.checksum != parent.checksum);
  write_slot();
}

// A superblock without a successor: writing one would cost the quorum.
void Superblock::sequence_exhausted(Storage::NextTick&) {
  finish({.kind = ErrorKind::checkpoint_failed,
          .reason = "no sequence is left",
          .stored = superblock_sequence_max});
}

void Superblock::begin(Operation operation, Stage stage, Callback<> done) {
  ASSERT(operation_ == Operation::none && stage_ == Stage::idle);
  ASSERT(operation != Operation::none && stage != Stage::idle);
  ASSERT(done);
  operation_ = operation;
  stage_ = stage;
  done_ = done;
  slot_ = 0;
  attempts_ = 0;
  readings_ = 0;
}

void Superblock::finish(const Error& error) {
  ASSERT(operation_ != Operation::none);
  ASSERT(!error_);
  error_ = error;
  operation_ = Operation::none;
  stage_ = Stage::idle;
  const Callback<> done = done_;
  done_ = {};
  done();
}

IoPurpose Superblock::purpose() const {
  ASSERT(stage_ != Stage::idle);
  if (stage_ == Stage::repairing) return IoPurpose::superblock_repair;
  if (stage_ == Stage::reading) {
    return operation_ == Operation::open ? IoPurpose::superblock_read : IoPurpose::superblock_verify;
  }
  return operation_ == Operation::format ? IoPurpose::superblock_format : IoPurpose::superblock_write;
}

// The copies are written one by one, each durable before the next begins: a crash tears at most one.
void Superblock::write_slot() {
  ASSERT(stage_ == Stage::writing || stage_ == Stage::repairing);
  ASSERT(slot_ < superblock_copies && attempts_ < attempts_max);
  ASSERT(staging_.checksum == superblock_checksum(staging_));
  staging_.copy = static_cast<u16>(slot_);
  write_ = {.buffer = bytes_of(staging_),
            .offset = u64{slot_} * superblock_copy_size,
            .zone = Zone::superblock,
            .durability = Durability::on_completion,
            .tag = {.purpose = purpose()},
            .done = Callback<Storage::Write&>::to<&Superblock::write_done>(this)};
  storage_.write(write_);
}

void Superblock::write_done(Storage::Write& write) {
  ASSERT(&write == &write_);
  ASSERT(stage_ == Stage::writing || stage_ == Stage::repairing);
  dispatch(write.result);
}

void Superblock::read_slot() {
  ASSERT(stage_ == Stage::reading);
  ASSERT(slot_ < superblock_copies && attempts_ < attempts_max);
  read_ = {.buffer = std::as_writable_bytes(std::span(&slots_[slot_], 1)),
           .offset = u64{slot_} * superblock_copy_size,
           .zone = Zone::superblock,
           .tag = {.purpose = purpose()},
           .done = Callback<Storage::Read&>::to<&Superblock::read_done>(this)};
  storage_.read(read_);
}

void Superblock::read_done(Storage::Read& read) {
  ASSERT(&read == &read_);
  ASSERT(stage_ == Stage::reading);
  dispatch(read.result);
}

// One request has completed: tries it again, goes on to the next slot, or ends the stage.
void Superblock::dispatch(IoResult result) {
  ++attempts_;
  const bool again = result == IoResult::failed && attempts_ < attempts_max;
  if (!again) attempts_ = 0;
  switch (stage_) {
    case Stage::idle: UNREACHABLE();
    case Stage::reading:
      if (again) return read_slot();
      unreadable_[slot_] = result == IoResult::failed;
      if (unreadable_[slot_]) std::memset(static_cast<void*>(&slots_[slot_]), 0, superblock_copy_size);
      if (++slot_ < superblock_copies) return read_slot();
      return read_complete();
    case Stage::writing:
    case Stage::repairing:
      if (again) return write_slot();
      if (result == IoResult::failed) {
        return finish({.kind = ErrorKind::write_failed, .reason = copy_names[slot_]});
      }
      if (stage_ == Stage::repairing) {
        mark(Mark::superblock_copy_repaired);
        holds_[slot_] = static_cast<u8>(slot_);
        repair_[slot_] = false;
        return repair_next();
      }
      if (++slot_ < superblock_copies) return write_slot();
      staging_.copy = 0;
      stage_ = Stage::reading;
      slot_ = 0;
      return read_slot();
  }
}

void Superblock::read_complete() {
  ASSERT(slot_ == superblock_copies);
  if (operation_ == Operation::open) return choose();
  verify();
}

void Superblock::verify() {
  const SuperblockHeader* const copies[] = {&slots_[0], &slots_[1], &slots_[2], &slots_[3]};
  const SuperblockQuorum quorum = superblock_quorum(copies, superblock_quorum_verify);
  if (quorum.error || slots_[quorum.slot].checksum != staging_.checksum) {
    return finish(
        {.kind = ErrorKind::checkpoint_failed,
         .reason = quorum.error ? quorum.error.reason : "the superblock read back is an older one"});
  }
  ASSERT(staging_.copy == 0);
  std::memcpy(&working_, &staging_, sizeof(working_));
  working_known_ = true;
  finish({});
}

void Superblock::choose() {
  const SuperblockHeader* const copies[] = {&slots_[0], &slots_[1], &slots_[2], &slots_[3]};
  const SuperblockQuorum quorum = superblock_quorum(copies, superblock_quorum_open);
  if (quorum.error) {
    mark(Mark::superblock_none_at_open);
    return finish(quorum.error);
  }
  const Error mismatch = compare_options(slots_[quorum.slot].format, given_);
  if (mismatch) return finish(mismatch);
  if (quorum.repair != decltype(quorum.repair){} && !read_alike()) {
    if (readings_ == readings_max) {
      return finish({.kind = ErrorKind::quorum_lost, .reason = "the superblock copies never read alike"});
    }
    slot_ = 0;
    return read_slot();
  }
  mark_found(quorum);
  std::memcpy(&working_, &slots_[quorum.slot], sizeof(working_));
  working_.copy = 0;
  working_known_ = true;
  std::memcpy(&staging_, &working_, sizeof(staging_));
  holds_ = quorum.holds;
  repair_ = quorum.repair;
  stage_ = Stage::repairing;
  repair_next();
}

// Whether the slots are to be believed enough to write over some of them.
bool Superblock::read_alike() {
  ASSERT(stage_ == Stage::reading && operation_ == Operation::open);
  ASSERT(readings_ < readings_max);
  const Checksum before = reading_;
  reading_ = checksum_of(std::as_bytes(std::span<const SuperblockHeader>(slots_)));
  if (++readings_ == 1) return false;
  if (reading_ == before) return true;
  mark(Mark::superblock_misread_at_open);
  return false;
}

void Superblock::mark_found(const SuperblockQuorum& quorum) const {
  ASSERT(!quorum.error);
  if (quorum.mixed) mark(Mark::superblock_mixed_at_open);
  bool torn = false;
  for (u32 slot = 0; slot < superblock_copies; ++slot) torn |= !quorum.intact[slot] && !unreadable_[slot];
  if (torn) mark(Mark::superblock_torn_at_open);
}

// Bad copies must not outlive an open: a crash in every run would otherwise use them up.
void Superblock::repair_next() {
  slot_ = superblock_repair_next(holds_, repair_);
  if (slot_ < superblock_copies) return write_slot();
  finish({});
}

}  // namespace tonearm
