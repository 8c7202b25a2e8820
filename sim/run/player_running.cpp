// The engine's own verification between half-bars of an engine at work: tables have come and gone since its
// checkpoint, and blocks of the manifest log are not yet written.
//
// A verification reads, and so moves the steps by which crashes strike. So the ops behind the last checkpoint
// are played once more, on a shadow engine.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace {

constexpr u64 runs_one_in = 2;
// Of the moments at which it may be, beside the last one.
constexpr u64 verified_one_in = 3;
constexpr u64 verified_max = 1;
constexpr u64 together_one_in = 4;
constexpr u32 together_keys = 16;
constexpr u32 filled_max = 256;  // Changes that fill up an op.

// What there is to count, by what the forest knows of itself.
ForestVerify::Counts counts_of(const Forest& forest) {
  ForestVerify::Counts counts;
  for (u32 tree = 0; tree < forest.tree_count(); ++tree) {
    const Manifest& manifest = forest.tree(tree).manifest();
    for (u32 level = 0; level < manifest.levels(); ++level) {
      counts.index += manifest.level(level).count();
      ManifestLevel::Tables::Cursor cursor = manifest.level(level).tables().cursor();
      for (; !cursor.end(); cursor.next()) counts.versions += cursor.get().value_count;
    }
  }
  const ManifestLog& log = forest.manifest_log();
  const FreeSet& free_set = forest.grid().free_set();
  const u64 in_use = free_set.count_acquired() - free_set.count_released();
  counts.value = in_use - counts.index - (log.end() - log.first());
  counts.manifest = log.written_end() - log.first();
  counts.trailer =
      forest.trailer_acquired().addresses().size() + forest.trailer_released().addresses().size();
  return counts;
}

std::string counted(const ForestVerify::Counts& counts) {
  return fmt::format("{} index, {} value, {} manifest and {} trailer blocks, {} values", counts.index,
                     counts.value, counts.manifest, counts.trailer, counts.versions);
}

}  // namespace

void Player::replay_aside(EngineHost& shadow, const LoggedOp& op) {
  bool fits = true;
  for (const Effect& effect : op.effects) {
    const Key key = engine_key(effect.tree, effect.key);
    const PutResult result =
        effect.removed ? shadow.remove(effect.tree, key) : shadow.put(effect.tree, key, effect.value);
    fits = fits && result == PutResult::ok;
  }
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    std::set<u128> keys;
    for (const ObjectChange& change : op.changes) {
      if (change.groove != groove) continue;
      for (const Side& side : {change.before, change.after}) {
        if (side.presence != Presence::object) continue;
        fits = shadow.prefetch_exists_enqueue(groove, side.object.timestamp) && fits;
      }
      if (!keys.insert(change.key()).second) continue;
      fits = shadow.prefetch_enqueue(groove, change.key()) && fits;
    }
    if (keys.empty()) continue;
    if (const Error error = shadow.prefetch(groove)) alarm(error, "shadow replay", "nothing is damaged");
  }
  if (fits) fill_aside(shadow, op);
  for (const ObjectChange& change : op.changes) {
    fits = fits && change_object(shadow, change, false) == GrooveEngine::Change::ok;
    if (fits) exists_aside(shadow, change, "shadow replay");
  }
  if (fits) return;
  fail(FailureClass::oracle, "shadow replay: refused",
       fmt::format("op {}, replayed on the last checkpoint, does not fit", op.op));
}

// Both timestamps were prefetched before the op began to change anything.
void Player::exists_aside(EngineHost& shadow, const ObjectChange& change, const char* where) {
  const auto judge = [&](u64 timestamp, bool expected) {
    ++result_.counters.checks;
    if (shadow.object_exists(change.groove, timestamp) == expected) return;
    fail(FailureClass::oracle,
         fmt::format("{}: exists: {}", where, expected ? "absent, expected found" : "found, expected absent"),
         fmt::format("exists {} timestamp={}: the engine says {}", groove_spec(change.groove).name, timestamp,
                     !expected));
  };
  const bool is = change.after.presence == Presence::object;
  if (is) judge(change.after.object.timestamp, true);
  if (change.before.presence != Presence::object) return;
  const u64 before = change.before.object.timestamp;
  if (!is || before != change.after.object.timestamp) judge(before, false);
}

// In a scope that is discarded the op is filled up with changes of one object, of which the last one removes
// it. What there is of it is asked in the scope, in the full op, and when nothing of that has happened.
void Player::fill_aside(EngineHost& shadow, const LoggedOp& op) {
  using Kind = EngineHost::ObjectChange;
  std::set<std::pair<GrooveName, u128>> met;
  for (const ObjectChange& change : op.changes) {
    // As it was before the op; one will do.
    if (!met.emplace(change.groove, change.key()).second) continue;
    if (change.before.presence != Presence::object) continue;
    const GrooveName groove = change.groove;
    const u32 left = shadow.changes_left(groove);
    if (left > filled_max) return;
    const char* wrong = nullptr;
    const auto must = [&wrong](bool holds, const char* what) {
      if (!holds && wrong == nullptr) wrong = what;
    };
    using Change = GrooveEngine::Change;
    Object object = change.before.object;
    must(shadow.scope_open(), "no scope");
    for (u32 i = 1; i < left && wrong == nullptr; ++i) {
      object.fields[0] ^= 1;
      must(shadow.change(groove, Kind::update, object_bytes(groove, object).data()) == Change::ok,
           "an update");
    }
    must(shadow.object_exists(groove, object.timestamp), "exists() of what was updated");
    must(shadow.remove_object(groove, change.key()) == Change::ok, "a remove");
    must(!shadow.object_exists(groove, object.timestamp), "exists() of what was removed");
    must(shadow.object(groove, change.key()).kind == GrooveEngine::Found::not_found,
         "get() of what was removed");
    must(shadow.changes_left(groove) == 0, "changes_left() of a full op");
    const ObjectBytes bytes = object_bytes(groove, object);
    must(shadow.change(groove, Kind::insert, bytes.data()) == Change::batch_full, "one insert more");
    must(shadow.change(groove, Kind::upsert, bytes.data()) == Change::batch_full, "one upsert more");
    shadow.scope_close(ScopeMode::discard);
    must(shadow.object_exists(groove, object.timestamp), "exists() of what was not removed");
    must(shadow.changes_left(groove) == left, "changes_left() after a discard");
    result_.counters.checks += 8;
    if (wrong != nullptr) {
      fail(FailureClass::oracle, fmt::format("a full op in a scope: {}", wrong),
           fmt::format(
               "op {} of a shadow was filled up with {} changes of {}, and those discarded: {} went wrong",
               op.op, left, object_text(groove, object), wrong));
    }
    compare_object(groove, change.key(), change.before, shadow.object(groove, change.key()),
                   FailureClass::oracle, "a scope that was discarded");
    return;
  }
}

void Player::verify_running() {
  const std::deque<LoggedOp>& log = model_.log();
  if (!config_->oracles.has(Oracle::verify) || log.empty()) return;
  if (below(scrubs_.at(0, 16), runs_one_in) != 0) return;
  RunOptions options = options_;
  // Of each change its key and two timestamps; and before the op those who read together.
  const u32 of_op = 3 * options_.format.batch_values_max;
  options.prefetch_keys_max = std::max(options_.prefetch_keys_max, of_op) + together_keys;
  muted_ = true;
  Shadow second(world_, whole(disk_->truth_durable()), options, memory_->shadow,
                config_->oracles.has(Oracle::resource), config_->poison);
  EngineHost& shadow = second.host();
  if (const Error error = shadow.open()) alarm(error, "shadow open", "nothing is damaged");
  const u32 half = options_.format.beats / 2;
  u64 verified = 0;
  for (const LoggedOp& op : log) {
    if (op.op != shadow.forest().op() + 1) break;  // Of a checkpoint that was not verified.
    replay_aside(shadow, op);
    // With other choices than the engine made there may be no room.
    if (const Error error = shadow.compact(op.op)) {
      if (error.kind == ErrorKind::storage_full || error.kind == ErrorKind::manifest_full) break;
      alarm(error, "shadow replay", "nothing is damaged");
    }
    const bool last = op.op + half > log.back().op;
    const bool wanted = below(scrubs_.at(op.op, 12), verified_one_in) == 0 && verified < verified_max;
    const bool together = last || below(scrubs_.at(op.op, 20), together_one_in) == 0;
    if (together) read_together(shadow, op.op, together_keys);
    if (!shadow.forest().compacting() && (last || wanted)) {
      ++verified;
      ++result_.counters.verifications;
      ++result_.counters.checks;
      const ForestVerify::Counts expected = counts_of(shadow.forest());
      ForestVerify::Counts counts;
      if (const Error error = shadow.verify(&counts)) {
        fail(FailureClass::false_alarm, fmt::format("verify a running forest: {}", error.reason),
             fmt::format("verification after op {} ended in {} ({} at {})", op.op, error_name(error.kind),
                         error.reason, error.address));
      }
      counts.keys = 0;  // Of what the disk has alone: nobody else knows.
      if (counted(counts) != counted(expected)) {
        fail(
            FailureClass::oracle, "verify a running forest: another number",
            fmt::format("verified after op {}: {}; there are {}", op.op, counted(counts), counted(expected)));
      }
    }
    if (shadow.forest().checkpoint_due(op.op)) break;
    if (!shadow.forest().checkpoint_durable()) shadow.mark_checkpoint_durable();
  }
  if (verified == 0) ++result_.counters.running_skipped;
  muted_ = false;
}

}  // namespace tonearm::sim
