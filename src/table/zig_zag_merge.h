// Intersects sorted streams of timestamps: what all of them have, in order.
//
// The streams are read through three methods of their owner: peek says the head, that the stream has ended,
// or that it is pending (what comes next is not here yet); pop takes the head; probe says that nothing before
// a timestamp is wanted of a stream any more, which may let it leap over tables without reading them.
//
// A tour of the streams looks for a candidate that all agree on. A head beyond the candidate is the new
// candidate, and the tour begins again with it; a stream that is behind is probed to the candidate. One
// stream that has ended ends the intersection.
//
// A pending stream is passed over: whatever it says later, nothing before the candidate of the others can be
// in the result. So once those agree, each pending stream is probed to their candidate, once, and its next
// read is a narrow one. Probes are not cheap, so none is repeated. With all streams pending there is no
// candidate.
#pragma once

#include <array>

#include "base/assert.h"
#include "base/key.h"
#include "table/k_way_merge.h"

namespace tonearm {

template <class Source>
class ZigZagMergeOf {
 public:
  static constexpr u32 streams_max = 64;

  enum class Result : u8 { value, end, pending };

  // At least two streams.
  void init(Source& source, u32 stream_count, Direction direction);
  // The next timestamp of all streams, strictly beyond the last one. On `pending` nothing is lost: call again
  // once the streams that were pending have data.
  [[nodiscard]] Result pop(u64* timestamp);
  // The owner has probed the streams, some maybe to where they had been.
  void reset() { probed_.fill(probed_nothing); }

  u64 probes() const { return probes_; }

 private:
  // Ranks are timestamps, complemented for a descending merge: so the least rank is always next.
  u64 rank_of(u64 timestamp) const { return direction_ == Direction::ascending ? timestamp : ~timestamp; }
  PeekResult peek(u32 stream, u64* rank);
  void probe(u32 stream, u64 rank);
  bool find(u64* candidate, u64* pending);  // False: some stream has ended.

  static constexpr u64 probed_nothing = 0;  // A probe to the least rank of all would say nothing.

  Source* source_ = nullptr;
  u32 stream_count_ = 0;
  Direction direction_ = Direction::ascending;
  bool popped_any_ = false;
  u64 popped_ = 0;  // As a rank.
  u64 probes_ = 0;
  std::array<u64, streams_max> probed_;  // The rank that a stream was last probed to.
};

template <class Source>
void ZigZagMergeOf<Source>::init(Source& source, u32 stream_count, Direction direction) {
  ASSERT(stream_count >= 2);
  ASSERT(stream_count <= streams_max);
  source_ = &source;
  stream_count_ = stream_count;
  direction_ = direction;
  popped_any_ = false;
  probes_ = 0;
  reset();
}

template <class Source>
PeekResult ZigZagMergeOf<Source>::peek(u32 stream, u64* rank) {
  u64 timestamp = 0;
  const PeekResult result = source_->peek(stream, &timestamp);
  if (result != PeekResult::value) return result;
  *rank = rank_of(timestamp);
  ASSERT(*rank > 0);
  // No stream goes back to where all of them have been.
  ASSERT_IMPLIES(popped_any_, *rank > popped_);
  return result;
}

template <class Source>
void ZigZagMergeOf<Source>::probe(u32 stream, u64 rank) {
  if (probed_[stream] == rank) return;
  probed_[stream] = rank;
  ++probes_;
  source_->probe(stream, rank_of(rank));
}

// The least rank that all streams with a head have as their heads. 0: all are pending.
template <class Source>
bool ZigZagMergeOf<Source>::find(u64* candidate, u64* pending) {
  *candidate = 0;
  *pending = 0;
  u32 agreed = 0;  // Streams in a row that are at the candidate, or pending.
  // Each turn counts a stream as agreed, or moves the candidate to a head beyond it.
  for (u32 stream = 0; agreed < stream_count_; stream = stream + 1 == stream_count_ ? 0 : stream + 1) {
    ++agreed;
    if ((*pending >> stream & 1) != 0) continue;
    u64 rank = 0;
    PeekResult result = peek(stream, &rank);
    if (result == PeekResult::value && rank < *candidate) {
      probe(stream, *candidate);
      result = peek(stream, &rank);
    }
    switch (result) {
      case PeekResult::end: return false;
      case PeekResult::pending: *pending |= u64{1} << stream; break;
      case PeekResult::value:
        ASSERT(rank >= *candidate);
        if (rank > *candidate) agreed = 1;
        *candidate = rank;
        break;
    }
  }
  return true;
}

template <class Source>
typename ZigZagMergeOf<Source>::Result ZigZagMergeOf<Source>::pop(u64* timestamp) {
  ASSERT(source_ != nullptr);
  u64 candidate = 0;
  u64 pending = 0;
  if (!find(&candidate, &pending)) return Result::end;
  if (pending != 0) {
    for (u32 stream = 0; stream < stream_count_ && candidate != 0; ++stream) {
      if ((pending >> stream & 1) != 0) probe(stream, candidate);
    }
    return Result::pending;
  }
  for (u32 stream = 0; stream < stream_count_; ++stream) source_->pop(stream);
  popped_any_ = true;
  popped_ = candidate;
  *timestamp = rank_of(candidate);
  return Result::value;
}

}  // namespace tonearm
