#include "sim/decode/image_forgery.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/decode/forged_file.h"
#include "sim/decode/free_set_forgery.h"
#include "sim/decode/lie.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

constexpr u64 tables_tried = 16;
constexpr u64 tables_tried_of_groove = 64;  // Most are of the wrong tree.

class Forger {
 public:
  explicit Forger(ForgedFile& file) : file_(file), decoded_(file.decoded()) {}

  // False: the log cannot be read.
  bool begin() {
    const ManifestEnds ends{
        .oldest = file_.state_ref(f::state_manifest_oldest, f::state_manifest_oldest_address),
        .newest = file_.state_ref(f::state_manifest_newest, f::state_manifest_newest_address),
        .count = file_.state<u32>(f::state_manifest_blocks)};
    chain_ = read_manifest_chain(file_.image(), file_.place(), ends);
    return chain_.fault.empty();
  }

  Forged tell(const Lie& lie, const DecodedTable& table, u64 random) {
    if (!find_entry(table.index.address)) return {};
    Pieces pieces;
    pieces.image = &file_.image();
    pieces.grid_offset = file_.place().grid_offset;
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
    pieces.value = file_.read(table.value_blocks[pieces.slot].ref.address);
    pieces.index = file_.read(table.index.address);
    pieces.slots = f::load<u32>(pieces.index, f::header_metadata + f::index_slots);
    pieces.key_size = f::load<u32>(pieces.index, f::header_metadata + f::index_key_size);
    pieces.record_block = chain_.blocks[block_].ref.address;
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
    file_.write_copies();
    return {.address = block.ref.address, .checksum = block.ref.checksum, .lie = lie, .refused = true};
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

  // Of the reference to the block that must be named.
  u128 checksum_of(const Pieces& pieces) const {
    const u64 address = pieces.told.address;
    if (address == pieces.value_ref.address) return pieces.value_ref.checksum;
    if (address == pieces.index_address()) return f::load<u128>(pieces.entry.bytes, f::entry_checksum);
    if (address == pieces.record_block) return chain_.blocks[block_].ref.checksum;
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
      file_.write(ref.address, pieces->value);
    }
    const BlockRef& before = pieces->block().ref;
    // A lie may have cut the block in front of it.
    if (ref.address != before.address || ref.checksum != before.checksum) {
      put<u64>(pieces->index, pieces->address_offset(pieces->slot), ref.address);
      put<u128>(pieces->index, pieces->checksum_offset(pieces->slot), ref.checksum);
    }
    put<u128>(pieces->entry.bytes, f::entry_checksum, seal_manifest_block(pieces->index));
    file_.write(pieces->index_address(), pieces->index);
    std::copy(pieces->entry.bytes.begin(), pieces->entry.bytes.end(),
              chain_.blocks[block_].bytes.begin() +
                  static_cast<std::ptrdiff_t>(f::header_size + entry_ * f::entry_size));
    write_log(block_);
    file_.write_copies();
  }

  // From that block on: each refers to the one before it.
  void write_log(std::size_t from) {
    for (std::size_t i = from; i < chain_.blocks.size(); ++i) {
      ManifestChain::Block& block = chain_.blocks[i];
      if (i > from)
        put<u128>(block.bytes, f::header_metadata + f::chain_previous, chain_.blocks[i - 1].ref.checksum);
      block.ref.checksum = seal_manifest_block(block.bytes);
      file_.write(block.ref.address, block.bytes);
    }
    file_.set_state<u128>(f::state_manifest_newest, chain_.blocks.back().ref.checksum);
    file_.set_state<u128>(f::state_manifest_oldest, chain_.blocks.front().ref.checksum);
  }

  ForgedFile& file_;
  const DecodedImage& decoded_;
  ManifestChain chain_;
  std::size_t block_ = 0;  // The table's latest record.
  std::size_t entry_ = 0;
};

}  // namespace

bool can_forge(const DecodedImage& decoded) {
  return decoded.outcome == DecodeOutcome::ok && !decoded.tables.empty();
}

Forged forge_image(Image* image, const DecodedImage& decoded, u64 random) {
  ForgedFile file(*image, decoded, decoded.blocks_count);
  Forger forger(file);
  if (!can_forge(decoded) || !file.begin() || !forger.begin()) return {};
  const bool of_groove = !decoded.shape->grooves.empty() && below(remix(random, 0), 3) != 0;
  const std::span<const Lie> told = of_groove ? groove_lies() : tree_lies();
  const Lie& lie = told[below(random, told.size())];
  const u64 tries = of_groove ? tables_tried_of_groove : tables_tried;
  for (u64 i = 1; i <= tries; ++i) {
    const DecodedTable& table = decoded.tables[below(remix(random, i), decoded.tables.size())];
    const Forged forged = forger.tell(lie, table, remix(random, 100 + i));
    if (forged.told()) return forged;
  }
  return {};
}

Forged forge_opening(Image* image, const DecodedImage& decoded, u64 blocks_limit, u64 random) {
  ForgedFile file(*image, decoded, blocks_limit);
  Forger forger(file);
  if (!can_forge(decoded) || !file.begin() || !forger.begin()) return {};
  // Half of the kinds are about the free set.
  switch (below(random, 5)) {
    case 0: return forger.tell_of_log(remix(random, 1));
    case 1:
    case 2: break;
    default: return forge_free_set(file, remix(random, 1));
  }
  const Lie& lie = table_lies()[below(remix(random, 2), table_lies().size())];
  for (u64 i = 3; i < 3 + tables_tried; ++i) {
    const DecodedTable& table = decoded.tables[below(remix(random, i), decoded.tables.size())];
    const Forged forged = forger.tell(lie, table, remix(random, 100 + i));
    if (forged.told()) return forged;
  }
  return {};
}

}  // namespace tonearm::sim
