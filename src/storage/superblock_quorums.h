// Which superblock to believe, given four slots of untrusted bytes, and how to repair the others.
// A pure function: no I/O, so that every combination of copies can be enumerated by a test.
#pragma once

#include <array>
#include <span>

#include "base/error.h"
#include "storage/superblock.h"

namespace tonearm {

struct [[nodiscard]] SuperblockQuorum {
  Error error;       // not_found, quorum_lost, fork, parent_not_connected, byte_order, release_unknown.
  u32 slot = 0;      // A slot that holds the chosen header, if there is no error.
  bool mixed = false;  // Intact copies of more than one header were found.
  std::array<bool, superblock_copies> intact{};
  // True for each slot that does not hold an intact copy of the chosen header with its own number.
  std::array<bool, superblock_copies> repair{};
  // Which copy of the chosen header the slot holds; superblock_copies: none.
  std::array<u8, superblock_copies> holds{};
};

// `threshold`: distinct intact copies that the chosen header needs. The copy field is not covered
// by the checksum: a copy whose field is out of range counts for its slot; two slots with the same
// copy number (a misdirected read or write) count once.
//
// Chosen is the highest sequence that reaches the threshold. A copy one sequence further is what a
// crash in a checkpoint leaves, and is passed over. Two sequences further means that a checkpoint
// in between, which was complete, has been lost: quorum_lost.
SuperblockQuorum superblock_quorum(std::span<const SuperblockHeader* const, superblock_copies> copies,
                                   u32 threshold);

// The slot to write next so that a crash during any of the writes costs no copy that the choice
// rests on; superblock_copies: nothing is left to do. The caller writes the chosen header to the
// slot under the slot's number, then sets holds[slot] = slot and repair[slot] = false.
u32 superblock_repair_next(const std::array<u8, superblock_copies>& holds,
                           const std::array<bool, superblock_copies>& repair);

}  // namespace tonearm
