// Whether the trees of a groove say the same: class `structure`.
#pragma once

#include <string>
#include <vector>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

// One line for each entry that is missing and each that belongs to no object; empty if objects, ids and
// index entries are in bijection. Nothing is said if a block of these trees is damaged. Needs
// DecodeOptions::values, and the whole manifest.
std::vector<std::string> check_groove(const DecodedImage& decoded, const GrooveShape& groove);

}  // namespace tonearm::sim
