#pragma once

#include "base/assert.h"
#include "base/types.h"

namespace tonearm {

constexpr u64 div_ceil(u64 a, u64 b) { return a / b + (a % b != 0 ? 1 : 0); }
constexpr u64 round_up(u64 a, u64 multiple) { return div_ceil(a, multiple) * multiple; }
constexpr bool is_power_of_two(u64 a) { return a != 0 && (a & (a - 1)) == 0; }

}  // namespace tonearm
