// For tests: a data file written by hand, with the engine's structs.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "grid/block.h"
#include "grid/checkpoint_trailer.h"
#include "grid/ewah.h"
#include "sim/decode/image_decoder.h"
#include "storage/superblock.h"
#include "table/schema.h"
#include "tree/manifest_log.h"
#include "tree/table_info.h"

namespace tonearm::sim {

inline constexpr u32 block_size = 1024;
inline constexpr u64 blocks_count = 128;
inline constexpr u128 cluster = 77;
inline constexpr u64 grid_offset = superblock_zone_size;
static_assert(grid_offset % block_size == 0);

struct Pair {
  u64 key;
  u64 value;
  bool tombstone = false;
};

struct Writer {
  PageStore pages;
  Image image{pages, grid_offset + blocks_count* block_size, 512, 1};
  FormatOptions format{.sector_size = 512,
                       .block_size = block_size,
                       .levels = 4,
                       .growth = 2,
                       .beats = 2,
                       .values_per_block_max = 8};
  std::vector<u64> acquired = std::vector<u64>(blocks_count / 64);
  std::vector<u64> released = std::vector<u64>(blocks_count / 64);
  CheckpointState state = checkpoint_state_empty(cluster);
  SuperblockHeader header{};
  u64 next = 1;

  u64 acquire() {
    const u64 address = next++;
    acquired[(address - 1) / 64] |= u64{1} << (address - 1) % 64;
    return address;
  }
  void release(u64 address) { released[(address - 1) / 64] |= u64{1} << (address - 1) % 64; }

  alignas(4096) std::byte buffer[block_size];

  BlockRef write(BlockType type, u64 address, u64 snapshot, u32 size) {
    const Checksum checksum = block_seal(
        buffer, {.type = type, .address = address, .snapshot = snapshot, .size = size, .cluster = cluster},
        format.sector_size);
    const u64 length = (size + 511) / 512 * 512;
    image.write(grid_offset + (address - 1) * block_size, std::span(buffer, length));
    return {.address = address, .checksum = checksum};
  }
  std::byte* begin_block() {
    std::memset(buffer, 0, sizeof buffer);
    return body_of(buffer);
  }

  // A value as it lies in a block, and its key.
  struct Raw {
    Key key;
    std::vector<std::byte> bytes;
  };
  static Raw raw(const Key& key, std::span<const std::byte> bytes) {
    return {.key = key, .bytes = {bytes.begin(), bytes.end()}};
  }

  BlockRef value_block(u16 tree, const std::vector<Raw>& values) {
    std::byte* to = begin_block();
    const u32 size = static_cast<u32>(values.front().bytes.size());
    for (const Raw& value : values) {
      std::memcpy(to, value.bytes.data(), size);
      to += size;
    }
    metadata_of<ValueMetadata>(buffer) = {.value_count_max = format.values_per_block_max,
                                          .value_count = static_cast<u32>(values.size()),
                                          .value_size = size,
                                          .tree_id = tree,
                                          .reserved = {}};
    return write(BlockType::value, acquire(), 5, block_header_size + size * static_cast<u32>(values.size()));
  }

  static Raw value_of(u16 tree, const Pair& pair) {
    u64 words[4] = {};
    const u64 flag = pair.tombstone ? u64{1} << 63 : 0;
    if (tree == 1) words[0] = pair.key | flag, words[1] = pair.value;
    if (tree == 2) words[0] = pair.key, words[1] = pair.value | flag;  // field, timestamp
    if (tree == 3) words[0] = pair.key, words[2] = pair.value | flag;
    const Key key = Key::of(tree == 2 ? u128{pair.key} << 64 | pair.value : u128{pair.key});
    return raw(key, std::as_bytes(std::span(words)).first(tree == 3 ? 32 : 16));
  }

  TableInfo table(u16 tree, u32 level, const std::vector<std::vector<Pair>>& blocks) {
    std::vector<std::vector<Raw>> values;
    for (const std::vector<Pair>& block : blocks) {
      values.emplace_back();
      for (const Pair& pair : block) values.back().push_back(value_of(tree, pair));
    }
    return table(tree, level, tree == 1 ? 8 : 16, values);
  }

  TableInfo table(u16 tree, u32 level, u32 key_size, const std::vector<std::vector<Raw>>& blocks) {
    const u32 slots = 3;
    std::vector<BlockRef> refs;
    u32 values = 0;
    for (const std::vector<Raw>& block : blocks) {
      refs.push_back(value_block(tree, block));
      values += static_cast<u32>(block.size());
    }
    std::byte* body = begin_block();
    for (u32 i = 0; i < refs.size(); ++i) {
      std::memcpy(body + i * 32, &refs[i].checksum, 16);
      std::memcpy(body + slots * 32 + i * key_size, &blocks[i].front().key, key_size);
      std::memcpy(body + slots * (32 + key_size) + i * key_size, &blocks[i].back().key, key_size);
      std::memcpy(body + slots * (32 + 2 * key_size) + i * 8, &refs[i].address, 8);
    }
    metadata_of<IndexMetadata>(buffer) = {.value_block_count = static_cast<u32>(refs.size()),
                                          .value_blocks_max = slots,
                                          .key_size = key_size,
                                          .tree_id = tree,
                                          .reserved = {}};
    const BlockRef index =
        write(BlockType::index, acquire(), 5, block_header_size + slots * (40 + 2 * key_size));
    TableInfo info{};
    info.key_min = blocks.front().front().key;
    info.key_max = blocks.back().back().key;
    info.checksum = index.checksum;
    info.address = index.address;
    info.snapshot_min = 5;
    info.snapshot_max = snapshot_max_live;
    info.value_count = values;
    info.tree_id = tree;
    info.set_label(level, ManifestEvent::insert);
    return info;
  }

  // Appends a block to the log.
  void manifest(const std::vector<TableInfo>& entries) {
    std::byte* body = begin_block();
    for (const TableInfo& entry : entries) {
      std::memcpy(body, &entry, sizeof entry);
      body += sizeof entry;
    }
    metadata_of<ManifestMetadata>(buffer) = {.previous_checksum = state.manifest_newest,
                                             .previous_checksum_padding = 0,
                                             .previous_address = state.manifest_newest_address,
                                             .entry_count = static_cast<u32>(entries.size()),
                                             .reserved = {}};
    const BlockRef ref =
        write(BlockType::manifest, acquire(), 0, block_header_size + 128 * static_cast<u32>(entries.size()));
    state.manifest_newest = ref.checksum;
    state.manifest_newest_address = ref.address;
    if (state.manifest_block_count++ == 0) {
      state.manifest_oldest = ref.checksum;
      state.manifest_oldest_address = ref.address;
    }
  }

  BlockRef trailer(const std::vector<u64>& words, u64* size, Checksum* payload) {
    std::vector<std::byte> bytes(ewah_encode_size_max(words.size()));
    bytes.resize(ewah_encode(words, bytes));
    *size = bytes.size();
    *payload = checksum_of(bytes);
    if (bytes.empty()) return {};
    std::byte* body = begin_block();
    std::memcpy(body, bytes.data(), bytes.size());
    return write(BlockType::free_set, next++, 0, block_header_size + static_cast<u32>(bytes.size()));
  }

  // Trailers, then a superblock one sequence further, in the given slots.
  void checkpoint(u64 op, const std::vector<u32>& slots = {0, 1, 2, 3}) {
    const BlockRef a = trailer(acquired, &state.acquired_size, &state.acquired_payload);
    state.acquired_last = a.checksum;
    state.acquired_last_address = a.address;
    const BlockRef r = trailer(released, &state.released_size, &state.released_payload);
    state.released_last = r.checksum;
    state.released_last_address = r.address;
    superblock(op, slots);
  }
  void superblock(u64 op, const std::vector<u32>& slots) {
    state.op = op;
    const u64 op_words[] = {op, static_cast<u64>(cluster), static_cast<u64>(cluster >> 64)};
    state.op_id = checksum_of(std::as_bytes(std::span(op_words)));
    const bool trailers = state.acquired_size + state.released_size > 0;
    state.storage_size = superblock_zone_size + (trailers ? (next - 1) * block_size : 0);
    state.parent_checkpoint_id = header.sequence == 0 ? 0 : checkpoint_id_of(header.state);
    header.parent = header.sequence == 0 ? 0 : header.checksum;
    header.version = superblock_version;
    header.release_format = superblock_release;
    ++header.sequence;
    header.cluster = cluster;
    header.state = state;
    header.format = format;
    header.byte_order = superblock_byte_order;
    superblock_seal(header);
    write_copies(slots);
  }
  void write_copies(const std::vector<u32>& slots) {
    for (const u32 slot : slots) {
      header.copy = static_cast<u16>(slot);
      image.write(u64{slot} * superblock_copy_size, std::as_bytes(std::span(&header, 1)));
    }
    header.copy = 0;
  }
  void flip(u64 offset) {
    std::byte sector[512];
    const u64 begin = offset / 512 * 512;
    image.read(begin, sector);
    sector[offset - begin] ^= std::byte{1};
    image.write(begin, sector);
  }
};

inline bool mentions(const std::vector<std::string>& lines, std::string_view text) {
  return std::any_of(lines.begin(), lines.end(),
                     [text](const std::string& line) { return line.find(text) != std::string::npos; });
}

}  // namespace tonearm::sim
