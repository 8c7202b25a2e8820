#include "sim/decode/image_forgery.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"
#include "sim/decode/manifest_chain.h"
#include "sim/decode/superblock_copies.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u64 tables_tried = 16;
constexpr u64 tables_tried_of_groove = 64;  // Most are of the wrong tree.
constexpr u64 tombstone = u64{1} << 63;

template <class T>
void put(std::span<std::byte> bytes, u64 offset, T value) {
  std::memcpy(bytes.subspan(offset, sizeof(T)).data(), &value, sizeof(T));
}
template <class T>
void add(std::span<std::byte> bytes, u64 offset, u64 amount) {
  put<T>(bytes, offset, static_cast<T>(f::load<T>(bytes, offset) + amount));
}

// One table and one of its value blocks, in pieces to be changed.
struct Pieces {
  const DecodedTable* table = nullptr;
  const TreeShape* shape = nullptr;
  const GrooveShape* groove = nullptr;  // That the tree belongs to, if any.
  bool deepest = false;                 // No table of its tree lies deeper.
  bool shallowest = false;              // Nor less deep: what it says is not superseded.
  u64 slot = 0;                         // The value block's in the index block.
  u64 random = 0;
  std::vector<std::byte> value;
  std::vector<std::byte> index;
  ManifestEntry entry;
  u16 wrong_tree = 0;  // As in Forged.
  u64 wrong_timestamp = 0;

  u64 value_count() const { return f::load<u32>(value, f::header_metadata + f::value_count); }
  u64 value_size() const { return f::load<u32>(value, f::header_metadata + f::value_size); }
  std::span<std::byte> value_at(u64 i) {
    return std::span(value).subspan(f::header_size + i * value_size(), value_size());
  }
  u64 slots() const { return f::load<u32>(index, f::header_metadata + f::index_slots); }
  u64 key_size() const { return f::load<u32>(index, f::header_metadata + f::index_key_size); }
  u64 checksum_offset() const { return f::header_size + slot * 32; }
  u64 key_max_offset() const { return f::header_size + slots() * (32 + key_size()) + slot * key_size(); }
  u64 key_min_offset() const { return key_max_offset() - slots() * key_size(); }
  u64 address_offset() const { return f::header_size + slots() * (32 + 2 * key_size()) + slot * 8; }
  bool last_slot() const { return slot + 1 == table->value_blocks.size(); }
  u64 value_address() const { return table->value_blocks[slot].ref.address; }
  u64 index_address() const { return table->index.address; }
};

// Where a version is lost or out of place in a secondary index, its other versions give that away first.
bool versions_matter(const Pieces& p) { return p.shape->secondary_index(); }

// The word that carries the tombstone flag of a secondary index; see forest_shape.h.
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

// Tells it, and returns the address of the block in which it is, or 0 if it cannot be told of this table.
using Tell = u64 (*)(Pieces&);

u64 values_swapped(Pieces& p) {
  if (p.value_count() < 4 || versions_matter(p)) return 0;
  std::swap_ranges(p.value_at(1).begin(), p.value_at(1).end(), p.value_at(2).begin());
  return p.value_address();
}

u64 value_twice(Pieces& p) {
  if (p.value_count() < 3 || versions_matter(p)) return 0;
  std::copy_n(p.value_at(0).begin(), p.value_size(), p.value_at(1).begin());
  return p.value_address();
}

u64 value_of_another_tree(Pieces& p) {
  add<u16>(p.value, f::header_metadata + f::value_tree, 1);
  return p.value_address();
}

u64 value_of_another_snapshot(Pieces& p) {
  add<u64>(p.value, f::header_snapshot, 1);
  return p.value_address();
}

u64 index_of_another_snapshot(Pieces& p) {
  add<u64>(p.index, f::header_snapshot, 1);
  return p.index_address();
}

u64 another_count(Pieces& p) {
  add<u32>(p.entry.bytes, f::entry_value_count, 1);
  return p.index_address();
}

u64 greatest_key_less(Pieces& p) {
  const u64 low = f::load<u64>(p.index, p.key_max_offset());
  if (p.last_slot() || p.value_count() < 2 || low == 0) return 0;
  put<u64>(p.index, p.key_max_offset(), low - 1);
  return p.value_address();
}

// Everything fits together without it; only the free set knows that there is one more.
u64 block_leaked(Pieces& p) {
  if (!p.last_slot() || p.slot == 0 || versions_matter(p)) return 0;
  const DecodedKey& key_max = p.table->value_blocks[p.slot - 1].key_max;
  add<u32>(p.entry.bytes, f::entry_value_count, ~p.value_count() + 1);
  put<u128>(p.entry.bytes, f::entry_key_max, key_max.second);
  put<u128>(p.entry.bytes, f::entry_key_max + 16, key_max.first);
  add<u32>(p.index, f::header_metadata + f::index_count, ~u64{0});
  std::fill_n(p.index.begin() + static_cast<std::ptrdiff_t>(p.key_min_offset()), p.key_size(), std::byte{0});
  std::fill_n(p.index.begin() + static_cast<std::ptrdiff_t>(p.key_max_offset()), p.key_size(), std::byte{0});
  put<u64>(p.index, p.address_offset(), 0);
  return p.value_address();
}

u64 oldest_is_tombstone(Pieces& p) {
  if (!p.shape->secondary_index() || !p.deepest) return 0;
  const std::span<std::byte> value = p.value_at(below(p.random, p.value_count()));
  const u64 offset = flag_offset(p.shape->kind);
  put<u64>(value, offset, f::load<u64>(value, offset) | u64{1} << 63);
  return p.value_address();
}

// --- what only the trees of a groove together give away

u64 id_names_another(Pieces& p) {
  if (!p.shallowest || p.shape->id != p.groove->id_tree) return 0;
  const std::span<std::byte> value = p.value_at(below(p.random, p.value_count()));
  const u64 timestamp = f::load<u64>(value, 16);
  const u64 other = 1 + below(remix(p.random, 1), u64{1} << 40);
  if ((timestamp & tombstone) != 0 || timestamp == other) return 0;
  put<u64>(value, 16, other);
  p.wrong_tree = p.shape->id;
  p.wrong_timestamp = timestamp == 0 ? other : std::min(timestamp, other);
  return p.value_address();
}

u64 object_has_another_id(Pieces& p) {
  if (!p.shallowest || p.shape->id != p.groove->object_tree || p.groove->id_tree == 0) return 0;
  const std::span<std::byte> object = p.value_at(below(p.random, p.value_count()));
  const u64 timestamp = f::load<u64>(object, p.shape->timestamp_at);
  const u64 other = f::load<u64>(object, p.groove->id_at) ^ u64 { 1 } << below(remix(p.random, 1), 64);
  if ((timestamp & tombstone) != 0 || other == 0 || other == u64_max) return 0;
  put<u64>(object, p.groove->id_at, other);
  p.wrong_tree = p.groove->id_tree;
  p.wrong_timestamp = timestamp;
  return p.value_address();
}

// Of all its bits one that is indexed.
u64 object_has_another_field(Pieces& p) {
  if (!p.shallowest || p.shape->id != p.groove->object_tree) return 0;
  const std::span<std::byte> object = p.value_at(below(p.random, p.value_count()));
  const u64 timestamp = f::load<u64>(object, p.shape->timestamp_at);
  if ((timestamp & tombstone) != 0) return 0;
  std::vector<IndexEntry> before;
  p.groove->entries(object, &before);
  std::sort(before.begin(), before.end());
  for (u64 i = 0; i < 16; ++i) {
    const u64 bit = below(remix(p.random, i), object.size() * 8);
    const u64 byte = bit / 8;
    if (byte - p.shape->timestamp_at < 8) continue;
    if (p.groove->id_tree != 0 && byte - p.groove->id_at < 16) continue;
    object[byte] ^= static_cast<std::byte>(1U << bit % 8);
    std::vector<IndexEntry> after;
    p.groove->entries(object, &after);
    std::sort(after.begin(), after.end());
    std::vector<IndexEntry> differ;
    std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                  std::back_inserter(differ));
    if (differ.empty()) continue;
    p.wrong_tree = differ.front().tree;
    p.wrong_timestamp = timestamp;
    return p.value_address();
  }
  return 0;
}

// The next timestamp, as long as the block's keys stay in order and its ends what they are.
u64 entry_of_another_object(Pieces& p) {
  if (!p.shallowest || !p.deepest || !p.shape->secondary_index() || p.value_count() < 3) return 0;
  const u64 at = 1 + below(p.random, p.value_count() - 2);
  const std::span<std::byte> value = p.value_at(at);
  const u64 offset = flag_offset(p.shape->kind);
  const u64 timestamp = f::load<u64>(value, offset);
  std::vector<std::byte> other(value.begin(), value.end());
  put<u64>(other, offset, timestamp + 1);
  if (std::equal(other.begin(), other.end(), p.value_at(at + 1).begin())) return 0;
  std::copy(other.begin(), other.end(), value.begin());
  p.wrong_tree = p.shape->id;
  p.wrong_timestamp = timestamp;
  return p.value_address();
}

struct Lie {
  const char* name;
  Tell tell;
};
constexpr Lie lies[] = {
    {"two values changed places", values_swapped},
    {"a value is there twice", value_twice},
    {"a value block is of another tree", value_of_another_tree},
    {"a value block is of another snapshot", value_of_another_snapshot},
    {"an index block is of another snapshot", index_of_another_snapshot},
    {"a table has another number of values", another_count},
    {"an index block has another greatest key", greatest_key_less},
    {"a block is acquired and not reachable", block_leaked},
    {"the oldest version of a key of a secondary index is a tombstone", oldest_is_tombstone},
};

constexpr Lie groove_lies[] = {
    {"an id names another timestamp", id_names_another},
    {"an object has another id", object_has_another_id},
    {"an object has another value of an indexed field", object_has_another_field},
    {"an index entry is of another object", entry_of_another_object},
};

class Forger {
 public:
  Forger(Image& image, const DecodedImage& decoded) : image_(image), decoded_(decoded) {
    const u64 zone = u64{f::copies} * f::copy_size;
    place_.block_size = decoded.format.block_size;
    place_.grid_offset = (zone + place_.block_size - 1) / place_.block_size * place_.block_size;
    place_.blocks_count = decoded.blocks_count;
  }

  // False: the copies differ, or the log cannot be read.
  bool begin() {
    for (u32 i = 0; i < f::copies; ++i) {
      copies_[i].resize(f::copy_size);
      image_.read(u64{i} * f::copy_size, copies_[i]);
      if (!decoded_.copies[i].intact || decoded_.copies[i].sequence != decoded_.sequence) return false;
    }
    const auto ref = [this](u32 checksum, u32 address) {
      return BlockRef{.address = f::load<u64>(copies_[0], f::copy_state + address),
                      .checksum = f::load<u128>(copies_[0], f::copy_state + checksum)};
    };
    const ManifestEnds ends{.oldest = ref(f::state_manifest_oldest, f::state_manifest_oldest_address),
                            .newest = ref(f::state_manifest_newest, f::state_manifest_newest_address),
                            .count = f::load<u32>(copies_[0], f::copy_state + f::state_manifest_blocks)};
    chain_ = read_manifest_chain(image_, place_, ends);
    return chain_.fault.empty();
  }

  Forged tell(const Lie& lie, const DecodedTable& table, u64 random) {
    if (!find_entry(table.index.address)) return {};
    Pieces pieces;
    pieces.table = &table;
    pieces.shape = decoded_.shape->find(table.tree);
    for (const GrooveShape& groove : decoded_.shape->grooves) {
      if (is_of(groove, table.tree)) pieces.groove = &groove;
    }
    pieces.deepest = pieces.shallowest = true;
    for (const DecodedTable& other : decoded_.tables) {
      if (other.tree != table.tree) continue;
      if (other.level > table.level) pieces.deepest = false;
      if (other.level < table.level) pieces.shallowest = false;
    }
    pieces.slot = below(remix(random, 1), table.value_blocks.size());
    pieces.random = remix(random, 2);
    pieces.value = read(table.value_blocks[pieces.slot].ref.address);
    pieces.index = read(table.index.address);
    pieces.entry = chain_.blocks[block_].entries[entry_];
    const u64 address = lie.tell(pieces);
    if (address != 0) write_all(&pieces);
    return {
        .address = address, .lie = lie.name, .tree = pieces.wrong_tree, .timestamp = pieces.wrong_timestamp};
  }

 private:
  static bool is_of(const GrooveShape& groove, u16 tree) {
    const auto& indexes = groove.index_trees;
    return tree == groove.object_tree || tree == groove.id_tree ||
           std::find(indexes.begin(), indexes.end(), tree) != indexes.end();
  }
  // Its latest record.
  bool find_entry(u64 address) {
    for (block_ = chain_.blocks.size(); block_-- > 0;) {
      const std::vector<ManifestEntry>& entries = chain_.blocks[block_].entries;
      for (entry_ = entries.size(); entry_-- > 0;) {
        if (entries[entry_].address() == address) return true;
      }
    }
    return false;
  }

  u64 offset_of(u64 address) const { return place_.grid_offset + (address - 1) * place_.block_size; }
  std::vector<std::byte> read(u64 address) const {
    std::vector<std::byte> bytes(place_.block_size);
    image_.read(offset_of(address), bytes);
    return bytes;
  }
  void write(u64 address, const std::vector<std::byte>& bytes) {
    const u64 sector = decoded_.format.sector_size;
    const u64 size = (f::load<u32>(bytes, f::header_block_size) + sector - 1) / sector * sector;
    image_.write(offset_of(address), std::span(bytes).first(size));
  }

  void write_all(Pieces* pieces) {
    const u128 value_checksum = seal_manifest_block(pieces->value);
    write(pieces->value_address(), pieces->value);
    const bool used = f::load<u64>(pieces->index, pieces->address_offset()) != 0;
    put<u128>(pieces->index, pieces->checksum_offset(), used ? value_checksum : u128{0});
    put<u128>(pieces->entry.bytes, f::entry_checksum, seal_manifest_block(pieces->index));
    write(pieces->index_address(), pieces->index);
    std::copy(pieces->entry.bytes.begin(), pieces->entry.bytes.end(),
              chain_.blocks[block_].bytes.begin() +
                  static_cast<std::ptrdiff_t>(f::header_size + entry_ * f::entry_size));
    for (std::size_t i = block_; i < chain_.blocks.size(); ++i) {
      ManifestChain::Block& block = chain_.blocks[i];
      if (i > block_)
        put<u128>(block.bytes, f::header_metadata + f::chain_previous, chain_.blocks[i - 1].ref.checksum);
      block.ref.checksum = seal_manifest_block(block.bytes);
      write(block.ref.address, block.bytes);
    }
    for (u32 i = 0; i < f::copies; ++i) {
      put<u128>(copies_[i], f::copy_state + f::state_manifest_newest, chain_.blocks.back().ref.checksum);
      put<u128>(copies_[i], f::copy_state + f::state_manifest_oldest, chain_.blocks.front().ref.checksum);
      seal_copy(copies_[i], true);
      image_.write(u64{i} * f::copy_size, copies_[i]);
    }
  }

  Image& image_;
  const DecodedImage& decoded_;
  ManifestPlace place_;
  std::array<CopyBytes, f::copies> copies_;
  ManifestChain chain_;
  std::size_t block_ = 0;  // The table's latest record.
  std::size_t entry_ = 0;
};

}  // namespace

Forged forge_image(Image* image, const DecodedImage& decoded, u64 random) {
  Forger forger(*image, decoded);
  if (decoded.outcome != DecodeOutcome::ok || decoded.tables.empty() || !forger.begin()) return {};
  const bool of_groove = !decoded.shape->grooves.empty() && below(remix(random, 0), 2) == 0;
  const std::span<const Lie> told =
      of_groove ? std::span<const Lie>(groove_lies) : std::span<const Lie>(lies);
  const Lie& lie = told[below(random, told.size())];
  const u64 tries = of_groove ? tables_tried_of_groove : tables_tried;
  for (u64 i = 1; i <= tries; ++i) {
    const DecodedTable& table = decoded.tables[below(remix(random, i), decoded.tables.size())];
    const Forged forged = forger.tell(lie, table, remix(random, 100 + i));
    if (forged.address != 0) return forged;
  }
  return {};
}

}  // namespace tonearm::sim
