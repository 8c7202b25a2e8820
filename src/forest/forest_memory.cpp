// Sizes and construction: what the options say becomes spans of the caller's one buffer.
#include <algorithm>
#include <new>

#include "base/math.h"
#include "forest/forest.h"

namespace tonearm {

// Sizes that measuring and constructing must agree on.
struct Forest::Parts {
  FormatOptions format;
  u64 tables_max;        // All trees.
  u64 payload_size_max;  // Of a checkpoint trailer.
  u64 scratch_size;      // Bytes: the largest memory table.
  Grid::Options grid;
  u64 trailer_blocks_max;  // Both trailers.
  u64 nodes_max;           // Of the manifests.
};

namespace {

u64 schema_hash(std::span<const TreeConfig> trees) {
  u64 hash = trees.size();
  for (const TreeConfig& tree : trees) {
    const u64 words[] = {tree.id, tree.kernel->key_size(), tree.kernel->value_size(),
                         static_cast<u64>(tree.kernel->usage()) | u64{tree.values_per_change - 1} << 32};
    hash = hash_of(std::as_bytes(std::span(words)), hash);
  }
  return hash;
}

// Blocks released while a checkpoint is being made durable, for at most one interval: those of both
// trailers, the inputs of every compaction, and what the manifest log compacts.
u64 released_prior_max(const FormatOptions& format, const ForestOptions& options, u64 tables_max,
                       u64 payload_size_max) {
  const u64 half_bars = u64{2} * (format.checkpoint_interval / format.beats + 1);
  u64 per_half_bar = 0;
  for (const TreeConfig& tree : options.trees) {
    TableLayout layout;
    (void)table_layout(format, tree, &layout);
    per_half_bar += div_ceil(format.levels, 2) * (1 + format.growth) * layout.blocks_max();
  }
  const u32 trees = static_cast<u32>(options.trees.size());
  per_half_bar += ManifestPace::of(format, trees, tables_max).compact_blocks_max;
  const u64 trailers = u64{2} * CheckpointTrailer::blocks_for(payload_size_max, format.block_size);
  return std::min(trailers + half_bars * per_half_bar, options.runtime.blocks_count);
}

}  // namespace

OptionsError Forest::validate(const ForestOptions& options) {
  if (const OptionsError error = tonearm::validate(options.format, options.runtime)) return error;
  if (options.trees.empty() || options.trees.size() > trees_max) {
    return {.field = "trees", .expected = "1 to 64 trees", .given = options.trees.size()};
  }
  u16 id_before = 0;
  for (const TreeConfig& tree : options.trees) {
    if (tree.id <= id_before)
      return {.field = "tree id", .expected = "ids in ascending order", .given = tree.id};
    id_before = tree.id;
    TableLayout layout;
    if (const OptionsError error = table_layout(options.format, tree, &layout)) return error;
  }
  return {};
}

Forest::Parts Forest::parts(const ForestOptions& options) {
  Parts parts{};
  parts.format = options.format;
  parts.format.schema_hash = schema_hash(options.trees);
  parts.tables_max = options.trees.size() * tree_tables_max(options.format, options.runtime.blocks_count);
  parts.nodes_max =
      Manifest::nodes_max(options.format, options.runtime.blocks_count,
                          static_cast<u32>(options.trees.size()), options.runtime.manifest_node_size);
  parts.payload_size_max = FreeSet::encode_size_max(options.runtime.blocks_count);
  parts.trailer_blocks_max =
      u64{2} * CheckpointTrailer::blocks_for(parts.payload_size_max, options.format.block_size);
  for (const TreeConfig& tree : options.trees) {
    TableLayout layout;
    (void)table_layout(options.format, tree, &layout);
    parts.scratch_size = std::max(parts.scratch_size, u64{layout.value_count_max} * layout.value_size);
  }
  parts.grid = {.format = parts.format,
                .runtime = options.runtime,
                .released_prior_max =
                    released_prior_max(parts.format, options, parts.tables_max, parts.payload_size_max),
                .mirror = options.mirror};
  return parts;
}

void Forest::measure(Arena& arena, const ForestOptions& options) {
  const Parts parts = Forest::parts(options);
  const u32 trees = static_cast<u32>(options.trees.size());
  Superblock::measure(arena);
  Grid::measure(arena, parts.grid);
  CheckpointTrailer::measure(arena, parts.payload_size_max, parts.format.block_size);
  CheckpointTrailer::measure(arena, parts.payload_size_max, parts.format.block_size);
  ManifestLog::measure(arena, parts.format, trees, parts.tables_max, options.runtime.blocks_count);
  NodePool::measure(arena, parts.nodes_max, options.runtime.manifest_node_size);
  arena.take<std::byte>(parts.scratch_size, 64);
  arena.take<u64>(parts.trailer_blocks_max);
  CompactionSchedule::measure(arena, parts.format, trees, options.runtime.compaction_blocks);
  ScanBufferPool::measure(arena, parts.format, options.runtime.scans_max);
  ScanBufferPool::measure(arena, parts.format, 1);
  for (const TreeConfig& config : options.trees) {
    arena.take<Tree>(1);
    Tree::measure(arena, parts.format, options.runtime.blocks_count, config,
                  options.runtime.manifest_node_size);
  }
}

u64 Forest::memory_required(const ForestOptions& options) {
  ASSERT(!validate(options));
  Arena arena;
  measure(arena, options);
  return arena.used();
}

Forest::Forest(Storage& storage, const ForestOptions& options, std::span<std::byte> memory)
    : Forest(storage, options, memory, parts(options)) {}

Forest::Forest(Storage& storage, const ForestOptions& options, std::span<std::byte> memory,
               const Parts& parts)
    : storage_(&storage),
      options_(options),
      arena_(memory),
      superblock_(storage, arena_),
      grid_(storage, arena_, parts.grid),
      trailer_acquired_(grid_, arena_, parts.payload_size_max),
      trailer_released_(grid_, arena_, parts.payload_size_max),
      manifest_log_(grid_, arena_, parts.format, static_cast<u32>(options.trees.size()), parts.tables_max),
      node_pool_(arena_, parts.nodes_max, options.runtime.manifest_node_size),
      scratch_{.bytes = arena_.take<std::byte>(parts.scratch_size, 64)},
      trailer_addresses_(arena_.take<u64>(parts.trailer_blocks_max)),
      tree_count_(static_cast<u32>(options.trees.size())),
      schedule_(grid_, arena_, parts.format, tree_count_, options.runtime.compaction_blocks),
      scan_buffers_(arena_, parts.format, options.runtime.scans_max),
      scan_own_buffer_(arena_, parts.format, 1),
      scan_buffer_(&scan_own_buffer_.acquire_assume_capacity()) {
  ASSERT(!validate(options));
  static_assert(std::is_trivially_destructible_v<Tree>);
  options_.format.schema_hash = parts.format.schema_hash;
  const Tree::Shared shared{
      .grid = &grid_, .node_pool = &node_pool_, .manifest_log = &manifest_log_, .scratch = &scratch_};
  for (u32 i = 0; i < tree_count_; ++i) {
    Tree* place = arena_.take<Tree>(1).data();
    trees_[i] =
        new (place) Tree(shared, arena_, options_.format, options_.runtime.blocks_count, options_.trees[i]);
  }
  ASSERT(arena_.used() == memory_required(options));
}

}  // namespace tonearm
