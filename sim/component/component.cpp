#include "sim/component/component.h"

namespace tonearm::sim {

namespace {

struct Maker {
  std::string_view workload;
  std::unique_ptr<Component> (*make)(Referee& referee);
};

constexpr Maker makers[] = {
    {"cache", make_cache},
    {"cache_map", make_cache_map},
    {"free_set", make_free_set},
    {"grid", make_grid},
    {"manifest_level", make_manifest_level},
    {"manifest_log", make_manifest_log},
    {"merge", make_merge},
    {"options", make_options},
    {"segmented_array", make_segmented_array},
    {"superblock", make_superblock},
    {"table_memory", make_table_memory},
    {"trailer", make_trailer},
};

}  // namespace

std::unique_ptr<Component> make_component(std::string_view workload, Referee& referee) {
  for (const Maker& maker : makers) {
    if (workload == maker.workload) return maker.make(referee);
  }
  return nullptr;
}

}  // namespace tonearm::sim
