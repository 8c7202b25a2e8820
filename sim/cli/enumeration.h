// Small scope: a starting scenario with every program behind it, crossed with crash points and orders.
//
// Each program is played as it is; again under other orders in which the disk completes requests; and again
// with a crash before every step of the event loop that its lines take, each three times: the writes in
// flight and in the disk's cache lost, landed, and as the crash's key draws for each.
//
// Crash points are left out that leave the same as the one before. The engine's memory is gone in a crash. So
// two points are equal if between them no write was submitted or completed, no sync was, no line or op began,
// which the log of ops would remember, and no checkpoint became the one that must be found: then what was
// read, or which callbacks ran, is all that differs. And where nothing is undecided, the three ways of losing
// it are one.
//
// Orders: the usual one is first in first out. Of the requests that are in flight at the same time, the
// oldest few complete in every order, by latencies that lines ask for; in every combination of the orders of
// all such sets of a program, or, where that would be too many, one set reordered at a time. A set is what is
// in flight when something completes and something was submitted since the last completion: between two
// submissions the sets are subsets of the first one, and their orders are among its own. Requests beside
// those, and later ones, take no time, as ever. Last in first out and three drawn orders mix all sets
// besides.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bounded_array.h"
#include "sim/run/runner.h"
#include "sim/workload/small_scope.h"

namespace tonearm::sim {

struct Start {
  std::string name;
  Scenario scenario;
  std::vector<Operation> alphabet;
  std::vector<SmallProgram> programs;
};

// A request of a line of the program.
struct InFlight {
  u64 line = 0;
  u64 tag = 0;  // See pack_tag().
};
inline constexpr u32 reordered_max = 4;      // Of a set: 23 other orders.
inline constexpr u32 sets_max = 6;           // Of a program; beyond it, and beyond so many combinations,
inline constexpr u32 combinations_max = 32;  // one at a time.
using InFlightSet = BoundedArray<InFlight, reordered_max>;

// How one program is played.
struct Variant {
  enum class Kind : u32 { plain, order, reordered, crash, crash_end };
  Kind kind = Kind::plain;
  u32 way = 0;                                 // Which order; how the writes of the crash end.
  u64 step = 0;                                // crash: before so many steps.
  BoundedArray<InFlightSet, sets_max> sets{};  // reordered: as they shall complete.
};
inline constexpr u32 orders_tried = 4;
inline constexpr u32 crash_ways = 3;  // Drawn, lost, landed.

// The program as a scenario of its own, which `tonearm replay` plays.
Scenario scenario_of(const Start& start, const SmallProgram& program, const Variant& variant);

struct EnumerationCounts {
  u64 programs = 0;
  u64 steps = 0;         // Of the event loop, in the lines of programs.
  u64 crash_points = 0;  // Those of them that differ from the one before.
  u64 crash_runs = 0;
  u64 order_runs = 0;
  u64 sets = 0;       // Of requests in flight at the same time,
  u64 reordered = 0;  // and the runs in which one of them completed in another order.
  u64 runs = 0;
  u64 failed = 0;

  void add(const EnumerationCounts& other);
};

class ProgramPlayer {
 public:
  // Told before each run what is going to be played, and of each that failed; false: enough.
  struct Listener {
    virtual void plays(const SmallProgram& program, const Variant& variant) = 0;
    virtual bool failed(const Scenario& scenario, const RunResult& result) = 0;

   protected:
    ~Listener() = default;
  };

  ProgramPlayer(const Start& start, Listener& listener) : start_(&start), listener_(&listener) {}
  // All variants of one program. False: enough.
  bool play(const SmallProgram& program, EnumerationCounts* counts);

 private:
  class Steps;
  bool play_once(const SmallProgram& program, const Variant& variant, Steps* steps,
                 EnumerationCounts* counts);
  bool play_reordered(const SmallProgram& program, std::span<const InFlightSet> sets,
                      EnumerationCounts* counts);
  bool play_crash(const SmallProgram& program, Variant variant, EnumerationCounts* counts);

  const Start* start_;
  Listener* listener_;
  RunnerMemory memory_;
};

}  // namespace tonearm::sim
