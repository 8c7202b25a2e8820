// One lie about one table: what it changes, and who must name it. Internal to the forgery of images.
//
// A lie changes copies of four things: a value block, the index block that refers to it, the table's latest
// record in the manifest log, and where the index block's slot points. The forger seals and writes them.
#pragma once

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "sim/decode/image_forgery.h"
#include "sim/decode/lie_range.h"
#include "sim/decode/manifest_chain.h"
#include "sim/decode/value_bytes.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

// The table and one of its value blocks, in pieces to be changed.
struct Pieces {
  const Image* image = nullptr;
  u64 grid_offset = 0;  // Of the image.
  const DecodedImage* decoded = nullptr;
  const ManifestChain* chain = nullptr;
  const DecodedTable* table = nullptr;
  const TreeShape* shape = nullptr;
  const GrooveShape* groove = nullptr;  // That the tree belongs to, if any.
  bool deepest = false;                 // No table of its tree lies deeper.
  bool shallowest = false;              // Nor less deep: what it says is not superseded.
  u64 slot = 0;                         // The value block's in the index block.
  u64 slots = 0;                        // Of the index block, and the size of its keys.
  u64 key_size = 0;
  u64 random = 0;
  u64 record_block = 0;  // Address of the block of the log in which `entry` is.
  std::vector<std::byte> value;
  std::vector<std::byte> index;
  ManifestEntry entry;
  BlockRef value_ref;  // What the slot refers to. If that is another block, `value` is not written.
  Forged told;         // Who must name it; see there.

  u64 value_count() const {
    return disk_format::load<u32>(value, disk_format::header_metadata + disk_format::value_count);
  }
  u64 value_size() const {
    return disk_format::load<u32>(value, disk_format::header_metadata + disk_format::value_size);
  }
  std::span<std::byte> value_at(u64 i) {
    return std::span(value).subspan(disk_format::header_size + i * shape->value_size(), shape->value_size());
  }
  u64 checksum_offset(u64 i) const { return disk_format::header_size + i * 32; }
  u64 key_min_offset(u64 i) const { return disk_format::header_size + slots * 32 + i * key_size; }
  u64 key_max_offset(u64 i) const { return key_min_offset(i) + slots * key_size; }
  u64 address_offset(u64 i) const { return disk_format::header_size + slots * (32 + 2 * key_size) + i * 8; }
  u64 used() const { return table->value_blocks.size(); }
  const DecodedTable::ValueBlock& block() const { return table->value_blocks[slot]; }
  const DecodedTable::ValueBlock& block_before() const { return table->value_blocks[slot - 1]; }
  const DecodedTable::ValueBlock& block_behind() const { return table->value_blocks[slot + 1]; }
  bool last_slot() const { return slot + 1 == used(); }
  u64 value_address() const { return table->value_blocks[slot].ref.address; }
  u64 index_address() const { return table->index.address; }

  // The table of the level that ends in front of this one, and the one that begins behind it.
  const DecodedTable* before() const { return beside(table == decoded->tables.data() ? nullptr : table - 1); }
  const DecodedTable* behind() const {
    return beside(table + 1 == decoded->tables.data() + decoded->tables.size() ? nullptr : table + 1);
  }

  // What a scrubber sees too, since it has to follow an index block.
  u64 index_lies() {
    told.scrubbed = index_address();
    return index_address();
  }

 private:
  const DecodedTable* beside(const DecodedTable* other) const {
    const bool of_level = other != nullptr && other->tree == table->tree && other->level == table->level;
    return of_level ? other : nullptr;
  }
};

// Tells it, and returns the address of the block in which it is, or 0 if it cannot be told of this table.
struct Lie {
  const char* name;
  u64 (*tell)(Pieces&);
};

std::span<const Lie> tree_lies();    // What a tree by itself gives away.
std::span<const Lie> groove_lies();  // What only the trees of a groove together give away, or their values.
std::span<const Lie> table_lies();   // What opening sees of a table: its record.

// A header that nobody may follow, of any block; with checksums that fit.
const char* header_lies(std::span<std::byte> block, u64 random);

// The word that carries it in a secondary index; see forest_shape.h.
u64 flag_offset(ValueKind kind);

template <class T>
void put(std::span<std::byte> bytes, u64 offset, T value) {
  std::memcpy(bytes.subspan(offset, sizeof(T)).data(), &value, sizeof(T));
}
template <class T>
void add(std::span<std::byte> bytes, u64 offset, u64 amount) {
  put<T>(bytes, offset, static_cast<T>(disk_format::load<T>(bytes, offset) + amount));
}
// Any other number than the one that is there, of this one's kind.
template <class T>
void alter(std::span<std::byte> bytes, u64 offset, u64 random, u64 least = 0) {
  const u64 number = disk_format::load<T>(bytes, offset);
  put<T>(bytes, offset, static_cast<T>(another(number, least, static_cast<T>(~T{0}), random)));
}
// Of what must be zero.
inline void use_byte(std::span<std::byte> bytes, u64 offset, u64 random) {
  put<u8>(bytes, offset, static_cast<u8>(1 + below(remix(random, 60), 255)));
}
inline void put_key(std::span<std::byte> to, u64 offset, const DecodedKey& key, u64 size) {
  const std::array<u128, 2> words{key.second, key.first};
  std::memcpy(to.subspan(offset, size).data(), words.data(), size);
}

}  // namespace tonearm::sim
