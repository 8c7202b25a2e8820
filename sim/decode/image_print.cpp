#include "sim/decode/image_print.h"

#include <fmt/format.h>

#include <iterator>

#include "sim/decode/disk_format.h"
#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

void print_superblock(const DecodedImage& decoded, std::string* to) {
  auto out = std::back_inserter(*to);
  for (u32 slot = 0; slot < decoded.copies.size(); ++slot) {
    const DecodedCopy& copy = decoded.copies[slot];
    if (copy.intact) {
      fmt::format_to(out, "superblock slot {}: copy {} sequence {} op {} checksum {}\n", slot, copy.number,
                     copy.sequence, copy.op, f::hex(copy.checksum));
    } else {
      fmt::format_to(out, "superblock slot {}: damaged ({})\n", slot, copy.reason);
    }
  }
  fmt::format_to(out, "outcome: {}\n", decode_outcome_name(decoded.outcome));
  if (decoded.outcome != DecodeOutcome::ok) return;
  const DecodedFormat& format = decoded.format;
  fmt::format_to(out, "checkpoint: op {} sequence {} id {}\n", decoded.op, decoded.sequence,
                 f::hex(decoded.checkpoint_id));
  fmt::format_to(out,
                 "format: sector_size={} block_size={} levels={} growth={} beats={} checkpoint_interval={} "
                 "batch_values_max={} values_per_block_max={}\n",
                 format.sector_size, format.block_size, format.levels, format.growth, format.beats,
                 format.checkpoint_interval, format.batch_values_max, format.values_per_block_max);
}

void print_blocks(const DecodedImage& decoded, std::string* to) {
  auto out = std::back_inserter(*to);
  u64 counts[5] = {};
  for (const DecodedBlock& block : decoded.blocks) ++counts[static_cast<u32>(block.use)];
  fmt::format_to(out, "free set: {} acquired, {} of them released; storage of {} bytes\n",
                 bit_count(decoded.acquired), bit_count(decoded.released), decoded.storage_size);
  fmt::format_to(out, "blocks: {} manifest, {} index, {} value, {} + {} trailer\n", counts[2], counts[3],
                 counts[4], counts[0], counts[1]);
  for (const DecodedBlock& block : decoded.blocks) {
    if (block.use == BlockUse::manifest) {
      fmt::format_to(out, "manifest block {} {}\n", block.ref.address, f::hex(block.ref.checksum));
    }
  }
  for (const DamagedBlock& block : decoded.damaged) {
    fmt::format_to(out, "damaged: {} block {} {}: {}\n", block_use_name(block.use), block.ref.address,
                   f::hex(block.ref.checksum), block.reason);
  }
}

void print_table(const DecodedImage& decoded, const DecodedTable& table, bool values, std::string* to) {
  const TreeShape* const tree = decoded.shape->find(table.tree);
  const auto key_text = [tree](const DecodedKey& key) { return decoded_key_text(tree, key); };
  auto out = std::back_inserter(*to);
  fmt::format_to(out, "  table {}: {}..{} values {} snapshot {} blocks", table.index.address,
                 key_text(table.key_min), key_text(table.key_max), table.value_count, table.snapshot_min);
  for (const DecodedTable::ValueBlock& block : table.value_blocks)
    fmt::format_to(out, " {}", block.ref.address);
  fmt::format_to(out, "{}\n", table.complete ? "" : " (damaged)");
  if (!values) return;
  for (const DecodedTable::ValueBlock& block : table.value_blocks) {
    for (u32 i = 0; i < block.count; ++i) {
      const std::byte* const value = block.values + u64{i} * tree->value_size();
      if (is_tombstone(*tree, value)) {
        fmt::format_to(out, "    {} removed\n", key_text(key_of(*tree, value)));
      } else {
        fmt::format_to(out, "    {} = {}\n", key_text(key_of(*tree, value)), payload_of(*tree, value));
      }
    }
  }
}

bool read_block(const Image& image, const DecodedImage& decoded, u64 address, std::vector<std::byte>* block) {
  const u64 size = decoded.format.block_size;
  if (size == 0 || address == 0) return false;
  const u64 zone = u64{f::copies} * f::copy_size;
  const u64 offset = (zone + size - 1) / size * size + (address - 1) * size;
  if (offset + size > image.size()) return false;
  block->resize(size);
  image.read(offset, *block);
  return true;
}

const char* type_text(u8 type) {
  switch (type) {
    case f::type_free_set: return "free set";
    case f::type_manifest: return "manifest";
    case f::type_index: return "index";
    case f::type_value: return "value";
    default: return "unknown";
  }
}

void print_body(const DecodedImage& decoded, f::Bytes block, u8 type, std::string* to) {
  const auto tree_text = [&decoded](u16 tree) { return decoded.shape->name_of(tree); };
  auto out = std::back_inserter(*to);
  const auto word = [block](u32 offset) { return f::load<u32>(block, f::header_metadata + offset); };
  switch (type) {
    case f::type_index:
      fmt::format_to(out, "  tree {}, {} of {} value blocks, keys of {} bytes\n",
                     tree_text(static_cast<u16>(word(f::index_tree))), word(f::index_count),
                     word(f::index_slots), word(f::index_key_size));
      return;
    case f::type_value:
      fmt::format_to(out, "  tree {}, {} of {} values of {} bytes\n",
                     tree_text(static_cast<u16>(word(f::value_tree))), word(f::value_count),
                     word(f::value_count_max), word(f::value_size));
      return;
    case f::type_free_set:
      fmt::format_to(out, "  after block {}\n",
                     f::load<u64>(block, f::header_metadata + f::chain_previous_address));
      return;
    case f::type_manifest: break;
    default: return;
  }
  const u64 count = word(f::manifest_count);
  fmt::format_to(out, "  after block {}, {} entries\n",
                 f::load<u64>(block, f::header_metadata + f::chain_previous_address), count);
  static constexpr const char* events[] = {"none", "insert", "update", "remove"};
  for (u64 i = 0; i < count && f::header_size + (i + 1) * f::entry_size <= block.size(); ++i) {
    const f::Bytes entry = block.subspan(f::header_size + i * f::entry_size, f::entry_size);
    const u8 label = f::load<u8>(entry, f::entry_label);
    fmt::format_to(out, "  {} tree {} level {} table {} values {}\n", events[label >> 6],
                   tree_text(f::load<u16>(entry, f::entry_tree)), label & 63,
                   f::load<u64>(entry, f::entry_address), f::load<u32>(entry, f::entry_value_count));
  }
}

}  // namespace

std::string print_image(const DecodedImage& decoded, bool tables, bool values) {
  std::string text;
  print_superblock(decoded, &text);
  if (decoded.outcome != DecodeOutcome::ok) return text;
  print_blocks(decoded, &text);
  for (std::size_t i = 0; i < decoded.tables.size(); ++i) {
    const DecodedTable& table = decoded.tables[i];
    const bool first =
        i == 0 || decoded.tables[i - 1].tree != table.tree || decoded.tables[i - 1].level != table.level;
    if (first) {
      u64 count = 0;
      u64 sum = 0;
      for (const DecodedTable& other : decoded.tables) {
        if (other.tree != table.tree || other.level != table.level) continue;
        ++count;
        sum += other.value_count;
      }
      fmt::format_to(std::back_inserter(text), "tree {} level {}: {} tables, {} values\n",
                     decoded.shape->name_of(table.tree), table.level, count, sum);
    }
    if (tables) print_table(decoded, table, values, &text);
  }
  for (const std::string& line : check_image(decoded)) {
    fmt::format_to(std::back_inserter(text), "violation: {}\n", line);
  }
  return text;
}

std::string print_block(const Image& image, const DecodedImage& decoded, u64 address) {
  std::vector<std::byte> block;
  if (!read_block(image, decoded, address, &block))
    return fmt::format("block {} is not on this disk\n", address);
  const f::Bytes bytes = block;
  const u32 size = f::load<u32>(bytes, f::header_block_size);
  const u8 type = f::load<u8>(bytes, f::header_type);
  const u128 header = f::checksum(bytes.first(f::header_size).subspan(f::header_checksum_from));
  const bool header_intact = f::load<u128>(bytes, 0) == header;
  if (!header_intact || size < f::header_size || size > block.size()) {
    return fmt::format("block {}: no intact header\n", address);
  }
  const u128 body = f::checksum(bytes.subspan(f::header_size, size - f::header_size));
  std::string text =
      fmt::format("block {}: {}, {} bytes, checksum {}, body {}, says address {}, snapshot {}\n", address,
                  type_text(type), size, f::hex(header),
                  f::load<u128>(bytes, f::header_body_checksum) == body ? "intact" : "damaged",
                  f::load<u64>(bytes, f::header_address), f::load<u64>(bytes, f::header_snapshot));
  for (const DecodedBlock& known : decoded.blocks) {
    if (known.ref.address != address) continue;
    fmt::format_to(std::back_inserter(text), "  the checkpoint refers to it as {}, {}\n",
                   block_use_name(known.use),
                   known.ref.checksum == header ? "with this checksum" : "with another checksum");
  }
  print_body(decoded, bytes, type, &text);
  return text;
}

std::string print_block_hex(const Image& image, const DecodedImage& decoded, u64 address) {
  std::vector<std::byte> block;
  if (!read_block(image, decoded, address, &block))
    return fmt::format("block {} is not on this disk\n", address);
  std::string text;
  auto out = std::back_inserter(text);
  constexpr std::size_t row = 16;
  for (std::size_t offset = 0; offset < block.size(); offset += row) {
    fmt::format_to(out, "{:06x} ", offset);
    for (std::size_t i = 0; i < row; ++i) fmt::format_to(out, " {:02x}", static_cast<u32>(block[offset + i]));
    text += "  ";
    for (std::size_t i = 0; i < row; ++i) {
      const char letter = static_cast<char>(block[offset + i]);
      text += letter >= ' ' && letter <= '~' ? letter : '.';
    }
    text += '\n';
  }
  return text;
}

}  // namespace tonearm::sim
