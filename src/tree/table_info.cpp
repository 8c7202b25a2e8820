#include "tree/table_info.h"

namespace tonearm {

const char* manifest_entry_misfit(const TableInfo& entry, u32 levels) {
  if (entry.event() == ManifestEvent::none) return "a manifest entry is no event";
  if (entry.level() >= levels) return "a manifest entry is of a level that does not exist";
  if (entry.address < 1 || entry.address > storage_blocks_max) {
    return "a manifest entry is of a table out of range";
  }
  if (entry.checksum_padding != 0 || entry.reserved != 0) {
    return "a manifest entry's reserved bytes are not zero";
  }
  if (entry.key_max < entry.key_min) return "a manifest entry's greatest key is below its least";
  if (entry.snapshot_min < 1) return "a manifest entry is of a table before the first op";
  if (entry.snapshot_max != snapshot_max_live) return "a manifest entry is of a table that has ended";
  if (entry.value_count < 1) return "a manifest entry is of a table without values";
  if (entry.tree_id < 1) return "a manifest entry is of no tree";
  return nullptr;
}

}  // namespace tonearm
