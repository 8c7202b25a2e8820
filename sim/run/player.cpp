#include "sim/run/player.h"

#include <fmt/format.h>

#include <csignal>

#include "sim/run/allocations.h"
#include "sim/run/sweeper.h"
#include "sim/run/twin.h"
#include "sim/run/world_shape.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

Player::Player(const RunConfig& config, RunnerMemory& memory)
    : config_(&config),
      memory_(&memory.parts()),
      options_(config.options),
      world_(world_of_run(config.workload, config.options)),
      shape_(&shape_of(world_)),
      trace_(memory.parts().trace),
      model_(memory.parts().model),
      seed_(config.seed),
      durability_{{.after_op = 0, .stream = {"durability", stream_seed(config.seed, "durability")}}},
      audits_("audits", stream_seed(config.seed, "audits")),
      setups_("prefetch_setup", stream_seed(config.seed, "prefetch_setup")),
      scrubs_("scrubs", stream_seed(config.seed, "scrubs")),
      looks_("looks", stream_seed(config.seed, "looks")),
      variations_(config.options, config.seed) {
  options_.disk.seed = config.seed;
  result_.run = ++memory_->runs;
  options_.disk.poison_recycled = config.poison != 0;
  allocations_before_ = engine_allocations();
  trace_.reset();
  trace_.set_listener(config.event_context, config.event_listener);
  model_.reset(options_.format.beats);
  directed_credit_ = directed_credit_max();
  // A sync that fails says so, and is all that goes wrong in many runs.
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const bool on = options_.disk.faults.kinds[i].ratio.numerator > 0;
    faulty_ |= on && static_cast<FaultKind>(i) != FaultKind::failed_sync;
  }
  watch_engine();
}

Player::~Player() {
  sweep_end();
  set_mark_hook({});
  set_span_hook({});
  set_variation_source({});
  trace_.set_listener(nullptr, nullptr);
}

RunResult Player::play() {
  try {
    start();
    play_lines();
    show_disk();
    if (!stopped_) epilogue();
    if (config_->record_image) {
      memory_->final_image = whole(disk_->truth_durable());
      memory_->final_image_run = result_.run;
    }
    judge_canary();
  } catch (const RunFailed& failed) {
    result_.failure = failed.failure;
    name_role();
    show_disk();
  }
  RunCounters& counters = result_.counters;
  counters.crashes_unfired += crashes_.size() + end_crashes_.size();
  if (disk_) {
    counters.ticks = disk_->now();
    counters.steps = disk_->steps();
    counters.faults_missed = disk_->explicit_faults_waiting();
    result_.faults_fired = disk_->faults_fired();
    result_.faults_armed = disk_->faults_armed();
    result_.faults_expected = disk_->faults_expected();
  }
  counters.blocks_read = blocks_read_before_ + (host_ ? host_->blocks_read() : 0);
  counters.blocks_written = blocks_written_before_ + (host_ ? host_->blocks_written() : 0);
  count_allocations();
  counters.bounds_checked = bounds_checked_before_ + (host_ ? host_->bounds_checked() : 0);
  counters.merges_level1 = result_.marks[static_cast<u32>(Mark::merge_into_level1)] +
                           result_.marks[static_cast<u32>(Mark::merge_into_deeper)];
  result_.variations_fired = variations_.fired();
  result_.variations_armed = variations_.armed();
  result_.digests = trace_.digests();
  scrub_end();
  sweep_end();
  // The engine's requests are in the disk's queues: drop those first.
  if (host_) disk_->crash({});
  host_.reset();
  disk_.reset();
  return std::move(result_);
}

void Player::start() {
  disk_.emplace(memory_->pages, options_.disk, &trace_);
  sweep_begin();
  disk_->set_superblock_listener(this, [](void* context, bool completed) {
    if (!completed) static_cast<Player*>(context)->superblock_written();
  });
  watch_blocks();
  disk_->expect_shared_reads();
  watch_mirror();
  if (config_->source->asks_for_faults()) {
    disk_->expect_faults();
    faulty_ = true;
  }
  if (faulty_ || options_.disk.faults.any()) watch_deliveries();
  if (config_->record_faults) {
    disk_->set_fault_listener(this, [](void* context, const FiredFault& fired) {
      Player& self = *static_cast<Player*>(context);
      // One more than any file can hold is too many, and that can be seen.
      if (self.result_.fired.size() > scenario_operations_max) return;
      self.result_.fired.push_back({.line = self.line_index_, .fired = fired});
    });
  }
  // Crash lines that open the scenario count from the start of format.
  const u64 count = config_->source->count();
  while (index_ < count) {
    config_->source->at(index_, &line_);
    if (line_.kind != OperationKind::crash && !is_silent(line_.kind)) break;
    ++index_;
    if (is_silent(line_.kind)) {
      silent_line();
      continue;
    }
    ++result_.counters.ops;
    record_operation();
    add_crash(line_);
  }
  arm_next_crash();
  sweep_count_from(index_);
  unless_interrupted([this] { format_and_open(); });
}

// What a crash strikes is recovered; an engine that is out stays so for as many lines as the options say.
template <class Act>
void Player::unless_interrupted(Act&& act) {
  try {
    act();
  } catch (const Recover& cause) {
    recover_until_open(cause);
  } catch (const WentOut&) {
    if (heal_lines() == 0) recover_until_open({.line = line_.id, .strike = false, .heal = true});
  }
}

void Player::play_lines() {
  // Whoever guides the search may put a line in front of the next one: the count is no constant.
  while (index_ < config_->source->count()) {
    config_->source->at(index_, &line_);
    line_index_ = index_++;
    ++result_.counters.ops;
    if (is_silent(line_.kind)) {
      silent_line();
      continue;
    }
    if (line_.of_groove()) model_.objects(line_.groove()).fetch_place(object_key(line_));
    directed_credit_ = std::min(directed_credit_ + 1, directed_credit_max());
    if (config_->break_at && line_.id == *config_->break_at) std::raise(SIGTRAP);
    record_operation();
    disk_->set_attribution({.op = line_.id, .context = 0});
    sweep_count_from(index_ - 1);
    unless_interrupted([this] { play_line(); });
    stopped_ = config_->until && line_.id == *config_->until;
    if (stopped_) return;
    if (config_->reached != nullptr) config_->reached->line_ends(index_);
  }
}

void Player::show_disk() {
  if (disk_shown_ || !disk_ || !config_->disk_listener) return;
  disk_shown_ = true;
  config_->disk_listener(*disk_);
}

// The canary must fail at its known rate: a pipeline that reports no failure at all would be noticed.
void Player::judge_canary() {
  if (config_->workload != "canary" || !canary_fails(config_->seed)) return;
  fail(FailureClass::sim, "canary", "the canary fails for this seed, as it must");
}

void Player::record_operation() {
  if (config_->timeline != nullptr) config_->timeline->line_begins(disk_->now(), line_);
  trace_.record(disk_->now(), EventKind::operation, line_.id.number, line_.id.child, content_hash(line_));
}

void Player::record_answer(u64 a, u64 b) {
  trace_.record(disk_->now(), EventKind::answer, line_.id.number, a, b);
}

void Player::before_step() {
  if (sweep_) sweep_step();
  if (!crashes_.empty() && disk_->steps() >= strike_step_) {
    throw Recover{.line = crashes_.front().id, .strike = true};
  }
  if (config_->steps_max != 0 && disk_->steps() > config_->steps_max) give_up();
  if (config_->break_at_tick && disk_->now() >= *config_->break_at_tick) std::raise(SIGTRAP);
}

void Player::stuck(const char* why) {
  if (!config_->oracles.has(Oracle::liveness)) give_up();
  fail(FailureClass::liveness, why, fmt::format("{}: line {}", why, line_.id.number),
       disk_->describe_pending());
}

void Player::exceeded(const char* bound, const std::string& message) {
  if (!config_->oracles.has(Oracle::resource)) return;
  fail(FailureClass::resource, bound, message);
}

// The oracle that could judge this is switched off, and without its verdict the run cannot go on.
void Player::give_up() {
  ++result_.counters.undecided;
  throw RunFailed{};
}

void Player::fail(FailureClass failure_class, std::string site, std::string message, std::string story) {
  Failure failure;
  failure.failure_class = failure_class;
  failure.site = std::move(site);
  failure.message = std::move(message);
  failure.story = std::move(story) + last_events();
  failure.op = line_.id;
  failure.has_op = true;
  throw RunFailed{std::move(failure)};
}

void Player::fail_mismatch(FailureClass failure_class, const char* where, const Mismatch& mismatch) {
  fail(failure_class, fmt::format("{}: {}", where, mismatch.site), mismatch.message,
       explain(mismatch.tree, mismatch.key));
}

void Player::play_line() {
  begin_call();
  if (standing_ != Standing::up && out_line()) return;
  maybe_close_scans();
  if (line_.of_groove()) return line_object();
  switch (line_.kind) {
    case OperationKind::put: return line_put();
    case OperationKind::remove: return line_remove();
    case OperationKind::get: return line_get();
    case OperationKind::scan: return line_scan();
    case OperationKind::commit: return line_commit();
    case OperationKind::checkpoint: return line_checkpoint();
    case OperationKind::scope: return line_scope();
    case OperationKind::end: return line_end();
    case OperationKind::crash: return line_crash();
    case OperationKind::reopen: return line_reopen();
    case OperationKind::heal: return line_heal();
    case OperationKind::query: return line_query();
    case OperationKind::page: return line_page();
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close: return world_.groove_count > 0 ? line_query_scan() : line_tree_scan();
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch:  // Of grooves.
    case OperationKind::fault:
    case OperationKind::latency:
    case OperationKind::reseed:       // See silent_line().
    case OperationKind::call: break;  // Of component workloads.
  }
  UNREACHABLE();
}

// Asks the engine and compares with the model; nothing if the engine could not answer.
std::optional<Answer> Player::ask(TreeName tree, const Key& key, bool cold) {
  const Answer answer = host_->get(tree, key, cold);
  if (answer.error) {
    judge_error(answer.error, "get");
    return std::nullopt;
  }
  if (config_->oracles.has(Oracle::model)) {
    ++result_.counters.checks;
    const std::optional<u64> expected = model_.get(tree, model_key(key));
    if (answer.value != expected) {
      Audit audit(*host_, rows_);
      audit.get(tree, model_.tree(tree), key, cold);
      Mismatch mismatch{
          .tree = tree, .key = key, .site = "get: another answer", .message = "asked again, it is right"};
      if (audit.failed()) mismatch = *audit.outcome().mismatch;
      fail_mismatch(FailureClass::oracle, "line", mismatch);
    }
  }
  return answer;
}

// The discipline of a secondary index: put only absent keys, remove only present ones.
bool Player::applies(bool put) {
  if (!tree_spec(line_.tree).secondary_index) return true;
  const std::optional<Answer> answer = ask(line_.tree, line_.key, line_.cold);
  return answer && answer->value.has_value() != put;
}

void Player::line_put() {
  if (standing_ == Standing::sticky) return out_change();
  if (!applies(true)) return skip();
  const bool full = model_.batch_used(line_.tree) >= options_.format.batch_values_max;
  put_result(host_->put(line_.tree, line_.key, line_.value), full);
  if (full) return;
  model_.put(line_.tree, model_key(line_.key), tree_spec(line_.tree).secondary_index ? 0 : line_.value);
  effective();
}

void Player::line_remove() {
  if (standing_ == Standing::sticky) return out_change();
  if (!applies(false)) return skip();
  const bool full = model_.batch_used(line_.tree) >= options_.format.batch_values_max;
  put_result(host_->remove(line_.tree, line_.key), full);
  if (full) return;
  model_.remove(line_.tree, model_key(line_.key));
  effective();
}

void Player::put_result(PutResult result, bool expected_full) {
  if (result == PutResult::failed) refused("put");
  const bool full = result == PutResult::batch_full;
  record_answer(1, full ? 1 : 0);
  ++result_.counters.checks;
  if (full) ++result_.counters.batch_full;
  if (!full) ++result_.counters.changes;
  if (full == expected_full || !config_->oracles.has(Oracle::model)) return;
  fail(FailureClass::oracle, "put: batch_full",
       fmt::format("the engine says {}, the model says {}", full ? "batch_full" : "ok",
                   expected_full ? "batch_full" : "ok"));
}

// Of an engine that has not failed.
void Player::refused(const char* what) {
  if (!config_->oracles.has(Oracle::false_alarm)) give_up();
  fail(FailureClass::false_alarm, fmt::format("{}: refused", what),
       fmt::format("the engine refuses a {}, but nothing has failed", what));
}

void Player::effective() {
  if (config_->record_effective) effective_op_.push_back({.entry = line_index_, .answer = 0});
}

void Player::effective_query(u64 answer) {
  if (config_->record_effective && standing_ == Standing::up)
    effective_op_.push_back({.entry = effective_query_bit | line_index_, .answer = answer});
}

void Player::effective_commit(u32 repeat) {
  queries_committed();
  if (!config_->record_effective || ended_) return;
  effective_flush();
  result_.effective.push_back(u64_max - repeat);
}

void Player::effective_flush() {
  for (const Effective& line : effective_op_) {
    result_.effective.push_back(line.entry);
    if ((line.entry & effective_query_bit) != 0) result_.effective_answers.push_back(line.answer);
  }
  effective_op_.clear();
}

void Player::line_get() {
  const std::optional<Answer> answer = ask(line_.tree, line_.key, line_.cold);
  if (!answer) return;
  record_answer(answer->value ? 1 : 0, answer->value.value_or(0));
  effective_query(hash_of(answer->value.value_or(0)) + (answer->value ? 1 : 0));
  if (!config_->answer_listener) return;
  const std::string id = op_id_text(line_.id);
  config_->answer_listener(answer->value ? fmt::format("{} -> {}", id, *answer->value) : id + " -> absent");
}

void Player::line_scan() {
  if (host_->forest().scope_active()) return skip();
  Audit audit(*host_, rows_, *this, "line");
  const ScanRequest request{.tree = line_.tree,
                            .range = {.min = line_.key, .max = line_.key_end},
                            .direction = line_.direction,
                            .limit = line_.limit == 0 ? u64_max : line_.limit,
                            .cold = line_.cold};
  if (config_->oracles.has(Oracle::model)) {
    audit.scan(request, model_.tree(line_.tree));
    take_outcome(audit, FailureClass::oracle, "line");
  } else if (const Error error = host_->scan(request, &audit.rows())) {
    return judge_error(error, "scan");
  }
  if (audit.outcome().unanswered > 0) return;
  u64 hash = 0;
  for (const ScanRow& row : audit.rows()) {
    hash = hash_of(hash ^ row.key.low ^ row.key.middle ^ row.key.high);
    hash = hash_of(hash ^ row.value);
  }
  record_answer(audit.rows().size(), hash);
  effective_query(hash_of(hash ^ audit.rows().size()));
  if (!config_->answer_listener) return;
  std::string text = op_id_text(line_.id) + " ->";
  for (const ScanRow& row : audit.rows()) {
    text += fmt::format(" {}={}", key_text(line_.tree, engine_key(line_.tree, row.key)), row.value);
  }
  config_->answer_listener(text);
}

void Player::line_commit() {
  if (standing_ == Standing::sticky) return out_change();
  scope_discard();
  for (u64 repeat = 0; repeat < line_.count; ++repeat) {
    const u64 op = host_->forest().op() + 1;
    model_.commit(op, line_.id, static_cast<u32>(repeat));
    effective_commit(static_cast<u32>(repeat));
    commit_op(op);
  }
  show_levels();
  directed_checks();
}

// Empty commits up to and including the next checkpoint.
void Player::line_checkpoint() {
  if (standing_ == Standing::sticky) return out_change();
  scope_discard();
  const u64 op_before = host_->forest().checkpoint_op();
  for (u32 repeat = 0; host_->forest().checkpoint_op() == op_before; ++repeat) {
    ASSERT(repeat <= 2 * options_.format.checkpoint_interval + options_.format.beats);
    const u64 op = host_->forest().op() + 1;
    model_.commit(op, line_.id, repeat);
    effective_commit(repeat);
    commit_op(op);
  }
  show_levels();
  directed_checks();
}

void Player::line_crash() {
  add_crash(line_);
  if (line_.at_end || crashes_.size() > 1) return;
  arm_next_crash();
  if (line_.count == 0 && !line_.superblock) throw Recover{.line = line_.id, .strike = true};
}

void Player::line_reopen() {
  RunOptions changed = options_;
  for (const SettingChange& change : line_.changes) settings()[change.setting].set(changed, change.value);
  finish_options(&changed);
  // What was played must fit again: the blocks, and the keys that a logged op needs.
  const u32 replay_keys = std::min(options_.prefetch_keys_max, options_.format.batch_values_max);
  const u64 before = options_.runtime.blocks_count;
  const u64 after = changed.runtime.blocks_count;
  const bool fits =
      (mirrored() ? after == before : after >= before) && changed.prefetch_keys_max >= replay_keys;
  if (!fits || !validate_run(config_->workload, changed).empty()) return skip();
  options_ = changed;
  options_.disk.seed = seed_;
  ++result_.counters.reopens;
  throw Recover{.line = line_.id, .strike = false};
}

// It is no event of the run and pays for nothing, so that a run is the same whether a fault was asked for or
// came by chance. An explicit fault or latency names a request to come; where it never occurs, nothing fires.
void Player::silent_line() {
  ASSERT(is_silent(line_.kind));
  if (line_.kind == OperationKind::reseed) return line_reseed();
  const RequestName& request = line_.request;
  if (line_.kind == OperationKind::fault) {
    faulty_ |= line_.fault.kind != FaultKind::failed_sync;
    disk_->strike(
        {.attribution = request.attribution, .tag = request.tag, .n = request.n, .fault = line_.fault});
  } else {
    disk_->set_latency(request.attribution, request.tag, request.n, line_.count);
  }
}

}  // namespace tonearm::sim
