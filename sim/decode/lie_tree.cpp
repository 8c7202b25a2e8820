// Lies that one tree by itself gives away: about the layout of blocks, keys, numbers, and references.
#include <algorithm>
#include <array>
#include <optional>

#include "base/assert.h"
#include "sim/decode/lie.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

// Where a version is out of place in a secondary index, its other versions give that away first.
bool versions_matter(const Pieces& p) { return p.shape->secondary_index() && !(p.shallowest && p.deepest); }

// --- values

// Most blocks of a run are short: another table is tried where there may be longer ones.
bool too_short(const Pieces& p) {
  constexpr u64 values_long = 24;
  return p.value_count() < values_long && below(remix(p.random, 8), 4) != 0;
}

u64 values_swapped(Pieces& p) {
  if (p.value_count() < 4 || versions_matter(p) || too_short(p)) return 0;
  // Neighbours or not; the ends, which the index block knows, stay where they are.
  const u64 i = 1 + place_of(p.random, p.value_count() - 3);
  const u64 j = number_between(i + 1, p.value_count() - 2, remix(p.random, 1));
  std::swap_ranges(p.value_at(i).begin(), p.value_at(i).end(), p.value_at(j).begin());
  return p.value_address();
}

u64 value_twice(Pieces& p) {
  if (p.value_count() < 3 || versions_matter(p) || too_short(p)) return 0;
  const u64 i = place_of(p.random, p.value_count() - 2);
  std::copy_n(p.value_at(i).begin(), p.value_size(), p.value_at(i + 1).begin());
  return p.value_address();
}

u64 oldest_is_tombstone(Pieces& p) {
  if (!p.shape->secondary_index() || !p.deepest) return 0;
  const std::span<std::byte> value = p.value_at(below(p.random, p.value_count()));
  const u64 offset = flag_offset(p.shape->kind);
  put<u64>(value, offset, f::load<u64>(value, offset) | tombstone_flag);
  return p.value_address();
}

DecodedKey key_of_entry(ValueKind kind, f::Bytes value) {
  const u64 timestamp = f::load<u64>(value, flag_offset(kind)) & ~tombstone_flag;
  if (kind == ValueKind::exists) return {0, timestamp};
  if (kind == ValueKind::index) return {0, u128{f::load<u64>(value, 0)} << 64 | timestamp};
  return {f::load<u128>(value, 0), timestamp};
}

// The block in which the next older version of an entry is, or 0.
u64 block_of_older(const Pieces& p, f::Bytes entry) {
  const DecodedKey key = key_of_entry(p.shape->kind, entry);
  std::vector<std::byte> block(p.value.size());
  for (const DecodedTable& table : p.decoded->tables) {  // From the first level down.
    if (table.tree != p.table->tree || table.level <= p.table->level) continue;
    for (const DecodedTable::ValueBlock& candidate : table.value_blocks) {
      if (key < candidate.key_min || candidate.key_max < key) continue;
      p.image->read(p.grid_offset + (candidate.ref.address - 1) * block.size(), block);
      const u64 count = f::load<u32>(block, f::header_metadata + f::value_count);
      for (u64 i = 0; i < count; ++i) {
        const f::Bytes value = f::Bytes(block).subspan(f::header_size + i * entry.size(), entry.size());
        if (key_of_entry(p.shape->kind, value) == key) return candidate.ref.address;
      }
    }
  }
  return 0;
}

// A removed entry is there again, above the one that was removed.
u64 versions_alike(Pieces& p) {
  if (!p.shape->secondary_index() || !p.shallowest || p.deepest) return 0;
  const u64 offset = flag_offset(p.shape->kind);
  for (u64 i = 0; i < p.value_count(); ++i) {
    const std::span<std::byte> value = p.value_at((p.random + i) % p.value_count());
    const u64 word = f::load<u64>(value, offset);
    if ((word & tombstone_flag) == 0) continue;
    put<u64>(value, offset, word & ~tombstone_flag);
    return block_of_older(p, value);
  }
  return 0;
}

// --- value blocks

u64 value_of_another_tree(Pieces& p) {
  alter<u16>(p.value, f::header_metadata + f::value_tree, p.random);
  return p.value_address();
}

u64 value_of_another_snapshot(Pieces& p) {
  alter<u64>(p.value, f::header_snapshot, p.random);
  return p.value_address();
}

u64 value_of_another_type(Pieces& p) {
  put<u8>(p.value, f::header_type, f::type_index);
  p.told.scrubbed = p.value_address();
  p.told.unreadable = true;
  return p.value_address();
}

// What refers to it has its checksum, so that nothing else tells it from the block that is wanted.
u64 elsewhere(Pieces& p, std::vector<std::byte>* block, u64 address) {
  const u64 offset = (p.random & 1) == 0 ? f::header_cluster + 8 * (p.random >> 1 & 1) : f::header_address;
  alter<u64>(*block, offset, remix(p.random, 1));
  p.told.scrubbed = address;
  p.told.unreadable = p.told.damaged = true;
  return address;
}

u64 headerless(Pieces& p, std::vector<std::byte>* block, u64 address) {
  (void)header_lies(*block, p.random);
  p.told.scrubbed = address;
  p.told.unreadable = p.told.damaged = true;
  return address;
}

u64 value_header_lies(Pieces& p) { return headerless(p, &p.value, p.value_address()); }
u64 index_header_lies(Pieces& p) { return headerless(p, &p.index, p.index_address()); }

u64 value_is_elsewhere(Pieces& p) { return elsewhere(p, &p.value, p.value_address()); }
u64 index_is_elsewhere(Pieces& p) { return elsewhere(p, &p.index, p.index_address()); }

u64 value_of_another_layout(Pieces& p) {
  const bool most = (p.random & 1) == 0;
  alter<u32>(p.value, f::header_metadata + (most ? f::value_count_max : f::value_size), remix(p.random, 1));
  return p.value_address();
}

u64 value_count_impossible(Pieces& p) {
  const u64 most = f::load<u32>(p.value, f::header_metadata + f::value_count_max);
  const u64 more = number_between(most + 1, ~u32{0}, remix(p.random, 1));
  put<u32>(p.value, f::header_metadata + f::value_count, static_cast<u32>((p.random & 1) == 0 ? 0 : more));
  return p.value_address();
}

u64 value_reserved_used(Pieces& p) {
  use_byte(p.value, f::header_metadata + f::value_reserved + place_of(p.random, f::value_reserved_size),
           p.random);
  return p.value_address();
}

// Of any size; what the last sector has behind it is zero. A whole number of sectors takes nothing away but
// what the checksum covers.
void resize(const Pieces& p, std::vector<std::byte>* block) {
  const u64 size = f::load<u32>(*block, f::header_block_size);
  const u64 sector = p.decoded->format.sector_size;
  u64 other = another(size, f::header_size, block->size(), remix(p.random, 1));
  const u64 whole = other / sector * sector;
  if ((p.random & 1) == 0 && whole >= f::header_size && whole != size) other = whole;
  put<u32>(*block, f::header_block_size, static_cast<u32>(other));
  const u64 end = (other + sector - 1) / sector * sector;
  std::fill_n(block->begin() + static_cast<std::ptrdiff_t>(other), end - other, std::byte{0});
}

u64 value_of_another_size(Pieces& p) {
  resize(p, &p.value);
  return p.value_address();
}

// --- index blocks

u64 index_of_another_tree(Pieces& p) {
  alter<u16>(p.index, f::header_metadata + f::index_tree, p.random);
  return p.index_lies();
}

u64 index_of_another_snapshot(Pieces& p) {
  const u64 other = remix(p.random, 1);
  const bool block = (p.random & 1) == 0;
  block ? alter<u64>(p.index, f::header_snapshot, other)
        : alter<u64>(p.entry.bytes, f::entry_snapshot_min, other, 1);
  return p.index_address();
}

u64 index_of_another_type(Pieces& p) {
  put<u8>(p.index, f::header_type, f::type_value);
  p.told.unreadable = true;
  return p.index_lies();
}

u64 index_of_another_layout(Pieces& p) {
  const bool slots = (p.random & 1) == 0;
  alter<u32>(p.index, f::header_metadata + (slots ? f::index_slots : f::index_key_size), remix(p.random, 1));
  return p.index_lies();
}

u64 index_of_another_size(Pieces& p) {
  resize(p, &p.index);
  return p.index_lies();
}

u64 index_count_impossible(Pieces& p) {
  const u64 more = number_between(p.slots + 1, ~u32{0}, remix(p.random, 1));
  put<u32>(p.index, f::header_metadata + f::index_count, static_cast<u32>((p.random & 1) == 0 ? 0 : more));
  return p.index_lies();
}

u64 index_reserved_used(Pieces& p) {
  use_byte(p.index, f::header_metadata + f::index_reserved + place_of(p.random, f::index_reserved_size),
           p.random);
  return p.index_lies();
}

u64 index_padding_used(Pieces& p) {
  use_byte(p.index, p.checksum_offset(p.slot) + 16 + place_of(p.random, 16), p.random);
  return p.index_lies();
}

u64 index_slot_unused(Pieces& p) {
  if (p.used() == p.slots) return 0;
  const u64 i = p.used() + below(p.random, p.slots - p.used());
  const u64 byte = remix(p.random, 1);
  switch (below(remix(p.random, 2), 4)) {
    case 0: use_byte(p.index, p.checksum_offset(i) + place_of(byte, 32), byte); break;
    case 1: use_byte(p.index, p.key_min_offset(i) + place_of(byte, p.key_size), byte); break;
    case 2: use_byte(p.index, p.key_max_offset(i) + place_of(byte, p.key_size), byte); break;
    default: use_byte(p.index, p.address_offset(i) + place_of(byte, 8), byte); break;
  }
  return p.index_lies();
}

u64 index_keys_turned(Pieces& p) {
  const DecodedKey least = p.block().key_min;
  if (p.value_count() < 2 || least == DecodedKey{}) return 0;
  const DecodedKey greatest =
      (p.random & 1) == 0 ? least : key_between({}, key_before(least), remix(p.random, 1));
  if (greatest == least) put_key(p.index, p.key_min_offset(p.slot), p.block().key_max, p.key_size);
  put_key(p.index, p.key_max_offset(p.slot), greatest, p.key_size);
  return p.index_lies();
}

// The last one that they have in common, or more.
u64 index_keys_touch(Pieces& p) {
  if (p.slot == 0) return 0;
  const DecodedKey least = key_between({}, p.block_before().key_max, p.random);
  put_key(p.index, p.key_min_offset(p.slot), least, p.key_size);
  return p.index_lies();
}

u64 index_blocks_exchanged(Pieces& p) {
  if (p.used() < 2) return 0;
  const u64 other = another(p.slot, 0, p.used() - 1, p.random);
  const auto exchange = [&p](u64 a, u64 b, u64 size) {
    std::swap_ranges(p.index.begin() + static_cast<std::ptrdiff_t>(a),
                     p.index.begin() + static_cast<std::ptrdiff_t>(a + size),
                     p.index.begin() + static_cast<std::ptrdiff_t>(b));
  };
  exchange(p.checksum_offset(p.slot), p.checksum_offset(other), 32);
  exchange(p.key_min_offset(p.slot), p.key_min_offset(other), p.key_size);
  exchange(p.key_max_offset(p.slot), p.key_max_offset(other), p.key_size);
  exchange(p.address_offset(p.slot), p.address_offset(other), 8);
  p.value_ref = p.table->value_blocks[other].ref;
  return p.index_lies();
}

// Greater than any key of the tree. No record says so: opening would refuse it.
u64 index_key_too_great(Pieces& p) {
  const DecodedKey most{p.key_size > 16 ? ~u128{0} : 0, p.key_size > 8 ? ~u128{0} : u128{~u64{0}}};
  const DecodedKey key = key_between(next_key(p.shape->key_greatest()), most, p.random);
  put_key(p.index, p.key_max_offset(p.used() - 1), key, p.key_size);
  return p.index_lies();
}

// Another key in [least, most], or nothing if there is none.
std::optional<DecodedKey> another_key(const DecodedKey& key, const DecodedKey& least, const DecodedKey& most,
                                      u64 random) {
  const bool less = least < key;
  const bool more = key < most;
  if (!less && !more) return {};
  const bool up = more && (!less || below(remix(random, 6), 2) == 0);
  return up ? key_between(next_key(key), most, random) : key_between(least, key_before(key), random);
}

// (Of the first and the last block the record knows better.)
u64 another_greatest_key(Pieces& p) {
  if (p.last_slot()) return 0;
  const DecodedKey most = key_before(p.block_behind().key_min);
  const auto key = another_key(p.block().key_max, p.block().key_min, most, p.random);
  if (!key) return 0;
  put_key(p.index, p.key_max_offset(p.slot), *key, p.key_size);
  return p.value_address();
}

u64 another_least_key(Pieces& p) {
  if (p.slot == 0) return 0;
  const DecodedKey least = next_key(p.block_before().key_max);
  const auto key = another_key(p.block().key_min, least, p.block().key_max, p.random);
  if (!key) return 0;
  put_key(p.index, p.key_min_offset(p.slot), *key, p.key_size);
  return p.value_address();
}

// --- the table's record

// More than fit are refused when it is opened.
u64 another_count(Pieces& p) {
  const u64 most = p.slots * f::load<u32>(p.value, f::header_metadata + f::value_count_max);
  if (most < 2) return 0;
  const u64 count = another(p.table->value_count, 1, most, p.random);
  put<u32>(p.entry.bytes, f::entry_value_count, static_cast<u32>(count));
  return p.index_address();
}

// No other table of the level has one of these keys.
u64 table_begins(Pieces& p, const DecodedKey& least, const DecodedKey& most) {
  if (most < least) return 0;
  put_key(p.entry.bytes, f::entry_key_min, key_between(least, most, p.random), 32);
  return p.index_address();
}

u64 table_ends(Pieces& p, const DecodedKey& least, const DecodedKey& most) {
  if (most < least) return 0;
  put_key(p.entry.bytes, f::entry_key_max, key_between(least, most, p.random), 32);
  return p.index_address();
}

u64 table_begins_earlier(Pieces& p) {
  if (p.table->key_min == DecodedKey{}) return 0;
  const DecodedTable* const before = p.before();
  const DecodedKey least = before == nullptr ? DecodedKey{} : next_key(before->key_max);
  return table_begins(p, least, key_before(p.table->key_min));
}

u64 table_begins_later(Pieces& p) {
  if (p.table->key_min == p.table->key_max) return 0;
  return table_begins(p, next_key(p.table->key_min), p.table->key_max);
}

u64 table_ends_later(Pieces& p) {
  const DecodedTable* const behind = p.behind();
  const DecodedKey most = behind == nullptr ? p.shape->key_greatest() : key_before(behind->key_min);
  return table_ends(p, next_key(p.table->key_max), most);
}

u64 table_ends_earlier(Pieces& p) {
  if (p.table->key_min == p.table->key_max) return 0;
  return table_ends(p, p.table->key_min, key_before(p.table->key_max));
}

// Everything fits together without them; only the free set knows that there are more. The least address is
// named.
u64 blocks_leaked(Pieces& p) {
  if (p.slot == 0 || p.shape->secondary_index()) return 0;
  u64 values = 0;
  u64 least = ~u64{0};
  for (u64 slot = p.slot; slot < p.used(); ++slot) {
    const u64 address = p.table->value_blocks[slot].ref.address;
    least = std::min(least, address);
    p.image->read(p.grid_offset + (address - 1) * p.value.size(), p.value);
    values += p.value_count();
    put<u64>(p.index, p.address_offset(slot), 0);
    std::memset(p.index.data() + p.checksum_offset(slot), 0, 32);
    std::memset(p.index.data() + p.key_min_offset(slot), 0, p.key_size);
    std::memset(p.index.data() + p.key_max_offset(slot), 0, p.key_size);
  }
  const DecodedKey& key_max = p.table->value_blocks[p.slot - 1].key_max;
  add<u32>(p.entry.bytes, f::entry_value_count, ~values + 1);
  put<u128>(p.entry.bytes, f::entry_key_max, key_max.second);
  put<u128>(p.entry.bytes, f::entry_key_max + 16, key_max.first);
  put<u32>(p.index, f::header_metadata + f::index_count, static_cast<u32>(p.slot));
  p.value_ref = {};
  p.told.lost = true;
  return least;
}

// --- references

// Of the addresses from a drawn one on, around the disk, the first that is `wanted`, or 0.
template <class Wanted>
u64 address_around(const Pieces& p, Wanted wanted) {
  const u64 count = p.decoded->blocks_count;
  const u64 first = below(p.random, count);
  for (u64 i = 0; i < count; ++i) {
    const u64 address = 1 + (first + i) % count;
    if (wanted(address)) return address;
  }
  return 0;
}

bool is_free(const DecodedImage& decoded, u64 address) {
  if (bit_of(decoded.acquired, address)) return false;
  // The trailers' own blocks are in no bitmap.
  return std::none_of(decoded.blocks.begin(), decoded.blocks.end(),
                      [address](const DecodedBlock& block) { return block.ref.address == address; });
}

u64 value_lacks_address(Pieces& p) {
  p.value_ref = {};
  p.told.unreadable = true;
  return p.index_lies();
}

u64 value_beyond_disk(Pieces& p) {
  const u64 far = (p.random & 1) == 0 ? 0 : remix(p.random, 1) >> 16;
  p.value_ref.address = p.decoded->blocks_count + 1 + far;
  p.told.scrubbed = p.index_address();
  p.told.unreadable = true;
  return p.value_ref.address;
}

u64 value_is_free(Pieces& p) {
  p.value_ref.address = address_around(p, [&p](u64 address) { return is_free(*p.decoded, address); });
  p.told.scrubbed = p.index_address();
  p.told.unreadable = true;
  return p.value_ref.address;
}

// A checkpoint may have freed it by now.
u64 value_was_released(Pieces& p) {
  p.value_ref.address = address_around(p, [&p](u64 address) { return bit_of(p.decoded->released, address); });
  p.told.scrubbed = {};
  p.told.unreadable = true;
  return p.value_ref.address;
}

u64 block_reached_twice(Pieces& p) {
  const DecodedBlock& other = p.decoded->blocks[below(p.random, p.decoded->blocks.size())];
  if (other.use != BlockUse::value && other.use != BlockUse::index) return 0;
  if (other.ref.address == p.value_address()) return 0;
  p.value_ref = other.ref;
  if (other.ref.address == p.index_address()) return 0;  // It would have to hold its own checksum.
  if (other.use == BlockUse::index) p.told.scrubbed = other.ref.address;  // Its other reader wants values.
  p.told.unreadable = other.use == BlockUse::index;
  return other.ref.address;
}

constexpr std::array lies_of_trees = std::to_array<Lie>({
    {"two values changed places", values_swapped},
    {"a value is there twice", value_twice},
    {"the oldest version of a key of a secondary index is a tombstone", oldest_is_tombstone},
    {"two versions of a key of a secondary index are puts", versions_alike},
    {"a value block is of another tree", value_of_another_tree},
    {"a value block is of another snapshot", value_of_another_snapshot},
    {"a value block is of another type", value_of_another_type},
    {"a value block is of another place or file", value_is_elsewhere},
    {"a value block's header is none", value_header_lies},
    {"a value block is of another layout", value_of_another_layout},
    {"a value block is of another size", value_of_another_size},
    {"a value block has an impossible number of values", value_count_impossible},
    {"a value block's reserved bytes are used", value_reserved_used},
    {"an index block is of another tree", index_of_another_tree},
    {"an index block is of another snapshot", index_of_another_snapshot},
    {"an index block is of another type", index_of_another_type},
    {"an index block is of another place or file", index_is_elsewhere},
    {"an index block's header is none", index_header_lies},
    {"an index block is of another layout", index_of_another_layout},
    {"an index block is of another size", index_of_another_size},
    {"an index block has an impossible number of blocks", index_count_impossible},
    {"an index block's reserved bytes are used", index_reserved_used},
    {"an index block's padding is used", index_padding_used},
    {"an unused slot of an index block is not zero", index_slot_unused},
    {"an index block's least and greatest key changed places", index_keys_turned},
    {"two value blocks have a key in common", index_keys_touch},
    {"two value blocks of an index block are exchanged", index_blocks_exchanged},
    {"an index block has a key that its tree cannot have", index_key_too_great},
    {"an index block has another greatest key", another_greatest_key},
    {"an index block has another least key", another_least_key},
    {"a table has another number of values", another_count},
    {"a table begins earlier than its first value", table_begins_earlier},
    {"a table begins later than its first value", table_begins_later},
    {"a table ends later than its last value", table_ends_later},
    {"a table ends earlier than its last value", table_ends_earlier},
    {"blocks are acquired and not reachable", blocks_leaked},
    {"an index block lacks an address", value_lacks_address},
    {"a reference beyond the disk", value_beyond_disk},
    {"a reference to a free block", value_is_free},
    {"a reference to a released block", value_was_released},
    {"a block is reached twice", block_reached_twice},
});

}  // namespace

u64 flag_offset(ValueKind kind) {
  switch (kind) {
    case ValueKind::index: return 8;
    case ValueKind::exists: return 0;
    case ValueKind::wide: return 16;
    case ValueKind::pair:
    case ValueKind::id:
    case ValueKind::object: break;
  }
  UNREACHABLE();
}

std::span<const Lie> tree_lies() { return lies_of_trees; }

}  // namespace tonearm::sim
