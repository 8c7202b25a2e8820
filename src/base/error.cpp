#include "base/error.h"

#include "base/assert.h"

namespace tonearm {

const char* error_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::none: return "none";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::quorum_lost: return "quorum_lost";
    case ErrorKind::fork: return "fork";
    case ErrorKind::parent_not_connected: return "parent_not_connected";
    case ErrorKind::byte_order: return "byte_order";
    case ErrorKind::release_unknown: return "release_unknown";
    case ErrorKind::options_mismatch: return "options_mismatch";
    case ErrorKind::storage_size: return "storage_size";
    case ErrorKind::checkpoint_invalid: return "checkpoint_invalid";
    case ErrorKind::block_damaged: return "block_damaged";
    case ErrorKind::write_failed: return "write_failed";
    case ErrorKind::sync_failed: return "sync_failed";
    case ErrorKind::checkpoint_failed: return "checkpoint_failed";
    case ErrorKind::storage_full: return "storage_full";
    case ErrorKind::manifest_full: return "manifest_full";
    case ErrorKind::inconsistent: return "inconsistent";
  }
  UNREACHABLE();
}

}  // namespace tonearm
