#include "tree/tree.h"

#include <cstring>

#include "base/mark.h"
#include "base/span.h"
#include "base/variation.h"

namespace tonearm {

OptionsError table_layout(const FormatOptions& format, const TreeConfig& config, TableLayout* layout) {
  return table_layout(format, config.id, config.kernel->key_size(), config.kernel->value_size(), layout,
                      config.values_per_change);
}

namespace {

TableLayout layout_of(const FormatOptions& format, const TreeConfig& config) {
  TableLayout layout;
  const OptionsError error = table_layout(format, config, &layout);
  ASSERT(!error);  // Forest::validate answers this to the user.
  return layout;
}

}  // namespace

void Tree::measure(Arena& arena, const FormatOptions& format, u64 blocks_count, const TreeConfig& config,
                   u32 node_size) {
  const TableLayout layout = layout_of(format, config);
  TableMemory::measure(arena, layout);
  TableMemory::measure(arena, layout);
  Manifest::measure(arena, format, blocks_count, node_size);
}

Tree::Tree(const Shared& shared, Arena& arena, const FormatOptions& format, u64 blocks_count,
           const TreeConfig& config)
    : shared_(shared),
      config_(config),
      layout_(layout_of(format, config)),
      batch_values_max_(format.batch_values_max * config.values_per_change),
      table_a_(arena, layout_, *config.kernel, *shared.scratch, TableMemory::State::mutable_),
      table_b_(arena, layout_, *config.kernel, *shared.scratch, TableMemory::State::immutable),
      manifest_(*shared.node_pool, *shared.manifest_log, arena, format, blocks_count, config.id) {
  ASSERT(config.id >= 1);
  ASSERT(layout_.value_size <= value_size_max);
  ASSERT(layout_.value_count_max == format.beats * batch_values_max_);
}

PutResult Tree::put(const std::byte* value) {
  ASSERT(!kernel().is_tombstone(value));
  return append(value, kernel().key_of(value));
}

PutResult Tree::remove(const Key& key) {
  alignas(16) std::array<std::byte, value_size_max> tombstone;
  kernel().make_tombstone(key, tombstone.data());
  return append(tombstone.data(), key);
}

PutResult Tree::append(const std::byte* value, const Key& key) {
  ASSERT(key <= kernel().key_max());
  ASSERT(scans_open_ == 0);
  if (failed_) {
    mark(Mark::sticky_error, config_.id, &key);
    return PutResult::failed;
  }
  if (puts_this_op_ == batch_values_max_) {
    mark(Mark::batch_full, config_.id, &key);
    return PutResult::batch_full;
  }
  ASSERT(puts_this_op_ < batch_values_max_);
  ++puts_this_op_;
  table_mutable_->put(value);
  // Legal: a scan may come at any time and sorts; in a scope none may, since a discard must find the order.
  const u64 place = table_mutable_->puts_since_bar_start();
  if (!scope_ && variation(Variation::suffix_sorted_early, config_.id, place) != 0) {
    table_mutable_->sort_suffix();
  }
  if (!key_range_) key_range_ = KeyRange{.min = key, .max = key};
  key_range_->include({.min = key, .max = key});
  return PutResult::ok;
}

void Tree::scope_open() {
  ASSERT(!scope_);
  ASSERT(scans_open_ == 0);
  scope_ = Scope{
      .values = table_mutable_->value_context(), .key_range = key_range_, .puts_this_op = puts_this_op_};
}

void Tree::scope_close(ScopeMode mode) {
  ASSERT(scope_);
  const bool changed = puts_this_op_ != scope_->puts_this_op;
  if (mode == ScopeMode::discard) {
    table_mutable_->restore(scope_->values);
    key_range_ = scope_->key_range;
    puts_this_op_ = scope_->puts_this_op;
    if (changed) mark(Mark::scope_discarded, config_.id);
  } else if (changed) {
    mark(Mark::scope_persisted, config_.id);
  }
  scope_.reset();
}

const std::byte* Tree::lookup_from_memory(const Key& key) const {
  if (const std::byte* value = table_mutable_->get(key)) {
    mark(Mark::lookup_memory, config_.id, &key);
    return value;
  }
  const std::byte* value = table_immutable_->get(key);
  if (value != nullptr) mark(Mark::lookup_immutable, config_.id, &key);
  return value;
}

// Legal to ignore: the range only spares the question, and may be too wide anyway.
bool Tree::may_hold(const Key& key) const {
  if (key_range_ && key_range_->contains(key)) return true;
  return variation(Variation::key_range_ignored, config_.id, static_cast<u64>(key.lo)) != 0;
}

// The blocks lie far apart in memory. So each step is done for all levels, down to the first whose index
// block is not cached, and fetches what the next step looks at.
u32 Tree::look_ahead(const Key& key, std::span<Path, levels_max> paths) const {
  u32 count = 0;
  for (u32 level = 0; level < manifest_.levels(); ++level) {
    const TableInfo* table = manifest_.lookup(level, key);
    if (table == nullptr) continue;
    Path& path = paths[count++];
    path.level = level;
    path.index = table->index_block();
    path.index_found = shared_.grid->look(path.index);
    path.has_values = false;
    const std::byte* block = path.index_found.block;
    if (block == nullptr) break;
    block_fetch(block);
    __builtin_prefetch(block + layout_.keys_max_offset());
    __builtin_prefetch(block + layout_.addresses_offset());
  }
  for (Path& path : paths.first(count)) {
    if (path.index_found.block == nullptr) break;
    const IndexBlock index(layout_, kernel(), path.index_found.block);
    const u32 position = index.find(key);
    if (position == index.count()) continue;
    path.has_values = true;
    path.values = index.value_block(position);
    path.values_found = shared_.grid->look(path.values);
    const std::byte* block = path.values_found.block;
    if (block == nullptr) continue;
    block_fetch(block);
    kernel().fetch(body_of(block), layout_.values_per_block);  // Most blocks are full.
  }
  return count;
}

Tree::CacheLookup Tree::lookup_from_levels_cache(const Key& key) {
  if (!may_hold(key)) {
    mark(Mark::key_range_excluded, config_.id, &key);
    return {.kind = CacheLookup::Kind::negative};
  }
  // Legal: `possible` promises nothing.
  if (variation(Variation::lookup_uncached, config_.id, static_cast<u64>(key.lo)) != 0) {
    return {.kind = CacheLookup::Kind::possible, .level = 0};
  }
  Path paths[levels_max];
  const u32 path_count = look_ahead(key, paths);
  for (u32 i = 0; i < path_count; ++i) {
    const Path& path = paths[i];
    const u32 level = path.level;
    if (grid().cached(path.index, path.index_found) == nullptr) {
      return {.kind = CacheLookup::Kind::possible, .level = level};
    }
    if (!path.has_values) continue;
    const std::byte* value_data = grid().cached(path.values, path.values_found);
    if (value_data == nullptr) return {.kind = CacheLookup::Kind::possible, .level = level};
    const std::span<const std::byte> values = value_block_values(layout_, value_data);
    const u32 count = static_cast<u32>(values.size() / layout_.value_size);
    const u32 at = kernel().lower_bound(values.data(), count, key);
    if (at == count) continue;
    const std::byte* value = values.data() + u64{at} * layout_.value_size;
    if (kernel().key_of(value) != key) continue;
    if (level >= 2) mark(Mark::lookup_deep, config_.id, &key);
    if (kernel().is_tombstone(value)) {
      mark(Mark::lookup_tombstone, config_.id, &key);
      return {.kind = CacheLookup::Kind::negative};
    }
    mark(Mark::lookup_cache, config_.id, &key);
    return {.kind = CacheLookup::Kind::positive, .value = value, .level = level};
  }
  return {.kind = CacheLookup::Kind::negative};
}

void Tree::lookup_from_levels_storage(Lookup& lookup) {
  ASSERT(lookup.stage == Lookup::Stage::idle);
  ASSERT(lookup.done);
  ASSERT(lookup.level_min <= manifest_.levels());
  lookup.tree = this;
  span_begins(SpanKind::lookup, &lookup, {.tree = config_.id, .level = static_cast<u8>(lookup.level_min)});
  lookup.error = {};
  lookup.found = false;
  lookup.candidate = 0;
  lookup.candidate_count = 0;
  if (may_hold(lookup.key)) {
    for (u32 level = lookup.level_min; level < manifest_.levels(); ++level) {
      const TableInfo* table = manifest_.lookup(level, lookup.key);
      if (table == nullptr) continue;
      lookup.candidates[lookup.candidate_count] = table->index_block();
      lookup.candidate_levels[lookup.candidate_count] = static_cast<u8>(level);
      ++lookup.candidate_count;
    }
  }
  lookup_advance(lookup);
}

// Reads the index block of the next candidate; without one, the key is not there.
void Tree::lookup_advance(Lookup& lookup) {
  if (lookup.candidate == lookup.candidate_count) {
    lookup.stage = Lookup::Stage::none;
    lookup.next_tick.done =
        Callback<Storage::NextTick&>::plain(&lookup, [](void* context, Storage::NextTick&) {
          Lookup& self = *static_cast<Lookup*>(context);
          self.tree->lookup_finish(self);
        });
    storage().next_tick(lookup.next_tick);
    return;
  }
  lookup.stage = Lookup::Stage::index;
  lookup.read.block = lookup.candidates[lookup.candidate];
  lookup.read.tag = {
      .purpose = IoPurpose::lookup, .level = lookup.candidate_levels[lookup.candidate], .tree = config_.id};
  lookup.read.cache_read = lookup.cache_read;
  lookup.read.cache_write = true;
  lookup.read.buffer = nullptr;
  lookup.read.done = Callback<Grid::Read&>::plain(&lookup, [](void* context, Grid::Read&) {
    static_cast<Lookup*>(context)->tree->lookup_read_done(*static_cast<Lookup*>(context));
  });
  grid().read(lookup.read);
}

void Tree::lookup_read_done(Lookup& lookup) {
  const Grid::Read& read = lookup.read;
  if (read.result != BlockResult::valid) {
    lookup.error = {.kind = ErrorKind::block_damaged,
                    .address = read.block.address,
                    .checksum = read.block.checksum,
                    .reason = block_result_name(read.result)};
    lookup_finish(lookup);
    return;
  }
  switch (lookup.stage) {
    case Lookup::Stage::index: lookup_index(lookup, read.data); return;
    case Lookup::Stage::value: lookup_value(lookup, read.data); return;
    case Lookup::Stage::idle:
    case Lookup::Stage::none: break;
  }
  UNREACHABLE();
}

void Tree::lookup_index(Lookup& lookup, const std::byte* block) {
  const IndexBlock index(layout_, kernel(), block);
  const u32 position = index.find(lookup.key);
  if (position == index.count()) {
    mark(Mark::lookup_gap_index, config_.id, &lookup.key);
    ++lookup.candidate;
    lookup_advance(lookup);
    return;
  }
  lookup.stage = Lookup::Stage::value;
  lookup.read.block = index.value_block(position);
  grid().read(lookup.read);
}

void Tree::lookup_value(Lookup& lookup, const std::byte* block) {
  const std::span<const std::byte> values = value_block_values(layout_, block);
  const u32 count = static_cast<u32>(values.size() / layout_.value_size);
  const u32 at = kernel().lower_bound(values.data(), count, lookup.key);
  const std::byte* value = values.data() + u64{at} * layout_.value_size;
  if (at == count || kernel().key_of(value) != lookup.key) {
    mark(Mark::lookup_fell_through, config_.id, &lookup.key);
    ++lookup.candidate;
    lookup_advance(lookup);
    return;
  }
  mark(Mark::lookup_storage, config_.id, &lookup.key);
  if (lookup.candidate_levels[lookup.candidate] >= 2) mark(Mark::lookup_deep, config_.id, &lookup.key);
  lookup.found = !kernel().is_tombstone(value);
  if (lookup.found) {
    lookup.level = lookup.candidate_levels[lookup.candidate];
    std::memcpy(lookup.value.data(), value, layout_.value_size);
  } else {
    mark(Mark::lookup_tombstone, config_.id, &lookup.key);
  }
  lookup_finish(lookup);
}

void Tree::lookup_finish(Lookup& lookup) {
  ASSERT(lookup.stage != Lookup::Stage::idle);
  if (lookup.error) ASSERT(!lookup.found);
  lookup.stage = Lookup::Stage::idle;
  span_ends(SpanKind::lookup, &lookup);
  lookup.done(lookup);
}

const char* Tree::open_table(const TableInfo& table) {
  if (table.value_count > layout_.values_max()) return "a table has more values than it can hold";
  if (table.key_max > kernel().key_max()) return "a table has a key that its tree cannot have";
  return manifest_.open_table(table);
}

void Tree::open_complete() {
  ASSERT(table_mutable_->empty());
  ASSERT(table_immutable_->empty());
  key_range_ = manifest_.key_range();
}

void Tree::op_end() {
  ASSERT(!scope_);
  ASSERT(scans_open_ == 0);
  puts_this_op_ = 0;
  table_mutable_->op_end();
}

void Tree::swap_mutable_and_immutable(u64 snapshot_min) {
  ASSERT(!scope_);
  ASSERT(scans_open_ == 0);
  ASSERT(puts_this_op_ == 0);
  if (table_immutable_->flushed()) {
    table_mutable_->make_immutable(snapshot_min);
    table_immutable_->make_mutable();
    std::swap(table_mutable_, table_immutable_);
  } else {
    table_immutable_->absorb(*table_mutable_, snapshot_min);
  }
  ASSERT(table_mutable_->empty());
  ASSERT(table_mutable_->state() == TableMemory::State::mutable_);
  ASSERT(table_immutable_->state() == TableMemory::State::immutable);
}

void Tree::assert_between_bars() const {
  ASSERT(!scope_);
  ASSERT(table_mutable_->empty());
  ASSERT(table_mutable_->puts_since_bar_start() == 0);
  manifest_.assert_between_bars();
}

}  // namespace tonearm
