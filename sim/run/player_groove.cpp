// Lines about objects: first the reading of the one key that the line names, then the change. The engine
// is asked first, and must say what the model says; then both change, or neither does.
#include <fmt/format.h>

#include "sim/run/player.h"

namespace tonearm::sim {

namespace {

using Change = GrooveEngine::Change;
using Found = GrooveEngine::Found;

constexpr u64 setup_one_in = 16;

const char* change_name(Change change) {
  switch (change) {
    case Change::ok: return "ok";
    case Change::refused: return "refused";
    case Change::id_invalid: return "id_invalid";
    case Change::timestamp_invalid: return "timestamp_invalid";
    case Change::batch_full: return "batch_full";
  }
  UNREACHABLE();
}

Change expected_of(ChangeVerdict verdict) {
  switch (verdict) {
    case ChangeVerdict::unchanged:
    case ChangeVerdict::applies: return Change::ok;
    case ChangeVerdict::id_invalid: return Change::id_invalid;
    case ChangeVerdict::timestamp_invalid: return Change::timestamp_invalid;
    case ChangeVerdict::batch_full: return Change::batch_full;
    case ChangeVerdict::skipped: break;
  }
  UNREACHABLE();
}

}  // namespace

void Player::line_object() {
  switch (line_.kind) {
    case OperationKind::prefetch: return line_prefetch();
    case OperationKind::exists: return line_exists();
    case OperationKind::get: return line_get_object();
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::remove:
    case OperationKind::orphan: return line_change();
    case OperationKind::put:
    case OperationKind::scan:
    case OperationKind::commit:
    case OperationKind::checkpoint:
    case OperationKind::scope:
    case OperationKind::end:
    case OperationKind::crash:
    case OperationKind::reopen:
    case OperationKind::fault:
    case OperationKind::latency:
    case OperationKind::heal:
    case OperationKind::reseed:
    case OperationKind::query:
    case OperationKind::page:
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close:
    case OperationKind::call: break;
  }
  UNREACHABLE();
}

void Player::fail_object(FailureClass failure_class, std::string site, const std::string& message,
                         GrooveName groove, u128 key) {
  fail(failure_class, std::move(site), message, explain(key_tree(groove), Key::of(key)));
}

// --- reading

// Whoever uses a groove may begin its prefetching anew in an op: what was prefetched before must then be
// prefetched again, and costs again.
void Player::maybe_setup() {
  if (config_->twin || below(setups_.at(line_.id.number, line_.id.child), setup_one_in) != 0) return;
  host_->prefetch_setup();
  model_.prefetch_setup();
}

// False: refused. The engine must refuse what the model refuses.
bool Player::prefetch_key(GrooveName groove, Asked asked, u128 key) {
  // To a sticky engine no op ends: it gives back with every setup what was used of the op at hand.
  const bool out = standing_ == Standing::sticky;
  if (out) host_->prefetch_setup();
  const bool expected = out || model_.prefetch(groove, asked, key, options_.prefetch_keys_max);
  const bool given = asked == Asked::key ? host_->prefetch_enqueue(groove, key)
                                         : host_->prefetch_exists_enqueue(groove, static_cast<u64>(key));
  record_answer(2, given ? 0 : 1);
  ++result_.counters.checks;
  if (given != expected && config_->oracles.has(Oracle::model)) {
    fail(FailureClass::oracle, "prefetch: prefetch_full",
         fmt::format("the engine says {}, the model says {}", given ? "ok" : "prefetch_full",
                     expected ? "ok" : "prefetch_full"));
  }
  if (!given) ++result_.counters.prefetch_full;
  return given;
}

// Whether the engine can answer now. In a scope nothing is prefetched: what is not known is skipped.
bool Player::read_key(Asked asked, u128 key) {
  const GrooveName groove = line_.groove();
  if (model_.scope_active()) {
    if (!model_.known(groove, asked, key)) skip();
    return model_.known(groove, asked, key);
  }
  maybe_setup();
  if (!prefetch_key(groove, asked, key)) return false;
  // No sooner: where it lies is on its way since the line began.
  if (asked == Asked::key) model_.objects(groove).fetch(key);
  const Error error = host_->prefetch(groove);
  if (!error) return true;
  judge_error(error, "prefetch");
  // Nothing of this op may be asked before the prefetching begins anew.
  host_->prefetch_setup();
  model_.prefetch_setup();
  return false;
}

void Player::line_prefetch() {
  if (model_.scope_active()) return skip();
  if (line_.timestamped) {
    (void)read_key(Asked::exists, line_.key.lo);
  } else {
    (void)read_key(Asked::key, object_key(line_));
  }
}

// --- answers

void Player::compare_object(GrooveName groove, u128 key, const Side& expected, const ObjectAnswer& given,
                            FailureClass failure_class, const char* where) {
  ++result_.counters.checks;
  const char* const difference = object_difference(groove, expected, given);
  if (difference == nullptr) return;
  fail_object(failure_class, fmt::format("{}: {}: {}", where, groove_spec(groove).name, difference),
              fmt::format("{} {}: the engine says {}, the model says {}", groove_spec(groove).name,
                          key_text(key_tree(groove), Key::of(key)), answer_text(groove, given),
                          side_text(groove, expected)),
              groove, key);
}

void Player::line_get_object() {
  const GrooveName groove = line_.groove();
  const u128 key = object_key(line_);
  if (!read_key(Asked::key, key)) return;
  const ObjectAnswer answer = host_->object(groove, key);
  if (config_->oracles.has(Oracle::model)) {
    compare_object(groove, key, model_.get_object(groove, key), answer, FailureClass::oracle, "get");
  }
  const u64 hash = answer.kind == Found::found ? object_hash(groove, answer.object.data()) : 0;
  record_answer(static_cast<u64>(answer.kind), hash);
  effective_query(hash_of(hash) + static_cast<u64>(answer.kind));
  if (!config_->answer_listener) return;
  config_->answer_listener(fmt::format("{} -> {}", op_id_text(line_.id), answer_text(groove, answer)));
}

void Player::line_exists() {
  const GrooveName groove = line_.groove();
  const u64 timestamp = static_cast<u64>(line_.key.lo);
  if (!read_key(Asked::exists, timestamp)) return;
  const bool exists = host_->object_exists(groove, timestamp);
  ++result_.counters.checks;
  if (exists != model_.exists(groove, timestamp) && config_->oracles.has(Oracle::model)) {
    fail(FailureClass::oracle, exists ? "exists: found, expected absent" : "exists: absent, expected found",
         fmt::format("exists {} timestamp={}: the engine says {}, the model says {}",
                     groove_spec(groove).name, timestamp, exists, !exists),
         explain(groove_spec(groove).objects, Key::of(timestamp)));
  }
  record_answer(3, exists ? 1 : 0);
  effective_query(hash_of(exists ? 1 : 0));
  if (!config_->answer_listener) return;
  config_->answer_listener(fmt::format("{} -> {}", op_id_text(line_.id), exists ? "exists" : "absent"));
}

// --- changes

Change Player::change_object(EngineHost& host, const ObjectChange& change, bool upsert) {
  using Kind = EngineHost::ObjectChange;
  switch (change.after.presence) {
    case Presence::absent: return host.remove_object(change.groove, change.key());
    case Presence::orphan: return host.insert_orphaned_id(change.groove, change.key());
    case Presence::object: {
      const ObjectBytes after = object_bytes(change.groove, change.after.object);
      const bool was = change.before.presence == Presence::object;
      return host.change(change.groove,
                         upsert ? Kind::upsert
                         : was  ? Kind::update
                                : Kind::insert,
                         after.data());
    }
  }
  UNREACHABLE();
}

void Player::line_change() {
  const GrooveName groove = line_.groove();
  const u128 key = object_key(line_);
  const bool orphan_in_scope = line_.kind == OperationKind::orphan && model_.scope_active();
  if (orphan_in_scope) return skip();
  if (!read_key(Asked::key, key)) return;
  const ObjectAnswer answer = host_->object(groove, key);
  const ChangePlan plan = model_.plan(line_, options_.format.batch_values_max);
  if (config_->oracles.has(Oracle::model)) {
    compare_object(groove, key, plan.change.before, answer, FailureClass::oracle,
                   operation_kind_name(line_.kind));
  }
  if (standing_ == Standing::sticky) return out_change();
  compare_changes_left(groove);
  if (plan.verdict == ChangeVerdict::skipped) return skip();
  changed(plan.change, plan.verdict, change_object(*host_, plan.change, line_.kind == OperationKind::upsert));
}

void Player::compare_changes_left(GrooveName groove) {
  if (!config_->oracles.has(Oracle::model)) return;
  const u32 given = host_->changes_left(groove);
  const u32 expected = options_.format.batch_values_max - model_.batch_used(groove_spec(groove).objects);
  ++result_.counters.checks;
  if (given == expected) return;
  fail(FailureClass::oracle, "changes_left",
       fmt::format("the engine says that {} objects of {} may still be changed, the model says {}", given,
                   groove_spec(groove).name, expected));
}

void Player::changed(const ObjectChange& change, ChangeVerdict verdict, Change result) {
  const Change expected = expected_of(verdict);
  record_answer(1, static_cast<u64>(result));
  ++result_.counters.checks;
  if (result == Change::batch_full) ++result_.counters.batch_full;
  if (result == Change::id_invalid || result == Change::timestamp_invalid) ++result_.counters.refused;
  if (result != expected) {
    if (!config_->oracles.has(Oracle::model)) give_up();
    fail(FailureClass::oracle,
         fmt::format("{}: {}, expected {}", operation_kind_name(line_.kind), change_name(result),
                     change_name(expected)),
         fmt::format("the engine says {}, the model says {}", change_name(result), change_name(expected)));
  }
  if (verdict == ChangeVerdict::unchanged) return skip();
  if (verdict != ChangeVerdict::applies) return;
  ++result_.counters.changes;
  model_.change(change);
  effective();
}

// --- after a crash

// The effects only; but a groove is asked before it is changed, so its answer is compared, too. What this
// bar has changed already is known without a prefetch.
void Player::replay_changes(const std::vector<ObjectChange>& changes) {
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    bool any = false;
    for (const ObjectChange& change : changes) {
      if (change.groove != groove || model_.known(groove, Asked::key, change.key())) continue;
      any = true;
      if (!prefetch_key(groove, Asked::key, change.key()))
        fail(FailureClass::oracle, "replay: prefetch_full", "a replayed op does not fit");
    }
    if (!any) continue;
    if (const Error error = host_->prefetch(groove)) {
      judge_error(error, "replay");
      go_down("a replay");
    }
  }
  for (const ObjectChange& change : changes) {
    const ObjectAnswer answer = host_->object(change.groove, change.key());
    if (config_->oracles.has(Oracle::model))
      compare_object(change.groove, change.key(), change.before, answer, FailureClass::crash_legal, "replay");
    const Change result = change_object(*host_, change, false);
    if (result == Change::ok) continue;
    fail(FailureClass::oracle, "replay: a change is refused",
         fmt::format("a replayed change of {} ends in {}", groove_spec(change.groove).name,
                     change_name(result)));
  }
}

// After an error, before anything is prefetched: an op that ended in it has not ended. What its bar has
// changed is known, and it may still change as much as before, were it not refused.
void Player::check_bar_goes_on(bool op_ended) {
  if (!config_->oracles.has(Oracle::legal)) return;
  const std::deque<LoggedOp>& log = model_.log();
  ASSERT(!log.empty());
  std::array<u32, groove_count> used{};
  if (!op_ended) {
    for (const ObjectChange& change : log.back().changes) ++used[static_cast<u32>(change.groove)];
  }
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const u32 given = host_->changes_left(world_.groove(i));
    const u32 expected = options_.format.batch_values_max - used[static_cast<u32>(world_.groove(i))];
    ++result_.counters.checks;
    if (given == expected) continue;
    fail(FailureClass::crash_legal, "after an error: changes_left",
         fmt::format("{} objects of {} might still be changed, expected {}", given,
                     groove_spec(world_.groove(i)).name, expected));
  }
  const u64 beats = options_.format.beats;
  const u64 last = log.back().op + (op_ended ? 1 : 0);
  for (auto op = log.rbegin(); op != log.rend() && op->op / beats == last / beats; ++op) {
    for (const ObjectChange& change : op->changes) {
      const ObjectAnswer answer = host_->object(change.groove, change.key());
      compare_object(change.groove, change.key(), model_.get_object(change.groove, change.key()), answer,
                     FailureClass::crash_legal, "after an error, not prefetched");
    }
  }
}

// With an error the grooves answer still, and change nothing.
void Player::check_refused(const Error& error) {
  host_->prefetch_setup();
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    // What is wrong with an object is no longer looked at.
    for (const u64 number : {u64{1}, u64{0}}) {
      Side side{.presence = Presence::object, .object = {}};
      side.object.id = groove_spec(groove).has_id ? number : 0;
      side.object.timestamp = number;
      const Change result = change_object(*host_, {.groove = groove, .before = {}, .after = side}, true);
      ++result_.counters.checks;
      if (result == Change::refused) continue;
      fail(FailureClass::crash_legal, "changed after an error",
           fmt::format("the engine has ended in {}, and says {} to a change of {}", error_name(error.kind),
                       change_name(result), groove_spec(groove).name));
    }
  }
}

}  // namespace tonearm::sim
