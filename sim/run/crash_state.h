// What a crash leaves: a durable image, and above it tear units of which nobody knows yet what they hold.
//
// Every write that was not durable may have reached the medium in any of its tear units, and one unit of
// it may be garbage, or its sector unreadable. Nothing of that is decided before a recovery reads the unit:
// then it holds what was there, what one of the writes brought, or garbage, or the read fails, and the
// recovery goes another way for each. A unit that the recovery overwrites is decided silently. Recovery is
// deterministic, so two outcomes that agree on all that is read are one, and walking the tree of decisions
// meets each different one once. (After CHESS and its kin: stateless search, which plays from the start again
// for every path.)
//
// Contents that are equal are no decision: most of a superblock copy is. Nor is garbage where nobody has
// ever written: what was there is arbitrary already. A read that fails brings nothing, so it decides nothing
// but which sector has failed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/disk/sim_storage.h"
#include "sim/run/sweep.h"

namespace tonearm::sim {

struct UndecidedWrite {
  static constexpr u32 carried = ~u32{0};

  u32 number = carried;  // As a crash line counts; `carried`: of a crash before this one.
  u64 offset = 0;
  std::vector<std::byte> data;
  std::string name;
};

class CrashState {
 public:
  struct Unit {
    u64 offset = 0;
    u32 first = 0;  // Of those in candidates(): the writes that have it, oldest first.
    u32 count = 0;
  };

  // Of what a crash of this disk would leave now.
  explicit CrashState(SimStorage& disk);

  // Still undecided from an earlier crash, and older than everything else.
  void carry(const CrashState& before, const Unit& unit);
  void index();  // All are added.

  const Image& durable() const { return durable_; }
  u32 unit_size() const { return unit_size_; }
  std::span<const UndecidedWrite> writes() const { return writes_; }
  std::span<const Unit> units() const { return units_; }  // By offset.
  // By offset: sectors that could not be read before the crash, and can be only if a write has landed.
  std::span<const u64> unreadable() const { return unreadable_; }
  u32 sector_size() const { return sector_size_; }
  u32 writer(const Unit& unit, u32 i) const { return candidates_[unit.first + i]; }
  std::span<const std::byte> bytes(const Unit& unit, u32 i) const;
  // The first unit at or behind this offset.
  u32 lower_bound(u64 offset) const;

 private:
  Image durable_;
  u32 unit_size_;
  u32 sector_size_;
  std::vector<u64> unreadable_;
  std::vector<UndecidedWrite> carried_;
  std::vector<UndecidedWrite> writes_;
  std::vector<Unit> units_;
  std::vector<u32> candidates_;  // Indices into writes_.
};

// The decisions of one recovery, in the order in which they come up. Depth first: choose() gives the first
// alternative wherever the path has not led before, next() turns to the last one not exhausted.
class DecisionPath {
 public:
  void begin() { at_ = 0; }
  u32 choose(u32 alternatives);
  bool leads_on() const { return at_ < forks_.size(); }  // Where an earlier recovery has been, too.
  bool next();                                           // False: all have been walked.
  // From now on every choice is drawn, keyed by this.
  void sample(u64 key) {
    sampled_ = true;
    key_ = key;
  }
  // This path again, and nothing but the first alternative behind it.
  DecisionPath fixed() const;
  // The first choices of this one again, and everything behind them.
  DecisionPath beginning(u64 choices) const;
  u64 choices() const { return at_; }  // Made since begin().
  bool sampled() const { return sampled_; }

 private:
  struct Fork {
    u32 chosen;
    u32 alternatives;
  };
  std::vector<Fork> forks_;
  u64 kept_ = 0;  // Of them, those that stay as they are.
  u64 at_ = 0;
  bool sampled_ = false;
  u64 key_ = 0;
};

// What was decided of a state so far.
class Decisions {
 public:
  explicit Decisions(const CrashState& state) : state_(&state), decided_(state.units().size()) {}

  // The units in [begin, end) that are not decided: settles each on the disk.
  void read(SimStorage& disk, DecisionPath& path, u64 begin, u64 end);
  void overwritten(u64 begin, u64 end);   // Decided silently, for whoever reads; not for another crash.
  void made_durable(u64 begin, u64 end);  // And for that, too.

  bool any_garbage() const { return garbage_; }
  bool any_unreadable() const { return unreadable_; }
  u64 hash() const { return hash_; }
  // What another crash finds undecided still.
  void carry_into(CrashState* next) const;
  void publish(SweepPoint* point) const;
  std::string text() const;  // One line a decision.

 private:
  enum class Known : u8 { nothing, covered, gone, read };
  struct Made {
    u32 unit;
    u32 chosen;  // 0: what was there; i: what the i-th write brought; `garbage`, `unreadable`.
  };
  static constexpr u32 garbage_chosen = ~u32{0};
  static constexpr u32 unreadable_chosen = garbage_chosen - 1;

  // A sector that is read now, and of which not all is decided.
  struct Sector {
    u64 begin;
    u32 first;        // Of its units.
    bool unreadable;  // It was before the crash.
  };
  bool fails(SimStorage& disk, DecisionPath& path, u64 begin, u64 end);
  void make_unreadable(SimStorage& disk, const Sector& sector);
  bool spoilt(u32 unit) const;
  u32 newest(u32 unit) const;
  void decide(SimStorage& disk, DecisionPath& path, u32 unit);
  void mark(u64 begin, u64 end, Known known);

  const CrashState* state_;
  std::vector<Known> decided_;
  std::vector<Made> made_;
  std::vector<u32> spoilt_;      // Writes that have their unit of garbage, or that cannot be read.
  std::vector<u64> written_;     // Sectors that were unreadable before and are not: a write has landed there.
  std::vector<Sector> sectors_;  // Scratch,
  std::vector<u32> choices_;     // and that of decide().
  bool garbage_ = false;
  bool unreadable_ = false;
  u64 hash_ = 0;
};

}  // namespace tonearm::sim
