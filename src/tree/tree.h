// One LSM tree: a mutable and an immutable table in memory over levels of tables on the grid.
//
// Writes go to the mutable table. The bar-end swap makes it immutable; compaction (driven by the
// forest, see compaction.h) flushes it to level 0 and merges levels downwards. A lookup asks, newest
// first: the mutable table, the immutable table, then at most one table per level.
//
// The three lookups, in the order a caller uses them:
//   lookup_from_memory           both memory tables; synchronous.
//   lookup_from_levels_cache     the levels, as far as cached blocks can tell; synchronous.
//   lookup_from_levels_storage   the levels, reading what is needed; asynchronous.
#pragma once

#include <array>
#include <optional>

#include "base/arena.h"
#include "base/error.h"
#include "base/options.h"
#include "grid/grid.h"
#include "table/schema.h"
#include "table/table_memory.h"
#include "tree/manifest.h"

namespace tonearm {

inline constexpr u32 value_size_max = 256;

struct TreeConfig {
  u16 id = 0;  // >= 1, unique in the forest, part of the format.
  const char* name = "";
  const TableKernel* kernel = nullptr;
  // 1, or 2 where what counts as one change may put two values (an index entry that moves): so many times
  // FormatOptions::batch_values_max is what an op may put.
  u32 values_per_change = 1;
};

OptionsError table_layout(const FormatOptions& format, const TreeConfig& config, TableLayout* layout);

enum class [[nodiscard]] PutResult : u8 {
  ok,
  batch_full,  // The op has put as many values into this tree as it may. Nothing changed.
  failed,      // The forest has an error, which it keeps: see Forest::error(). Nothing changed.
};

enum class ScopeMode : u8 { persist, discard };

class Tree {
 public:
  struct Shared {  // What all trees of a forest use together.
    Grid* grid;
    NodePool* node_pool;
    ManifestLog* manifest_log;
    ScratchMemory* scratch;
  };

  static void measure(Arena& arena, const FormatOptions& format, u64 blocks_count, const TreeConfig& config,
                      u32 node_size = NodePool::node_size_default);
  Tree(const Shared& shared, Arena& arena, const FormatOptions& format, u64 blocks_count,
       const TreeConfig& config);
  Tree(const Tree&) = delete;

  const TreeConfig& config() const { return config_; }
  const TableKernel& kernel() const { return *config_.kernel; }
  const TableLayout& layout() const { return layout_; }

  // --- writes; not while the forest compacts or checkpoints
  PutResult put(const std::byte* value);  // value_size bytes, not a tombstone, key <= kernel().key_max().
  PutResult remove(const Key& key);
  u32 batch_left() const { return batch_values_max_ - puts_this_op_; }

  // A scope undoes puts, removes and key range growth when discarded, and gives their budget back.
  // Not nestable; no scan and no compaction inside.
  void scope_open();
  void scope_close(ScopeMode mode);
  bool scope_active() const { return scope_.has_value(); }

  // --- lookups; a result may be a tombstone only where it says so
  // The newest version in memory, maybe a tombstone (kernel().is_tombstone); null: not in memory.
  const std::byte* lookup_from_memory(const Key& key) const;

  struct CacheLookup {
    enum class Kind : u8 {
      negative,  // The levels do not hold the key (or hold a tombstone for it).
      positive,  // `value`, valid until the next call into the engine.
      possible,  // A block that may hold it, at `level`, is not cached.
    };
    Kind kind;
    const std::byte* value = nullptr;
    u32 level = 0;
  };
  CacheLookup lookup_from_levels_cache(const Key& key);

  struct Lookup {
    Key key;
    u32 level_min = 0;       // Skip the levels above: from CacheLookup::level.
    bool cache_read = true;  // False: a cold lookup, which no cached block may answer.
    Callback<Lookup&> done;

    // Results, set before `done` runs.
    Error error;         // A block on the way is damaged: neither found nor absent is known.
    bool found = false;  // False also for a tombstone.
    u32 level = 0;       // If found: where.
    alignas(16) std::array<std::byte, value_size_max> value;

    // Private to the tree.
    Tree* tree = nullptr;
    Grid::Read read;
    Storage::NextTick next_tick;
    std::array<BlockReference, levels_max> candidates{};
    std::array<u8, levels_max> candidate_levels{};
    u32 candidate_count = 0;
    u32 candidate = 0;
    enum class Stage : u8 { idle, index, value, none } stage = Stage::idle;
  };
  // `done` never runs inside the call. The manifest may change meanwhile: candidates are collected now.
  void lookup_from_levels_storage(Lookup& lookup);

  // Covers every key that is in the tree (and maybe more: it never shrinks on a remove). Nothing: the
  // tree never held a key.
  const std::optional<KeyRange>& key_range() const { return key_range_; }

  // --- while a scan is open nothing may change
  void scan_opened() { ++scans_open_; }
  void scan_closed() {
    ASSERT(scans_open_ > 0);
    --scans_open_;
  }

  // --- driven by the forest
  [[nodiscard]] const char* open_table(const TableInfo& table);  // As Manifest::open_table.
  void open_complete();  // Key range from the levels.
  void op_end();         // The suffix of the mutable table becomes a run.
  void swap_mutable_and_immutable(u64 snapshot_min);
  void fail() { failed_ = true; }  // The forest did: puts and removes are refused from now on.
  void assert_between_bars() const;

  Manifest& manifest() { return manifest_; }
  const Manifest& manifest() const { return manifest_; }
  TableMemory& table_mutable() { return *table_mutable_; }
  TableMemory& table_immutable() { return *table_immutable_; }
  const TableMemory& table_mutable() const { return *table_mutable_; }
  const TableMemory& table_immutable() const { return *table_immutable_; }
  Grid& grid() { return *shared_.grid; }
  Storage& storage() { return shared_.grid->storage(); }

 private:
  struct Scope {
    TableMemory::ValueContext values;
    std::optional<KeyRange> key_range;
    u32 puts_this_op;
  };

  // The way to a key in a level that has a table for it.
  struct Path {
    u32 level;
    BlockReference index;
    BlockCache::Found index_found;
    bool has_values;  // The index block is cached, and has a value block for the key: the rest is set.
    BlockReference values;
    BlockCache::Found values_found;
  };

  PutResult append(const std::byte* value, const Key& key);
  bool may_hold(const Key& key) const;  // False: no level has it.
  // The paths, newest first; returns how many. Changes nothing, and is no use of a block.
  u32 look_ahead(const Key& key, std::span<Path, levels_max> paths) const;
  void lookup_advance(Lookup& lookup);
  void lookup_read_done(Lookup& lookup);
  void lookup_finish(Lookup& lookup);
  void lookup_index(Lookup& lookup, const std::byte* block);
  void lookup_value(Lookup& lookup, const std::byte* block);

  Shared shared_;
  TreeConfig config_;
  TableLayout layout_;
  u32 batch_values_max_;
  TableMemory table_a_;
  TableMemory table_b_;
  TableMemory* table_mutable_ = &table_a_;
  TableMemory* table_immutable_ = &table_b_;
  Manifest manifest_;
  std::optional<KeyRange> key_range_;

  u32 puts_this_op_ = 0;
  u32 scans_open_ = 0;
  bool failed_ = false;
  std::optional<Scope> scope_;
};

}  // namespace tonearm
