// A byte string stored as a chain of grid blocks: where a checkpoint keeps the free set's bitmaps.
//
// Block i holds bytes [i * chunk, (i + 1) * chunk), chunk = block_size - 256; all but the last are
// full. Metadata: reference to block i - 1 (zero for block 0). Blocks are written all at once and
// read backwards, from the reference to the last block which the superblock keeps, together with
// the total size and the checksum of the whole payload. An empty payload has no blocks; its
// checksum is checksum_empty(), which is not zero.
#pragma once

#include <span>

#include "base/arena.h"
#include "base/callback.h"
#include "base/error.h"
#include "grid/grid.h"

namespace tonearm {

struct TrailerReference {
  BlockReference last;    // Zero if size is 0.
  u64 size = 0;           // Bytes of payload.
  Checksum checksum = 0;  // Of the payload.
};

class CheckpointTrailer {
 public:
  struct Metadata {  // 96 bytes, in the block header.
    Checksum previous_checksum;
    u128 previous_checksum_padding;
    u64 previous_address;
    u8 reserved[56];
  };

  struct Memory {
    Memory(Arena& arena, u64 payload_size_max, u32 block_size);
    std::span<std::byte> payload;
    std::span<u64> addresses;
    std::span<Checksum> checksums;
    std::span<Grid::Write> writes;
    std::span<std::byte> blocks;  // One for each write: they all run at once.
  };

  static void measure(Arena& arena, u64 payload_size_max, u32 block_size);
  CheckpointTrailer(Grid& grid, Arena& arena, u64 payload_size_max);
  CheckpointTrailer(const CheckpointTrailer&) = delete;

  // The payload buffer, payload_size_max bytes: filled by the owner before write(), by the trailer in
  // open().
  std::span<std::byte> payload() { return memory_.payload; }

  static u32 blocks_for(u64 size, u32 block_size);

  // Acquires blocks_for(size) blocks of the reservation in order 0..n-1, seals and writes them;
  // `done` when all are written (never inside the call, also for size 0). reference() is valid then,
  // or error() is set: write_failed.
  void write(u64 size, Reservation& reservation, Callback<> done);
  // Reads the chain; `done` when payload() is complete and authenticated, or error() is set:
  // block_damaged, or storage_size if the payload is larger than payload_size_max.
  void open(const TrailerReference& reference, Callback<> done);

  const TrailerReference& reference() const { return reference_; }
  // Addresses of the blocks, in order 0..n-1, after write() or open().
  std::span<const u64> addresses() const { return memory_.addresses.first(blocks_count_); }
  // Of each of them: so each can be read whatever became of the others.
  BlockReference block_reference(u32 index) const {
    ASSERT(index < blocks_count_);
    return {.address = memory_.addresses[index], .checksum = memory_.checksums[index]};
  }
  const Error& error() const { return error_; }

 private:
  enum class Stage : u8 { idle, writing, reading };

  std::byte* block(u32 index) const { return memory_.blocks.data() + u64{index} * block_size_; }
  // Bytes of payload in the block.
  u32 chunk_size(u32 index) const;
  std::span<std::byte> chunk(u32 index) const;

  void commence(Stage stage, u64 size, Callback<> done);
  void finish_on_next_tick();
  void next_tick_done(Storage::NextTick&);
  void finish();

  BlockReference seal(u32 index, const BlockReference& previous);
  void write_done(Grid::Write& write);

  void read_block(const BlockReference& block);
  void read_done(Grid::Read& read);
  // Why an authentic block cannot be the one at this place of the chain, or null.
  const char* misfit(const std::byte* block) const;
  void damaged(const BlockReference& block, const char* reason);

  // Constant after construction.
  Grid& grid_;
  u32 block_size_;
  Memory memory_;

  // Of the operation in progress, or the last one.
  Stage stage_ = Stage::idle;
  u32 blocks_count_ = 0;
  u32 blocks_left_ = 0;  // To be written, or to be read.
  Callback<> done_;
  Grid::Read read_;
  Storage::NextTick next_tick_;
  TrailerReference reference_;
  Error error_;
};
static_assert(sizeof(CheckpointTrailer::Metadata) == 96);

}  // namespace tonearm
