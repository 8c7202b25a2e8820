// The image of a data file and the copies of its superblock, to be changed: what forgeries have in common.
#pragma once

#include <array>
#include <vector>

#include "sim/decode/manifest_chain.h"
#include "sim/decode/superblock_copies.h"

namespace tonearm::sim {

class ForgedFile {
 public:
  // `blocks_limit`: of which the engine that is to open it is given so many.
  ForgedFile(Image& image, const DecodedImage& decoded, u64 blocks_limit);

  bool begin();  // False: the copies differ.
  const Image& image() const { return image_; }
  const DecodedImage& decoded() const { return decoded_; }
  const ManifestPlace& place() const { return place_; }
  u64 blocks_limit() const { return blocks_limit_; }

  std::vector<std::byte> read(u64 address) const;
  void write(u64 address, const std::vector<std::byte>& block);  // As many sectors as its header says.

  // Of the checkpoint state.
  template <class T>
  T state(u32 offset) const {
    return disk_format::load<T>(copies_[0], disk_format::copy_state + offset);
  }
  template <class T>
  void set_state(u32 offset, T value) {
    for (CopyBytes& copy : copies_) store<T>(copy, disk_format::copy_state + offset, value);
  }
  BlockRef state_ref(u32 checksum, u32 address) const {
    return {.address = state<u64>(address), .checksum = state<u128>(checksum)};
  }
  void write_copies();

 private:
  u64 offset_of(u64 address) const { return place_.grid_offset + (address - 1) * place_.block_size; }

  Image& image_;
  const DecodedImage& decoded_;
  u64 blocks_limit_;
  ManifestPlace place_;
  std::array<CopyBytes, disk_format::copies> copies_;
};

}  // namespace tonearm::sim
