// Lies about what opening reads: the records of tables; and about the header of a block of any use.
#include <algorithm>
#include <array>

#include "base/assert.h"
#include "sim/decode/lie.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

u64 refused(Pieces& p, u64 address) {
  p.told.refused = true;
  return address;
}

u64 table_of_no_tree(Pieces& p) {
  const u16 last = p.decoded->shape->trees.back().id;
  put<u16>(p.entry.bytes, f::entry_tree, static_cast<u16>(last + 1 + below(p.random, 0xffff - last)));
  return refused(p, p.index_address());
}

// What a full block of values holds is no option of the file: it follows from the value's size.
u64 table_of_too_many_values(Pieces& p) {
  const u64 most = p.slots * f::load<u32>(p.value, f::header_metadata + f::value_count_max);
  const u64 more = (p.random & 1) == 0 ? 1 : 1 + below(remix(p.random, 1), ~u32{0} - most);
  put<u32>(p.entry.bytes, f::entry_value_count, static_cast<u32>(most + more));
  return refused(p, p.index_address());
}

u64 table_of_impossible_key(Pieces& p) {
  std::memset(p.entry.bytes.data() + f::entry_key_max, 0xff, 32);
  return refused(p, p.index_address());
}

// The log is read from its end: the table whose latest record is older finds the other one there.
u64 tables_overlap(Pieces& p) {
  const DecodedTable* const end = p.decoded->tables.data() + p.decoded->tables.size();
  const DecodedTable* const next = p.table + 1;
  if (next == end || next->tree != p.table->tree || next->level != p.table->level) return 0;
  put<u128>(p.entry.bytes, f::entry_key_max, next->key_min.second);
  put<u128>(p.entry.bytes, f::entry_key_max + 16, next->key_min.first);
  for (std::size_t i = p.chain->blocks.size(); i-- > 0;) {
    const std::vector<ManifestEntry>& entries = p.chain->blocks[i].entries;
    for (std::size_t j = entries.size(); j-- > 0;) {
      if (entries[j].address() == next->index.address) return refused(p, p.index_address());
      if (entries[j].address() == p.index_address()) return refused(p, next->index.address);
    }
  }
  UNREACHABLE();
}

constexpr std::array lies_of_tables = std::to_array<Lie>({
    {"a table is of no tree", table_of_no_tree},
    {"a table has more values than it can hold", table_of_too_many_values},
    {"a table has a key that its tree cannot have", table_of_impossible_key},
    {"two tables of a level overlap", tables_overlap},
});

}  // namespace

std::span<const Lie> table_lies() { return lies_of_tables; }

const char* header_lies(std::span<std::byte> block, u64 random) {
  const u64 byte = remix(random, 1);
  switch (below(random, 5)) {
    case 0:
      put<u8>(block, f::header_padding + place_of(byte, 16), 1);
      return "a header's checksum has padding";
    case 1:
      put<u8>(block, f::header_body_padding + place_of(byte, 16), 1);
      return "a body's checksum has padding";
    case 2: put<u32>(block, f::header_release, 0); return "a block of no release";
    case 3: add<u32>(block, f::header_release, 1 + byte % 16); return "a block of a later release";
    default: add<u8>(block, f::header_command, 1 + byte % 16); return "a header that is no block's";
  }
}

}  // namespace tonearm::sim
