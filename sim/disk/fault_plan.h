// Which faults strike which requests: by chance, from one stream for each kind keyed by the request,
// or because a line asks for it. And how often each kind could have fired, and did.
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

#include "sim/disk/disk_options.h"
#include "sim/disk/fault.h"

namespace tonearm::sim {

// Requests of the two sides of the grid differ in what they are for.
constexpr bool of_mirror(IoTag tag) {
  constexpr IoPurpose purposes[] = {IoPurpose::mirror_read, IoPurpose::mirror_write, IoPurpose::mirror_scrub,
                                    IoPurpose::mirror_sync, IoPurpose::mirror_repair};
  return std::find(std::begin(purposes), std::end(purposes), tag.purpose) != std::end(purposes);
}

// Whom a fault may strike.
struct FaultTarget {
  Attribution attribution;
  IoTag tag{};
  u32 n = 0;
  Zone zone = Zone::grid;  // A sync has none and counts for the grid.
};

class FaultPlan {
 public:
  explicit FaultPlan(const DiskOptions& options);
  void reconfigure(const DiskOptions& options);

  // A line asks for it. It stays waiting until it has struck: the request may never come, or may be one of
  // which nothing would change.
  void strike(const FiredFault& fault);
  u64 waiting() const { return asked_.size(); }

  // Nothing can strike but syncs that fail, for which no truth beside the medium is needed.
  bool only_failed_syncs() const;
  bool possible(FaultKind kind, Zone zone, IoTag tag) const;  // By chance.
  const FaultOptions& options() const { return options_; }

  struct Strike {
    u64 random = 0;              // Decides what is not given.
    std::optional<Fault> given;  // By a line.
  };
  // Whether the kind strikes; counted as armed if it could have.
  std::optional<Strike> strikes(FaultKind kind, const FaultTarget& target);

  // Could be decided by a crash.
  void crash_decides(FaultKind kind, Zone zone);

  // What has happened, until it is taken.
  void fired(const Fault& fault, const FaultTarget& target);
  std::vector<FiredFault>& fired_now() { return fired_now_; }

  FaultCounts counts_fired;
  FaultCounts counts_armed;
  FaultCounts counts_expected;  // To fire, of those that were armed by chance, in millionths.

 private:
  using Asked = std::multimap<u64, FiredFault>;
  Asked::iterator find_asked(FaultKind kind, const FaultTarget& target);

  FaultOptions options_;
  std::array<Stream, fault_kind_count> streams_;
  // By a hash of kind and request, the first one first. A run that was frozen asks for many, and those whose
  // request never comes stay.
  Asked asked_;
  u64 asked_other_ = 0;  // Of them, those that are no failed syncs.
  std::vector<FiredFault> fired_now_;
};

}  // namespace tonearm::sim
