#include "sim/run/allocations.h"

#include <cstddef>

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

// The sanitizer has the allocator, and tells whoever asks.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, std::size_t),
                                                         void (*freed)(const volatile void*));

namespace tonearm::sim {
namespace {
void on_malloc(const volatile void*, std::size_t) { count_allocation(); }
void on_free(const volatile void*) {}
[[maybe_unused]] const int hooks = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}  // namespace
}  // namespace tonearm::sim

#endif
