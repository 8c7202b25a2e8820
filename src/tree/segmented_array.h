// A long array in nodes, so that insertion in the middle moves part of a node and not all behind it.
//
//   nodes_   [n]      id of each node, in order
//   firsts_  [n + 1]  index of each node's first element; the last one is the count
//
// Every node but the last is at least half full. A full node splits at its midpoint. A node that
// gets less than half full takes what the next one has, all of it if that fits, else as much as
// makes both equal.
//
// Insertion and removal cost O(node capacity + node count), search and access O(log count).
// Any mutation invalidates references and cursors.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/mark.h"
#include "base/math.h"
#include "tree/node_pool.h"

namespace tonearm {

template <class T>
class SegmentedArray {
 public:
  static_assert(std::is_trivially_copyable_v<T>);

  // Nodes that `count_max` elements may occupy.
  static constexpr u64 nodes_max(u64 count_max, u32 node_size) {
    return div_ceil(count_max, node_size / sizeof(T) / 2);
  }

  struct Memory {
    Memory(Arena& arena, u64 count_max, u32 node_size)
        : nodes(arena.take<u32>(nodes_max(count_max, node_size))),
          firsts(arena.take<u32>(nodes_max(count_max, node_size) + 1)) {}
    std::span<u32> nodes;
    std::span<u32> firsts;
  };

  static void measure(Arena& arena, u64 count_max, u32 node_size) {
    ASSERT(arena.measuring());
    Memory(arena, count_max, node_size);
  }

  SegmentedArray(NodePool& pool, Arena& arena, u64 count_max)
      : pool_(pool),
        count_max_(count_max),
        capacity_(pool.node_size() / static_cast<u32>(sizeof(T))),
        memory_(arena, count_max, pool.node_size()) {
    ASSERT(capacity_ >= 2);
    ASSERT(capacity_ % 2 == 0);
    ASSERT(count_max < ~u32{0});
    memory_.firsts[0] = 0;
  }
  SegmentedArray(const SegmentedArray&) = delete;

  u64 count() const { return memory_.firsts[node_count_]; }
  u64 count_max() const { return count_max_; }
  u32 node_count() const { return node_count_; }

  const T& at(u64 index) const {
    ASSERT(index < count());
    const u32 node = node_of(index);
    return elements(node)[index - memory_.firsts[node]];
  }

  void insert(u64 index, const T& value) {
    ASSERT(index <= count());
    ASSERT(count() < count_max_);
    const T copy = value;  // It may be an element of this array.
    if (node_count_ == 0) node_insert(0, 0);
    u32 node = index == count() ? node_count_ - 1 : node_of(index);
    if (node_length(node) == capacity_) {
      split(node);
      if (index > memory_.firsts[node + 1]) ++node;
    }
    const u64 relative = index - memory_.firsts[node];
    T* target = elements(node);
    std::memmove(target + relative + 1, target + relative, (node_length(node) - relative) * sizeof(T));
    target[relative] = copy;
    for (u32 i = node + 1; i <= node_count_; ++i) ++memory_.firsts[i];
    ASSERT(node_length(node) <= capacity_);
  }

  void remove(u64 index) {
    ASSERT(index < count());
    const u32 node = node_of(index);
    const u64 relative = index - memory_.firsts[node];
    T* target = elements(node);
    std::memmove(target + relative, target + relative + 1, (node_length(node) - relative - 1) * sizeof(T));
    for (u32 i = node + 1; i <= node_count_; ++i) --memory_.firsts[i];
    if (node + 1 == node_count_) {
      if (node_length(node) == 0) node_remove(node);
    } else if (node_length(node) < capacity_ / 2) {
      refill(node);
    }
  }

  // The first index whose element does not satisfy `before`; those that do are a prefix.
  template <class Before>
  u64 partition_point(Before before) const {
    if (node_count_ == 0) return 0;
    const Place place = partition_place(before);
    return memory_.firsts[place.node] + u64{place.relative};
  }
  // That element, or null.
  template <class Before>
  const T* partition_find(Before before) const {
    if (node_count_ == 0) return nullptr;
    const Place place = partition_place(before);
    if (place.relative < node_length(place.node)) return elements(place.node) + place.relative;
    return place.node + 1 < node_count_ ? elements(place.node + 1) : nullptr;
  }

  // Walks the elements in order.
  class Cursor {
   public:
    explicit Cursor(const SegmentedArray& array) : array_(&array) {}
    bool end() const { return index_ == array_->count(); }
    u64 index() const { return index_; }
    const T& get() const {
      ASSERT(!end());
      return array_->elements(node_)[relative_];
    }
    void next() {
      ASSERT(!end());
      ++index_;
      if (++relative_ == array_->node_length(node_)) ++node_, relative_ = 0;
    }

   private:
    const SegmentedArray* array_;
    u64 index_ = 0;
    u32 node_ = 0;
    u32 relative_ = 0;
  };
  Cursor cursor() const { return Cursor(*this); }

  void assert_valid() const {
    ASSERT(memory_.firsts[0] == 0);
    ASSERT(count() <= count_max_);
    for (u32 node = 0; node < node_count_; ++node) {
      ASSERT(node_length(node) >= 1);
      ASSERT(node_length(node) <= capacity_);
      if (node + 1 < node_count_) ASSERT(node_length(node) >= capacity_ / 2);
    }
  }

 private:
  struct Place {
    u32 node;
    u32 relative;  // As many as the node has: the first of the next one.
  };
  template <class Before>
  Place partition_place(Before before) const {
    u32 low = 0;
    u32 high = node_count_;  // The nodes in [low, high) may hold the last element of the prefix.
    while (high - low > 1) {
      const u32 middle = low + (high - low) / 2;
      (before(elements(middle)[0]) ? low : high) = middle;
    }
    const T* begin = elements(low);
    const T* found = std::partition_point(begin, begin + node_length(low), before);
    return {.node = low, .relative = static_cast<u32>(found - begin)};
  }

  T* elements(u32 node) { return reinterpret_cast<T*>(pool_.data(memory_.nodes[node])); }
  const T* elements(u32 node) const { return reinterpret_cast<const T*>(pool_.data(memory_.nodes[node])); }
  u32 node_length(u32 node) const {
    ASSERT(node < node_count_);
    return memory_.firsts[node + 1] - memory_.firsts[node];
  }
  u32 node_of(u64 index) const {
    const auto begin = memory_.firsts.begin();
    return static_cast<u32>(std::upper_bound(begin, begin + node_count_, index) - begin) - 1;
  }

  // A node of no elements yet, in front of `node`, whose first element will be `first`.
  void node_insert(u32 node, u32 first) {
    ASSERT(node <= node_count_);
    ASSERT(node_count_ < memory_.nodes.size());
    u32* nodes = memory_.nodes.data();
    u32* firsts = memory_.firsts.data();
    std::memmove(nodes + node + 1, nodes + node, (node_count_ - node) * sizeof(u32));
    std::memmove(firsts + node + 1, firsts + node, (node_count_ + 1 - node) * sizeof(u32));
    nodes[node] = pool_.acquire();
    firsts[node] = first;
    ++node_count_;
  }

  // The elements of `node` have moved to the one before it.
  void node_remove(u32 node) {
    ASSERT(node < node_count_);
    u32* nodes = memory_.nodes.data();
    u32* firsts = memory_.firsts.data();
    pool_.release(nodes[node]);
    std::memmove(nodes + node, nodes + node + 1, (node_count_ - node - 1) * sizeof(u32));
    std::memmove(firsts + node, firsts + node + 1, (node_count_ - node) * sizeof(u32));
    --node_count_;
  }

  void split(u32 node) {
    const u32 half = capacity_ / 2;
    ASSERT(node_length(node) == capacity_);
    mark(Mark::manifest_node_split);
    node_insert(node + 1, memory_.firsts[node] + half);
    std::memcpy(elements(node + 1), elements(node) + half, half * sizeof(T));
    ASSERT(node_length(node) == half);
    ASSERT(node_length(node + 1) == half);
  }

  void refill(u32 node) {
    const u32 length = node_length(node);
    const u32 length_next = node_length(node + 1);
    T* target = elements(node) + length;
    T* source = elements(node + 1);
    if (length + length_next <= capacity_) {
      mark(Mark::manifest_node_joined);
      std::memcpy(target, source, length_next * sizeof(T));
      node_remove(node + 1);
      return;
    }
    const u32 moved = (length + length_next) / 2 - length;
    std::memcpy(target, source, moved * sizeof(T));
    std::memmove(source, source + moved, (length_next - moved) * sizeof(T));
    memory_.firsts[node + 1] += moved;
    ASSERT(node_length(node) >= capacity_ / 2);
    ASSERT(node_length(node + 1) >= capacity_ / 2);
  }

  NodePool& pool_;
  u64 count_max_;
  u32 capacity_;  // Elements of a node.
  Memory memory_;
  u32 node_count_ = 0;
};

}  // namespace tonearm
