#include "sim/cli/bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "base/assert.h"
#include "sim/cli/bench_work.h"
#include "sim/cli/json.h"
#include "sim/cli/problems.h"
#include "sim/model/model.h"
#include "sim/model/query_model.h"
#include "sim/run/engine_host.h"
#include "sim/run/runner.h"
#include "sim/scenario/number.h"

namespace tonearm::sim {

namespace {

u64 cpu_nanos() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

struct Timed {
  u64 nanos = 0;
  RunResult result;
};

Timed timed_run(const Bench& bench, const OperationSource& source, OracleSet oracles, RunnerMemory& memory) {
  RunConfig config;
  config.workload = bench.workload;
  config.seed = 1;
  config.options = bench.options;
  config.source = &source;
  config.oracles = oracles;
  Timed timed;
  const u64 before = cpu_nanos();
  timed.result = run(config, memory);
  timed.nanos = cpu_nanos() - before;
  return timed;
}

Timed timed_run(const Bench& bench, u64 lines, OracleSet oracles, RunnerMemory& memory) {
  const std::unique_ptr<BenchWork> source = bench_work(bench, lines);
  return timed_run(bench, *source, oracles, memory);
}

constexpr u32 keys_max = 1000;  // Of an op: more than there are.

// A scan of the model, as the comparison of an answer walks it.
u64 model_scan(const ModelMap& map, const Operation& line) {
  u64 sum = 0;
  auto at = map.lower_bound(model_key(line.key));
  for (u32 row = 0; row < line.limit && at != map.end(); ++row, ++at) sum += at->second;
  return sum;
}

u64 model_object(Model& model, const Operation& line, const FormatOptions& format) {
  const GrooveName groove = line.groove();
  const u128 key = object_key(line);
  (void)model.prefetch(groove, Asked::key, key, keys_max);
  if (line.kind == OperationKind::get) {
    const Side side = model.get_object(groove, key);
    return static_cast<u64>(object_bytes(groove, side.object)[0]);
  }
  const ChangePlan plan = model.plan(line, format.batch_values_max);
  if (plan.verdict == ChangeVerdict::applies) model.change(plan.change);
  return static_cast<u64>(plan.verdict);
}

// The same lines on the model alone, beyond the fill.
u64 model_nanos(const Bench& bench, u64 lines) {
  const std::unique_ptr<BenchWork> source = bench_work(bench, lines);
  Model model;
  model.reset(bench.options.format.beats);
  Operation line;
  u64 op = 0;
  u64 sum = 0;
  u64 before = 0;
  for (u64 i = 0; i < lines; ++i) {
    if (i == source->fill_lines()) before = cpu_nanos();
    source->at(i, &line);
    const ModelKey key = model_key(line.key);
    if (line.of_groove()) {
      sum += model_object(model, line, bench.options.format);
    } else if (line.kind == OperationKind::put) {
      model.put(line.tree, key, line.value);
    } else if (line.kind == OperationKind::remove) {
      model.remove(line.tree, key);
    } else if (line.kind == OperationKind::get) {
      sum += model.get(line.tree, key).value_or(0);
    } else if (line.kind == OperationKind::scan) {
      sum += model_scan(model.tree(line.tree), line);
    } else if (line.kind == OperationKind::query) {
      sum += query_answer(model, query_plan(line)).size();
    } else {
      ASSERT(line.kind == OperationKind::commit);
      model.commit(++op, line.id, 0);
      if (op % 20 == 0) model.checkpoint_verified(op);
    }
  }
  const u64 nanos = cpu_nanos() - before;
  if (sum == 1) fmt::print("\n");  // The sum is used: the loop stays.
  return nanos;
}

// Events recorded and folded, no run around them.
u64 digest_nanos(u64 events) {
  Trace trace;
  const u64 before = cpu_nanos();
  for (u64 i = 0; i < events; ++i) trace.record(i, EventKind::submit_read, i, 4096, i * 7);
  const Digests digests = trace.digests();
  const u64 nanos = cpu_nanos() - before;
  return digests.digest == 1 ? nanos + 1 : nanos;
}

struct Requests {
  u32 left = 0;
  void read_done(Storage::Read&) { --left; }
  void write_done(Storage::Write&) { --left; }
};

// As many block reads and writes on the simulated disk alone, without a trace.
u64 simulator_nanos(const Bench& bench, u64 reads, u64 writes) {
  PageStore pages;
  SimStorage disk(pages, bench.options.disk, nullptr);
  std::vector<u128> buffer(bench.options.format.block_size / sizeof(u128));
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(buffer));
  Requests requests;
  const u64 blocks = bench.options.runtime.blocks_count;
  const auto write = [&](u64 block) {
    Storage::Write request{.buffer = bytes,
                           .offset = block % blocks * bytes.size(),
                           .tag = {.purpose = IoPurpose::compact_write}};
    request.done = Callback<Storage::Write&>::to<&Requests::write_done>(&requests);
    requests.left = 1;
    disk.write(request);
    while (requests.left > 0) (void)disk.step();
  };
  for (u64 i = 0; i < blocks; ++i) write(i);
  const u64 before = cpu_nanos();
  for (u64 i = 0; i < writes; ++i) write(i);
  for (u64 i = 0; i < reads; ++i) {
    Storage::Read request{
        .buffer = bytes, .offset = i % blocks * bytes.size(), .tag = {.purpose = IoPurpose::lookup}};
    request.done = Callback<Storage::Read&>::to<&Requests::read_done>(&requests);
    requests.left = 1;
    disk.read(request);
    while (requests.left > 0) (void)disk.step();
  }
  return cpu_nanos() - before;
}

struct QuietInterrupt final : Interrupt {
  void before_step() override {}
  void stuck(const char* why) override { throw UsageError(why); }
  void exceeded(const char* bound, const std::string&) override { throw UsageError(bound); }
};

void must(const Error& error) {
  if (error) throw UsageError(fmt::format("bench: {}", error_name(error.kind)));
}

// Plays the fill on an engine alone, with its checkpoints.
void fill_engine(const Bench& bench, EngineHost& host) {
  const std::unique_ptr<BenchWork> source = bench_work(bench, 0);
  Tree& tree = host.tree(TreeName::kv);
  must(host.format());
  must(host.open());
  Operation line;
  for (u64 i = 0; i < source->fill_lines(); ++i) {
    source->at(i, &line);
    if (line.kind == OperationKind::put) {
      const Encoded value = encode_value(line.tree, line.key, line.value);
      (void)tree.put(value.bytes.data());  // Beyond what an op may hold it is refused, as in a run.
      continue;
    }
    const u64 op = host.forest().op() + 1;
    must(host.compact(op));
    if (host.forest().checkpoint_due(op)) must(host.checkpoint());
    host.forest().mark_checkpoint_durable();
  }
}

void print_line(const JsonFields& fields) {
  fmt::print("{}\n", json_text(fields));
  std::fflush(stdout);
}

u64 rate(u64 count, u64 nanos) { return nanos == 0 ? 0 : count * 1'000'000'000 / nanos; }

u64 process_peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<u64>(usage.ru_maxrss) / 1024;
}

// Plays it so many times and keeps the quickest.
Timed quickest_run(const Bench& bench, u64 lines, u64 rounds, RunnerMemory& memory) {
  ASSERT(rounds >= 1);
  Timed best = timed_run(bench, lines, OracleSet::all(), memory);
  for (u64 round = 1; round < rounds && !best.result.failed(); ++round) {
    Timed timed = timed_run(bench, lines, OracleSet::all(), memory);
    if (timed.nanos < best.nanos || timed.result.failed()) best = std::move(timed);
  }
  return best;
}

// Verified operations per CPU second, all oracles on, beyond the fill. False: a run failed. What is measured
// is a difference: where it is small against the fill, both are played several times.
bool bench_rate(const Bench& bench, u64 lines, RunnerMemory& memory) {
  const u64 fill = bench_work(bench, 0)->fill_lines();
  const u64 rounds = std::clamp<u64>(200'000 / lines, 1, 10);
  const Timed base = quickest_run(bench, fill, std::max<u64>(2, rounds), memory);
  const Timed full = quickest_run(bench, fill + lines, rounds, memory);
  const u64 nanos = full.nanos - std::min(full.nanos, base.nanos);
  print_line({{"bench", std::string(bench.name)},
              {"geometry", std::string(bench.geometry)},
              {"figure", std::string("verified_ops_per_cpu_second")},
              {"ops", lines},
              {"value", rate(lines, nanos)},
              {"checks", full.result.counters.checks},
              {"checkpoints", full.result.counters.checkpoints},
              {"process_peak_mib", process_peak_mib()},
              {"passed", !full.result.failed() && !base.result.failed()}});
  if (full.result.failed()) fmt::print(stderr, "tonearm: bench: {}\n", full.result.failure.message);
  return !full.result.failed() && !base.result.failed();
}

// Where the time goes, each part measured by itself on the same amount of work; the engine is the rest.
void bench_shares(const Bench& bench, u64 lines, RunnerMemory& memory) {
  OracleSet bare = OracleSet::none();
  bare.set(Oracle::model, true);
  const u64 fill = bench_work(bench, 0)->fill_lines();
  const Timed base = timed_run(bench, fill, OracleSet::all(), memory);
  const Timed full = timed_run(bench, fill + lines, OracleSet::all(), memory);
  const Timed base_bare = timed_run(bench, fill, bare, memory);
  const Timed full_bare = timed_run(bench, fill + lines, bare, memory);
  const u64 total = std::max<u64>(1, full.nanos - std::min(full.nanos - 1, base.nanos));
  const u64 total_bare = full_bare.nanos - std::min(full_bare.nanos, base_bare.nanos);
  const u64 audits = total - std::min(total, total_bare);
  const u64 reads = full_bare.result.counters.blocks_read - base_bare.result.counters.blocks_read;
  const u64 writes = full_bare.result.counters.blocks_written - base_bare.result.counters.blocks_written;
  const u64 model = model_nanos(bench, fill + lines);
  const u64 simulator = simulator_nanos(bench, reads, writes);
  const u64 steps = full_bare.result.counters.steps - base_bare.result.counters.steps;
  const u64 digest = digest_nanos(2 * steps + 2 * lines);
  const u64 others = model + simulator + digest + audits;
  const auto percent = [total](u64 nanos) { return nanos * 100 / total; };
  print_line({{"bench", std::string(bench.name)},
              {"geometry", std::string(bench.geometry)},
              {"figure", std::string("share_percent")},
              {"ops", lines},
              {"engine", percent(total - std::min(total, others))},
              {"model", percent(model)},
              {"simulator", percent(simulator)},
              {"digest", percent(digest)},
              {"audits", percent(audits)}});
  print_line({{"bench", std::string(bench.name)},
              {"geometry", std::string(bench.geometry)},
              {"figure", std::string("model_ops_per_cpu_second")},
              {"ops", lines},
              {"value", rate(lines, model)}});
}

u64 setup_nanos(const Bench& bench) {
  constexpr u64 rounds = 200;
  PageStore pages;
  EngineMemory buffer;
  QuietInterrupt quiet;
  u64 nanos = 0;
  for (u64 i = 0; i < rounds; ++i) {
    const u64 before = cpu_nanos();
    SimStorage disk(pages, bench.options.disk, nullptr);
    EngineHost host(world_of_run(bench.workload, bench.options), disk, bench.options, buffer, quiet, 0);
    const bool failed = host.format() || host.open();
    if (failed) throw UsageError("bench: format or open failed");
    nanos += cpu_nanos() - before;
  }
  return nanos / rounds;
}

// Construction, format, open, one checkpoint and the end of a run of no lines; memory of the process.
void bench_setup(const Bench& bench, RunnerMemory& memory) {
  print_line({{"bench", std::string(bench.name)},
              {"geometry", std::string(bench.geometry)},
              {"figure", std::string("setup_micros")},
              {"value", setup_nanos(bench) / 1000}});
  (void)timed_run(bench, 0, OracleSet::all(), memory);
  print_line({{"bench", std::string(bench.name)},
              {"geometry", std::string(bench.geometry)},
              {"figure", std::string("memory_mib")},
              {"engine_buffer",
               engine_memory_required(world_of_run(bench.workload, bench.options), bench.options) >> 20},
              {"process_peak", process_peak_mib()}});
}

// Blocks that gets and scans of 32 rows look at, in hundredths: what no cache answers (cold), and what
// the storage must be asked for when the cache may answer (warm).
void bench_reads(const Bench& bench) {
  PageStore pages;
  EngineMemory buffer;
  QuietInterrupt quiet;
  SimStorage disk(pages, bench.options.disk, nullptr);
  EngineHost host(world_of_run(bench.workload, bench.options), disk, bench.options, buffer, quiet, 0);
  fill_engine(bench, host);
  const Stream stream("bench.reads", 1);
  std::vector<ScanRow> rows;
  for (const bool cold : {true, false}) {
    constexpr u64 gets = 2000;
    constexpr u64 scans = 500;
    const auto key = [&](u64 i) { return Key::of(below(stream.at(i), bench.live * 10 / 9) * 7 + 3); };
    const u64 before = host.blocks_read();
    for (u64 i = 0; i < gets; ++i) must(host.get(TreeName::kv, key(i), cold).error);
    const u64 between = host.blocks_read();
    u64 rows_count = 0;
    for (u64 i = 0; i < scans; ++i) {
      const KeyRange range{.min = key(gets + i), .max = key_max(TreeName::kv)};
      must(host.scan({.tree = TreeName::kv, .range = range, .limit = 32, .cold = cold}, &rows));
      rows_count += rows.size();
    }
    print_line({{"bench", std::string(bench.name)},
                {"geometry", std::string(bench.geometry)},
                {"figure", std::string(cold ? "blocks_read_cold" : "blocks_read_warm")},
                {"per_100_gets", (between - before) * 100 / gets},
                {"per_100_scan_rows", (host.blocks_read() - between) * 100 / std::max<u64>(1, rows_count)}});
  }
  disk.crash({});
}

// What a run of such queries must return, by the model: so many rows are compared.
u64 rows_of(const Bench& bench, u64 queries, ScanFigure figure) {
  const u64 fill = bench_work(bench, 0)->fill_lines();
  const std::unique_ptr<BenchWork> source = scan_work(bench, fill + queries, figure);
  Model model;
  model.reset(bench.options.format.beats);
  Operation line;
  u64 op = 0;
  u64 rows = 0;
  for (u64 i = 0; i < source->count(); ++i) {
    source->at(i, &line);
    if (line.kind == OperationKind::commit) {
      model.commit(++op, line.id, 0);
      model.checkpoint_verified(op);
    } else if (line.kind == OperationKind::query) {
      rows += query_answer(model, query_plan(line)).size();
    } else {
      (void)model_object(model, line, bench.options.format);
    }
  }
  return rows;
}

// Verified results of queries per CPU second, beyond the fill: as bench_rate().
bool bench_scans(const Bench& bench, u64 queries, RunnerMemory& memory) {
  constexpr u64 rounds = 3;
  const u64 fill = bench_work(bench, 0)->fill_lines();
  const Timed base = quickest_run(bench, fill, rounds, memory);
  bool passed = !base.result.failed();
  for (u32 i = 0; i < scan_figure_count; ++i) {
    const ScanFigure figure = static_cast<ScanFigure>(i);
    const std::unique_ptr<BenchWork> source = scan_work(bench, fill + queries, figure);
    Timed best = timed_run(bench, *source, OracleSet::all(), memory);
    for (u64 round = 1; round < rounds && !best.result.failed(); ++round) {
      Timed timed = timed_run(bench, *source, OracleSet::all(), memory);
      if (timed.nanos < best.nanos || timed.result.failed()) best = std::move(timed);
    }
    const u64 nanos = best.nanos - std::min(best.nanos, base.nanos);
    const u64 rows = rows_of(bench, queries, figure);
    const u64 blocks = best.result.counters.blocks_read - base.result.counters.blocks_read;
    print_line({{"bench", std::string(bench.name)},
                {"geometry", std::string(bench.geometry)},
                {"figure", std::string("verified_results_per_cpu_second")},
                {"query", std::string(scan_figure_name(figure))},
                {"queries", queries},
                {"rows", rows},
                {"value", rate(rows, nanos)},
                {"queries_per_cpu_second", rate(queries, nanos)},
                {"blocks_read_per_100_rows", blocks * 100 / std::max<u64>(1, rows)},
                {"passed", !best.result.failed()}});
    if (best.result.failed()) fmt::print(stderr, "tonearm: bench: {}\n", best.result.failure.message);
    passed &= !best.result.failed();
  }
  return passed;
}

}  // namespace

int bench_command(const BenchArgs& args) {
  const std::vector<Bench> benches = parse_benches(args.name, args.set);
  std::vector<u64> sizes = {10'000, 100'000, 1'000'000};
  if (!args.ops.empty()) {
    u64 ops = 0;
    const std::string error = parse_number(args.ops, 1, 100'000'000, &ops);
    if (!error.empty())
      throw UsageError(fmt::format("--ops: found {}, expected {}", quoted(args.ops), error));
    sizes = {ops};
  }
  bool passed = true;
  for (const Bench& bench : benches) {
    RunnerMemory memory;
    if (std::string_view(bench.name) == "scan") {
      passed &= bench_scans(bench, args.ops.empty() ? 20'000 : sizes.back(), memory);
      continue;
    }
    bench_setup(bench, memory);
    if (world_of_run(bench.workload, bench.options).groove_count == 0) bench_reads(bench);
    for (const u64 lines : sizes) passed &= bench_rate(bench, lines, memory);
    bench_shares(bench, std::min<u64>(sizes.back(), 200'000), memory);
  }
  return passed ? exit_passed : exit_failed;
}

}  // namespace tonearm::sim
