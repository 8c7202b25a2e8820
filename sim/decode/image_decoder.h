// Ground truth: what lies on the disk, read without a line of the engine.
//
// Which superblocks have a quorum, what the checkpoint reaches, which of those blocks are damaged, what
// the trees hold according to it. From it follow the verdict on a failed open, the set of blocks that
// nobody may overwrite, and the structural oracle: check_image().
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "sim/decode/disk_format.h"
#include "sim/decode/forest_shape.h"
#include "sim/disk/fault.h"
#include "sim/disk/image.h"

namespace tonearm::sim {

enum class DecodeOutcome : u8 {
  ok,  // A checkpoint was found. Blocks of it may be damaged: see `damaged`.
  not_found,
  quorum_lost,
  fork,
  parent_not_connected,
  byte_order,
  release_unknown,
};
const char* decode_outcome_name(DecodeOutcome outcome);

struct DecodedCopy {
  bool intact = false;
  std::string reason;  // Why not.
  u16 number = 0;
  u64 sequence = 0;
  u64 op = 0;
  u128 checksum = 0;
};

struct BlockRef {
  u64 address = 0;
  u128 checksum = 0;
};

enum class BlockUse : u8 { trailer_acquired, trailer_released, manifest, index, value };
const char* block_use_name(BlockUse use);

struct DecodedBlock {
  BlockRef ref;
  BlockUse use;
};

struct DamagedBlock {
  BlockRef ref;
  BlockUse use;
  std::string reason;
};

// A value among the others of its key, each of another level.
struct DecodedVersion {
  const std::byte* value;
  u32 level;
  bool newest;
};

struct DecodedTable {
  u16 tree = 0;
  u32 level = 0;
  DecodedKey key_min;
  DecodedKey key_max;
  BlockRef index;
  u64 snapshot_min = 0;
  u32 value_count = 0;
  struct ValueBlock {
    BlockRef ref;
    DecodedKey key_min;
    DecodedKey key_max;
    // Only with DecodeOptions::values, and of a block that makes sense: one value behind the other.
    const std::byte* values = nullptr;
    u32 count = 0;
  };
  std::span<const ValueBlock> value_blocks;  // Empty if the index block is damaged.
  bool complete = true;                      // No block of it is damaged.
};

// Blocks that were found intact, and with which bytes: as long as the page of such a block has the stamp
// it had then (see image.h), its checksums are right and are not computed again. What a block says is
// read again each time; but what it says to itself only (its values are in order, its spare bytes are
// zero), and is found to make sense, needs no second look either.
// To be handed to one decode_image() after another, of any images of one store.
class DecodeMemo {
 public:
  struct Entry {
    u128 checksum = 0;
    u64 stamp = 0;  // 0: nothing is known.
    u8 type = 0;

    friend bool operator==(const Entry&, const Entry&) = default;
  };

  // Forgets everything if it was learned of blocks of another size or data file, or of other trees.
  void begin(u32 sector_size, u32 block_size, u128 cluster, const ForestShape* shape) {
    const bool same =
        sector_size == sector_size_ && block_size == block_size_ && cluster == cluster_ && shape == shape_;
    if (!same) entries_.clear();
    sector_size_ = sector_size;
    block_size_ = block_size;
    cluster_ = cluster;
    shape_ = shape;
  }
  // Brings what is known of a block into the processor's caches.
  void fetch(u64 address) const {
    if (address >= entries_.size()) return;
    __builtin_prefetch(&entries_[address]);
    __builtin_prefetch(&entries_[address].sensible);
  }
  bool knows(u64 address, const Entry& block) const {
    return block.stamp != 0 && address < entries_.size() && entries_[address].block == block;
  }
  void learn(u64 address, const Entry& block) {
    if (block.stamp == 0) return;
    if (address >= entries_.size()) entries_.resize(address + 1);
    entries_[address] = {.block = block, .sensible = false};
  }
  bool knows_sensible(u64 address, const Entry& block) const {
    return knows(address, block) && entries_[address].sensible;
  }
  void learn_sensible(u64 address, const Entry& block) {
    if (knows(address, block)) entries_[address].sensible = true;
  }

 private:
  struct Known {
    Entry block;
    bool sensible = false;
  };
  std::vector<Known> entries_;  // By address.
  u32 sector_size_ = 0;
  u32 block_size_ = 0;
  u128 cluster_ = 0;
  const ForestShape* shape_ = nullptr;
};

struct DecodeOptions {
  bool values = false;                              // Read the value blocks too.
  bool tables = true;                               // False: superblock and trailers only.
  const ForestShape* shape = &three_trees_shape();  // Must outlive what is decoded.
  DecodeMemo* memo = nullptr;                       // Null: nothing is known before.
  std::span<const Brought> brought;                 // Taken where the image's own block cannot be used.
  u64 side = 0;  // Bytes from the first side of the grid to the one that is read.
};

struct DecodedFormat {
  u32 sector_size = 0, block_size = 0, levels = 0, growth = 0, beats = 0;
  u32 checkpoint_interval = 0, batch_values_max = 0, values_per_block_max = 0;

  // Of a value block.
  u64 values_max(u64 value_size) const {
    const u64 fit = (block_size - disk_format::header_size) / value_size;
    return values_per_block_max != 0 && values_per_block_max < fit ? values_per_block_max : fit;
  }
};

struct DecodedImage {
  DecodedImage() = default;
  DecodedImage(DecodedImage&&) = default;  // No copies: it points into itself.
  DecodedImage& operator=(DecodedImage&&) = default;

  DecodeOutcome outcome = DecodeOutcome::not_found;
  std::array<DecodedCopy, 4> copies;
  DecodedFormat format;
  u128 cluster = 0;
  u64 sequence = 0;
  u64 op = 0;  // C.
  u128 op_id = 0;
  u128 checkpoint_id = 0;
  u64 storage_size = 0;
  u64 blocks_count = 0;  // That the image has room for.
  bool values_read = false;
  const ForestShape* shape = nullptr;

  // Bit address - 1, as the trailers have them; no zero words at the end.
  std::vector<u64> acquired;
  std::vector<u64> released;

  std::vector<DecodedBlock> blocks;   // Everything reachable, trailers included, in order of discovery.
  std::vector<DamagedBlock> damaged;  // Those that cannot be read: the set D.
  std::vector<DecodedTable> tables;   // By tree, level, key_min.
  std::vector<DecodedTable::ValueBlock> value_blocks;  // Of one table after the other.
  std::vector<std::string> violations;                 // Intact bytes that make no sense.

  void clear();
  bool free_set_known() const;  // Both trailers are intact.
  bool manifest_known() const;  // All of the log is.
  // Blocks of the durable checkpoint: for SimStorage::protect().
  std::vector<u64> protected_words() const;

  // --- with DecodeOptions::values

  // The newest version of each key of the tree, without tombstones, ascending: what the model must
  // hold at op C.
  std::span<const std::byte* const> newest(u16 tree) const;
  // Of a secondary index, all versions of the keys whose versions do not alternate down to a put: by key,
  // then from the newest to the oldest.
  std::span<const DecodedVersion> odd_versions(u16 tree) const;
  void merge_levels();   // From `tables`, which are in order.
  void forget_values();  // Keeps what is known without DecodeOptions::values.

  // What lies where a value is: pages of this image, shared with the one that was decoded, or, where a block
  // lies in pieces, a copy of it.
  std::unique_ptr<const Image> image;
  std::vector<std::unique_ptr<std::byte[]>> pieced;

 private:
  struct Merged {  // Of the tree at this place of the shape, where the ranges of it end.
    std::size_t newest_end = 0;
    std::size_t versions_end = 0;
  };
  std::vector<Merged> merged_;
  std::vector<const std::byte*> newest_;
  std::vector<DecodedVersion> versions_;
};

DecodedImage decode_image(const Image& image, const DecodeOptions& options = {});
// In place of another one, whose memory is used again.
void decode_image(const Image& image, const DecodeOptions& options, DecodedImage* out);

// The invariants of the structure (class `structure`); one line each, empty if all is well:
//   acquired minus released are exactly the reachable blocks, each reached once, trailers apart;
//   no level holds more than growth^(level+1) tables; the tables of a level are disjoint;
//   with values: versions of a key of a secondary index alternate, the deepest is a put; and of each
//   groove the ids and index entries are exactly those that its objects must have (groove_check.cpp).
std::vector<std::string> check_image(const DecodedImage& decoded);

// Bit address - 1.
bool bit_of(const std::vector<u64>& words, u64 address);
void set_bit(std::vector<u64>* words, u64 address);
void unset_bit(std::vector<u64>* words, u64 address);  // Of one that is set.
u64 bit_count(const std::vector<u64>& words);

}  // namespace tonearm::sim
