// Images that nobody can have written, with every checksum right: from the block that lies up to the
// superblock whoever refers to it is sealed anew. Shares no line with the engine.
#pragma once

#include <optional>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

enum class ForgedDisagreement : u8 { none, entry_missing, entry_left, entry_differs };

struct Forged {
  u64 address = 0;       // The block that must be named; 0: the lie could not be told in this image.
  u128 checksum = 0;     // With which it must be named: that of the reference that leads to it.
  const char* lie = "";  // What it is.
  // Of a lie that no tree by itself gives away: in which tree of ids or entries its groove then disagrees
  // first, the least timestamp there, and how.
  u16 tree = 0;
  u64 timestamp = 0;
  ForgedDisagreement disagreement = ForgedDisagreement::none;
  // The one block that a scrub tour must name, 0: none. Empty: that depends on what became of a block.
  std::optional<u64> scrubbed = 0;
  bool damaged = false;     // The block that must be named is none that anybody may use.
  bool lost = false;        // Nothing refers to that block.
  bool refused = false;     // Opening must name the block, and ends there.
  bool unreadable = false;  // Whoever follows the references finds no block of the type wanted somewhere.
};

// Whether there is anything to lie about.
bool can_forge(const DecodedImage& decoded);
// `decoded`: the image as it is, intact. `random` decides which lie, and where.
Forged forge_image(Image* image, const DecodedImage& decoded, u64 random);
// About what opening reads: trailers, the manifest log, the records of tables.
Forged forge_opening(Image* image, const DecodedImage& decoded, u64 random);

}  // namespace tonearm::sim
