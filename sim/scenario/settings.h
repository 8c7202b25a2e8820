// One table of every option that `set`, `--set` and `reopen` know: name, range, default, meaning.
//
// A scenario file spells all of them out in the order of the table, so what is not in the table can
// not decide a run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario/run_options.h"

namespace tonearm::sim {

enum class SettingType : u8 { number, ratio, name };

struct Setting {
  const char* name;  // `block_size`, `latency.read.mean`, `fault.failed_sync`, `seed.latency`, ...
  SettingType type;
  u64 min, max;  // Of a number; of a name, its indices. A ratio is numerator << 32 | denominator.
  const char* const* names = nullptr;  // Of a name, null-terminated; the value is the index.
  bool format;                         // Part of the data file: may not change at a reopen.
  bool reopenable;                     // May change at a reopen.
  bool of_grooves;                     // Means nothing to other workloads.
  const char* help;
  u64 (*get)(const RunOptions&);
  void (*set)(RunOptions&, u64);
};

std::span<const Setting> settings();
std::optional<u16> find_setting(std::string_view name);
// By edit distance, the nearest first.
std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> names, u32 limit);
std::vector<std::string> nearest_settings(std::string_view name, u32 limit);
// "a setting, nearest: cache_blocks, cache_hash_bits": what an unknown name is told.
std::string expected_setting(std::string_view name);

// "4096", "0x1000", "1/50", "lifo". Strict: no sign, no octal, no overflow, no trailing text. On
// failure returns what was expected, for instance "a number from 512 to 1048576".
struct SettingValue {
  u64 value = 0;
  std::string error;  // Empty: fine.
};
SettingValue parse_setting(const Setting& setting, std::string_view text);
std::string print_setting(const Setting& setting, u64 value);

// Some options are needed in two places: the engine's copy decides, and the disk gets the same.
// To be called after options were changed other than through a Setting.
void finish_options(RunOptions* options);

// Ranges, and the relations that single ranges cannot express (impossible geometry). One line that
// begins with the setting's name, `block_size: 513, expected a power of two ...`; empty: fine.
std::string validate_options(const RunOptions& options);

// Rules that only the engine above this library knows (an index block that does not fit, the memory
// it would need): called last by validate_options. Set once, at start; null: none.
using EngineCheck = std::string (*)(const RunOptions&);
void set_engine_check(EngineCheck check);

}  // namespace tonearm::sim
