#include "sim/component/grid_block.h"

#include <algorithm>
#include <cstring>

#include "sim/decode/disk_format.h"
#include "sim/decode/manifest_chain.h"

namespace tonearm::sim {

namespace f = disk_format;

GridBlock make_grid_block(const Stream& content, u64 address, u64 version, std::span<std::byte> into) {
  const u64 random = content.at(address, version);
  const u64 body_max = into.size() - f::header_size;
  // An eighth has no body, an eighth is full.
  const u64 body = random % 8 == 0 ? 0 : random % 8 == 1 ? body_max : below(remix(random, 1), body_max + 1);
  const u32 size = static_cast<u32>(f::header_size + body);
  std::vector<std::byte> block(into.size());
  for (u64 at = f::header_size; at < size; at += 8) {
    const u64 word = remix(random, at) | 1;
    std::memcpy(block.data() + at, &word, std::min<u64>(8, size - at));
  }
  const auto put = [&block](u32 offset, auto value) {
    std::memcpy(block.data() + offset, &value, sizeof(value));
  };
  put(f::header_cluster, grid_block_cluster);
  put(f::header_block_size, size);
  put(f::header_release, f::release_known);
  put(f::header_command, f::command_block);
  put(f::header_address, address);
  put(f::header_snapshot, version);
  put(f::header_type, f::type_value);
  const u128 checksum = seal_manifest_block(block);
  std::memcpy(into.data(), block.data(), block.size());
  return {.version = version, .size = size, .checksum = checksum};
}

}  // namespace tonearm::sim
