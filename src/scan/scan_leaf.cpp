#include "scan/scan_leaf.h"

#include "base/mark.h"

namespace tonearm {

void ScanLeaf::open_prefix(const ScanTree& tree, ScanBuffer& buffer, const Key& prefix,
                           TimestampRange timestamps, Direction direction, bool cache_read) {
  ASSERT(static_cast<u64>(prefix.lo) == 0);
  tree_ = tree;
  prefix_ = prefix;
  point_ = false;
  timestamps_ = timestamps;
  const KeyRange range{.min = key_of(timestamps.min), .max = key_of(timestamps.max)};
  scan_->open(*tree.tree, buffer, range, direction, cache_read);
  opened(direction);
}

void ScanLeaf::open_point(const ScanTree& tree, ScanBuffer& buffer, const Key& key,
                          TimestampRange timestamps, Direction direction, bool cache_read) {
  tree_ = tree;
  point_ = true;
  timestamps_ = timestamps;
  scan_->open(*tree.tree, buffer, {.min = key, .max = key}, direction, cache_read);
  opened(direction);
}

void ScanLeaf::opened(Direction direction) {
  open(direction);
  if (scan_->state() == TreeScan::State::idle) return;
  ASSERT(scan_->state() == TreeScan::State::finished);  // Of an empty range.
  probed_out();
}

Scan::Next ScanLeaf::fill() {
  u32 count = 0;
  Next after = Next::value;
  while (after == Next::value && count < batch_wanted()) {
    const std::byte* value = nullptr;
    switch (scan_->next(&value)) {
      case TreeScan::Next::value: {
        const u64 timestamp = tree_.timestamp_of(value);
        if (point_ && timestamp == 0) mark(Mark::scan_orphan_skipped, tree_.tree->config().id);
        if (point_ && !timestamps_.contains(timestamp)) break;
        ASSERT(timestamps_.contains(timestamp));
        found_[count++] = timestamp;
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
  batch(found_.data(), found_.data() + count);
  return after;
}

void ScanLeaf::read_source() { scan_->read(Callback<>::to<&ScanLeaf::source_read>(this)); }

void ScanLeaf::probe_source(u64 timestamp) {
  if (point_) return;
  scan_->probe(key_of(timestamp));
  if (scan_->state() == TreeScan::State::aborted) probed_out();
}

void ScanLeaf::abort_source() { scan_->abort(); }

}  // namespace tonearm
