// Numbers in scenario files and on command lines: decimal or 0x hexadecimal, and nothing that could
// be read in two ways. No sign, no octal, no overflow, no separators, no text around them.
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace tonearm::sim {

// Both return what was expected instead; empty: fine.
std::string parse_number(std::string_view text, u64 min, u64 max, u64* value);
std::string parse_wide_number(std::string_view text, u128 max, u128* value);

// Decimal below 2^64, else 0x: short numbers read well, long ones in groups of four bits.
void append_number(u128 value, std::string* target);
std::string number_text(u128 value);

// A token of a hostile file as part of a message: in backquotes, printable and short.
std::string quoted(std::string_view token);

}  // namespace tonearm::sim
