#include "fuzz/forged_file.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "sim/decode/manifest_chain.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr u64 checksum_alignment = 16;  // In everything that holds one.

bool replace(std::vector<std::byte>& bytes, const u128& before, const u128& after) {
  bool found = false;
  for (u64 at = checksum_alignment; at + sizeof(before) <= bytes.size(); at += checksum_alignment) {
    if (std::memcmp(bytes.data() + at, &before, sizeof(before)) != 0) continue;
    std::memcpy(bytes.data() + at, &after, sizeof(after));
    found = true;
  }
  return found;
}

}  // namespace

ForgedFile::ForgedFile(const Image& image, const DecodedImage& decoded)
    : image_(image), block_size_(decoded.format.block_size) {
  ASSERT(decoded.outcome == DecodeOutcome::ok);
  ASSERT(decoded.damaged.empty());
  const u64 zone = u64{f::copies} * f::copy_size;
  grid_offset_ = (zone + block_size_ - 1) / block_size_ * block_size_;
  for (const DecodedBlock& block : decoded.blocks) {
    blocks_.push_back({.ref = block.ref, .use = block.use, .bytes = std::vector<std::byte>(block_size_)});
    image_.read(offset_of(blocks_.back()), blocks_.back().bytes);
  }
  copy_.resize(f::copy_size);
  image_.read(0, copy_);
  fill_gaps();
}

// A reference may lead to a block that was never written, which no run reads and the disk would not allow.
void ForgedFile::fill_gaps() {
  const std::vector<std::byte> zeros(block_size_);
  for (u64 at = grid_offset_; at + block_size_ <= image_.size(); at += block_size_) {
    if (!image_.written_any(at, block_size_)) image_.write(at, zeros);
  }
}

std::vector<std::byte>& ForgedFile::bytes_of(u64 place) {
  if (place == superblock) return copy_;
  Block& block = blocks_[place % blocks_.size()];
  block.changed = true;
  return block.bytes;
}

void ForgedFile::patch(u64 place, u64 offset, u32 width, u64 value) {
  ASSERT(width >= 1 && width <= sizeof(value));
  std::vector<std::byte>& bytes = bytes_of(place);
  std::memcpy(bytes.data() + offset % (bytes.size() - width + 1), &value, width);
}

void ForgedFile::add(u64 place, u64 offset, u32 width, i64 delta) {
  ASSERT(width >= 1 && width <= sizeof(u64));
  std::vector<std::byte>& bytes = bytes_of(place);
  std::byte* const field = bytes.data() + offset % bytes.size() / width * width;
  u64 value = 0;
  std::memcpy(&value, field, width);
  value += static_cast<u64>(delta);
  std::memcpy(field, &value, width);
}

void ForgedFile::copy(Where to, Where from, u32 size, bool exchange) {
  constexpr u64 word = 8;
  ASSERT(size % word == 0 && size >= word);
  const auto field = [&](const Where& where) {
    std::vector<std::byte>& bytes = bytes_of(where.place);
    return bytes.data() + where.offset % (bytes.size() - size + 1) / word * word;
  };
  std::byte* const target = field(to);
  std::byte* const source = field(from);
  if (!exchange) {
    std::memmove(target, source, size);
  } else if (target + size <= source || source + size <= target) {
    std::swap_ranges(target, target + size, source);
  }
}

// Whoever holds the old checksum holds the new one now. (A patch may have overwritten it: then it refers to
// a block that is not there.)
void ForgedFile::refer(const u128& before, const u128& after) {
  for (Block& block : blocks_) {
    if (replace(block.bytes, before, after)) block.changed = true;
  }
  replace(copy_, before, after);
}

void ForgedFile::seal() {
  seal_payload(BlockUse::trailer_acquired, f::state_acquired_payload);
  seal_payload(BlockUse::trailer_released, f::state_released_payload);
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    Block& block = blocks_[i];
    if (!block.changed) continue;
    const u128 checksum = seal_manifest_block(block.bytes);
    image_.write(offset_of(block), block.bytes);
    if (checksum != block.ref.checksum) refer(block.ref.checksum, checksum);
  }
  for (u32 slot = 0; slot < f::copies; ++slot) {
    store(copy_, f::copy_number, static_cast<u16>(slot));
    seal_copy(copy_, true);
    image_.write(u64{slot} * f::copy_size, copy_);
  }
}

// What all blocks of a trailer hold has a checksum of its own.
void ForgedFile::seal_payload(BlockUse use, u32 payload) {
  std::vector<std::byte> stream;
  bool changed = false;
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    const Block& block = blocks_[i];
    if (block.use != use) continue;
    changed = changed || block.changed;
    const u64 size =
        std::clamp<u64>(f::load<u32>(block.bytes, f::header_block_size), f::header_size, block_size_);
    stream.insert(stream.end(), block.bytes.begin() + f::header_size,
                  block.bytes.begin() + static_cast<std::ptrdiff_t>(size));
  }
  if (changed) store(copy_, f::copy_state + payload, f::checksum(stream));
}

}  // namespace tonearm::sim
