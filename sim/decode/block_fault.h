// What a block must be for whoever holds a reference to it, and whether it was delivered.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/decode/disk_format.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

// The type that a block has by what it is used for.
u8 block_type(BlockUse use);

// What is wrong with it, empty if nothing is. `block`: all of its place; `of`: the data file.
std::string block_fault(disk_format::Bytes block, const BlockRef& ref, u8 type, const DecodedImage& of);

// True if one of the deliveries is the block that is meant, all of it authentic; it is copied to `block`.
bool brought_block(std::span<const Brought> brought, const BlockRef& ref, u8 type, const DecodedImage& of,
                   std::vector<std::byte>* block);

}  // namespace tonearm::sim
