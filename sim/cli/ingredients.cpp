#include "sim/cli/ingredients.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "sim/disk/fault.h"

namespace tonearm::sim {

std::vector<std::string> ingredients_of(const Scenario& scenario) {
  const RunOptions& options = scenario.options;
  std::array<bool, operation_kind_count> kinds{};
  std::array<bool, fault_kind_count> faults{};
  for (u32 i = 0; i < fault_kind_count; ++i) {
    faults[i] = options.disk.faults.kinds[i].ratio != Ratio{};
  }
  for (const Operation& line : scenario.operations) {
    kinds[static_cast<u32>(line.kind)] = true;
    if (line.kind == OperationKind::fault) faults[static_cast<u32>(line.fault.kind)] = true;
  }
  const DiskOptions& disk = options.disk;
  const auto takes_time = [](const LatencyProfile& profile) {
    return profile.latency_ticks_min != 0 || profile.latency_ticks_mean != 0 || profile.stall != Ratio{};
  };
  const bool timed = takes_time(disk.read) || takes_time(disk.write) || takes_time(disk.sync) ||
                     takes_time(disk.superblock) || disk.slow != Ratio{};
  const bool varied = std::any_of(options.vary.begin(), options.vary.end(),
                                  [](const Ratio& ratio) { return ratio != Ratio{}; });

  std::vector<std::string> names;
  const auto add = [&names](bool present, const char* name) {
    if (present) names.emplace_back(name);
  };
  for (u32 i = 0; i < operation_kind_count; ++i) {
    const OperationKind kind = static_cast<OperationKind>(i);
    if (kind == OperationKind::fault || kind == OperationKind::latency) continue;
    add(kinds[i], operation_kind_name(kind));
  }
  for (u32 i = 0; i < fault_kind_count; ++i) add(faults[i], fault_kind_name(static_cast<FaultKind>(i)));
  add(timed || kinds[static_cast<u32>(OperationKind::latency)], "latency");
  add(disk.policy != DiskOptions{}.policy, "completion order");
  add(disk.mirror, "mirror");
  add(options.full_blocks != 0, "full disk");
  add(options.scrub != 0, "scrub");
  add(varied, "variations");
  return names;
}

std::string needs_words(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<std::string> gone;
  std::copy_if(before.begin(), before.end(), std::back_inserter(gone), [&after](const std::string& name) {
    return std::find(after.begin(), after.end(), name) == after.end();
  });
  std::string text = after.empty() ? "no line and no fault" : fmt::format("{}", fmt::join(after, ", "));
  if (!gone.empty()) text += fmt::format("; does not need {}", fmt::join(gone, ", "));
  return text;
}

}  // namespace tonearm::sim
