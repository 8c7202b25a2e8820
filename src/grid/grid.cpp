#include "grid/grid.h"

#include <algorithm>
#include <utility>

#include "base/mark.h"
#include "base/math.h"

namespace tonearm {

namespace {

BlockCache::Options cache_options(const Grid::Options& options) {
  return {
      .blocks_count = options.runtime.cache_blocks,
      .hash_bits = options.runtime.cache_hash_bits,
      .block_size = options.format.block_size,
  };
}

FreeSet::Options free_set_options(const Grid::Options& options) {
  return {
      .blocks_count = options.runtime.blocks_count,
      .released_prior_max = options.released_prior_max,
  };
}

void mark_read_result(BlockResult result) {
  switch (result) {
    case BlockResult::valid: break;
    case BlockResult::invalid_checksum: mark(Mark::read_block_invalid_checksum); break;
    case BlockResult::unexpected_command: mark(Mark::read_block_unexpected_command); break;
    case BlockResult::invalid_checksum_body: mark(Mark::read_block_invalid_checksum_body); break;
    case BlockResult::unexpected_checksum: mark(Mark::read_block_unexpected_checksum); break;
    case BlockResult::invalid_padding: mark(Mark::read_block_invalid_padding); break;
    case BlockResult::read_failed: mark(Mark::read_block_failed); break;
  }
}

}  // namespace

Grid::Memory::Memory(Arena& arena, const Options& options) {
  read_slots = arena.take<ReadSlot>(options.runtime.read_iops);
  write_slots = arena.take<WriteSlot>(options.runtime.write_iops);
  const u64 buffers_count = u64{options.runtime.read_iops} + 1;
  buffers = arena.take<std::byte>(buffers_count * options.format.block_size, Arena::align_max);
}

void Grid::measure(Arena& arena, const Options& options) {
  ASSERT(arena.measuring());
  Memory(arena, options);
  BlockCache::Memory(arena, cache_options(options));
  FreeSet::Memory(arena, free_set_options(options));
}

Grid::Grid(Storage& storage, Arena& arena, const Options& options)
    : Grid(storage, arena, options, Memory(arena, options)) {}

Grid::Grid(Storage& storage, Arena& arena, const Options& options, const Memory& memory)
    : storage_(storage),
      mirror_(options.mirror),
      block_size_(options.format.block_size),
      sector_size_(options.format.sector_size),
      attempts_max_(options.runtime.read_attempts_max),
      read_slots_(memory.read_slots),
      write_slots_(memory.write_slots),
      cache_(arena, cache_options(options)),
      free_set_(arena, free_set_options(options)) {
  ASSERT(!validate(options.format, options.runtime));
  std::byte* buffer = memory.buffers.data();
  for (ReadSlot& slot : read_slots_) {
    slot = ReadSlot{.buffer = buffer, .grid = this};
    buffer += block_size_;
  }
  resolve_buffer_ = buffer;
  poison(memory.buffers.data(), memory.buffers.size());
  for (WriteSlot& slot : write_slots_) slot = WriteSlot{.grid = this};
}

void Grid::read(Read& read) {
  ASSERT(!read.in_flight);
  ASSERT(read.done);
  ASSERT(read.block.address >= 1);
  ASSERT(read.block.address <= blocks_count());
  // While a data file is being opened, blocks are read before it is known what is free.
  if (free_set_.opened()) ASSERT(!free_set_.is_free(read.block.address));
  ASSERT(reinterpret_cast<std::uintptr_t>(read.buffer) % sector_size_ == 0);
  ASSERT(read.joined.empty());

  read.result = BlockResult::valid;
  read.data = nullptr;
  read.attempts = 0;
  read.repeated = 0;
  read.in_flight = true;
  read.grid = this;
  ++reads_in_flight_;
  reads_deferred_.push(read);
  read.next_tick.done = Callback<Storage::NextTick&>::plain(&read, [](void* context, Storage::NextTick&) {
    Read& self = *static_cast<Read*>(context);
    self.grid->read_begin(self);
  });
  storage_.next_tick(read.next_tick);
}

void Grid::read_begin(Read& read) {
  Read* first = reads_deferred_.pop();
  ASSERT(first == &read);
  ASSERT(read.in_flight);

  // The block's sectors have no defined contents yet. This goes first: a read of the address that
  // is in flight since before it was acquired would be the wrong one to join (and is asserted away).
  if (const Write* write = find_write(read.block.address); write != nullptr) {
    ASSERT(header_of(write->block).checksum == read.block.checksum);
    mark(Mark::grid_read_from_write);
    resolve(read, write->block, BlockResult::valid);
    return;
  }
  if (const std::byte* block = find_repair(read.block); block != nullptr) {
    mark(Mark::grid_read_from_write);
    resolve(read, block, BlockResult::valid);
    return;
  }
  ASSERT(reads_in_flight_ >= 1);  // With this one.
  if (Read* root = reads_in_flight_ == 1 ? nullptr : find_root(read.block); root != nullptr) {
    mark(Mark::grid_read_coalesced);
    root->joined.push(read);
    return;
  }
  if (read.cache_read) {
    if (const std::byte* data = cached(read.block); data != nullptr) {
      ASSERT(header_of(data).address == read.block.address);
      ASSERT(header_of(data).checksum == read.block.checksum);
      resolve(read, data, BlockResult::valid);
      return;
    }
  }
  if (ReadSlot* slot = read_slot_for(read); slot != nullptr) {
    ASSERT(reads_waiting_.empty());
    read_issue(*slot, read);
  } else {
    mark(Mark::grid_read_queued);
    reads_waiting_.push(read);
  }
}

void Grid::read_issue(ReadSlot& slot, Read& read) {
  ASSERT(slot.read == nullptr);
  ASSERT(read.attempts == 0);
  ASSERT(find_write(read.block.address) == nullptr);
  ASSERT(find_repair(read.block) == nullptr);
  slot.read = &read;
  ++reads_issued_;
  slot.side = GridSide::first;
  ++counters_.reads_storage;
  read_attempt(slot);
}

void Grid::read_attempt(ReadSlot& slot) {
  Read& read = *slot.read;
  ASSERT(read.attempts < attempts_max_ + read.repeated);
  ++read.attempts;
  if (read.buffer == nullptr) unpoison(slot.buffer, block_size_);
  IoTag tag = read.tag;
  if (slot.side == GridSide::mirror) tag.purpose = IoPurpose::mirror_read;
  slot.io = Storage::Read{
      .buffer = {read.buffer != nullptr ? read.buffer : slot.buffer, block_size_},
      .offset = offset_of(read.block.address),
      .zone = Zone::grid,
      .tag = tag,
      .done = Callback<Storage::Read&>::to<&ReadSlot::done>(&slot),
  };
  storage(slot.side).read(slot.io);
}

BlockResult Grid::authenticate(const BlockReference& expected, const std::byte* block, IoResult io) const {
  if (io == IoResult::failed) return BlockResult::read_failed;
  const BlockResult result = block_verify(block, block_size_, sector_size_, expected.checksum);
  if (result != BlockResult::valid) return result;
  // The checksum covers these: who refers to a block of another place or file refers to the wrong one.
  const BlockHeader& header = header_of(block);
  const bool another = header.address != expected.address || header.cluster != cluster_;
  return another ? BlockResult::unexpected_checksum : BlockResult::valid;
}

void Grid::read_done(ReadSlot& slot) {
  ASSERT(slot.read != nullptr);
  ASSERT(!slot.repairing);
  ASSERT(resolving_ == 0);
  Read& root = *slot.read;
  const std::byte* data = slot.io.buffer.data();
  const BlockResult result = authenticate(root.block, data, slot.io.result);
  mark_read_result(result);
  // Legal: a read changes nothing, and what was read is not believed before it is used.
  const bool again = result != BlockResult::valid ||
                     variation(Variation::read_repeated, root.block.address, root.attempts) != 0;
  // A block is damaged only after as many attempts in a row that found it so.
  if (again && root.attempts < attempts_max_ + (result == BlockResult::valid ? 0 : root.repeated)) {
    if (result == BlockResult::valid) root.repeated = root.attempts;
    mark(Mark::grid_read_retried);
    if (slot.side == GridSide::first) ++counters_.retries;
    read_attempt(slot);
    return;
  }
  if (result != BlockResult::valid && turn_to_mirror(slot)) return;
  if (result == BlockResult::valid && repair(slot)) return;
  read_end(slot, result);
}

void Grid::read_end(ReadSlot& slot, BlockResult result) {
  Read& root = *slot.read;
  const std::byte* data = slot.io.buffer.data();
  if (result == BlockResult::valid) {
    bool cache_write = root.cache_write;
    bool buffer_missing = false;
    for (const Read* at = root.joined.peek(); at != nullptr; at = ReadQueue::next(*at)) {
      cache_write |= at->cache_write;
      buffer_missing |= at->buffer == nullptr;
    }
    if (cache_write) cache_insert(data);
    if (root.buffer == nullptr) {
      // The next read in line gets the other buffer.
      std::swap(slot.buffer, resolve_buffer_);
      ASSERT(data == resolve_buffer_);
    } else if (buffer_missing) {
      // Once the root's callback has run, its buffer is its owner's again.
      unpoison(resolve_buffer_, block_size_);
      block_copy(resolve_buffer_, data);
    }
  } else {
    poison(slot.buffer, block_size_);
  }
  slot.read = nullptr;
  ASSERT(reads_issued_ > 0);
  --reads_issued_;
  if (Read* next = reads_waiting_.pop(); next != nullptr) read_issue(slot, *next);
  resolve(root, result == BlockResult::valid ? data : nullptr, result);
  poison(resolve_buffer_, block_size_);  // The callbacks have looked at it.
}

// Answers `root` and all who joined it. A node and what it points to may be gone, or in flight
// again, as soon as its callback has been called.
void Grid::resolve(Read& root, const std::byte* data, BlockResult result) {
  ASSERT((data != nullptr) == (result == BlockResult::valid));
  ReadQueue joined = root.joined;
  root.joined.clear();
  // All copies are made before any callback may change what they are made from.
  if (data != nullptr) {
    if (root.buffer != nullptr && root.buffer != data) block_copy(root.buffer, data);
    for (Read* at = joined.peek(); at != nullptr; at = ReadQueue::next(*at)) {
      if (at->buffer != nullptr) block_copy(at->buffer, data);
    }
  }
  const std::byte* shared = data != nullptr && data == root.buffer ? resolve_buffer_ : data;
  resolve_one(root, data, result);
  for (u32 left = joined.count(); left > 0; --left) {
    Read* read = joined.pop();
    ASSERT(read != nullptr);
    resolve_one(*read, data == nullptr ? nullptr : shared, result);
  }
  ASSERT(joined.empty());
}

void Grid::resolve_one(Read& read, const std::byte* data, BlockResult result) {
  ASSERT(resolving_ == 0);
  ASSERT(read.in_flight);
  ASSERT(reads_in_flight_ > 0);
  read.result = result;
  read.data = data != nullptr && read.buffer != nullptr ? read.buffer : data;
  read.in_flight = false;
  --reads_in_flight_;
  resolving_ = read.block.address;
  read.done(read);
  resolving_ = 0;
}

Grid::Read* Grid::find_root(const BlockReference& block) const {
  u32 left = reads_issued_;
  for (const ReadSlot& slot : read_slots_) {
    if (left == 0) break;
    if (slot.read == nullptr) continue;
    if (slot.read->block == block) return slot.read;
    --left;
  }
  ASSERT(left == 0);
  for (Read* at = reads_waiting_.peek(); at != nullptr; at = ReadQueue::next(*at)) {
    if (at->block == block) return at;
  }
  return nullptr;
}

Grid::ReadSlot* Grid::read_slot_for(const Read& read) const {
  if (!reads_waiting_.empty()) return nullptr;
  const bool busy = reads_issued_ > 0;
  const auto idle =
      std::ranges::find_if(read_slots_, [](const ReadSlot& slot) { return slot.read == nullptr; });
  // Legal: as with a single slot, and the busy one will take the read over.
  if (busy && variation(Variation::read_slot_single, read.block.address) != 0) return nullptr;
  ASSERT(busy || idle != read_slots_.end());
  return idle == read_slots_.end() ? nullptr : &*idle;
}

Grid::WriteSlot* Grid::write_slot_for(const Write& write) const {
  if (!writes_waiting_.empty()) return nullptr;
  ASSERT(writes_in_flight_ >= 1);  // With this one.
  const bool busy = writes_in_flight_ > 1;
  const auto idle =
      std::ranges::find_if(write_slots_, [](const WriteSlot& slot) { return slot.write == nullptr; });
  // Legal: as with a single slot, and the busy one will take the write over.
  if (busy && variation(Variation::write_slot_single, header_of(write.block).address) != 0) return nullptr;
  ASSERT(busy || idle != write_slots_.end());
  return idle == write_slots_.end() ? nullptr : &*idle;
}

// Legal to refuse: the cache answers for what the storage has, and never instead of it.
void Grid::cache_insert(const std::byte* block) {
  if (variation(Variation::cache_insert_refused, header_of(block).address) == 0) cache_.insert(block);
}

bool Grid::reading(u64 address) const {
  if (reads_in_flight_ == 0) return false;
  u32 left = reads_issued_;
  for (const ReadSlot& slot : read_slots_) {
    if (left == 0) break;
    if (slot.read == nullptr) continue;
    if (slot.read->block.address == address) return true;
    --left;
  }
  ASSERT(left == 0);
  for (const ReadQueue* queue : {&reads_waiting_, &reads_deferred_}) {
    for (const Read* at = queue->peek(); at != nullptr; at = ReadQueue::next(*at)) {
      if (at->block.address == address) return true;
    }
  }
  return false;
}

void Grid::write(Write& write) {
  ASSERT(!write.in_flight);
  ASSERT(write.done);
  ASSERT(write.block != nullptr);
  ASSERT(reinterpret_cast<std::uintptr_t>(write.block) % sector_size_ == 0);
  const BlockHeader& header = header_of(write.block);
  ASSERT(block_verify(write.block, block_size_, sector_size_, header.checksum) == BlockResult::valid);
  ASSERT(header.block_type != BlockType::none);
  ASSERT(header.cluster == cluster_);
  ASSERT(!free_set_.is_free(header.address));
  ASSERT(!free_set_.is_released(header.address));
  // Written once per acquisition, and nobody can know the block's checksum before.
  ASSERT(!writing(header.address));
  ASSERT(!reading(header.address));
  ASSERT(!cache_.contains(header.address));

  write.result = IoResult::ok;
  write.in_flight = true;
  ++writes_in_flight_;
  ++counters_.writes;
  if (WriteSlot* slot = write_slot_for(write); slot != nullptr) {
    ASSERT(writes_waiting_.empty());
    write_issue(*slot, write);
    return;
  }
  mark(Mark::grid_write_queued);
  writes_waiting_.push(write);
}

void Grid::write_issue(WriteSlot& slot, Write& write) {
  ASSERT(slot.write == nullptr);
  ASSERT(slot.sides_left == 0);
  slot.write = &write;
  slot.result = IoResult::ok;
  slot.sides_left = mirrored() ? 2 : 1;
  for (u32& attempts : slot.attempts) attempts = 0;
  write_attempt(slot, GridSide::first);
  if (mirrored()) write_attempt(slot, GridSide::mirror);
}

void Grid::write_attempt(WriteSlot& slot, GridSide side) {
  const Write& write = *slot.write;
  const BlockHeader& header = header_of(write.block);
  const bool mirror = side == GridSide::mirror;
  ASSERT(slot.attempts[mirror] < attempts_max_);
  ++slot.attempts[mirror];
  IoTag tag = write.tag;
  if (mirror) tag.purpose = IoPurpose::mirror_write;
  Storage::Write& io = mirror ? slot.mirror_io : slot.io;
  io = Storage::Write{
      .buffer = {write.block, round_up(header.size, sector_size_)},
      .offset = offset_of(header.address),
      .zone = Zone::grid,
      .durability = Durability::on_sync,
      .tag = tag,
      .done = mirror ? Callback<Storage::Write&>::to<&WriteSlot::mirror_done>(&slot)
                     : Callback<Storage::Write&>::to<&WriteSlot::done>(&slot),
  };
  storage(side).write(io);
}

void Grid::write_done(WriteSlot& slot, GridSide side) {
  ASSERT(slot.write != nullptr);
  ASSERT(slot.sides_left > 0);
  ASSERT(resolving_ == 0);
  Write& write = *slot.write;
  const bool mirror = side == GridSide::mirror;
  const Storage::Write& io = mirror ? slot.mirror_io : slot.io;
  if (io.result == IoResult::failed && slot.attempts[mirror] < attempts_max_) {
    ++counters_.retries;
    write_attempt(slot, side);
    return;
  }
  ASSERT(header_of(write.block).size <= io.buffer.size());
  if (io.result == IoResult::failed) slot.result = IoResult::failed;
  if (--slot.sides_left > 0) return;
  const IoResult result = slot.result;
  if (result == IoResult::ok) cache_insert(write.block);

  slot.write = nullptr;
  if (Write* next = writes_waiting_.pop(); next != nullptr) write_issue(slot, *next);
  write.result = result;
  write.in_flight = false;
  ASSERT(writes_in_flight_ > 0);
  --writes_in_flight_;
  write.done(write);
}

Grid::Write* Grid::find_write(u64 address) const {
  if (writes_in_flight_ == 0) return nullptr;
  u32 left = writes_in_flight_ - writes_waiting_.count();
  for (const WriteSlot& slot : write_slots_) {
    if (left == 0) break;
    if (slot.write == nullptr) continue;
    if (header_of(slot.write->block).address == address) return slot.write;
    --left;
  }
  ASSERT(left == 0);
  for (Write* at = writes_waiting_.peek(); at != nullptr; at = decltype(writes_waiting_)::next(*at)) {
    if (header_of(at->block).address == address) return at;
  }
  return nullptr;
}

u64 Grid::acquire(Reservation& reservation) {
  const u64 address = free_set_.acquire(reservation);
  ASSERT(address != resolving_);
  ASSERT(!reading(address));
  ASSERT(!writing(address));
  for (const Visit* at = visits_.peek(); at != nullptr; at = decltype(visits_)::next(*at)) {
    ASSERT(at->address != address);
  }
  cache_.remove(address);
  return address;
}

void Grid::release(u64 address) {
  ASSERT(!writing(address));
  free_set_.release(address);
  // Legal: until its address is reused the block can be read from the storage.
  if (variation(Variation::cache_evicted_early, address) != 0) cache_.remove(address);
  cache_.demote(address);
}

void Grid::block_copy(std::byte* target, const std::byte* source) const {
  ASSERT(target != source);
  const u64 size = header_of(source).size;
  ASSERT(size <= block_size_);
  std::memcpy(target, source, size);
}

}  // namespace tonearm
