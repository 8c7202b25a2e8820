// Intrusive first-in first-out queue. The nodes belong to their owners; the queue only links them,
// so it never allocates and a node is in at most one queue at a time.
#pragma once

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

// The link a node carries. A node that is in no queue has `queued == false`.
template <class Node>
struct QueueLink {
  Node* next = nullptr;
  bool queued = false;
};

template <class Node, QueueLink<Node> Node::*Link>
class Queue {
 public:
  bool empty() const { return head_ == nullptr; }
  u32 count() const { return count_; }
  Node* peek() const { return head_; }
  static Node* next(const Node& node) { return (node.*Link).next; }

  void push(Node& node) {
    ASSERT(!(node.*Link).queued);
    (node.*Link) = {.next = nullptr, .queued = true};
    if (tail_ == nullptr) {
      head_ = &node;
    } else {
      (tail_->*Link).next = &node;
    }
    tail_ = &node;
    ++count_;
  }

  // Null when empty.
  Node* pop() {
    Node* node = head_;
    if (node == nullptr) return nullptr;
    head_ = (node->*Link).next;
    if (head_ == nullptr) tail_ = nullptr;
    (node->*Link) = {};
    ASSERT(count_ > 0);
    --count_;
    return node;
  }

  // The node must be in this queue. O(count).
  void remove(Node& node) {
    Node* previous = nullptr;
    for (Node* at = head_; at != nullptr; previous = at, at = (at->*Link).next) {
      if (at != &node) continue;
      (previous == nullptr ? head_ : (previous->*Link).next) = (node.*Link).next;
      if (tail_ == &node) tail_ = previous;
      (node.*Link) = {};
      --count_;
      return;
    }
    UNREACHABLE();
  }

  void clear() { head_ = tail_ = nullptr, count_ = 0; }

 private:
  Node* head_ = nullptr;
  Node* tail_ = nullptr;
  u32 count_ = 0;
};

}  // namespace tonearm
