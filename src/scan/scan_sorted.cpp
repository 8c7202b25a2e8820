#include "scan/scan_sorted.h"

#include <algorithm>

#include "base/mark.h"

namespace tonearm {

void ScanSorted::open(const ScanTree& tree, ScanBuffer& buffer, const KeyRange& range,
                      const ScanOptions& options) {
  Scan::open(options.direction);
  tree_ = tree;
  buffer_ = &buffer;
  range_ = range;
  cache_read_ = !options.cold;
  passes_ = 0;
  // A timestamp of 0 is that of an orphan.
  const u64 min = std::max<u64>(options.timestamps.min, 1);
  const u64 max = std::min(options.timestamps.max, tombstone_bit - 1);
  from_ = rank_of(ascending() ? min : max);
  to_ = rank_of(ascending() ? max : min);
  begin_pass();
  if (from_ > to_ || scan_->state() != TreeScan::State::idle) over(State::finished);
}

void ScanSorted::begin_pass() {
  if (scan_->state() != TreeScan::State::closed) scan_->close();
  scan_->open(*tree_.tree, *buffer_, range_, direction(), cache_read_);
  ++passes_;
  count_ = 0;
  left_ = none;
}

// The heap is one of ranks, the greatest on top.
void ScanSorted::keep(u64 rank) {
  if (rank >= left_) return;
  if (count_ == kept_.size()) {
    const u64 greatest = kept_[0];
    ASSERT(rank != greatest);  // An object has one key in a tree.
    left_ = std::max(rank, greatest);
    if (rank > greatest) return;
    std::pop_heap(kept_.begin(), kept_.begin() + count_);
    --count_;
  }
  kept_[count_++] = rank;
  std::push_heap(kept_.begin(), kept_.begin() + count_);
}

bool ScanSorted::walk(Next* stopped) {
  for (;;) {  // Each turn takes a value of the range.
    const std::byte* value = nullptr;
    switch (scan_->next(&value)) {
      case TreeScan::Next::value: {
        const u64 timestamp = tree_.timestamp_of(value);
        if (timestamp == 0) mark(Mark::scan_orphan_skipped, tree_.tree->config().id);
        const u64 rank = rank_of(timestamp);
        if (timestamp != 0 && from_ <= rank && rank <= to_) keep(rank);
        break;
      }
      case TreeScan::Next::end: return true;
      case TreeScan::Next::read_again: *stopped = Next::read_again; return false;
      case TreeScan::Next::failed:
        fail(scan_->error());
        *stopped = Next::failed;
        return false;
    }
  }
}

// Nothing that a probe has skipped since it was kept.
void ScanSorted::hand_out() {
  const auto begin = kept_.begin();
  std::sort_heap(begin, begin + count_);
  const auto first = std::lower_bound(begin, begin + count_, from_);
  const auto end = begin + count_;
  ASSERT(first == end || end[-1] < left_);
  for (auto rank = first; rank != end; ++rank) *rank = rank_of(*rank);  // Its own inverse.
  batch(std::to_address(first), std::to_address(end));
}

Scan::Next ScanSorted::fill() {
  if (from_ > to_) return Next::end;
  Next stopped = Next::end;
  if (!walk(&stopped)) {
    batch(nullptr, nullptr);
    return stopped;
  }
  hand_out();
  if (left_ == none) {
    from_ = none;  // There is no other pass.
    return Next::end;
  }
  from_ = std::max(from_, left_);
  mark(Mark::scan_sorted_again, tree_.tree->config().id);
  begin_pass();
  return Next::read_again;
}

void ScanSorted::read_source() { scan_->read(Callback<>::to<&ScanSorted::source_read>(this)); }

// What the pass has kept stays where it is until its end.
void ScanSorted::probe_source(u64 timestamp) {
  const u64 rank = rank_of(timestamp);
  if (rank <= from_) return;
  from_ = rank;
  if (from_ > to_) over(State::aborted);
}

void ScanSorted::abort_source() { scan_->abort(); }

}  // namespace tonearm
