// The texts by which the engine may explain each lie that forgery tells of an image (lie.h, image_forgery.h).
#pragma once

#include <string_view>

#include "sim/decode/image_forgery.h"

namespace tonearm::sim {

// Whether the name of the lie alone says which texts those are.
bool lie_known(std::string_view lie);
// `forged` was told, and its lie is known or makes trees disagree.
bool lie_explained(const Forged& forged, std::string_view reason);

}  // namespace tonearm::sim
