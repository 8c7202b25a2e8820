#include "scan/scan_leaf.h"

#include "base/mark.h"

namespace tonearm {

void ScanLeaf::open_prefix(const ScanTree& tree, ScanBuffer& buffer, const Key& prefix,
                           const ScanOptions& options) {
  ASSERT(static_cast<u64>(prefix.lo) == 0);
  tree_ = tree;
  prefix_ = prefix;
  point_ = false;
  open_range(buffer, {.min = key_of(options.timestamps.min), .max = key_of(options.timestamps.max)}, options);
}

void ScanLeaf::open_point(const ScanTree& tree, ScanBuffer& buffer, const Key& key,
                          const ScanOptions& options) {
  tree_ = tree;
  point_ = true;
  open_range(buffer, {.min = key, .max = key}, options);
}

void ScanLeaf::open_range(ScanBuffer& buffer, const KeyRange& range, const ScanOptions& options) {
  timestamps_ = options.timestamps;
  scan_->open(*tree_.tree, buffer, range, options.direction, !options.cold);
  open(options.direction);
  if (scan_->state() == TreeScan::State::idle) return;
  ASSERT(scan_->state() == TreeScan::State::finished);
  over(State::finished);
}

Scan::Next ScanLeaf::fill() {
  u32 count = 0;
  Next after = Next::value;
  while (after == Next::value && count < batch_wanted()) {
    const std::byte* value = nullptr;
    switch (scan_->next(&value)) {
      case TreeScan::Next::value: {
        const u64 timestamp = tree_.timestamp_of(value);
        if (point_ && timestamp == 0) {
          mark(Mark::scan_orphan_skipped, tree_.tree->config().id);
          break;
        }
        if (point_ && !timestamps_.contains(timestamp)) break;
        ASSERT(timestamp > 0 && timestamps_.contains(timestamp));
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
  ASSERT(count <= (point_ ? 1 : batch_wanted()));
  batch(found_.data(), found_.data() + count);
  return after;
}

void ScanLeaf::read_source() { scan_->read(Callback<>::to<&ScanLeaf::source_read>(this)); }

void ScanLeaf::probe_source(u64 timestamp) {
  if (point_) {
    u64& first = ascending() ? timestamps_.min : timestamps_.max;
    if (before(first, timestamp)) first = timestamp;
    return;
  }
  scan_->probe(key_of(timestamp));
  if (scan_->state() == TreeScan::State::aborted) over(State::aborted);
}

void ScanLeaf::abort_source() { scan_->abort(); }

}  // namespace tonearm
