#include "grid/checkpoint_trailer.h"

#include <algorithm>
#include <cstring>

#include "base/mark.h"
#include "base/math.h"

namespace tonearm {

CheckpointTrailer::Memory::Memory(Arena& arena, u64 payload_size_max, u32 block_size) {
  const u64 blocks_count = blocks_for(payload_size_max, block_size);
  payload = arena.take<std::byte>(payload_size_max, 16);
  addresses = arena.take<u64>(blocks_count);
  checksums = arena.take<Checksum>(blocks_count);
  writes = arena.take<Grid::Write>(blocks_count);
  blocks = arena.take<std::byte>(blocks_count * block_size, Arena::align_max);
}

void CheckpointTrailer::measure(Arena& arena, u64 payload_size_max, u32 block_size) {
  ASSERT(arena.measuring());
  Memory(arena, payload_size_max, block_size);
}

CheckpointTrailer::CheckpointTrailer(Grid& grid, Arena& arena, u64 payload_size_max)
    : grid_(grid), block_size_(grid.block_size()), memory_(arena, payload_size_max, grid.block_size()) {
  ASSERT(payload_size_max > 0);
  for (Grid::Write& write : memory_.writes) write = Grid::Write{};
}

u32 CheckpointTrailer::blocks_for(u64 size, u32 block_size) {
  ASSERT(block_size > block_header_size);
  return static_cast<u32>(div_ceil(size, block_size - block_header_size));
}

u32 CheckpointTrailer::chunk_size(u32 index) const {
  ASSERT(index < blocks_count_);
  const u64 chunk_max = block_size_ - block_header_size;
  return static_cast<u32>(std::min(chunk_max, reference_.size - index * chunk_max));
}

std::span<std::byte> CheckpointTrailer::chunk(u32 index) const {
  const u64 chunk_max = block_size_ - block_header_size;
  return memory_.payload.subspan(index * chunk_max, chunk_size(index));
}

void CheckpointTrailer::commence(Stage stage, u64 size, Callback<> done) {
  ASSERT(stage_ == Stage::idle);
  ASSERT(size <= memory_.payload.size());
  ASSERT(done);
  stage_ = stage;
  blocks_count_ = blocks_for(size, block_size_);
  blocks_left_ = blocks_count_;
  done_ = done;
  error_ = {};
  ASSERT(blocks_count_ <= memory_.addresses.size());
}

void CheckpointTrailer::finish_on_next_tick() {
  ASSERT(stage_ != Stage::idle);
  next_tick_.done = Callback<Storage::NextTick&>::to<&CheckpointTrailer::next_tick_done>(this);
  grid_.storage().next_tick(next_tick_);
}

void CheckpointTrailer::next_tick_done(Storage::NextTick&) { finish(); }

void CheckpointTrailer::finish() {
  ASSERT(stage_ != Stage::idle);
  ASSERT_IMPLIES(!error_, blocks_left_ == 0);
  stage_ = Stage::idle;
  if (error_) blocks_count_ = 0;
  done_();
}

void CheckpointTrailer::write(u64 size, Reservation& reservation, Callback<> done) {
  commence(Stage::writing, size, done);
  reference_ = {.last = {}, .size = size, .checksum = checksum_of(memory_.payload.first(size))};
  if (size == 0) {
    ASSERT(reference_.checksum == checksum_empty());
    mark(Mark::checkpoint_unchanged_trailer);
    finish_on_next_tick();
    return;
  }
  if (blocks_count_ > 1) mark(Mark::checkpoint_trailer_chained);
  for (u32 i = 0; i < blocks_count_; ++i) {
    memory_.addresses[i] = grid_.acquire(reservation);
    reference_.last = seal(i, reference_.last);
    memory_.checksums[i] = reference_.last.checksum;
  }
  for (u32 i = 0; i < blocks_count_; ++i) {
    memory_.writes[i] = Grid::Write{
        .block = block(i),
        .tag = {.purpose = IoPurpose::trailer_write},
        .done = Callback<Grid::Write&>::to<&CheckpointTrailer::write_done>(this),
    };
    grid_.write(memory_.writes[i]);
  }
}

BlockReference CheckpointTrailer::seal(u32 index, const BlockReference& previous) {
  ASSERT((index == 0) == (previous == BlockReference{}));
  std::byte* target = block(index);
  const std::span<const std::byte> bytes = chunk(index);
  block_init(target);
  Metadata& metadata = metadata_of<Metadata>(target);
  metadata.previous_checksum = previous.checksum;
  metadata.previous_address = previous.address;
  std::memcpy(body_of(target), bytes.data(), bytes.size());
  const BlockSeal seal{
      .type = BlockType::free_set,
      .address = memory_.addresses[index],
      .snapshot = 0,
      .size = block_header_size + static_cast<u32>(bytes.size()),
      .cluster = grid_.cluster(),
  };
  return {.address = seal.address, .checksum = block_seal(target, seal, grid_.sector_size())};
}

void CheckpointTrailer::write_done(Grid::Write& write) {
  ASSERT(stage_ == Stage::writing);
  ASSERT(blocks_left_ > 0);
  if (write.result == IoResult::failed && !error_) {
    const BlockHeader& header = header_of(write.block);
    error_ = {.kind = ErrorKind::write_failed,
              .address = header.address,
              .checksum = header.checksum,
              .reason = "a trailer block could not be written"};
  }
  if (--blocks_left_ == 0) finish();
}

void CheckpointTrailer::open(const TrailerReference& reference, Callback<> done) {
  const u64 size_max = memory_.payload.size();
  commence(Stage::reading, reference.size <= size_max ? reference.size : 0, done);
  reference_ = reference;
  if (reference.size > size_max) {
    error_ = {.kind = ErrorKind::storage_size,
              .reason = "the free set does not fit",
              .stored = reference.size,
              .given = size_max};
    finish_on_next_tick();
  } else if (reference.size == 0) {
    if (reference.last != BlockReference{}) damaged(reference.last, "an empty trailer has a block");
    if (reference.checksum != checksum_empty()) damaged(reference.last, "an empty trailer's checksum");
    finish_on_next_tick();
  } else if (reference.last.address < 1 || reference.last.address > grid_.blocks_count()) {
    damaged(reference.last, "address out of range");
    finish_on_next_tick();
  } else {
    read_block(reference.last);
  }
}

void CheckpointTrailer::read_block(const BlockReference& reference) {
  ASSERT(stage_ == Stage::reading);
  ASSERT(blocks_left_ > 0);
  read_ = Grid::Read{
      .block = reference,
      .tag = {.purpose = IoPurpose::trailer_read},
      .cache_read = false,
      .cache_write = false,
      .buffer = block(blocks_left_ - 1),
      .done = Callback<Grid::Read&>::to<&CheckpointTrailer::read_done>(this),
  };
  grid_.read(read_);
}

// The chain is bounded by the size that the superblock gives, whatever the blocks say.
void CheckpointTrailer::read_done(Grid::Read& read) {
  ASSERT(&read == &read_);
  ASSERT(stage_ == Stage::reading);
  ASSERT(blocks_left_ > 0);
  const BlockReference reference = read.block;
  if (read.result != BlockResult::valid) {
    damaged(reference, block_result_name(read.result));
    return finish();
  }
  if (const char* reason = misfit(read.data); reason != nullptr) {
    damaged(reference, reason);
    return finish();
  }
  const u32 index = blocks_left_ - 1;
  const std::span<std::byte> target = chunk(index);
  std::memcpy(target.data(), body_of(read.data), target.size());
  memory_.addresses[index] = reference.address;
  memory_.checksums[index] = reference.checksum;
  --blocks_left_;
  if (blocks_left_ > 0) {
    const Metadata& metadata = metadata_of<Metadata>(read.data);
    return read_block({.address = metadata.previous_address, .checksum = metadata.previous_checksum});
  }
  if (checksum_of(memory_.payload.first(reference_.size)) != reference_.checksum) {
    damaged(reference_.last, "the trailer's payload has another checksum");
  }
  finish();
}

const char* CheckpointTrailer::misfit(const std::byte* data) const {
  const BlockHeader& header = header_of(data);
  const Metadata& metadata = metadata_of<Metadata>(data);
  const u32 index = blocks_left_ - 1;
  if (header.block_type != BlockType::free_set) return "not a trailer block";
  if (header.size != block_header_size + chunk_size(index)) return "a trailer block has another size";
  if (metadata.previous_checksum_padding != 0) return "a trailer block's reserved bytes are not zero";
  for (const u8 byte : metadata.reserved) {
    if (byte != 0) return "a trailer block's reserved bytes are not zero";
  }
  if (index == 0) {
    if (metadata.previous_address != 0) return "the first trailer block refers to another one";
    if (metadata.previous_checksum != 0) return "the first trailer block refers to another one";
    return nullptr;
  }
  if (metadata.previous_address < 1) return "the trailer's chain ends too early";
  if (metadata.previous_address > grid_.blocks_count()) return "address out of range";
  return nullptr;
}

void CheckpointTrailer::damaged(const BlockReference& block, const char* reason) {
  error_ = {.kind = ErrorKind::block_damaged,
            .address = block.address,
            .checksum = block.checksum,
            .reason = reason};
}

}  // namespace tonearm
