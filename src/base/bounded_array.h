// An array with a compile-time capacity and a run-time count. Overflow is an assertion.
#pragma once

#include <array>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

template <class T, u32 Capacity>
class BoundedArray {
 public:
  u32 count() const { return count_; }
  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == Capacity; }
  void clear() { count_ = 0; }

  T& push(const T& value) {
    ASSERT(count_ < Capacity);
    return items_[count_++] = value;
  }
  T& operator[](u32 index) {
    ASSERT(index < count_);
    return items_[index];
  }
  const T& operator[](u32 index) const {
    ASSERT(index < count_);
    return items_[index];
  }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + count_; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + count_; }

 private:
  std::array<T, Capacity> items_{};
  u32 count_ = 0;
};

}  // namespace tonearm
