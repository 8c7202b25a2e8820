#include "scan/scan.h"

#include <algorithm>

namespace tonearm {

namespace {

constexpr u32 batch_after_probe = 2;

}  // namespace

void Scan::open(Direction direction) {
  ASSERT(state_ != State::buffering);
  at_ = end_ = nullptr;
  after_batch_ = Next::value;
  state_ = State::idle;
  direction_ = direction;
  assigned_ = false;
  reads_ = 0;
  batch_wanted_ = batch_after_probe;
  error_ = {};
}

void Scan::read(Callback<> done) {
  ASSERT(wants_read());
  ASSERT(at_ == end_);
  ASSERT(done);
  state_ = State::buffering;
  done_ = done;
  ++reads_;
  read_source();
}

void Scan::read_done() {
  ASSERT(state_ == State::buffering);
  state_ = State::seeking;
  const Callback<> done = std::exchange(done_, {});
  done();
}

Scan::Next Scan::peek_batch(u64* timestamp) {
  ASSERT(at_ == end_);
  switch (state_) {
    case State::buffering: UNREACHABLE();
    case State::idle:
    case State::needs_data: return Next::read_again;
    case State::aborted:
    case State::finished: return Next::end;
    case State::failed: return Next::failed;
    case State::seeking: break;
  }
  Next after = std::exchange(after_batch_, Next::value);
  if (after == Next::value) {
    after = fill();
    batch_wanted_ = std::min(4 * batch_wanted_, batch_max);
  }
  if (at_ != end_) {
    after_batch_ = after;
    *timestamp = *at_;
    return Next::value;
  }
  ASSERT(after != Next::value);
  if (after == Next::read_again) state_ = State::needs_data;
  if (after == Next::end) state_ = State::finished;
  if (after == Next::failed) state_ = State::failed;
  return after;
}

void Scan::probe(u64 timestamp) {
  ASSERT(state_ != State::buffering);
  const auto behind = [&](u64 given) { return before(given, timestamp); };
  // Mostly it is one of the next few.
  for (u32 i = 0; i < 4 && at_ != end_ && behind(*at_); ++i) ++at_;
  if (at_ != end_ && behind(*at_)) at_ = std::partition_point(at_, end_, behind);
  if (at_ != end_) return;  // So what is beyond the batch is not before the timestamp either.
  if (state_ != State::idle && state_ != State::seeking && state_ != State::needs_data) return;
  if (after_batch_ == Next::end || after_batch_ == Next::failed) return;
  batch_wanted_ = batch_after_probe;
  probe_source(timestamp);
}

void Scan::abort() {
  ASSERT(state_ != State::buffering);
  if (state_ == State::failed || state_ == State::finished) return;
  at_ = end_;
  state_ = State::aborted;
  abort_source();
}

}  // namespace tonearm
