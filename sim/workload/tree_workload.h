// The generator of the `tree` workload: line i of a run as a pure function of (seed, options, i).
//
// Nothing is remembered from line to line, so what a stateful generator would know is arranged to be
// computable instead:
//
//   chunk    `period` lines with one commit, usually the last, and at most one scope before it.
//   phase    `phase_lines` lines in which the writes share a manner and a range of keys: load,
//            hotspot, mass delete, delete and insert again, quiet, ascending, descending, new minimum,
//            new maximum, mixed.
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

#include "sim/workload/key_space.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

enum class Phase : u8 {
  load,
  hotspot,
  mass_delete,
  reinsert,
  quiet,
  ascending,
  descending,
  new_minimum,
  new_maximum,
  mixed,
};
inline constexpr u32 phase_count = 10;
const char* phase_name(Phase phase);

class TreeSource final : public OperationSource {
 public:
  TreeSource(u64 seed, const RunOptions& options);

  u64 count() const override { return options_.ops; }
  void at(u64 index, Operation* operation) const override;

  Phase phase_at(u64 index) const { return phase_of(index).kind; }
  const KeySpace& keys() const { return keys_; }

 private:
  struct Chunk {
    u64 commit;  // Positions in the chunk; period: there is none.
    u64 scope_begin;
    u64 scope_end;
    u64 random;
  };
  struct PhaseRange {
    Phase kind;
    u64 at;    // Lines since the phase began.
    u64 from;  // Numbers of keys.
    u64 length;
  };
  // What a read or a write wants to be, before keys are chosen.
  struct Wish {
    OperationKind kind;
    TreeName tree;
  };

  Chunk chunk_of(u64 chunk) const;
  PhaseRange phase_of(u64 index) const;

  bool commit_or_scope(u64 index, Operation* operation, bool* in_scope) const;
  bool rare(u64 index, u64 random, Operation* operation) const;
  u64 rare_drawn(u64 index) const;
  bool storm(u64 index, u64 random, Operation* operation) const;
  void crash(u64 random, bool follows, Operation* operation) const;
  void reopen(u64 random, Operation* operation) const;
  bool ladder(u64 index, bool in_scope, Operation* operation) const;
  bool index_write(u64 index, Operation* operation) const;
  void read_or_write(u64 index, u64 random, bool in_scope, Operation* operation) const;
  Wish wish_of(const PhaseRange& phase, u64 random) const;
  OperationKind phase_kind(const PhaseRange& phase, OperationKind kind, u64 random) const;

  u64 index_number(u64 ordinal, u64* visit) const;
  u64 plain_number(const PhaseRange& phase, u64 random) const;
  Key chosen_key(u64 index, const PhaseRange& phase, TreeName tree, u64 random, bool read) const;
  Key recent_key(u64 index, TreeName tree, u64 random) const;
  Key removed_key(u64 index, TreeName tree, u64 random) const;
  void scan(u64 index, const PhaseRange& phase, u64 random, Operation* operation) const;
  TreeName victim(u64 number, u64* key) const;

  RunOptions options_;
  KeySpace keys_;
  Stream lines_;
  Stream chunks_;
  Stream phases_;
  Stream ladders_;
  u64 rare_seed_;

  // Derived once.
  u64 period_ = 0;        // Lines of a chunk; 0: no commits.
  u64 total_ = 0;         // Sum of the weights of what is drawn line by line.
  u64 writes_total_ = 0;  // Of it: writes to kv and id.
  u64 rare_total_ = 0;    // Weights of all lines, the measure of the rare ones.
  Ratio scope_chance_{};  // Of a chunk.
  Ratio times_chance_{};  // Of a commit.
  u64 times_max_ = 2;
  u32 phase_mask_ = 0;    // Which phases occur.
  u64 ladder_lines_ = 0;  // 0: no ladders.
  u64 index_every_ = 0;   // Every so many lines one writes into the index; 0: none do.
  u64 index_visits_ = 1;  // In a row, odd.
  u64 index_cycles_ = 1;  // Over a window before the next one, odd.
  u64 index_window_ = 1;
  u64 index_windows_ = 1;
  std::array<u16, 8> reopen_settings_{};
  u32 reopen_setting_count_ = 0;
};

}  // namespace tonearm::sim
