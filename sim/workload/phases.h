// A run is a sequence of phases of `phase_lines` lines, in which the writes share a manner and a range of
// numbers: load, hotspot, mass delete, delete and insert again, quiet, ascending, descending, new minimum,
// new maximum, mixed. Numbers stand for keys; what a number means is the generator's business.
#pragma once

#include "sim/disk/keyed.h"
#include "sim/scenario/run_options.h"
#include "sim/workload/line_stream.h"

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

struct PhaseRange {
  Phase kind;
  u64 at;    // Lines since the phase began.
  u64 from;  // Numbers.
  u64 length;
};

class Phases {
 public:
  Phases(u64 seed, const RunOptions& options, const Reseeds& reseeds);

  PhaseRange at(u64 index) const;
  // The number that a line of the phase takes if no bias meddles.
  u64 number(const PhaseRange& phase, u64 random) const;
  u64 universe() const { return universe_; }
  // Of a phase that deletes first and inserts then: its first half.
  bool deleting(const PhaseRange& phase) const { return phase.at < half_; }

 private:
  LineStream phases_;
  u64 ops_;
  u64 lines_;
  u64 half_;
  u64 universe_;
  u32 mask_;  // Which phases occur.
};

}  // namespace tonearm::sim
