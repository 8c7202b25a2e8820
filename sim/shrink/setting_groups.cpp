#include "sim/shrink/setting_groups.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

template <class Which>
SettingGroup reset_of(const Which& which) {
  const RunOptions defaults;
  SettingGroup group;
  for (u16 i = 0; i < settings().size(); ++i) {
    if (which(std::string_view(settings()[i].name))) {
      group.push_back({.setting = i, .value = settings()[i].get(defaults)});
    }
  }
  return group;
}

}  // namespace

SettingGroups setting_groups(const RunOptions& options) {
  const auto begins = [](std::string_view name, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](auto word) { return name.starts_with(word); });
  };
  const auto format = [](std::string_view name) { return settings()[*find_setting(name)].format; };
  const auto of_faults = [&](std::string_view name) { return begins(name, {"fault."}); };
  const auto of_latencies = [&](std::string_view name) {
    return begins(name, {"latency.", "completion", "starved", "queue_depth", "seed.latency"});
  };
  SettingGroups groups;
  // A call that never ends is dear: it takes all the time that a call may. Without time it would take for
  // ever; with a tick for each read a call that ends takes far less than this.
  SettingGroup& soon = groups.emplace_back(reset_of(of_latencies));
  soon.push_back({.setting = *find_setting("latency.read.min"), .value = 1});
  soon.push_back({.setting = *find_setting("liveness_ticks_max"), .value = 100'000});
  groups.push_back(reset_of([&](std::string_view name) { return !format(name); }));
  groups.push_back(reset_of([&](std::string_view name) { return !format(name) && !of_faults(name); }));
  groups.push_back(reset_of([&](std::string_view name) {
    return begins(name,
                  {"weight.", "bias.", "query_", "ops", "key_universe", "phase_lines", "ladder", "profile."});
  }));
  groups.push_back(reset_of(of_faults));
  groups.push_back(reset_of(of_latencies));
  // Then one fault is enough where it took several in a row.
  groups.push_back({{.setting = *find_setting("read_attempts_max"), .value = 1}});
  groups.push_back(reset_of([&](std::string_view name) { return begins(name, {"vary."}); }));
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    const std::string name = std::string("fault.") + fault_kind_name(kind);
    groups.push_back(reset_of([&](std::string_view each) { return each == name || each == name + ".zone"; }));
    const FaultOptions::Kind& chances = options.disk.faults[kind];
    const std::optional<u16> zone = find_setting(name + ".zone");
    for (const FaultZone only :
         {FaultZone::superblock, FaultZone::trailer, FaultZone::manifest, FaultZone::grid}) {
      SettingGroup& narrowed = groups.emplace_back();
      if (!zone || chances.ratio.numerator == 0 || chances.zone != FaultZone::both) continue;
      narrowed.push_back({.setting = *zone, .value = static_cast<u64>(only)});
    }
  }
  return groups;
}

SettingGroups small_formats(const RunOptions& options) {
  const auto to = [](const char* name, u64 value) {
    return SettingTo{.setting = *find_setting(name), .value = value};
  };
  SettingGroups groups;
  const SettingGroup bars{to("beats", 2), to("checkpoint_interval", 4)};
  for (const u64 batch : {1, 2, 4, 8, 16, 32}) {
    const SettingGroup tables{to("batch_values_max", batch), to("values_per_block_max", (batch + 1) / 2),
                              to("value_blocks_max", 0)};
    SettingGroup both = tables;
    both.insert(both.end(), bars.begin(), bars.end());
    groups.push_back(both);
    groups.push_back(tables);
  }
  groups.push_back(bars);
  groups.push_back({to("growth", 2)});
  for (SettingGroup& group : groups) {
    const Setting& first = settings()[group.front().setting];
    if (first.get(options) <= group.front().value) group.clear();
  }
  return groups;
}

}  // namespace tonearm::sim
