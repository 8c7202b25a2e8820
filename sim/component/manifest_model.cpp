#include "sim/component/manifest_model.h"

#include <algorithm>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

u64 quotient_up(u64 a, u64 b) { return (a + b - 1) / b; }

// At full rate the whole log is compacted in the least number of half-bars in which as much is compacted as
// is there and comes: the live entries, what is appended, a block that a checkpoint cuts short in each
// `interval`, and the block that is begun. On top of that comes what is appended and cut short while the
// oldest blocks turn out to be live.
u64 longest_log(const PlainPace& pace, u64 interval) {
  const auto enough = [&](u64 half_bars) {
    const u128 there = u128{pace.live + 1} + u128{pace.append} * half_bars;
    return u128{pace.compact} * half_bars * interval >= there * interval + half_bars;
  };
  u64 most = 1;
  while (!enough(most)) most *= 2;
  u64 least = 0;  // Not enough.
  while (most - least > 1) {
    const u64 middle = least + (most - least) / 2;
    (enough(middle) ? most : least) = middle;
  }
  const u64 meanwhile = quotient_up(pace.live + 1, pace.compact);
  return pace.live + pace.append * most + quotient_up(most, interval) + (pace.append + 1) * meanwhile + 1;
}

}  // namespace

PlainPace PlainPace::of(const FormatOptions& format, u32 trees) {
  PlainPace pace;
  pace.entries = (format.block_size - disk_format::header_size) / disk_format::entry_size;
  u64 level_tables = 1;
  for (u32 level = 0; level < format.levels; ++level) {
    level_tables *= format.growth;
    pace.tables_max += trees * level_tables;
  }
  // Every other level is compacted in a half-bar; each compaction removes up to 1 + growth tables and
  // inserts as many.
  const u64 compactions = u64{trees} * ((format.levels + 1) / 2);
  pace.append = quotient_up(compactions * 2 * (1 + format.growth), pace.entries);
  pace.compact = pace.append + format.manifest_extra_blocks;
  pace.live = quotient_up(pace.tables_max, pace.entries);
  for (u64 before = 1; before != pace.cycle;) {
    before = pace.cycle;
    pace.cycle = pace.live + pace.append * quotient_up(before, pace.compact);
  }
  pace.longest = longest_log(pace, u64{2} * format.checkpoint_interval / format.beats);
  return pace;
}

u64 PlainPace::blocks(u64 log, u64 tables) const {
  if (log + append >= cycle) return compact;
  const u64 part = std::max<u64>(1, static_cast<u64>(u128{cycle} * tables / tables_max));
  return std::min(compact, static_cast<u64>(u128{compact} * log / part));
}

void ManifestModel::append(const ManifestEntry& entry) {
  if (blocks.empty() || blocks.back().closed) blocks.push_back({.ordinal = ordinals++, .entries = {}});
  Block& block = blocks.back();
  if (entry.event() == disk_format::event_remove) {
    latest.erase(entry.address());
  } else {
    latest[entry.address()] = {.ordinal = block.ordinal, .index = block.entries.size()};
  }
  block.entries.push_back(entry);
  if (block.entries.size() < pace.entries) return;
  block.closed = true;
  ++unwritten;
}

u64 ManifestModel::to_compact() const {
  return std::min(closed(), pace.blocks(blocks.size(), latest.size()));
}

void ManifestModel::compact(u64 count) {
  for (u64 i = 0; i < count; ++i) {
    ASSERT(blocks.front().closed);
    const Block block = std::move(blocks.front());
    blocks.pop_front();
    for (u64 index = 0; index < block.entries.size(); ++index) {
      const ManifestEntry& entry = block.entries[index];
      const auto at = latest.find(entry.address());
      const bool keep = at != latest.end() && at->second == Place{block.ordinal, index};
      ++(keep ? kept : dropped);
      if (keep) append(entry);
    }
  }
}

void ManifestModel::close_partial() {
  if (blocks.empty() || blocks.back().closed) return;
  blocks.back().closed = true;
  ++unwritten;
}

const ManifestEntry& ManifestModel::record(u64 address) const {
  const Place& place = latest.at(address);
  return blocks[place.ordinal - blocks.front().ordinal].entries[place.index];
}

std::vector<ManifestEntry> ManifestModel::replay() const {
  std::vector<ManifestEntry> tables;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    for (u64 index = block->entries.size(); index-- > 0;) {
      const auto at = latest.find(block->entries[index].address());
      if (at == latest.end() || at->second != Place{block->ordinal, index}) continue;
      tables.push_back(block->entries[index]);
    }
  }
  return tables;
}

}  // namespace tonearm::sim
