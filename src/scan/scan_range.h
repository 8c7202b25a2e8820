// A scan of one tree in the order of its keys, through a filter that may end it.
//
// Its timestamps are in the order of the values that were asked for ("by author, then by timestamp"), so it
// can be read and looked up, but neither probed nor merged with others.
#pragma once

#include "scan/scan_leaf.h"

namespace tonearm {

// What a filter makes of a value; after `last` nothing comes.
enum class ScanDecision : u8 { include, exclude, include_last, exclude_last };

struct ScanFilter {
  void* context = nullptr;
  ScanDecision (*decide)(void* context, const std::byte* value) = nullptr;  // Null: all of them.
};

class ScanRange final : public Scan {
 public:
  explicit ScanRange(TreeScan& scan) : scan_(&scan) {}

  void open(const ScanTree& tree, ScanBuffer& buffer, const KeyRange& range, ScanFilter filter,
            const ScanOptions& options);

 private:
  ScanDecision decide(const std::byte* value) const;
  Next fill() override;
  void read_source() override;
  void probe_source(u64 timestamp) override;
  void abort_source() override;
  void source_read() { read_done(); }

  TreeScan* scan_;
  ScanTree tree_{};
  ScanFilter filter_{};
  std::array<u64, batch_max> found_;
};

}  // namespace tonearm
