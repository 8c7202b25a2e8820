#include "scan/scan_range.h"

#include "base/mark.h"

namespace tonearm {

void ScanRange::open(const ScanTree& tree, ScanBuffer& buffer, const KeyRange& range, ScanFilter filter,
                     const ScanOptions& options) {
  tree_ = tree;
  filter_ = filter;
  scan_->open(*tree.tree, buffer, range, options.direction, !options.cold);
  Scan::open(options.direction);
  assign();  // It is no operand of a merge.
  if (scan_->state() != TreeScan::State::idle) over(State::finished);
}

// An orphaned id has no timestamp.
ScanDecision ScanRange::decide(const std::byte* value) const {
  if (tree_.timestamp_of(value) == 0) {
    mark(Mark::scan_orphan_skipped, tree_.tree->config().id);
    return ScanDecision::exclude;
  }
  return filter_.decide == nullptr ? ScanDecision::include : filter_.decide(filter_.context, value);
}

Scan::Next ScanRange::fill() {
  u32 count = 0;
  Next after = Next::value;
  while (after == Next::value && count < batch_wanted()) {
    const std::byte* value = nullptr;
    switch (scan_->next(&value)) {
      case TreeScan::Next::value: {
        const ScanDecision decision = decide(value);
        if (decision == ScanDecision::include || decision == ScanDecision::include_last) {
          found_[count++] = tree_.timestamp_of(value);
        }
        if (decision == ScanDecision::include_last || decision == ScanDecision::exclude_last) {
          scan_->abort();
          after = Next::end;
        }
        break;
      }
      case TreeScan::Next::end: after = Next::end; break;
      case TreeScan::Next::read_again: after = Next::read_again; break;
      case TreeScan::Next::failed:
        fail(scan_->error());
        after = Next::failed;
        break;
    }
  }
  ASSERT(count <= batch_wanted());
  batch(found_.data(), found_.data() + count);
  return after;
}

void ScanRange::read_source() { scan_->read(Callback<>::to<&ScanRange::source_read>(this)); }

void ScanRange::probe_source(u64) { ASSERT(false && "a scan in the order of keys cannot be probed"); }

void ScanRange::abort_source() { scan_->abort(); }

}  // namespace tonearm
