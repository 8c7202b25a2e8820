#include "table/k_way_merge.h"

#include "base/assert.h"

namespace tonearm {

void KWayMerge::init(MergeSource& source, u32 stream_count, Direction direction) {
  ASSERT(stream_count <= streams_max);
  source_ = &source;
  stream_count_ = stream_count;
  direction_ = direction;
  key_popped_valid_ = false;
  key_popped_ = {};
  versions_dropped_ = 0;
  reset();
}

void KWayMerge::reset() {
  loaded_ = false;
  winner_taken_ = false;
}

// Straight into its place: copying a key that was just written is dearer than comparing it.
PeekResult KWayMerge::peek(u32 stream) {
  Key& rank = ranks_[stream];
  const PeekResult result = source_->peek(stream, &rank);
  if (result == PeekResult::value && direction_ == Direction::descending) {
    rank.lo = ~rank.lo;
    rank.hi = ~rank.hi;
  }
  return result;
}

// Which stream is next is a coin flip, so this computes the answer instead of branching to it.
bool KWayMerge::beats(u32 a, u32 b) const {
  const Key& rank_a = ranks_[a];
  const Key& rank_b = ranks_[b];
  const u32 lo_less = u32{rank_a.lo < rank_b.lo} | (u32{rank_a.lo == rank_b.lo} & u32{a < b});
  const u32 less = u32{rank_a.hi < rank_b.hi} | (u32{rank_a.hi == rank_b.hi} & lo_less);
  return (u32{ended_[a] < ended_[b]} | (u32{ended_[a] == ended_[b]} & less)) != 0;
}

bool KWayMerge::load() {
  ASSERT(stream_count_ > 0);
  for (u32 stream = 0; stream < stream_count_; ++stream) {
    ranks_[stream] = {};  // An empty stream never gets another.
    const PeekResult result = peek(stream);
    if (result == PeekResult::pending) return false;  // Nothing to undo: a peek changes nothing.
    ended_[stream] = result == PeekResult::end;
  }
  // Play the whole tournament once, leaves first. Node n has the children 2n and 2n + 1; the leaf of
  // stream s is node stream_count + s. This works for any number of streams.
  std::array<u8, 2 * streams_max> winners;
  for (u32 stream = 0; stream < stream_count_; ++stream) {
    winners[stream_count_ + stream] = static_cast<u8>(stream);
  }
  for (u32 node = stream_count_ - 1; node > 0; --node) {
    const u8 left = winners[2 * node];
    const u8 right = winners[2 * node + 1];
    const bool left_wins = beats(left, right);
    winners[node] = left_wins ? left : right;
    losers_[node] = left_wins ? right : left;
  }
  winner_ = winners[1];  // With one stream, node 1 is its leaf.
  loaded_ = true;
  return true;
}

bool KWayMerge::replay() {
  const u32 stream = winner_;
  const PeekResult result = peek(stream);
  if (result == PeekResult::pending) return false;  // Its rank means nothing until it is peeked again.
  ASSERT(!ended_[stream]);
  ended_[stream] = result == PeekResult::end;
  ASSERT_IMPLIES(!ended_[stream], key_popped_ < ranks_[stream]);
  u32 winner = stream;
  for (u32 node = (stream_count_ + stream) / 2; node > 0; node /= 2) {
    const u32 challenger = losers_[node];
    const u32 swap = u32{beats(challenger, winner)} * (winner ^ challenger);
    losers_[node] = static_cast<u8>(challenger ^ swap);
    winner ^= swap;
  }
  winner_ = winner;
  winner_taken_ = false;
  return true;
}

KWayMerge::Result KWayMerge::pop(const std::byte** value, u32* stream) {
  ASSERT(source_ != nullptr);
  if (stream_count_ == 0) return Result::end;
  if (!loaded_ && !load()) return Result::pending;
  for (;;) {  // Each turn takes a value from a stream; there are at most `stream_count` of one key.
    if (winner_taken_ && !replay()) return Result::pending;
    if (ended_[winner_]) return Result::end;
    const Key& rank = ranks_[winner_];
    const bool older_version = key_popped_valid_ && rank == key_popped_;
    ASSERT_IMPLIES(key_popped_valid_, key_popped_ <= rank);
    const std::byte* taken = source_->pop(winner_);
    winner_taken_ = true;
    if (older_version) {
      ++versions_dropped_;
      continue;
    }
    ASSERT(taken != nullptr);
    key_popped_ = rank;
    key_popped_valid_ = true;
    *value = taken;
    *stream = winner_;
    return Result::value;
  }
}

}  // namespace tonearm
