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
      if (change.groove != groove || !keys.insert(change.key()).second) continue;
      fits = shadow.prefetch_enqueue(groove, change.key()) && fits;
    }
    if (keys.empty()) continue;
    if (const Error error = shadow.prefetch(groove)) alarm(error, "shadow replay", "nothing is damaged");
  }
  for (const ObjectChange& change : op.changes) {
    fits = fits && change_object(shadow, change, false) == GrooveEngine::Change::ok;
  }
  if (fits) return;
  fail(FailureClass::oracle, "shadow replay: refused",
       fmt::format("op {}, replayed on the last checkpoint, does not fit", op.op));
}

void Player::verify_running() {
  const std::deque<LoggedOp>& log = model_.log();
  if (!config_->oracles.has(Oracle::verify) || log.empty()) return;
  if (below(scrubs_.at(0, 16), runs_one_in) != 0) return;
  RunOptions options = options_;
  options.prefetch_keys_max = std::max(options_.prefetch_keys_max, options_.format.batch_values_max);
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
