// Builds scans and owns them: leaves over trees, and merges of what was built before.
//
//     Scan* scan = builder.merge_difference(builder.prefix(authors, ...), builder.prefix(drafts, ...));
//     if (scan == nullptr) ...                    // builder.error(): more leaves than there are buffers
//     ...                                         // Read it.
//     builder.release(scan);
//
// There are as many leaves as scan buffers (RuntimeOptions::scans_max), for all scans that are open together.
// One leaf too many is null; so is what is merged with null, and what it would have been merged with is
// released. So only the root has to be looked at, and nothing leaks.
#pragma once

#include <concepts>
#include <span>

#include "base/arena.h"
#include "scan/scan_leaf.h"
#include "scan/scan_merge.h"
#include "scan/scan_range.h"
#include "scan/scan_sorted.h"
#include "tree/scan_buffer.h"

namespace tonearm {

enum class ScanError : u8 {
  none,
  scans_max_exceeded,  // The scans that are open have too many leaves together.
};

class ScanBuilder {
 public:
  struct Options {
    u32 scans_max;        // Leaves: as many as the pool has buffers.
    u32 sort_timestamps;  // That a pass of a ScanSorted keeps.
  };

  static void measure(Arena& arena, const Options& options);
  ScanBuilder(Arena& arena, const Options& options, ScanBufferPool& buffers, Storage& storage);
  ScanBuilder(const ScanBuilder&) = delete;

  // --- leaves. Null: see error().
  // In the order of timestamps, which the keys have: see scan_leaf.h.
  Scan* prefix(const ScanTree& tree, const Key& prefix, const ScanOptions& options);
  Scan* point(const ScanTree& tree, const Key& key, const ScanOptions& options);
  // In the order of timestamps, which the keys do not have: see scan_sorted.h.
  Scan* sorted(const ScanTree& tree, const KeyRange& range, const ScanOptions& options);
  // In the order of keys: no operand of a merge. Timestamps in the options mean nothing here.
  Scan* in_key_order(const ScanTree& tree, const KeyRange& range, ScanFilter filter,
                     const ScanOptions& options);

  // --- merges of roots with the same direction, which were not read yet. A union of one is that one.
  Scan* merge_union(std::span<Scan* const> operands) { return merge(ScanMerge::Kind::set_union, operands); }
  Scan* merge_intersection(std::span<Scan* const> operands) {
    return merge(ScanMerge::Kind::intersection, operands);
  }
  Scan* merge_difference(Scan* from, Scan* subtracted) {
    Scan* const operands[] = {from, subtracted};
    return merge(ScanMerge::Kind::difference, operands);
  }

  template <std::same_as<Scan>... More>
  Scan* merge_union(Scan* first, More*... more) {
    Scan* const operands[] = {first, more...};
    return merge(ScanMerge::Kind::set_union, operands);
  }
  template <std::same_as<Scan>... More>
  Scan* merge_intersection(Scan* first, Scan* second, More*... more) {
    Scan* const operands[] = {first, second, more...};
    return merge(ScanMerge::Kind::intersection, operands);
  }

  // The root and all below it, which must not be buffering. Null: nothing.
  void release(Scan* root);

  ScanError error() const { return error_; }  // Why the last scan that was asked for is null.
  u32 leaves_open() const { return leaves_open_; }

 private:
  struct Leaf {
    Leaf(std::span<u64> sort_memory) : in_time(tree), sorted(tree, sort_memory), in_key_order(tree) {}

    TreeScan tree;
    ScanBuffer* buffer = nullptr;  // Null: the leaf is free.
    ScanLeaf in_time;
    ScanSorted sorted;
    ScanRange in_key_order;
  };
  struct Merge {
    ScanMerge merge;
    bool used = false;
  };
  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<Leaf> leaves;
    std::span<Merge> merges;
    std::span<u64> sorting;  // Of all leaves.
  };

  Leaf* acquire();
  Scan* merge(ScanMerge::Kind kind, std::span<Scan* const> operands);
  bool release_leaf(const Scan* scan);
  void release_merge(const Scan* scan);

  ScanBufferPool* buffers_;
  Storage* storage_;
  Memory memory_;
  ScanError error_ = ScanError::none;
  u32 leaves_open_ = 0;
};

}  // namespace tonearm
