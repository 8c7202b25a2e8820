// Where an engine lives, kept from one engine to the next.
//
// It is not cleared: an engine may not depend on what it finds (in a poison twin it finds something else),
// and what it never touches the system need not have. A shadow engine answers queries and never compacts, so
// that most of its memory is never touched; in pages of 2 MiB it would be there all the same.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>

#include "base/assert.h"
#include "base/math.h"
#include "base/types.h"
#include "sim/disk/large_pages.h"

namespace tonearm::sim {

class EngineMemory {
 public:
  enum class Pages : u8 { small, large };

  EngineMemory() = default;
  explicit EngineMemory(Pages pages) : pages_(pages) {}

  // What is taken from now on begins so many pages behind where it would.
  void skip(u64 pages) { skip_ = pages * page_size; }

  // So many bytes, aligned to a page. What was taken before is gone.
  std::span<std::byte> take(u64 size) {
    if (size + skip_ > size_) {
      const u64 whole = round_up(size + skip_, page_size);
      memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page_size, whole)));
      ASSERT(memory_ != nullptr);
      if (pages_ == Pages::large) prefer_large_pages(memory_.get(), whole);
      size_ = size + skip_;
    }
    return {memory_.get() + skip_, size};
  }

  std::span<std::byte> contents() { return {memory_.get(), size_}; }  // All that was ever taken.

 private:
  static constexpr u64 page_size = 4096;

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  Pages pages_ = Pages::large;
  std::unique_ptr<std::byte, Free> memory_;
  u64 size_ = 0;
  u64 skip_ = 0;
};

}  // namespace tonearm::sim
