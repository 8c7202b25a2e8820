// Records of the manifest log that are none, whatever table they are of: any number that is false.
#pragma once

#include <span>

#include "base/types.h"

namespace tonearm::sim {

void record_of_level_too_deep(std::span<std::byte> record, u32 levels, u64 random);
void record_of_no_place(std::span<std::byte> record, u32 levels, u64 random);
void record_of_keys_turned(std::span<std::byte> record, u32 levels, u64 random);
void record_of_ended_table(std::span<std::byte> record, u32 levels, u64 random);

}  // namespace tonearm::sim
