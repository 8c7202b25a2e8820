// A scan of one tree whose keys do not come in the order of their timestamps: those of a range of values of
// an index, or of ids. It brings them into that order, exactly and in bounded memory.
//
// A pass walks the whole range and keeps the first `sort_max` timestamps that are wanted, in a heap with the
// last of them on top; what it has to leave out is left to a later pass:
//
//     wanted   rank >= from_ when the pass began; a probe may raise from_ at any time
//     kept     the least ranks of those
//     left     the least rank that was left out. Only what is before it is known to be complete.
//
// At the end of the pass the kept ones between from_ and left_ are sorted and handed out; if any was left
// out, another pass begins with it. So the cost is that of the range times the number of passes: ranges are
// for few values, or for operands of an intersection, whose probes let passes begin far beyond the last one.
#pragma once

#include <span>

#include "scan/scan_leaf.h"

namespace tonearm {

class ScanSorted final : public Scan {
 public:
  // `memory`: for as many timestamps as a pass keeps.
  ScanSorted(TreeScan& scan, std::span<u64> memory) : scan_(&scan), kept_(memory) { ASSERT(!memory.empty()); }

  void open(const ScanTree& tree, ScanBuffer& buffer, const KeyRange& range, const ScanOptions& options);

  u64 passes() const { return passes_; }

 private:
  static constexpr u64 none = u64_max;  // No rank: timestamps are neither 0 nor so great.

  void begin_pass();
  bool walk(Next* stopped);  // True: to the end of the range.
  void keep(u64 rank);
  void hand_out();
  Next fill() override;
  void read_source() override;
  void probe_source(u64 timestamp) override;
  void abort_source() override;
  void source_read() { read_done(); }

  TreeScan* scan_;
  std::span<u64> kept_;  // Ranks during a pass, timestamps when they are handed out.

  // For the scan.
  ScanTree tree_{};
  ScanBuffer* buffer_ = nullptr;
  KeyRange range_{};
  u64 to_ = 0;  // The last rank that is wanted.
  bool cache_read_ = true;
  u64 passes_ = 0;

  // For the pass.
  u32 count_ = 0;
  u64 from_ = 0;
  u64 left_ = none;
};

}  // namespace tonearm
