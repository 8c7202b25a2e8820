#include "sim/component/component.h"

namespace tonearm::sim {

namespace {

struct Maker {
  std::string_view workload;
  std::unique_ptr<Component> (*make)(Referee& referee);
};

constexpr Maker makers[] = {
    {"manifest_log", make_manifest_log},
    {"segmented_array", make_segmented_array},
    {"superblock", make_superblock},
};

}  // namespace

std::unique_ptr<Component> make_component(std::string_view workload, Referee& referee) {
  for (const Maker& maker : makers) {
    if (workload == maker.workload) return maker.make(referee);
  }
  return nullptr;
}

}  // namespace tonearm::sim
