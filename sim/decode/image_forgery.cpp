#include "sim/decode/image_forgery.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "sim/decode/lie.h"
#include "sim/decode/manifest_chain.h"
#include "sim/decode/superblock_copies.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u64 tables_tried = 16;
constexpr u64 tables_tried_of_groove = 64;  // Most are of the wrong tree.

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
    pieces.image = &image_;
    pieces.grid_offset = place_.grid_offset;
    pieces.decoded = &decoded_;
    pieces.chain = &chain_;
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
    pieces.slots = f::load<u32>(pieces.index, f::header_metadata + f::index_slots);
    pieces.key_size = f::load<u32>(pieces.index, f::header_metadata + f::index_key_size);
    pieces.entry = chain_.blocks[block_].entries[entry_];
    pieces.value_ref = table.value_blocks[pieces.slot].ref;
    pieces.told.lie = lie.name;
    pieces.told.address = lie.tell(pieces);
    if (pieces.told.address == 0) return {};
    write_table(&pieces);
    pieces.told.checksum = checksum_of(pieces);
    return pieces.told;
  }

  // Of a block of the log.
  Forged tell_of_log(u64 random) {
    if (chain_.blocks.empty()) return {};
    const std::size_t at = below(random, chain_.blocks.size());
    ManifestChain::Block& block = chain_.blocks[at];
    const char* const lie = header_lies(block.bytes, remix(random, 1));
    write_log(at);
    write_copies();
    return {.address = block.ref.address, .checksum = block.ref.checksum, .lie = lie, .refused = true};
  }

  // Of a trailer, or of what the superblock says of it.
  Forged tell_of_trailer(u64 random) {
    const bool acquired = (random & 1) == 0;
    const u32 payload_at = f::copy_state + (acquired ? f::state_acquired_payload : f::state_released_payload);
    const u32 size_at = f::copy_state + (acquired ? f::state_acquired_size : f::state_released_size);
    const u32 last_at = f::copy_state + (acquired ? f::state_acquired_last : f::state_released_last);
    const BlockUse use = acquired ? BlockUse::trailer_acquired : BlockUse::trailer_released;
    std::vector<BlockRef> chain;  // Oldest first.
    for (const DecodedBlock& block : decoded_.blocks) {
      if (block.use == use) chain.insert(chain.begin(), block.ref);
    }
    if (f::load<u64>(copies_[0], size_at) == 0) return {};
    Forged told{.refused = true};
    const u64 what = below(remix(random, 1), 6);
    if (what == 0) {
      for (CopyBytes& copy : copies_) add<u128>(copy, payload_at, 1 + below(remix(random, 2), 99));
      told.address = chain.back().address;
      told.checksum = chain.back().checksum;
      told.lie = "a trailer's payload has another checksum";
      write_copies();
      return told;
    }
    const std::size_t at = what == 1 ? 0 : below(remix(random, 3), chain.size());
    for (std::size_t i = at; i < chain.size(); ++i) {
      std::vector<std::byte> block = read(chain[i].address);
      if (i == at) told.lie = trailer_lies(block, what, remix(random, 4));
      if (i > at) put<u128>(block, f::header_metadata + f::chain_previous, chain[i - 1].checksum);
      chain[i].checksum = seal_manifest_block(block);
      write(chain[i].address, block);
    }
    told.address = chain[at].address;
    told.checksum = chain[at].checksum;
    for (CopyBytes& copy : copies_) put<u128>(copy, last_at, chain.back().checksum);
    write_copies();
    return told;
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

  // `what` 1: of the first block.
  static const char* trailer_lies(std::span<std::byte> block, u64 what, u64 random) {
    const std::span<std::byte> metadata = block.subspan(f::header_metadata, 96);
    const u64 byte = remix(random, 1);
    switch (what) {
      case 1: {
        const bool address = (random & 1) == 0;
        put<u8>(metadata, address ? f::chain_previous_address + byte % 8 : f::chain_previous + byte % 16, 1);
        return "the first block of a trailer has one before it";
      }
      case 2: put<u8>(metadata, f::chain_padding + byte % 16, 1); return "a trailer's checksum has padding";
      case 3:
        put<u8>(metadata, f::trailer_reserved + byte % f::trailer_reserved_size, 1);
        return "a trailer block's reserved bytes are used";
      case 4: put<u8>(block, f::header_type, f::type_manifest); return "a trailer block is of another type";
      default: return header_lies(block, random);
    }
  }

  // Of the reference to the block that must be named.
  u128 checksum_of(const Pieces& pieces) const {
    const u64 address = pieces.told.address;
    if (address == pieces.value_ref.address) return pieces.value_ref.checksum;
    if (address == pieces.index_address()) return f::load<u128>(pieces.entry.bytes, f::entry_checksum);
    if (pieces.told.lost) return 0;
    const auto named = [address](const DecodedBlock& block) { return block.ref.address == address; };
    const auto found = std::find_if(decoded_.blocks.begin(), decoded_.blocks.end(), named);
    ASSERT(found != decoded_.blocks.end());
    return found->ref.checksum;
  }

  void write_table(Pieces* pieces) {
    BlockRef& ref = pieces->value_ref;
    if (ref.address == pieces->value_address()) {
      ref.checksum = seal_manifest_block(pieces->value);
      write(ref.address, pieces->value);
    }
    put<u64>(pieces->index, pieces->address_offset(pieces->slot), ref.address);
    put<u128>(pieces->index, pieces->checksum_offset(pieces->slot), ref.checksum);
    put<u128>(pieces->entry.bytes, f::entry_checksum, seal_manifest_block(pieces->index));
    write(pieces->index_address(), pieces->index);
    std::copy(pieces->entry.bytes.begin(), pieces->entry.bytes.end(),
              chain_.blocks[block_].bytes.begin() +
                  static_cast<std::ptrdiff_t>(f::header_size + entry_ * f::entry_size));
    write_log(block_);
    write_copies();
  }

  // From that block on: each refers to the one before it.
  void write_log(std::size_t from) {
    for (std::size_t i = from; i < chain_.blocks.size(); ++i) {
      ManifestChain::Block& block = chain_.blocks[i];
      if (i > from)
        put<u128>(block.bytes, f::header_metadata + f::chain_previous, chain_.blocks[i - 1].ref.checksum);
      block.ref.checksum = seal_manifest_block(block.bytes);
      write(block.ref.address, block.bytes);
    }
    for (CopyBytes& copy : copies_) {
      put<u128>(copy, f::copy_state + f::state_manifest_newest, chain_.blocks.back().ref.checksum);
      put<u128>(copy, f::copy_state + f::state_manifest_oldest, chain_.blocks.front().ref.checksum);
    }
  }

  void write_copies() {
    for (u32 i = 0; i < f::copies; ++i) {
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

bool can_forge(const DecodedImage& decoded) {
  return decoded.outcome == DecodeOutcome::ok && !decoded.tables.empty();
}

Forged forge_image(Image* image, const DecodedImage& decoded, u64 random) {
  Forger forger(*image, decoded);
  if (!can_forge(decoded) || !forger.begin()) return {};
  const bool of_groove = !decoded.shape->grooves.empty() && below(remix(random, 0), 3) != 0;
  const std::span<const Lie> told = of_groove ? groove_lies() : tree_lies();
  const Lie& lie = told[below(random, told.size())];
  const u64 tries = of_groove ? tables_tried_of_groove : tables_tried;
  for (u64 i = 1; i <= tries; ++i) {
    const DecodedTable& table = decoded.tables[below(remix(random, i), decoded.tables.size())];
    const Forged forged = forger.tell(lie, table, remix(random, 100 + i));
    if (forged.address != 0) return forged;
  }
  return {};
}

Forged forge_opening(Image* image, const DecodedImage& decoded, u64 random) {
  Forger forger(*image, decoded);
  if (!can_forge(decoded) || !forger.begin()) return {};
  switch (below(random, 3)) {
    case 0: return forger.tell_of_log(remix(random, 1));
    case 1: return forger.tell_of_trailer(remix(random, 1));
    default: break;
  }
  const Lie& lie = table_lies()[below(remix(random, 2), table_lies().size())];
  for (u64 i = 3; i < 3 + tables_tried; ++i) {
    const DecodedTable& table = decoded.tables[below(remix(random, i), decoded.tables.size())];
    const Forged forged = forger.tell(lie, table, remix(random, 100 + i));
    if (forged.address != 0) return forged;
  }
  return {};
}

}  // namespace tonearm::sim
