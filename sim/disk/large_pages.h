// Memory that is looked at all over the place, in pages of 2 MiB where the system has them.
//
// With pages of 4 KiB nearly every block that is looked at costs a walk through the page tables too.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace tonearm::sim {

inline constexpr std::size_t large_page_size = std::size_t{2} << 20;

// To be called before the memory is touched. Only advice: what comes of it changes no byte.
inline void prefer_large_pages(void* memory, std::size_t size) {
  constexpr std::uintptr_t page = 4096;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory) + size) / page * page;
  if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace tonearm::sim
