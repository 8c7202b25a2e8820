// What `tonearm inspect` shows.
#pragma once

#include <string>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

// Superblock copies, free set, manifest log, levels with their tables; with `values` what they hold.
std::string print_image(const DecodedImage& decoded, bool tables, bool values);

// One block in words (what its bytes say, checked against nothing but themselves).
std::string print_block(const Image& image, const DecodedImage& decoded, u64 address);
std::string print_block_hex(const Image& image, const DecodedImage& decoded, u64 address);

}  // namespace tonearm::sim
