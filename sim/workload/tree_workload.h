// The generator of the `tree` workload: line i of a run as a pure function of (seed, options, i).
//
// Nothing is remembered from line to line, so what a stateful generator would know is arranged to be
// computable instead:
//
//   chunks, rare lines, phases, bursts of scans, episodes: see schedule.h, phases.h, scan_burst.h, episode.h.
//   ladder   every `ladder_lines` lines one rung for a victim: write, write again, remove, read, ...
//            with enough filler between the rungs that each version sinks.
//   index    the secondary index takes only puts of absent keys and removes of present ones. Its
//            writes are every k-th line and count themselves, in cycles over a window of keys: a
//            cycle visits each key once, and the visits of a key alternate between put and remove.
//            (Lines lost to a discarded scope, a crash or a commit make the next visit a skip.)
//   recent   the key that a line shortly before meant, computed again.
#pragma once

#include <array>
#include <memory>

#include "sim/workload/episode.h"
#include "sim/workload/key_space.h"
#include "sim/workload/phases.h"
#include "sim/workload/schedule.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

class TreeSource final : public OperationSource {
 public:
  TreeSource(u64 seed, const RunOptions& options, const Reseeds& reseeds = {});

  u64 count() const override { return options_.ops; }
  void at(u64 index, Operation* operation) const override;

  Phase phase_at(u64 index) const { return phases_.at(index).kind; }
  const KeySpace& keys() const { return keys_; }

 private:
  // What a read or a write wants to be, before keys are chosen.
  struct Wish {
    OperationKind kind;
    TreeName tree;
  };

  bool ladder(u64 index, bool in_scope, Operation* operation) const;
  bool index_write(u64 index, Operation* operation) const;
  void read_or_write(u64 index, u64 random, bool in_scope, Operation* operation) const;
  Wish wish_of(const PhaseRange& phase, u64 random) const;
  OperationKind phase_kind(const PhaseRange& phase, OperationKind kind, u64 random) const;

  u64 index_number(u64 ordinal, u64* visit) const;
  Key chosen_key(u64 index, const PhaseRange& phase, TreeName tree, u64 random, bool read) const;
  Key recent_key(u64 index, TreeName tree, u64 random) const;
  Key removed_key(u64 index, TreeName tree, u64 random) const;
  void scan(u64 index, const PhaseRange& phase, u64 random, Operation* operation) const;
  bool burst(u64 index, Operation* operation) const;
  TreeName victim(u64 number, u64* key) const;

  RunOptions options_;
  KeySpace keys_;
  LineStream lines_;
  Stream ladders_;
  Phases phases_;
  Schedule schedule_;
  Episodes episodes_;

  // Derived once.
  u64 total_ = 0;         // Sum of the weights of what is drawn line by line.
  u64 writes_total_ = 0;  // Of it: writes to kv and id.
  u64 ladder_lines_ = 0;  // 0: no ladders.
  u64 index_every_ = 0;   // Every so many lines one writes into the index; 0: none do.
  u64 index_visits_ = 1;  // In a row, odd.
  u64 index_cycles_ = 1;  // Over a window before the next one, odd.
  u64 index_window_ = 1;
  u64 index_windows_ = 1;
};

}  // namespace tonearm::sim
