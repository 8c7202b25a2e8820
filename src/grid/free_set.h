// Which block addresses are free: a bitmap allocator with reservations and delayed reuse.
//
// Address a is bit a - 1. A block's life:
//
//   free -> reserved (logically) -> acquired -> released -> [next durable checkpoint] -> free
//
// Reservations make allocation deterministic: jobs reserve in a fixed order before any of them
// runs, so the addresses each one gets depend on the state alone, not on I/O timing. A reservation
// covers the next `count` free bits; acquire() takes the lowest one left in it; when all
// reservations are forfeited, the cursor goes back to the start.
//
// A released block may still be read, and still belongs to the last durable checkpoint. It becomes
// free when the checkpoint AFTER its release is durable:
//
//   - released while the newest checkpoint is durable: bit in `released`, freed by the next
//     mark_checkpoint_durable();
//   - released in between (mark_checkpoint_not_durable() .. mark_checkpoint_durable()): the block
//     is in the checkpoint being made durable, so it waits in `released_prior_durability` and moves
//     to `released` when that checkpoint is durable.
#pragma once

#include <optional>
#include <span>

#include "base/arena.h"
#include "base/bit_set.h"
#include "base/types.h"

namespace tonearm {

struct [[nodiscard]] Reservation {
  u64 base = 0;  // First bit looked at by acquire(); moves up as blocks are acquired.
  u64 end = 0;   // One behind the last bit covered.
  u32 left = 0;  // Blocks that may still be acquired.
  u64 session = 0;
};

class FreeSet {
 public:
  struct Options {
    u64 blocks_count;        // A multiple of 64.
    u64 released_prior_max;  // Blocks that may be released while a checkpoint is not durable.
  };

  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<u64> acquired;
    std::span<u64> released;
    std::span<u64> prior;        // Released-prior-durability.
    std::span<u64> freed;        // Freed by a checkpoint since open: a mark is made of reuse.
    std::span<u64> shards_full;  // One bit a shard of 4096 blocks.
  };

  FreeSet(Arena& arena, const Options& options);
  FreeSet(const FreeSet&) = delete;

  // Opens with nothing acquired, durable.
  void open_empty();

  // Opens from the two payloads of the checkpoint trailers (as encode() wrote them) and the
  // addresses of the trailer blocks themselves, strictly ascending. Those were acquired when the
  // bitmap had been encoded already: they become acquired and released-prior-durability. The set is
  // then not durable: mark_checkpoint_durable() must follow (now or some ops later).
  // A payload may describe more blocks than this set has if the rest is free. Whatever the bytes, they
  // are either what the set then says, or refused with the first reason that applies; the set is not
  // open then.
  enum class [[nodiscard]] OpenResult : u8{
      opened,
      malformed,      // A payload is no bitmap.
      beyond_limit,   // A block behind the last one is acquired, released or of a trailer.
      contradiction,  // A released block is not acquired, or a trailer block is, or is named twice.
  };
  OpenResult open(std::span<const std::byte> acquired, std::span<const std::byte> released,
                  std::span<const u64> trailer_addresses);
  bool opened() const { return opened_; }

  // Covers exactly `count` free blocks, or nothing if there are fewer behind the cursor. count >= 1.
  [[nodiscard]] std::optional<Reservation> reserve(u32 count);
  // The lowest free block of the reservation; there must be one left.
  [[nodiscard]] u64 acquire(Reservation& reservation);
  // Each reservation is forfeited exactly once, used up or not. No reserve() between the first
  // forfeit and the last.
  void forfeit(const Reservation& reservation);

  void release(u64 address);

  void mark_checkpoint_not_durable();
  void mark_checkpoint_durable();
  bool checkpoint_durable() const { return checkpoint_durable_; }

  bool is_free(u64 address) const;  // Neither acquired nor released.
  bool is_released(u64 address) const;
  u64 count_acquired() const { return count_acquired_; }  // Released ones included.
  u64 count_released() const { return count_released_ + prior_count_; }
  u64 count_free() const { return blocks_count_ - count_acquired_; }
  u64 blocks_count() const { return blocks_count_; }
  u64 highest_acquired() const;  // Address, or 0.
  u32 reservation_count() const { return reservation_count_; }

  // The two bitmaps as EWAH (ewah.h), each at most encode_size_max() bytes; returns the bytes written.
  // Requires: durable, no reservations.
  u64 encode_acquired(std::span<std::byte> target) const;
  u64 encode_released(std::span<std::byte> target) const;
  static u64 encode_size_max(u64 blocks_count);

 private:
  static constexpr u64 shard_bits = 4096;
  enum class ReservationState : u8 { reserving, forfeiting };

  void clear();
  void count_and_index();
  bool shard_is_full(u64 shard) const;
  void assert_index() const;
  // The first free bit in [from, end), or `end`.
  u64 find_free(u64 from, u64 end) const;

  u64 blocks_count_;
  u64 released_prior_max_;
  BitSet acquired_;
  BitSet released_;
  BitSet prior_;
  BitSet freed_;
  BitSet shards_full_;
  u64 prior_count_ = 0;
  u64 count_acquired_ = 0;
  u64 count_released_ = 0;  // In `released_`.
  u64 cursor_ = 0;          // First bit that no reservation of this session covers.
  u32 reservation_count_ = 0;
  u64 reservation_session_ = 1;
  ReservationState reservation_state_ = ReservationState::reserving;
  bool opened_ = false;
  bool checkpoint_durable_ = true;
};

}  // namespace tonearm
