// For tests of this layer: scans of given timestamps, which run dry whenever chance says so, and a storage
// that knows nothing but next ticks.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <vector>

#include "scan/scan_merge.h"
#include "table/test_values.h"

namespace tonearm::test {

class TickStorage final : public Storage {
 public:
  void read(Read&) override { UNREACHABLE(); }
  void write(Write&) override { UNREACHABLE(); }
  void sync(Sync&) override { UNREACHABLE(); }
  void next_tick(NextTick& next_tick) override { ticks_.push_back(&next_tick); }
  bool step() {
    if (ticks_.empty()) return false;
    NextTick& next_tick = *ticks_.front();
    ticks_.pop_front();
    next_tick.done(next_tick);
    return true;
  }

 private:
  std::deque<NextTick*> ticks_;
};

using Timestamps = std::vector<u64>;  // Ascending.

class GivenScan final : public Scan {
 public:
  GivenScan(TickStorage& storage, Random& random, Timestamps timestamps, Direction direction, u32 dry_percent)
      : storage_(&storage), random_(&random), timestamps_(std::move(timestamps)), dry_percent_(dry_percent) {
    if (direction == Direction::descending) std::reverse(timestamps_.begin(), timestamps_.end());
    open(direction);
    range_end_ = timestamps_.empty() ? 0 : timestamps_.back();
  }
  ~GivenScan() = default;

  u64 fails_at = u64_max;  // Position.
  u64 probes = 0;
  u64 reads = 0;
  u64 read_from = 0;  // Where the last read would have begun.

 private:
  Next fill() override {
    const u64* const begin = timestamps_.data() + at_;
    u32 count = 0;
    Next after = Next::value;
    while (after == Next::value && count < batch_wanted()) {
      if (at_ >= fails_at) {
        fail({.kind = ErrorKind::block_damaged});
        after = Next::failed;
      } else if (at_ == timestamps_.size()) {
        after = Next::end;
      } else if (dry_) {
        after = Next::read_again;
      } else {
        ++at_;
        ++count;
        dry_ = random_->chance(dry_percent_);
      }
    }
    batch(begin, begin + count);
    return after;
  }
  void read_source() override {
    ++reads;
    read_from = at_ < timestamps_.size() ? timestamps_[at_] : 0;
    tick_.done = Callback<Storage::NextTick&>::to<&GivenScan::tick_done>(this);
    storage_->next_tick(tick_);
  }
  void tick_done(Storage::NextTick&) {
    dry_ = false;
    read_done();
  }
  void probe_source(u64 timestamp) override {
    ++probes;
    if (at_ < timestamps_.size() && before(range_end_, timestamp)) {
      at_ = timestamps_.size();
      return over(State::aborted);
    }
    while (at_ < timestamps_.size() && before(timestamps_[at_], timestamp)) {
      ++at_;
      if (at_ < timestamps_.size()) dry_ |= random_->chance(dry_percent_);
    }
  }
  void abort_source() override { at_ = timestamps_.size(); }

  TickStorage* storage_;
  Random* random_;
  Timestamps timestamps_;
  u32 dry_percent_;
  u64 range_end_ = 0;
  u64 at_ = 0;
  bool dry_ = false;
  Storage::NextTick tick_;
};

// Reads a scan synchronously.
class Reader {
 public:
  explicit Reader(TickStorage& storage) : storage_(&storage) {}

  void read(Scan& scan) {
    bool done = false;
    scan.read(Callback<>::plain(&done, [](void* context) { *static_cast<bool*>(context) = true; }));
    REQUIRE_FALSE(done);  // Never inside the call.
    REQUIRE(scan.state() == Scan::State::buffering);
    while (!done) REQUIRE(storage_->step());
    REQUIRE(scan.state() == Scan::State::seeking);
    ++reads;
  }
  // The next timestamp, or what there is instead of one.
  Scan::Next next(Scan& scan, u64* timestamp) {
    for (u32 bound = 0; bound < 100000; ++bound) {
      const Scan::Next next = scan.next(timestamp);
      if (next != Scan::Next::read_again) return next;
      REQUIRE(scan.wants_read());
      read(scan);
    }
    UNREACHABLE();
  }
  Timestamps rest(Scan& scan) {
    Timestamps all;
    u64 timestamp = 0;
    while (next(scan, &timestamp) == Scan::Next::value) all.push_back(timestamp);
    return all;
  }

  u64 reads = 0;

 private:
  TickStorage* storage_;
};

}  // namespace tonearm::test
