// Block buffers for scans: one of each kind for every level, so many as one scan may need at once.
//
// The pool's size is the number of scans that may be open at the same time; it is a run-time option, and a
// caller who opens one too many is told so. Buffers are given back one by one, in any order.
//
// The bytes of a buffer may be touched only while a scan is open over it: until then, and from then on, they
// are poisoned (base/sanitizer.h).
#pragma once

#include <array>
#include <span>

#include "base/arena.h"
#include "base/options.h"

namespace tonearm {

// What a scan has of one level. The value buffer holds no block, but only those values of one that the scan
// wants, packed.
struct LevelBuffer {
  std::byte* index_block = nullptr;  // block_size bytes each.
  std::byte* value_block = nullptr;
};

struct ScanBuffer {
  std::span<std::byte> memory;  // Of all levels.
  std::array<LevelBuffer, levels_max> levels{};
  u32 level_count = 0;
  bool acquired = false;
  bool scanned = false;  // A scan is open over it.
};

class ScanBufferPool {
 public:
  static void measure(Arena& arena, const FormatOptions& format, u32 buffers_max);
  ScanBufferPool(Arena& arena, const FormatOptions& format, u32 buffers_max);
  ScanBufferPool(const ScanBufferPool&) = delete;

  [[nodiscard]] ScanBuffer* acquire();  // Null: all are taken.
  ScanBuffer& acquire_assume_capacity();
  void release(ScanBuffer& buffer);  // No scan may be open over it.
  void reset();                      // Takes all of them back.

  u32 used() const { return max() - free_count_; }
  u32 max() const { return static_cast<u32>(buffers_.size()); }

 private:
  std::span<ScanBuffer> buffers_;
  std::span<ScanBuffer*> free_;  // A stack: what was used last is warm.
  u32 free_count_ = 0;
};

}  // namespace tonearm
