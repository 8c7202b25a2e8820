// Images that nobody can have written, with every checksum right: from the block that lies up to the
// superblock whoever refers to it is sealed anew. Shares no line with the engine but the names of its errors.
#pragma once

#include <optional>

#include "base/error.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

enum class ForgedDisagreement : u8 { none, entry_missing, entry_left, entry_differs };

struct Forged {
  u64 address = 0;       // The block that must be named.
  u128 checksum = 0;     // With which it must be named: that of the reference that leads to it.
  const char* lie = "";  // What it is; empty: it could not be told in this image.
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
  // How opening ends, if it sees the lie.
  ErrorKind error = ErrorKind::block_damaged;
  u64 stored = 0, given = 0;

  bool told() const { return *lie != 0; }
};

// Whether there is anything to lie about.
bool can_forge(const DecodedImage& decoded);
// `decoded`: the image as it is, intact. `random` decides which lie, and where.
Forged forge_image(Image* image, const DecodedImage& decoded, u64 random);
// About what opening reads: the free set, the manifest log, the records of tables. `blocks_limit`: that of
// the engine that is to open it.
Forged forge_opening(Image* image, const DecodedImage& decoded, u64 blocks_limit, u64 random);

}  // namespace tonearm::sim
