// A second engine on a copy of an image: what it does leaves the run, its disk and its caches alone.
#pragma once

#include "sim/run/player.h"

namespace tonearm::sim {

// Nothing crashes it, and it must not get stuck either.
class ShadowInterrupt final : public Interrupt {
 public:
  explicit ShadowInterrupt(bool resource) : resource_(resource) {}
  void before_step() override {}
  void stuck(const char* why) override;
  void exceeded(const char* bound, const std::string& message) override;

 private:
  bool resource_;
};

// The disk of a shadow: nothing happens to it.
DiskOptions shadow_disk(const RunOptions& options);

class Shadow {
 public:
  // `resource`: bounds are looked at. `mirrored`: with both sides, or the first one has to do alone.
  Shadow(const World& world, const Image& image, const RunOptions& options, EngineMemory& memory,
         bool resource, u64 poison, bool mirrored = false);
  ~Shadow() { disk_.crash({}); }
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;

  EngineHost& host() { return host_; }
  // One bit of a block changes on the disk. `byte`: of the part that is written.
  void flip(u64 address, u64 byte, u32 bit, bool mirror = false);

 private:
  ShadowInterrupt interrupt_;
  SimStorage disk_;
  EngineHost host_;
};

}  // namespace tonearm::sim
