#include "sim/run/component_run.h"

#include <fmt/format.h>

#include <csignal>

#include "base/checksum.h"
#include "sim/disk/engine_code.h"
#include "sim/run/allocations.h"

namespace tonearm::sim {

namespace {

// Of one pump: a line waits for some hundred blocks, each of which is tried `read_attempts_max` times, 64 at
// most.
constexpr u64 steps_max = u64{1} << 17;
constexpr u64 story_lines = 20;

u64 call_hash(const Operation& line) {
  u64 hash = Stream(line.verb->name, 0).at(0);
  for (u32 i = 0; i < line.verb->argument_count(); ++i) hash = hash_of(hash ^ line.arguments[i]);
  return hash;
}

}  // namespace

ComponentRun::ComponentRun(const RunConfig& config, RunnerMemory& memory)
    : Referee(config.options, memory.parts().pages, memory.parts().trace, memory.parts().component),
      config_(&config) {
  options_.disk.seed = config.seed;
  options_.disk.poison_recycled = config.poison != 0;
  if (config.poison != 0) fill_poison(memory.parts().component, config.poison);
  trace().reset();
  trace().set_listener(config.event_context, config.event_listener);
  set_mark_hook({.context = this, .hit = [](void* context, Mark mark, u16, const Key*) {
                   ComponentRun& self = *static_cast<ComponentRun*>(context);
                   self.result_.hit(mark);
                   if (self.config_->reached != nullptr) self.config_->reached->mark_hit(mark);
                 }});
}

ComponentRun::~ComponentRun() {
  set_mark_hook({});
  trace().set_listener(nullptr, nullptr);
  component_.reset();
  unpoison(memory().data(), memory().size());
}

RunResult ComponentRun::play() {
  allocations_before_ = engine_allocations();
  try {
    component_ = make_component(config_->workload, *this);
    ASSERT(component_ != nullptr);
    check_bounds("construction");
    play_lines();
  } catch (const RunFailed& failed) {
    result_.failure = failed.failure;
  }
  count_disk();
  result_.digests = trace().digests();
  component_.reset();
  return std::move(result_);
}

void ComponentRun::play_lines() {
  const u64 count = config_->source->count();
  while (index_ < count) {
    config_->source->at(index_, &line_);
    ++index_;
    ++result_.counters.ops;
    if (config_->break_at && line_.id == *config_->break_at) std::raise(SIGTRAP);
    trace().record(now(), EventKind::operation, line_.id.number, line_.id.child, call_hash(line_));
    if (SimStorage* disk = component_->disk()) disk->set_attribution({.op = line_.id, .context = 0});
    component_->play(line_);
    check_bounds(line_.verb->name);
    if (config_->until && line_.id == *config_->until) return;
  }
  line_ = Operation{};
  line_.id = {.number = u64_max, .child = 0};
  if (SimStorage* disk = component_->disk()) disk->set_attribution({.op = line_.id, .context = 0});
  component_->finish();
  check_bounds("the end of the run");
}

// All memory of a part is taken when it is constructed, out of a buffer that it is given.
void ComponentRun::check_bounds(std::string_view where) {
  result_.counters.allocations = engine_allocations() - allocations_before_;
  ++result_.counters.bounds_checked;
  if (result_.counters.allocations == 0 || !config_->oracles.has(Oracle::resource)) return;
  fail(FailureClass::resource, fmt::format("{}: allocations", where),
       fmt::format("the engine allocated memory {} times in {}", result_.counters.allocations, where), {});
}

void ComponentRun::count_disk() {
  SimStorage* disk = component_ ? component_->disk() : nullptr;
  if (disk == nullptr) return;
  if (config_->disk_listener) config_->disk_listener(*disk);
  result_.counters.ticks = disk->now();
  result_.counters.steps = disk->steps();
  result_.counters.faults_missed = disk->explicit_faults_waiting();
  result_.faults_fired = disk->faults_fired();
  result_.faults_armed = disk->faults_armed();
  result_.faults_expected = disk->faults_expected();
}

u64 ComponentRun::now() {
  SimStorage* disk = component_ ? component_->disk() : nullptr;
  return disk == nullptr ? index_ : disk->now();
}

void ComponentRun::answer(u64 a, u64 b) {
  const HarnessCode harness;
  trace().record(now(), EventKind::answer, line_.id.number, a, b);
  if (config_->answer_listener) {
    config_->answer_listener(fmt::format("{} -> {} {}", op_id_text(line_.id), a, b));
  }
}

void ComponentRun::pump(SimStorage& disk, bool& done) {
  const u64 tick_limit = disk.now() + options_.liveness_ticks_max;
  const u64 step_limit = disk.steps() + steps_max;
  while (!done) {
    if (disk.steps() >= step_crash_) {
      step_crash_ = u64_max;
      throw Struck{};
    }
    const char* stuck = nullptr;
    if (!disk.step()) stuck = "nothing is pending, but the call is not done";
    if (disk.now() > tick_limit || disk.steps() > step_limit) stuck = "the call takes too long";
    if (stuck != nullptr) fail(FailureClass::liveness, stuck, stuck, disk.describe_pending());
  }
  done = false;
}

void ComponentRun::arm_crash(SimStorage& disk, u64 steps) { step_crash_ = disk.steps() + steps; }

bool ComponentRun::disarm_crash() {
  const bool armed = step_crash_ != u64_max;
  step_crash_ = u64_max;
  return armed;
}

// The lines before the failure say how it came about.
std::string ComponentRun::last_lines() {
  std::string text = "the last lines:\n";
  Operation line;
  for (u64 i = index_ - std::min(index_, story_lines); i < index_; ++i) {
    config_->source->at(i, &line);
    text += "  ";
    print_operation(line, &text);
  }
  return text;
}

void ComponentRun::fail(FailureClass failure_class, std::string site, std::string message,
                        std::string story) {
  const HarnessCode harness;
  Failure failure;
  failure.failure_class = failure_class;
  failure.site = std::move(site);
  failure.message = std::move(message);
  failure.story = std::move(story) + last_lines();
  failure.op = line_.id;
  failure.has_op = true;
  throw RunFailed{std::move(failure)};
}

RunResult ComponentRun::fatal(const AssertFailure& assertion) {
  result_.failure = assertion_failure(assertion);
  result_.failure.story = last_lines();
  result_.failure.op = line_.id;
  result_.failure.has_op = true;
  count_disk();
  result_.digests = trace().digests();
  return std::move(result_);
}

}  // namespace tonearm::sim
