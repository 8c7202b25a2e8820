#include "sim/disk/trace.h"

// The streaming state is declared only on request.
#define XXH_STATIC_LINKING_ONLY
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"

#ifdef TONEARM_XXHASH_DISPATCHES
// As in xxh_x86dispatch.h, which cannot be included beside the functions that are inline.
extern "C" XXH_errorcode XXH3_64bits_update_dispatch(XXH3_state_t* state, const void* input,
                                                     std::size_t size);
#endif

namespace tonearm::sim {

namespace {

u64 little(u64 value) {
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

void update(XXH3_state_t& state, const void* data, std::size_t size) {
#ifdef TONEARM_XXHASH_DISPATCHES
  ASSERT(XXH3_64bits_update_dispatch(&state, data, size) == XXH_OK);
#else
  ASSERT(XXH3_64bits_update(&state, data, size) == XXH_OK);
#endif
}

}  // namespace

struct Trace::States {
  XXH3_state_t answers;
  XXH3_state_t all;
};

const char* event_name(EventKind kind) {
  switch (kind) {
    case EventKind::operation: return "operation";
    case EventKind::answer: return "answer";
    case EventKind::submit_read: return "submit_read";
    case EventKind::submit_write: return "submit_write";
    case EventKind::submit_sync: return "submit_sync";
    case EventKind::complete_read: return "complete_read";
    case EventKind::complete_write: return "complete_write";
    case EventKind::complete_sync: return "complete_sync";
    case EventKind::next_tick_drain: return "next_tick_drain";
    case EventKind::fault: return "fault";
    case EventKind::crash: return "crash";
    case EventKind::decision: return "decision";
  }
  UNREACHABLE();
}

std::string tag_text(IoTag tag, u32 n) {
  const char* purpose = io_purpose_name(tag.purpose);
  if (tag.tree == 0 && tag.level == 0) return fmt::format("{}#{}", purpose, n);
  return fmt::format("{}({},{})#{}", purpose, tag.tree, tag.level, n);
}

std::string request_text(const Attribution& attribution, IoTag tag, u32 n) {
  std::string text = fmt::format("{}", attribution.op.number);
  if (attribution.op.child != 0) text += fmt::format(".{}", attribution.op.child);
  if (attribution.context != 0) text += fmt::format("@{:x}", attribution.context);
  return text + "/" + tag_text(tag, n);
}

Trace::Trace() : states_(std::make_unique<States>()) { reset(); }

Trace::~Trace() = default;

void Trace::reset() {
  answer_count_ = 0;
  count_ = 0;
  folded_ = 0;
  ASSERT(XXH3_64bits_reset(&states_->answers) == XXH_OK);
  ASSERT(XXH3_64bits_reset(&states_->all) == XXH_OK);
}

// On a little-endian machine an event already is its serialisation: five words, the last of them
// kind and reserved, without padding. Elsewhere it is written out word by word.
void Trace::fold() {
  ASSERT(count_ - folded_ <= fold_size);
  while (folded_ < count_) {
    const u64 begin = folded_ % ring_size;
    const u64 count = std::min(count_ - folded_, ring_size - begin);
    if constexpr (std::endian::native == std::endian::little) {
      update(states_->all, &ring_[begin], count * sizeof(Event));
    } else {
      for (u64 i = begin; i < begin + count; ++i) {
        const Event& event = ring_[i];
        const u64 kind = static_cast<u64>(event.kind);
        const u64 words[5] = {little(event.tick), little(event.a), little(event.b), little(event.c),
                              little(kind)};
        update(states_->all, words, sizeof words);
      }
    }
    folded_ += count;
  }
}

void Trace::add_answer(const Event& event) {
  answers_[answer_count_++] = {little(static_cast<u64>(event.kind)), little(event.a), little(event.b),
                               little(event.c)};
  if (answer_count_ == answers_.size()) fold_answers();
}

void Trace::fold_answers() {
  update(states_->answers, answers_.data(), answer_count_ * sizeof answers_[0]);
  answer_count_ = 0;
}

Digests Trace::digests() {
  fold();
  fold_answers();
  return {.answers = XXH3_64bits_digest(&states_->answers), .digest = XXH3_64bits_digest(&states_->all)};
}

std::vector<Event> Trace::tail(u32 limit) const {
  const u64 count = std::min({u64{limit}, count_, u64{ring_size}});
  std::vector<Event> events;
  events.reserve(count);
  for (u64 i = count_ - count; i < count_; ++i) events.push_back(ring_[i % ring_size]);
  return events;
}

std::string Trace::describe(const Event& event) {
  const std::string head = fmt::format("{:>8} {}", event.tick, event_name(event.kind));
  // What a listener or a test hands in need not come from pack_tag.
  const auto tag = [&event]() -> std::string {
    const u8 purpose = static_cast<u8>(event.c);
    if (purpose >= io_purpose_count) return fmt::format("tag={:#x}", event.c);
    return tag_text({.purpose = static_cast<IoPurpose>(purpose),
                     .level = static_cast<u8>(event.c >> 8),
                     .tree = static_cast<u16>(event.c >> 16)},
                    static_cast<u32>(event.c >> 32));
  };
  switch (event.kind) {
    case EventKind::operation:
      if (event.b == 0) return fmt::format("{} {} kind={}", head, event.a, event.c);
      return fmt::format("{} {}.{} kind={}", head, event.a, event.b, event.c);
    case EventKind::submit_read:
    case EventKind::submit_write:
    case EventKind::submit_sync:
      return fmt::format("{} {} offset={} length={}", head, tag(), event.a, event.b);
    case EventKind::complete_read:
    case EventKind::complete_write:
    case EventKind::complete_sync:
      return fmt::format("{} {} offset={} {}", head, tag(), event.a, event.b == 0 ? "ok" : "failed");
    case EventKind::next_tick_drain: return fmt::format("{} callbacks={}", head, event.a);
    case EventKind::fault:
      return fmt::format("{} kind={} offset={} detail={:#x}", head, event.a, event.b, event.c);
    case EventKind::crash: return fmt::format("{} step={} undecided={}", head, event.a, event.b);
    case EventKind::answer:
    case EventKind::decision: return fmt::format("{} {:#x} {:#x} {:#x}", head, event.a, event.b, event.c);
  }
  UNREACHABLE();
}

void Trace::set_listener(void* context, void (*listener)(void*, u64, const Event&)) {
  listener_context_ = context;
  listener_ = listener;
}

}  // namespace tonearm::sim
