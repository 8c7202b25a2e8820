// Fixed-capacity ring over memory that somebody else owns. Index 0 is the oldest element.
#pragma once

#include <span>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

template <class T>
class RingBuffer {
 public:
  RingBuffer() = default;
  explicit RingBuffer(std::span<T> slots) : slots_(slots) {}

  u32 count() const { return count_; }
  u32 capacity() const { return static_cast<u32>(slots_.size()); }
  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == capacity(); }

  T& at(u32 index) {
    ASSERT(index < count_);
    return slots_[(head_ + index) % capacity()];
  }
  const T& at(u32 index) const {
    ASSERT(index < count_);
    return slots_[(head_ + index) % capacity()];
  }
  T& front() { return at(0); }
  T& back() { return at(count_ - 1); }

  T& push_back(const T& value) {
    ASSERT(!full());
    ++count_;
    return back() = value;
  }
  // A place before the oldest: the manifest log is read from its newest block to its oldest.
  T& push_front(const T& value) {
    ASSERT(!full());
    head_ = (head_ + capacity() - 1) % capacity();
    ++count_;
    return front() = value;
  }
  T pop_front() {
    T value = front();
    head_ = (head_ + 1) % capacity();
    --count_;
    return value;
  }
  void clear() { head_ = count_ = 0; }

 private:
  std::span<T> slots_;
  u32 head_ = 0;
  u32 count_ = 0;
};

}  // namespace tonearm
