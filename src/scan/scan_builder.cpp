#include "scan/scan_builder.h"

#include <new>

#include "base/mark.h"

namespace tonearm {

ScanBuilder::Memory::Memory(Arena& arena, const Options& options)
    : leaves(arena.take<Leaf>(options.scans_max)),
      merges(arena.take<Merge>(options.scans_max - 1)),
      sorting(arena.take<u64>(u64{options.scans_max} * options.sort_timestamps)) {}

void ScanBuilder::measure(Arena& arena, const Options& options) {
  ASSERT(arena.measuring());
  Memory(arena, options);
}

ScanBuilder::ScanBuilder(Arena& arena, const Options& options, ScanBufferPool& buffers, Storage& storage)
    : buffers_(&buffers), storage_(&storage), memory_(arena, options) {
  ASSERT(options.scans_max == buffers.max());
  ASSERT(options.scans_max <= ScanMerge::operands_max);
  ASSERT(options.sort_timestamps >= 1);
  u64 at = 0;
  for (Leaf& leaf : memory_.leaves) {
    new (&leaf) Leaf(memory_.sorting.subspan(at, options.sort_timestamps));
    at += options.sort_timestamps;
  }
  for (Merge& merge : memory_.merges) new (&merge) Merge;
}

// --- leaves

ScanBuilder::Leaf* ScanBuilder::acquire() {
  ScanBuffer* const buffer = buffers_->acquire();
  error_ = buffer == nullptr ? ScanError::scans_max_exceeded : ScanError::none;
  if (buffer == nullptr) return nullptr;
  for (Leaf& leaf : memory_.leaves) {
    if (leaf.buffer != nullptr) continue;
    leaf.buffer = buffer;
    ++leaves_open_;
    return &leaf;
  }
  UNREACHABLE();
}

Scan* ScanBuilder::prefix(const ScanTree& tree, const Key& prefix, const ScanOptions& options) {
  Leaf* const leaf = acquire();
  if (leaf == nullptr) return nullptr;
  leaf->in_time.open_prefix(tree, *leaf->buffer, prefix, options);
  return &leaf->in_time;
}

Scan* ScanBuilder::point(const ScanTree& tree, const Key& key, const ScanOptions& options) {
  Leaf* const leaf = acquire();
  if (leaf == nullptr) return nullptr;
  leaf->in_time.open_point(tree, *leaf->buffer, key, options);
  return &leaf->in_time;
}

Scan* ScanBuilder::sorted(const ScanTree& tree, const KeyRange& range, const ScanOptions& options) {
  Leaf* const leaf = acquire();
  if (leaf == nullptr) return nullptr;
  leaf->sorted.open(tree, *leaf->buffer, range, options);
  return &leaf->sorted;
}

Scan* ScanBuilder::in_key_order(const ScanTree& tree, const KeyRange& range, ScanFilter filter,
                                const ScanOptions& options) {
  Leaf* const leaf = acquire();
  if (leaf == nullptr) return nullptr;
  leaf->in_key_order.open(tree, *leaf->buffer, range, filter, options);
  return &leaf->in_key_order;
}

// --- merges

Scan* ScanBuilder::merge(ScanMerge::Kind kind, std::span<Scan* const> operands) {
  ASSERT(!operands.empty());
  ASSERT(kind == ScanMerge::Kind::set_union || operands.size() >= 2);
  bool complete = true;
  for (const Scan* operand : operands) complete &= operand != nullptr;
  if (!complete) {
    for (Scan* operand : operands) release(operand);
    error_ = ScanError::scans_max_exceeded;  // Of the operand that is null; another one may be a later leaf.
    return nullptr;
  }
  if (operands.size() == 1) return operands[0];
  // Each merge makes one root of at least two, so there are fewer of them than leaves.
  for (Merge& merge : memory_.merges) {
    if (merge.used) continue;
    merge.used = true;
    merge.merge.open(kind, operands, *storage_);
    return &merge.merge;
  }
  UNREACHABLE();
}

// --- the end

void ScanBuilder::release(Scan* root) {
  if (root == nullptr) return;
  ASSERT(root->state() != Scan::State::buffering);
  if (!release_leaf(root)) release_merge(root);
}

bool ScanBuilder::release_leaf(const Scan* scan) {
  for (Leaf& leaf : memory_.leaves) {
    if (scan != &leaf.in_time && scan != &leaf.sorted && scan != &leaf.in_key_order) continue;
    ASSERT(leaf.buffer != nullptr);
    ASSERT(leaves_open_ > 0);
    leaf.tree.close();
    buffers_->release(*leaf.buffer);
    leaf.buffer = nullptr;
    --leaves_open_;
    return true;
  }
  return false;
}

void ScanBuilder::release_merge(const Scan* scan) {
  for (Merge& merge : memory_.merges) {
    if (scan != &merge.merge) continue;
    ASSERT(merge.used);
    merge.used = false;
    for (Scan* operand : merge.merge.operands()) release(operand);
    return;
  }
  UNREACHABLE();
}

}  // namespace tonearm
