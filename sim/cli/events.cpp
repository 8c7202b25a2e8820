#include "sim/cli/events.h"

#include <fmt/format.h>

#include <algorithm>

namespace tonearm::sim {

namespace {

constexpr u64 common_events = 20;

bool same(const Event& a, const Event& b) {
  return a.tick == b.tick && a.kind == b.kind && a.a == b.a && a.b == b.b && a.c == b.c;
}

}  // namespace

void EventRecorder::listen(void* context, u64 index, const Event& event) {
  EventRecorder* self = static_cast<EventRecorder*>(context);
  (void)index;
  if (self->events_.size() < events_recorded_max) self->events_.push_back(event);
  ++self->count_;
}

void EventComparer::listen(void* context, u64 index, const Event& event) {
  (void)index;
  static_cast<EventComparer*>(context)->feed(event);
}

void EventComparer::feed(const Event& event) {
  const u64 index = count_++;
  if (difference_ || index >= events_recorded_max) return;
  if (index < first_->events().size() && same(first_->events()[index], event)) return;
  difference_ = index;
  other_ = event;
}

std::string EventComparer::describe(const char* first_name, const char* second_name) const {
  if (equal()) return fmt::format("{} events, all the same\n", count_);
  const std::vector<Event>& events = first_->events();
  const u64 compared = std::min<u64>(count_, events.size());
  const u64 at = difference_.value_or(compared);
  std::string text = fmt::format("events 0 to {} are the same; the last of them:\n", at);
  if (at == 0) text = "no event is the same\n";
  for (u64 i = at - std::min(at, common_events); i < at; ++i) {
    text += fmt::format("  {} {}\n", i, Trace::describe(events[i]));
  }
  const std::string beyond = count_ == first_->count() ? "(beyond what is recorded)" : "the run has ended";
  const std::string mine = at < events.size() ? Trace::describe(events[at]) : beyond;
  const std::string other = difference_ ? Trace::describe(other_) : beyond;
  text += fmt::format("event {}:\n  {}: {}\n  {}: {}\n", at, first_name, mine, second_name, other);
  return text;
}

}  // namespace tonearm::sim
