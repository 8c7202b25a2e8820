// Where the disk was full.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/types.h"

namespace tonearm::sim {

struct FullAt {
  u64 op = 0;
  bool checkpoint = false;

  friend bool operator==(const FullAt&, const FullAt&) = default;
  std::string text() const { return fmt::format("op {}{}", op, checkpoint ? ", its checkpoint" : ""); }
};

}  // namespace tonearm::sim
