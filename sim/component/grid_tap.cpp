#include "sim/component/grid_tap.h"

#include <algorithm>
#include <cstring>

#include "base/math.h"
#include "sim/decode/disk_format.h"
#include "sim/disk/engine_code.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

template <class T>
void put(std::span<std::byte> block, u64 offset, T value) {
  std::memcpy(block.data() + offset, &value, sizeof(value));
}

void flip(std::span<std::byte> block, u64 begin, u64 end, u64 detail) {
  block[begin + detail / 8 % (end - begin)] ^= static_cast<std::byte>(1U << detail % 8);
}

void seal_header(std::span<std::byte> block) {
  put(block, 0,
      f::checksum(block.subspan(f::header_checksum_from, f::header_size - f::header_checksum_from)));
}

}  // namespace

const char* read_fault_name(ReadFault fault) {
  constexpr const char* names[] = {"none",   "fails",   "header",   "body",    "padding",
                                   "behind", "another", "no block", "too long"};
  return names[static_cast<u32>(fault)];
}

// That it is another block is noticed after all but the padding.
BlockResult GridTap::Delivered::seen(bool stale) const {
  const bool intact = result == BlockResult::valid || result == BlockResult::invalid_padding;
  return intact && (stale || other) ? BlockResult::unexpected_checksum : result;
}

void GridTap::fault(u64 address, ReadFault kind, u64 times, u64 detail) {
  faults_[address] = {.kind = kind, .times = times == 0 ? u64_max : times, .detail = detail};
}

template <class Node>
Node& GridTap::take(std::vector<std::unique_ptr<Node>>& nodes) {
  for (auto& node : nodes) {
    if (node->given == nullptr) return *node;
  }
  nodes.push_back(std::make_unique<Node>());
  nodes.back()->tap = this;
  return *nodes.back();
}

void GridTap::read(Read& read) {
  const HarnessCode harness;
  ASSERT(read.zone == Zone::grid && read.buffer.size() == block_size_);
  ++reads_in_flight_;
  ++reads_seen_;
  ReadNode& node = take(reads_);
  node.given = &read;
  node.io = Read{.buffer = read.buffer,
                 .offset = read.offset,
                 .zone = read.zone,
                 .tag = read.tag,
                 .done = Callback<Read&>::to<&ReadNode::done>(&node)};
  side_.read(node.io);
}

void GridTap::read_done(ReadNode& node) {
  Read& given = *node.given;
  {
    const HarnessCode harness;
    --reads_in_flight_;
    node.given = nullptr;
    given.result = node.io.result;
    const u64 address = address_of(given.offset);
    Delivered delivered;
    if (const auto at = faults_.find(address); at != faults_.end()) {
      delivered = spoil(at->second, address, given.buffer);
      if (--at->second.times == 0) faults_.erase(at);
    }
    if (delivered.result == BlockResult::read_failed) given.result = IoResult::failed;
    seen_[given.tag.tree].reads.push_back(delivered);
    on_read(given);
  }
  given.done(given);
}

// Changes what was read, and says what it is now. What cannot be changed that way stays as it is.
GridTap::Delivered GridTap::spoil(const Fault& fault, u64 address, std::span<std::byte> block) const {
  const u64 size = f::load<u32>(block, f::header_block_size);
  const u64 written = round_up(size, u64{disk_.options().sector_size});
  switch (fault.kind) {
    case ReadFault::none: return {};
    case ReadFault::fails:
      std::memset(block.data(), 0xdd, block.size());
      return {.result = BlockResult::read_failed};
    case ReadFault::header:
      flip(block, 0, f::header_size, fault.detail);
      return {.result = BlockResult::invalid_checksum};
    case ReadFault::body:
      if (size == f::header_size) return {};
      flip(block, f::header_size, size, fault.detail);
      return {.result = BlockResult::invalid_checksum_body};
    case ReadFault::padding:
      if (size == written) return {};
      flip(block, size, written, fault.detail);
      return {.result = BlockResult::invalid_padding};
    case ReadFault::behind:
      if (written < block.size()) flip(block, written, block.size(), fault.detail);
      return {};
    case ReadFault::another: {
      const std::byte* other = another(address);
      if (other == nullptr) return {};
      std::memcpy(block.data(), other, block.size());
      return {.other = true};
    }
    case ReadFault::no_block:
      put(block, f::header_command, static_cast<u8>(f::command_block + 1 + fault.detail % 200));
      seal_header(block);
      return {.result = BlockResult::unexpected_command};
    case ReadFault::too_long:
      put(block, f::header_block_size, static_cast<u32>(block.size() + 1 + fault.detail % 5000));
      seal_header(block);
      return {.result = BlockResult::invalid_checksum_body};
  }
  UNREACHABLE();
}

void GridTap::write(Write& write) {
  const HarnessCode harness;
  on_write(write);
  WriteNode& node = take(writes_);
  node.given = &write;
  node.fails = writes_failing_ > 0;
  if (node.fails) --writes_failing_;
  node.io = Write{.buffer = write.buffer,
                  .offset = write.offset,
                  .zone = write.zone,
                  .durability = write.durability,
                  .tag = write.tag,
                  .done = Callback<Write&>::to<&WriteNode::done>(&node)};
  side_.write(node.io);
}

void GridTap::write_done(WriteNode& node) {
  Write& given = *node.given;
  {
    const HarnessCode harness;
    node.given = nullptr;
    given.result = node.fails ? IoResult::failed : node.io.result;
    Seen& seen = seen_[given.tag.tree];
    ++seen.writes;
    if (node.fails) {
      ++seen.writes_failed;
    } else if (is_repair(given.tag.purpose)) {
      heal(address_of(given.offset));
    }
  }
  given.done(given);
}

u32 GridTap::repairs_in_flight() const {
  u32 count = 0;
  for (const auto& node : writes_) count += node->given != nullptr && is_repair(node->io.tag.purpose) ? 1 : 0;
  return count;
}

std::set<u64> GridTap::writing() const {
  std::set<u64> addresses;
  for (const auto& node : writes_) {
    if (node->given == nullptr || is_repair(node->io.tag.purpose)) continue;
    addresses.insert(address_of(node->io.offset));
  }
  return addresses;
}

bool GridTap::repairing(u64 address) const {
  return std::any_of(writes_.begin(), writes_.end(), [&](const auto& node) {
    return node->given != nullptr && is_repair(node->io.tag.purpose) &&
           address_of(node->io.offset) == address;
  });
}

bool GridTap::busy(u64 address) const {
  const auto at = [&](const auto& node) {
    return node->given != nullptr && address_of(node->io.offset) == address;
  };
  return std::any_of(reads_.begin(), reads_.end(), at) || std::any_of(writes_.begin(), writes_.end(), at);
}

}  // namespace tonearm::sim
