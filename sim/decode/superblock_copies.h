// Which superblock four copies amount to: the rules of the format, written down a second time.
//
// Shares no line with the engine. It looks at bytes as a reader was given them, and says what must be
// opened, or with which error opening must end, and which copies must be written again. It also writes
// copies, so that what an engine writes can be compared byte by byte, and forged with a right checksum.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "sim/decode/disk_format.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

// As a reader was given them; empty: could not be read.
using CopiesAsRead = std::array<std::span<const std::byte>, disk_format::copies>;

// Null: intact. Else what is wrong with it.
const char* copy_fault(std::span<const std::byte> copy);

struct CopiesVerdict {
  DecodeOutcome outcome = DecodeOutcome::not_found;
  u32 slot = 0;       // The lowest that holds what was chosen, if the outcome is ok.
  u128 checksum = 0;  // Of what was chosen.
  // Of the copy that ends opening, its sequence and checksum: fork, quorum_lost, parent_not_connected.
  u64 contradicts = 0;
  u128 contradicting = 0;
  u32 intact = 0;   // Bit i: slot i.
  u32 right = 0;    // Bit i: slot i holds what was chosen, under its own number.
  u32 headers = 0;  // Different headers that are intact.
};

// `needed`: distinct copies that make a header complete: two to open, three after a write.
CopiesVerdict judge_copies(const CopiesAsRead& copies, u32 needed);

// One trailer or the manifest log, as a checkpoint state refers to them.
struct PlainTrailer {
  u128 last = 0;
  u64 address = 0;
  u64 size = 0;
  u128 payload = 0;
};

struct PlainState {
  u64 op = 0;
  u64 user_context = 0;
  u128 op_id = 0;
  PlainTrailer acquired, released;
  BlockRef manifest_oldest, manifest_newest;
  u32 manifest_blocks = 0;
  u64 storage_size = 0;
};

using CopyBytes = std::vector<std::byte>;

// The copy with number 0 that follows the header `parent`, which is empty for a formatted file.
CopyBytes encode_copy(const CopyBytes& parent, u128 cluster, const PlainState& state,
                      std::span<const std::byte> format);
// The state that a formatted file has.
PlainState plain_state_empty(u128 cluster);

template <class T>
void store(CopyBytes& bytes, u64 offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}
// Completes a copy that was changed by hand: its tail (if asked to) and its checksum.
void seal_copy(CopyBytes& copy, bool tail);

// One field of the format options as the disk has it.
struct PlainOption {
  std::string_view name;
  u32 offset;
  u32 size;
};
std::span<const PlainOption> plain_options();
u64 option_value(std::span<const std::byte> format, const PlainOption& option);

}  // namespace tonearm::sim
