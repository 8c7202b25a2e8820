// The bytes on the disk, written down a second time and on purpose: the decoder shares no struct, no
// offset and no loop with the engine, so that a mistake in the engine's format code cannot hide in it.
// Only the hash (XXH3-128) is the same, because it is the format.
//
//   image              superblock zone of 4 * 8192 bytes; then, at the next multiple of the block size,
//                      the grid: block address a (>= 1) at (a - 1) * block_size
//   superblock copy    off 0 checksum, 32 copy u16, 34 version u16, 36 release u32, 40 sequence u64,
//                      48 cluster, 64 parent checksum, 96 checkpoint state (1024), 1120 format (64),
//                      1184 byte order u64, zero, 8144 tail {sequence u64, 0, checkpoint id, 0}
//   block              off 0 checksum, 32 body checksum, 80 cluster, 96 size u32, 108 release u32,
//                      114 command u8, 128 metadata (96), 224 address u64, 232 snapshot u64, 240 type u8,
//                      256 body
//
// Every checksum is followed by 16 zero bytes.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/types.h"

namespace tonearm::sim::disk_format {

// --- superblock
inline constexpr u32 copies = 4;
inline constexpr u32 copy_size = 8192;
inline constexpr u32 copy_checksum_from = 34;
inline constexpr u32 copy_number = 32, copy_version = 34, copy_release = 36, copy_sequence = 40,
                     copy_cluster = 48;
inline constexpr u32 copy_parent = 64, copy_state = 96, copy_format = 1120, copy_byte_order = 1184;
inline constexpr u32 copy_zero_from = 1192, copy_tail = 8144;
inline constexpr u32 state_size = 1024;
inline constexpr u64 byte_order_native = 0x0102030405060708;
inline constexpr u32 quorum = 2;
inline constexpr u32 release_known = 1;

// --- checkpoint state, from its start
inline constexpr u32 state_op = 0, state_user_context = 8, state_op_id = 16;
inline constexpr u32 state_acquired_last = 32, state_released_last = 64;
inline constexpr u32 state_manifest_oldest = 128, state_manifest_newest = 160;
inline constexpr u32 state_acquired_payload = 224, state_released_payload = 240, state_parent_id = 272;
inline constexpr u32 state_grandparent_id = 288;
inline constexpr u32 state_acquired_address = 304, state_released_address = 312;
inline constexpr u32 state_manifest_oldest_address = 328, state_manifest_newest_address = 336;
inline constexpr u32 state_storage_size = 352, state_acquired_size = 360, state_released_size = 368;
inline constexpr u32 state_manifest_blocks = 384, state_release = 388;

// --- format options, from their start
inline constexpr u32 format_sector = 0, format_block = 4, format_levels = 8, format_growth = 12,
                     format_beats = 16;
inline constexpr u32 format_interval = 20, format_batch = 24, format_values_per_block = 36;

// --- block
inline constexpr u32 header_size = 256;
inline constexpr u32 header_checksum_from = 32;
inline constexpr u32 header_padding = 16, header_body_checksum = 32, header_body_padding = 48;
inline constexpr u32 header_cluster = 80, header_block_size = 96, header_release = 108;
inline constexpr u32 header_command = 114, header_metadata = 128, header_address = 224, header_snapshot = 232;
inline constexpr u32 header_type = 240;
inline constexpr u8 command_block = 17;
inline constexpr u8 type_free_set = 1, type_manifest = 3, type_index = 4, type_value = 5;

// --- metadata, from its start
inline constexpr u32 chain_previous = 0, chain_previous_address = 32;  // Trailer and manifest blocks.
inline constexpr u32 chain_padding = 16, trailer_reserved = 40, trailer_reserved_size = 56;
inline constexpr u32 manifest_count = 40;
inline constexpr u32 index_count = 0, index_slots = 4, index_key_size = 8, index_tree = 12;
inline constexpr u32 value_count_max = 0, value_count = 4, value_size = 8, value_tree = 12;
inline constexpr u32 index_reserved = 14, index_reserved_size = 82;
inline constexpr u32 value_reserved = 14, value_reserved_size = 82;

// --- manifest entry
inline constexpr u32 entry_size = 128;
inline constexpr u32 entry_key_min = 0, entry_key_max = 32, entry_checksum = 64, entry_address = 96;
inline constexpr u32 entry_snapshot_min = 104, entry_snapshot_max = 112, entry_value_count = 120;
inline constexpr u32 entry_tree = 124, entry_label = 126;
inline constexpr u8 event_insert = 1, event_update = 2, event_remove = 3;

using Bytes = std::span<const std::byte>;

template <class T>
T load(Bytes bytes, u64 offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

// The first byte is zero, and each byte equals the one before it.
inline bool all_zero(Bytes bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

u128 checksum(Bytes bytes);

// "0x" and 32 digits.
std::string hex(u128 value);

// What a trailer's stream says, without zero words at the end. EWAH: marker (bit 0 the uniform bit, 31 bits
// count of uniform words, 32 bits count of literals), literals. False: it is none, or describes too much.
inline constexpr u64 bitmap_words_max = u64{1} << 20;
bool decode_bitmap(Bytes stream, std::vector<u64>* words);

}  // namespace tonearm::sim::disk_format
