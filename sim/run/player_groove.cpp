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
  if (verdict == ChangeVerdict::batch_full && config_->oracles.has(Oracle::model)) check_full();
  if (verdict != ChangeVerdict::applies) return;
  ++result_.counters.changes;
  model_.change(change);
  effective();
  const bool full = model_.batch_used(groove_spec(change.groove).objects) == options_.format.batch_values_max;
  if (full && config_->oracles.has(Oracle::model)) check_full();
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

// With an error the grooves answer still, and change nothing: whatever it is that is changed, be it there or
// not, prefetched or not. Nothing else that is wrong with a change, a full op included, is said any more.
void Player::check_refused(const Error& error) {
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    const u32 left = host_->changes_left(groove);
    const u64 random = audits_.at(line_.id.number, line_.id.child, 1 + i);
    const bool flips = (random & 1) != 0;  // As it is, which an upsert would not refuse, or otherwise.
    for (const u64 number : {u64{1}, u64{0}}) refused_all(error, groove, {.id = number, .timestamp = number});
    if (line_.of_groove() && line_.groove() == groove) refused_key(error, groove, object_key(line_), flips);
    const std::deque<LoggedOp>& log = model_.log();
    for (u64 n = 0; n < 2 && !log.empty(); ++n) {
      const u64 drawn = remix(random, n);
      const LoggedOp& op = n == 0 ? log.back() : log[below(drawn, log.size())];
      if (op.changes.empty()) continue;
      const ObjectChange& change = op.changes[below(remix(drawn, 1), op.changes.size())];
      if (change.groove == groove) refused_key(error, groove, change.key(), flips);
    }
    ++result_.counters.checks;
    if (host_->changes_left(groove) == left) continue;
    fail(FailureClass::crash_legal, "after an error: what was refused counts",
         fmt::format("{} objects of {} might still be changed; after changes that were refused {}", left,
                     groove_spec(groove).name, host_->changes_left(groove)));
  }
  host_->prefetch_setup();
}

void Player::refused_key(const Error& error, GrooveName groove, u128 key, bool flips) {
  const GrooveSpec& spec = groove_spec(groove);
  Object object = model_.get_object(groove, key).object;
  if (object.timestamp == 0) object.timestamp = spec.has_id ? 1 : static_cast<u64>(key);
  if (spec.has_id) object.id = key;
  if (flips) object.fields[0] ^= 1;
  refused_all(error, groove, object);
}

// Every kind of change.
void Player::refused_all(const Error& error, GrooveName groove, Object object) {
  const GrooveSpec& spec = groove_spec(groove);
  if (!spec.has_id) object.id = 0;
  const u128 key = key_of(groove, object);
  const ObjectBytes bytes = object_bytes(groove, object);
  const auto judge = [&](const char* kind, Change result) {
    ++result_.counters.checks;
    if (result == Change::refused) return;
    fail(FailureClass::crash_legal, fmt::format("changed after an error: {}", kind),
         fmt::format("the engine has ended in {}, and says {} to {} {}", error_name(error.kind),
                     change_name(result), kind, object_text(groove, object)));
  };
  judge("insert", host_->change(groove, EngineHost::ObjectChange::insert, bytes.data()));
  judge("update", host_->change(groove, EngineHost::ObjectChange::update, bytes.data()));
  judge("upsert", host_->change(groove, EngineHost::ObjectChange::upsert, bytes.data()));
  judge("remove", host_->remove_object(groove, key));
  if (spec.orphans) judge("insert_orphaned_id", host_->insert_orphaned_id(groove, key));
}

// An op that is full refuses what would change something, and nothing else: what is wrong with a change, it
// says before, and an upsert of what is there is none. The line's key is known, and of others an invalid id
// need not be.
void Player::check_full() {
  const GrooveName groove = line_.groove();
  const GrooveSpec& spec = groove_spec(groove);
  Operation asked = line_;
  const auto ask = [&](OperationKind kind) {
    asked.kind = kind;
    const ChangePlan plan = model_.plan(asked, options_.format.batch_values_max);
    if (plan.verdict == ChangeVerdict::skipped) return;
    const Change expected = expected_of(plan.verdict);
    const Change given = change_object(*host_, plan.change, kind == OperationKind::upsert);
    ++result_.counters.checks;
    if (given == expected) return;
    fail(FailureClass::oracle,
         fmt::format("a full op: {}: {}, expected {}", operation_kind_name(kind), change_name(given),
                     change_name(expected)),
         fmt::format("after {} changes of {} in an op the engine says {} to one more, the model says {}",
                     options_.format.batch_values_max, spec.name, change_name(given), change_name(expected)));
  };
  for (const u128 key : {object_key(line_), u128{0}, spec.has_id ? u128_max : u128{u64_max}}) {
    asked.key = Key::of(key);
    // Its own timestamp, or none; but that is the key where there are no ids.
    for (const bool own : {true, false}) {
      asked.timestamped = !own || !spec.has_id;
      asked.value = spec.has_id ? 0 : static_cast<u64>(key);
      ask(OperationKind::insert);
      ask(OperationKind::upsert);
    }
    if (spec.orphans) ask(OperationKind::orphan);
    asked.named = 1;
    asked.fields[0] ^= 1;
    ask(OperationKind::update);
    ask(OperationKind::remove);
  }
}

}  // namespace tonearm::sim
