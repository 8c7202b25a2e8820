#include "sim/decode/image_compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "sim/decode/disk_format.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

u64 block_offset(const DecodedImage& decoded, u64 address) {
  const u64 size = decoded.format.block_size;
  const u64 zone = u64{f::copies} * f::copy_size;
  return (zone + size - 1) / size * size + (address - 1) * size;
}

std::string compare_sets(const DecodedImage& a, const DecodedImage& b) {
  if (a.outcome != DecodeOutcome::ok || b.outcome != DecodeOutcome::ok)
    return fmt::format("{} and {}", decode_outcome_name(a.outcome), decode_outcome_name(b.outcome));
  if (a.op != b.op) return fmt::format("checkpoints {} and {}", a.op, b.op);
  if (a.format.block_size != b.format.block_size) return "the block sizes differ";
  if (a.acquired != b.acquired) return "other blocks are acquired";
  if (a.released != b.released) return "other blocks are released";
  if (a.blocks.size() != b.blocks.size())
    return fmt::format("{} and {} blocks are reachable", a.blocks.size(), b.blocks.size());
  return {};
}

}  // namespace

BlockComparison compare_blocks(const Image& a, const Image& b, const ForestShape& shape) {
  const DecodedImage first = decode_image(a, {.shape = &shape});
  const DecodedImage second = decode_image(b, {.shape = &shape});
  BlockComparison result;
  result.difference = compare_sets(first, second);
  if (!result.difference.empty()) return result;
  std::vector<std::byte> bytes(first.format.block_size);
  std::vector<std::byte> others(first.format.block_size);
  for (std::size_t i = 0; i < first.blocks.size(); ++i) {
    const DecodedBlock& block = first.blocks[i];
    const u64 address = block.ref.address;
    if (second.blocks[i].ref.address != address) {
      result.difference = fmt::format("a {} block is at {} and at {}", block_use_name(block.use), address,
                                      second.blocks[i].ref.address);
      return result;
    }
    a.read(block_offset(first, address), bytes);
    b.read(block_offset(second, address), others);
    const u64 size = std::min<u64>(f::load<u32>(bytes, f::header_block_size), bytes.size());
    ++result.count;
    const auto [at, other] =
        std::mismatch(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), others.begin());
    if (at == bytes.begin() + static_cast<std::ptrdiff_t>(size)) continue;
    result.difference = fmt::format("{} block at {} differs at byte {}", block_use_name(block.use), address,
                                    at - bytes.begin());
    return result;
  }
  return result;
}

const DecodedBlock* SidesComparison::first_unlike(const Image& image, const DecodedImage& decoded,
                                                  u64 distance, const std::set<u64>& but) {
  ASSERT(decoded.outcome == DecodeOutcome::ok);
  ASSERT(distance > 0);
  const u64 size = decoded.format.block_size;
  first_.resize(size);
  second_.resize(size);
  for (const DecodedBlock& block : decoded.blocks) {
    const u64 address = block.ref.address;
    if (but.contains(address)) continue;
    if (address >= equal_.size()) equal_.resize(address + 1);
    const u64 offset = block_offset(decoded, address);
    const std::pair<u64, u64> stamps{image.stamp(offset, size), image.stamp(offset + distance, size)};
    if (stamps.first != 0 && stamps.second != 0 && equal_[address] == stamps) continue;
    equal_[address] = stamps;
    image.read(offset, first_);
    image.read(offset + distance, second_);
    ++compared_;
    const u64 written = std::min<u64>(f::load<u32>(first_, f::header_block_size), size);
    if (!std::equal(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(written), second_.begin())) {
      equal_[address] = {};
      return &block;
    }
  }
  return nullptr;
}

}  // namespace tonearm::sim
