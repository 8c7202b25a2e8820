// The second side of the grid: blocks that the first one does not have, and how they come back to it.
//
// A read that finds its block on the mirror only writes it to the first side again, and is answered when that
// is done: so whoever waits until no read is in flight has waited for the repairs, too. The write is durable
// when it completes, and at no time are both sides of a block being written: a crash may make garbage of the
// one that is, and the other has the block.
#include <cstring>

#include "base/mark.h"
#include "grid/grid.h"

namespace tonearm {

// False: there is no other side, or it is no better.
bool Grid::turn_to_mirror(ReadSlot& slot) {
  if (!mirrored() || slot.side == GridSide::mirror) return false;
  slot.side = GridSide::mirror;
  slot.read->attempts = 0;
  slot.read->repeated = 0;
  ++counters_.reads_mirror;
  mark(Mark::grid_read_mirrored);
  read_attempt(slot);
  return true;
}

// False: there is nothing to repair, or nobody may.
// A block that has become free while it was read is nobody's any more.
bool Grid::repair(ReadSlot& slot) {
  if (slot.side == GridSide::first || !repairs_allowed_) return false;
  const u64 address = slot.read->block.address;
  if (free_set_.is_free(address)) return false;
  ASSERT(!writing(address));
  for (const Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    if (at->address != address) continue;
    ++counters_.repairs_left;
    mark(Mark::grid_repair_left);
    return false;
  }
  slot.repairing = true;
  slot.repair_attempts = 0;
  repair_attempt(slot);
  return true;
}

void Grid::repair_attempt(ReadSlot& slot) {
  ASSERT(slot.repairing);
  ASSERT(slot.repair_attempts < attempts_max_);
  ++slot.repair_attempts;
  slot.repair_io = Storage::Write{
      .buffer = whole_block(slot.io.buffer.data()),
      .offset = slot.io.offset,
      .zone = Zone::grid,
      .durability = Durability::on_completion,
      .tag = {.purpose = IoPurpose::repair, .level = slot.read->tag.level, .tree = slot.read->tag.tree},
      .done = Callback<Storage::Write&>::to<&ReadSlot::repair_done>(&slot),
  };
  storage_.write(slot.repair_io);
}

void Grid::repair_done(ReadSlot& slot) {
  ASSERT(slot.repairing);
  const bool failed = slot.repair_io.result == IoResult::failed;
  if (failed && slot.repair_attempts < attempts_max_) return repair_attempt(slot);
  ++(failed ? counters_.repairs_failed : counters_.repairs);
  mark(failed ? Mark::grid_repair_failed : Mark::grid_read_repaired);
  slot.repairing = false;
  const u64 address = slot.read->block.address;
  // A visit that begins submits requests and nothing else, so that the queue stays as it is.
  for (Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    if (at->address != address || !at->waits) continue;
    at->waits = false;
    at->begin(*at);
  }
  read_end(slot, BlockResult::valid);
}

std::span<const std::byte> Grid::whole_block(std::byte* block) const {
  const u64 size = header_of(block).size;
  ASSERT(size <= block_size_);
  std::memset(block + size, 0, block_size_ - size);
  return {block, block_size_};
}

// What a visitor is writing there: the block, whichever side it is for.
const std::byte* Grid::find_repair(const BlockReference& block) const {
  for (const Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    if (at->address != block.address || at->repairing == nullptr) continue;
    ASSERT(header_of(at->repairing).checksum == block.checksum);
    return at->repairing;
  }
  return nullptr;
}

bool Grid::visit_begin(Visit& visit) {
  ASSERT(visit.address >= 1 && visit.address <= blocks_count());
  ASSERT(visit.begin);
  ASSERT(visit.repairing == nullptr);
  visit.waits = false;
  for (const ReadSlot& slot : read_slots_) {
    visit.waits |= slot.repairing && slot.read->block.address == visit.address;
  }
  // Two visitors may be there, but not while one of them writes.
  for (const Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    visit.waits |= at->address == visit.address && at->repairing != nullptr;
  }
  visits_.push(visit);
  return !visit.waits;
}

void Grid::visit_end(Visit& visit) {
  ASSERT(!visit.waits);
  const bool repaired = visit.repairing != nullptr;
  visit.repairing = nullptr;
  visits_.remove(visit);
  if (!repaired) return;
  for (Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    if (at->address != visit.address || !at->waits) continue;
    at->waits = false;
    at->begin(*at);
  }
}

bool Grid::may_repair(const Visit& visit) const {
  ASSERT(mirrored());
  if (!repairs_allowed_ || free_set_.is_free(visit.address)) return false;
  for (const Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    if (at != &visit && at->address == visit.address) return false;
  }
  for (const ReadSlot& slot : read_slots_) {
    if (slot.read != nullptr && slot.read->block.address == visit.address) return false;
  }
  for (const Read* at = reads_waiting_.peek(); at != nullptr; at = ReadQueue::next(*at)) {
    if (at->block.address == visit.address) return false;
  }
  return true;
}

}  // namespace tonearm
