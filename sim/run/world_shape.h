// What an image of a world holds, for the decoder: trees by the schema, index entries by hand.
#pragma once

#include "sim/decode/forest_shape.h"
#include "sim/run/runner.h"
#include "sim/scenario/schema.h"

namespace tonearm::sim {

const ForestShape& shape_of(const World& world);
inline const ForestShape& shape_of_run(const RunConfig& config) {
  return shape_of(world_of_run(config.workload, config.options));
}

}  // namespace tonearm::sim
