// Workload `trailer`: opens, of what was written and of what was made of it. Each ends with the disk healed.
#include <fmt/format.h>

#include <algorithm>

#include "base/math.h"
#include "sim/component/trailer_component.h"
#include "sim/decode/block_fault.h"
#include "sim/decode/manifest_chain.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

template <class T>
void put(std::vector<std::byte>& block, u64 offset, T number) {
  std::memcpy(block.data() + offset, &number, sizeof(number));
}

}  // namespace

TrailerComponent::Bytes TrailerComponent::read_block(u64 address) const {
  Bytes bytes(referee_->options().format.block_size);
  disk_.image().read(disk_.grid_offset() + (address - 1) * bytes.size(), bytes);
  return bytes;
}

// The sectors that were written.
TrailerComponent::Bytes TrailerComponent::written(const BlockRef& block) const {
  Bytes bytes = read_block(block.address);
  const u64 sector = referee_->options().format.sector_size;
  bytes.resize(round_up(u64{f::load<u32>(bytes, f::header_block_size)}, sector));
  return bytes;
}

void TrailerComponent::write_block(u64 address, const Bytes& bytes) {
  write_at_rest(Zone::grid, (address - 1) * referee_->options().format.block_size, bytes);
}

// From the last block to the first, as their metadata leads; each is what it must be, or the walk ends there.
TrailerComponent::Expected TrailerComponent::walk(const Reference& reference) const {
  Expected found;
  const auto damaged = [&found](const BlockRef& block) {
    found.kind = ErrorKind::block_damaged;
    found.block = block;
    found.blocks.clear();
    return std::move(found);
  };
  if (reference.size > size_max_) {
    found.kind = ErrorKind::storage_size;
    found.stored = reference.size;
    found.given = size_max_;
    return found;
  }
  const u64 count = (reference.size + chunk() - 1) / chunk();
  const bool somewhere = reference.last.address >= 1 && reference.last.address <= blocks_count();
  if (count == 0) {
    const bool none = reference.last.address == 0 && reference.last.checksum == 0;
    return none && reference.checksum == f::checksum({}) ? std::move(found) : damaged(reference.last);
  }
  if (!somewhere) return damaged(reference.last);
  found.payload.resize(reference.size);
  BlockRef at = reference.last;
  for (u64 i = count; i-- > 0;) {
    const Bytes block = read_block(at.address);
    const u64 size = std::min(chunk(), reference.size - i * chunk());
    if (unreadable_.contains(at.address)) return damaged(at);
    if (!block_fault(block, at, f::type_free_set, file_).empty()) return damaged(at);
    if (f::load<u32>(block, f::header_block_size) != f::header_size + size) return damaged(at);
    const u64 address = f::load<u64>(block, f::header_metadata + f::chain_previous_address);
    const u128 checksum = f::load<u128>(block, f::header_metadata + f::chain_previous);
    const bool leads = address >= 1 && address <= blocks_count();
    if (i == 0 ? address != 0 || checksum != 0 : !leads) return damaged(at);
    std::copy_n(block.begin() + f::header_size, size,
                found.payload.begin() + static_cast<std::ptrdiff_t>(i * chunk()));
    found.blocks.insert(found.blocks.begin(), at);
    at = {.address = address, .checksum = checksum};
  }
  if (f::checksum(found.payload) != reference.checksum) return damaged(reference.last);
  return found;
}

// In the process at hand. False: a crash struck.
bool TrailerComponent::open(const Reference& reference, const char* what) {
  const Expected expected = walk(reference);
  const TrailerReference asked{
      .last = {.address = reference.last.address, .checksum = reference.last.checksum},
      .size = reference.size,
      .checksum = reference.checksum};
  trailer_->open(asked, callback());
  if (!wait("open")) return false;
  const Error error = trailer_->error();
  referee_->answer(static_cast<u64>(error.kind), error.address);
  require(error.kind == expected.kind && error.address == expected.block.address &&
              error.checksum == expected.block.checksum && error.stored == expected.stored &&
              error.given == expected.given,
          error ? FailureClass::false_alarm : FailureClass::oracle, "open ends otherwise", [&] {
            return fmt::format(
                "{}: {} of block {} ({}, stored {}, given {}), expected {} of {}, stored {}, given {}", what,
                error_name(error.kind), error.address, error.reason, error.stored, error.given,
                error_name(expected.kind), expected.block.address, expected.stored, expected.given);
          });
  const std::span<const u64> addresses = trailer_->addresses();
  require(addresses.size() == expected.blocks.size(), "open finds another number of blocks",
          [&] { return fmt::format("{}: {}, expected {}", what, addresses.size(), expected.blocks.size()); });
  if (error) {
    ++referee_->counters().unanswered;
    return true;
  }
  require(std::equal(expected.payload.begin(), expected.payload.end(), trailer_->payload().begin()),
          "open brings other bytes", [&] { return fmt::format("{}: {} bytes", what, reference.size); });
  for (u32 i = 0; i < expected.blocks.size(); ++i) {
    const BlockReference block = trailer_->block_reference(i);
    require(block.address == expected.blocks[i].address && block.checksum == expected.blocks[i].checksum,
            "open finds other blocks", [&] {
              return fmt::format("{}: block {} of {} is {}, expected {}", what, i, expected.blocks.size(),
                                 block.address, expected.blocks[i].address);
            });
  }
  return true;
}

void TrailerComponent::open_saved() {
  start();
  ++referee_->counters().reopens;
  if (!open(saved_, "as it was written")) ++referee_->counters().crashes_in_recovery;
}

// False: a crash struck.
bool TrailerComponent::ensure_open() {
  if (!trailer_) open_saved();
  return static_cast<bool>(trailer_);
}

// The process that has failed to open it opens it when it is as it was.
void TrailerComponent::damage(u64 where, u64 other, u64 value) {
  crash();
  if (blocks_.empty()) return referee_->skip();
  std::vector<u64> indexes{where % blocks_.size()};
  if (other < blocks_.size() && other != indexes[0]) indexes.push_back(other);
  protect(false);
  std::vector<Bytes> before;
  for (const u64 index : indexes) {
    before.push_back(written(blocks_[index]));
    Bytes bytes = before.back();
    const u64 bit = remix(value, index) % (bytes.size() * 8);
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    write_block(blocks_[index].address, bytes);
  }
  start();
  const bool ended = open(saved_, "a flipped bit");
  for (u64 i = 0; i < indexes.size(); ++i) write_block(blocks_[indexes[i]].address, before[i]);
  protect(true);
  if (ended) open(saved_, "as it was, behind a flipped bit");
}

void TrailerComponent::unreadable(u64 where, u64 how, u64 times, u64 value) {
  crash();
  if (blocks_.empty()) return referee_->skip();
  constexpr ReadFault kinds[] = {ReadFault::fails, ReadFault::header, ReadFault::body, ReadFault::padding,
                                 ReadFault::behind};
  const u64 address = blocks_[where % blocks_.size()].address;
  const u64 size = f::load<u32>(read_block(address), f::header_block_size);
  const bool padded = size % referee_->options().format.sector_size != 0;
  const ReadFault kind = kinds[how];
  if (kind == ReadFault::padding && !padded) return referee_->skip();
  tap_.fault(address, kind, times, value);
  const bool for_ever = times == 0 || times >= grid_options_.runtime.read_attempts_max;
  if (for_ever && kind != ReadFault::behind) unreadable_.insert(address);
  start();
  const bool ended = open(saved_, read_fault_name(kind));
  tap_.heal();
  unreadable_.clear();
  if (ended) open(saved_, "as it was, behind reads that failed");
}

// No other block may be read.
bool TrailerComponent::ever_written(u64 address) const {
  const u64 block_size = referee_->options().format.block_size;
  return disk_.image().written_any(disk_.grid_offset() + (address - 1) * block_size, block_size);
}

// The last address there is, or one that there is not.
u64 TrailerComponent::beyond(u64 value) const {
  const u64 last = blocks_count();
  return value % 4 == 0 && ever_written(last) ? last : last + 1 + value % 3;
}

void TrailerComponent::forge(u64 where, u64 kind, u64 value) {
  crash();
  if (blocks_.empty()) return referee_->skip();
  const u64 index = where % blocks_.size();
  std::vector<Bytes> before;
  for (const BlockRef& block : blocks_) before.push_back(written(block));
  std::vector<Bytes> bytes = before;
  Bytes& block = bytes[index];
  const u64 metadata = f::header_metadata;
  const BlockRef& another = blocks_[value % blocks_.size()];
  const u32 size = f::load<u32>(block, f::header_block_size);
  switch (kind) {
    case 0: put<u8>(block, f::header_type, static_cast<u8>(f::type_free_set + 1 + value % 200)); break;
    case 1:
      put<u32>(block, f::header_block_size, size - static_cast<u32>(1 + value % (size - f::header_size)));
      break;
    case 2: {
      const u64 more = std::min<u64>(size + 1 + value % 512, f::header_size + chunk());
      block.resize(std::max(block.size(), round_up(more, u64{referee_->options().format.sector_size})));
      put<u32>(block, f::header_block_size, static_cast<u32>(more));
      break;
    }
    case 3: put<u8>(block, metadata + f::chain_padding + value % 16, 1); break;
    case 4: put<u8>(block, metadata + f::trailer_reserved + value % f::trailer_reserved_size, 1); break;
    case 5: put<u64>(block, metadata + f::chain_previous_address, 0); break;
    case 6: put<u64>(block, metadata + f::chain_previous_address, beyond(value)); break;
    case 7: put<u64>(block, metadata + f::chain_previous + value % 2 * 8, value); break;
    case 8:
      put<u64>(block, metadata + f::chain_previous_address, another.address);
      put<u128>(block, metadata + f::chain_previous, another.checksum);
      break;
    default:
      block[f::header_size + value % (size - f::header_size)] ^= std::byte{1};
      break;  // Another payload.
  }
  Reference reference = saved_;
  for (u64 i = index; i < bytes.size(); ++i) {
    if (i > index) put<u128>(bytes[i], metadata + f::chain_previous, reference.last.checksum);
    reference.last = {.address = blocks_[i].address, .checksum = seal_manifest_block(bytes[i])};
  }
  protect(false);
  for (u64 i = index; i < bytes.size(); ++i) write_block(blocks_[i].address, bytes[i]);
  start();
  const bool ended = open(reference, "a forged block");
  for (u64 i = index; i < bytes.size(); ++i) write_block(blocks_[i].address, before[i]);
  protect(true);
  if (ended) open(saved_, "as it was, behind a forged block");
}

void TrailerComponent::refer(u64 kind, u64 value) {
  crash();
  Reference reference = saved_;
  switch (kind) {
    case 0: reference.size = 0; break;
    case 1: reference.size = size_max_ + 1 + value % 2 * value; break;
    case 2: reference.size = value % (size_max_ + 1); break;
    case 3: reference.size = (saved_.size + chunk()) / chunk() * chunk(); break;
    case 4: reference.checksum += 1 + value % 9; break;
    case 5: reference.last.address = value % 2 == 0 ? 0 : beyond(value / 2); break;
    case 6:
      reference.last.address = 1 + value % blocks_count();
      if (!ever_written(reference.last.address)) return referee_->skip();
      break;
    case 7: reference.last.checksum ^= u128{1} << value % 128; break;
    default:
      if (blocks_.empty()) return referee_->skip();
      reference.last = blocks_[value % blocks_.size()];
      break;
  }
  start();
  if (open(reference, "another reference")) open(saved_, "as it was, behind another reference");
}

}  // namespace tonearm::sim
