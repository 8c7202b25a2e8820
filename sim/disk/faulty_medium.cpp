#include "sim/disk/faulty_medium.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/math.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

constexpr u32 unit_size = PageStore::unit_size;
constexpr std::byte failed_read_byte{0xdb};  // A buffer after a read that failed.
constexpr u32 mixed_ways = 3;                // Old, new, some units of each.
constexpr u64 salt_way = 1;
constexpr u64 salt_units = 2;  // Plus the index of the group of 64 units.
constexpr u64 salt_again = ~u64{0};

Image nothing(const Image& image) {
  Image none(image);
  none.clear();
  return none;
}

}  // namespace

FaultyMedium::FaultyMedium(Medium& medium, FaultPlan& plan, const DiskOptions& options, u64 grid_offset)
    : medium_(&medium),
      plan_(&plan),
      grid_offset_(grid_offset),
      sector_size_(options.sector_size),
      block_size_(options.block_size),
      mirror_offset_(options.mirror ? grid_offset + options.blocks_count * options.block_size : u64_max),
      truth_(medium),
      former_(nothing(medium.image())) {
  ASSERT(grid_offset >= superblock_zone_size);
  ASSERT(block_size_ % sector_size_ == 0);
  truth_.set_observer(nullptr);
  grow(medium.image().size());
}

void FaultyMedium::grow(u64 size) {
  if (size > truth_.image().size()) truth_.grow(size);
  if (size > former_.size()) former_.grow(size);
  suspects_.resize(div_ceil(div_ceil(size, u64{sector_size_}), u64{64}));
}

// --- requests

IoResult FaultyMedium::read(const FaultTarget& target, u64 offset, std::span<std::byte> buffer) {
  maybe_unreadable(target, offset, buffer.size());
  maybe_rot(target, offset, buffer.size());
  u64 random = 0;
  const u64 end = offset + buffer.size();
  if (error_strikes(FaultKind::read_error, target, offset, end, &random) ||
      unreadable(offset, buffer.size())) {
    std::memset(buffer.data(), static_cast<int>(failed_read_byte), buffer.size());
    count_streak(bad_reads_, target, offset, true);
    return IoResult::failed;
  }
  medium_->image().read(offset, buffer);
  const bool another = deliver_another(target, offset, buffer);
  count_streak(bad_reads_, target, offset, another);
  const bool opening = target.tag.purpose == IoPurpose::manifest_read ||
                       target.tag.purpose == IoPurpose::trailer_read ||
                       target.tag.purpose == IoPurpose::mirror_read;
  if (opening && (another || !is_truth(offset, buffer))) {
    const u64 address = (offset - side_begin(offset)) / block_size_ + 1;
    brought_.push_back({.address = address, .bytes = {buffer.begin(), buffer.end()}});
  }
  return IoResult::ok;
}

// Of the first side, whichever was read: a write that a crash has cut off may have landed on one of them.
bool FaultyMedium::is_truth(u64 offset, std::span<const std::byte> bytes) const {
  const u64 first = offset < grid_offset_ ? offset : offset - side_begin(offset) + grid_offset_;
  std::array<std::byte, unit_size> truth;
  for (u64 at = 0; at < bytes.size(); at += unit_size) {
    truth_.image().read(first + at, truth);
    if (std::memcmp(truth.data(), bytes.data() + at, unit_size) != 0) return false;
  }
  return true;
}

// What the caller gets to see for this once; the medium stays as it is.
bool FaultyMedium::deliver_another(const FaultTarget& target, u64 offset, std::span<std::byte> buffer) {
  using Strike = std::optional<FaultPlan::Strike>;
  if (const Strike strike = plan_->strikes(FaultKind::corrupt_transfer, target)) {
    const Fault fault = strike->given ? *strike->given
                                      : draw_shape(FaultKind::corrupt_transfer, target, offset, buffer.size(),
                                                   strike->random);
    if (!bend(fault, target.zone, buffer.first(owned_prefix(offset, buffer.size())))) return false;
    plan_->fired(fault, target);
    return true;
  }
  if (const Strike strike = plan_->strikes(FaultKind::misdirected_read, target)) {
    Fault fault = strike->given.value_or(Fault{.kind = FaultKind::misdirected_read});
    if (!strike->given && !other_place(&fault, target, offset, strike->random)) return false;
    const Place place = place_of(fault, buffer.size());
    bring(place.offset, buffer.first(place.length));
    plan_->fired(fault, target);
    return true;
  }
  if (!former_.written_any(offset, unit_size)) return false;
  if (const Strike strike = plan_->strikes(FaultKind::stale_read, target)) {
    bring(offset, buffer);
    for (u64 at = 0; at < buffer.size(); at += unit_size) {
      if (former_.written_any(offset + at, unit_size))
        former_.read(offset + at, buffer.subspan(at, unit_size));
    }
    plan_->fired({.kind = FaultKind::stale_read}, target);
    return true;
  }
  return false;
}

IoResult FaultyMedium::write(const FaultTarget& target, const MediumWrite& write, Durability durability) {
  using Strike = std::optional<FaultPlan::Strike>;
  const u64 length = write.data.size();
  u64 random = 0;
  if (error_strikes(FaultKind::write_error, target, write.offset, write.offset + length, &random)) {
    mix(write, durability, random);
    count_streak(bad_writes_, target, write.offset, true);
    return IoResult::failed;
  }
  count_streak(bad_writes_, target, write.offset, false);
  if (plan_->strikes(FaultKind::lost_write, target)) {
    truth_.complete(write, durability);
    suspect(write.offset, length);
    plan_->fired({.kind = FaultKind::lost_write}, target);
    return IoResult::ok;
  }
  if (const Strike strike = plan_->strikes(FaultKind::misdirected_write, target)) {
    Fault fault = strike->given.value_or(Fault{.kind = FaultKind::misdirected_write});
    if (strike->given || other_place(&fault, target, write.offset, strike->random)) {
      truth_.complete(write, durability);
      suspect(write.offset, length);
      write_elsewhere(write, durability, place_of(fault, length));
      plan_->fired(fault, target);
      return IoResult::ok;
    }
  }
  remember(write.offset, length);
  land(write, durability);
  maybe_unreadable(target, write.offset, length);
  maybe_rot(target, write.offset, length);
  return IoResult::ok;
}

void FaultyMedium::land(const MediumWrite& write, Durability durability) {
  medium_->complete(write, durability);
  truth_.complete(write, durability);
  readable_again(write.offset, write.data.size());
}

void FaultyMedium::write_elsewhere(const MediumWrite& write, Durability durability, Place place) {
  MediumWrite stray = write;
  stray.offset = place.offset;
  stray.data = write.data.first(place.length);
  stray.tail = 0;  // The block that lies there goes on behind it.
  remember(place.offset, place.length);
  medium_->complete(stray, durability);
  readable_again(place.offset, place.length);
  suspect(place.offset, place.length);
}

// The range of a write that failed. Where the old content stays, it is nobody's if it was that before.
void FaultyMedium::mix(const MediumWrite& write, Durability durability, u64 random) {
  const u64 way = below(remix(random, salt_way), mixed_ways);
  if (way == 0) return;
  remember(write.offset, write.data.size());
  if (way == 1) return land(write, durability);
  const u64 tear_unit = medium_->tear_unit();
  for (u64 at = 0, i = 0; at < write.data.size(); at += tear_unit, ++i) {
    MediumWrite piece = write;
    piece.offset += at;
    piece.data = write.data.subspan(at, std::min(tear_unit, write.data.size() - at));
    piece.tail = 0;
    if ((remix(random, salt_units + i / 64) >> (i % 64) & 1) != 0) {
      land(piece, durability);
    } else {
      land_nobodys(piece, durability);
    }
  }
}

// What is nobody's under a write must not make its block whole by chance: in a poison twin it could not.
void FaultyMedium::land_nobodys(const MediumWrite& write, Durability durability) {
  std::array<std::byte, unit_size> bytes;
  bytes.fill(nobodys_byte);
  for (u64 at = 0; at < write.data.size(); at += unit_size) {
    MediumWrite unit = write;
    unit.offset += at;
    unit.data = bytes;
    const bool medium = !medium_->image().owned_any(unit.offset, unit_size);
    const bool truth = !truth_.image().owned_any(unit.offset, unit_size);
    if (medium && truth) {
      land(unit, durability);
    } else if (medium) {
      // A write of the truth was lost here. What has replaced it is damage.
      medium_->complete(unit, durability);
      readable_again(unit.offset, unit_size);
      suspect(unit.offset, unit_size);
    }
  }
}

// The medium's content before a write, so that it can come back. Of each block there is one, whole, however
// short what is written over it.
void FaultyMedium::remember(u64 offset, u64 length) {
  const Image& image = medium_->image();
  u64 begin = offset;
  u64 end = offset + length;
  if (offset >= grid_offset_) {
    begin = grid_offset_ + (offset - grid_offset_) / block_size_ * block_size_;
    end = grid_offset_ + round_up(end - grid_offset_, u64{block_size_});
  }
  former_.forget(begin, end - begin);
  std::array<std::byte, unit_size> unit;
  for (u64 at = begin; at < end; at += unit_size) {
    if (!image.owned_any(at, unit_size)) continue;
    image.read(at, unit);
    former_.write(at, unit);
  }
}

// --- syncs, crashes, healing

bool FaultyMedium::sync_lies(const FaultTarget& target, u64 covered, const CacheRange& range) {
  const u64 count = medium_->covered(covered);
  bool any = false;
  for (u64 i = 0; i < count && !any; ++i) any = range.has(medium_->logged(i).offset);
  if (!any || !plan_->strikes(FaultKind::lying_sync, target)) return false;
  for (u64 i = 0; i < count; ++i) {
    const MediumWrite write = medium_->logged(i);
    if (!range.has(write.offset)) continue;
    suspect(write.offset, write.data.size());
  }
  plan_->fired({.kind = FaultKind::lying_sync}, target);
  return true;
}

void FaultyMedium::make_durable(u64 covered, u64 covered_truth, bool lies, const CacheRange& range) {
  if (!lies) medium_->make_durable(covered, range);
  truth_.make_durable(covered_truth, range);
}

// The tries that an engine has made are of no concern to the next one.
void FaultyMedium::crash(std::span<const MediumWrite> writes, std::span<const Fate> fates) {
  truth_.crash(writes, fates);
  bad_reads_.clear();
  bad_writes_.clear();
}

// What was in flight over a place last decides. Garbage is what a crash may legally leave there, in the truth
// as well; that it cannot be read is damage.
void FaultyMedium::crash_unreadable(std::span<const MediumWrite> writes, std::span<const Fate> fates) {
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const u64 offset = writes[i].offset;
    const u64 size = writes[i].data.size();
    if (fates[i].outcome == CrashOutcome::landed) readable_again(offset, size);
    if (fates[i].outcome != CrashOutcome::torn_unreadable) continue;
    const u64 at = medium_->garbage_unit(fates[i], size) * medium_->tear_unit();
    if (at >= size) continue;  // A line may name a unit that the write does not have.
    const u64 sector = (offset + at) / sector_size_;
    unreadable_from_now(sector, sector + 1);
    tell(sector * sector_size_, (sector + 1) * sector_size_);
  }
}

void FaultyMedium::heal() {
  DiskObserver* const observer = medium_->observer();
  *medium_ = truth_;
  medium_->set_observer(observer);
  unreadable_.clear();
  transients_.clear();
  std::fill(suspects_.begin(), suspects_.end(), 0);
  tell(0, superblock_zone_size);
  tell(grid_offset_, medium_->image().size());
}

// --- errors

bool FaultyMedium::error_strikes(FaultKind kind, const FaultTarget& target, u64 begin, u64 end, u64* random) {
  const bool write = kind == FaultKind::write_error;
  const auto again = std::find_if(transients_.begin(), transients_.end(), [&](const Transient& each) {
    return each.write == write && each.begin < end && begin < each.end;
  });
  if (again != transients_.end()) {
    *random = remix(again->random, salt_again - again->left);
    if (--again->left == 0) transients_.erase(again);
    return true;
  }
  const std::optional<FaultPlan::Strike> strike = plan_->strikes(kind, target);
  if (!strike) return false;
  Fault fault{.kind = kind,
              .times = static_cast<u32>(between(strike->random, 1, plan_->options().times_max)),
              .random = write ? strike->random : 0};
  if (strike->given) fault = *strike->given;
  *random = fault.random;
  if (fault.times > 1) {
    transients_.push_back(
        {.begin = begin, .end = end, .random = fault.random, .left = fault.times - 1, .write = write});
  }
  plan_->fired(fault, target);
  return true;
}

u32 FaultyMedium::streak(const std::vector<Streak>& streaks, u64 address) {
  u32 most = 0;
  for (const Streak& each : streaks) {
    if (each.address == address) most = std::max(most, each.most);
  }
  return most;
}

void FaultyMedium::count_streak(std::vector<Streak>& streaks, const FaultTarget& target, u64 offset,
                                bool bad) {
  const u64 address = target.zone == Zone::superblock ? 0 : address_of(offset);
  const bool scrub = target.tag.purpose == IoPurpose::scrub || target.tag.purpose == IoPurpose::mirror_scrub;
  const auto found = std::find_if(streaks.begin(), streaks.end(), [&](const Streak& each) {
    return each.address == address && each.scrub == scrub;
  });
  if (found == streaks.end()) {
    if (bad) streaks.push_back({.address = address, .scrub = scrub, .count = 1, .most = 1});
    return;
  }
  found->count = bad ? found->count + 1 : 0;
  found->most = std::max(found->most, found->count);
}

// What is going on goes on: a request may be tried again now that was tried before. The scrubber may have
// tried one side before, and tries the other now.
void FaultyMedium::begin_streaks() {
  const bool two_sides = mirror_offset_ != u64_max;
  for (std::vector<Streak>* streaks : {&bad_reads_, &bad_writes_}) {
    std::erase_if(*streaks, [](const Streak& each) { return each.count == 0; });
    for (Streak& each : *streaks) each.most = two_sides && each.scrub ? each.count : 0;
  }
  brought_.clear();
}

// --- what is wrong

bool FaultyMedium::unreadable(u64 offset, u64 length) const {
  const auto first = std::lower_bound(unreadable_.begin(), unreadable_.end(), offset / sector_size_);
  return first != unreadable_.end() && *first * sector_size_ < offset + length;
}

void FaultyMedium::unreadable_from_now(u64 begin, u64 end) {
  for (u64 sector = begin; sector < end; ++sector) {
    const auto place = std::lower_bound(unreadable_.begin(), unreadable_.end(), sector);
    if (place == unreadable_.end() || *place != sector) unreadable_.insert(place, sector);
  }
}

// Sectors of which all is written.
void FaultyMedium::readable_again(u64 offset, u64 length) {
  if (unreadable_.empty()) return;
  const u64 first = div_ceil(offset, u64{sector_size_});
  const u64 end = (offset + length) / sector_size_;
  std::erase_if(unreadable_, [first, end](u64 sector) { return sector >= first && sector < end; });
}

void FaultyMedium::suspect(u64 offset, u64 length) {
  const u64 last = (offset + length - 1) / sector_size_;
  for (u64 sector = offset / sector_size_; sector <= last; ++sector) {
    suspects_[sector / 64] |= u64{1} << (sector % 64);
  }
  tell(offset / sector_size_ * sector_size_, (last + 1) * sector_size_);
}

bool FaultyMedium::damaged(u64 offset, u64 length, u64 readable_length) const {
  ASSERT(length > 0);
  if (unreadable(offset, readable_length)) return true;
  const u64 last = (offset + length - 1) / sector_size_;
  for (u64 sector = offset / sector_size_; sector <= last; ++sector) {
    if ((suspects_[sector / 64] >> (sector % 64) & 1) != 0) return differs(offset, length);
  }
  return false;
}

bool FaultyMedium::damage() const {
  if (!unreadable_.empty()) return true;
  for (u64 i = 0; i < suspects_.size() * 64; ++i) {
    if (suspects_[i / 64] == 0) i |= 63;
    if ((suspects_[i / 64] >> (i % 64) & 1) != 0 && differs(i * sector_size_, sector_size_)) return true;
  }
  return false;
}

bool FaultyMedium::differs(u64 offset, u64 length) const {
  std::array<std::byte, unit_size> is, should_be;
  for (u64 at = 0; at < length; at += unit_size) {
    if (medium_->image().shares(truth_.image(), offset + at, unit_size)) continue;
    medium_->image().read(offset + at, is);
    truth_.image().read(offset + at, should_be);
    if (std::memcmp(is.data(), should_be.data(), std::min<u64>(unit_size, length - at)) != 0) return true;
  }
  return false;
}

}  // namespace tonearm::sim
