// How many blocks compaction may ask for. What it does with them is tested where there are tables to
// merge, in the tests of the forest.
#include "tree/compaction.h"

#include <catch2/catch.hpp>

#include "table/tree_types.h"

namespace tonearm {

namespace {

TableLayout layout(u32 values_per_block, u32 value_blocks) {
  FormatOptions format{.sector_size = 512, .block_size = 4096, .beats = 4, .batch_values_max = 4};
  format.values_per_block_max = values_per_block;
  format.value_blocks_max = value_blocks;
  TableLayout result;
  REQUIRE_FALSE(table_layout(format, 1, kv_kernel.key_size(), kv_kernel.value_size(), &result));
  return result;
}

}  // namespace

TEST_CASE("compaction: blocks for a share cover every way its values can fall into blocks") {
  for (const u32 per_block : {1U, 2U, 3U, 7U, 16U}) {
    const TableLayout tables = layout(per_block, 0);
    for (u64 values = 1; values <= 200; ++values) {
      const u64 blocks = Compaction::blocks_needed_max(tables, values);
      // The worst start: all but one value of a block, and all but one block of a table, are there.
      for (u64 in_block = 0; in_block < per_block; ++in_block) {
        for (u64 in_table = 0; in_table < tables.value_blocks_max; ++in_table) {
          const u64 value_blocks = (in_block + values + 1 + per_block - 1) / per_block;
          const u64 tables_made =
              (in_table + value_blocks + tables.value_blocks_max - 1) / tables.value_blocks_max;
          REQUIRE(blocks >= value_blocks + tables_made);
        }
      }
      // And it is no wild guess either.
      REQUIRE(blocks <= 2 * (values / per_block + 1) + 8);
    }
  }
}

TEST_CASE("compaction: its memory is its budget of blocks") {
  const FormatOptions format{.sector_size = 512, .block_size = 4096};
  u64 before = 0;
  for (u32 blocks = compaction_blocks_min; blocks < 40; ++blocks) {
    Arena arena;
    Compaction::measure(arena, format, blocks);
    CHECK(arena.used() > u64{blocks} * 4096);
    CHECK(arena.used() < u64{blocks} * 4096 + u64{blocks} * 512 + 4096);
    CHECK(arena.used() >= before + 4096);
    before = arena.used();
  }
}

}  // namespace tonearm
