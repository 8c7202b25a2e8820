// A scan of one tree whose keys come in the order of their timestamps.
//
// They do where all keys of the scan are the same but for the timestamp, their least word: the entries of an
// index with one prefix, those of an existence index, the objects themselves. A point, which is the one key
// of an id, has at most one timestamp, which nobody knows before it is read: so a probe changes only whether
// it is wanted then. It is nothing if the id is orphaned.
#pragma once

#include <cstring>

#include "scan/scan.h"
#include "tree/tree_scan.h"

namespace tonearm {

// A tree, and where the timestamp is in its values: bit 63 is clear in those that a scan shows.
struct ScanTree {
  Tree* tree;
  u32 timestamp_offset;  // In bytes. A u64.

  u64 timestamp_of(const std::byte* value) const {
    u64 timestamp;
    std::memcpy(&timestamp, value + timestamp_offset, sizeof timestamp);
    ASSERT(timestamp < tombstone_bit);
    return timestamp;
  }
};

class ScanLeaf final : public Scan {
 public:
  explicit ScanLeaf(TreeScan& scan) : scan_(&scan) {}

  // The keys prefix | timestamp: the prefix is zero where the timestamp goes.
  void open_prefix(const ScanTree& tree, ScanBuffer& buffer, const Key& prefix, const ScanOptions& options);
  void open_point(const ScanTree& tree, ScanBuffer& buffer, const Key& key, const ScanOptions& options);

 private:
  void open_range(ScanBuffer& buffer, const KeyRange& range, const ScanOptions& options);
  Next fill() override;
  void read_source() override;
  void probe_source(u64 timestamp) override;
  void abort_source() override;
  void source_read() { read_done(); }
  Key key_of(u64 timestamp) const { return {.lo = prefix_.lo | timestamp, .hi = prefix_.hi}; }

  TreeScan* scan_;
  ScanTree tree_{};
  Key prefix_{};
  bool point_ = false;
  TimestampRange timestamps_{};
  std::array<u64, batch_max> found_;
};

}  // namespace tonearm
