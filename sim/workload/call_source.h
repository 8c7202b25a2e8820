// Generates the lines of a component workload from its alphabet.
//
// A seed is a sequence of phases of `phase_lines` lines; each phase has weights of its own, so that
// some verbs are missing from it and others crowd, and a few numbers that it repeats.
#pragma once

#include <vector>

#include "sim/scenario/verb.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

class CallSource final : public OperationSource {
 public:
  CallSource(const Alphabet& alphabet, u64 seed, const RunOptions& options);

  u64 count() const override { return count_; }
  void at(u64 index, Operation* operation) const override;

 private:
  void weigh(u64 phase) const;
  u64 draw(const VerbArgument& argument, u64 random, u64 phase) const;

  const Alphabet* alphabet_;
  Stream lines_;
  Stream weights_;
  Stream repeated_;
  u64 count_;
  u64 phase_lines_;
  std::vector<bool> present_;  // In this seed.

  // Of the phase asked for last: a memo.
  mutable u64 phase_ = u64_max;
  mutable std::vector<u64> sums_;  // Of the weights up to and with each verb.
};

}  // namespace tonearm::sim
