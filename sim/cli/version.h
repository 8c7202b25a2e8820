// Which program this is; part of every verdict.
#pragma once

#include <string>

namespace tonearm::sim {

inline constexpr const char* program_version = "0.1.0";

std::string git_commit();  // Seven digits, `+` behind them if the checkout had changes, or "unknown".
std::string build_name();  // "gcc-12.2-release", with sanitizers "clang-19.1-debug-address-undefined".
std::string version_text();

}  // namespace tonearm::sim
