// Manifest blocks with right checksums and contents that no engine wrote, chained so that the log is
// reached through them; and what opening such a log must end in.
#pragma once

#include "sim/decode/manifest_chain.h"

namespace tonearm::sim {

struct ForgedManifest {
  ManifestChain chain;  // In: the log as it is. Out: as it was forged.
  ManifestEnds ends;
  u64 blocks_count = 0;
  u64 free_address = 0;  // Of a block that nobody owns; 0: none.
  u64 log_capacity = 0;  // Blocks.
  u32 levels = 0;
  u64 index = 0;  // The block that is forged.
  u64 value = 0;  // Chooses an entry, a byte, a number.

  // Out.
  bool error = false;  // Else nothing was changed that matters.
  u64 address = 0;     // Of the block that open must call damaged.
};

u64 manifest_forgery_count();
const char* manifest_forgery_name(u64 kind);
void forge_manifest(u64 kind, ForgedManifest* forged);

}  // namespace tonearm::sim
