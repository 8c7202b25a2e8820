// Scans combined into one: what is in any of them, in all of them, or in the first but not in the second.
//
// The operands are scans of the same direction, merges among them; each belongs to one merge. What is read of
// them is what their batches hold; when some have run dry the merge says `read_again`, and its read() is one
// of each operand that wants it, all at once. Operands that have ended, or were aborted by a probe beyond
// their range, are streams without a value: a union goes on without them.
//
// A probe goes to all operands. It may lag behind what the merge has returned, for one of them may yet be
// before it: its merge drops what was returned already.
#pragma once

#include <span>

#include "scan/scan.h"
#include "storage/storage.h"
#include "table/k_way_merge.h"
#include "table/zig_zag_merge.h"

namespace tonearm {

class ScanMerge final : public Scan {
 public:
  enum class Kind : u8 { set_union, intersection, difference };
  static constexpr u32 operands_max = 64;

  // At least two operands; a difference has two. None of them was read.
  void open(Kind kind, std::span<Scan* const> operands, Storage& storage);

  std::span<Scan* const> operands() const { return {operands_.data(), operand_count_}; }
  u64 probes() const { return zig_zag_.probes(); }  // Of an intersection.

 private:
  // The operands as the merges see them.
  struct Streams {
    PeekResult peek(u32 stream, u64* timestamp) { return merge->peek_operand(stream, timestamp); }
    PeekResult peek(u32 stream, Key* key) {
      u64 timestamp = 0;
      const PeekResult result = merge->peek_operand(stream, &timestamp);
      if (result == PeekResult::value) *key = Key::of(timestamp);
      return result;
    }
    const std::byte* pop(u32 stream) {
      merge->pop_operand(stream);
      return reinterpret_cast<const std::byte*>(&merge->popped_);
    }
    void probe(u32 stream, u64 timestamp) { merge->probe_operand(stream, timestamp); }

    ScanMerge* merge = nullptr;
  };

  PeekResult peek_operand(u32 stream, u64* timestamp);
  void pop_operand(u32 stream);
  void probe_operand(u32 stream, u64 timestamp);
  PeekResult step(u64* timestamp);
  PeekResult step_union(u64* timestamp);
  PeekResult step_intersection(u64* timestamp);
  PeekResult step_difference(u64* timestamp);
  Next fill() override;
  void read_source() override;
  void probe_source(u64 timestamp) override;
  void abort_source() override;
  void operand_read();
  void tick_done(Storage::NextTick& next_tick);

  Kind kind_ = Kind::set_union;
  u32 operand_count_ = 0;
  u32 reads_pending_ = 0;
  Storage* storage_ = nullptr;
  Storage::NextTick next_tick_;
  std::array<Scan*, operands_max> operands_;
  Streams streams_;
  KWayMergeOf<Streams> k_way_;
  ZigZagMergeOf<Streams> zig_zag_;
  u64 popped_ = 0;  // What was last taken from an operand.
  std::array<u64, batch_max> found_;
};

}  // namespace tonearm
