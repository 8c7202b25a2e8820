// Fixed-size nodes of memory, shared by all levels of all trees (segmented_array.h).
//
// The pool is sized for the worst case, so running out is a bug and not a state. Nodes that were
// never used are not touched: a pool costs what is used of it, not what it could hold.
#pragma once

#include <bit>
#include <cstring>
#include <span>

#include "base/arena.h"
#include "base/bit_set.h"

namespace tonearm {

class NodePool {
 public:
  static constexpr u32 node_size_default = 4096;

  struct Memory {
    Memory(Arena& arena, u64 node_count, u32 node_size)
        : nodes(arena.take<std::byte>(node_count * node_size, node_align)),
          acquired(arena.take<u64>(BitSet::words_for(node_count))) {}
    std::span<std::byte> nodes;
    std::span<u64> acquired;  // One bit a node.
  };

  static void measure(Arena& arena, u64 node_count, u32 node_size = node_size_default) {
    ASSERT(arena.measuring());
    Memory(arena, node_count, node_size);
  }

  NodePool(Arena& arena, u64 node_count, u32 node_size = node_size_default)
      : node_count_(node_count), node_size_(node_size), memory_(arena, node_count, node_size) {
    ASSERT(node_count < none);
    ASSERT(node_size % node_align == 0);
    acquired_ = BitSet(memory_.acquired);
    acquired_.clear();
    poison(memory_.nodes.data(), memory_.nodes.size());
  }
  NodePool(const NodePool&) = delete;

  u32 acquire() {
    u32 node = free_;
    if (node == none) {
      ASSERT(untouched_ < node_count_);
      node = untouched_++;
    } else {
      std::memcpy(&free_, data(node), sizeof(free_));
      ASSERT(free_ == none || free_ < untouched_);
    }
    unpoison(data(node), node_size_);
    ASSERT(!acquired_.test(node));
    acquired_.set(node);
    ++count_acquired_;
    return node;
  }

  void release(u32 node) {
    ASSERT(node < untouched_);
    ASSERT(acquired_.test(node));
    ASSERT(count_acquired_ > 0);
    acquired_.unset(node);
    --count_acquired_;
    std::memcpy(data(node), &free_, sizeof(free_));
    free_ = node;
    poison(data(node) + link_size, node_size_ - link_size);
  }

  std::byte* data(u32 node) {
    ASSERT(node < untouched_);
    return memory_.nodes.data() + u64{node} * node_size_;
  }
  const std::byte* data(u32 node) const {
    ASSERT(node < untouched_);
    return memory_.nodes.data() + u64{node} * node_size_;
  }

  u32 node_size() const { return node_size_; }
  u64 node_count() const { return node_count_; }
  u64 count_acquired() const { return count_acquired_; }

 private:
  static constexpr u32 none = ~u32{0};
  static constexpr u32 link_size = 8;  // Of a released node; not poisoned. The sanitizer's granule.
  static constexpr u64 node_align = 64;

  u64 node_count_;
  u32 node_size_;
  Memory memory_;
  BitSet acquired_;
  u32 untouched_ = 0;  // Nodes from here on have never been acquired.
  u32 free_ = none;    // Head of the released nodes; each one's first bytes hold the next.
  u64 count_acquired_ = 0;
};

}  // namespace tonearm
