// What the environment can do to the engine, as data. Programming errors are assertions instead.
#pragma once

#include "base/checksum.h"
#include "base/types.h"

namespace tonearm {

enum class ErrorKind : u8 {
  none,
  not_found,            // Open: no superblock copy is intact: never formatted, or all are lost.
  quorum_lost,          // Open: fewer than two copies agree.
  fork,                 // Open: two valid superblocks with one sequence and different contents.
  parent_not_connected, // Open: neighbouring sequences that do not follow from each other.
  byte_order,           // Open: written on a machine of the other byte order.
  release_unknown,      // Open: written by a newer release.
  options_mismatch,     // Open: `field`, `stored` and `given` say which format option differs.
  storage_size,         // Open: the data file needs more storage than the limit allows.
  checkpoint_invalid,   // Open: intact blocks that no checkpoint can have written: `reason`.
  block_damaged,        // A block could not be read or authenticated: `address`, `checksum`, `reason`.
  write_failed,         // A write went on failing: `address`.
  sync_failed,          // A sync failed: what it covered may be lost. The checkpoint did not advance.
  checkpoint_failed,    // Fewer than three superblock copies read back good.
  storage_full,         // A reservation found too few free blocks. Nothing was written for it.
  manifest_full,        // More tables than the manifest can hold.
  inconsistent,         // Verification: intact blocks that contradict each other: `address`, `reason`.
};

// Static text for a kind, for instance "block_damaged".
const char* error_name(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::none;
  u64 address = 0;
  Checksum checksum = 0;
  const char* reason = "";  // Static text.
  const char* field = "";   // Static text: the option, for options_mismatch.
  u64 stored = 0;
  u64 given = 0;

  explicit operator bool() const { return kind != ErrorKind::none; }
};

}  // namespace tonearm
