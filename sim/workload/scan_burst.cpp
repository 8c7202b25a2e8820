#include "sim/workload/scan_burst.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/assert.h"
#include "sim/workload/salts.h"

namespace tonearm::sim {

namespace {

// What the lines of a burst so far have opened.
class Slots {
 public:
  Slots(u64 random, u32 pool) {
    const u64 most = below(random, 4) == 0 ? 12 : 4;
    wanted_ = 1 + below(remix(random, salt_count), std::min<u64>(most, pool));
    if (below(remix(random, 1), 8) == 0) wanted_ = std::min<u64>(pool + 2, scan_slots);
  }

  u32 open_count() const { return static_cast<u32>(std::popcount(open_)); }
  bool open(u32 slot) const { return (open_ >> slot & 1) != 0; }
  bool aborted(u32 slot) const { return (aborted_ >> slot & 1) != 0; }
  u64 wanted() const { return wanted_; }

  // One of those that are open, or of all if none is.
  u32 some(u64 random) const {
    u64 left = below(random, std::max(1U, open_count()));
    for (u32 slot = 0; slot < scan_slots; ++slot) {
      if (open(slot) && left-- == 0) return slot;
    }
    return static_cast<u32>(below(random, scan_slots));
  }
  u32 some_closed(u64 random) const {
    for (u32 i = 0; i < scan_slots; ++i) {
      const u32 slot = static_cast<u32>((random + i) % scan_slots);
      if (!open(slot)) return slot;
    }
    return 0;
  }

  OperationKind kind_of(u64 random) const {
    using K = OperationKind;
    const u64 drawn = below(random, 64);
    if (open_count() == 0 || (open_count() < wanted_ && drawn < 24)) return K::scan_open;
    if (drawn < 34) return K::scan_next;
    if (drawn < 56) return K::scan_probe;
    if (drawn < 59) return K::scan_abort;
    if (drawn < 62) return K::scan_close;
    return drawn == 62 ? K::scan_open : K::scan_next;
  }

  void take(const ScanStep& step, u64 random) {
    const u16 bit = static_cast<u16>(1U << step.slot);
    if (step.kind == OperationKind::scan_open && !open(step.slot)) {
      open_ |= bit;
      aborted_ &= static_cast<u16>(~bit);
      scans_[step.slot] = random;
      progress_[step.slot] = 0;
    }
    if (step.kind == OperationKind::scan_abort) aborted_ |= bit;
    if (step.kind == OperationKind::scan_close) open_ &= static_cast<u16>(~bit);
    ++progress_[step.slot];
  }
  u64 scan(u32 slot) const { return scans_[slot]; }
  u64 progress(u32 slot) const { return progress_[slot]; }

 private:
  u64 wanted_;
  u16 open_ = 0;
  u16 aborted_ = 0;
  std::array<u64, scan_slots> scans_{};
  std::array<u64, scan_slots> progress_{};
};

ScanStep draw_step(const Slots& slots, u64 random) {
  ScanStep step{.kind = slots.kind_of(remix(random, salt_kind)),
                .slot = 0,
                .scan = 0,
                .progress = 0,
                .random = random,
                .slots = 0,
                .count = 1};
  const u64 drawn = remix(random, salt_key);
  step.slot = slots.some(drawn);
  if (step.kind == OperationKind::scan_open) {
    // One in 32 is open already.
    if (slots.open_count() == 0 || below(remix(drawn, 1), 32) != 0) step.slot = slots.some_closed(drawn);
  } else if (slots.aborted(step.slot) && below(remix(drawn, 2), 3) == 0) {
    step.kind = OperationKind::scan_close;
  } else if (below(remix(drawn, 3), 64) == 0) {
    step.slot = slots.some_closed(drawn);  // Skipped.
  }
  step.scan = step.kind == OperationKind::scan_open ? random : slots.scan(step.slot);
  step.progress = slots.progress(step.slot);
  step.slots = static_cast<u16>(1U << step.slot);
  if (step.kind != OperationKind::scan_next) return step;
  // Few rows mostly; as many as there are now and then.
  const u64 rows = remix(random, salt_limit);
  step.count = 1 + below(rows, u64{1} << below(remix(rows, 1), 7));
  if (slots.open_count() < 2 || below(remix(drawn, 4), 3) != 0) return step;
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if (slots.open(slot) && below(remix(drawn, 10 + slot), 2) == 0)
      step.slots |= static_cast<u16>(1U << slot);
  }
  return step;
}

}  // namespace

ScanStep scan_step(u64 random, u64 place, u32 pool) {
  ASSERT(place < burst_lines_max);
  Slots slots(random, pool);
  for (u64 i = 0;; ++i) {
    const u64 drawn = remix(random, salt_scope + 500 + i);
    const ScanStep step = draw_step(slots, drawn);
    if (i == place) return step;
    slots.take(step, drawn);
  }
}

void fill_scan_step(const ScanStep& step, Operation* operation) {
  operation->kind = step.kind;
  operation->slots = step.slots;
  if (step.kind == OperationKind::scan_next) operation->count = step.count;
}

i64 probe_place(const ScanStep& step) {
  const u64 random = remix(step.random, salt_end);
  const u64 drawn = below(random, 16);
  if (drawn == 0) return -1;
  if (drawn == 1) return 0;
  if (drawn == 2) return probe_end;
  if (drawn == 3) return probe_end + 1;
  const u64 length = static_cast<u64>(probe_end);
  if (drawn < 7) return static_cast<i64>(below(remix(random, 1), length));
  // Leaps of every size, and farther from line to line.
  const u64 leap = below(remix(random, 2), u64{2} << below(remix(random, 3), 10));
  return static_cast<i64>(std::min(length, step.progress * 32 + leap));
}

}  // namespace tonearm::sim
