// A run's result as bytes in a pipe between two processes of the same program.
#pragma once

#include <optional>
#include <string>

#include "sim/cli/worker.h"

namespace tonearm::sim {

struct WorkerReport {
  RunResult result;
  u64 cpu_micros = 0;
  std::string impossible;
  std::optional<Reseed> branch;  // Of one; then the job goes on.
  bool last = false;  // The sender ends with it: an assertion failed.
};

void send_report(int pipe, const WorkerReport& report);
// Takes one report from the front of `bytes`, if it is there in full.
std::optional<WorkerReport> take_report(std::string* bytes);

}  // namespace tonearm::sim
