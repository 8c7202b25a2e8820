#include "grid/free_set.h"

#include <algorithm>

#include "base/mark.h"
#include "base/math.h"
#include "grid/ewah.h"

namespace tonearm {

FreeSet::Memory::Memory(Arena& arena, const Options& options) {
  const u64 words = BitSet::words_for(options.blocks_count);
  acquired = arena.take<u64>(words);
  released = arena.take<u64>(words);
  prior = arena.take<u64>(words);
  freed = arena.take<u64>(words);
  shards_full = arena.take<u64>(BitSet::words_for(div_ceil(options.blocks_count, shard_bits)));
}

FreeSet::FreeSet(Arena& arena, const Options& options)
    : blocks_count_(options.blocks_count), released_prior_max_(options.released_prior_max) {
  ASSERT(blocks_count_ > 0);
  ASSERT(blocks_count_ % 64 == 0);
  const Memory memory(arena, options);
  acquired_ = BitSet(memory.acquired);
  released_ = BitSet(memory.released);
  prior_ = BitSet(memory.prior);
  freed_ = BitSet(memory.freed);
  shards_full_ = BitSet(memory.shards_full);
  clear();
}

void FreeSet::clear() {
  acquired_.clear();
  released_.clear();
  prior_.clear();
  freed_.clear();
  shards_full_.clear();
  prior_count_ = 0;
  count_acquired_ = 0;
  count_released_ = 0;
}

void FreeSet::open_empty() {
  ASSERT(!opened_);
  clear();
  checkpoint_durable_ = true;
  opened_ = true;
}

FreeSet::OpenResult FreeSet::open(std::span<const std::byte> acquired, std::span<const std::byte> released,
                                  std::span<const u64> trailer_addresses) {
  ASSERT(!opened_);
  clear();
  const EwahResult decoded[] = {ewah_decode(acquired, acquired_.words()),
                                ewah_decode(released, released_.words())};
  for (const EwahResult result : decoded) {
    if (result == EwahResult::malformed) return OpenResult::malformed;
  }
  for (const EwahResult result : decoded) {
    if (result == EwahResult::beyond_target) return OpenResult::beyond_limit;
  }
  for (const u64 address : trailer_addresses) {
    if (address > blocks_count_) return OpenResult::beyond_limit;
  }
  for (u64 i = 0; i < acquired_.words().size(); ++i) {
    if ((released_.words()[i] & ~acquired_.words()[i]) != 0) return OpenResult::contradiction;
  }
  u64 previous = 0;
  for (const u64 address : trailer_addresses) {
    if (address <= previous) return OpenResult::contradiction;
    if (acquired_.test(address - 1)) return OpenResult::contradiction;
    if (prior_count_ == released_prior_max_) return OpenResult::contradiction;
    acquired_.set(address - 1);
    prior_.set(address - 1);
    ++prior_count_;
    previous = address;
  }
  count_and_index();
  checkpoint_durable_ = false;
  opened_ = true;
  return OpenResult::opened;
}

void FreeSet::count_and_index() {
  count_acquired_ = acquired_.count();
  count_released_ = released_.count();
  shards_full_.clear();
  for (u64 shard = 0; shard < div_ceil(blocks_count_, shard_bits); ++shard) {
    if (shard_is_full(shard)) shards_full_.set(shard);
  }
}

bool FreeSet::shard_is_full(u64 shard) const {
  const u64 from = shard * shard_bits;
  const u64 end = std::min(from + shard_bits, blocks_count_);
  ASSERT(from < end);
  for (u64 word = from / 64; word < end / 64; ++word) {
    if (acquired_.words()[word] != u64_max) return false;
  }
  return true;
}

void FreeSet::assert_index() const {
  for (u64 shard = 0; shard < div_ceil(blocks_count_, shard_bits); ++shard) {
    ASSERT(shards_full_.test(shard) == shard_is_full(shard));
  }
}

u64 FreeSet::find_free(u64 from, u64 end) const {
  ASSERT(end <= blocks_count_);
  while (from < end) {
    if (from % shard_bits == 0 && shards_full_.test(from / shard_bits)) {
      from += shard_bits;
      continue;
    }
    const u64 free = ~acquired_.words()[from / 64] >> (from % 64);
    if (free != 0) return std::min(from + static_cast<u64>(std::countr_zero(free)), end);
    from = (from / 64 + 1) * 64;
  }
  return end;
}

std::optional<Reservation> FreeSet::reserve(u32 count) {
  ASSERT(opened_);
  ASSERT(count >= 1);
  ASSERT(reservation_state_ == ReservationState::reserving);

  const u64 base = find_free(cursor_, blocks_count_);
  u64 at = base;
  u32 left = count;
  while (left > 0) {
    at = find_free(at, blocks_count_);
    if (at == blocks_count_) return std::nullopt;
    // All of this word's free bits at once, unless the reservation ends among them.
    u64 free = ~acquired_.words()[at / 64] >> (at % 64);
    const u32 free_count = static_cast<u32>(std::popcount(free));
    ASSERT(free_count > 0);
    if (free_count <= left) {
      left -= free_count;
      at = (at / 64 + 1) * 64;
    } else {
      for (; left > 1; --left) free &= free - 1;
      at += static_cast<u64>(std::countr_zero(free)) + 1;
      left = 0;
    }
  }
  ASSERT(at > base);
  ASSERT(at <= blocks_count_);
  cursor_ = at;
  ++reservation_count_;
  return Reservation{.base = base, .end = at, .left = count, .session = reservation_session_};
}

u64 FreeSet::acquire(Reservation& reservation) {
  ASSERT(opened_);
  ASSERT(reservation_count_ > 0);
  ASSERT(reservation.session == reservation_session_);
  ASSERT(reservation.end <= cursor_);
  ASSERT(reservation.left > 0);

  const u64 bit = find_free(reservation.base, reservation.end);
  ASSERT(bit < reservation.end);
  ASSERT(!acquired_.test(bit));
  ASSERT(!released_.test(bit));
  ASSERT(!prior_.test(bit));
  reservation.base = bit + 1;
  --reservation.left;
  acquired_.set(bit);
  ++count_acquired_;
  // A shard becomes full with the last free bit of a word: only then is it worth a look.
  if (acquired_.words()[bit / 64] == u64_max && shard_is_full(bit / shard_bits)) {
    shards_full_.set(bit / shard_bits);
    mark(Mark::free_set_shard_full);
  }
  if (freed_.test(bit)) mark(Mark::free_set_reused);
  return bit + 1;
}

void FreeSet::forfeit(const Reservation& reservation) {
  ASSERT(opened_);
  ASSERT(reservation_count_ > 0);
  ASSERT(reservation.session == reservation_session_);
  reservation_state_ = ReservationState::forfeiting;
  if (--reservation_count_ > 0) return;
  cursor_ = 0;
  ++reservation_session_;
  reservation_state_ = ReservationState::reserving;
}

void FreeSet::release(u64 address) {
  ASSERT(opened_);
  ASSERT(!is_free(address));
  ASSERT(!is_released(address));
  if (checkpoint_durable_) {
    ASSERT(prior_count_ == 0);
    released_.set(address - 1);
    ++count_released_;
  } else {
    ASSERT(prior_count_ < released_prior_max_);
    prior_.set(address - 1);
    ++prior_count_;
    mark(Mark::free_set_released_before_durable);
  }
}

void FreeSet::mark_checkpoint_not_durable() {
  ASSERT(opened_);
  ASSERT(checkpoint_durable_);
  ASSERT(prior_count_ == 0);
  ASSERT(reservation_count_ == 0);
  checkpoint_durable_ = false;
}

void FreeSet::mark_checkpoint_durable() {
  ASSERT(opened_);
  ASSERT(!checkpoint_durable_);
  // Blocks that became free within a reservation would change what it promised.
  ASSERT(reservation_count_ == 0);
  const std::span<u64> acquired = acquired_.words();
  const std::span<u64> released = released_.words();
  const std::span<u64> prior = prior_.words();
  u64 freed_count = 0;
  u64 prior_count = 0;
  for (u64 i = 0; i < acquired.size(); ++i) {
    const u64 freed = released[i];
    ASSERT((freed & ~acquired[i]) == 0);
    ASSERT((freed & prior[i]) == 0);
    if (freed != 0) {
      acquired[i] &= ~freed;
      freed_.words()[i] |= freed;
      freed_count += static_cast<u64>(std::popcount(freed));
      shards_full_.unset(i * 64 / shard_bits);
    }
    ASSERT((prior[i] & ~acquired[i]) == 0);
    prior_count += static_cast<u64>(std::popcount(prior[i]));
    released[i] = prior[i];
    prior[i] = 0;
  }
  ASSERT(freed_count == count_released_);
  ASSERT(prior_count == prior_count_);
  ASSERT(freed_count <= count_acquired_);
  count_acquired_ -= freed_count;
  count_released_ = prior_count_;
  prior_count_ = 0;
  checkpoint_durable_ = true;
  assert_index();
}

bool FreeSet::is_free(u64 address) const {
  ASSERT(opened_);
  ASSERT(address >= 1);
  ASSERT(address <= blocks_count_);
  return !acquired_.test(address - 1);
}

bool FreeSet::is_released(u64 address) const {
  ASSERT(opened_);
  ASSERT(address >= 1);
  ASSERT(address <= blocks_count_);
  return released_.test(address - 1) || prior_.test(address - 1);
}

u64 FreeSet::highest_acquired() const {
  const std::span<const u64> words = acquired_.words();
  for (u64 i = words.size(); i > 0; --i) {
    if (words[i - 1] != 0) return i * 64 - static_cast<u64>(std::countl_zero(words[i - 1]));
  }
  return 0;
}

u64 FreeSet::encode_acquired(std::span<std::byte> target) const {
  ASSERT(opened_);
  ASSERT(checkpoint_durable_);
  ASSERT(reservation_count_ == 0);
  ASSERT(target.size() >= encode_size_max(blocks_count_));
  return ewah_encode(acquired_.words(), target);
}

u64 FreeSet::encode_released(std::span<std::byte> target) const {
  ASSERT(opened_);
  ASSERT(checkpoint_durable_);
  ASSERT(reservation_count_ == 0);
  ASSERT(prior_count_ == 0);
  ASSERT(target.size() >= encode_size_max(blocks_count_));
  return ewah_encode(released_.words(), target);
}

u64 FreeSet::encode_size_max(u64 blocks_count) {
  return ewah_encode_size_max(BitSet::words_for(blocks_count));
}

}  // namespace tonearm
