// Many seeds in worker processes.
#pragma once

#include <optional>
#include <string>

#include "sim/cli/totals.h"

namespace tonearm::sim {

struct CampaignPlan {
  SeedRange seeds;  // Every one with every workload.
  std::optional<u64> for_seconds;
  u32 workers = 1;
  bool save_failures = true;
  bool announce = true;  // Failures, on standard output.
  bool progress = true;  // On standard error.
  std::string digests_file;
  bool guided = false;         // See guide.h.
  bool until_failure = false;  // Ends with the first one.
};

struct CampaignEnd {
  Totals totals;
  int interrupted_by = 0;        // SIGINT or SIGTERM.
  std::optional<u64> resume_at;  // The first seed that was not played.
};

CampaignEnd play_campaign(const PlayPlan& plan, const CampaignPlan& campaign);

u32 processors();

}  // namespace tonearm::sim
