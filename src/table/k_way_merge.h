// Merges k sorted streams into one, newest version of each key first and only.
//
// The streams are read through two methods of their owner: peek says the head's key, that the stream has
// ended, or that it is pending (its next block is not here yet). Stream 0 has precedence over stream 1, and
// so on: of equal keys the lowest stream's value is returned and the others are dropped.
//
// Peek before pop: each pop first re-peeks the stream that won last time and only then takes the new
// winner. A stream that turned pending after its pop would otherwise sit in the heap with a stale key.
//
// The heads play a knockout tournament whose inner nodes remember the losers. When the winner's stream
// has a new head, only the matches on the way from its leaf to the root are played again.
//
// It serves where a head must be asked for: unions of scans. The streams of one tree lie in memory as typed
// values, and its kernel merges them (TableKernel::merge_heads).
//
// The merge is a template over its source because both are called for each value, and are little more than
// a comparison and a step. MergeSource is a source for those who do not mind.
//
// Source: a loser tree as in Knuth, The Art of Computer Programming 3, 5.4.1.
#pragma once

#include <array>

#include "base/assert.h"
#include "base/key.h"
#include "base/types.h"

namespace tonearm {

enum class PeekResult : u8 { value, end, pending };

class MergeSource {
 public:
  virtual PeekResult peek(u32 stream, Key* key) = 0;  // Idempotent.
  virtual const std::byte* pop(u32 stream) = 0;       // After a peek that said `value`.

 protected:
  ~MergeSource() = default;
};

template <class Source>
class KWayMergeOf {
 public:
  static constexpr u32 streams_max = 80;

  enum class Result : u8 { value, end, pending };

  void init(Source& source, u32 stream_count, Direction direction);
  // The next value in `direction`, strictly beyond the last one. On `pending` nothing is lost: call
  // again once the stream has data. The pointer is valid until the stream it came from is touched.
  [[nodiscard]] Result pop(const std::byte** value, u32* stream);
  // Forgets the heads (the streams were moved), keeps the last key returned.
  void reset();

  u64 versions_dropped() const { return versions_dropped_; }

 private:
  PeekResult peek(u32 stream);
  bool beats(u32 a, u32 b) const;
  bool load();    // False: a stream is pending.
  bool replay();  // Peeks the stream of the last winner again. False: it is pending.

  Source* source_ = nullptr;
  u32 stream_count_ = 0;
  Direction direction_ = Direction::ascending;
  bool key_popped_valid_ = false;
  bool loaded_ = false;
  bool winner_taken_ = false;  // The head of the winner is gone: replay before looking at it.
  u32 winner_ = 0;
  u64 versions_dropped_ = 0;

  // Ranks are keys, complemented for a descending merge: so the least rank is always next. That of
  // an ended stream means nothing.
  Key key_popped_{};  // As a rank.
  std::array<Key, streams_max> ranks_;
  std::array<bool, streams_max> ended_;
  std::array<u8, streams_max> losers_;
};

using KWayMerge = KWayMergeOf<MergeSource>;

template <class Source>
void KWayMergeOf<Source>::init(Source& source, u32 stream_count, Direction direction) {
  ASSERT(stream_count <= streams_max);
  source_ = &source;
  stream_count_ = stream_count;
  direction_ = direction;
  key_popped_valid_ = false;
  key_popped_ = {};
  versions_dropped_ = 0;
  reset();
}

template <class Source>
void KWayMergeOf<Source>::reset() {
  loaded_ = false;
  winner_taken_ = false;
}

// Straight into its place: copying a key that was just written is dearer than comparing it.
template <class Source>
PeekResult KWayMergeOf<Source>::peek(u32 stream) {
  Key& rank = ranks_[stream];
  const PeekResult result = source_->peek(stream, &rank);
  if (result == PeekResult::value && direction_ == Direction::descending) {
    rank.lo = ~rank.lo;
    rank.hi = ~rank.hi;
  }
  return result;
}

// Which stream is next is a coin flip, so this computes the answer instead of branching to it.
template <class Source>
bool KWayMergeOf<Source>::beats(u32 a, u32 b) const {
  const Key& rank_a = ranks_[a];
  const Key& rank_b = ranks_[b];
  const u32 lo_less = u32{rank_a.lo < rank_b.lo} | (u32{rank_a.lo == rank_b.lo} & u32{a < b});
  const u32 less = u32{rank_a.hi < rank_b.hi} | (u32{rank_a.hi == rank_b.hi} & lo_less);
  return (u32{ended_[a] < ended_[b]} | (u32{ended_[a] == ended_[b]} & less)) != 0;
}

template <class Source>
bool KWayMergeOf<Source>::load() {
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

template <class Source>
bool KWayMergeOf<Source>::replay() {
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

template <class Source>
typename KWayMergeOf<Source>::Result KWayMergeOf<Source>::pop(const std::byte** value, u32* stream) {
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
