#include "sim/decode/superblock_copies.h"

#include <bit>
#include <set>

#include "base/assert.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

using f::Bytes;
using f::load;

constexpr u64 zone_size = u64{f::copies} * f::copy_size;

bool zeros(Bytes bytes, u64 begin, u64 end) { return f::all_zero(bytes.subspan(begin, end - begin)); }

bool newer(Bytes copy) {
  return load<u16>(copy, f::copy_version) > f::release_known ||
         load<u32>(copy, f::copy_release) > f::release_known ||
         load<u32>(copy, f::copy_state + f::state_release) > f::release_known;
}

const char* trailer_fault(Bytes state, u32 last, u32 address, u32 size, u32 payload) {
  if (load<u64>(state, size) != 0)
    return load<u64>(state, address) == 0 ? "a trailer without a block" : nullptr;
  const bool nothing = load<u128>(state, last) == 0 && load<u64>(state, address) == 0;
  return nothing && load<u128>(state, payload) == f::checksum({}) ? nullptr : "an empty trailer with a block";
}

const char* manifest_fault(Bytes state) {
  const u32 blocks = load<u32>(state, f::state_manifest_blocks);
  const u64 oldest = load<u64>(state, f::state_manifest_oldest_address);
  const u64 newest = load<u64>(state, f::state_manifest_newest_address);
  const u128 oldest_checksum = load<u128>(state, f::state_manifest_oldest);
  const u128 newest_checksum = load<u128>(state, f::state_manifest_newest);
  if (blocks == 0) {
    const bool nothing = oldest == 0 && newest == 0 && oldest_checksum == 0 && newest_checksum == 0;
    return nothing ? nullptr : "an empty manifest with a block";
  }
  if (oldest == 0 || newest == 0) return "a manifest without a block";
  if (blocks > 1) return oldest == newest ? "a manifest whose two ends are one block" : nullptr;
  return oldest == newest && oldest_checksum == newest_checksum ? nullptr : "a manifest block with two ends";
}

const char* state_fault(Bytes state) {
  struct Gap {
    u32 begin, end;
  };
  // The second halves of checksums, what is reserved, snapshots.
  constexpr Gap gaps[] = {{48, 64},   {80, 128},  {144, 160}, {176, 224}, {256, 272},
                          {320, 328}, {344, 352}, {376, 384}, {392, 1024}};
  for (const Gap& gap : gaps) {
    if (!zeros(state, gap.begin, gap.end)) return "reserved bytes of the state";
  }
  if (load<u32>(state, f::state_release) == 0) return "release 0";
  const char* fault = trailer_fault(state, f::state_acquired_last, f::state_acquired_address,
                                    f::state_acquired_size, f::state_acquired_payload);
  if (fault == nullptr) {
    fault = trailer_fault(state, f::state_released_last, f::state_released_address, f::state_released_size,
                          f::state_released_payload);
  }
  if (fault == nullptr) fault = manifest_fault(state);
  if (fault != nullptr) return fault;
  const bool trailers =
      load<u64>(state, f::state_acquired_size) != 0 || load<u64>(state, f::state_released_size) != 0;
  const u64 size = load<u64>(state, f::state_storage_size);
  return size < zone_size || (size > zone_size) != trailers ? "storage size" : nullptr;
}

}  // namespace

const char* copy_fault(Bytes copy) {
  if (copy.empty()) return "cannot be read";
  if (load<u128>(copy, 0) != f::checksum(copy.subspan(f::copy_checksum_from))) return "checksum";
  if (!zeros(copy, 16, 32)) return "checksum padding";
  if (load<u64>(copy, f::copy_byte_order) != f::byte_order_native) return "byte order";
  const u64 sequence = load<u64>(copy, f::copy_sequence);
  if (sequence == 0 || sequence == u64_max) return "sequence";  // Nothing can follow the last one.
  // Its own error tells it apart; what else a later release keeps where is not known.
  if (newer(copy)) return nullptr;
  if (load<u16>(copy, f::copy_version) == 0 || load<u32>(copy, f::copy_release) == 0) return "release 0";
  if (!zeros(copy, f::copy_parent + 16, f::copy_state)) return "parent padding";
  if (!zeros(copy, f::copy_zero_from, f::copy_tail)) return "padding";
  if (load<u64>(copy, f::copy_tail) != sequence) return "tail sequence";
  if (!zeros(copy, f::copy_tail + 8, f::copy_tail + 16)) return "tail padding";
  const Bytes state = copy.subspan(f::copy_state, f::state_size);
  if (load<u128>(copy, f::copy_tail + 16) != f::checksum(state)) return "tail checkpoint id";
  if (!zeros(copy, f::copy_tail + 32, f::copy_size)) return "tail padding";
  const bool first = sequence == 1;
  if (first != (load<u128>(copy, f::copy_parent) == 0)) return "parent";
  if (first != (load<u64>(state, f::state_op) == 0)) return "op";
  return state_fault(state);
}

namespace {

struct Seen {
  Bytes bytes;
  bool intact = false;
  u32 number = 0;  // One out of range, which the checksum does not cover, stands for its slot.
  u64 sequence = 0;
  u128 checksum = 0;

  bool same(const Seen& other) const { return intact && other.intact && checksum == other.checksum; }
};
using AllSeen = std::array<Seen, f::copies>;

AllSeen look(const CopiesAsRead& copies) {
  AllSeen seen;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    if (copy_fault(copies[slot]) != nullptr) continue;
    const Bytes bytes = copies[slot];
    const u32 number = load<u16>(bytes, f::copy_number);
    seen[slot] = {.bytes = bytes,
                  .intact = true,
                  .number = number < f::copies ? number : slot,
                  .sequence = load<u64>(bytes, f::copy_sequence),
                  .checksum = load<u128>(bytes, 0)};
  }
  return seen;
}

u32 distinct(const AllSeen& seen, const Seen& header) {
  u32 numbers = 0;
  for (const Seen& one : seen) {
    if (one.same(header)) numbers |= 1U << one.number;
  }
  return static_cast<u32>(std::popcount(numbers));
}

bool follows(Bytes child, const Seen& parent) {
  const Bytes state = child.subspan(f::copy_state, f::state_size);
  const Bytes old_state = parent.bytes.subspan(f::copy_state, f::state_size);
  return load<u128>(child, f::copy_parent) == parent.checksum &&
         load<u128>(child, f::copy_cluster) == load<u128>(parent.bytes, f::copy_cluster) &&
         load<u64>(state, f::state_op) > load<u64>(old_state, f::state_op) &&
         load<u128>(state, f::state_parent_id) == f::checksum(old_state);
}

// What a copy of another header says about the chosen one.
DecodeOutcome compare(const Seen& chosen, const Seen& other) {
  if (other.sequence == chosen.sequence) return DecodeOutcome::fork;
  // One further is what a crash in a checkpoint leaves. Of two further, the first was complete.
  if (other.sequence > chosen.sequence && other.sequence - chosen.sequence > 1) {
    return DecodeOutcome::quorum_lost;
  }
  if (other.sequence < chosen.sequence && chosen.sequence - other.sequence == 1 &&
      !follows(chosen.bytes, other)) {
    return DecodeOutcome::parent_not_connected;
  }
  return DecodeOutcome::ok;
}

bool other_byte_order(Bytes copy) {
  return !copy.empty() && load<u64>(copy, f::copy_byte_order) == __builtin_bswap64(f::byte_order_native);
}

}  // namespace

CopiesVerdict judge_copies(const CopiesAsRead& copies, u32 needed) {
  const AllSeen seen = look(copies);
  CopiesVerdict verdict;
  std::set<u128> headers;
  const Seen* chosen = nullptr;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    const Seen& one = seen[slot];
    if (!one.intact) continue;
    verdict.intact |= 1U << slot;
    headers.insert(one.checksum);
    if (distinct(seen, one) < needed) continue;
    if (chosen == nullptr || one.sequence > chosen->sequence) chosen = &one;
  }
  verdict.headers = static_cast<u32>(headers.size());
  if (chosen == nullptr) {
    verdict.outcome = headers.empty() ? DecodeOutcome::not_found : DecodeOutcome::quorum_lost;
    for (const Bytes copy : copies) {
      if (headers.empty() && other_byte_order(copy)) verdict.outcome = DecodeOutcome::byte_order;
    }
    return verdict;
  }
  verdict.slot = static_cast<u32>(chosen - seen.data());
  verdict.checksum = chosen->checksum;
  verdict.outcome = newer(chosen->bytes) ? DecodeOutcome::release_unknown : DecodeOutcome::ok;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    const Seen& one = seen[slot];
    if (one.same(*chosen)) {
      if (load<u16>(one.bytes, f::copy_number) == slot) verdict.right |= 1U << slot;
    } else if (one.intact && verdict.outcome == DecodeOutcome::ok) {
      verdict.outcome = compare(*chosen, one);
      if (verdict.outcome == DecodeOutcome::ok) continue;
      verdict.contradicts = one.sequence;
      verdict.contradicting = one.checksum;
    }
  }
  return verdict;
}

PlainState plain_state_empty(u128 cluster) {
  const PlainTrailer none{.payload = f::checksum({})};
  return {.op_id = f::checksum(std::as_bytes(std::span(&cluster, 1))),
          .acquired = none,
          .released = none,
          .manifest_oldest = {},
          .manifest_newest = {},
          .storage_size = zone_size};
}

CopyBytes encode_copy(const CopyBytes& parent, u128 cluster, const PlainState& state, Bytes format) {
  CopyBytes copy(f::copy_size);
  store<u16>(copy, f::copy_version, 1);
  store<u32>(copy, f::copy_release, 1);
  store<u64>(copy, f::copy_sequence, 1);
  store(copy, f::copy_cluster, cluster);
  const u64 at = f::copy_state;
  if (!parent.empty()) {
    store<u64>(copy, f::copy_sequence, load<u64>(parent, f::copy_sequence) + 1);
    store(copy, f::copy_parent, load<u128>(parent, 0));
    store(copy, at + f::state_parent_id, f::checksum(Bytes(parent).subspan(at, f::state_size)));
    store(copy, at + f::state_grandparent_id, load<u128>(parent, at + f::state_parent_id));
  }
  store(copy, at + f::state_op, state.op);
  store(copy, at + f::state_user_context, state.user_context);
  store(copy, at + f::state_op_id, state.op_id);
  store(copy, at + f::state_acquired_last, state.acquired.last);
  store(copy, at + f::state_acquired_address, state.acquired.address);
  store(copy, at + f::state_acquired_size, state.acquired.size);
  store(copy, at + f::state_acquired_payload, state.acquired.payload);
  store(copy, at + f::state_released_last, state.released.last);
  store(copy, at + f::state_released_address, state.released.address);
  store(copy, at + f::state_released_size, state.released.size);
  store(copy, at + f::state_released_payload, state.released.payload);
  store(copy, at + f::state_manifest_oldest, state.manifest_oldest.checksum);
  store(copy, at + f::state_manifest_oldest_address, state.manifest_oldest.address);
  store(copy, at + f::state_manifest_newest, state.manifest_newest.checksum);
  store(copy, at + f::state_manifest_newest_address, state.manifest_newest.address);
  store(copy, at + f::state_manifest_blocks, state.manifest_blocks);
  store(copy, at + f::state_storage_size, state.storage_size);
  store<u32>(copy, at + f::state_release, 1);
  ASSERT(format.size() == 64);
  std::memcpy(copy.data() + f::copy_format, format.data(), format.size());
  store(copy, f::copy_byte_order, f::byte_order_native);
  seal_copy(copy, true);
  return copy;
}

void seal_copy(CopyBytes& copy, bool tail) {
  if (tail) {
    store(copy, f::copy_tail, load<u64>(copy, f::copy_sequence));
    store(copy, f::copy_tail + 16, f::checksum(Bytes(copy).subspan(f::copy_state, f::state_size)));
  }
  store(copy, 0, f::checksum(Bytes(copy).subspan(f::copy_checksum_from)));
}

std::span<const PlainOption> plain_options() {
  static constexpr PlainOption options[] = {
      {"sector_size", 0, 4},
      {"block_size", 4, 4},
      {"levels", 8, 4},
      {"growth", 12, 4},
      {"beats", 16, 4},
      {"checkpoint_interval", 20, 4},
      {"batch_values_max", 24, 4},
      {"coalescing_percent", 28, 4},
      {"manifest_extra_blocks", 32, 4},
      {"values_per_block_max", 36, 4},
      {"value_blocks_max", 40, 4},
      {"reserved", 44, 4},
      {"schema_hash", 48, 8},
      {"reserved2", 56, 8},
  };
  return options;
}

u64 option_value(Bytes format, const PlainOption& option) {
  return option.size == 8 ? load<u64>(format, option.offset) : load<u32>(format, option.offset);
}

}  // namespace tonearm::sim
