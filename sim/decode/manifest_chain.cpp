#include "sim/decode/manifest_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tonearm::sim {

namespace f = disk_format;

namespace {

using f::Bytes;
using f::load;

BlockRef previous_of(Bytes block) {
  return {.address = load<u64>(block, f::header_metadata + f::chain_previous_address),
          .checksum = load<u128>(block, f::header_metadata + f::chain_previous)};
}

std::string fault_of(Bytes block, const BlockRef& ref) {
  const u64 size = load<u32>(block, f::header_block_size);
  if (size < f::header_size || size > block.size()) return "size";
  if (load<u128>(block, 0) != ref.checksum) return "another block";
  if (load<u128>(block, 0) != f::checksum(block.subspan(f::header_checksum_from, f::header_size - 32))) {
    return "header checksum";
  }
  if (load<u128>(block, f::header_body_checksum) !=
      f::checksum(block.subspan(f::header_size, size - f::header_size))) {
    return "body checksum";
  }
  if (load<u64>(block, f::header_address) != ref.address) return "address";
  if (load<u8>(block, f::header_type) != f::type_manifest) return "type";
  const u64 count = load<u32>(block, f::header_metadata + f::manifest_count);
  if (count == 0 || size != f::header_size + count * f::entry_size) return "number of entries";
  return "";
}

}  // namespace

ManifestChain read_manifest_chain(const Image& image, const ManifestPlace& place, const ManifestEnds& ends) {
  ManifestChain chain;
  BlockRef ref = ends.newest;
  for (u32 i = 0; i < ends.count; ++i) {
    ManifestChain::Block block{.ref = ref, .bytes = std::vector<std::byte>(place.block_size), .entries = {}};
    if (ref.address == 0 || ref.address > place.blocks_count) {
      chain.fault = fmt::format("address {} out of range", ref.address);
      return chain;
    }
    image.read(place.grid_offset + (ref.address - 1) * place.block_size, block.bytes);
    chain.fault = fault_of(block.bytes, ref);
    if (!chain.fault.empty()) {
      chain.fault = fmt::format("block {}: {}", ref.address, chain.fault);
      return chain;
    }
    const u32 count = load<u32>(block.bytes, f::header_metadata + f::manifest_count);
    block.entries.resize(count);
    std::memcpy(block.entries.data(), block.bytes.data() + f::header_size, count * u64{f::entry_size});
    ref = previous_of(block.bytes);
    chain.blocks.push_back(std::move(block));
  }
  std::reverse(chain.blocks.begin(), chain.blocks.end());
  if (ends.count > 0 && (chain.blocks.front().ref.address != ends.oldest.address ||
                         chain.blocks.front().ref.checksum != ends.oldest.checksum)) {
    chain.fault = fmt::format("the chain does not end at block {}", ends.oldest.address);
  }
  return chain;
}

LiveTables replay_forward(const ManifestChain& chain) {
  LiveTables live;
  for (const ManifestChain::Block& block : chain.blocks) {
    for (const ManifestEntry& entry : block.entries) {
      if (entry.event() == f::event_remove) {
        live.erase(entry.address());
      } else {
        live[entry.address()] = entry;
      }
    }
  }
  return live;
}

// The first record met of a table is its latest; a removal hides those before it.
LiveTables replay_backward(const ManifestChain& chain) {
  LiveTables live;
  std::set<u64> met;
  for (std::size_t i = chain.blocks.size(); i-- > 0;) {
    const std::vector<ManifestEntry>& entries = chain.blocks[i].entries;
    for (std::size_t j = entries.size(); j-- > 0;) {
      if (!met.insert(entries[j].address()).second) continue;
      if (entries[j].event() != f::event_remove) live[entries[j].address()] = entries[j];
    }
  }
  return live;
}

u128 seal_manifest_block(std::vector<std::byte>& block) {
  const u64 size = std::min<u64>(block.size(), load<u32>(block, f::header_block_size));
  const auto put = [&block](u64 offset, u128 value) {
    std::memcpy(block.data() + offset, &value, sizeof(value));
  };
  if (size >= f::header_size) {
    put(f::header_body_checksum, f::checksum(Bytes(block).subspan(f::header_size, size - f::header_size)));
  }
  const u128 checksum =
      f::checksum(Bytes(block).subspan(f::header_checksum_from, f::header_size - f::header_checksum_from));
  put(0, checksum);
  return checksum;
}

}  // namespace tonearm::sim
