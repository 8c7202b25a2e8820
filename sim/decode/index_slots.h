// The parts of blocks that lead to other blocks.
#pragma once

#include "sim/decode/disk_format.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

inline BlockRef reference(disk_format::Bytes bytes, u64 checksum_offset, u64 address_offset) {
  return {.address = disk_format::load<u64>(bytes, address_offset),
          .checksum = disk_format::load<u128>(bytes, checksum_offset)};
}

inline DecodedKey load_key(disk_format::Bytes bytes, u64 offset) {
  return {disk_format::load<u128>(bytes, offset + 16), disk_format::load<u128>(bytes, offset)};
}

inline DecodedKey load_short_key(disk_format::Bytes bytes, u64 offset, u32 key_size) {
  if (key_size == 8) return {0, disk_format::load<u64>(bytes, offset)};
  if (key_size == 16) return {0, disk_format::load<u128>(bytes, offset)};
  return load_key(bytes, offset);
}

// The slots of an index block, behind its header: checksums, least keys, greatest keys, addresses.
struct IndexSlots {
  disk_format::Bytes block;
  u64 count;
  u32 key_size;

  u64 block_size() const { return disk_format::header_size + count * (32 + 2 * u64{key_size} + 8); }
  u64 checksum_at(u64 i) const { return disk_format::header_size + i * 32; }
  u64 min_at(u64 i) const { return checksum_at(count) + i * key_size; }
  u64 max_at(u64 i) const { return min_at(count) + i * key_size; }
  u64 address_at(u64 i) const { return max_at(count) + i * 8; }
  DecodedTable::ValueBlock at(u64 i) const {
    return {.ref = reference(block, checksum_at(i), address_at(i)),
            .key_min = load_short_key(block, min_at(i), key_size),
            .key_max = load_short_key(block, max_at(i), key_size)};
  }
};

inline IndexSlots slots_of(disk_format::Bytes block) {
  return {
      .block = block,
      .count = disk_format::load<u32>(block, disk_format::header_metadata + disk_format::index_slots),
      .key_size = disk_format::load<u32>(block, disk_format::header_metadata + disk_format::index_key_size)};
}

}  // namespace tonearm::sim
