// Lies about the free set: what its two trailers say, how their blocks hang together, and what the superblock
// says of them. Internal to the forgery of images.
#pragma once

#include "sim/decode/forged_file.h"
#include "sim/decode/image_forgery.h"

namespace tonearm::sim {

// Of an intact file, which has begun. `random` decides which lie, and where.
Forged forge_free_set(ForgedFile& file, u64 random);

}  // namespace tonearm::sim
