// How a table lies on disk: one index block and its value blocks.
//
// Index block body, n = value_blocks_max slots, the first `value_block_count` of them used and the
// others zero (verified by whoever decodes):
//
//     [n] { checksum u128, zero u128 }   of the value blocks
//     [n] key_min                        key_size bytes each
//     [n] key_max
//     [n] address u64
//
// `size` is always that of the full layout. Value block body: sorted unique values, at least one;
// size = 256 + count * value_size. The metadata makes both self-describing, so that a decoder needs
// no tree type.
#pragma once

#include <span>

#include "base/assert.h"
#include "base/key.h"
#include "base/options.h"
#include "grid/block.h"
#include "grid/grid.h"
#include "table/kernel.h"

namespace tonearm {

struct IndexMetadata {
  u32 value_block_count;
  u32 value_blocks_max;
  u32 key_size;
  u16 tree_id;
  u8 reserved[82];
};
static_assert(sizeof(IndexMetadata) == 96);

struct ValueMetadata {
  u32 value_count_max;  // Values per block.
  u32 value_count;
  u32 value_size;
  u16 tree_id;
  u8 reserved[82];
};
static_assert(sizeof(ValueMetadata) == 96);

// Sizes of the tables of one tree, derived from the format options.
struct TableLayout {
  u16 tree_id = 0;
  u32 key_size = 0;
  u32 value_size = 0;
  u32 values_per_block = 0;
  u32 value_count_max = 0;   // What one memory table holds: all that the ops of a bar may put.
  u32 value_blocks_max = 0;  // Slots of the index block.
  u32 index_size = 0;        // Header and body of the index block.

  u32 keys_min_offset() const { return block_header_size + value_blocks_max * 32; }
  u32 keys_max_offset() const { return keys_min_offset() + value_blocks_max * key_size; }
  u32 addresses_offset() const { return keys_max_offset() + value_blocks_max * key_size; }
  u32 blocks_max() const { return 1 + value_blocks_max; }
  u64 values_max() const { return u64{value_blocks_max} * values_per_block; }  // Of a table on disk.
};

// Fills `layout` or says which option makes these tables impossible (a block too small for one
// value, an index block too small for the value blocks that a full memory table needs, ...). An op may put
// batch_values_max * values_per_change values.
OptionsError table_layout(const FormatOptions& format, u16 tree_id, u32 key_size, u32 value_size,
                          TableLayout* layout, u32 values_per_change = 1);

// Why an authentic block cannot be the index block of such a table, or null: metadata, order of the keys,
// addresses, zeroes of the unused slots. Too slow for each lookup; for those who read a table as a whole.
const char* index_block_misfit(const TableLayout& layout, const TableKernel& kernel, const std::byte* block);
// The same of a value block; its values are not looked at.
const char* value_block_misfit(const TableLayout& layout, const std::byte* block);

// Read access to an authenticated index block. Asserts that the metadata fits the layout.
class IndexBlock {
 public:
  IndexBlock(const TableLayout& layout, const TableKernel& kernel, const std::byte* block)
      : layout_(&layout), kernel_(&kernel), block_(block), count_(0) {
    const BlockHeader& header = header_of(block);
    const IndexMetadata& metadata = metadata_of<IndexMetadata>(block);
    ASSERT(layout.key_size == kernel.key_size());
    ASSERT(header.block_type == BlockType::index);
    ASSERT(header.size == layout.index_size);
    ASSERT(metadata.value_blocks_max == layout.value_blocks_max);
    ASSERT(metadata.key_size == layout.key_size);
    ASSERT(metadata.tree_id == layout.tree_id);
    ASSERT(metadata.value_block_count >= 1);
    ASSERT(metadata.value_block_count <= metadata.value_blocks_max);
    count_ = metadata.value_block_count;
  }

  // Asserts all of index_block_misfit.
  void verify() const { ASSERT(index_block_misfit(*layout_, *kernel_, block_) == nullptr); }

  u32 count() const { return count_; }
  Key key_min(u32 index) const;
  Key key_max(u32 index) const;
  BlockReference value_block(u32 index) const;
  // The only value block that may hold `key`, or count() when the key lies in a gap or outside.
  u32 find(const Key& key) const;
  // First value block whose key_max >= key; count() if none.
  u32 lower_bound(const Key& key) const;

 private:
  const TableLayout* layout_;
  const TableKernel* kernel_;
  const std::byte* block_;
  u32 count_;
};

// Values of an authenticated value block. Asserts that the metadata fits the layout.
std::span<const std::byte> value_block_values(const TableLayout& layout, const std::byte* block);

}  // namespace tonearm
