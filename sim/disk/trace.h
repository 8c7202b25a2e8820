// Every event of a run, folded into two digests.
//
// `digest` folds all events and is the identity of a run; `answers` folds only operations and
// answers, without their ticks, and must be equal over twins, geometries, compilers and processors.
// Events are fixed records of serialised numbers in a ring that is hashed in bulk; its tail is what
// a failure report shows as "the last twenty events".
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/types.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

enum class EventKind : u32 {
  operation,  // a = op number, b = op child, c = kind of operation. Folded into both digests.
  answer,     // a, b, c = hash or value of an answer. Folded into both digests.
  submit_read,
  submit_write,
  submit_sync,  // a = offset, b = length, c = tag and sequence.
  complete_read,
  complete_write,
  complete_sync,    // a = offset, b = result, c = tag and sequence.
  next_tick_drain,  // a = callbacks run.
  fault,            // a = fault kind, b = offset, c = detail.
  crash,            // a = step, b = writes undecided.
  decision,         // a, b, c: whatever else the harness decided.
};
const char* event_name(EventKind kind);

struct Event {
  u64 tick = 0;
  u64 a = 0;
  u64 b = 0;
  u64 c = 0;
  EventKind kind{};
  u32 reserved = 0;
};
static_assert(sizeof(Event) == 40);

// "Tag and sequence" in one number: purpose, level, tree (8, 8, 16 bits), then n.
constexpr u64 pack_tag(IoTag tag, u32 n) {
  return u64{static_cast<u8>(tag.purpose)} | u64{tag.level} << 8 | u64{tag.tree} << 16 | u64{n} << 32;
}

// How reports and scenario files name a request: `17.1/compact_write(3,2)#4`; `(tree,level)` only
// where there is a tree. The first of its kind is #0.
std::string tag_text(IoTag tag, u32 n);
std::string request_text(const Attribution& attribution, IoTag tag, u32 n);

struct Digests {
  u64 answers = 0;
  u64 digest = 0;
  friend bool operator==(const Digests&, const Digests&) = default;
};

class Trace {
 public:
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  void reset();  // For the next run; keeps its memory and the listener.

  void record(u64 tick, EventKind kind, u64 a, u64 b, u64 c) {
    Event& event = ring_[count_ % ring_size];
    event = {.tick = tick, .a = a, .b = b, .c = c, .kind = kind, .reserved = 0};
    ++count_;
    if (kind <= EventKind::answer) add_answer(event);
    if (count_ % fold_size == 0) fold();
    if (listener_ != nullptr) listener_(listener_context_, count_ - 1, event);
  }

  u64 count() const { return count_; }  // Events so far.
  Digests digests();                    // Of the events so far; recording may go on.

  // The last events, oldest first, at most `limit`.
  std::vector<Event> tail(u32 limit) const;
  static std::string describe(const Event& event);

  // When set, every event is also handed to it (diff, --trace).
  void set_listener(void* context, void (*listener)(void*, u64 index, const Event&));

 private:
  static constexpr u32 ring_size = 1024;
  static constexpr u32 fold_size = 256;  // Events per bulk hash: still in the first-level cache.
  static_assert(ring_size % fold_size == 0);
  struct States;

  void fold();  // Hashes the events [folded_, count_).
  void add_answer(const Event& event);
  void fold_answers();

  std::array<Event, ring_size> ring_;
  // Serialised, and not folded yet: what an answer needs of its event.
  std::array<std::array<u64, 4>, fold_size> answers_;
  u32 answer_count_ = 0;
  u64 count_ = 0;
  u64 folded_ = 0;
  std::unique_ptr<States> states_;
  void* listener_context_ = nullptr;
  void (*listener_)(void*, u64, const Event&) = nullptr;
};

}  // namespace tonearm::sim
