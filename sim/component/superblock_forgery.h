// Superblock copies with a right checksum and contents that no engine wrote.
#pragma once

#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

u64 forgery_count();
const char* forgery_name(u64 kind);
// `value`: which of the many, for those kinds that leave a choice.
void forge_copy(CopyBytes& copy, u64 kind, u64 value);

// Another number in one word of one field, whichever: of all fields of the layout, reserved ones included.
u64 copy_field_count();
inline constexpr u64 copy_change_count = 5;
// `older`: a copy to take a number from.
void change_copy(CopyBytes& copy, u64 field, u64 change, u64 value, disk_format::Bytes older);

}  // namespace tonearm::sim
