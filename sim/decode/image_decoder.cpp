#include "sim/decode/image_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/decode/block_fault.h"
#include "sim/decode/disk_format.h"
#include "sim/decode/index_slots.h"
#include "sim/decode/superblock_copies.h"
#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

using f::bitmap_words_max;
using f::Bytes;
using f::load;

constexpr u64 zone_size = u64{f::copies} * f::copy_size;

bool power_of_two(u64 value) { return value != 0 && (value & (value - 1)) == 0; }

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
  // With values `image` is one that the decoded keeps.
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
  Bytes lying_at(const BlockRef& ref) const;
  static void fetch(Bytes bytes);
  void fetch_header(const BlockRef& ref) const;
  void fetch_slots(const BlockRef& ref) const;
  void check_slots(const IndexSlots& slots, u64 used, u64 address);
  bool read_values(const DecodedTable& table, DecodedTable::ValueBlock* value_block);
  void check_values(const TreeShape& tree, Bytes block, u64 count, u64 address);
  template <class Check>
  void once(u64 address, Check&& check);
  const std::byte* keep(Bytes block);

  const Image& image_;
  const DecodeOptions& options_;
  DecodedImage& out_;
  u64 grid_offset_ = 0;
  std::vector<std::byte> buffer_;  // The block being looked at, where the image has it in pieces.
  DecodeMemo::Entry known_;        // The block being looked at.
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
  out_.op_id = load<u128>(state, f::state_op_id);
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
  if (options_.values) out_.merge_levels();
}

void Decoder::read_tables() {
  constexpr std::size_t ahead = 8;
  const std::size_t count = out_.tables.size();
  std::vector<std::size_t> begins;
  begins.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + 2 * ahead < count) fetch_header(out_.tables[i + 2 * ahead].index);
    if (i + ahead < count) fetch_slots(out_.tables[i + ahead].index);
    begins.push_back(out_.value_blocks.size());
    read_table(&out_.tables[i]);
  }
  std::span<const DecodedTable::ValueBlock> left = out_.value_blocks;
  for (std::size_t i = count; i-- > 0;) {
    out_.tables[i].value_blocks = left.subspan(begins[i]);
    left = left.first(begins[i]);
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
    if (a.key_min.first != b.key_min.first) return a.key_min.first < b.key_min.first;
    if (a.key_min.second != b.key_min.second) return a.key_min.second < b.key_min.second;
    return a.address < b.address;
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
  grid_offset_ = (zone_size + format.block_size - 1) / format.block_size * format.block_size + options_.side;
  out_.blocks_count = image_.size() < grid_offset_ ? 0 : (image_.size() - grid_offset_) / format.block_size;
  buffer_.resize(format.block_size);
  if (options_.memo != nullptr)
    options_.memo->begin(format.sector_size, format.block_size, out_.cluster, &shape());
  return true;
}

// False if the block cannot be used; then it is damaged. `block` is valid until the next read.
bool Decoder::read(const BlockRef& ref, BlockUse use, u8 type, Bytes* block) {
  out_.blocks.push_back({.ref = ref, .use = use});
  std::string fault;
  known_ = {};
  if (ref.address == 0 || ref.address > out_.blocks_count) {
    fault = "address out of range";
  } else {
    const u64 offset = grid_offset_ + (ref.address - 1) * buffer_.size();
    const std::byte* const seen = image_.view(offset, buffer_.size());
    if (seen == nullptr) image_.read(offset, buffer_);
    *block = {seen == nullptr ? buffer_.data() : seen, buffer_.size()};
    known_ = {.checksum = ref.checksum, .type = type};
    if (seen != nullptr) known_.stamp = image_.stamp(offset, buffer_.size());
    if (options_.memo != nullptr && options_.memo->knows(ref.address, known_)) return true;
    fault = block_fault(*block, ref, type, out_);
    if (options_.memo != nullptr && fault.empty()) options_.memo->learn(ref.address, known_);
  }
  if (fault.empty()) return true;
  known_ = {};
  if (read_brought(ref, type, block)) return true;
  out_.damaged.push_back({.ref = ref, .use = use, .reason = std::move(fault)});
  return false;
}

bool Decoder::read_brought(const BlockRef& ref, u8 type, Bytes* block) {
  if (!brought_block(options_.brought, ref, type, out_, &buffer_)) return false;
  *block = buffer_;
  return true;
}

// Blocks lie all over the memory: what will be looked at of the next ones is fetched into the processor's
// caches. Of those that lie in pieces nothing is.
Bytes Decoder::lying_at(const BlockRef& ref) const {
  if (ref.address == 0 || ref.address > out_.blocks_count) return {};
  const std::byte* const block =
      image_.view(grid_offset_ + (ref.address - 1) * buffer_.size(), buffer_.size());
  return block == nullptr ? Bytes{} : Bytes{block, buffer_.size()};
}

void Decoder::fetch(Bytes bytes) {
  constexpr u64 line = 64;
  for (u64 at = 0; at < bytes.size(); at += line) __builtin_prefetch(bytes.data() + at);
}

void Decoder::fetch_header(const BlockRef& ref) const {
  if (options_.memo != nullptr) options_.memo->fetch(ref.address);
  const Bytes block = lying_at(ref);
  if (!block.empty()) fetch(block.subspan(f::header_cluster, f::header_size - f::header_cluster + 64));
}

// Of an index block whose header is there.
void Decoder::fetch_slots(const BlockRef& ref) const {
  const Bytes block = lying_at(ref);
  if (block.empty()) return;
  const IndexSlots slots = slots_of(block);
  const u64 used = load<u32>(block, f::header_metadata + f::index_count);
  if (used > slots.count || slots.block_size() > block.size()) return;
  fetch(block.subspan(slots.checksum_at(0), used * 32));
  fetch(block.subspan(slots.min_at(0), used * slots.key_size));
  fetch(block.subspan(slots.max_at(0), used * slots.key_size));
  fetch(block.subspan(slots.address_at(0), used * 8));
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
                     .value_blocks = {}};
  if (shape().find(table.tree) == nullptr)
    return violation(fmt::format("table {}: tree {}", address, table.tree));
  if (load<u64>(entry, f::entry_snapshot_max) != u64_max)
    violation(fmt::format("table {}: has ended", address));
  if (table.key_max < table.key_min)
    violation(fmt::format("table {}: greatest key below its least", address));
  out_.tables.push_back(std::move(table));
}

// What a block says to itself only: not looked at again where it made sense.
template <class Check>
void Decoder::once(u64 address, Check&& check) {
  if (options_.memo != nullptr && options_.memo->knows_sensible(address, known_)) return;
  const std::size_t before = out_.violations.size();
  check();
  const bool sensible = out_.violations.size() == before;
  if (options_.memo != nullptr && sensible) options_.memo->learn_sensible(address, known_);
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
  const IndexSlots slots = slots_of(block);
  if (load<u16>(block, f::header_metadata + f::index_tree) != table->tree) wrong("another tree");
  if (slots.key_size != shape().find(table->tree)->key_size()) return wrong("key size");
  if (load<u64>(block, f::header_snapshot) != table->snapshot_min) wrong("snapshot");
  if (count == 0 || count > slots.count) return wrong("number of value blocks");
  if (load<u32>(block, f::header_block_size) != slots.block_size()) return wrong("size");
  once(address, [&] { check_slots(slots, count, address); });
  const std::size_t first = out_.value_blocks.size();
  out_.value_blocks.resize(first + count);
  for (u64 i = 0; i < count; ++i) out_.value_blocks[first + i] = slots.at(i);
  if (out_.value_blocks[first].key_min != table->key_min ||
      out_.value_blocks.back().key_max != table->key_max) {
    wrong("keys differ from the manifest's");
  }
  u64 values = 0;
  for (std::size_t i = first; options_.values && i < out_.value_blocks.size(); ++i) {
    fetch_header(out_.value_blocks[i].ref);
  }
  for (std::size_t i = first; i < out_.value_blocks.size(); ++i) {
    if (!read_values(*table, &out_.value_blocks[i])) table->complete = false;
    values += out_.value_blocks[i].count;
  }
  if (options_.values && table->complete && values != table->value_count) {
    wrong("number of values differs from the manifest's");
  }
}

void Decoder::check_slots(const IndexSlots& slots, u64 used, u64 address) {
  const auto wrong = [&](const char* what) { violation(fmt::format("index block {}: {}", address, what)); };
  if (!f::all_zero(slots.block.subspan(f::header_metadata + f::index_reserved, f::index_reserved_size))) {
    wrong("reserved bytes");
  }
  DecodedKey before;
  for (u64 i = 0; i < used; ++i) {
    const DecodedTable::ValueBlock slot = slots.at(i);
    if (load<u128>(slots.block, slots.checksum_at(i) + 16) != 0) wrong("checksum padding");
    if (slot.key_max < slot.key_min) wrong("a block's greatest key below its least");
    if (i > 0 && !(before < slot.key_min)) wrong("value blocks out of order");
    before = slot.key_max;
  }
  const auto unused = [&](u64 begin, u64 end) {
    return f::all_zero(slots.block.subspan(begin, end - begin));
  };
  const u64 end = slots.count;
  const bool zero = unused(slots.checksum_at(used), slots.checksum_at(end)) &&
                    unused(slots.min_at(used), slots.min_at(end)) &&
                    unused(slots.max_at(used), slots.max_at(end)) &&
                    unused(slots.address_at(used), slots.address_at(end));
  if (!zero) wrong("an unused slot is not zero");
}

// False if the block cannot be used.
bool Decoder::read_values(const DecodedTable& table, DecodedTable::ValueBlock* value_block) {
  if (!options_.values) {
    out_.blocks.push_back({.ref = value_block->ref, .use = BlockUse::value});
    return true;
  }
  const u64 address = value_block->ref.address;
  const auto wrong = [&](const char* what) { violation(fmt::format("value block {}: {}", address, what)); };
  Bytes block;
  if (!read(value_block->ref, BlockUse::value, f::type_value, &block)) return false;
  const TreeShape& tree = *shape().find(table.tree);
  const u64 count = load<u32>(block, f::header_metadata + f::value_count);
  const u64 size = load<u32>(block, f::header_metadata + f::value_size);
  const bool of_tree = load<u16>(block, f::header_metadata + f::value_tree) == table.tree;
  if (!of_tree) wrong("another tree");
  if (load<u64>(block, f::header_snapshot) != table.snapshot_min) wrong("snapshot");
  if (size != tree.value_size()) return wrong("value size"), true;
  const u64 count_max = load<u32>(block, f::header_metadata + f::value_count_max);
  if (count_max != out_.format.values_max(size)) wrong("greatest value count");
  if (count == 0 || count > count_max) return wrong("value count"), true;
  if (load<u32>(block, f::header_block_size) != f::header_size + count * size) return wrong("size"), true;
  const auto check = [&] { check_values(tree, block, count, address); };
  of_tree ? once(address, check) : check();  // Of another tree's values nothing is known.
  const std::byte* const values = keep(block) + f::header_size;
  value_block->values = values;
  value_block->count = static_cast<u32>(count);
  if (key_of(tree, values) != value_block->key_min) wrong("least key differs from the index's");
  if (key_of(tree, values + (count - 1) * size) != value_block->key_max)
    wrong("greatest key differs from the index's");
  return true;
}

void Decoder::check_values(const TreeShape& tree, Bytes block, u64 count, u64 address) {
  const auto wrong = [&](const char* what) { violation(fmt::format("value block {}: {}", address, what)); };
  if (!f::all_zero(block.subspan(f::header_metadata + f::value_reserved, f::value_reserved_size))) {
    wrong("reserved bytes");
  }
  const u64 size = tree.value_size();
  DecodedKey before;
  for (u64 i = 0; i < count; ++i) {
    const Bytes value = block.subspan(f::header_size + i * size, size);
    const DecodedKey key = key_of(tree, value.data());
    if (const char* const fault = value_fault(tree, value)) wrong(fault);
    if (i > 0 && !(before < key)) wrong("values out of order");
    before = key;
  }
}

// Where its bytes stay what they are as long as what is decoded.
const std::byte* Decoder::keep(Bytes block) {
  if (block.data() != buffer_.data()) return block.data();
  out_.pieced.push_back(std::make_unique<std::byte[]>(block.size()));
  std::copy(block.begin(), block.end(), out_.pieced.back().get());
  return out_.pieced.back().get();
}

}  // namespace

DecodedImage decode_image(const Image& image, const DecodeOptions& options) {
  DecodedImage out;
  decode_image(image, options, &out);
  return out;
}

void decode_image(const Image& image, const DecodeOptions& options, DecodedImage* out) {
  out->clear();
  out->shape = options.shape;
  if (options.values) out->image = std::make_unique<const Image>(image);
  Decoder(options.values ? *out->image : image, options, out).run();
}

}  // namespace tonearm::sim
