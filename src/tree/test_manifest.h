// For tests of the manifest: a log over a grid over any storage, and made-up tables.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "grid/test_storage.h"
#include "tree/manifest_log.h"

namespace tonearm {

// A table that never existed: only its entry is looked at.
inline TableInfo test_table(u64 address, u64 min, u64 max, u32 level = 0, u16 tree_id = 1) {
  TableInfo table{};
  table.key_min = Key::of(min);
  table.key_max = Key::of(max);
  table.checksum = address * 7919;
  table.address = address;
  table.snapshot_min = 1;
  table.snapshot_max = snapshot_max_live;
  table.value_count = 10;
  table.tree_id = tree_id;
  table.set_label(level, ManifestEvent::none);
  return table;
}

// Two bars between checkpoints, the least there can be.
inline FormatOptions test_format(u32 block_size, u32 levels, u32 growth, u32 extra) {
  return {.sector_size = 512,
          .block_size = block_size,
          .levels = levels,
          .growth = growth,
          .beats = 4,
          .checkpoint_interval = 8,
          .manifest_extra_blocks = extra};
}

struct TestLogOptions {
  FormatOptions format{.sector_size = 512, .block_size = 512, .levels = 4, .growth = 2};
  u64 blocks_count = 4096;
  u32 trees = 2;
  u64 tables_max = 4096;

  Grid::Options grid() const {
    Grid::Options options{.format = format, .runtime = {}, .released_prior_max = blocks_count};
    options.runtime.blocks_count = blocks_count;
    options.runtime.cache_blocks = 16;
    options.runtime.read_iops = 2;
    options.runtime.write_iops = 2;
    options.runtime.read_attempts_max = 2;
    return options;
  }
  u64 log_size() const {
    Arena measure;
    ManifestLog::measure(measure, format, trees, tables_max, blocks_count);
    return measure.used();
  }
};

struct TestLog {
  TestLog(Storage& storage, const TestLogOptions& options)
      : grid(storage, options.grid()),
        arena(options.log_size()),
        log(grid.grid, *arena, options.format, options.trees, options.tables_max) {
    REQUIRE(arena.exhausted());
  }
  ManifestLog* operator->() { return &log; }

  void open(const ManifestReferences& references) {
    log.open(references, Callback<const TableInfo&>::to<&TestLog::opened>(this), callback());
    REQUIRE(done_count == 0);
  }
  void opened(const TableInfo& table) { tables.push_back(table); }
  void done() { ++done_count; }
  Callback<> callback() { return Callback<>::to<&TestLog::done>(this); }

  TestGrid grid;
  TestArena arena;
  ManifestLog log;
  u32 done_count = 0;
  std::vector<TableInfo> tables;  // As open() delivered them.
};

}  // namespace tonearm
