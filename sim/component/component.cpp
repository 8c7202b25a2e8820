#include "sim/component/component.h"

namespace tonearm::sim {

namespace {

struct Maker {
  std::string_view workload;
  std::unique_ptr<Component> (*make)(Referee& referee);
};

constexpr Maker makers[] = {
    {"cache_map", make_cache_map},
    {"manifest_level", make_manifest_level},
    {"merge", make_merge},
    {"segmented_array", make_segmented_array},
};

}  // namespace

std::unique_ptr<Component> make_component(std::string_view workload, Referee& referee) {
  for (const Maker& maker : makers) {
    if (workload == maker.workload) return maker.make(referee);
  }
  return nullptr;
}

}  // namespace tonearm::sim
