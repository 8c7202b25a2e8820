// Images that nobody can have written, with every checksum right: from the block that lies up to the
// superblock whoever refers to it is sealed anew. Shares no line with the engine.
#pragma once

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

struct Forged {
  u64 address = 0;       // The block in which the lie is; 0: it could not be told in this image.
  const char* lie = "";  // What it is.
  // Of a lie that no tree by itself gives away: in which tree of ids or entries its groove then disagrees
  // first, and the least timestamp there.
  u16 tree = 0;
  u64 timestamp = 0;
};

// `decoded`: the image as it is, intact. `random` decides which lie, and where.
Forged forge_image(Image* image, const DecodedImage& decoded, u64 random);

}  // namespace tonearm::sim
