// Superblock copies with a right checksum and contents that no engine wrote.
#pragma once

#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

u64 forgery_count();
const char* forgery_name(u64 kind);
// `value`: which of the many, for those kinds that leave a choice.
void forge_copy(CopyBytes& copy, u64 kind, u64 value);

}  // namespace tonearm::sim
