// Two runs that should be the same, compared event by event.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/run/runner.h"

namespace tonearm::sim {

// Memory ends somewhere: what comes after these is compared by the digests alone.
inline constexpr u64 events_recorded_max = u64{1} << 22;

class EventRecorder {
 public:
  static void listen(void* context, u64 index, const Event& event);

  const std::vector<Event>& events() const { return events_; }
  u64 count() const { return count_; }

 private:
  std::vector<Event> events_;
  u64 count_ = 0;
};

class EventComparer {
 public:
  explicit EventComparer(const EventRecorder& first) : first_(&first) {}

  static void listen(void* context, u64 index, const Event& event);
  void feed(const Event& event);
  // After the last event. `names`: what the two runs are called.
  bool equal() const { return !difference_ && first_->count() == count_; }
  std::string describe(const char* first_name, const char* second_name) const;

 private:
  const EventRecorder* first_;
  u64 count_ = 0;
  std::optional<u64> difference_;
  Event other_{};
};

}  // namespace tonearm::sim
