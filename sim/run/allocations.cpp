#include "sim/run/allocations.h"

#include <cstdlib>
#include <new>

#include "sim/disk/engine_code.h"

#if defined(__SANITIZE_ADDRESS__)
#define TONEARM_OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TONEARM_OWN_MALLOC 0
#endif
#endif
#ifndef TONEARM_OWN_MALLOC
#define TONEARM_OWN_MALLOC 1
#endif

namespace tonearm::sim {

namespace {
u64 allocations = 0;

void count_allocation() {
  if (detail::engine_code_runs) ++allocations;
}
}  // namespace

u64 engine_allocations() { return allocations; }

}  // namespace tonearm::sim

#if TONEARM_OWN_MALLOC

// The names under which the C library has them too, for those who put something in front.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  tonearm::sim::count_allocation();
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  tonearm::sim::count_allocation();
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
  tonearm::sim::count_allocation();
  return __libc_realloc(memory, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  tonearm::sim::count_allocation();
  return __libc_memalign(alignment, size);
}

}  // extern "C"

#else

// The other forms of operator new end in one of these.
void* operator new(std::size_t size) {
  tonearm::sim::count_allocation();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  tonearm::sim::count_allocation();
  const std::size_t align = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  std::abort();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
