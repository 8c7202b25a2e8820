#include "table/table_builder.h"

#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <string_view>

#include "table/test_values.h"

namespace tonearm {
namespace {

using namespace test;

constexpr u32 block_size = 4096;

struct AlignedDelete {
  void operator()(std::byte* bytes) const { ::operator delete (bytes, std::align_val_t{4096}); }
};
using Block = std::unique_ptr<std::byte, AlignedDelete>;

Block make_block() {
  Block block(static_cast<std::byte*>(::operator new (block_size, std::align_val_t{4096})));
  std::memset(block.get(), 0xA5, block_size);
  return block;
}

template <class T>
TableLayout layout_for(const FormatOptions& format) {
  TableLayout layout;
  REQUIRE(!table_layout(format, 9, kernel_of<T>().key_size(), kernel_of<T>().value_size(), &layout));
  return layout;
}

FormatOptions small_format(u32 value_blocks, u32 values_per_block) {
  FormatOptions format;
  format.beats = 2;
  format.batch_values_max = 1;
  format.values_per_block_max = values_per_block;
  format.value_blocks_max = value_blocks;
  return format;
}

// Builds one table of `counts.size()` value blocks and reads it back.
template <class T>
void round_trip(TableBuilder& builder, const TableLayout& layout, const std::vector<u32>& counts) {
  const auto& kernel = kernel_of<T>();
  std::vector<Row> rows;
  u32 total = 0;
  for (const u32 count : counts) total += count;
  for (u32 index = 0; index < total; ++index) {
    // Every other key, so that there are gaps to look into.
    rows.push_back({.key = domain_key(T{}, 2 * index + 1), .payload = 0, .tombstone = index % 3 == 0});
  }
  std::sort(rows.begin(), rows.end(), key_less);
  auto values = values_of<T>(rows);

  std::vector<Block> blocks;
  Block index_buffer = make_block();
  builder.set_index_block(index_buffer.get());
  REQUIRE(builder.index_block_empty());
  const std::byte* next = bytes_of(values);
  TableBuilder::Finish finish{.address = 100, .snapshot_min = 33, .cluster = 77, .sector_size = 512};
  for (const u32 count : counts) {
    blocks.push_back(make_block());
    builder.set_value_block(blocks.back().get());
    REQUIRE(builder.value_block_empty());
    // In two steps, as merges add them.
    for (const u32 part : {count / 2, count - count / 2}) {
      REQUIRE(builder.value_space().size() >= u64{part} * layout.value_size);
      std::memcpy(builder.value_space().data(), next, u64{part} * layout.value_size);
      next += u64{part} * layout.value_size;
      builder.values_added(part);
    }
    REQUIRE(builder.value_block_full() == (count == layout.values_per_block));
    finish.address += 1;
    REQUIRE(builder.value_block_finish(finish) == blocks.back().get());
  }
  REQUIRE(builder.index_block_full() == (counts.size() == layout.value_blocks_max));
  finish.address = 500;
  BuiltTable table{};
  REQUIRE(builder.index_block_finish(finish, &table) == index_buffer.get());
  REQUIRE(builder.state() == TableBuilder::State::no_blocks);

  REQUIRE(table.value_count == total);
  REQUIRE(table.value_block_count == counts.size());
  REQUIRE(table.snapshot_min == 33);
  REQUIRE(table.key_range.min == rows.front().key);
  REQUIRE(table.key_range.max == rows.back().key);
  REQUIRE(table.index.address == 500);
  REQUIRE(block_verify(index_buffer.get(), block_size, 512, table.index.checksum) == BlockResult::valid);
  REQUIRE(header_of(index_buffer.get()).size == layout.index_size);

  const IndexBlock index(layout, kernel, index_buffer.get());
  index.verify();
  REQUIRE(index.count() == counts.size());
  u32 at = 0;
  std::vector<Row> read;
  for (u32 slot = 0; slot < index.count(); ++slot) {
    REQUIRE(index.key_min(slot) == rows[at].key);
    REQUIRE(index.key_max(slot) == rows[at + counts[slot] - 1].key);
    REQUIRE(index.value_block(slot).address == 101 + slot);
    const std::byte* block = blocks[slot].get();
    REQUIRE(block_verify(block, block_size, 512, index.value_block(slot).checksum) == BlockResult::valid);
    const std::span<const std::byte> bytes = value_block_values(layout, block);
    REQUIRE(bytes.size() == u64{counts[slot]} * layout.value_size);
    const std::vector<Row> part = rows_of<T>(bytes.data(), counts[slot]);
    read.insert(read.end(), part.begin(), part.end());
    at += counts[slot];
  }
  REQUIRE(read == rows);
  for (u32 number = 0; number < 2 * total + 2; ++number) {
    const Key key = domain_key(T{}, number);
    u32 first = 0;
    while (first < index.count() && index.key_max(first) < key) ++first;
    const bool inside = first < index.count() && index.key_min(first) <= key;
    REQUIRE(index.lower_bound(key) == first);
    REQUIRE(index.find(key) == (inside ? first : index.count()));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("what was built can be read", "[table_builder][schema]", KvTraits, IndexTraits, IdTraits,
                   WideTraits) {
  Random random(1);
  TableBuilder builder;
  for (u32 slots = 1; slots <= 9; ++slots) {
    const TableLayout layout = layout_for<TestType>(small_format(slots < 2 ? 2 : slots, 1 + slots));
    builder.init(layout, kernel_of<TestType>());
    for (u32 used = 1; used <= layout.value_blocks_max; ++used) {
      std::vector<u32> counts;
      for (u32 slot = 0; slot < used; ++slot) counts.push_back(1 + random.below(layout.values_per_block));
      counts[random.below(used)] = layout.values_per_block;
      round_trip<TestType>(builder, layout, counts);
    }
  }
}

TEST_CASE("a table of one slot and one value is a table", "[table_builder][schema]") {
  FormatOptions format = small_format(0, 2);
  const TableLayout layout = layout_for<KvTraits>(format);
  REQUIRE(layout.value_blocks_max == 1);
  REQUIRE(layout.blocks_max() == 2);
  TableBuilder builder;
  builder.init(layout, kv_kernel);
  round_trip<KvTraits>(builder, layout, {1});
  round_trip<KvTraits>(builder, layout, {2});
}

TEST_CASE("empty blocks can be taken back", "[table_builder]") {
  const TableLayout layout = layout_for<KvTraits>(FormatOptions{});
  TableBuilder builder;
  builder.init(layout, kv_kernel);
  Block index = make_block();
  Block value = make_block();
  builder.set_index_block(index.get());
  builder.set_value_block(value.get());
  CHECK(builder.state() == TableBuilder::State::index_and_value_block);
  CHECK(builder.value_block_drop() == value.get());
  CHECK(builder.state() == TableBuilder::State::index_block);
  CHECK(builder.index_block_drop() == index.get());
  CHECK(builder.state() == TableBuilder::State::no_blocks);
}

TEST_CASE("the layout follows from the format", "[schema]") {
  FormatOptions format;  // 4 KiB blocks, 4 beats of 60 values.
  TableLayout layout;
  REQUIRE(!table_layout(format, 4, 8, 16, &layout));
  CHECK(layout.tree_id == 4);
  CHECK(layout.values_per_block == (4096 - 256) / 16);
  CHECK(layout.value_count_max == 240);
  CHECK(layout.value_blocks_max == 1);
  CHECK(layout.index_size == 256 + 32 + 2 * 8 + 8);

  format.values_per_block_max = 7;
  REQUIRE(!table_layout(format, 4, 16, 32, &layout));
  CHECK(layout.values_per_block == 7);
  CHECK(layout.value_blocks_max == 35);
  CHECK(layout.index_size == 256 + 35 * 72);
  CHECK(layout.keys_min_offset() == 256 + 35 * 32);
  CHECK(layout.keys_max_offset() == 256 + 35 * 48);
  CHECK(layout.addresses_offset() == 256 + 35 * 64);

  format.value_blocks_max = 40;
  REQUIRE(!table_layout(format, 4, 16, 32, &layout));
  CHECK(layout.value_blocks_max == 40);
  CHECK(layout.value_count_max == 240);
}

TEST_CASE("an impossible layout names its option", "[schema]") {
  FormatOptions format;
  TableLayout layout;
  format.values_per_block_max = 7;
  format.value_blocks_max = 34;
  OptionsError error = table_layout(format, 4, 16, 32, &layout);
  REQUIRE(error);
  CHECK(std::string_view(error.field) == "value_blocks_max");
  CHECK(error.given == 34);

  format.value_blocks_max = 0;
  format.values_per_block_max = 1;  // 240 slots of 72 bytes do not fit in 4 KiB.
  error = table_layout(format, 4, 16, 32, &layout);
  REQUIRE(error);
  CHECK(std::string_view(error.field) == "block_size");
  CHECK(error.given == 4096);

  format.block_size = 65536;
  REQUIRE(!table_layout(format, 4, 16, 32, &layout));

  // The largest product that validation admits is refused, not wrapped around.
  format.beats = 64;
  format.batch_values_max = 65536;
  REQUIRE(table_layout(format, 4, 32, 256, &layout));

  // The smallest block takes exactly one of the largest values.
  format = {.block_size = 512, .beats = 2, .batch_values_max = 1};
  REQUIRE(!table_layout(format, 4, 32, 256, &layout));
  CHECK(layout.values_per_block == 1);
}

}  // namespace tonearm
