#include "sim/component/manifest_forgery.h"

#include <iterator>

#include "base/assert.h"
#include "sim/decode/lie_record.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

enum class Part : u8 { header, entry, record, previous, ends, twice, behind, padding };
enum class Change : u8 { set, add, toggle, keep_bits, set_bits };

struct Forgery {
  const char* name;
  Part part;
  u32 offset = 0;
  u32 size = 0;
  Change change = Change::set;
  u64 operand = 0;
  u64 choices = 1;  // So many operands from this one on.
  u32 places = 1;   // Bytes from the offset on where it may be.
  void (*record)(std::span<std::byte>, u32 levels, u64 random) = nullptr;
};

constexpr u32 metadata = f::header_metadata;
constexpr u32 previous_address = metadata + f::chain_previous_address;

// Of Part::ends.
enum class End : u32 {
  count_more,
  count_less,
  count_huge,
  newest_address,
  newest_checksum,
  oldest_address,
  oldest_checksum
};
constexpr u32 end(End which) { return static_cast<u32>(which); }

constexpr Forgery table[] = {
    {"no event", Part::entry, f::entry_label, 1, Change::keep_bits, 63},
    {.name = "a level too deep", .part = Part::record, .record = record_of_level_too_deep},
    {"table 0", Part::entry, f::entry_address, 8, Change::set, 0},
    {.name = "table out of range", .part = Part::record, .record = record_of_no_place},
    {"last table there is", Part::entry, f::entry_address, 8, Change::set, u64_max},
    {"checksum padding", Part::entry, f::entry_checksum + 16, 1, Change::toggle, 1, 255, 16},
    {.name = "keys out of order", .part = Part::record, .record = record_of_keys_turned},
    {"snapshot 0", Part::entry, f::entry_snapshot_min, 8, Change::set, 0},
    {.name = "a table that has ended", .part = Part::record, .record = record_of_ended_table},
    {"a table without values", Part::entry, f::entry_value_count, 4, Change::set, 0},
    {"tree 0", Part::entry, f::entry_tree, 2, Change::set, 0},
    {"reserved byte", Part::entry, 127, 1, Change::toggle, 1, 255},
    {"removed twice", Part::twice, 0, 0, Change::set, 0},
    {"no entries", Part::header, metadata + f::manifest_count, 4, Change::set, 0},
    {"more entries", Part::header, metadata + f::manifest_count, 4, Change::add, 1, 99},
    {"fewer entries", Part::header, metadata + f::manifest_count, 4, Change::add, ~u64{0} - 7, 8},
    {"very many entries", Part::header, metadata + f::manifest_count, 4, Change::set, 0xffffffff},
    {"as many entries as overflow", Part::header, metadata + f::manifest_count, 4, Change::set, u64{1} << 25},
    {"the entries that there are, and as many as overflow", Part::header, metadata + f::manifest_count, 4,
     Change::add, u64{1} << 25},
    {"reserved metadata", Part::header, metadata + 44, 1, Change::toggle, 1, 255, 52},
    {"previous checksum's padding", Part::header, metadata + 16, 1, Change::toggle, 1, 255, 16},
    {"another type", Part::header, f::header_type, 1, Change::add, 1, 200},
    {"a longer block", Part::header, f::header_block_size, 4, Change::add, 1, 300},
    {"a block of any length", Part::header, f::header_block_size, 4, Change::set_bits, 0xfff00000},
    {"a block shorter than its header", Part::header, f::header_block_size, 4, Change::set, 0, 256},
    {"a block without body", Part::header, f::header_block_size, 4, Change::set, 256},
    {"no block", Part::header, f::header_command, 1, Change::add, 1, 200},
    {"a block of another place", Part::header, f::header_address, 8, Change::add, 1, 99},
    {"a block of another file", Part::header, f::header_cluster, 1, Change::toggle, 1, 255, 16},
    {"padding", Part::padding, 0, 1, Change::toggle, 1, 255},
    {"no predecessor", Part::previous, previous_address, 8, Change::set, 0},
    {"a predecessor out of range", Part::previous, previous_address, 8, Change::set, u64{1} << 33, 99},
    {"a free predecessor", Part::previous, previous_address, 8, Change::set, 1},
    {"a predecessor that is another block", Part::previous, metadata + f::chain_previous, 8, Change::toggle,
     1, 255},
    {"more blocks", Part::ends, end(End::count_more), 0, Change::add, 1, 9},
    {"fewer blocks", Part::ends, end(End::count_less), 0, Change::add, 1},
    {"very many blocks", Part::ends, end(End::count_huge), 0, Change::set, 0xfffffff0, 15},
    {"the newest nowhere", Part::ends, end(End::newest_address), 0, Change::set, 0},
    {"the newest out of range", Part::ends, end(End::newest_address), 0, Change::set, u64{1} << 33, 99},
    {"the newest another", Part::ends, end(End::newest_checksum), 0, Change::toggle, 1, 255},
    {"the oldest elsewhere", Part::ends, end(End::oldest_address), 0, Change::set, u64{1} << 33, 99},
    {"the oldest another", Part::ends, end(End::oldest_checksum), 0, Change::toggle, 1, 255},
    {"a table behind the limit, and one that came and went", Part::behind, 0, 0, Change::set, u64{1} << 31,
     u64{1} << 30},
    {"a release that is none", Part::header, f::header_release, 4, Change::set, 0},
    {"a later release", Part::header, f::header_release, 4, Change::add, 1, 1000},
    {"padding of the body's checksum", Part::header, f::header_body_padding, 1, Change::toggle, 1, 255, 16},
    {"padding of the header's checksum", Part::header, f::header_padding, 1, Change::toggle, 1, 255, 16},
};

u64 changed(u64 number, const Forgery& forgery, u64 value) {
  const u64 operand = forgery.operand + value % forgery.choices;
  switch (forgery.change) {
    case Change::set: return operand;
    case Change::add: return number + operand;
    case Change::toggle: return number ^ operand;
    case Change::keep_bits: return number & operand;
    case Change::set_bits: return number | operand;
  }
  UNREACHABLE();
}

void change_bytes(std::vector<std::byte>& bytes, u64 offset, const Forgery& forgery, u64 value) {
  u64 number = 0;
  std::memcpy(&number, bytes.data() + offset, forgery.size);
  number = changed(number, forgery, value);
  std::memcpy(bytes.data() + offset, &number, forgery.size);
}

// What lies on the forged block is referred to with its new checksum, up to the newest.
void link_again(ForgedManifest* forged) {
  std::vector<ManifestChain::Block>& blocks = forged->chain.blocks;
  for (u64 i = forged->index; i < blocks.size(); ++i) {
    if (i > forged->index) {
      std::memcpy(blocks[i].bytes.data() + metadata + f::chain_previous, &blocks[i - 1].ref.checksum, 16);
    }
    blocks[i].ref.checksum = seal_manifest_block(blocks[i].bytes);
  }
  forged->ends.newest = blocks.back().ref;
  forged->ends.oldest = blocks.front().ref;
}

void forge_ends(const Forgery& forgery, ForgedManifest* forged) {
  ManifestEnds& ends = forged->ends;
  const std::vector<ManifestChain::Block>& blocks = forged->chain.blocks;
  forged->error = true;
  forged->address = ends.newest.address;
  switch (static_cast<End>(forgery.offset)) {
    case End::count_more:
      ends.count += static_cast<u32>(changed(0, forgery, forged->value));
      if (ends.count <= forged->log_capacity) forged->address = ends.oldest.address;
      return;
    case End::count_less:
      if (--ends.count > 0) forged->address = blocks[1].ref.address;
      return;
    case End::count_huge: ends.count = static_cast<u32>(changed(0, forgery, forged->value)); return;
    case End::newest_address:
      ends.newest.address = forged->address = changed(0, forgery, forged->value);
      return;
    case End::newest_checksum: ends.newest.checksum ^= changed(0, forgery, forged->value); return;
    case End::oldest_address:
      forged->address = ends.oldest.address;
      ends.oldest.address = changed(0, forgery, forged->value);
      return;
    case End::oldest_checksum:
      forged->address = ends.oldest.address;
      ends.oldest.checksum ^= changed(0, forgery, forged->value);
      return;
  }
  UNREACHABLE();
}

// The predecessor of the oldest block is nobody's business: compaction has dropped it.
void forge_previous(const Forgery& forgery, ForgedManifest* forged) {
  std::vector<std::byte>& bytes = forged->chain.blocks[forged->index].bytes;
  if (forgery.operand == 1 && forgery.offset == previous_address) {
    if (forged->free_address == 0) return;
    std::memcpy(bytes.data() + previous_address, &forged->free_address, 8);
  } else {
    change_bytes(bytes, forgery.offset, forgery, forged->value);
  }
  forged->error = forged->index > 0;
  forged->address = f::load<u64>(bytes, previous_address);
}

void forge_twice(std::vector<std::byte>& bytes, ForgedManifest* forged) {
  std::byte* entries = bytes.data() + f::header_size;
  if (forged->chain.blocks[forged->index].entries.size() < 2) return;
  std::memcpy(entries + f::entry_size, entries, f::entry_size);
  for (u32 i = 0; i < 2; ++i) entries[i * f::entry_size + f::entry_label] |= std::byte{f::event_remove << 6};
  forged->error = true;
}

// From the last record on, as the log is read: a removal, the insertion before it, and a table that is there.
// Of tables behind the limit only the number of removals is known.
void forge_behind(std::vector<std::byte>& bytes, const Forgery& forgery, ForgedManifest* forged) {
  constexpr u8 events[] = {f::event_insert, f::event_insert, f::event_remove};
  if (forged->chain.blocks[forged->index].entries.size() < std::size(events)) return;
  const u64 address = changed(0, forgery, forged->value);
  for (u32 i = 0; i < std::size(events); ++i) {
    std::byte* const entry = bytes.data() + f::header_size + i * f::entry_size;
    const u64 number = address + (i == 0 ? 1 : 0);
    std::memcpy(entry + f::entry_address, &number, sizeof number);
    entry[f::entry_label] &= std::byte{63};
    entry[f::entry_label] |= std::byte{events[i]} << 6;
  }
  forged->error = true;
}

}  // namespace

u64 manifest_forgery_count() { return std::size(table); }
const char* manifest_forgery_name(u64 kind) { return table[kind].name; }

void forge_manifest(u64 kind, ForgedManifest* forged) {
  ASSERT(kind < std::size(table));
  const Forgery& forgery = table[kind];
  if (forgery.part == Part::ends) return forge_ends(forgery, forged);
  ManifestChain::Block& block = forged->chain.blocks[forged->index];
  std::vector<std::byte>& bytes = block.bytes;
  forged->address = block.ref.address;
  u64 offset = forgery.offset + forged->value % forgery.places;
  switch (forgery.part) {
    case Part::ends: UNREACHABLE();
    case Part::record: {
      const u64 entry = below(remix(forged->value, 0), block.entries.size());
      const std::span<std::byte> record =
          std::span(bytes).subspan(f::header_size + entry * f::entry_size, f::entry_size);
      forgery.record(record, forged->levels, remix(forged->value, 1));
      forged->error = true;
      break;
    }
    case Part::entry:
      offset += f::header_size + forged->value % block.entries.size() * f::entry_size;
      [[fallthrough]];
    case Part::header:
      change_bytes(bytes, offset, forgery, forged->value);
      forged->error = true;
      break;
    case Part::previous: forge_previous(forgery, forged); break;
    case Part::twice: forge_twice(bytes, forged); break;
    case Part::behind: forge_behind(bytes, forgery, forged); break;
    case Part::padding: {
      // Behind the body, up to the end of the sector.
      const u64 size = f::load<u32>(bytes, f::header_block_size);
      if (size % 512 == 0) return;
      change_bytes(bytes, size, forgery, forged->value);
      forged->error = true;
      break;
    }
  }
  link_again(forged);
}

}  // namespace tonearm::sim
