// Lies about what opening reads: the records of tables; and about the header of a block of any use.
#include <algorithm>
#include <array>

#include "base/assert.h"
#include "sim/decode/lie.h"
#include "sim/decode/lie_record.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

u64 refused(Pieces& p, u64 address) {
  p.told.refused = true;
  return address;
}

u64 table_of_no_tree(Pieces& p) {
  u16 tree = p.table->tree;
  for (u64 i = 0; p.decoded->shape->find(tree) != nullptr; ++i) {
    tree = static_cast<u16>(another(p.table->tree, 1, 0xffff, remix(p.random, i)));
  }
  put<u16>(p.entry.bytes, f::entry_tree, tree);
  return refused(p, p.index_address());
}

// What a full block of values holds is no option of the file: it follows from the value's size.
u64 table_of_too_many_values(Pieces& p) {
  const u64 most = p.slots * f::load<u32>(p.value, f::header_metadata + f::value_count_max);
  const u64 count = number_between(most + 1, ~u32{0}, p.random);
  put<u32>(p.entry.bytes, f::entry_value_count, static_cast<u32>(count));
  return refused(p, p.index_address());
}

u64 table_of_impossible_key(Pieces& p) {
  constexpr DecodedKey most{~u128{0}, ~u128{0}};
  const DecodedKey key = key_between(next_key(p.shape->key_greatest()), most, p.random);
  put_key(p.entry.bytes, f::entry_key_max, key, 32);
  return refused(p, p.index_address());
}

// The log is read from its end: the table whose latest record is older finds the other one there.
u64 tables_overlap(Pieces& p) {
  const DecodedTable* const next = p.behind();
  if (next == nullptr) return 0;
  put_key(p.entry.bytes, f::entry_key_max, key_between(next->key_min, next->key_max, p.random), 32);
  for (std::size_t i = p.chain->blocks.size(); i-- > 0;) {
    const std::vector<ManifestEntry>& entries = p.chain->blocks[i].entries;
    for (std::size_t j = entries.size(); j-- > 0;) {
      if (entries[j].address() == next->index.address) return refused(p, p.index_address());
      if (entries[j].address() == p.index_address()) return refused(p, next->index.address);
    }
  }
  UNREACHABLE();
}

// The block of the log is named in which the record is.
u64 no_record(Pieces& p, void (*lie)(std::span<std::byte>, u32, u64)) {
  lie(p.entry.bytes, p.decoded->format.levels, p.random);
  return refused(p, p.record_block);
}

u64 record_level(Pieces& p) { return no_record(p, record_of_level_too_deep); }
u64 record_keys(Pieces& p) { return no_record(p, record_of_keys_turned); }
u64 record_ended(Pieces& p) { return no_record(p, record_of_ended_table); }

constexpr std::array lies_of_tables = std::to_array<Lie>({
    {"a table is of no tree", table_of_no_tree},
    {"a table has more values than it can hold", table_of_too_many_values},
    {"a table has a key that its tree cannot have", table_of_impossible_key},
    {"two tables of a level overlap", tables_overlap},
    {"a table is of a level that does not exist", record_level},
    {"a table's keys are out of order", record_keys},
    {"a table has ended", record_ended},
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
