#include "fuzz/guidance.h"

#include <bit>

#include "base/checksum.h"

namespace tonearm::sim {

namespace {

constexpr u32 marks_size = 256;
constexpr u32 pairs_size = 4096;
constexpr u32 levels_size = 1024;
static_assert(mark_count < marks_size);

// Without `used` and `volatile` the bytes are optimised away, and nothing says so.
__attribute__((
    used, section("__libfuzzer_extra_counters"))) volatile u8 counters[marks_size + pairs_size + levels_size];

void count(u64 place) {
  const u8 before = counters[place];
  if (before < 255) counters[place] = static_cast<u8>(before + 1);
}

}  // namespace

void Guidance::mark_hit(Mark mark) {
  const u32 number = static_cast<u32>(mark);
  count(number);
  if (last_ != mark_count) count(marks_size + hash_of(u64{last_} << 32 | number) % pairs_size);
  last_ = number;
}

void Guidance::level_holds(u32 tree, u32 level, u64 tables) {
  if (tables == 0) return;
  const u64 state = u64{tree} << 32 | level << 8 | static_cast<u64>(std::bit_width(tables));
  count(marks_size + pairs_size + hash_of(state) % levels_size);
}

}  // namespace tonearm::sim
