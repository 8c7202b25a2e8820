// Bytes that become others, and places that are mistaken for each other.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/math.h"
#include "sim/disk/faulty_medium.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

constexpr u32 unit_size = PageStore::unit_size;
constexpr u32 candidates_max = 64;  // Blocks looked at for one that was written.
constexpr u32 other_zone_one_in = 8;

// Salts of the draws that share a fault's value.
enum Salt : u64 {
  salt_shape = 16,
  salt_near,
  salt_at,
  salt_burst,
  salt_length,
  salt_mask,
  salt_zone,
  salt_place
};

u64 down(u64 value, u64 unit) { return value / unit * unit; }

}  // namespace

// How much of a range means something, from its beginning: the block that lies there. What lies behind is
// nobody's, and nothing may depend on it.
u64 FaultyMedium::owned_prefix(u64 offset, u64 length) const {
  if (offset < grid_offset_) return length;
  u64 prefix = 0;
  while (prefix < length && medium_->image().owned_any(offset + prefix, unit_size)) prefix += unit_size;
  return std::max<u64>(prefix, unit_size);
}

// What lies in another place. What is nobody's there is some bytes, the same whatever lies there.
void FaultyMedium::bring(u64 from, std::span<std::byte> bytes) const {
  for (u64 at = 0; at < bytes.size(); at += unit_size) {
    const std::span<std::byte> unit = bytes.subspan(at, unit_size);
    if (medium_->image().owned_any(from + at, unit_size)) {
      medium_->image().read(from + at, unit);
    } else {
      std::fill(unit.begin(), unit.end(), nobodys_byte);
    }
  }
}

u64 FaultyMedium::side_begin(u64 offset) const {
  return offset >= mirror_offset_ ? mirror_offset_ : grid_offset_;
}

u64 FaultyMedium::side_end(u64 offset) const {
  return offset >= mirror_offset_ ? medium_->image().size()
                                  : std::min(mirror_offset_, medium_->image().size());
}

u64 FaultyMedium::zone_end(Zone zone, u64 offset) const {
  return zone == Zone::superblock ? superblock_zone_size : side_end(offset);
}

// Any number means some place.
FaultyMedium::Place FaultyMedium::place_of(const Fault& fault, u64 length) const {
  if (fault.superblock) {
    return {.offset = fault.to % superblock_copies * superblock_copy_size,
            .length = std::min<u64>(length, superblock_copy_size)};
  }
  const u64 blocks = (medium_->image().size() - grid_offset_) / block_size_;
  const u64 offset = grid_offset_ + (std::max<u64>(fault.to, 1) - 1) % blocks * block_size_;
  return {.offset = offset, .length = std::min(length, side_end(offset) - offset)};
}

// Another block that was written, or another copy; sometimes in the other zone.
bool FaultyMedium::other_place(Fault* fault, const FaultTarget& target, u64 offset, u64 random) const {
  const bool both = fault->kind != FaultKind::rot && fault->kind != FaultKind::corrupt_transfer &&
                    plan_->options()[fault->kind].zone == FaultZone::both;
  const bool other_zone = both && below(remix(random, salt_zone), other_zone_one_in) == 0;
  fault->superblock = (target.zone == Zone::superblock) != other_zone;
  const u64 place = remix(random, salt_place);
  if (fault->superblock) {
    fault->to = below(place, superblock_copies);
    if (target.zone == Zone::superblock && fault->to == offset / superblock_copy_size) {
      fault->to = (fault->to + 1) % superblock_copies;
    }
    return true;
  }
  const Image& image = medium_->image();
  const u64 begin = side_begin(offset);  // A place on the same side: the other is another device.
  const u64 end = std::min(image.written_end(), side_end(offset));
  if (end <= begin) return false;
  const u64 blocks = (end - begin) / block_size_;
  if (blocks == 0) return false;
  const u64 own = target.zone == Zone::grid ? address_of(offset) : 0;
  const u64 first = below(place, blocks);
  for (u64 i = 0; i < std::min<u64>(blocks, candidates_max); ++i) {
    fault->to = address_of(begin) + (first + i) % blocks;
    if (fault->to != own && image.owned_any(place_of(*fault, unit_size).offset, unit_size)) return true;
  }
  return false;
}

// --- shapes

Fault FaultyMedium::draw_shape(FaultKind kind, const FaultTarget& target, u64 offset, u64 length,
                               u64 random) const {
  const u64 written = owned_prefix(offset, length);
  Fault fault{.kind = kind,
              .shape = static_cast<RotShape>(below(remix(random, salt_shape), rot_shape_count))};
  // Headers are small and matter.
  const bool near = below(remix(random, salt_near), 2) == 0;
  fault.at = below(remix(random, salt_at), near ? std::min<u64>(written, unit_size) : written);
  const bool burst = kind == FaultKind::rot && below(remix(random, salt_burst), 2) == 0;
  const u64 length_random = remix(random, salt_length);
  if (fault.shape == RotShape::swapped && written < 2 * unit_size) fault.shape = RotShape::bit;
  if (fault.shape == RotShape::other_block && !other_place(&fault, target, offset, random)) {
    fault.shape = RotShape::truncated;
  }
  fault.superblock = false;  // Its `to` is of the zone of the request.
  if (fault.shape != RotShape::other_block) fault.to = 0;
  switch (fault.shape) {
    case RotShape::bit: fault.at = fault.at * 8 + below(length_random, 8); break;
    case RotShape::byte: fault.mask = static_cast<u8>(between(remix(random, salt_mask), 1, 255)); break;
    case RotShape::zeroed:
    case RotShape::ones:
      if (burst) fault.sectors = static_cast<u32>(between(length_random, 1, plan_->options().sectors_max));
      fault.at = down(fault.at, burst ? sector_size_ : unit_size);
      break;
    case RotShape::swapped: {
      const u64 units = written / unit_size;
      fault.at = down(fault.at, unit_size);
      fault.to = (fault.at / unit_size + between(length_random, 1, units - 1)) % units * unit_size;
      break;
    }
    case RotShape::other_block: fault.at = near ? 0 : down(fault.at, unit_size); break;
    case RotShape::truncated: fault.at = down(fault.at, unit_size); break;
  }
  return fault;
}

// Any number means something. False if nothing changed.
bool FaultyMedium::bend(const Fault& fault, Zone zone, std::span<std::byte> bytes) {
  const u64 size = bytes.size();
  const u64 at = fault.shape == RotShape::bit ? fault.at / 8 % size : fault.at % size;
  const u64 unit = down(at, unit_size);
  straight_.assign(bytes.begin(), bytes.end());
  switch (fault.shape) {
    case RotShape::bit: bytes[at] ^= std::byte{1} << static_cast<int>(fault.at % 8); break;
    case RotShape::byte: bytes[at] ^= std::byte{fault.mask == 0 ? u8{1} : fault.mask}; break;
    case RotShape::zeroed:
    case RotShape::ones: {
      const u64 begin = fault.sectors == 0 ? unit : down(at, sector_size_);
      const u64 length = fault.sectors == 0 ? unit_size : u64{fault.sectors} * sector_size_;
      const std::byte value = fault.shape == RotShape::ones ? std::byte{0xff} : std::byte{0};
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(begin), std::min(length, size - begin), value);
      break;
    }
    case RotShape::swapped: {
      const auto first = bytes.subspan(unit, unit_size);
      const auto second = bytes.subspan(down(fault.to % size, unit_size), unit_size);
      if (first.data() != second.data()) std::swap_ranges(first.begin(), first.end(), second.begin());
      break;
    }
    case RotShape::other_block: {
      Fault from = fault;
      from.superblock = zone == Zone::superblock;
      const Place place = place_of(from, size);
      if (place.length <= unit) break;
      bring(place.offset + unit, bytes.subspan(unit, place.length - unit));
      break;
    }
    case RotShape::truncated:
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(unit), bytes.end(), std::byte{0});
      break;
  }
  return std::memcmp(straight_.data(), bytes.data(), size) != 0;
}

// --- damage at rest

void FaultyMedium::maybe_unreadable(const FaultTarget& target, u64 offset, u64 length) {
  const std::optional<FaultPlan::Strike> strike = plan_->strikes(FaultKind::unreadable, target);
  if (!strike) return;
  Fault fault{.kind = FaultKind::unreadable, .sectors = 1};
  const u64 written = owned_prefix(offset, length);
  fault.at = down(below(remix(strike->random, salt_at), written), sector_size_);
  if (below(remix(strike->random, salt_burst), 2) == 0) {
    fault.sectors =
        static_cast<u32>(between(remix(strike->random, salt_length), 1, plan_->options().sectors_max));
  }
  if (strike->given) fault = *strike->given;
  const u64 begin = (offset + down(fault.at % length, sector_size_)) / sector_size_;
  const u64 end =
      std::min(begin + std::max<u32>(fault.sectors, 1), zone_end(target.zone, offset) / sector_size_);
  unreadable_from_now(begin, end);
  tell(begin * sector_size_, end * sector_size_);
  plan_->fired(fault, target);
}

void FaultyMedium::maybe_rot(const FaultTarget& target, u64 offset, u64 length) {
  if (!medium_->image().owned_any(offset, length)) return;
  const std::optional<FaultPlan::Strike> strike = plan_->strikes(FaultKind::rot, target);
  if (!strike) return;
  const Fault fault =
      strike->given ? *strike->given : draw_shape(FaultKind::rot, target, offset, length, strike->random);
  if (rot(fault, target.zone, offset, length)) plan_->fired(fault, target);
}

// A burst may go on behind the range. What was never written cannot rot.
bool FaultyMedium::rot(const Fault& fault, Zone zone, u64 offset, u64 length) {
  const u64 meant = owned_prefix(offset, length);
  if (fault.shape == RotShape::zeroed || fault.shape == RotShape::ones) {
    const u64 begin = down(fault.at % length, sector_size_);
    const u64 end = begin + std::min(fault.sectors, fault_sectors_max) * u64{sector_size_};
    length = std::min(std::max(length, end), zone_end(zone, offset) - offset);
  } else {
    length = meant;
  }
  scratch_.resize(length);
  medium_->image().read(offset, scratch_);
  bend(fault, zone, scratch_);
  const auto changes = [&](u64 at) {
    return std::memcmp(scratch_.data() + at, straight_.data() + at, unit_size) != 0 &&
           medium_->image().written_any(offset + at, unit_size);
  };
  bool bites = false;  // Where it means something: else nothing happens, in the neighbours neither.
  for (u64 at = 0; at < meant && !bites; at += unit_size) bites = changes(at);
  if (!bites) return false;
  const auto owned = [&](u64 at) {
    return medium_->image().owned_any(offset + at, unit_size) &&
           truth_.image().owned_any(offset + at, unit_size);
  };
  std::array<std::byte, unit_size> truth;
  for (u64 at = 0; at < length; at += unit_size) {
    if (!owned(at) || !changes(at)) continue;
    truth_.image().read(offset + at, truth);  // What is damaged does not come right by itself.
    if (std::memcmp(truth.data(), scratch_.data() + at, unit_size) == 0) return false;
  }
  medium_->write_back(offset, length);
  truth_.write_back(offset, length);
  for (u64 at = 0; at < length; at += unit_size) {
    if (changes(at)) medium_->overwrite(offset + at, std::span(scratch_).subspan(at, unit_size));
  }
  suspect(offset, length);
  return true;
}

}  // namespace tonearm::sim
