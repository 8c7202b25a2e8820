#include "sim/component/disk_component.h"

#include "base/assert.h"

namespace tonearm::sim {

void DiskComponent::crash() {
  disk_.crash(disk_.attribution());
  drop();
}

bool DiskComponent::wait(const char* what) {
  require(!done_, "done inside the call", [&] { return what; });
  return pump();
}

bool DiskComponent::pump() {
  try {
    referee_->pump(disk_, done_);
  } catch (const Referee::Struck&) {
    ++referee_->counters().crashes;
    crash();
    return false;
  }
  return true;
}

bool DiskComponent::sync() {
  sync_ = Storage::Sync{.tag = {.purpose = IoPurpose::checkpoint_sync},
                        .done = Callback<Storage::Sync&>::to<&DiskComponent::on_sync>(this)};
  disk_.sync(sync_);
  if (!pump()) return false;
  if (sync_.result != IoResult::failed) return true;
  ++referee_->counters().checkpoints_failed;
  crash();
  return false;
}

void DiskComponent::arm_crash(u64 steps) {
  disarm_crash();
  referee_->arm_crash(disk_, steps);
}

void DiskComponent::disarm_crash() {
  if (referee_->disarm_crash()) ++referee_->counters().crashes_unfired;
}

void DiskComponent::write_at_rest(Zone zone, u64 offset, std::span<const std::byte> bytes) {
  bool done = false;
  Storage::Write write{.buffer = bytes,
                       .offset = offset,
                       .zone = zone,
                       .durability = Durability::on_completion,
                       .tag = {.purpose = IoPurpose::audit},
                       .done = Callback<Storage::Write&>::plain(
                           &done, [](void* flag, Storage::Write&) { *static_cast<bool*>(flag) = true; })};
  disk_.write(write);
  while (!done) ASSERT(disk_.step());
}

}  // namespace tonearm::sim
