// All memory of the engine comes from one buffer that the caller hands in at construction.
//
// Each component declares a `Memory` struct whose constructor takes its spans from an Arena. The
// same struct is built twice: once over a measuring arena (no buffer: it only counts) to answer
// memory_required(), and once over the real one. So the size and the layout cannot disagree.
//
// The bytes are NOT cleared: the buffer may hold the remains of an engine that crashed, or poison.
#pragma once

#include <span>
#include <type_traits>

#include "base/assert.h"
#include "base/sanitizer.h"
#include "base/types.h"

namespace tonearm {

class Arena {
 public:
  Arena() = default;  // Measures.
  explicit Arena(std::span<std::byte> buffer) : base_(buffer.data()), size_(buffer.size()) {
    ASSERT(base_ != nullptr);
    ASSERT(reinterpret_cast<std::uintptr_t>(base_) % align_max == 0);
    give_back();
  }

  // What the owners of its parts have poisoned may be used by somebody else (sanitizer.h).
  void give_back() const { unpoison(base_, size_); }

  bool measuring() const { return base_ == nullptr; }
  u64 used() const { return used_; }

  // `count` objects with unspecified contents; the caller writes each before reading it.
  template <class T>
  std::span<T> take(u64 count, u64 align = alignof(T)) {
    static_assert(std::is_trivially_destructible_v<T>);
    ASSERT(align <= align_max);
    used_ = (used_ + align - 1) / align * align;
    const u64 at = used_;
    used_ += count * sizeof(T);
    if (measuring()) return {};
    ASSERT(used_ <= size_);
    return {reinterpret_cast<T*>(base_ + at), static_cast<std::size_t>(count)};
  }

  static constexpr u64 align_max = 4096;

 private:
  std::byte* base_ = nullptr;
  u64 size_ = 0;
  u64 used_ = 0;
};

}  // namespace tonearm
