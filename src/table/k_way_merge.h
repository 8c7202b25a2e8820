// Merges k sorted streams into one, newest version of each key first and only.
//
// The streams are read through one interface: peek says the head's key, that the stream has ended,
// or that it is pending (its next block is not here yet). Stream 0 has precedence over stream 1, and
// so on: of equal keys the lowest stream's value is returned and the others are dropped.
//
// Peek before pop: each pop first re-peeks the stream that won last time and only then takes the new
// winner. A stream that turned pending after its pop would otherwise sit in the heap with a stale key.
//
// The heads play a knockout tournament whose inner nodes remember the losers. When the winner's stream
// has a new head, only the matches on the way from its leaf to the root are played again.
//
// Source: a loser tree as in Knuth, The Art of Computer Programming 3, 5.4.1.
#pragma once

#include <array>

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

class KWayMerge {
 public:
  static constexpr u32 streams_max = 80;

  enum class Result : u8 { value, end, pending };

  void init(MergeSource& source, u32 stream_count, Direction direction);
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

  MergeSource* source_ = nullptr;
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

}  // namespace tonearm
