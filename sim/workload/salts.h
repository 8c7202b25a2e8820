#pragma once

#include "base/types.h"

namespace tonearm::sim {

// Different salts for different questions about one draw.
enum Salt : u64 {
  salt_kind = 1,
  salt_tree,
  salt_key,
  salt_key_kind,
  salt_key_side,
  salt_cold,
  salt_limit,
  salt_direction,
  salt_shape,
  salt_end,
  salt_rare,
  salt_count,
  salt_setting,
  salt_phase,
  salt_scope,
  salt_scope_end,
  salt_times,
  salt_jitter,
};

}  // namespace tonearm::sim
