// Settings that are changed together, because one candidate then says what would take many.
#pragma once

#include <vector>

#include "sim/scenario/run_options.h"

namespace tonearm::sim {

struct SettingTo {
  u16 setting;  // Index into settings().
  u64 value;
};
using SettingGroup = std::vector<SettingTo>;
// As many whatever the options are. One that has nothing to change is empty, or changes nothing.
using SettingGroups = std::vector<SettingGroup>;

// At their defaults, the widest first: what one of them has reset, a later one finds as it is. The format
// stays, whose default is roomy.
SettingGroups setting_groups(const RunOptions& options);

// Small tables, and soon a full level, the smallest first: what takes many lines to fill cannot be shrunk.
SettingGroups small_formats(const RunOptions& options);

}  // namespace tonearm::sim
