#include "sim/cli/enumeration.h"

#include "base/assert.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// Lines of programs have the same ids in all of them, behind those of any starting scenario.
constexpr u64 program_id = 1001;
constexpr u64 crash_id = 1000;
constexpr u64 crash_end_id = 1900;
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

}  // namespace

void EnumerationCounts::add(const EnumerationCounts& other) {
  programs += other.programs;
  steps += other.steps;
  crash_points += other.crash_points;
  crash_runs += other.crash_runs;
  order_runs += other.order_runs;
  runs += other.runs;
  failed += other.failed;
}

Scenario scenario_of(const Start& start, const SmallProgram& program, const Variant& variant) {
  Scenario scenario = start.scenario;
  std::vector<Operation>& lines = scenario.operations;
  if (variant.kind == Variant::Kind::crash) lines.push_back(crash_line(crash_id, variant));
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
        if (event.a == crash_id || event.a == crash_end_id) armed_ = true;
        in_checkpoint_ = event.c == checkpoint_hash_;
        changed_ = true;
        return;
      case EventKind::decision:  // A checkpoint is verified: it is what must be found from here on.
      case EventKind::submit_write:
      case EventKind::submit_sync: changed_ = true; return;
      case EventKind::complete_write:
      case EventKind::complete_sync: step(true); return;
      case EventKind::complete_read:
      case EventKind::next_tick_drain: step(false); return;
      case EventKind::crash:
        if (armed_) undecided_ = event.b;
        armed_ = false;
        return;
      case EventKind::answer:
      case EventKind::submit_read:
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

 private:
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
  if (!result.failed()) return true;
  ++counts->failed;
  return listener_->failed(scenario, result);
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
  for (u64 step = 0; step < steps.count(); ++step) {
    if (!steps.differs(step)) continue;
    if (!play_crash(program, {.kind = Variant::Kind::crash, .step = step}, counts)) return false;
  }
  return play_crash(program, {.kind = Variant::Kind::crash_end}, counts);
}

}  // namespace tonearm::sim
