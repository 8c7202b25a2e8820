// Plays a component workload: the referee of a component (component/component.h).
#pragma once

#include <memory>

#include "sim/component/component.h"
#include "sim/run/player.h"
#include "sim/run/runner.h"

namespace tonearm::sim {

class ComponentRun final : public ActiveRun, private Referee {
 public:
  ComponentRun(const RunConfig& config, RunnerMemory& memory);
  ~ComponentRun();
  ComponentRun(const ComponentRun&) = delete;
  ComponentRun& operator=(const ComponentRun&) = delete;

  RunResult play();
  RunResult fatal(const AssertFailure& assertion) override;
  const RunConfig& config() const override { return *config_; }

 private:
  [[noreturn]] void fail(FailureClass failure_class, std::string site, std::string message,
                         std::string story) override;
  void answer(u64 a, u64 b) override;
  void pump(SimStorage& disk, bool& done) override;
  void arm_crash(SimStorage& disk, u64 steps) override;
  bool disarm_crash() override;

  void play_lines();
  void check_bounds(std::string_view where);
  void count_disk();
  u64 now();
  std::string last_lines();

  const RunConfig* config_;
  std::unique_ptr<Component> component_;
  Operation line_;
  u64 index_ = 0;
  u64 allocations_before_ = 0;  // By runs that are over.
  u64 step_crash_ = u64_max;    // Of the disk: the crash strikes before it.
};

}  // namespace tonearm::sim
