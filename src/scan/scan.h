// A scan of timestamps: which objects satisfy something, in the order of their timestamps.
//
// Leaves walk a tree (scan_leaf.h, scan_sorted.h, scan_range.h), merges combine scans (scan_merge.h), and the
// ScanBuilder owns both. To whoever reads one it is all the same:
//
//     idle --read--> buffering --(callback)--> seeking --next--> ... finished
//                        ^                        |
//                        +---read--- needs_data <-+  next says read_again
//
// next() answers from what is buffered. When that has run dry it says `read_again`: call read(), wait for its
// callback, which never runs inside the call, and call next() again. It may say so at any time, and nothing
// is lost or repeated. A block that cannot be read ends the scan: `failed`, from then on always.
//
// probe(timestamp) says that nothing before `timestamp` (in the direction of the scan) is wanted any more. It
// may come whenever the scan is not buffering, and may lag behind what was returned.
//
// Timestamps travel in batches: a virtual call brings up to batch_max of them, which are then handed out, and
// skipped by a probe, here. After a probe that went further than the batch the next one is small, because
// whoever leaps will leap again.
#pragma once

#include <array>
#include <utility>

#include "base/assert.h"
#include "base/callback.h"
#include "base/error.h"
#include "base/key.h"
#include "table/tree_types.h"

namespace tonearm {

// Both included. The whole range is that of all timestamps that an object may have.
struct TimestampRange {
  u64 min = 1;
  u64 max = tombstone_bit - 1;

  bool contains(u64 timestamp) const { return min <= timestamp && timestamp <= max; }
};

struct ScanOptions {
  Direction direction = Direction::ascending;
  TimestampRange timestamps;
  bool cold = false;  // No cached block may answer.
};

class Scan {
 public:
  enum class State : u8 {
    idle,       // Nothing was read yet.
    buffering,  // read() has not called back.
    seeking,
    needs_data,  // next() has said read_again.
    aborted,     // The last three: next() says the same for ever.
    finished,
    failed,
  };
  enum class [[nodiscard]] Next : u8{value, end, read_again, failed};

  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  State state() const { return state_; }
  Direction direction() const { return direction_; }
  const Error& error() const { return error_; }  // After Next::failed.
  u64 reads() const { return reads_; }
  // Whether read() is what comes next.
  bool wants_read() const { return state_ == State::idle || state_ == State::needs_data; }

  void read(Callback<> done);  // Only if wants_read().

  // None of these while buffering.
  Next next(u64* timestamp) {
    const Next result = peek(timestamp);
    if (result == Next::value) pop();
    return result;
  }
  // What next() would say. May be asked again.
  Next peek(u64* timestamp) {
    if (at_ == end_) return peek_batch(timestamp);
    *timestamp = *at_;
    return Next::value;
  }
  void pop() {  // After a peek that said `value`.
    ASSERT(at_ != end_);
    ++at_;
  }
  void probe(u64 timestamp);
  void abort();  // No timestamp comes any more.

  // A scan belongs to one merge at most.
  bool assigned() const { return assigned_; }
  void assign() {
    ASSERT(!assigned_);
    assigned_ = true;
  }

 protected:
  static constexpr u32 batch_max = 64;

  Scan() = default;
  ~Scan() = default;

  void open(Direction direction);
  bool ascending() const { return direction_ == Direction::ascending; }
  // In the direction of the scan.
  bool before(u64 a, u64 b) const { return ascending() ? a < b : b < a; }
  // Timestamps, complemented for a descending scan: so the least rank is always next.
  u64 rank_of(u64 timestamp) const { return ascending() ? timestamp : ~timestamp; }

  // --- what the kinds of scans do
  // Fills a batch, which is there until the next call, and says what follows it: `value` if that is not
  // known, and then the batch is not empty.
  virtual Next fill() = 0;
  virtual void read_source() = 0;                // Ends in read_done(), which is not called inside.
  virtual void probe_source(u64 timestamp) = 0;  // Nothing before it is left in a batch.
  virtual void abort_source() = 0;

  u32 batch_wanted() const { return batch_wanted_; }
  void batch(const u64* begin, const u64* end) {
    at_ = begin;
    end_ = end;
  }
  void read_done();
  // Before a batch has said so: the range is empty (`finished`), or a probe has left nothing of it
  // (`aborted`).
  void over(State state) {
    ASSERT(state == State::finished || state == State::aborted);
    state_ = state;
  }
  void fail(const Error& error) { error_ = error; }  // Before fill() says `failed`.

 private:
  Next peek_batch(u64* timestamp);

  const u64* at_ = nullptr;  // The rest of the batch.
  const u64* end_ = nullptr;
  Next after_batch_ = Next::value;
  State state_ = State::finished;
  Direction direction_ = Direction::ascending;
  bool assigned_ = false;
  u64 reads_ = 0;
  u32 batch_wanted_ = 0;
  Callback<> done_;
  Error error_;
};

}  // namespace tonearm
