#include "table/schema.h"

#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/math.h"

namespace tonearm {

namespace {

constexpr u64 slot_checksum_size = 32;
constexpr u64 slot_address_size = 8;

}  // namespace

OptionsError table_layout(const FormatOptions& format, u16 tree_id, u32 key_size, u32 value_size,
                          TableLayout* layout, u32 values_per_change) {
  ASSERT(values_per_change == 1 || values_per_change == 2);
  ASSERT(key_size == 8 || key_size == 16 || key_size == 32);
  ASSERT(is_power_of_two(value_size) && value_size >= 8 && value_size <= 256);

  const u64 body = format.block_size - std::min(format.block_size, block_header_size);
  u64 values_per_block = body / value_size;
  if (values_per_block == 0) {
    return {.field = "block_size",
            .expected = "large enough for a header and one value of every tree",
            .given = format.block_size};
  }
  if (format.values_per_block_max != 0) {
    values_per_block = std::min<u64>(values_per_block, format.values_per_block_max);
  }
  const u64 value_count_max = u64{format.beats} * format.batch_values_max * values_per_change;
  const u64 needed = div_ceil(value_count_max, values_per_block);
  if (format.value_blocks_max != 0 && format.value_blocks_max < needed) {
    return {.field = "value_blocks_max",
            .expected = "0, or at least what a full memory table of every tree needs",
            .given = format.value_blocks_max};
  }
  const u64 value_blocks_max = std::max<u64>(needed, format.value_blocks_max);
  const u64 slot_size = slot_checksum_size + 2 * u64{key_size} + slot_address_size;
  const u64 index_size = block_header_size + value_blocks_max * slot_size;
  if (index_size > format.block_size) {
    return {.field = "block_size",
            .expected = "large enough for an index of all value blocks of a table",
            .given = format.block_size};
  }
  *layout = {
      .tree_id = tree_id,
      .key_size = key_size,
      .value_size = value_size,
      .values_per_block = static_cast<u32>(values_per_block),
      .value_count_max = static_cast<u32>(value_count_max),
      .value_blocks_max = static_cast<u32>(value_blocks_max),
      .index_size = static_cast<u32>(index_size),
  };
  ASSERT(layout->addresses_offset() + value_blocks_max * slot_address_size == index_size);
  return {};
}

const char* index_block_misfit(const TableLayout& layout, const TableKernel& kernel, const std::byte* block) {
  const BlockHeader& header = header_of(block);
  const IndexMetadata& metadata = metadata_of<IndexMetadata>(block);
  ASSERT(layout.key_size == kernel.key_size());
  if (header.block_type != BlockType::index) return "not an index block";
  if (header.size != layout.index_size) return "an index block has another size";
  if (metadata.tree_id != layout.tree_id) return "an index block is of another tree";
  if (metadata.value_blocks_max != layout.value_blocks_max || metadata.key_size != layout.key_size) {
    return "an index block is of another layout";
  }
  const u32 count = metadata.value_block_count;
  if (count < 1 || count > layout.value_blocks_max) return "an index block has no such number of blocks";
  if (!all_zero(metadata.reserved, sizeof metadata.reserved)) {
    return "an index block's reserved bytes are not zero";
  }

  const u64 unused = layout.value_blocks_max - count;
  const auto unused_zero = [=](u32 offset, u64 size) {
    return all_zero(block + offset + count * size, unused * size);
  };
  if (!unused_zero(block_header_size, slot_checksum_size) ||
      !unused_zero(layout.keys_min_offset(), layout.key_size) ||
      !unused_zero(layout.keys_max_offset(), layout.key_size) ||
      !unused_zero(layout.addresses_offset(), slot_address_size)) {
    return "an unused slot of an index block is not zero";
  }
  const IndexBlock index(layout, kernel, block);
  for (u32 i = 0; i < count; ++i) {
    const u64 padding_offset = block_header_size + i * slot_checksum_size + sizeof(Checksum);
    if (!all_zero(block + padding_offset, sizeof(Checksum))) return "an index block's padding is not zero";
    if (index.value_block(i).address < 1) return "an index block lacks an address";
    if (index.key_max(i) < index.key_min(i)) return "an index block's keys are out of order";
    if (i > 0 && index.key_min(i) <= index.key_max(i - 1)) return "an index block's keys are out of order";
  }
  return index.key_max(count - 1) > kernel.key_max() ? "an index block's keys are too great" : nullptr;
}

const char* value_block_misfit(const TableLayout& layout, const std::byte* block) {
  const BlockHeader& header = header_of(block);
  const ValueMetadata& metadata = metadata_of<ValueMetadata>(block);
  if (header.block_type != BlockType::value) return "not a value block";
  if (metadata.tree_id != layout.tree_id) return "a value block is of another tree";
  if (metadata.value_count_max != layout.values_per_block || metadata.value_size != layout.value_size) {
    return "a value block is of another layout";
  }
  const u32 count = metadata.value_count;
  if (count < 1 || count > metadata.value_count_max) return "a value block has no such number of values";
  if (header.size != block_header_size + u64{count} * metadata.value_size) {
    return "a value block has another size";
  }
  if (!all_zero(metadata.reserved, sizeof metadata.reserved)) {
    return "a value block's reserved bytes are not zero";
  }
  return nullptr;
}

Key IndexBlock::key_min(u32 index) const {
  ASSERT(index < count_);
  return kernel_->key_read(block_ + layout_->keys_min_offset(), index);
}

Key IndexBlock::key_max(u32 index) const {
  ASSERT(index < count_);
  return kernel_->key_read(block_ + layout_->keys_max_offset(), index);
}

BlockReference IndexBlock::value_block(u32 index) const {
  ASSERT(index < count_);
  BlockReference reference;
  std::memcpy(&reference.address, block_ + layout_->addresses_offset() + index * slot_address_size,
              slot_address_size);
  std::memcpy(&reference.checksum, block_ + block_header_size + index * slot_checksum_size, sizeof(Checksum));
  return reference;
}

u32 IndexBlock::lower_bound(const Key& key) const {
  return kernel_->keys_lower_bound(block_ + layout_->keys_max_offset(), count_, key);
}

u32 IndexBlock::find(const Key& key) const {
  const u32 index = lower_bound(key);
  if (index == count_) return count_;
  return key_min(index) <= key ? index : count_;
}

std::span<const std::byte> value_block_values(const TableLayout& layout, const std::byte* block) {
  ASSERT(value_block_misfit(layout, block) == nullptr);
  const ValueMetadata& metadata = metadata_of<ValueMetadata>(block);
  const u64 size = u64{metadata.value_count} * metadata.value_size;
  return {body_of(block), static_cast<std::size_t>(size)};
}

}  // namespace tonearm
