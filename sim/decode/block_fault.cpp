#include "sim/decode/block_fault.h"

#include "base/assert.h"

namespace tonearm::sim {

namespace f = disk_format;

u8 block_type(BlockUse use) {
  switch (use) {
    case BlockUse::trailer_acquired:
    case BlockUse::trailer_released: return f::type_free_set;
    case BlockUse::manifest: return f::type_manifest;
    case BlockUse::index: return f::type_index;
    case BlockUse::value: return f::type_value;
  }
  UNREACHABLE();
}

std::string block_fault(f::Bytes block, const BlockRef& ref, u8 type, const DecodedImage& of) {
  using f::load;
  if (load<u128>(block, 0) != f::checksum(block.first(f::header_size).subspan(f::header_checksum_from))) {
    return "header checksum";
  }
  if (load<u128>(block, f::header_padding) != 0) return "header checksum padding";
  const u32 size = load<u32>(block, f::header_block_size);
  if (size < f::header_size || size > block.size()) return "size";
  if (load<u128>(block, f::header_body_checksum) !=
      f::checksum(block.subspan(f::header_size, size - f::header_size))) {
    return "body checksum";
  }
  if (load<u128>(block, f::header_body_padding) != 0) return "body checksum padding";
  if (load<u128>(block, 0) != ref.checksum) return "another block";
  const u64 sector = of.format.sector_size;
  const u64 end = (size + sector - 1) / sector * sector;
  if (!f::all_zero(block.subspan(size, end - size))) return "padding";
  // Authentic from here on: what does not fit is a mistake of whoever wrote it.
  if (load<u8>(block, f::header_command) != f::command_block) return "command";
  if (load<u64>(block, f::header_address) != ref.address) return "address";
  if (load<u128>(block, f::header_cluster) != of.cluster) return "cluster";
  if (load<u8>(block, f::header_type) != type) return "type";
  if (load<u32>(block, f::header_release) != f::release_known) return "release";
  if (type != f::type_free_set) return "";
  const f::Bytes metadata = block.subspan(f::header_metadata);
  if (load<u128>(metadata, f::chain_padding) != 0) return "reserved bytes";
  if (!f::all_zero(metadata.subspan(f::trailer_reserved, f::trailer_reserved_size))) return "reserved bytes";
  return "";
}

bool brought_block(std::span<const Brought> brought, const BlockRef& ref, u8 type, const DecodedImage& of,
                   std::vector<std::byte>* block) {
  for (const Brought& each : brought) {
    if (each.address != ref.address) continue;
    *block = each.bytes;
    block->resize(of.format.block_size);  // Only whole sectors of what was written are read.
    if (block_fault(*block, ref, type, of).empty()) return true;
  }
  return false;
}

}  // namespace tonearm::sim
