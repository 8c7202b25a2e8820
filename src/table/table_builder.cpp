#include "table/table_builder.h"

#include <cstring>

#include "base/assert.h"

namespace tonearm {

void TableBuilder::init(const TableLayout& layout, const TableKernel& kernel) {
  ASSERT(state_ == State::no_blocks);
  ASSERT(layout.key_size == kernel.key_size());
  ASSERT(layout.value_size == kernel.value_size());
  layout_ = &layout;
  kernel_ = &kernel;
}

void TableBuilder::set_index_block(std::byte* block) {
  ASSERT(layout_ != nullptr && block != nullptr);
  ASSERT(state_ == State::no_blocks);
  ASSERT(index_block_ == nullptr && value_block_ == nullptr);
  ASSERT(value_count_ == 0 && value_block_count_ == 0 && value_count_total_ == 0);
  index_block_ = block;
  state_ = State::index_block;
}

void TableBuilder::set_value_block(std::byte* block) {
  ASSERT(state_ == State::index_block);
  ASSERT(block != nullptr && block != index_block_);
  ASSERT(value_block_ == nullptr && value_count_ == 0);
  ASSERT(!index_block_full());
  value_block_ = block;
  state_ = State::index_and_value_block;
}

std::span<std::byte> TableBuilder::value_space() {
  ASSERT(state_ == State::index_and_value_block);
  const u64 room = layout_->values_per_block - value_count_;
  return {body_of(value_block_) + u64{value_count_} * layout_->value_size,
          static_cast<std::size_t>(room * layout_->value_size)};
}

void TableBuilder::values_added(u32 count) {
  ASSERT(state_ == State::index_and_value_block);
  ASSERT(count <= layout_->values_per_block - value_count_);
  value_count_ += count;
}

std::byte* TableBuilder::value_block_finish(const Finish& finish) {
  ASSERT(state_ == State::index_and_value_block);
  ASSERT(value_count_ >= 1 && value_count_ <= layout_->values_per_block);
  ASSERT(!index_block_full());
  ASSERT(finish.address >= 1);

  std::byte* const block = value_block_;
  const u32 values_size = value_count_ * layout_->value_size;
  const Key key_min = kernel_->key_of(body_of(block));
  const Key key_max = kernel_->key_of(body_of(block) + values_size - layout_->value_size);
  ASSERT(value_count_ == 1 ? key_min == key_max : key_min < key_max);
  ASSERT(key_max <= kernel_->key_max());
  ASSERT_IMPLIES(value_block_count_ > 0, key_range_.max < key_min);

  block_init(block);
  metadata_of<ValueMetadata>(block) = {
      .value_count_max = layout_->values_per_block,
      .value_count = value_count_,
      .value_size = layout_->value_size,
      .tree_id = layout_->tree_id,
      .reserved = {},
  };
  const BlockSeal seal{.type = BlockType::value,
                       .address = finish.address,
                       .snapshot = finish.snapshot_min,
                       .size = block_header_size + values_size,
                       .cluster = finish.cluster};
  const Checksum checksums[2] = {block_seal(block, seal, finish.sector_size), 0};

  const u32 slot = value_block_count_;
  std::memcpy(body_of(index_block_) + slot * sizeof(checksums), checksums, sizeof(checksums));
  kernel_->key_write(index_block_ + layout_->keys_min_offset(), slot, key_min);
  kernel_->key_write(index_block_ + layout_->keys_max_offset(), slot, key_max);
  std::memcpy(index_block_ + layout_->addresses_offset() + slot * sizeof(u64), &finish.address, sizeof(u64));

  if (slot == 0) key_range_.min = key_min;
  key_range_.max = key_max;
  value_count_total_ += value_count_;
  value_block_count_ += 1;
  value_count_ = 0;
  value_block_ = nullptr;
  state_ = State::index_block;
  return block;
}

std::byte* TableBuilder::index_block_finish(const Finish& finish, BuiltTable* table) {
  ASSERT(state_ == State::index_block);
  ASSERT(value_block_count_ >= 1 && value_block_count_ <= layout_->value_blocks_max);
  ASSERT(value_count_ == 0 && value_block_ == nullptr);
  ASSERT(value_count_total_ >= value_block_count_);
  ASSERT(finish.address >= 1);

  std::byte* const block = index_block_;
  const auto zero_unused = [this, block](u32 offset, u32 size) {
    std::memset(block + offset + value_block_count_ * size, 0,
                u64{layout_->value_blocks_max - value_block_count_} * size);
  };
  zero_unused(block_header_size, 2 * sizeof(Checksum));
  zero_unused(layout_->keys_min_offset(), layout_->key_size);
  zero_unused(layout_->keys_max_offset(), layout_->key_size);
  zero_unused(layout_->addresses_offset(), sizeof(u64));

  block_init(block);
  metadata_of<IndexMetadata>(block) = {
      .value_block_count = value_block_count_,
      .value_blocks_max = layout_->value_blocks_max,
      .key_size = layout_->key_size,
      .tree_id = layout_->tree_id,
      .reserved = {},
  };
  const BlockSeal seal{.type = BlockType::index,
                       .address = finish.address,
                       .snapshot = finish.snapshot_min,
                       .size = layout_->index_size,
                       .cluster = finish.cluster};
  const Checksum checksum = block_seal(block, seal, finish.sector_size);
  *table = {
      .index = {.address = finish.address, .checksum = checksum},
      .key_range = key_range_,
      .snapshot_min = finish.snapshot_min,
      .value_count = value_count_total_,
      .value_block_count = value_block_count_,
  };
  index_block_ = nullptr;
  value_block_count_ = 0;
  value_count_total_ = 0;
  key_range_ = {};
  state_ = State::no_blocks;
  return block;
}

std::byte* TableBuilder::value_block_drop() {
  ASSERT(state_ == State::index_and_value_block);
  ASSERT(value_block_empty());
  std::byte* const block = value_block_;
  value_block_ = nullptr;
  state_ = State::index_block;
  return block;
}

std::byte* TableBuilder::index_block_drop() {
  ASSERT(state_ == State::index_block);
  ASSERT(index_block_empty() && value_count_total_ == 0);
  std::byte* const block = index_block_;
  index_block_ = nullptr;
  state_ = State::no_blocks;
  return block;
}

}  // namespace tonearm
