// What single ranges cannot express: settings that must fit together.
#pragma once

#include <string>
#include <string_view>

#include "sim/scenario/run_options.h"

namespace tonearm::sim {

// Of a side. Memory is taken for what is written.
inline constexpr u64 disk_bytes_max = 1024_MiB;

// "levels: 11, expected ...".
std::string setting_complaint(std::string_view field, u64 given, std::string_view expected);
// Empty: they do.
std::string validate_setting_relations(const RunOptions& options);

}  // namespace tonearm::sim
