#include "forest/scrubber.h"

#include <cstring>
#include <new>
#include <utility>

#include "base/mark.h"

namespace tonearm {

Scrubber::Memory::Memory(Arena& arena, const FormatOptions& format, const Options& options) {
  slots = arena.take<Slot>(options.reads_max);
  const u64 of_reads = u64{options.reads_max} * (options.mirror ? 2 : 1);
  buffers = arena.take<std::byte>((of_reads + 1) * format.block_size, Arena::align_max);
  damages = arena.take<Damage>(options.damages_max);
}

void Scrubber::measure(Arena& arena, const FormatOptions& format, const Options& options) {
  ASSERT(arena.measuring());
  Memory(arena, format, options);
}

Scrubber::Scrubber(Forest& forest, Arena& arena, const Options& options)
    : forest_(&forest),
      block_size_(forest.format_options().block_size),
      attempts_max_(forest.runtime_options().read_attempts_max),
      memory_(arena, forest.format_options(), options) {
  ASSERT(options.reads_max >= 1);
  ASSERT(options.mirror == forest.grid().mirrored());
  std::byte* buffer = memory_.buffers.data();
  for (Slot& slot : memory_.slots) {
    slot = Slot{.scrubber = this, .buffer = buffer};
    buffer += block_size_;
    if (!options.mirror) continue;
    slot.other = buffer;
    buffer += block_size_;
  }
  ASSERT(buffer == index_block());
}

void Scrubber::begin(u64 origin) {
  ASSERT(!touring());
  ASSERT(idle());
  ASSERT(forest_->opened() && !forest_->busy() && !forest_->error());
  origin_ = ForestTableIterator::position_of(*forest_, origin);
  tables_.emplace(*forest_, origin_);
  stage_ = Stage::tables;
  index_ = Index::none;
  damage_count_ = 0;
}

void Scrubber::step() {
  ASSERT(touring());
  ASSERT(!drained_);
  ASSERT(!forest_->busy() && !forest_->error());
  if (index_ == Index::ready && op_ != forest_->op()) find_table();
  while (reads_in_flight_ < memory_.slots.size() && submit_next()) {
  }
  end_tour();
}

void Scrubber::end_tour() {
  if (stage_ != Stage::ending || !idle()) return;
  stage_ = Stage::idle;
  ++counters_.tours;
  mark(Mark::scrub_tour_done);
}

void Scrubber::drain(Callback<> done) {
  ASSERT(done);
  ASSERT(!drained_);
  drained_ = done;
  if (!idle()) return;
  next_tick_.done = Callback<Storage::NextTick&>::to<&Scrubber::next_tick_done>(this);
  forest_->grid().storage().next_tick(next_tick_);
}

void Scrubber::next_tick_done(Storage::NextTick&) { drained(); }

void Scrubber::drained() {
  ASSERT(idle());
  const Callback<> done = drained_;
  drained_ = {};
  done();
}

// --- the way of a tour

// False: nothing can be read now, or there is nothing left.
bool Scrubber::submit_next() {
  for (;;) {
    switch (stage_) {
      case Stage::tables:
      case Stage::tables_before:
        if (submit_of_table()) return true;
        if (index_ != Index::none) return false;  // Its index block says what comes next.
        break;
      case Stage::manifest:
        if (submit_of_manifest()) return true;
        break;
      case Stage::trailer_acquired:
        if (submit_of_trailer(forest_->trailer_acquired())) return true;
        break;
      case Stage::trailer_released:
        if (submit_of_trailer(forest_->trailer_released())) return true;
        tables_.emplace(*forest_, ForestTableIterator::Position{}, origin_);
        break;
      case Stage::ending: return false;
      case Stage::idle: UNREACHABLE();
    }
    stage_ = stage_ == Stage::tables_before ? Stage::ending : static_cast<Stage>(static_cast<u8>(stage_) + 1);
    serial_ = forest_->manifest_log().written_end();
    trailer_block_ = 0;
  }
}

bool Scrubber::submit_of_table() {
  if (index_ == Index::reading) return false;
  if (index_ == Index::ready) {
    const IndexBlock index(tree().layout(), tree().kernel(), index_block());
    submit({.block = index.value_block(value_block_),
            .type = BlockType::value,
            .tree = table_.tree_id,
            .level = static_cast<u8>(table_.level())});
    if (++value_block_ == value_block_count_) index_ = Index::none;
    return true;
  }
  const TableInfo* table = tables_->next();
  if (table == nullptr) return false;
  table_ = *table;
  tree_ = tables_->tree();
  index_ = Index::reading;
  op_ = forest_->op();
  submit({.block = table_.index_block(),
          .type = BlockType::index,
          .tree = table_.tree_id,
          .level = static_cast<u8>(table_.level())});
  return true;
}

// Blocks are compacted at the old end meanwhile; what is appended at the new one was just written.
bool Scrubber::submit_of_manifest() {
  const ManifestLog& log = forest_->manifest_log();
  if (serial_ <= log.first()) return false;
  submit({.block = log.block(--serial_), .type = BlockType::manifest});
  return true;
}

bool Scrubber::submit_of_trailer(const CheckpointTrailer& trailer) {
  if (trailer_block_ >= trailer.addresses().size()) return false;
  submit({.block = trailer.block_reference(trailer_block_++), .type = BlockType::free_set});
  return true;
}

// The manifest may have changed since the last step. A table that has moved is met again further down; one
// that is gone was released with all its blocks.
void Scrubber::find_table() {
  ASSERT(index_ == Index::ready);
  op_ = forest_->op();
  const TableInfo* table = tree().manifest().lookup(table_.level(), table_.key_min);
  if (table != nullptr && *table == table_) return;
  skip(value_block_count_ - value_block_);
  index_ = Index::none;
}

// --- reads

void Scrubber::submit(const Damage& target) {
  ASSERT(target.block.address >= 1 && target.block.address <= forest_->grid().blocks_count());
  for (Slot& slot : memory_.slots) {
    if (slot.in_flight) continue;
    slot.in_flight = true;
    slot.target = target;
    slot.checkpoint = forest_->checkpoint_id();
    slot.side = GridSide::first;
    slot.attempts = 0;
    ++reads_in_flight_;
    forest_->scrub_read_begun();
    slot.visit.address = target.block.address;
    slot.visit.begin = Callback<Grid::Visit&>::to<&Slot::begin>(&slot);
    if (forest_->grid().visit_begin(slot.visit)) attempt(slot);
    return;
  }
  UNREACHABLE();
}

void Scrubber::attempt(Slot& slot) {
  ASSERT(slot.in_flight);
  ASSERT(slot.attempts < attempts_max_);
  ++slot.attempts;
  const bool mirror = slot.side == GridSide::mirror;
  slot.io = Storage::Read{
      .buffer = {slot.buffer, block_size_},
      .offset = forest_->grid().offset_of(slot.target.block.address),
      .zone = Zone::grid,
      .tag = {.purpose = mirror ? IoPurpose::mirror_scrub : IoPurpose::scrub,
              .level = slot.target.level,
              .tree = slot.target.tree},
      .done = Callback<Storage::Read&>::to<&Slot::done>(&slot),
  };
  forest_->grid().storage(slot.side).read(slot.io);
}

void Scrubber::read_done(Slot& slot) {
  ASSERT(slot.in_flight);
  ASSERT(reads_in_flight_ > 0);
  const BlockResult result = forest_->grid().authenticate(slot.target.block, slot.buffer, slot.io.result);
  if (result != BlockResult::valid && slot.attempts < attempts_max_ && !released(slot)) {
    ++counters_.retries;
    return attempt(slot);
  }
  if (!forest_->grid().mirrored()) return end(slot, result);
  if (slot.side == GridSide::mirror) return sides_done(slot, result);
  slot.first = result;
  slot.side = GridSide::mirror;
  slot.attempts = 0;
  std::swap(slot.buffer, slot.other);
  attempt(slot);
}

void Scrubber::sides_done(Slot& slot, BlockResult mirror) {
  const bool first_valid = slot.first == BlockResult::valid;
  const bool mirror_valid = mirror == BlockResult::valid;
  // From here on the buffer is that of the side which is intact, if one is.
  if (first_valid) std::swap(slot.buffer, slot.other);
  if (!first_valid && !mirror_valid) return end(slot, slot.first);
  if (first_valid && mirror_valid) return end(slot, BlockResult::valid);
  if (released(slot)) return end(slot, BlockResult::valid);
  if (forest_->grid().may_repair(slot.visit)) {
    return repair(slot, first_valid ? GridSide::mirror : GridSide::first);
  }
  ++counters_.unrepaired;
  mark(Mark::grid_repair_left, slot.target.tree);
  end(slot, BlockResult::valid);
}

void Scrubber::repair(Slot& slot, GridSide side) {
  ASSERT(slot.visit.repairing == nullptr);
  slot.side = side;
  slot.attempts = 0;
  slot.visit.repairing = slot.buffer;
  repair_attempt(slot);
}

void Scrubber::repair_attempt(Slot& slot) {
  ASSERT(slot.visit.repairing == slot.buffer);
  ASSERT(slot.attempts < attempts_max_);
  ++slot.attempts;
  Grid& grid = forest_->grid();
  const bool mirror = slot.side == GridSide::mirror;
  slot.repair_io = Storage::Write{
      .buffer = grid.whole_block(slot.buffer),
      .offset = grid.offset_of(slot.target.block.address),
      .zone = Zone::grid,
      .durability = Durability::on_completion,
      .tag = {.purpose = mirror ? IoPurpose::mirror_repair : IoPurpose::repair,
              .level = slot.target.level,
              .tree = slot.target.tree},
      .done = Callback<Storage::Write&>::to<&Slot::repair_done>(&slot),
  };
  grid.storage(slot.side).write(slot.repair_io);
}

void Scrubber::repair_done(Slot& slot) {
  ASSERT(slot.in_flight);
  ASSERT(slot.visit.repairing == slot.buffer);
  const bool failed = slot.repair_io.result == IoResult::failed;
  if (failed && slot.attempts < attempts_max_) {
    ++counters_.retries;
    return repair_attempt(slot);
  }
  const bool mirror = slot.side == GridSide::mirror;
  if (failed) {
    ++counters_.unrepaired;
    mark(Mark::grid_repair_failed, slot.target.tree);
  } else {
    ++(mirror ? counters_.repaired_mirror : counters_.repaired);
    mark(mirror ? Mark::scrub_repaired_mirror : Mark::scrub_repaired, slot.target.tree);
  }
  end(slot, BlockResult::valid);
}

void Scrubber::end(Slot& slot, BlockResult result) {
  ASSERT(slot.in_flight);
  ASSERT(reads_in_flight_ > 0);
  forest_->grid().visit_end(slot.visit);
  slot.in_flight = false;
  --reads_in_flight_;
  forest_->scrub_read_ended();
  settle(slot, fault(slot, result));
  if (!idle()) return;
  end_tour();
  if (drained_) drained();
}

// Null: intact. An index block also has to make sense, since it says where to go on.
const char* Scrubber::fault(const Slot& slot, BlockResult result) const {
  if (result != BlockResult::valid) return block_result_name(result);
  if (header_of(slot.buffer).block_type != slot.target.type) return "a block of another type";
  if (slot.target.type != BlockType::index) return nullptr;
  const char* misfit = index_block_misfit(tree().layout(), tree().kernel(), slot.buffer);
  if (misfit != nullptr) return misfit;
  const IndexBlock index(tree().layout(), tree().kernel(), slot.buffer);
  for (u32 i = 0; i < index.count(); ++i) {
    const u64 address = index.value_block(i).address;
    if (address > forest_->grid().blocks_count() || forest_->grid().free_set().is_free(address)) {
      return "an index block refers to no block";
    }
  }
  return nullptr;
}

bool Scrubber::released(const Slot& slot) const {
  // A trailer's blocks are released as soon as its checkpoint is there, which needs them until the next is.
  if (slot.target.type == BlockType::free_set) return slot.checkpoint != forest_->checkpoint_id();
  return forest_->grid().free_set().is_released(slot.target.block.address);
}

void Scrubber::settle(Slot& slot, const char* fault) {
  const bool index = slot.target.type == BlockType::index;
  ASSERT_IMPLIES(index, index_ == Index::reading);
  if (released(slot)) {
    skip(1);
    if (index) index_ = Index::none;
    return;
  }
  if (fault == nullptr) {
    count(slot.target.type);
    if (!index) return;
    std::memcpy(index_block(), slot.buffer, header_of(slot.buffer).size);
    index_ = Index::ready;
    value_block_ = 0;
    value_block_count_ = metadata_of<IndexMetadata>(slot.buffer).value_block_count;
    return;
  }
  ++counters_.damaged;
  mark(Mark::scrub_damage_found, slot.target.tree);
  if (index) index_ = Index::none;
  if (damage_count_ == memory_.damages.size()) return;
  memory_.damages[damage_count_] = slot.target;
  memory_.damages[damage_count_++].reason = fault;
}

void Scrubber::count(BlockType type) {
  switch (type) {
    case BlockType::index: ++counters_.index; return;
    case BlockType::value: ++counters_.value; return;
    case BlockType::manifest: ++counters_.manifest; return;
    case BlockType::free_set: ++counters_.trailer; return;
    case BlockType::none: break;
  }
  UNREACHABLE();
}

void Scrubber::skip(u64 count) {
  ASSERT(count > 0);
  counters_.released += count;
  mark(Mark::scrub_skipped_released);
}

}  // namespace tonearm
