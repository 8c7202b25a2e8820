#include "sim/decode/ground_truth.h"

namespace tonearm::sim {

namespace f = disk_format;

OpenPrediction predict_open(const Image& truth, const CopiesAsRead& delivered, const DecodeOptions& options) {
  OpenPrediction prediction{.copies = judge_copies(delivered, f::quorum), .image = truth, .reached = {}};
  if (prediction.copies.outcome != DecodeOutcome::ok) return prediction;
  const f::Bytes chosen = delivered[prediction.copies.slot];
  CopyBytes copy(chosen.begin(), chosen.end());
  for (u32 slot = 0; slot < f::copies; ++slot) {
    store<u16>(copy, f::copy_number, static_cast<u16>(slot));
    prediction.image.write(u64{slot} * f::copy_size, copy);
  }
  prediction.reached = decode_image(prediction.image, options);
  return prediction;
}

std::optional<u64> demanded_op(const Image& image) {
  std::vector<std::byte> bytes(u64{f::copies} * f::copy_size);
  image.read(0, bytes);
  CopiesAsRead copies;
  for (u32 slot = 0; slot < f::copies; ++slot) {
    copies[slot] = f::Bytes(bytes).subspan(u64{slot} * f::copy_size, f::copy_size);
  }
  const CopiesVerdict verdict = judge_copies(copies, f::quorum);
  if (verdict.outcome != DecodeOutcome::ok) return std::nullopt;
  return f::load<u64>(copies[verdict.slot], f::copy_state + f::state_op);
}

BlockTruth block_truth(const Image& truth, u64 offset, u32 block_size) {
  std::vector<std::byte> bytes(block_size);
  truth.read(offset, bytes);
  const f::Bytes block = bytes;
  BlockTruth found{.intact = false, .checksum = f::load<u128>(block, 0), .written = block_size};
  const f::Bytes header = block.first(f::header_size);
  if (found.checksum != f::checksum(header.subspan(f::header_checksum_from))) return found;
  const u32 size = f::load<u32>(block, f::header_block_size);
  if (size < f::header_size || size > block_size) return found;
  const u64 sector = truth.sector_size();
  found.written = (size + sector - 1) / sector * sector;
  const f::Bytes body = block.subspan(f::header_size, size - f::header_size);
  found.intact = f::load<u128>(block, f::header_body_checksum) == f::checksum(body) &&
                 f::all_zero(block.subspan(size, found.written - size));
  return found;
}

}  // namespace tonearm::sim
