// What the engine must say of a superblock that the copies do not let it open, and how often it must have
// asked before. The names of the engine's errors are all that is shared with it.
#pragma once

#include <string_view>

#include "base/assert.h"
#include "base/error.h"
#include "sim/decode/superblock_copies.h"

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

// Why, in the engine's words: of a superblock that was judged so. Where the copies would do and opening ends
// all the same, they were not the same when they were read again. `newer_layout`: of the superblock itself.
inline std::string_view open_reason(ErrorKind kind, const CopiesVerdict& verdict, bool newer_layout = false) {
  switch (kind) {
    case ErrorKind::not_found: return "no superblock copy is intact";
    case ErrorKind::quorum_lost:
      if (verdict.outcome == DecodeOutcome::ok) return "the superblock copies never read alike";
      return verdict.contradicts != 0 ? "the parent of a newer superblock copy has been lost"
                                      : "too few superblock copies agree";
    case ErrorKind::fork: return "two superblocks with one sequence";
    case ErrorKind::parent_not_connected: return "a superblock does not follow from the one before it";
    case ErrorKind::byte_order: return "written on a machine of the other byte order";
    case ErrorKind::release_unknown:
      return newer_layout ? "a newer layout of the superblock" : "written by a newer release";
    case ErrorKind::options_mismatch: return "the data file was formatted with other options";
    case ErrorKind::storage_size: return "the data file is longer than the storage limit allows";
    case ErrorKind::none:
    case ErrorKind::checkpoint_invalid:
    case ErrorKind::block_damaged:
    case ErrorKind::write_failed:
    case ErrorKind::sync_failed:
    case ErrorKind::checkpoint_failed:
    case ErrorKind::storage_full:
    case ErrorKind::manifest_full:
    case ErrorKind::inconsistent: break;
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
