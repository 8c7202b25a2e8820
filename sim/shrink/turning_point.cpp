#include "sim/shrink/turning_point.h"

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 intervals = 8;    // At first.
constexpr u64 places_max = 28;  // More are no table to look at.
constexpr i64 whole = 1000;

i64 share_of(const TurningShare& share) {
  return static_cast<i64>(share.alike) * whole / std::max(1U, share.played);
}

}  // namespace

TurningPoint::TurningPoint(u64 last, u32 suffixes, u32 batch, Play play, Stop stop)
    : last_(last), suffixes_(suffixes), batch_(batch), play_(std::move(play)), stop_(std::move(stop)) {
  ASSERT(suffixes_ > 0);
  ASSERT(batch_ > 0);
}

void TurningPoint::search() {
  measure(0, suffixes_);
  measure(last_, suffixes_);
  halve();
  for (u64 i = 1; i < intervals; ++i) measure(last_ * i / intervals, suffixes_);
  halve();  // One of these may have denied what was found.
  refine();
  halve();
}

// Up to so many suffixes at this place in all.
void TurningPoint::measure(u64 place, u32 suffixes) {
  ASSERT(place <= last_);
  while (!stopped_) {
    const auto known = shares_.find(place);
    const u32 played = known == shares_.end() ? 0 : known->second.played;
    if (played >= suffixes) return;
    stopped_ = stop_();
    if (stopped_) return;
    std::vector<Suffix> next;
    for (u32 i = played; i < std::min(suffixes, played + batch_); ++i) {
      next.push_back({.place = place, .number = i});
    }
    const std::vector<SuffixEnd> ends = play_(next);
    ASSERT(ends.size() == next.size());
    TurningShare& share = shares_[place];
    for (const SuffixEnd end : ends) {
      ++share.played;
      share.alike += end == SuffixEnd::alike ? 1 : 0;
      share.otherwise += end == SuffixEnd::otherwise ? 1 : 0;
    }
  }
}

std::optional<u64> TurningPoint::bound() const {
  std::optional<u64> first;
  for (auto at = shares_.rbegin(); at != shares_.rend() && at->second.all(); ++at) first = at->first;
  return first;
}

std::optional<u64> TurningPoint::before_bound() const {
  auto at = shares_.lower_bound(bound().value_or(last_));
  if (at == shares_.begin()) return std::nullopt;
  return std::prev(at)->first;
}

bool TurningPoint::exact() const {
  const std::optional<u64> first = bound();
  if (!first) return false;
  return *first == 0 || before_bound() == *first - 1;
}

std::optional<TurningPoint::Rise> TurningPoint::rise() const {
  std::optional<Rise> found;
  i64 steepest = whole / 2 - 1;
  for (auto at = shares_.begin(); at != shares_.end() && std::next(at) != shares_.end(); ++at) {
    const auto next = std::next(at);
    const i64 rise = share_of(next->second) - share_of(at->second);
    if (rise <= steepest) continue;
    steepest = rise;
    found = {.from = at->first, .to = next->first};
  }
  return found;
}

void TurningPoint::halve() {
  while (!stopped_) {
    const std::optional<u64> first = bound();
    if (!first) return;
    if (!exact()) {
      const u64 before = before_bound().value_or(0);
      measure(before + (*first - before) / 2, suffixes_);
      continue;
    }
    if (shares_[*first].played >= sure * suffixes_) return;
    measure(*first, sure * suffixes_);
  }
}

// Where neighbours differ by a quarter or more, and something lies between them.
void TurningPoint::refine() {
  while (!stopped_ && shares_.size() < places_max) {
    u64 middle = 0;
    i64 steepest = 0;
    for (auto at = shares_.begin(); std::next(at) != shares_.end(); ++at) {
      const auto next = std::next(at);
      if (next->first - at->first < 2) continue;
      const i64 rise = share_of(next->second) - share_of(at->second);
      const i64 steep = rise < 0 ? -rise : rise;
      if (steep < whole / 4 || steep <= steepest) continue;
      steepest = steep;
      middle = at->first + (next->first - at->first) / 2;
    }
    if (steepest == 0) return;
    measure(middle, suffixes_);
  }
}

}  // namespace tonearm::sim
