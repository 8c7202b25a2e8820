#include "sim/decode/forged_file.h"

namespace tonearm::sim {

namespace f = disk_format;

ForgedFile::ForgedFile(Image& image, const DecodedImage& decoded, u64 blocks_limit)
    : image_(image), decoded_(decoded), blocks_limit_(blocks_limit) {
  const u64 zone = u64{f::copies} * f::copy_size;
  place_.block_size = decoded.format.block_size;
  place_.grid_offset = (zone + place_.block_size - 1) / place_.block_size * place_.block_size;
  place_.blocks_count = decoded.blocks_count;
}

bool ForgedFile::begin() {
  for (u32 i = 0; i < f::copies; ++i) {
    copies_[i].resize(f::copy_size);
    image_.read(u64{i} * f::copy_size, copies_[i]);
    if (!decoded_.copies[i].intact || decoded_.copies[i].sequence != decoded_.sequence) return false;
  }
  return true;
}

std::vector<std::byte> ForgedFile::read(u64 address) const {
  std::vector<std::byte> bytes(place_.block_size);
  image_.read(offset_of(address), bytes);
  return bytes;
}

void ForgedFile::write(u64 address, const std::vector<std::byte>& block) {
  const u64 sector = decoded_.format.sector_size;
  const u64 size = (f::load<u32>(block, f::header_block_size) + sector - 1) / sector * sector;
  image_.write(offset_of(address), std::span(block).first(size));
}

void ForgedFile::write_copies() {
  for (u32 i = 0; i < f::copies; ++i) {
    seal_copy(copies_[i], true);
    image_.write(u64{i} * f::copy_size, copies_[i]);
  }
}

}  // namespace tonearm::sim
