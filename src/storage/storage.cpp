#include "storage/storage.h"

#include "base/assert.h"

namespace tonearm {

const char* io_purpose_name(IoPurpose purpose) {
  switch (purpose) {
    case IoPurpose::superblock_format: return "superblock_format";
    case IoPurpose::superblock_read: return "superblock_read";
    case IoPurpose::superblock_write: return "superblock_write";
    case IoPurpose::superblock_verify: return "superblock_verify";
    case IoPurpose::superblock_repair: return "superblock_repair";
    case IoPurpose::trailer_read: return "trailer_read";
    case IoPurpose::trailer_write: return "trailer_write";
    case IoPurpose::manifest_read: return "manifest_read";
    case IoPurpose::manifest_write: return "manifest_write";
    case IoPurpose::manifest_compact: return "manifest_compact";
    case IoPurpose::lookup: return "lookup";
    case IoPurpose::scan: return "scan";
    case IoPurpose::compact_read: return "compact_read";
    case IoPurpose::compact_write: return "compact_write";
    case IoPurpose::checkpoint_sync: return "checkpoint_sync";
    case IoPurpose::next_tick: return "next_tick";
    case IoPurpose::audit: return "audit";
    case IoPurpose::scrub: return "scrub";
    case IoPurpose::mirror_read: return "mirror_read";
    case IoPurpose::mirror_write: return "mirror_write";
    case IoPurpose::mirror_scrub: return "mirror_scrub";
    case IoPurpose::mirror_sync: return "mirror_sync";
    case IoPurpose::mirror_repair: return "mirror_repair";
    case IoPurpose::repair: return "repair";
  }
  UNREACHABLE();
}

}  // namespace tonearm
