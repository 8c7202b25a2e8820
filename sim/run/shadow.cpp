#include "sim/run/shadow.h"

#include <algorithm>
#include <vector>

namespace tonearm::sim {

namespace {

// What is done with a shadow engine needs little of its caches.
RunOptions shadow_options(const RunOptions& given, bool mirrored) {
  RunOptions options = given;
  options.disk.mirror = mirrored;
  options.object_cache_slots = std::min<u32>(given.object_cache_slots, 256);
  options.runtime.cache_blocks = std::min<u32>(given.runtime.cache_blocks, 256);
  return options;
}

}  // namespace

DiskOptions shadow_disk(const RunOptions& options) {
  DiskOptions disk;
  disk.sector_size = options.disk.sector_size;
  disk.block_size = options.disk.block_size;
  disk.blocks_count = options.disk.blocks_count;
  disk.mirror = options.disk.mirror;
  disk.tear_unit = options.disk.tear_unit;
  disk.policy = CompletionPolicy::fifo;
  return disk;
}

void ShadowInterrupt::stuck(const char* why) {
  Failure failure;
  failure.failure_class = FailureClass::liveness;
  failure.site = std::string("shadow: ") + why;
  failure.message = "a shadow engine on a snapshot does not complete a call";
  throw RunFailed{failure};
}

void ShadowInterrupt::exceeded(const char* bound, const std::string& message) {
  if (!resource_) return;
  Failure failure;
  failure.failure_class = FailureClass::resource;
  failure.site = std::string("shadow: ") + bound;
  failure.message = message;
  throw RunFailed{failure};
}

Shadow::Shadow(const World& world, const Image& image, const RunOptions& options, EngineMemory& memory,
               bool resource, u64 poison, bool mirrored)
    : interrupt_(resource),
      disk_(image, shadow_disk(options), nullptr),
      host_(world, disk_, shadow_options(options, mirrored), memory, interrupt_, poison) {}

// The whole block is written: of less, what lies behind would count as abandoned, and be lost where that
// reads as poison.
void Shadow::flip(u64 address, u64 byte, u32 bit, bool mirror) {
  const u64 offset = (address - 1) * disk_.options().block_size;
  std::vector<std::byte> bytes(disk_.options().block_size);
  disk_.image().read(disk_.offset_of(1, mirror) + offset, bytes);
  bytes[byte] ^= std::byte{1} << bit;
  bool done = false;
  Storage::Write write{.buffer = bytes,
                       .offset = offset,
                       .durability = Durability::on_completion,
                       .tag = {.purpose = IoPurpose::audit},
                       .done = Callback<Storage::Write&>::plain(
                           &done, [](void* flag, Storage::Write&) { *static_cast<bool*>(flag) = true; })};
  (mirror ? disk_.mirror() : disk_).write(write);
  while (!done) ASSERT(disk_.step());
}

}  // namespace tonearm::sim
