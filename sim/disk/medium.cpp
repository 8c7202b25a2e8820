#include "sim/disk/medium.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 salt_units = 1;  // Plus the index of the group of 64 units.
constexpr u64 salt_garbage = ~u64{0} >> 1;
constexpr u32 tear_unit_max = 4096;

bool overlaps(const MediumWrite& write, u64 offset, u64 length) {
  return write.offset < offset + length && offset < write.offset + write.data.size();
}

}  // namespace

Medium::Medium(const Image& image, DurabilityProfile profile, u32 tear_unit)
    : image_(image), durable_(image), profile_(profile), tear_unit_(tear_unit) {
  ASSERT(tear_unit == PageStore::unit_size || tear_unit == tear_unit_max);
  ASSERT(tear_unit <= image.sector_size());
  // A second reference to the pages would make the first write of each copy it.
  if (profile == DurabilityProfile::durable) durable_.clear();
}

void Medium::grow(u64 size) {
  image_.grow(size);
  durable_.grow(size);
}

void Medium::land(Image& target, const MediumWrite& write) {
  target.write(write.offset, write.data);
  if (write.tail != 0) target.abandon(write.offset + write.data.size(), write.tail);
}

void Medium::complete(const MediumWrite& write, Durability durability) {
  land(image_, write);
  if (profile_ == DurabilityProfile::durable) return durable(write);
  if (durability == Durability::on_completion) {
    // What this overwrites in the cache must not come back over it. Of a block that is repaired nothing but
    // the block: medium and truth may have it cached or not, and everything else is to stay alike.
    const bool repair =
        write.tag.purpose == IoPurpose::repair || write.tag.purpose == IoPurpose::mirror_repair;
    const CacheRange own{.begin = write.offset, .end = write.offset + write.data.size()};
    if (repair) make_durable(position(), own);
    if (!repair) write_back(write.offset, write.data.size());
    land(durable_, write);
    return durable(write);
  }
  if (!log_.empty() && log_size_ + write.data.size() > cache_bytes_max) {
    make_durable(log_[(log_.size() - 1) / 2].serial + 1);
  }
  Logged logged{.write = write, .page = {}, .data_offset = log_bytes_.size(), .serial = serials_++};
  if (write.data.size() == PageStore::page_size && write.offset % PageStore::page_size == 0) {
    logged.page = image_.hold(write.offset);
  } else {
    log_bytes_.insert(log_bytes_.end(), write.data.begin(), write.data.end());
  }
  log_size_ += write.data.size();
  log_.push_back(std::move(logged));
}

void Medium::write_back(u64 offset, u64 length) {
  for (u64 i = log_.size(); i-- > 0;) {
    if (overlaps(logged(i), offset, length)) return make_durable(log_[i].serial + 1);
  }
}

void Medium::overwrite(u64 offset, std::span<const std::byte> bytes) {
  for (u64 i = 0; i < log_.size(); ++i) ASSERT(!overlaps(log_[i].write, offset, bytes.size()));
  const bool abandoned = !image_.owned_any(offset, bytes.size());
  for (Image* const image : {&image_, &durable_}) {
    if (image == &durable_ && profile_ == DurabilityProfile::durable) continue;
    image->write(offset, bytes);
    if (abandoned) image->abandon(offset, bytes.size());
  }
}

MediumWrite Medium::logged(u64 index) const {
  ASSERT(index < log_.size());
  const Logged& logged = log_[index];
  MediumWrite write = logged.write;
  const std::byte* const bytes = logged.page ? logged.page.data() : log_bytes_.data() + logged.data_offset;
  write.data = {bytes, write.data.size()};
  write.completed = true;
  return write;
}

u64 Medium::covered(u64 position) const {
  const auto behind = std::lower_bound(log_.begin(), log_.end(), position,
                                       [](const Logged& each, u64 value) { return each.serial < value; });
  return static_cast<u64>(behind - log_.begin());
}

void Medium::destage(u64 count, const CacheRange& range) {
  ASSERT(count <= log_.size());
  const auto end = log_.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto each = log_.begin(); each != end; ++each) {
    if (range.has(each->write.offset)) log_size_ -= each->write.data.size();
  }
  const auto kept = std::remove_if(log_.begin(), end,
                                   [&range](const Logged& each) { return range.has(each.write.offset); });
  log_.erase(kept, end);
  if (log_.empty()) return log_bytes_.clear();
  const u64 bytes = log_.front().data_offset;  // Of those that stay none lies before.
  log_bytes_.erase(log_bytes_.begin(), log_bytes_.begin() + static_cast<std::ptrdiff_t>(bytes));
  for (Logged& entry : log_) entry.data_offset -= bytes;
}

void Medium::make_durable(u64 position, const CacheRange& range) {
  const u64 count = covered(position);
  for (u64 i = 0; i < count; ++i) {
    if (!range.has(log_[i].write.offset)) continue;
    const MediumWrite write = logged(i);
    if (log_[i].page) {
      durable_.write(write.offset, log_[i].page);
      if (write.tail != 0) durable_.abandon(write.offset + write.data.size(), write.tail);
    } else {
      land(durable_, write);
    }
    durable(write);
  }
  destage(count, range);
}

void Medium::restore(u64 offset, u64 length) {
  std::array<std::byte, PageStore::unit_size> unit;
  for (u64 at = offset; at < offset + length; at += unit.size()) {
    if (durable_.written(at, unit.size())) {
      durable_.read(at, unit);
      image_.write(at, unit);
      if (!durable_.owned_any(at, unit.size())) image_.abandon(at, unit.size());
    } else {
      image_.forget(at, unit.size());
    }
  }
}

void Medium::fail(u64 position, std::span<const Fate> fates, const CacheRange& range) {
  const u64 count = covered(position);
  u64 decided = 0;
  for (u64 i = 0; i < count; ++i) {
    if (!range.has(log_[i].write.offset)) continue;
    apply(durable_, logged(i), fates[decided++]);
    durable(logged(i));
  }
  ASSERT(decided == fates.size());
  for (u64 i = 0; i < count; ++i) {
    if (range.has(log_[i].write.offset)) restore(logged(i).offset, logged(i).data.size() + logged(i).tail);
  }
  destage(count, range);
  // Newer writes over the same ranges are in the cache still.
  for (u64 i = 0; i < log_.size(); ++i) land(image_, logged(i));
}

void Medium::crash(std::span<const MediumWrite> writes, std::span<const Fate> fates) {
  ASSERT(writes.size() == fates.size());
  ASSERT(writes.size() >= log_.size());
  Image& target = profile_ == DurabilityProfile::cached ? durable_ : image_;
  for (u64 i = 0; i < writes.size(); ++i) {
    ASSERT(i == 0 || writes[i - 1].submission <= writes[i].submission);
    apply(target, writes[i], fates[i]);
    durable(writes[i]);
  }
  if (profile_ == DurabilityProfile::cached) image_ = durable_;
  destage(log_.size(), {});
}

Fate Medium::spelled(Fate fate, u64 size) const {
  constexpr u64 units_max = 32;
  const u64 units = (size + tear_unit_ - 1) / tear_unit_;
  if (fate.outcome < CrashOutcome::torn || fate.exact || units > units_max) return fate;
  fate.exact = true;
  fate.units = remix(fate.random, salt_units) & ((u64{1} << units) - 1);
  if (has_garbage(fate.outcome)) {
    fate.garbage = static_cast<u32>(below(remix(fate.random, salt_garbage), units));
  }
  return fate;
}

u64 Medium::garbage_unit(const Fate& fate, u64 size) const {
  ASSERT(has_garbage(fate.outcome));
  if (fate.exact) return fate.garbage;
  return below(remix(fate.random, salt_garbage), (size + tear_unit_ - 1) / tear_unit_);
}

void Medium::apply(Image& target, const MediumWrite& write, Fate fate) const {
  if (fate.outcome == CrashOutcome::lost) return;
  if (fate.outcome == CrashOutcome::landed) return land(target, write);
  const u64 units = (write.data.size() + tear_unit_ - 1) / tear_unit_;
  const u64 garbage = has_garbage(fate.outcome) ? garbage_unit(fate, write.data.size()) : u64_max;
  const auto lands = [&fate](u64 unit) {
    if (fate.exact) return unit < 64 && (fate.units >> unit & 1) != 0;
    return (remix(fate.random, salt_units + unit / 64) >> (unit % 64) & 1) != 0;
  };
  for (u64 i = 0; i < units; ++i) {
    const std::span<const std::byte> unit =
        write.data.subspan(i * tear_unit_, std::min<u64>(tear_unit_, write.data.size() - i * tear_unit_));
    const u64 offset = write.offset + i * tear_unit_;
    if (i == garbage) {
      std::array<std::byte, tear_unit_max> bytes;
      for (u64 at = 0; at < unit.size(); at += 8) {
        u64 word = remix(remix(fate.random, ~offset), at);
        if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
        std::memcpy(bytes.data() + at, &word, 8);
      }
      target.write(offset, std::span(bytes).first(unit.size()));
    } else if (lands(i)) {
      target.write(offset, unit);
    } else {
      target.adopt(offset, unit.size());
    }
  }
}

}  // namespace tonearm::sim
