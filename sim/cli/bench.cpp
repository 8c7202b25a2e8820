#include "sim/cli/bench.h"

#include <fmt/format.h>

#include <ctime>

#include "sim/cli/json.h"
#include "sim/cli/prepared_run.h"
#include "sim/cli/problems.h"
#include "sim/scenario/number.h"

namespace tonearm::sim {

namespace {

u64 cpu_micros() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000 + static_cast<u64>(time.tv_nsec) / 1000;
}

// One fixed seed with everything on, at growing lengths: the cost of an operation must stay flat.
void bench_tree(const BenchArgs& args, const char* ops, RunnerMemory& memory) {
  PlayArgs play;
  play.ops = ops;
  play.set = args.set;
  const PreparedRun prepared = prepare_seed(parse_play(play, "tree"), 1);
  const u64 before = cpu_micros();
  const RunResult result = run(prepared.config(), memory);
  const u64 micros = cpu_micros() - before;
  const u64 rate = micros == 0 ? 0 : result.counters.ops * 1'000'000 / micros;
  fmt::print("{}\n", json_text(JsonFields{{"bench", std::string("tree")},
                                          {"seed", std::string("0x1")},
                                          {"ops", result.counters.ops},
                                          {"cpu_micros", micros},
                                          {"ops_per_cpu_second", rate},
                                          {"passed", !result.failed()}}));
  std::fflush(stdout);
}

}  // namespace

int bench_command(const BenchArgs& args) {
  if (!args.name.empty() && args.name != "tree") {
    throw UsageError(fmt::format("bench: found {}, expected tree", quoted(args.name)));
  }
  RunnerMemory memory;
  if (!args.ops.empty()) {
    bench_tree(args, args.ops.c_str(), memory);
    return exit_passed;
  }
  for (const char* ops : {"10000", "100000", "1000000"}) bench_tree(args, ops, memory);
  return exit_passed;
}

}  // namespace tonearm::sim
