// Guidance without a compiler's help: a run that hits a mark which few seeds hit goes on from there several
// times, each time as another seed would.
//
// The process of the run forks between two lines, so what came before is not played again. A branch is the
// run of `--seed N --reseed ID:S` to the bit: its source has that line from then on, and its own twins and
// second runs play all of it. Branches do not branch.
#pragma once

#include <array>
#include <optional>

#include "sim/run/reached.h"
#include "sim/workload/reseeded_source.h"

namespace tonearm::sim {

// What a campaign wishes of one run.
struct Guidance {
  u32 branches_max = 0;                             // 0: none.
  std::array<u64, (mark_count + 63) / 64> marks{};  // Bit by mark: those worth it.

  void want(Mark mark) { marks[static_cast<u32>(mark) / 64] |= u64{1} << static_cast<u32>(mark) % 64; }
};

class Guide final : public Reached {
 public:
  // Of a branch that has died nothing else is left.
  struct Death {
    Reseed branch;
    int status = 0;
    u64 cpu_micros = 0;
  };
  using OnDeath = void (*)(void* context, const Death& death);

  Guide(const Guidance& wish, u64 seed, ReseededSource& source) : wish_(wish), seed_(seed), source_(source) {}
  void set_death(void* context, OnDeath on_death) {
    death_context_ = context;
    on_death_ = on_death;
  }
  // Called in a branch as soon as it lives: timers do not survive a fork.
  void set_birth(void (*on_birth)()) { on_birth_ = on_birth; }

  const std::optional<Reseed>& branch() const { return branch_; }  // This process is one.

  void mark_hit(Mark mark) override;
  void level_holds(u32 /*tree*/, u32 /*level*/, u64 /*tables*/) override {}
  void line_ends(u64 next) override;

 private:
  void begin_branch(u64 next);

  Guidance wish_;
  u64 seed_;
  ReseededSource& source_;
  void* death_context_ = nullptr;
  OnDeath on_death_ = nullptr;
  void (*on_birth_)() = nullptr;
  bool pending_ = false;
  u32 branches_ = 0;
  std::optional<Reseed> branch_;
};

}  // namespace tonearm::sim
