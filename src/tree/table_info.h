// One table as the manifest knows it; also one entry of the manifest log. 128 bytes on disk:
//
//   off size field
//     0  32  key_min
//    32  32  key_max
//    64 16+16 checksum of the index block, zero
//    96   8  address of the index block
//   104   8  snapshot_min     first op that sees the table
//   112   8  snapshot_max     2^64 - 1: only the latest snapshot is public, so live tables never end
//   120   4  value_count
//   124   2  tree_id
//   126   1  label            bits 0..5 level, bits 6..7 event
//   127   1  zero
#pragma once

#include <type_traits>

#include "base/assert.h"
#include "base/key.h"
#include "grid/grid.h"

namespace tonearm {

inline constexpr u64 snapshot_max_live = u64_max;

enum class ManifestEvent : u8 {
  none = 0,    // In memory only.
  insert = 1,  // A new table.
  update = 2,  // The table moved: it is at this level now. (One entry, never remove and insert.)
  remove = 3,
};

struct TableInfo {
  Key key_min;
  Key key_max;
  Checksum checksum;
  u128 checksum_padding;
  u64 address;
  u64 snapshot_min;
  u64 snapshot_max;
  u32 value_count;
  u16 tree_id;
  u8 label;
  u8 reserved;

  friend bool operator==(const TableInfo&, const TableInfo&) = default;

  KeyRange range() const { return {.min = key_min, .max = key_max}; }
  BlockReference index_block() const { return {.address = address, .checksum = checksum}; }
  u32 level() const { return label & 63U; }
  ManifestEvent event() const { return static_cast<ManifestEvent>(label >> 6); }
  void set_label(u32 level, ManifestEvent event) {
    ASSERT(level < 64);
    label = static_cast<u8>(level | static_cast<u32>(event) << 6);
  }
};
static_assert(sizeof(TableInfo) == 128);
static_assert(std::is_trivially_copyable_v<TableInfo>);
static_assert(std::has_unique_object_representations_v<TableInfo>);

// Why nobody can have appended this to the manifest log, or null. The address may lie behind the storage
// limit of today: then its table was removed before the limit was lowered.
const char* manifest_entry_misfit(const TableInfo& entry, u32 levels);

}  // namespace tonearm
