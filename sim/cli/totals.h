// What a campaign adds up.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/cli/json.h"
#include "sim/cli/worker.h"

namespace tonearm::sim {

struct SignatureTotal {
  Failure failure;  // Of the first seed that came.
  Job first;
  u64 count = 0;
  std::string file;  // The scenario.
  std::string reproduce;
};

// How soon the seeds of a campaign hit a mark.
class MarkTotal {
 public:
  void add(u64 hits, u64 first);
  u64 hits() const { return hits_; }
  u64 seeds() const { return seeds_; }
  // Lines after which half of the seeds that ever hit it had, rounded up to a quarter of a power of two.
  u64 first_median() const;

 private:
  u64 hits_ = 0;
  u64 seeds_ = 0;  // That hit it.
  std::array<u32, 256> first_{};
};

struct Totals {
  u64 seeds = 0;  // Played.
  u64 failed = 0;
  u64 impossible = 0;          // Not played: the overrides do not fit to what the seed drew.
  std::string impossible_why;  // Of the first.
  std::map<u32, SignatureTotal> signatures;
  RunCounters counters;  // Sums.
  FaultCounts faults_fired;
  FaultCounts faults_armed;
  FaultCounts faults_expected;
  std::array<MarkTotal, mark_count> marks{};
  std::array<u64, variation_count> variations_fired{};
  std::array<u64, variation_count> variations_armed{};
  std::vector<u64> ops;       // Of each seed.
  u64 committing = 0;         // Seeds of workloads that commit: the shares below are of these.
  u64 second_checkpoint = 0;  // Of those, seeds that took two or more.
  u64 merged_level1 = 0;      // Of those, seeds with a merge into level 1 or deeper.
  u64 cpu_micros = 0;
  u64 canary_wrong = 0;  // Seeds of the canary that failed and should not have, or the other way round.
  u64 canary_expected = 0;

  // Of a guided campaign. In nothing above but the signatures.
  struct Branches {
    u64 played = 0;
    u64 failed = 0;
    u64 lines = 0;                        // That they have played themselves.
    u64 cpu_micros = 0;                   // Of all they did: their twins begin at the beginning.
    std::array<u64, mark_count> marks{};  // How many hit it.
  };
  Branches branches;

  void add(const Outcome& outcome);  // All but the signatures.
  void add_branch(const Outcome& outcome);
  u64 branches_new_marks() const;  // Hit by no seed.
  u64 marks_hit() const;
  u64 ops_median() const;
  // Fault kinds that could have fired over many seeds, and never did.
  std::vector<std::string> silent_faults() const;
  // The same of variation points.
  std::vector<std::string> silent_variations() const;

  std::string text() const;
  std::string mark_words(Mark mark) const;  // Hits, share of the seeds, how soon.
  JsonFields json() const;
};

}  // namespace tonearm::sim
