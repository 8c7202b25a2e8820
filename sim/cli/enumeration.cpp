#include "sim/cli/enumeration.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// Lines of programs have the same ids in all of them, behind those of any starting scenario.
constexpr u64 program_id = 1001;
constexpr u64 crash_id = 1000;
constexpr u64 crash_end_id = 1900;
constexpr u64 latency_id = 1500;
constexpr u64 seed_of_order = 77;

Operation crash_line(u64 id, const Variant& variant) {
  Operation line;
  line.id = {.number = id, .child = 0};
  line.kind = OperationKind::crash;
  line.count = variant.kind == Variant::Kind::crash ? variant.step : 0;
  if (variant.way == 0) return line;
  const CrashOutcome outcome = variant.way == 1 ? CrashOutcome::lost : CrashOutcome::landed;
  while (!line.writes.full()) {
    line.writes.push({.write = static_cast<u16>(line.writes.count()), .outcome = outcome});
  }
  return line;
}

// In the order of the requests of a set: the first one takes no time, like all others.
void push_latencies(const InFlightSet& requests, std::vector<Operation>* lines) {
  for (u32 i = 1; i < requests.count(); ++i) {
    const u64 tag = requests[i].tag;
    Operation line;
    line.id = {.number = latency_id + lines->size(), .child = 0};
    line.kind = OperationKind::latency;
    line.count = i;
    line.request = {.attribution = attribution_of({.number = requests[i].line, .child = 0}, {}),
                    .recovery = {},
                    .tag = {.purpose = static_cast<IoPurpose>(static_cast<u8>(tag)),
                            .level = static_cast<u8>(tag >> 8),
                            .tree = static_cast<u16>(tag >> 16)},
                    .n = static_cast<u32>(tag >> 32)};
    lines->push_back(line);
  }
}

// Each set in its next order, like the digits of a number; false: all are as at the beginning again.
bool next_combination(std::vector<std::vector<u32>>* orders) {
  return std::any_of(orders->begin(), orders->end(), [](std::vector<u32>& order) {
    return std::next_permutation(order.begin(), order.end());
  });
}

u64 combinations_of(std::span<const InFlightSet> sets) {
  u64 count = 1;
  for (const InFlightSet& set : sets) {
    for (u32 i = 2; i <= set.count() && count <= combinations_max; ++i) count *= i;
  }
  return count;
}

}  // namespace

void EnumerationCounts::add(const EnumerationCounts& other) {
  programs += other.programs;
  steps += other.steps;
  crash_points += other.crash_points;
  crash_runs += other.crash_runs;
  order_runs += other.order_runs;
  sets += other.sets;
  reordered += other.reordered;
  runs += other.runs;
  failed += other.failed;
}

Scenario scenario_of(const Start& start, const SmallProgram& program, const Variant& variant) {
  Scenario scenario = start.scenario;
  std::vector<Operation>& lines = scenario.operations;
  if (variant.kind == Variant::Kind::crash) lines.push_back(crash_line(crash_id, variant));
  for (const InFlightSet& set : variant.sets) push_latencies(set, &lines);
  for (u64 i = 0; i < program.size(); ++i) {
    lines.push_back(start.alphabet[program[i]]);
    lines.back().id = {.number = program_id + i, .child = 0};
  }
  if (variant.kind == Variant::Kind::crash_end) lines.push_back(crash_line(crash_end_id, variant));
  if (variant.kind == Variant::Kind::order) {
    DiskOptions& disk = scenario.options.disk;
    disk.policy = variant.way == 0 ? CompletionPolicy::lifo : CompletionPolicy::uniform;
    disk.seed_latency = seed_of_order + variant.way;
  }
  return scenario;
}

// The steps that the lines of a program take, seen through the events of a run.
class ProgramPlayer::Steps {
 public:
  void see(const Event& event) {
    switch (event.kind) {
      case EventKind::operation:
        if (event.a >= program_id && !begun_) {
          begun_ = true;
          first_ = steps_;
        }
        line_ = event.a;
        if (event.a == crash_id || event.a == crash_end_id) armed_ = true;
        in_checkpoint_ = event.c == checkpoint_hash_;
        changed_ = true;
        return;
      case EventKind::decision:  // A checkpoint is verified: it is what must be found from here on.
        changed_ = true;
        return;
      case EventKind::submit_write:
      case EventKind::submit_sync: changed_ = true; return submitted(event.c);
      case EventKind::complete_write:
      case EventKind::complete_sync: completes(event.c); return step(true);
      case EventKind::complete_read: completes(event.c); return step(false);
      case EventKind::next_tick_drain: return step(false);
      case EventKind::crash:
        in_flight_.clear();
        if (armed_) undecided_ = event.b;
        armed_ = false;
        return;
      case EventKind::submit_read: return submitted(event.c);
      case EventKind::answer:
      case EventKind::fault: return;
    }
  }
  // The lines were played; what follows is the end of the run.
  void end(u64 steps) {
    ASSERT(steps == steps_);
    ended_ = true;
  }

  void set_checkpoint(u64 hash) { checkpoint_hash_ = hash; }
  u64 count() const { return begun_ ? steps_at_end_ - first_ : 0; }
  // Whether a crash before the step leaves something else than one before the step before it. (A crash
  // before the first step strikes before the first line, one before the second step within it.)
  bool differs(u64 step) const { return step <= 1 || differs_[first_ + step]; }
  u64 undecided() const { return undecided_; }  // In the crash.
  const std::vector<InFlightSet>& sets() const { return sets_; }

 private:
  void submitted(u64 tag) {
    in_flight_.push_back({.line = line_, .tag = tag});
    grown_ = true;
  }
  void completes(u64 tag) {
    if (grown_ && begun_ && !ended_ && in_flight_.size() > 1) {
      InFlightSet& set = sets_.emplace_back();
      for (const InFlight& request : in_flight_) {
        if (!set.full()) set.push(request);
      }
    }
    grown_ = false;
    const auto is = [tag](const InFlight& request) { return request.tag == tag; };
    const auto at = std::find_if(in_flight_.begin(), in_flight_.end(), is);
    if (at != in_flight_.end()) in_flight_.erase(at);
  }
  void step(bool changes) {
    if (ended_) return;
    // Ops begin within a checkpoint line without an event of their own.
    differs_.push_back(changed_ || in_checkpoint_);
    changed_ = changes;
    ++steps_;
    steps_at_end_ = steps_;
  }

  bool begun_ = false;
  bool armed_ = false;  // The next crash is the one asked for.
  bool ended_ = false;
  bool changed_ = true;  // Since the last step.
  bool in_checkpoint_ = false;
  u64 steps_ = 0;
  u64 first_ = 0;
  u64 steps_at_end_ = 0;
  u64 undecided_ = 0;
  u64 checkpoint_hash_ = 0;
  std::vector<bool> differs_;
  u64 line_ = 0;
  std::vector<InFlight> in_flight_;  // The oldest first.
  bool grown_ = false;               // Since the last completion.
  std::vector<InFlightSet> sets_;
};

bool ProgramPlayer::play_once(const SmallProgram& program, const Variant& variant, Steps* steps,
                              EnumerationCounts* counts) {
  const Scenario scenario = scenario_of(*start_, program, variant);
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  RunConfig config = RunConfig::of(scenario, *source);
  config.event_context = steps;
  config.event_listener = [](void* context, u64, const Event& event) {
    static_cast<Steps*>(context)->see(event);
  };
  if (variant.kind == Variant::Kind::plain) {
    config.disk_listener = [steps](const SimStorage& disk) { steps->end(disk.steps()); };
  }
  listener_->plays(program, variant);
  const RunResult result = run(config, memory_);
  ++counts->runs;
  // A request of an audit beside the line has another name: then nothing was reordered.
  if (variant.kind == Variant::Kind::reordered && result.counters.faults_missed == 0) ++counts->reordered;
  if (!result.failed()) return true;
  ++counts->failed;
  return listener_->failed(scenario, result);
}

bool ProgramPlayer::play_reordered(const SmallProgram& program, std::span<const InFlightSet> sets,
                                   EnumerationCounts* counts) {
  std::vector<std::vector<u32>> orders;
  for (const InFlightSet& set : sets) {
    orders.emplace_back(set.count());
    std::iota(orders.back().begin(), orders.back().end(), 0);
  }
  while (next_combination(&orders)) {  // The first one is the usual one.
    Variant variant{.kind = Variant::Kind::reordered};
    for (std::size_t i = 0; i < sets.size(); ++i) {
      if (std::is_sorted(orders[i].begin(), orders[i].end())) continue;
      InFlightSet reordered;
      for (const u32 at : orders[i]) reordered.push(sets[i][at]);
      variant.sets.push(reordered);
    }
    Steps ignored;
    if (!play_once(program, variant, &ignored, counts)) return false;
  }
  return true;
}

bool ProgramPlayer::play_crash(const SmallProgram& program, Variant variant, EnumerationCounts* counts) {
  ++counts->crash_points;
  for (variant.way = 0; variant.way < crash_ways; ++variant.way) {
    Steps steps;
    ++counts->crash_runs;
    if (!play_once(program, variant, &steps, counts)) return false;
    if (steps.undecided() == 0) break;
  }
  return true;
}

bool ProgramPlayer::play(const SmallProgram& program, EnumerationCounts* counts) {
  ++counts->programs;
  Steps steps;
  Operation checkpoint;
  checkpoint.kind = OperationKind::checkpoint;
  steps.set_checkpoint(content_hash(checkpoint));
  if (!play_once(program, {}, &steps, counts)) return false;
  counts->steps += steps.count();
  for (u32 order = 0; order < orders_tried; ++order) {
    Steps ignored;
    ++counts->order_runs;
    if (!play_once(program, {.kind = Variant::Kind::order, .way = order}, &ignored, counts)) return false;
  }
  const std::span<const InFlightSet> sets = steps.sets();
  counts->sets += sets.size();
  const bool all = sets.size() <= sets_max && combinations_of(sets) <= combinations_max;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (!play_reordered(program, all ? sets : sets.subspan(i, 1), counts)) return false;
    if (all) break;
  }
  for (u64 step = 0; step < steps.count(); ++step) {
    if (!steps.differs(step)) continue;
    if (!play_crash(program, {.kind = Variant::Kind::crash, .step = step}, counts)) return false;
  }
  return play_crash(program, {.kind = Variant::Kind::crash_end}, counts);
}

}  // namespace tonearm::sim
