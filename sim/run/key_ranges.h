// The key range of each tree, behind which no lookup looks into the levels: too narrow it hides keys, too
// wide it is only slow, and no answer shows that. So it is compared exactly where it is known: behind an open
// it is what the tables span, and behind a scope that was discarded what it was before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/key.h"
#include "sim/decode/image_decoder.h"
#include "sim/run/engine_host.h"

namespace tonearm::sim {

class KeyRanges {
 public:
  void scope_opens(EngineHost& host, const World& world);
  // Empty, or what is wrong.
  [[nodiscard]] std::string discarded(EngineHost& host, const World& world) const;
  [[nodiscard]] static std::string opened(EngineHost& host, const World& world, const DecodedImage& decoded);

 private:
  std::vector<std::optional<KeyRange>> before_;  // By tree.
};

}  // namespace tonearm::sim
