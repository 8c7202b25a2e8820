#include "sim/decode/image_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "sim/decode/block_fault.h"
#include "sim/decode/disk_format.h"
#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

using f::bitmap_words_max;
using f::Bytes;
using f::load;

constexpr u64 zone_size = u64{f::copies} * f::copy_size;

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

constexpr u64 tombstone_flag = u64{1} << 63;

// Its payload, if the kind has one, is the caller's business for objects.
DecodedValue load_value(const TreeShape& tree, Bytes bytes) {
  const auto word = [bytes](u64 at) { return load<u64>(bytes, at); };
  const auto value = [](DecodedKey key, u64 payload, u64 flagged) {
    return DecodedValue{.key = key, .payload = payload, .tombstone = (flagged & tombstone_flag) != 0};
  };
  switch (tree.kind) {
    case ValueKind::pair: return value({0, word(0) & ~tombstone_flag}, word(8), word(0));
    case ValueKind::index: return value({0, u128{word(0)} << 64 | (word(8) & ~tombstone_flag)}, 0, word(8));
    case ValueKind::id: return value({0, load<u128>(bytes, 0)}, word(16) & ~tombstone_flag, word(16));
    case ValueKind::exists: return value({0, word(0) & ~tombstone_flag}, 0, word(0));
    case ValueKind::wide: return value({load<u128>(bytes, 0), word(16) & ~tombstone_flag}, 0, word(16));
    case ValueKind::object: {
      const u64 timestamp = word(tree.timestamp_at);
      return value({0, timestamp & ~tombstone_flag}, 0, timestamp);
    }
  }
  return {};
}

// What nobody may write: a word that is spare, or an object that is gone and still there.
const char* value_fault(const TreeShape& tree, Bytes bytes, const DecodedValue& value) {
  const bool spare = tree.kind == ValueKind::id || tree.kind == ValueKind::wide;
  if (spare && load<u64>(bytes, 24) != 0) return "a spare word is not zero";
  if (tree.kind != ValueKind::object || !value.tombstone) return nullptr;
  const bool zero = f::all_zero(bytes.first(tree.timestamp_at)) &&
                    f::all_zero(bytes.subspan(tree.timestamp_at + sizeof(u64)));
  return zero ? nullptr : "a tombstone that is not zero";
}

DecodedKey load_short_key(Bytes bytes, u64 offset, u32 key_size) {
  if (key_size == 8) return {0, load<u64>(bytes, offset)};
  if (key_size == 16) return {0, load<u128>(bytes, offset)};
  return load_key(bytes, offset);
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
  const ForestShape& shape() const { return *options_.shape; }
  bool read_format(Bytes copy);
  bool read(const BlockRef& ref, BlockUse use, u8 type, Bytes* block);
  bool read_brought(const BlockRef& ref, u8 type, Bytes* block);
  void read_trailer(BlockUse use, const BlockRef& last, u64 size, u128 payload, std::vector<u64>* words);
  void read_manifest(Bytes state);
  void read_manifest_block(Bytes block);
  void read_entry(Bytes entry);
  void read_tables();
  void read_table(DecodedTable* table);
  void sort_tables();
  void fetch(const BlockRef& ref) const;
  void read_values(const DecodedTable::ValueBlock& value_block, DecodedTable* table);
  void keep_object(Bytes object, DecodedValue* value);

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
  read_tables();
  sort_tables();
  if (options_.values) out_.sort_versions();
}

// The next blocks are fetched while one is read: they lie all over the memory.
void Decoder::read_tables() {
  constexpr std::size_t ahead = 8;
  if (options_.values) {
    u64 words = 0;
    for (const DecodedTable& table : out_.tables) {
      const TreeShape& tree = *shape().find(table.tree);
      if (tree.kind == ValueKind::object) words += u64{table.value_count} * tree.object_size / sizeof(u64);
    }
    out_.objects.reserve(std::min(words, image_.size() / sizeof(u64)));
  }
  for (std::size_t i = 0; i < out_.tables.size(); ++i) {
    if (i + ahead < out_.tables.size()) fetch(out_.tables[i + ahead].index);
    read_table(&out_.tables[i]);
  }
}

// Only what tables are sorted by is moved about, until the order is known.
void Decoder::sort_tables() {
  struct Place {
    u64 tree_and_level;
    DecodedKey key_min;
    u64 address;
    std::size_t index;
  };
  std::vector<Place> places;
  places.reserve(out_.tables.size());
  for (const DecodedTable& table : out_.tables) {
    places.push_back({.tree_and_level = u64{table.tree} << 32 | table.level,
                      .key_min = table.key_min,
                      .address = table.index.address,
                      .index = places.size()});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    if (a.tree_and_level != b.tree_and_level) return a.tree_and_level < b.tree_and_level;
    return std::tie(a.key_min, a.address) < std::tie(b.key_min, b.address);
  });
  std::vector<DecodedTable> sorted;
  sorted.reserve(places.size());
  for (const Place& place : places) sorted.push_back(std::move(out_.tables[place.index]));
  out_.tables = std::move(sorted);
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

// False if the block cannot be used; then it is damaged. `block` is valid until the next read.
bool Decoder::read(const BlockRef& ref, BlockUse use, u8 type, Bytes* block) {
  out_.blocks.push_back({.ref = ref, .use = use});
  std::string fault;
  if (ref.address == 0 || ref.address > out_.blocks_count) {
    fault = "address out of range";
  } else {
    const u64 offset = grid_offset_ + (ref.address - 1) * buffer_.size();
    const std::byte* const seen = image_.view(offset, buffer_.size());
    if (seen == nullptr) image_.read(offset, buffer_);
    *block = {seen == nullptr ? buffer_.data() : seen, buffer_.size()};
    DecodeMemo::Entry known{.checksum = ref.checksum, .type = type};
    if (seen != nullptr) known.stamp = image_.stamp(offset, buffer_.size());
    if (options_.memo != nullptr && options_.memo->knows(ref.address, known)) return true;
    fault = block_fault(*block, ref, type, out_);
    if (options_.memo != nullptr && fault.empty()) options_.memo->learn(ref.address, known);
  }
  if (fault.empty() || read_brought(ref, type, block)) return true;
  out_.damaged.push_back({.ref = ref, .use = use, .reason = std::move(fault)});
  return false;
}

bool Decoder::read_brought(const BlockRef& ref, u8 type, Bytes* block) {
  if (!brought_block(options_.brought, ref, type, out_, &buffer_)) return false;
  *block = buffer_;
  return true;
}

// Into the processor's caches: what read_table() looks at in the index block of a small table.
void Decoder::fetch(const BlockRef& ref) const {
  constexpr u64 line = 64;
  if (ref.address == 0 || ref.address > out_.blocks_count) return;
  const std::byte* const block =
      image_.view(grid_offset_ + (ref.address - 1) * buffer_.size(), buffer_.size());
  if (block == nullptr) return;
  for (u64 at = f::header_block_size / line * line; at < f::header_size + line; at += line) {
    __builtin_prefetch(block + at);
  }
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
  if (!f::decode_bitmap(bytes, words)) violation(fmt::format("{}: malformed bitmap", block_use_name(use)));
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
  if (shape().find(table.tree) == nullptr)
    return violation(fmt::format("table {}: tree {}", address, table.tree));
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
  if (key_size != shape().find(table->tree)->key_size()) return wrong("key size");
  if (load<u64>(block, f::header_snapshot) != table->snapshot_min) wrong("snapshot");
  if (count == 0 || count > slots) return wrong("number of value blocks");
  if (!f::all_zero(block.subspan(f::header_metadata + f::index_reserved, f::index_reserved_size))) {
    wrong("reserved bytes");
  }
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
  if (load<u64>(block, f::header_snapshot) != table->snapshot_min) wrong("snapshot");
  if (size != shape().find(table->tree)->value_size()) return wrong("value size");
  if (count == 0 || count > load<u32>(block, f::header_metadata + f::value_count_max))
    return wrong("value count");
  if (load<u32>(block, f::header_block_size) != f::header_size + count * size) return wrong("size");
  if (!f::all_zero(block.subspan(f::header_metadata + f::value_reserved, f::value_reserved_size))) {
    wrong("reserved bytes");
  }
  const TreeShape& tree = *shape().find(table->tree);
  const std::size_t first = table->values.size();
  for (u64 i = 0; i < count; ++i) {
    const Bytes bytes = block.subspan(f::header_size + i * size, size);
    DecodedValue value = load_value(tree, bytes);
    if (const char* const fault = value_fault(tree, bytes, value)) wrong(fault);
    if (tree.kind == ValueKind::object && !value.tombstone) keep_object(bytes, &value);
    if (i > 0 && !(table->values.back().key < value.key)) wrong("values out of order");
    table->values.push_back(value);
  }
  if (table->values[first].key != value_block.key_min) wrong("least key differs from the index's");
  if (table->values.back().key != value_block.key_max) wrong("greatest key differs from the index's");
}

void Decoder::keep_object(Bytes object, DecodedValue* value) {
  value->payload = object_hash(object);
  value->object = static_cast<u32>(out_.objects.size());
  out_.objects.resize(out_.objects.size() + object.size() / sizeof(u64));
  std::memcpy(out_.objects.data() + value->object, object.data(), object.size());
}

}  // namespace

DecodedImage decode_image(const Image& image, const DecodeOptions& options) {
  DecodedImage out;
  out.shape = options.shape;
  Decoder(image, options, &out).run();
  return out;
}

}  // namespace tonearm::sim
