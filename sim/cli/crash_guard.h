// A run whose process is killed (an assertion, a signal, a sanitizer's report) still ends with its
// verdict and the line that reproduces it.
#pragma once

#include <string>

#include "sim/cli/prepared_run.h"

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

// While it lives, the process is ended by SIGPROF when it takes so many CPU seconds; 0: no limit.
class CpuLimit {
 public:
  explicit CpuLimit(u32 seconds) { set(seconds); }
  ~CpuLimit() { set(0); }
  CpuLimit(const CpuLimit&) = delete;
  CpuLimit& operator=(const CpuLimit&) = delete;

 private:
  static void set(u32 seconds);
};

// The failure of a run that a signal ended. Signal 0: the process exited by itself (a sanitizer).
Failure signal_failure(int signal, int exit_status);

}  // namespace tonearm::sim
