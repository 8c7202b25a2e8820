// The manifest log as a list of blocks of entries: what is appended, dropped and kept, and how fast it
// must be compacted, after the words of the specification and without a line of the engine.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "base/options.h"
#include "sim/decode/manifest_chain.h"

namespace tonearm::sim {

// How many blocks a half-bar compacts.
struct PlainPace {
  u64 entries = 0;     // A block holds.
  u64 tables_max = 0;  // Of all trees, by format alone.
  u64 append = 0;      // Blocks that a half-bar may append.
  u64 compact = 0;     // At most.
  u64 live = 0;        // Blocks of the entries of all tables.
  u64 cycle = 0;
  u64 longest = 0;  // What the log never exceeds.

  static PlainPace of(const FormatOptions& format, u32 trees);
  u64 blocks(u64 log, u64 tables) const;
};

struct ManifestModel {
  struct Block {
    u64 ordinal;  // Counted from the first block ever.
    std::vector<ManifestEntry> entries;
    bool closed = false;
  };
  struct Place {
    u64 ordinal;
    u64 index;
    friend bool operator==(const Place&, const Place&) = default;
  };

  PlainPace pace;
  std::deque<Block> blocks;     // Oldest first.
  std::map<u64, Place> latest;  // Of each live table: where its latest record is.
  u64 unwritten = 0;            // Closed blocks since the last flush.
  u64 ordinals = 0;
  u64 kept = 0, dropped = 0;  // By compaction.

  void append(const ManifestEntry& entry);
  u64 closed() const { return blocks.size() - (blocks.empty() || blocks.back().closed ? 0 : 1); }
  // Of the half-bar that begins now.
  u64 to_compact() const;
  void compact(u64 count);
  void close_partial();

  const ManifestEntry& record(u64 address) const;
  // Live tables in the order of replay: the latest record first.
  std::vector<ManifestEntry> replay() const;
};

}  // namespace tonearm::sim
