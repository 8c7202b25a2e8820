#include "forest/forest_verify.h"

namespace tonearm {

ForestVerify::Memory::Memory(Arena& arena, const FormatOptions& format, u64 blocks_count) {
  buffers = arena.take<std::byte>(u64{2} * format.levels * format.block_size, Arena::align_max);
  reached = arena.take<u64>(BitSet::words_for(blocks_count));
}

void ForestVerify::measure(Arena& arena, const ForestOptions& options) {
  ASSERT(arena.measuring());
  Memory(arena, options.format, options.runtime.blocks_count);
}

ForestVerify::ForestVerify(Forest& forest, Arena& arena)
    : forest_(&forest),
      levels_(forest.format_options().levels),
      memory_(arena, forest.format_options(), forest.grid().blocks_count()),
      reached_(memory_.reached) {
  const u64 size = forest.format_options().block_size;
  for (u32 level = 0; level < levels_; ++level) {
    Cursor& cursor = cursors_[level];
    cursor.verify = this;
    cursor.level = level;
    cursor.index_block = memory_.buffers.data() + 2 * level * size;
    cursor.value_block = cursor.index_block + size;
  }
}

void ForestVerify::run(Visitor* visitor, Callback<> done) {
  whole_ = true;
  begin(u64_max, visitor, done);
}

void ForestVerify::run_trees(u64 trees, Visitor* visitor, Callback<> done) {
  whole_ = false;
  begin(trees, visitor, done);
}

void ForestVerify::begin(u64 trees, Visitor* visitor, Callback<> done) {
  ASSERT(stage_ == Stage::idle && reads_in_flight_ == 0);
  ASSERT(done);
  ASSERT(forest_->opened() && !forest_->busy() && !forest_->error());
  ASSERT(!forest_->compacting());
  forest_->verification_begun();
  trees_ = trees;
  visitor_ = visitor;
  done_ = done;
  error_ = {};
  counts_ = {};
  reached_.clear();
  reached_count_ = 0;
  tree_ = 0;
  entries_live_ = 0;
  serial_ = forest_->manifest_log().end();
  trailer_block_ = 0;
  stage_ = Stage::trees;
  static_assert(trees_max <= 64);
  for (u32 tree = 0; tree < forest_->tree_count(); ++tree) {
    for (u32 level = 0; level < levels_; ++level) {
      if (!check_level(tree, level)) return finish_later();
    }
  }
  finish_later();
}

// The first step, and the end of a run that makes no request, must come after run().
void ForestVerify::finish_later() {
  next_tick_.done = Callback<Storage::NextTick&>::to<&ForestVerify::next_tick_done>(this);
  forest_->grid().storage().next_tick(next_tick_);
}

void ForestVerify::next_tick_done(Storage::NextTick&) {
  if (error_) return finish();
  begin_tree();
}

void ForestVerify::finish() {
  ASSERT(stage_ != Stage::idle);
  if (reads_in_flight_ > 0) return;  // Comes again with the last of them.
  stage_ = Stage::idle;
  forest_->verification_ended();
  const Callback<> done = done_;
  done_ = {};
  done();
}

// What comes after the block that was read last.
void ForestVerify::advance() {
  if (error_) return finish();
  switch (stage_) {
    case Stage::trees: break;
    case Stage::manifest:
      if (serial_ > forest_->manifest_log().first()) return read_manifest_block();
      if (!check_free_set()) return finish();
      stage_ = Stage::trailer_acquired;
      return advance();
    case Stage::trailer_acquired:
      if (trailer_block_ < forest_->trailer_acquired().addresses().size()) {
        return read_trailer_block(forest_->trailer_acquired());
      }
      stage_ = Stage::trailer_released;
      trailer_block_ = 0;
      return advance();
    case Stage::trailer_released:
      if (trailer_block_ < forest_->trailer_released().addresses().size()) {
        return read_trailer_block(forest_->trailer_released());
      }
      return finish();
    case Stage::idle: break;
  }
  UNREACHABLE();
}

bool ForestVerify::wrong(ErrorKind kind, const BlockReference& block, const char* reason) {
  if (!error_)
    error_ = {.kind = kind, .address = block.address, .checksum = block.checksum, .reason = reason};
  return false;
}

// A block that is referred to: there is one, it belongs to the forest, and nobody else refers to it.
bool ForestVerify::reach(const BlockReference& block) {
  const FreeSet& free_set = forest_->grid().free_set();
  if (block.address < 1 || block.address > free_set.blocks_count()) {
    return inconsistent(block, "a reference to no block");
  }
  if (free_set.is_free(block.address)) return inconsistent(block, "a reference to a free block");
  const bool trailer = stage_ == Stage::trailer_acquired || stage_ == Stage::trailer_released;
  if (free_set.is_released(block.address) != trailer) {
    return inconsistent(block, trailer ? "a trailer's block is not released" : "a released block is reached");
  }
  if (reached_.test(block.address - 1)) return inconsistent(block, "a block is reached twice");
  reached_.set(block.address - 1);
  reached_count_ += trailer ? 0 : 1;
  return true;
}

void ForestVerify::read(Grid::Read& read, const BlockReference& block, std::byte* buffer,
                        Callback<Grid::Read&> done) {
  ASSERT(!read.in_flight);
  read = Grid::Read{
      .block = block,
      .tag = {.purpose = IoPurpose::audit},
      .cache_read = false,
      .cache_write = false,
      .buffer = buffer,
      .done = done,
  };
  ++reads_in_flight_;
  forest_->grid().read(read);
}

// --- levels and free set

bool ForestVerify::check_level(u32 tree, u32 number) {
  const ManifestLevel& level = forest_->tree(tree).manifest().level(number);
  const TableInfo* before = nullptr;
  if (level.count() > level_tables_max(forest_->format_options(), number)) {
    return inconsistent(level.at(0).index_block(), "a level holds too many tables");
  }
  for (ManifestLevel::Tables::Cursor cursor = level.tables().cursor(); !cursor.end(); cursor.next()) {
    const TableInfo& table = cursor.get();
    const BlockReference block = table.index_block();
    if (table.tree_id != forest_->tree(tree).config().id) {
      return inconsistent(block, "a table is of another tree");
    }
    if (table.level() != number) return inconsistent(block, "a table is of another level");
    if (table.snapshot_min < 1 || table.snapshot_max != snapshot_max_live) {
      return inconsistent(block, "a table's snapshots are impossible");
    }
    if (table.value_count < 1) return inconsistent(block, "a table has no values");
    if (table.key_max < table.key_min) return inconsistent(block, "a table's keys are out of order");
    if (before != nullptr && table.key_min <= before->key_max) {
      return inconsistent(block, "a table overlaps the one before it");
    }
    before = &table;
  }
  return true;
}

// Every block that was reached is acquired, not released, and was counted once. So the numbers say it all.
bool ForestVerify::check_free_set() {
  const FreeSet& free_set = forest_->grid().free_set();
  const u64 expected = free_set.count_acquired() - free_set.count_released();
  ASSERT(reached_count_ <= expected);
  if (reached_count_ == expected) return true;
  for (u64 address = 1; address <= free_set.blocks_count(); ++address) {
    if (free_set.is_free(address) || free_set.is_released(address) || reached_.test(address - 1)) continue;
    return inconsistent({.address = address, .checksum = 0}, "an acquired block is not reached");
  }
  UNREACHABLE();
}

// --- manifest log and trailers

void ForestVerify::read_manifest_block() {
  const ManifestLog& log = forest_->manifest_log();
  while (serial_ > log.written_end()) {
    if (!reach(log.block(--serial_))) return finish();
  }
  if (serial_ == log.first()) return advance();
  const BlockReference& block = log.block(--serial_);
  if (!reach(block)) return finish();
  read(read_, block, memory_.buffers.data(), Callback<Grid::Read&>::to<&ForestVerify::log_read_done>(this));
}

void ForestVerify::read_trailer_block(const CheckpointTrailer& trailer) {
  const BlockReference block = trailer.block_reference(trailer_block_++);
  if (!reach(block)) return finish();
  read(read_, block, memory_.buffers.data(), Callback<Grid::Read&>::to<&ForestVerify::log_read_done>(this));
}

void ForestVerify::log_read_done(Grid::Read& read) {
  --reads_in_flight_;
  if (read.result != BlockResult::valid) {
    wrong(ErrorKind::block_damaged, read.block, block_result_name(read.result));
  } else if (stage_ == Stage::manifest) {
    if (check_manifest_block(read.data)) ++counts_.manifest;
  } else if (header_of(read.data).block_type != BlockType::free_set) {
    inconsistent(read.block, "not a trailer block");
  } else {
    ++counts_.trailer;
  }
  advance();
}

bool ForestVerify::check_manifest_block(const std::byte* block) {
  const ManifestLog& log = forest_->manifest_log();
  const BlockReference& reference = log.block(serial_);
  if (const char* reason = log.misfit(block); reason != nullptr) return inconsistent(reference, reason);
  const ManifestMetadata& metadata = metadata_of<ManifestMetadata>(block);
  // The oldest block's predecessor is gone.
  if (serial_ > log.first()) {
    const BlockReference previous{.address = metadata.previous_address,
                                  .checksum = metadata.previous_checksum};
    if (previous != log.block(serial_ - 1))
      return inconsistent(reference, "the manifest log's chain is broken");
  }
  const TableInfo* entries = reinterpret_cast<const TableInfo*>(body_of(block));
  for (u32 i = 0; i < metadata.entry_count; ++i) {
    const char* reason = manifest_entry_misfit(entries[i], levels_);
    if (reason != nullptr) return inconsistent(reference, reason);
    if (!log.latest(entries[i].address, reference.address, i)) continue;
    ++entries_live_;
    if (!check_entry(entries[i])) return inconsistent(reference, "a live entry is of no table");
  }
  const bool last = serial_ == log.first();
  if (!last || log.end() != log.written_end() || entries_live_ == log.table_count()) return true;
  return inconsistent(reference, "a table has no entry in the manifest log");
}

// The latest record of a table is where the table is.
bool ForestVerify::check_entry(const TableInfo& entry) {
  if (entry.event() == ManifestEvent::remove) return false;
  for (u32 i = 0; i < forest_->tree_count(); ++i) {
    if (forest_->tree(i).config().id != entry.tree_id) continue;
    const TableInfo* table = forest_->tree(i).manifest().lookup(entry.level(), entry.key_min);
    TableInfo wanted = entry;
    wanted.set_label(entry.level(), ManifestEvent::none);
    return table != nullptr && *table == wanted;
  }
  return false;
}

// --- tables: the levels of a tree side by side

void ForestVerify::begin_tree() {
  ASSERT(stage_ == Stage::trees && reads_in_flight_ == 0);
  while (tree_ < forest_->tree_count() && (trees_ >> tree_ & 1) == 0) ++tree_;
  if (tree_ == forest_->tree_count()) {
    const char* reason = visitor_ == nullptr ? nullptr : visitor_->end();
    if (reason != nullptr) inconsistent({}, reason);
    if (!whole_) return finish();
    if (counts_.index != forest_->manifest_log().table_count()) {
      inconsistent({}, "the manifest log has another number of tables than the levels");
    }
    stage_ = Stage::manifest;
    return advance();
  }
  at_hand_ = &forest_->tree(tree_);
  depth_ = 0;
  for (u32 level = 0; level < levels_; ++level) {
    cursors_[level].table = 0;
    cursor_table(cursors_[level]);
    if (cursors_[level].state != Cursor::State::end) depth_ = level + 1;
  }
  merge();
}

// The next table of the level, if there is one.
void ForestVerify::cursor_table(Cursor& cursor) {
  cursor.state = Cursor::State::end;
  if (cursor.table == level_of(cursor).count()) return;
  const TableInfo& table = table_of(cursor);
  if (error_ || !reach(table.index_block())) return;
  cursor.state = Cursor::State::index;
  cursor.block = 0;
  cursor.table_values = 0;
  read(cursor.read, table.index_block(), cursor.index_block,
       Callback<Grid::Read&>::to<&Cursor::done>(&cursor));
}

void ForestVerify::cursor_block(Cursor& cursor) {
  const BlockReference block = index_of(cursor).value_block(cursor.block);
  cursor.state = Cursor::State::end;
  if (error_ || !reach(block)) return;
  cursor.state = Cursor::State::value;
  read(cursor.read, block, cursor.value_block, Callback<Grid::Read&>::to<&Cursor::done>(&cursor));
}

void ForestVerify::cursor_read_done(Cursor& cursor) {
  const Grid::Read& read = cursor.read;
  --reads_in_flight_;
  const bool index = cursor.state == Cursor::State::index;
  ASSERT(index || cursor.state == Cursor::State::value);
  if (read.result != BlockResult::valid) {
    wrong(ErrorKind::block_damaged, read.block, block_result_name(read.result));
  } else {
    const char* reason = index ? cursor_index(cursor) : cursor_value_block(cursor);
    if (reason != nullptr) inconsistent(read.block, reason);
  }
  if (error_) return finish();
  if (index) {
    ++counts_.index;
    cursor_block(cursor);
  } else {
    ++counts_.value;
    cursor.value = 0;
    cursor_key(cursor);
  }
  merge();
}

const char* ForestVerify::cursor_index(Cursor& cursor) {
  const TableInfo& table = table_of(cursor);
  const char* misfit = index_block_misfit(tree().layout(), tree().kernel(), cursor.index_block);
  if (misfit != nullptr) return misfit;
  const IndexBlock index = index_of(cursor);
  if (header_of(cursor.index_block).snapshot != table.snapshot_min) {
    return "an index block is of another snapshot than its table";
  }
  if (index.key_min(0) != table.key_min) return "an index block's least key is not its table's";
  if (index.key_max(index.count() - 1) != table.key_max) {
    return "an index block's greatest key is not its table's";
  }
  return nullptr;
}

const char* ForestVerify::cursor_value_block(Cursor& cursor) {
  const char* misfit = value_block_misfit(tree().layout(), cursor.value_block);
  if (misfit != nullptr) return misfit;
  const TableKernel& kernel = tree().kernel();
  if (header_of(cursor.value_block).snapshot != table_of(cursor).snapshot_min) {
    return "a value block is of another snapshot than its table";
  }
  cursor.value_count = metadata_of<ValueMetadata>(cursor.value_block).value_count;
  cursor.table_values += cursor.value_count;
  const std::byte* first = body_of(cursor.value_block);
  const std::byte* last = first + u64{cursor.value_count - 1} * tree().layout().value_size;
  const IndexBlock index = index_of(cursor);
  if (kernel.key_of(first) != index.key_min(cursor.block))
    return "a value block's least key is not its index's";
  if (kernel.key_of(last) != index.key_max(cursor.block))
    return "a value block's greatest key is not its index's";
  return nullptr;
}

// The value at hand: of one block, its keys ascend. (From block to block they do as its index says.)
void ForestVerify::cursor_key(Cursor& cursor) {
  const Key key = tree().kernel().key_of(value_of(cursor));
  if (cursor.value > 0 && key <= cursor.key) {
    inconsistent(index_of(cursor).value_block(cursor.block), "a value block's keys are out of order");
  }
  cursor.key = key;
  cursor.state = Cursor::State::ready;
  ++counts_.versions;
}

void ForestVerify::cursor_next(Cursor& cursor) {
  ASSERT(cursor.state == Cursor::State::ready);
  if (++cursor.value < cursor.value_count) return cursor_key(cursor);
  if (++cursor.block < index_of(cursor).count()) return cursor_block(cursor);
  const TableInfo& table = table_of(cursor);
  if (cursor.table_values != table.value_count) {
    inconsistent(table.index_block(), "a table has another number of values");
  }
  ++cursor.table;
  cursor_table(cursor);
}

// Key by key, as long as every level is at a value or at its end.
void ForestVerify::merge() {
  while (!error_ && reads_in_flight_ == 0) {
    BoundedArray<Cursor*, levels_max> versions;  // Of the least key, newest first.
    for (u32 level = 0; level < depth_; ++level) {
      Cursor& cursor = cursors_[level];
      if (cursor.state == Cursor::State::end) continue;
      ASSERT(cursor.state == Cursor::State::ready);
      if (!versions.empty()) {
        const std::strong_ordering order = cursor.key <=> versions[0]->key;
        if (order > 0) continue;
        if (order < 0) versions.clear();
      }
      versions.push(&cursor);
    }
    if (versions.empty()) {
      ++tree_;
      return begin_tree();
    }
    if (!visit(std::span(versions.begin(), versions.end()))) break;
    for (Cursor* cursor : versions) cursor_next(*cursor);
  }
  if (error_) finish();
}

// All versions of a key, newest first.
bool ForestVerify::visit(std::span<Cursor* const> versions) {
  const TableKernel& kernel = tree().kernel();
  const bool alternate = kernel.usage() == TableUsage::secondary_index;
  bool tombstone = false;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const Cursor& cursor = *versions[i];
    const bool newer_tombstone = tombstone;
    tombstone = kernel.is_tombstone(value_of(cursor));
    if (alternate && i > 0 && tombstone == newer_tombstone) {
      return inconsistent(index_of(cursor).value_block(cursor.block),
                          "two versions of a key do not alternate");
    }
    if (i == 0 && !tombstone) {
      ++counts_.keys;
      const char* reason = visitor_ == nullptr ? nullptr : visitor_->value(tree_, value_of(cursor));
      if (reason != nullptr) return inconsistent(index_of(cursor).value_block(cursor.block), reason);
    }
  }
  if (!alternate || !tombstone) return true;
  const Cursor& oldest = *versions.back();
  return inconsistent(index_of(oldest).value_block(oldest.block), "a tombstone has nothing below it");
}

}  // namespace tonearm
