// For tests that drive an engine by hand: nothing strikes it, and what a run would judge is thrown.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "sim/run/engine_host.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

struct StrictInterrupt final : Interrupt {
  void before_step() override {}
  void stuck(const char* why) override { throw std::string(why); }
  void exceeded(const char*, const std::string& message) override { throw message; }
};

// Tables of 16 values in blocks of 2; checkpoints after ops 11, 19, 27, ... of those up to 7, 15, 23, ...
inline RunOptions host_options() {
  RunOptions options;
  options.format = {.sector_size = 512,
                    .block_size = 1024,
                    .levels = 4,
                    .growth = 2,
                    .beats = 4,
                    .checkpoint_interval = 8,
                    .batch_values_max = 4,
                    .values_per_block_max = 2};
  options.runtime.blocks_count = 1024;
  options.runtime.cache_blocks = 64;
  finish_options(&options);
  return options;
}

// A host over a disk of its own, formatted and open.
class TestHost {
 public:
  explicit TestHost(const World& world = world_tree, const RunOptions& options = host_options())
      : world_(world), options_(options), disk_(pages_, options.disk, nullptr) {
    REQUIRE_FALSE(engine_validate(world, options));
    begin();
    REQUIRE_FALSE(host_->format());
    open();
  }
  ~TestHost() { disk_.crash({}); }
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  EngineHost& operator*() { return *host_; }
  EngineHost* operator->() { return &*host_; }
  Forest& forest() { return host_->forest(); }
  // What a crash now would leave.
  const Image& durable_image() const { return disk_.durable_image(); }

  // Another engine opens it.
  void crash() {
    disk_.crash({});
    begin();
    open();
  }
  // The next op, and a checkpoint if one is due, whose blocks are reusable at once: when the op is replayed,
  // too.
  void commit() {
    const u64 op = forest().op() + 1;
    REQUIRE_FALSE(host_->compact(op));
    if (forest().checkpoint_due(op)) REQUIRE_FALSE(host_->checkpoint());
    if (!forest().checkpoint_durable() && op >= trigger()) host_->mark_checkpoint_durable();
  }
  // Of the replay up to the trigger of the checkpoint that was opened nothing is compacted.
  bool compacts() { return forest().checkpoint_op() == 0 || forest().op() > trigger(); }

 private:
  void begin() { host_.emplace(world_, disk_, options_, memory_, interrupt_, 0); }
  void open() {
    REQUIRE_FALSE(host_->open());
    if (forest().checkpoint_op() == 0) host_->mark_checkpoint_durable();
  }
  u64 trigger() { return forest().checkpoint_op() + options_.format.beats; }

  World world_;
  RunOptions options_;
  StrictInterrupt interrupt_;
  EngineMemory memory_;
  PageStore pages_;
  SimStorage disk_;
  std::optional<EngineHost> host_;
};

}  // namespace tonearm::sim
