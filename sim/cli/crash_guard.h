// A run whose process is killed (an assertion, a signal, a sanitizer's report) still ends with its
// verdict and the line that reproduces it.
#pragma once

#include <string>

#include "sim/cli/prepared_run.h"
#include "sim/disk/trace.h"

namespace tonearm::sim {

// While it lives, its run is the active one of this process. What a signal prints is made up front: a
// handler may do nothing but write.
class CrashGuard {
 public:
  // `save`: an assertion leaves its scenario file.
  CrashGuard(const PreparedRun& prepared, const OutputArgs& output, bool save);
  ~CrashGuard();
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;
};

// A run may take this much CPU time; a run of a million operations takes seconds.
inline constexpr u32 run_cpu_seconds_max = 60;

struct RunLimits {
  u32 cpu_seconds = run_cpu_seconds_max;  // 0: no limit.
  u32 stall_millis = 0;                   // Of CPU time in which nothing at all happens, about; 0: no limit.
  u64 steps = 0;                          // Of the event loop, then the run ends, undecided; 0: no limit.
};

// While it lives, the process is ended by SIGPROF when it takes more CPU time than that, or when no event
// comes to the trace for too long.
class CpuLimit {
 public:
  explicit CpuLimit(u32 cpu_seconds) : CpuLimit(RunLimits{.cpu_seconds = cpu_seconds}, nullptr) {}
  CpuLimit(const RunLimits& limits, const Trace* trace);
  ~CpuLimit();
  static void restart(const RunLimits& limits);  // Of a process that was forked off inside; not of stalls.
  CpuLimit(const CpuLimit&) = delete;
  CpuLimit& operator=(const CpuLimit&) = delete;
};

// The failure of a run that a signal ended. Signal 0: the process exited by itself (a sanitizer).
Failure signal_failure(int signal, int exit_status);

}  // namespace tonearm::sim
