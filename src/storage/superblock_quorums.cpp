#include "storage/superblock_quorums.h"

#include <cstring>

#include "base/assert.h"

namespace tonearm {

namespace {

constexpr u8 holds_none = superblock_copies;

// All intact copies with one checksum.
struct Group {
  const SuperblockHeader* header = nullptr;
  u32 slot = 0;                                   // The lowest that holds it.
  std::array<bool, superblock_copies> numbers{};  // Distinct copies found.

  u32 count() const {
    u32 found = 0;
    for (const bool number : numbers) found += number ? 1 : 0;
    return found;
  }
};

struct Groups {
  std::array<Group, superblock_copies> items{};
  u32 count = 0;

  std::span<const Group> all() const { return std::span(items).first(count); }
};

template <class T>
bool zero(const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  return bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, sizeof(T) - 1) == 0;
}

bool newer_release(const SuperblockHeader& header) {
  return header.version > superblock_version || header.state.release > superblock_release ||
         header.release_format > superblock_release;
}

// Of a later release only the fields that lead to the typed error are understood: its checksum is
// right, and what it keeps in our padding is not ours to judge.
bool intact(const SuperblockHeader& header) {
  if (header.checksum != superblock_checksum(header)) return false;
  if (header.checksum_padding != 0) return false;
  if (header.byte_order != superblock_byte_order) return false;
  if (header.sequence == 0 || header.sequence > superblock_sequence_max) return false;
  if (newer_release(header)) return true;
  if (header.version != superblock_version || header.release_format == 0) return false;
  if (header.parent_padding != 0 || !zero(header.reserved)) return false;
  if (header.tail_sequence != header.sequence || header.tail_zero != 0) return false;
  if (header.tail_checkpoint_id != checkpoint_id_of(header.state) || header.tail_zero2 != 0) return false;
  if ((header.sequence == 1) != (header.parent == 0)) return false;
  if ((header.sequence == 1) != (header.state.op == 0)) return false;
  return checkpoint_state_valid(header.state);
}

u8 copy_number(const SuperblockHeader& header, u32 slot) {
  return static_cast<u8>(header.copy < superblock_copies ? header.copy : slot);
}

Groups group_by_checksum(std::span<const SuperblockHeader* const, superblock_copies> copies,
                         const std::array<bool, superblock_copies>& intact_slots) {
  Groups groups;
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    if (!intact_slots[slot]) continue;
    const SuperblockHeader& header = *copies[slot];
    u32 at = 0;
    while (at < groups.count && groups.items[at].header->checksum != header.checksum) ++at;
    if (at == groups.count) {
      groups.items[at] = {.header = &header, .slot = slot};
      ++groups.count;
    }
    groups.items[at].numbers[copy_number(header, slot)] = true;
  }
  ASSERT(groups.count <= superblock_copies);
  return groups;
}

const Group* best_of(const Groups& groups, u32 threshold) {
  const Group* best = nullptr;
  for (const Group& group : groups.all()) {
    if (group.count() < threshold) continue;
    if (best == nullptr || group.header->sequence > best->header->sequence) best = &group;
  }
  return best;
}

// Why there is nothing at all. The checksum is native too, so that no copy of the other byte order
// is intact: only its mark can be recognised.
Error nothing_intact(std::span<const SuperblockHeader* const, superblock_copies> copies) {
  for (const SuperblockHeader* header : copies) {
    if (header->byte_order == __builtin_bswap64(superblock_byte_order)) {
      return {.kind = ErrorKind::byte_order, .reason = "written on a machine of the other byte order"};
    }
  }
  return {.kind = ErrorKind::not_found, .reason = "no superblock copy is intact"};
}

// What another group says about the chosen one.
Error judge(const SuperblockHeader& best, const SuperblockHeader& other) {
  ASSERT(best.checksum != other.checksum);
  if (other.sequence == best.sequence) {
    return {.kind = ErrorKind::fork,
            .checksum = other.checksum,
            .reason = "two superblocks with one sequence",
            .stored = other.sequence};
  }
  if (other.sequence > best.sequence && other.sequence - best.sequence > 1) {
    return {.kind = ErrorKind::quorum_lost,
            .checksum = other.checksum,
            .reason = "the parent of a newer superblock copy has been lost",
            .stored = other.sequence};
  }
  if (other.sequence + 1 == best.sequence) {
    const bool connected = other.checksum == best.parent && other.cluster == best.cluster &&
                           other.state.op < best.state.op &&
                           best.state.parent_checkpoint_id == checkpoint_id_of(other.state);
    if (!connected) {
      return {.kind = ErrorKind::parent_not_connected,
              .checksum = other.checksum,
              .reason = "a superblock does not follow from the one before it",
              .stored = other.sequence};
    }
  }
  return {};
}

Error release_error(const SuperblockHeader& header) {
  if (!newer_release(header)) return {};
  if (header.version > superblock_version) {
    return {.kind = ErrorKind::release_unknown,
            .reason = "a newer layout of the superblock",
            .stored = header.version,
            .given = superblock_version};
  }
  const bool state_newer = header.state.release > superblock_release;
  return {.kind = ErrorKind::release_unknown,
          .reason = "written by a newer release",
          .stored = state_newer ? header.state.release : header.release_format,
          .given = superblock_release};
}

void locate_copies(SuperblockQuorum& quorum,
                   std::span<const SuperblockHeader* const, superblock_copies> copies) {
  const Checksum chosen = copies[quorum.slot]->checksum;
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    const bool held = quorum.intact[slot] && copies[slot]->checksum == chosen;
    quorum.holds[slot] = held ? copy_number(*copies[slot], slot) : holds_none;
    quorum.repair[slot] = !held || copies[slot]->copy != slot;
  }
  ASSERT(quorum.holds[quorum.slot] != holds_none);
}

}  // namespace

SuperblockQuorum superblock_quorum(std::span<const SuperblockHeader* const, superblock_copies> copies,
                                   u32 threshold) {
  // At two or more of four, two headers can be complete at once, but a torn one never wins.
  ASSERT(threshold >= 2 && threshold <= superblock_copies);
  SuperblockQuorum quorum;
  for (u32 slot = 0; slot < superblock_copies; ++slot) quorum.intact[slot] = intact(*copies[slot]);
  const Groups groups = group_by_checksum(copies, quorum.intact);
  quorum.mixed = groups.count > 1;
  if (groups.count == 0) {
    quorum.error = nothing_intact(copies);
    return quorum;
  }
  const Group* best = best_of(groups, threshold);
  if (best == nullptr) {
    quorum.error = {.kind = ErrorKind::quorum_lost, .reason = "too few superblock copies agree"};
    return quorum;
  }
  quorum.error = release_error(*best->header);
  for (const Group& group : groups.all()) {
    if (quorum.error) return quorum;
    if (&group != best) quorum.error = judge(*best->header, *group.header);
  }
  if (quorum.error) return quorum;
  quorum.slot = best->slot;
  locate_copies(quorum, copies);
  return quorum;
}

u32 superblock_repair_next(const std::array<u8, superblock_copies>& holds,
                           const std::array<bool, superblock_copies>& repair) {
  std::array<u32, superblock_copies> found{};  // By number.
  for (const u8 number : holds) {
    ASSERT(number <= holds_none);
    if (number != holds_none) ++found[number];
  }
  // First the slots that hold nothing of worth: those whose copy is nowhere, then those whose copy
  // strayed elsewhere. Then a slot with a copy that another slot holds as well. When only copies in
  // each other's slots are left, all four are intact, and giving up one leaves three.
  u32 strayed = superblock_copies;
  u32 duplicate = superblock_copies;
  u32 misplaced = superblock_copies;
  for (u32 slot = superblock_copies; slot-- > 0;) {
    if (!repair[slot]) continue;
    if (holds[slot] == holds_none) {
      if (found[slot] == 0) return slot;
      strayed = slot;
    } else if (found[holds[slot]] > 1) {
      duplicate = slot;
    } else {
      misplaced = slot;
    }
  }
  if (strayed != superblock_copies) return strayed;
  if (duplicate != superblock_copies) return duplicate;
  return misplaced;
}

}  // namespace tonearm
