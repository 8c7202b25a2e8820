#include "scan/scan_merge.h"

#include "base/mark.h"

namespace tonearm {

void ScanMerge::open(Kind kind, std::span<Scan* const> operands, Storage& storage) {
  static_assert(operands_max <= KWayMergeOf<Streams>::streams_max);
  static_assert(operands_max <= ZigZagMergeOf<Streams>::streams_max);
  ASSERT(operands.size() >= 2 && operands.size() <= operands_max);
  ASSERT(kind != Kind::difference || operands.size() == 2);
  Scan::open(operands[0]->direction());
  kind_ = kind;
  storage_ = &storage;
  operand_count_ = 0;
  reads_pending_ = 0;
  for (Scan* operand : operands) {
    ASSERT(operand->direction() == direction());
    ASSERT(operand->state() == State::idle || operand->state() == State::finished);
    operand->assign();
    operands_[operand_count_++] = operand;
  }
  streams_.merge = this;
  k_way_.init(streams_, operand_count_, direction());
  zig_zag_.init(streams_, operand_count_, direction());
}

// --- the operands as streams. What fails ends, and the merge with it.

PeekResult ScanMerge::peek_operand(u32 stream, u64* timestamp) {
  ASSERT(stream < operand_count_);
  Scan& operand = *operands_[stream];
  switch (operand.peek(timestamp)) {
    case Next::value: return PeekResult::value;
    case Next::read_again: return PeekResult::pending;
    case Next::end: return PeekResult::end;
    case Next::failed: fail(operand.error()); return PeekResult::end;
  }
  UNREACHABLE();
}

void ScanMerge::pop_operand(u32 stream) {
  ASSERT(stream < operand_count_);
  const Next next = operands_[stream]->next(&popped_);
  ASSERT(next == Next::value);
}

// --- one step of each kind

PeekResult ScanMerge::step_union(u64* timestamp) {
  using Result = KWayMergeOf<Streams>::Result;
  const std::byte* popped = nullptr;
  u32 stream = 0;
  switch (k_way_.pop(&popped, &stream)) {
    case Result::value: *timestamp = popped_; return PeekResult::value;
    case Result::pending: return PeekResult::pending;
    case Result::end: return PeekResult::end;
  }
  UNREACHABLE();
}

PeekResult ScanMerge::step_intersection(u64* timestamp) {
  using Result = ZigZagMergeOf<Streams>::Result;
  switch (zig_zag_.pop(timestamp)) {
    case Result::value: return PeekResult::value;
    case Result::pending: return PeekResult::pending;
    case Result::end: return PeekResult::end;
  }
  UNREACHABLE();
}

PeekResult ScanMerge::step_difference(u64* timestamp) {
  for (;;) {  // Each turn takes a value of both.
    if (const PeekResult result = peek_operand(0, timestamp); result != PeekResult::value) return result;
    // Nothing of `b` before the head of `a` matters; if `b` has to read, it reads from there on.
    u64 subtracted = 0;
    PeekResult result = peek_operand(1, &subtracted);
    if (result == PeekResult::pending || (result == PeekResult::value && before(subtracted, *timestamp))) {
      probe_operand(1, *timestamp);
      result = peek_operand(1, &subtracted);
    }
    if (result == PeekResult::pending) {
      mark(Mark::scan_difference_pending);
      return PeekResult::pending;  // The head of `a` stays where it is.
    }
    pop_operand(0);
    if (result == PeekResult::end || subtracted != *timestamp) return PeekResult::value;
    pop_operand(1);
  }
}

PeekResult ScanMerge::step(u64* timestamp) {
  switch (kind_) {
    case Kind::set_union: return step_union(timestamp);
    case Kind::intersection: return step_intersection(timestamp);
    case Kind::difference: return step_difference(timestamp);
  }
  UNREACHABLE();
}

// --- as a scan

Scan::Next ScanMerge::fill() {
  u32 count = 0;
  Next after = Next::value;
  while (after == Next::value && count < batch_wanted()) {
    u64 timestamp = 0;
    const PeekResult result = step(&timestamp);
    if (error()) {
      after = Next::failed;
    } else if (result == PeekResult::value) {
      found_[count++] = timestamp;
    } else {
      after = result == PeekResult::end ? Next::end : Next::read_again;
    }
  }
  ASSERT(count <= batch_wanted());
  batch(found_.data(), found_.data() + count);
  return after;
}

void ScanMerge::probe_operand(u32 stream, u64 timestamp) {
  if (kind_ == Kind::intersection && operands_[stream]->wants_read()) mark(Mark::scan_intersection_pending);
  operands_[stream]->probe(timestamp);
}

void ScanMerge::read_source() {
  ASSERT(reads_pending_ == 0);
  for (u32 i = 0; i < operand_count_; ++i) {
    Scan& operand = *operands_[i];
    if (!operand.wants_read()) {
      if (kind_ == Kind::set_union && operand.state() == State::aborted) mark(Mark::scan_union_of_aborted);
      continue;
    }
    ++reads_pending_;
    operand.read(Callback<>::to<&ScanMerge::operand_read>(this));
  }
  if (reads_pending_ > 0) return;
  // A probe has left nothing to read, or there was nothing from the beginning.
  mark(Mark::scan_merge_read_nothing);
  next_tick_.done = Callback<Storage::NextTick&>::to<&ScanMerge::tick_done>(this);
  storage_->next_tick(next_tick_);
}

void ScanMerge::operand_read() {
  ASSERT(reads_pending_ > 0);
  --reads_pending_;
  if (reads_pending_ == 0) read_done();
}

void ScanMerge::tick_done(Storage::NextTick&) {
  ASSERT(reads_pending_ == 0);
  read_done();
}

void ScanMerge::probe_source(u64 timestamp) {
  for (u32 i = 0; i < operand_count_; ++i) operands_[i]->probe(timestamp);
  k_way_.reset();
  zig_zag_.reset();
}

void ScanMerge::abort_source() {
  for (u32 i = 0; i < operand_count_; ++i) operands_[i]->abort();
}

}  // namespace tonearm
