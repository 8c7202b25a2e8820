#include "sim/decode/image_decoder.h"

#include <xxhash.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "sim/decode/disk_format.h"
#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace disk_format {

u128 checksum(Bytes bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return u128{hash.high64} << 64 | hash.low64;
}

std::string hex(u128 value) {
  return fmt::format("0x{:016x}{:016x}", static_cast<u64>(value >> 64), static_cast<u64>(value));
}

}  // namespace disk_format

namespace {

using f::Bytes;
using f::load;

constexpr u64 zone_size = u64{f::copies} * f::copy_size;
constexpr u64 bitmap_words_max = u64{1} << 20;  // A stream that describes more than this is refused.

bool power_of_two(u64 value) { return value != 0 && (value & (value - 1)) == 0; }

BlockRef reference(Bytes bytes, u64 checksum_offset, u64 address_offset) {
  return {.address = load<u64>(bytes, address_offset), .checksum = load<u128>(bytes, checksum_offset)};
}

DecodedKey load_key(Bytes bytes, u64 offset) {
  return {load<u128>(bytes, offset + 16), load<u128>(bytes, offset)};
}

void unset_bit(std::vector<u64>* words, u64 address) {
  const u64 bit = address - 1;
  (*words)[bit / 64] &= ~(u64{1} << bit % 64);
}

// The key sizes and values of the three trees, by id: kv, index, id.
struct TreeShape {
  u32 key_size;
  u32 value_size;
};
constexpr TreeShape tree_shapes[] = {{0, 0}, {8, 16}, {16, 16}, {16, 32}};

bool tree_known(u16 tree) { return tree >= 1 && tree < std::size(tree_shapes); }

DecodedValue load_value(u16 tree, Bytes bytes) {
  constexpr u64 flag = u64{1} << 63;
  const u64 first = load<u64>(bytes, 0);
  const u64 second = load<u64>(bytes, 8);
  switch (tree) {
    case 1: return {.key = {0, first & ~flag}, .payload = second, .tombstone = (first & flag) != 0};
    case 2:
      return {
          .key = {0, u128{first} << 64 | (second & ~flag)}, .payload = 0, .tombstone = (second & flag) != 0};
    default: {
      const u64 word = load<u64>(bytes, 16);
      return {
          .key = {0, u128{second} << 64 | first}, .payload = word & ~flag, .tombstone = (word & flag) != 0};
    }
  }
}

DecodedKey load_short_key(Bytes bytes, u64 offset, u32 key_size) {
  if (key_size == 8) return {0, load<u64>(bytes, offset)};
  return {0, load<u128>(bytes, offset)};
}

// --- superblock

struct Superblocks {
  std::array<std::vector<std::byte>, f::copies> bytes;
  Bytes of(u32 slot) const { return bytes[slot]; }
};

void read_copies(const Image& image, Superblocks* superblocks, DecodedImage* out) {
  for (u32 slot = 0; slot < f::copies; ++slot) {
    superblocks->bytes[slot].resize(f::copy_size);
    image.read(u64{slot} * f::copy_size, superblocks->bytes[slot]);
    const Bytes copy = superblocks->of(slot);
    DecodedCopy& decoded = out->copies[slot];
    const char* fault = copy_fault(copy);
    decoded.intact = fault == nullptr;
    decoded.reason = decoded.intact ? "" : fault;
    decoded.number = load<u16>(copy, f::copy_number);
    decoded.sequence = load<u64>(copy, f::copy_sequence);
    decoded.op = load<u64>(copy, f::copy_state + f::state_op);
    decoded.checksum = load<u128>(copy, 0);
  }
}

// Returns the slot of the chosen header, or f::copies with the outcome set.
u32 choose(const Superblocks& superblocks, DecodedImage* out) {
  CopiesAsRead copies;
  for (u32 slot = 0; slot < f::copies; ++slot) copies[slot] = superblocks.of(slot);
  const CopiesVerdict verdict = judge_copies(copies, f::quorum);
  out->outcome = verdict.outcome;
  return verdict.outcome == DecodeOutcome::ok ? verdict.slot : f::copies;
}

// --- grid

class Decoder {
 public:
  Decoder(const Image& image, const DecodeOptions& options, DecodedImage* out)
      : image_(image), options_(options), out_(*out) {}

  void run();

 private:
  void violation(std::string text) { out_.violations.push_back(std::move(text)); }
  bool read_format(Bytes copy);
  bool read(const BlockRef& ref, BlockUse use, u8 type, Bytes* block);
  std::string block_fault(Bytes block, const BlockRef& ref, u8 type) const;
  void read_trailer(BlockUse use, const BlockRef& last, u64 size, u128 payload, std::vector<u64>* words);
  void read_manifest(Bytes state);
  void read_manifest_block(Bytes block);
  void read_entry(Bytes entry);
  void read_table(DecodedTable* table);
  void read_values(const DecodedTable::ValueBlock& value_block, DecodedTable* table);

  const Image& image_;
  const DecodeOptions& options_;
  DecodedImage& out_;
  u64 grid_offset_ = 0;
  std::vector<std::byte> buffer_;  // The block being looked at, where the image has it in pieces.
  std::vector<u64> seen_;          // Tables whose latest record was met. Bit address - 1, as in the bitmaps.
  std::vector<u64> removed_;
};

void Decoder::run() {
  Superblocks superblocks;
  read_copies(image_, &superblocks, &out_);
  const u32 chosen = choose(superblocks, &out_);
  if (chosen == f::copies) return;
  const Bytes copy = superblocks.of(chosen);
  const Bytes state = copy.subspan(f::copy_state, f::state_size);
  out_.cluster = load<u128>(copy, f::copy_cluster);
  out_.sequence = load<u64>(copy, f::copy_sequence);
  out_.op = load<u64>(state, f::state_op);
  out_.checkpoint_id = f::checksum(state);
  out_.storage_size = load<u64>(state, f::state_storage_size);
  if (!read_format(copy)) return;

  read_trailer(
      BlockUse::trailer_acquired, reference(state, f::state_acquired_last, f::state_acquired_address),
      load<u64>(state, f::state_acquired_size), load<u128>(state, f::state_acquired_payload), &out_.acquired);
  read_trailer(
      BlockUse::trailer_released, reference(state, f::state_released_last, f::state_released_address),
      load<u64>(state, f::state_released_size), load<u128>(state, f::state_released_payload), &out_.released);
  if (!options_.tables) return;
  out_.values_read = options_.values;
  read_manifest(state);
  for (DecodedTable& table : out_.tables) read_table(&table);
  std::sort(out_.tables.begin(), out_.tables.end(), [](const DecodedTable& a, const DecodedTable& b) {
    return std::tie(a.tree, a.level, a.key_min, a.index.address) <
           std::tie(b.tree, b.level, b.key_min, b.index.address);
  });
}

bool Decoder::read_format(Bytes copy) {
  const auto field = [copy](u32 offset) { return load<u32>(copy, f::copy_format + offset); };
  out_.format = {.sector_size = field(f::format_sector),
                 .block_size = field(f::format_block),
                 .levels = field(f::format_levels),
                 .growth = field(f::format_growth),
                 .beats = field(f::format_beats),
                 .checkpoint_interval = field(f::format_interval),
                 .batch_values_max = field(f::format_batch),
                 .values_per_block_max = field(f::format_values_per_block)};
  const DecodedFormat& format = out_.format;
  const bool sane = power_of_two(format.sector_size) && power_of_two(format.block_size) &&
                    format.sector_size >= 512 && format.block_size >= format.sector_size &&
                    format.block_size <= 1_MiB && format.growth >= 2 && format.levels >= 1 &&
                    format.levels <= 64;
  if (!sane) {
    violation("the superblock's format options are impossible");
    return false;
  }
  grid_offset_ = (zone_size + format.block_size - 1) / format.block_size * format.block_size;
  out_.blocks_count = image_.size() < grid_offset_ ? 0 : (image_.size() - grid_offset_) / format.block_size;
  buffer_.resize(format.block_size);
  if (options_.memo != nullptr) options_.memo->begin(format.sector_size, format.block_size, out_.cluster);
  return true;
}

std::string Decoder::block_fault(Bytes block, const BlockRef& ref, u8 type) const {
  if (load<u128>(block, 0) != f::checksum(block.first(f::header_size).subspan(f::header_checksum_from))) {
    return "header checksum";
  }
  if (load<u128>(block, 16) != 0) return "header checksum padding";
  const u32 size = load<u32>(block, f::header_block_size);
  if (size < f::header_size || size > block.size()) return "size";
  if (load<u128>(block, f::header_body_checksum) !=
      f::checksum(block.subspan(f::header_size, size - f::header_size))) {
    return "body checksum";
  }
  if (load<u128>(block, f::header_body_checksum + 16) != 0) return "body checksum padding";
  if (load<u128>(block, 0) != ref.checksum) return "another block";
  const u64 sector = out_.format.sector_size;
  const u64 end = (size + sector - 1) / sector * sector;
  if (!f::all_zero(block.subspan(size, end - size))) return "padding";
  // Authentic from here on: what does not fit is a mistake of whoever wrote it.
  if (load<u8>(block, f::header_command) != f::command_block) return "command";
  if (load<u64>(block, f::header_address) != ref.address) return "address";
  if (load<u128>(block, f::header_cluster) != out_.cluster) return "cluster";
  if (load<u8>(block, f::header_type) != type) return "type";
  if (load<u32>(block, f::header_release) != f::release_known) return "release";
  return "";
}

// False if the block cannot be used; then it is damaged. `block` is valid until the next read.
bool Decoder::read(const BlockRef& ref, BlockUse use, u8 type, Bytes* block) {
  out_.blocks.push_back({.ref = ref, .use = use});
  *block = buffer_;
  std::string fault;
  if (ref.address == 0 || ref.address > out_.blocks_count) {
    fault = "address out of range";
  } else {
    const u64 offset = grid_offset_ + (ref.address - 1) * buffer_.size();
    const std::byte* const seen = image_.view(offset, buffer_.size());
    if (seen == nullptr) image_.read(offset, buffer_);
    *block = {seen == nullptr ? buffer_.data() : seen, buffer_.size()};
    const u64 stamp = seen == nullptr ? 0 : image_.stamp(offset, buffer_.size());
    const DecodeMemo::Entry known{.checksum = ref.checksum, .stamp = stamp, .type = type};
    if (options_.memo != nullptr && options_.memo->knows(ref.address, known)) return true;
    fault = block_fault(*block, ref, type);
    if (options_.memo != nullptr && fault.empty()) options_.memo->learn(ref.address, known);
  }
  if (fault.empty()) return true;
  out_.damaged.push_back({.ref = ref, .use = use, .reason = std::move(fault)});
  return false;
}

// EWAH: marker (bit 0 the uniform bit, 31 bits count of uniform words, 32 bits count of literals).
bool decode_bitmap(Bytes stream, std::vector<u64>* words) {
  if (stream.size() % 8 != 0) return false;
  u64 at = 0;
  while (at < stream.size()) {
    const u64 marker = load<u64>(stream, at);
    at += 8;
    const u64 uniform = marker >> 1 & 0x7fffffff;
    const u64 literals = marker >> 32;
    if (words->size() + uniform + literals > bitmap_words_max) return false;
    if (literals > (stream.size() - at) / 8) return false;
    words->insert(words->end(), uniform, (marker & 1) != 0 ? u64_max : 0);
    for (u64 i = 0; i < literals; ++i, at += 8) words->push_back(load<u64>(stream, at));
  }
  while (!words->empty() && words->back() == 0) words->pop_back();
  return true;
}

void Decoder::read_trailer(BlockUse use, const BlockRef& last, u64 size, u128 payload,
                           std::vector<u64>* words) {
  const u64 chunk = out_.format.block_size - f::header_size;
  if (size > std::min(bitmap_words_max * 8, image_.size())) return violation("a trailer is impossibly large");
  std::vector<std::byte> bytes(size);
  BlockRef ref = last;
  for (u64 index = (size + chunk - 1) / chunk; index > 0; --index) {
    Bytes block;
    if (!read(ref, use, f::type_free_set, &block)) return;
    const u64 begin = (index - 1) * chunk;
    const u64 length = std::min(chunk, size - begin);
    if (load<u32>(block, f::header_block_size) != f::header_size + length) {
      return violation(fmt::format("trailer block {} is not as full as it should be", ref.address));
    }
    std::copy_n(block.begin() + f::header_size, length, bytes.begin() + static_cast<std::ptrdiff_t>(begin));
    ref = reference(block, f::header_metadata + f::chain_previous,
                    f::header_metadata + f::chain_previous_address);
  }
  if (size > 0 && (ref.address != 0 || ref.checksum != 0))
    violation("the first trailer block has a predecessor");
  if (f::checksum(bytes) != payload)
    return violation(fmt::format("{}: payload checksum", block_use_name(use)));
  if (!decode_bitmap(bytes, words)) violation(fmt::format("{}: malformed bitmap", block_use_name(use)));
}

// --- manifest and tables

void Decoder::read_manifest(Bytes state) {
  const BlockRef oldest = reference(state, f::state_manifest_oldest, f::state_manifest_oldest_address);
  BlockRef ref = reference(state, f::state_manifest_newest, f::state_manifest_newest_address);
  const u32 count = load<u32>(state, f::state_manifest_blocks);
  if (count > out_.blocks_count) return violation("the manifest log has more blocks than the disk");
  for (u32 i = 0; i < count; ++i) {
    Bytes block;
    if (!read(ref, BlockUse::manifest, f::type_manifest, &block)) return;
    // The oldest block's own predecessor dangles.
    if (i + 1 == count && (ref.address != oldest.address || ref.checksum != oldest.checksum)) {
      violation(fmt::format("the manifest log does not end at block {}", oldest.address));
    }
    ref = reference(block, f::header_metadata + f::chain_previous,
                    f::header_metadata + f::chain_previous_address);
    read_manifest_block(block);
  }
}

void Decoder::read_manifest_block(Bytes block) {
  const u64 address = load<u64>(block, f::header_address);
  const u64 size = load<u32>(block, f::header_block_size);
  const u64 entries = load<u32>(block, f::header_metadata + f::manifest_count);
  if (entries == 0 || size != f::header_size + entries * f::entry_size) {
    return violation(fmt::format("manifest block {}: {} entries in {} bytes", address, entries, size));
  }
  for (u64 i = entries; i > 0; --i)
    read_entry(block.subspan(f::header_size + (i - 1) * f::entry_size, f::entry_size));
}

// The first record met of a table is its latest; a removal hides the older ones, up to the insertion
// that began this life of the address.
void Decoder::read_entry(Bytes entry) {
  const u64 address = load<u64>(entry, f::entry_address);
  const u8 label = load<u8>(entry, f::entry_label);
  const u8 event = label >> 6;
  if (event == 0) return violation(fmt::format("a manifest entry of table {} without an event", address));
  if (address == 0 || address > bitmap_words_max * 64) {
    return violation(fmt::format("a manifest entry of table {}, which cannot be", address));
  }
  if (event == f::event_remove) return set_bit(&removed_, address);
  if (bit_of(removed_, address)) {
    if (event == f::event_insert) unset_bit(&removed_, address);
    return;
  }
  if (bit_of(seen_, address)) return;
  set_bit(&seen_, address);
  DecodedTable table{.tree = load<u16>(entry, f::entry_tree),
                     .level = label & 63U,
                     .key_min = load_key(entry, f::entry_key_min),
                     .key_max = load_key(entry, f::entry_key_max),
                     .index = reference(entry, f::entry_checksum, f::entry_address),
                     .snapshot_min = load<u64>(entry, f::entry_snapshot_min),
                     .value_count = load<u32>(entry, f::entry_value_count),
                     .value_blocks = {},
                     .values = {}};
  if (!tree_known(table.tree)) return violation(fmt::format("table {}: tree {}", address, table.tree));
  if (load<u64>(entry, f::entry_snapshot_max) != u64_max)
    violation(fmt::format("table {}: has ended", address));
  if (table.key_max < table.key_min)
    violation(fmt::format("table {}: greatest key below its least", address));
  out_.tables.push_back(std::move(table));
}

void Decoder::read_table(DecodedTable* table) {
  const u64 address = table->index.address;
  const auto wrong = [&](const char* what) { violation(fmt::format("index block {}: {}", address, what)); };
  Bytes block;
  if (!read(table->index, BlockUse::index, f::type_index, &block)) {
    table->complete = false;
    return;
  }
  const u64 count = load<u32>(block, f::header_metadata + f::index_count);
  const u64 slots = load<u32>(block, f::header_metadata + f::index_slots);
  const u32 key_size = load<u32>(block, f::header_metadata + f::index_key_size);
  if (load<u16>(block, f::header_metadata + f::index_tree) != table->tree) wrong("another tree");
  if (key_size != tree_shapes[table->tree].key_size) return wrong("key size");
  if (load<u64>(block, f::header_snapshot) != table->snapshot_min) wrong("snapshot");
  if (count == 0 || count > slots) return wrong("number of value blocks");
  if (load<u32>(block, f::header_block_size) != f::header_size + slots * (32 + 2 * u64{key_size} + 8)) {
    return wrong("size");
  }
  const u64 mins = f::header_size + slots * 32;
  const u64 maxs = mins + slots * key_size;
  const u64 addresses = maxs + slots * key_size;
  table->value_blocks.reserve(count);
  if (options_.values) table->values.reserve(std::min<u64>(table->value_count, count * block.size()));
  for (u64 i = 0; i < slots; ++i) {
    const DecodedTable::ValueBlock slot{.ref = reference(block, f::header_size + i * 32, addresses + i * 8),
                                        .key_min = load_short_key(block, mins + i * key_size, key_size),
                                        .key_max = load_short_key(block, maxs + i * key_size, key_size)};
    if (load<u128>(block, f::header_size + i * 32 + 16) != 0) wrong("checksum padding");
    if (i < count) {
      if (slot.key_max < slot.key_min) wrong("a block's greatest key below its least");
      if (i > 0 && !(table->value_blocks.back().key_max < slot.key_min)) wrong("value blocks out of order");
      table->value_blocks.push_back(slot);
    } else if (slot.ref.address != 0 || slot.ref.checksum != 0 || slot.key_min != DecodedKey{} ||
               slot.key_max != DecodedKey{}) {
      wrong("an unused slot is not zero");
    }
  }
  if (table->value_blocks.front().key_min != table->key_min ||
      table->value_blocks.back().key_max != table->key_max) {
    wrong("keys differ from the manifest's");
  }
  const std::vector<DecodedTable::ValueBlock>& blocks = table->value_blocks;
  for (const DecodedTable::ValueBlock& value_block : blocks) read_values(value_block, table);
  if (options_.values && table->complete && table->values.size() != table->value_count) {
    wrong("number of values differs from the manifest's");
  }
}

void Decoder::read_values(const DecodedTable::ValueBlock& value_block, DecodedTable* table) {
  if (!options_.values) {
    out_.blocks.push_back({.ref = value_block.ref, .use = BlockUse::value});
    return;
  }
  const u64 address = value_block.ref.address;
  const auto wrong = [&](const char* what) { violation(fmt::format("value block {}: {}", address, what)); };
  Bytes block;
  if (!read(value_block.ref, BlockUse::value, f::type_value, &block)) {
    table->complete = false;
    return;
  }
  const u64 count = load<u32>(block, f::header_metadata + f::value_count);
  const u64 size = load<u32>(block, f::header_metadata + f::value_size);
  if (load<u16>(block, f::header_metadata + f::value_tree) != table->tree) wrong("another tree");
  if (size != tree_shapes[table->tree].value_size) return wrong("value size");
  if (count == 0 || count > load<u32>(block, f::header_metadata + f::value_count_max))
    return wrong("value count");
  if (load<u32>(block, f::header_block_size) != f::header_size + count * size) return wrong("size");
  const std::size_t first = table->values.size();
  for (u64 i = 0; i < count; ++i) {
    const DecodedValue value = load_value(table->tree, block.subspan(f::header_size + i * size, size));
    if (i > 0 && !(table->values.back().key < value.key)) wrong("values out of order");
    table->values.push_back(value);
  }
  if (table->values[first].key != value_block.key_min) wrong("least key differs from the index's");
  if (table->values.back().key != value_block.key_max) wrong("greatest key differs from the index's");
}

}  // namespace

DecodedImage decode_image(const Image& image, const DecodeOptions& options) {
  DecodedImage out;
  Decoder(image, options, &out).run();
  return out;
}

}  // namespace tonearm::sim
