// What a name was perhaps meant to be.
#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

u32 edit_distance(std::string_view a, std::string_view b) {
  std::vector<u32> row(b.size() + 1);
  for (u32 j = 0; j <= b.size(); ++j) row[j] = j;
  for (u32 i = 0; i < a.size(); ++i) {
    u32 diagonal = row[0];
    row[0] = i + 1;
    for (u32 j = 0; j < b.size(); ++j) {
      const u32 replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> names, u32 limit) {
  constexpr std::size_t compared_max = 64;  // Longer than any name: the rest cannot come nearer.
  name = name.substr(0, compared_max);
  std::vector<std::pair<u32, u32>> order;  // Distance, then place in the list.
  for (u32 i = 0; i < names.size(); ++i) order.emplace_back(edit_distance(name, names[i]), i);
  std::sort(order.begin(), order.end());
  std::vector<std::string> nearest;
  for (u32 i = 0; i < limit && i < order.size(); ++i) nearest.push_back(names[order[i].second]);
  return nearest;
}

std::vector<std::string> nearest_settings(std::string_view name, u32 limit) {
  std::vector<std::string> names;
  for (const Setting& setting : settings()) names.emplace_back(setting.name);
  return nearest_names(name, names, limit);
}

std::string expected_setting(std::string_view name) {
  return fmt::format("a setting, nearest: {}", fmt::join(nearest_settings(name, 3), ", "));
}

}  // namespace tonearm::sim
