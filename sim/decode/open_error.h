// What the engine must say of a superblock that the copies do not let it open, and how often it must have
// asked before. The names of the engine's errors are all that is shared with it.
#pragma once

#include "base/assert.h"
#include "base/error.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

inline constexpr u32 superblock_tries = 3;  // Of each request.

inline ErrorKind error_of(DecodeOutcome outcome) {
  switch (outcome) {
    case DecodeOutcome::ok: return ErrorKind::none;
    case DecodeOutcome::not_found: return ErrorKind::not_found;
    case DecodeOutcome::quorum_lost: return ErrorKind::quorum_lost;
    case DecodeOutcome::fork: return ErrorKind::fork;
    case DecodeOutcome::parent_not_connected: return ErrorKind::parent_not_connected;
    case DecodeOutcome::byte_order: return ErrorKind::byte_order;
    case DecodeOutcome::release_unknown: return ErrorKind::release_unknown;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
