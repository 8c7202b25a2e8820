// `tonearm bench`: verified operations per CPU second, and what they cost.
#pragma once

#include <string>
#include <vector>

#include "sim/cli/args.h"

namespace tonearm::sim {

struct BenchArgs {
  OutputArgs output;
  std::string name;              // Empty: all.
  std::string ops;               // Empty: the benchmark's own sizes.
  std::vector<std::string> set;  // KEY=VALUE, as for runs.
};

// One JSON line a figure on standard output. Returns the exit status.
int bench_command(const BenchArgs& args);

}  // namespace tonearm::sim
