#include "sim/run/crash_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "sim/disk/keyed.h"
#include "sim/scenario/operation.h"

namespace tonearm::sim {

namespace {

constexpr u32 unit_max = 4096;

using UnitBytes = std::array<std::byte, unit_max>;

// The same for a place in every outcome: of two it would be a difference that is none.
void fill_garbage(std::span<std::byte> bytes, u64 offset) {
  for (u64 at = 0; at < bytes.size(); at += sizeof(u64)) {
    const u64 word = remix(~offset, at);
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
}

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

CrashState::CrashState(SimStorage& disk)
    : durable_(disk.durable_image()),
      unit_size_(disk.options().tear_unit),
      sector_size_(disk.options().sector_size) {
  for (const u64 sector : disk.unreadable_sectors()) unreadable_.push_back(sector * sector_size_);
  for (const MediumWrite& write : disk.undurable()) {
    writes_.push_back({.number = write.number,
                       .offset = write.offset,
                       .data = {write.data.begin(), write.data.end()},
                       .name = request_text(write.attribution, write.tag, write.n)});
  }
}

void CrashState::carry(const CrashState& before, const Unit& unit) {
  for (u32 i = 0; i < unit.count; ++i) {
    const std::span<const std::byte> bytes = before.bytes(unit, i);
    carried_.push_back({.offset = unit.offset,
                        .data = {bytes.begin(), bytes.end()},
                        .name = before.writes()[before.writer(unit, i)].name});
  }
}

void CrashState::index() {
  ASSERT(units_.empty());
  writes_.insert(writes_.begin(), std::make_move_iterator(carried_.begin()),
                 std::make_move_iterator(carried_.end()));
  struct Place {
    u64 offset;
    u32 write;
  };
  std::vector<Place> places;
  for (u32 i = 0; i < writes_.size(); ++i) {
    ASSERT(writes_[i].data.size() % unit_size_ == 0);
    for (u64 at = 0; at < writes_[i].data.size(); at += unit_size_) {
      places.push_back({.offset = writes_[i].offset + at, .write = i});
    }
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.write < b.write;
  });
  for (const Place& place : places) {
    if (units_.empty() || units_.back().offset != place.offset) {
      units_.push_back({.offset = place.offset, .first = static_cast<u32>(candidates_.size()), .count = 0});
    }
    ++units_.back().count;
    candidates_.push_back(place.write);
  }
}

std::span<const std::byte> CrashState::bytes(const Unit& unit, u32 i) const {
  const UndecidedWrite& write = writes_[writer(unit, i)];
  return std::span(write.data).subspan(unit.offset - write.offset, unit_size_);
}

u32 CrashState::lower_bound(u64 offset) const {
  const auto found = std::lower_bound(units_.begin(), units_.end(), offset,
                                      [](const Unit& unit, u64 value) { return unit.offset < value; });
  return static_cast<u32>(found - units_.begin());
}

// --- the path

u32 DecisionPath::choose(u32 alternatives) {
  ASSERT(alternatives > 1);
  const u64 at = at_++;
  if (sampled_) return static_cast<u32>(below(remix(key_, at), alternatives));
  if (at < forks_.size()) {
    ASSERT(forks_[at].alternatives == alternatives);  // Recovery is deterministic.
    return forks_[at].chosen;
  }
  forks_.push_back({.chosen = 0, .alternatives = alternatives});
  return 0;
}

bool DecisionPath::next() {
  ASSERT(!sampled_);
  const auto more = [this] { return forks_.size() > kept_; };
  while (more() && forks_.back().chosen + 1 == forks_.back().alternatives) forks_.pop_back();
  if (!more()) return false;
  ++forks_.back().chosen;
  return true;
}

DecisionPath DecisionPath::fixed() const {
  DecisionPath path = *this;
  path.begin();
  return path;
}

DecisionPath DecisionPath::beginning(u64 choices) const {
  DecisionPath path = *this;
  path.begin();
  if (sampled_) return path;
  ASSERT(choices <= forks_.size());
  path.forks_.resize(choices);
  path.kept_ = choices;
  return path;
}

// --- decisions

void Decisions::read(SimStorage& disk, DecisionPath& path, u64 begin, u64 end) {
  if (fails(disk, path, begin, end)) return;
  const std::span<const CrashState::Unit> units = state_->units();
  for (u32 i = state_->lower_bound(begin); i < units.size() && units[i].offset < end; ++i) {
    if (decided_[i] == Known::nothing) decide(disk, path, i);
  }
}

u32 Decisions::newest(u32 unit) const {
  const CrashState::Unit& written = state_->units()[unit];
  return state_->writer(written, written.count - 1);
}

bool Decisions::spoilt(u32 unit) const {
  return std::find(spoilt_.begin(), spoilt_.end(), newest(unit)) != spoilt_.end();
}

// Whether a sector of the range cannot be read. The first that may be is asked about no more than the others:
// all that the recovery sees is that the read fails, and what it reads later.
bool Decisions::fails(SimStorage& disk, DecisionPath& path, u64 begin, u64 end) {
  const std::span<const CrashState::Unit> units = state_->units();
  const u64 size = state_->sector_size();
  const std::span<const u64> unreadable = disk.unreadable_sectors();
  const auto cannot = [&](u64 sector) {
    return std::binary_search(unreadable.begin(), unreadable.end(), sector / size);
  };
  sectors_.clear();
  for (u64 sector = begin; sector < end; sector += size) {
    u32 unit = state_->lower_bound(sector);
    const auto here = [&] { return unit < units.size() && units[unit].offset < sector + size; };
    while (here() && decided_[unit] != Known::nothing) ++unit;
    const bool open = here();
    if (cannot(sector) && !open) return true;
    if (open && (cannot(sector) || !spoilt(unit))) {
      sectors_.push_back({.begin = sector, .first = unit, .unreadable = cannot(sector)});
    }
  }
  if (sectors_.empty()) return false;
  const u32 taken = path.choose(static_cast<u32>(sectors_.size()) + 1);
  hash_ = hash_of(hash_ ^ begin) + taken;
  if (taken > 0) {
    make_unreadable(disk, sectors_[taken - 1]);
    return true;
  }
  for (const Sector& sector : sectors_) {
    if (!sector.unreadable) continue;
    written_.push_back(sector.begin);
    disk.settle_readable(sector.begin);
  }
  return false;
}

// Of a sector that was unreadable before the crash: no write has landed there.
void Decisions::make_unreadable(SimStorage& disk, const Sector& sector) {
  const std::span<const CrashState::Unit> units = state_->units();
  const u64 end = sector.begin + state_->sector_size();
  made_.push_back({.unit = sector.first, .chosen = sector.unreadable ? 0 : unreadable_chosen});
  if (!sector.unreadable) spoilt_.push_back(newest(sector.first));
  unreadable_ = true;
  for (u32 i = sector.first; i < units.size() && units[i].offset < end; ++i) decided_[i] = Known::read;
  disk.settle_unreadable(sector.begin);
}

// What was there, then each write by its age, and garbage last: of those that are equal, the first. Where
// nothing could be read before, what was there is no choice.
void Decisions::decide(SimStorage& disk, DecisionPath& path, u32 index) {
  const CrashState::Unit& unit = state_->units()[index];
  const u32 size = state_->unit_size();
  UnitBytes buffer;
  const std::span<std::byte> old = std::span(buffer).first(size);
  state_->durable().read(unit.offset, old);
  const u64 sector = unit.offset / state_->sector_size() * state_->sector_size();
  const bool old_gone = std::find(written_.begin(), written_.end(), sector) != written_.end();
  std::vector<u32>& chosen = choices_;  // 0, then those that differ.
  chosen.clear();
  if (!old_gone) chosen.push_back(0);
  for (u32 i = 0; i < unit.count; ++i) {
    const std::span<const std::byte> bytes = state_->bytes(unit, i);
    const bool known = std::any_of(chosen.begin(), chosen.end(), [&](u32 other) {
      return equal(bytes, other == 0 ? std::span<const std::byte>(old) : state_->bytes(unit, other - 1));
    });
    if (!known) chosen.push_back(i + 1);
  }
  if (!spoilt(index) && state_->durable().written(unit.offset, size)) chosen.push_back(garbage_chosen);
  const u32 taken = chosen[chosen.size() == 1 ? 0 : path.choose(static_cast<u32>(chosen.size()))];
  decided_[index] = Known::read;
  made_.push_back({.unit = index, .chosen = taken});
  if (taken == garbage_chosen) {
    garbage_ = true;
    spoilt_.push_back(newest(index));
    fill_garbage(old, unit.offset);
    disk.settle(unit.offset, old);
  } else if (taken != 0) {
    disk.settle(unit.offset, state_->bytes(unit, taken - 1));
  }
  hash_ = hash_of(hash_ ^ unit.offset) + taken;
}

void Decisions::mark(u64 begin, u64 end, Known known) {
  const std::span<const CrashState::Unit> units = state_->units();
  for (u32 i = state_->lower_bound(begin); i < units.size() && units[i].offset < end; ++i) {
    if (decided_[i] < known) decided_[i] = known;
  }
}

void Decisions::overwritten(u64 begin, u64 end) { mark(begin, end, Known::covered); }
void Decisions::made_durable(u64 begin, u64 end) { mark(begin, end, Known::gone); }

void Decisions::carry_into(CrashState* next) const {
  for (u32 i = 0; i < decided_.size(); ++i) {
    if (decided_[i] == Known::nothing || decided_[i] == Known::covered)
      next->carry(*state_, state_->units()[i]);
  }
}

void Decisions::publish(SweepPoint* point) const {
  point->count = 0;
  point->exact = true;
  const auto write_of = [&](u32 number) -> CrashWrite* {
    for (u32 i = 0; i < point->count; ++i) {
      if (point->writes[i].write == number) return &point->writes[i];
    }
    if (number > crash_write_max || point->count == point->writes.size()) {
      point->exact = false;
      return nullptr;
    }
    point->writes[point->count++] = {
        .write = static_cast<u16>(number), .outcome = CrashOutcome::torn, .exact = true};
    return &point->writes[point->count - 1];
  };
  for (const Made& made : made_) {
    const CrashState::Unit& unit = state_->units()[made.unit];
    for (u32 i = 0; i < unit.count; ++i) {
      const UndecidedWrite& write = state_->writes()[state_->writer(unit, i)];
      CrashWrite* const to = write_of(write.number);
      if (to == nullptr) continue;
      const u64 number = (unit.offset - write.offset) / state_->unit_size();
      const bool garbage = made.chosen == garbage_chosen;
      if ((garbage || made.chosen == unreadable_chosen) && i + 1 == unit.count) {
        to->outcome = garbage ? CrashOutcome::torn_garbage : CrashOutcome::torn_unreadable;
        to->garbage = number & 127;
      } else if (made.chosen == i + 1) {
        if (number < CrashWrite::units_max) to->units |= u32{1} << number;
        if (number >= CrashWrite::units_max) point->exact = false;
      }
    }
  }
  std::sort(point->writes.begin(), point->writes.begin() + point->count,
            [](const CrashWrite& a, const CrashWrite& b) { return a.write < b.write; });
}

std::string Decisions::text() const {
  std::string text;
  for (const Made& made : made_) {
    const CrashState::Unit& unit = state_->units()[made.unit];
    const u32 writer = state_->writer(unit, unit.count - 1);
    const u64 number = (unit.offset - state_->writes()[writer].offset) / state_->unit_size();
    const char* what = "old";
    if (made.chosen == garbage_chosen)
      what = "garbage";
    else if (made.chosen == unreadable_chosen)
      what = "unreadable";
    else if (made.chosen == unit.count)
      what = "new";
    else if (made.chosen != 0)
      what = "of an older write";
    text += fmt::format("  write {} ({}), unit {}, at {}: {}\n", writer, state_->writes()[writer].name,
                        number, unit.offset, what);
  }
  return text.empty() ? "  it has read nothing that was not decided\n" : text;
}

}  // namespace tonearm::sim
