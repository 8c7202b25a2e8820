// Tells the address sanitizer which bytes of the one buffer are not handed out at the moment.
//
// The sanitizer sees one allocation, so a use of a cache slot, a pool entry or a block buffer after it was
// given back would be fine with it. Its owner says so instead. In a build without it nothing is done.
#pragma once

#include <span>

#include "base/types.h"

#if defined(__SANITIZE_ADDRESS__)
#define TONEARM_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TONEARM_POISON 1
#endif
#endif

#ifdef TONEARM_POISON
extern "C" void __asan_poison_memory_region(const volatile void* begin, std::size_t size);
extern "C" void __asan_unpoison_memory_region(const volatile void* begin, std::size_t size);
#endif

namespace tonearm {

#ifdef TONEARM_POISON
inline constexpr bool poison_works = true;
inline void poison(const std::byte* begin, u64 size) { __asan_poison_memory_region(begin, size); }
inline void unpoison(const std::byte* begin, u64 size) { __asan_unpoison_memory_region(begin, size); }
#else
inline constexpr bool poison_works = false;
inline void poison(const std::byte*, u64) {}
inline void unpoison(const std::byte*, u64) {}
#endif

}  // namespace tonearm
