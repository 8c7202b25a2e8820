// A data file with any bytes of its blocks and of its superblock changed, and every checksum right.
//
// No disk fault makes one: it stands for whoever writes data files with other hands, and for a checksum that
// collides. Shares no line with the engine.
#pragma once

#include <vector>

#include "sim/decode/image_decoder.h"
#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

class ForgedFile {
 public:
  // `decoded`: what the image holds, which is intact.
  ForgedFile(const Image& image, const DecodedImage& decoded);

  // Of a place that can be changed: any number, modulo the blocks there are, or this one.
  static constexpr u64 superblock = 0xffff;
  // `width` bytes, modulo what there is.
  void patch(u64 place, u64 offset, u32 width, u64 value);
  // To a field of that width, which lies where such a field may.
  void add(u64 place, u64 offset, u32 width, i64 delta);
  // Exchanges `size` bytes, or copies them from the second place to the first; words, as fields lie.
  struct Where {
    u64 place, offset;
  };
  void copy(Where to, Where from, u32 size, bool exchange);
  // Writes what was changed, and whatever refers to it by its new checksum.
  void seal();

  const Image& image() const { return image_; }

 private:
  struct Block {
    BlockRef ref;
    BlockUse use;
    bool changed = false;
    std::vector<std::byte> bytes;
  };

  void fill_gaps();
  std::vector<std::byte>& bytes_of(u64 place);  // Which are changed from now on.
  u64 offset_of(const Block& block) const { return grid_offset_ + (block.ref.address - 1) * block_size_; }
  void refer(const u128& before, const u128& after);
  void seal_payload(BlockUse use, u32 payload);

  Image image_;
  u64 block_size_;
  u64 grid_offset_;
  std::vector<Block> blocks_;  // Whoever refers to a block stands before it.
  CopyBytes copy_;
};

}  // namespace tonearm::sim
