// What components have in common whose disk crashes: a process on it that waits for what it has begun, is
// struck in between, and is begun anew on what is left.
#pragma once

#include <span>
#include <string>

#include "base/callback.h"
#include "sim/component/component.h"

namespace tonearm::sim {

class DiskComponent : public Component {
 public:
  SimStorage* disk() final { return &disk_; }

 protected:
  explicit DiskComponent(Referee& referee)
      : referee_(&referee), disk_(referee.pages(), referee.options().disk, &referee.trace()) {}

  virtual void drop() = 0;                          // The process ends; the disk stays as it is.
  virtual void crash();                             // And loses what is not durable.
  virtual std::string story() const { return {}; }  // Beside the message of a failure.

  // For what is begun; then it must be waited for. False: a crash struck.
  Callback<> callback() {
    done_ = false;
    return Callback<>::to<&DiskComponent::on_done>(this);
  }
  bool wait(const char* what);
  // False: a crash struck; or the sync failed, what it covers may be lost, and the process is over.
  bool sync();

  // Instead of the one that was armed before and has not struck.
  void arm_crash(u64 steps);
  void disarm_crash();

  // Into the disk, while nothing is in flight.
  void write_at_rest(Zone zone, u64 offset, std::span<const std::byte> bytes);

  template <class Message>
  void require(bool holds, FailureClass failure_class, const char* site, Message message) {
    ++referee_->counters().checks;
    if (!holds) referee_->fail(failure_class, site, message(), story());
  }
  template <class Message>
  void require(bool holds, const char* site, Message message) {
    require(holds, FailureClass::oracle, site, message);
  }

  Referee* referee_;
  SimStorage disk_;

 private:
  bool pump();
  void on_done() { done_ = true; }
  void on_sync(Storage::Sync&) { done_ = true; }

  bool done_ = false;
  Storage::Sync sync_;
};

}  // namespace tonearm::sim
