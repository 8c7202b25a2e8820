// Builds the blocks of one output table after another.
//
//     no_blocks --set_index_block--> index_block --set_value_block--> index_and_value_block
//     index_and_value_block --value_block_finish--> index_block
//     index_block --index_block_finish--> no_blocks
//
// The buffers belong to the caller; the builder seals them. A finished block is the caller's to write.
#pragma once

#include <span>

#include "base/key.h"
#include "table/schema.h"

namespace tonearm {

// What the manifest must know of a finished table.
struct BuiltTable {
  BlockReference index;
  KeyRange key_range;
  u64 snapshot_min;
  u32 value_count;
  u32 value_block_count;
};

class TableBuilder {
 public:
  enum class State : u8 { no_blocks, index_block, index_and_value_block };

  TableBuilder() = default;
  void init(const TableLayout& layout, const TableKernel& kernel);

  State state() const { return state_; }
  void set_index_block(std::byte* block);
  void set_value_block(std::byte* block);

  // Room behind the values so far, and its accounting. Only in index_and_value_block.
  std::span<std::byte> value_space();
  void values_added(u32 count);

  bool value_block_empty() const { return value_count_ == 0; }
  bool value_block_full() const { return value_count_ == layout_->values_per_block; }
  bool index_block_empty() const { return value_block_count_ == 0; }
  bool index_block_full() const { return value_block_count_ == layout_->value_blocks_max; }

  struct Finish {
    u64 address;
    u64 snapshot_min;
    u128 cluster;
    u32 sector_size;
  };
  // Seals the value block (>= 1 value) and enters it into the index block; returns the buffer.
  std::byte* value_block_finish(const Finish& finish);
  // Seals the index block (>= 1 value block, no value block set); returns the buffer.
  std::byte* index_block_finish(const Finish& finish, BuiltTable* table);
  // Takes the empty value block back (the input ended exactly at a block boundary).
  std::byte* value_block_drop();
  std::byte* index_block_drop();

 private:
  const TableLayout* layout_ = nullptr;
  const TableKernel* kernel_ = nullptr;
  State state_ = State::no_blocks;
  std::byte* index_block_ = nullptr;
  std::byte* value_block_ = nullptr;
  u32 value_count_ = 0;        // In the current value block.
  u32 value_block_count_ = 0;  // In the current index block.
  u32 value_count_total_ = 0;  // In the current table.
  KeyRange key_range_{};
};

}  // namespace tonearm
