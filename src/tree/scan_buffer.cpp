#include "tree/scan_buffer.h"

#include <new>

#include "base/mark.h"
#include "base/sanitizer.h"

namespace tonearm {

namespace {

// Unit of reads and writes at most.
constexpr u64 block_align = 4096;

u64 buffer_size(const FormatOptions& format) { return u64{format.levels} * 2 * format.block_size; }

}  // namespace

void ScanBufferPool::measure(Arena& arena, const FormatOptions& format, u32 buffers_max) {
  arena.take<ScanBuffer>(buffers_max);
  arena.take<ScanBuffer*>(buffers_max);
  for (u32 i = 0; i < buffers_max; ++i) arena.take<std::byte>(buffer_size(format), block_align);
}

ScanBufferPool::ScanBufferPool(Arena& arena, const FormatOptions& format, u32 buffers_max)
    : buffers_(arena.take<ScanBuffer>(buffers_max)), free_(arena.take<ScanBuffer*>(buffers_max)) {
  ASSERT(buffers_max > 0);
  ASSERT(format.levels <= levels_max);
  for (ScanBuffer& place : buffers_) {
    ScanBuffer& buffer = *new (&place) ScanBuffer;
    buffer.memory = arena.take<std::byte>(buffer_size(format), block_align);
    buffer.level_count = format.levels;
    std::byte* block = buffer.memory.data();
    for (u32 level = 0; level < format.levels; ++level) {
      buffer.levels[level] = {.index_block = block, .value_block = block + format.block_size};
      block += u64{2} * format.block_size;
    }
    poison(buffer.memory.data(), buffer.memory.size());
  }
  reset();
}

ScanBuffer* ScanBufferPool::acquire() {
  if (free_count_ == 0) {
    mark(Mark::scan_buffers_full);
    return nullptr;
  }
  return &acquire_assume_capacity();
}

ScanBuffer& ScanBufferPool::acquire_assume_capacity() {
  ASSERT(free_count_ > 0);
  ScanBuffer& buffer = *free_[--free_count_];
  ASSERT(!buffer.acquired);
  ASSERT(!buffer.scanned);
  buffer.acquired = true;
  return buffer;
}

void ScanBufferPool::release(ScanBuffer& buffer) {
  ASSERT(&buffer >= buffers_.data() && &buffer < buffers_.data() + buffers_.size());
  ASSERT(buffer.acquired);
  ASSERT(!buffer.scanned);
  ASSERT(free_count_ < max());
  buffer.acquired = false;
  free_[free_count_++] = &buffer;
}

// The first buffer is on top.
void ScanBufferPool::reset() {
  free_count_ = max();
  for (u32 i = 0; i < max(); ++i) {
    ASSERT(!buffers_[i].scanned);
    buffers_[i].acquired = false;
    free_[max() - 1 - i] = &buffers_[i];
  }
  ASSERT(used() == 0);
}

}  // namespace tonearm
