#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/image_decoder.h"
#include "sim/decode/value_bytes.h"
#include "sim/disk/engine_code.h"
#include "sim/run/allocations.h"
#include "sim/run/in_order.h"
#include "sim/run/odd_leaf.h"
#include "sim/run/player.h"
#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace {

constexpr u32 window_rows = 24;
constexpr u32 points_full = 32;
constexpr u32 shadow_keys = 128;       // That a shadow engine is asked for through a groove, at least.
constexpr u32 shadow_cache_max = 256;  // Blocks; more push the run out of the processor's caches.
constexpr u64 verified_one_in = 4;     // Of the full audits on a shadow.
constexpr u32 recoveries_at_end_max = 1000;

// Events after which it is worth looking at the key once more. The engine says where, never what.
constexpr Mark worth_looking[] = {
    Mark::table_boundary,       Mark::table_moved,
    Mark::level0_coalesced,     Mark::deeper_coalesced,
    Mark::merge_into_level0,    Mark::merge_into_level1,
    Mark::merge_into_deeper,    Mark::table_memory_annihilated,
    Mark::table_memory_emptied, Mark::lookup_gap_index,
    Mark::scan_table_gap,
};

constexpr std::array<bool, mark_count> worth_looking_table = [] {
  std::array<bool, mark_count> table{};
  for (const Mark mark : worth_looking) table[static_cast<u32>(mark)] = true;
  return table;
}();

}  // namespace

// Work of the harness itself is attributed beside the operation, so that it shifts no draw of it.
Attribution Player::aside(const char* name, u64 n) const {
  return {.op = line_.id, .context = Stream(name, n).at(1)};
}

void Player::watch_engine() {
  marks_told_ = config_->reached != nullptr || config_->timeline != nullptr;
  set_mark_hook({.context = this, .hit = [](void* context, Mark mark, u16 tree, const Key* key) {
                   Player& self = *static_cast<Player*>(context);
                   if (self.muted_) return;
                   self.result_.hit(mark);
                   const bool worth = key != nullptr && worth_looking_table[static_cast<u32>(mark)];
                   if (worth || self.marks_told_) self.on_mark(mark, tree, worth ? key : nullptr);
                 }});
  set_variation_source({.context = this,
                        .ask =
                            [](void* context, Variation site, u64 a, u64 b) {
                              const HarnessCode harness;
                              return static_cast<Player*>(context)->ask_variation(site, a, b);
                            },
                        .sites = variations_.sites()});
  if (config_->timeline != nullptr) watch_spans();
}

// Of the live engine only: the time of a shadow engine is another one.
void Player::watch_spans() {
  set_span_hook({.context = this,
                 .begins =
                     [](void* context, SpanKind kind, const void* owner, SpanPlace place) {
                       const HarnessCode harness;
                       Player& self = *static_cast<Player*>(context);
                       if (self.muted_) return;
                       self.config_->timeline->span_begins(self.disk_->now(), kind, owner, place);
                     },
                 .ends =
                     [](void* context, SpanKind kind, const void* owner) {
                       const HarnessCode harness;
                       Player& self = *static_cast<Player*>(context);
                       if (!self.muted_) self.config_->timeline->span_ends(self.disk_->now(), kind, owner);
                     }});
}

// What few marks need; counted they are already. `key`: worth looking for, or null.
void Player::on_mark(Mark mark, u16 tree, const Key* key) {
  const HarnessCode harness;
  if (config_->reached != nullptr) config_->reached->mark_hit(mark);
  if (config_->timeline != nullptr && disk_) config_->timeline->mark_hit(disk_->now(), mark, tree);
  if (key == nullptr || !world_.has_id(tree) || directed_.size() >= options_.directed_checks_max) return;
  directed_.push_back({.tree = world_.tree_of(tree), .key = *key});
}

// Each call that ends is judged by itself (engine_call.h). One that a crash has cut off is judged here.
void Player::count_allocations() {
  const u64 count = engine_allocations() - allocations_before_;
  result_.counters.allocations = count;
  if (count == 0 || result_.failed() || !config_->oracles.has(Oracle::resource)) return;
  result_.failure = {
      .failure_class = FailureClass::resource,
      .site = "a call that was cut off: allocations",
      .message = fmt::format("the engine allocated memory {} times in calls that a crash cut off", count)};
  name_role();
}

void Player::take_outcome(const Audit& audit, FailureClass failure_class, const char* where) {
  const AuditOutcome& outcome = audit.outcome();
  result_.counters.checks += outcome.checks;
  if (outcome.mismatch) fail_mismatch(failure_class, where, *outcome.mismatch);
}

// A check costs a dozen queries, so each has to be paid for with lines: the cost of a run stays flat.
void Player::show_levels() {
  if (config_->reached == nullptr) return;
  const Forest& forest = host_->forest();
  for (u32 tree = 0; tree < forest.tree_count(); ++tree) {
    const Manifest& manifest = forest.tree(tree).manifest();
    for (u32 level = 0; level < manifest.levels(); ++level) {
      config_->reached->level_holds(tree, level, manifest.level(level).count());
    }
  }
}

void Player::directed_checks() {
  const u64 price = options_.directed_every_lines;
  if (directed_.empty() || directed_credit_ < price || !config_->oracles.has(Oracle::directed)) return;
  std::vector<Directed> directed;
  directed.swap(directed_);
  const Attribution before = disk_->attribution();
  for (u64 i = 0; i < directed.size() && directed_credit_ >= price; ++i) {
    directed_credit_ -= price;
    disk_->set_attribution(aside("directed", i));
    Audit audit(*host_, rows_, *this, "directed check");
    const Directed& check = directed[i];
    const bool cold = (audits_.at(line_.id.number, i) & 1) != 0;
    const KeyRange legal = tree_range(check.tree);
    const Key key = std::min(check.key, legal.max);
    ++result_.counters.directed;
    audit.around(check.tree, model_.tree(check.tree), key, cold);
    take_outcome(audit, FailureClass::oracle, "directed check");
  }
  directed_.clear();  // What the checks themselves marked.
  directed.clear();
  directed.swap(directed_);
  disk_->set_attribution(before);
}

// After every open, before anything else: the ends of each tree, then all of it against the state at
// C: all that the checkpoint holds, and nothing of the ops after it.
void Player::audit_opened() {
  directed_.clear();
  if (!config_->oracles.has(Oracle::legal)) return;
  Audit edges(*host_, rows_, *this, "after open");
  for (u32 i = 0; i < world_.count; ++i) edges.edges(world_.tree(i), model_.tree(world_.tree(i)));
  take_outcome(edges, FailureClass::crash_legal, "after open");
  audit_full(FailureClass::crash_legal, "after open");
}

// Through the grooves of the live engine, which costs prefetches: when no line of the op is to come.
void Player::audit_objects(FailureClass failure_class, const char* where) {
  Audit audit(*host_, rows_, *this, where);
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    audit.objects(groove, model_, window_from_[world_.position(key_tree(groove))], shadow_keys);
  }
  take_outcome(audit, failure_class, where);
}

// No bar ends any more, and yet a groove answers, however much is asked.
void Player::audit_after_error() {
  if (!config_->oracles.has(Oracle::legal)) return;
  const Attribution before = disk_->attribution();
  disk_->set_attribution(aside("after an error", model_.op()));
  Audit audit(*host_, rows_, *this, "after an error");
  const u32 rows = std::max<u32>(1, options_.prefetch_keys_max / 4);
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const TreeName tree = key_tree(world_.groove(i));
    const ModelMap& map = model_.tree(tree);
    u32 windows_left = 8 * options_.format.beats;
    for (auto row = map.begin(); row != map.end() && windows_left > 0; --windows_left) {
      host_->prefetch_setup();
      audit.objects(world_.groove(i), model_, engine_key(tree, row->first), rows, options_.prefetch_keys_max);
      for (u32 passed = 0; passed < rows && row != map.end(); ++passed) ++row;
    }
  }
  take_outcome(audit, FailureClass::crash_legal, "after an error");
  directed_.clear();
  disk_->set_attribution(before);
}

void Player::audit_full(FailureClass failure_class, const char* where) {
  Audit audit(*host_, rows_, *this, where);
  const u64 draw = audits_.at(model_.op(), model_.checkpoint_op());
  for (u32 i = 0; i < world_.count; ++i) {
    const TreeName tree = world_.tree(i);
    audit.full(tree, model_.tree(tree), remix(draw, i), points_full, (draw >> 63) != 0);
  }
  ++result_.counters.audits_full;
  take_outcome(audit, failure_class, where);
  directed_.clear();
}

// What a live object has in the trees of its groove, about: measured so, as many changes as there are objects
// make an audit due.
u64 Player::values_per_change() const {
  return world_.groove_count == 0 ? 1 : world_.count / world_.groove_count;
}

// After a checkpoint: structure of the durable image, and a shadow engine that opens it. A full audit is
// due when more was put since the last one than there is, so that its cost stays flat; and so it is for
// the values in the image, of which every block is read otherwise only after an open.
void Player::check_checkpoint(u64 op) {
  const u64 changes = result_.counters.changes;
  check_structure(op, (changes - changes_at_values_) * values_per_change() > model_.size(),
                  whole(disk_->truth_durable()));
  check_sides();
  scrub_begin(op);
  const u32 every = options_.shadow_every_checkpoints;
  if (every == 0 || ++checkpoints_seen_ % every != 0) {
    ++result_.counters.shadows_skipped;
    return;
  }
  const u64 puts_since_full = world_.groove_count > 0
                                  ? (changes - changes_at_full_) * values_per_change()
                                  : commits_since_full_ * options_.format.batch_values_max;
  const bool full = puts_since_full > 2 * model_.size() + 200;
  if (full) commits_since_full_ = 0, changes_at_full_ = changes;
  // Through the live engine in some runs only: it changes what the caches hold.
  const bool live_engine = full && below(audits_.at(0, 7), 100) < options_.audit_live_percent;
  if (live_engine && config_->oracles.has(Oracle::audit)) {
    const Attribution before = disk_->attribution();
    disk_->set_attribution(aside("audit", op));
    audit_full(FailureClass::oracle, "audit");
    disk_->set_attribution(before);
  }
  if (config_->oracles.has(Oracle::shadow)) shadow_audit(op, full);
}

// A lookup never asks the levels for what lies outside: nothing that is there may. Few keys are at an end,
// and fewer of them are ever looked up while their range is wrong.
void Player::compare_key_ranges() {
  if (!config_->oracles.has(Oracle::audit)) return;
  for (u32 i = 0; i < world_.count; ++i) {
    const TreeName tree = world_.tree(i);
    const ModelMap& map = model_.tree(tree);
    if (map.empty()) continue;
    ++result_.counters.checks;
    const std::optional<KeyRange>& range = host_->tree(tree).key_range();
    for (const ModelKey& end : {map.begin()->first, std::prev(map.end())->first}) {
      const Key key = engine_key(tree, end);
      if (range && range->contains(key)) continue;
      fail(FailureClass::oracle, "key range: a key lies outside",
           fmt::format("{} is there, and no lookup would find it in a level", key_text(tree, key)),
           history(tree, key));
    }
  }
}

// Those of this run, and of the blocks of the grid no more than the last image needs: its last block lies at
// the limit then, or near it.
RunOptions Player::options_least() const {
  RunOptions options = options_;
  const u64 size = std::max<u64>(decoded_.storage_size, superblock_zone_size);
  const u64 blocks = (size - superblock_zone_size) / options.format.block_size;
  if (blocks > 0) options.runtime.blocks_count = std::min(options.runtime.blocks_count, round_up(blocks, 64));
  return options;
}

void Player::shadow_audit(u64 op, bool full) {
  const bool known = config_->oracles.has(Oracle::structure) || config_->oracles.has(Oracle::protect);
  RunOptions options = known ? options_least() : options_;
  options.prefetch_keys_max = std::max(options_.prefetch_keys_max, shadow_keys);
  options.runtime.cache_blocks = std::min(options.runtime.cache_blocks, shadow_cache_max);
  muted_ = true;
  Shadow second(world_, whole(disk_->truth_durable()), options, memory_->shadow,
                config_->oracles.has(Oracle::resource), config_->poison);
  EngineHost& shadow = second.host();
  if (const Error error = shadow.open()) alarm(error, "shadow open", "nothing is damaged");
  if (shadow.forest().checkpoint_op() != op) {
    fail(FailureClass::crash_legal, "shadow: another checkpoint",
         fmt::format("the durable image opens at op {}, verified was {}", shadow.forest().checkpoint_op(),
                     op));
  }
  model_.rewind(op);
  Audit audit(shadow, rows_);
  const auto window_from = window_from_;
  for (u32 i = 0; i < world_.count; ++i) {
    const TreeName tree = world_.tree(i);
    const ModelMap& map = model_.tree(tree);
    if (full) {
      audit.full(tree, map, audits_.at(op, i), points_full, false);
      continue;
    }
    audit.window(tree, map, window_from_[i], window_rows, false);
    const bool wrapped = audit.rows().size() < window_rows / 2;
    if (!audit.failed()) {
      auto next = map.lower_bound(model_key(window_from_[i]));
      for (u32 row = 0; row < window_rows && next != map.end(); ++row) ++next;
      window_from_[i] = wrapped || next == map.end() ? Key{} : engine_key(tree, next->first);
    }
  }
  for (u32 i = 0; i < world_.groove_count; ++i) {
    const GrooveName groove = world_.groove(i);
    audit.objects(groove, model_, window_from[world_.position(key_tree(groove))],
                  full ? shadow_keys : window_rows, options.prefetch_keys_max);
    audit.in_order(draw_in_order(groove, model_, audits_.at(op, i, 1)), model_);
    audit.odd_leaf(draw_odd_leaf(groove, model_, audits_.at(op, i, 2)), model_);
  }
  ++(full ? result_.counters.audits_full : result_.counters.audits_window);
  ++result_.counters.audits_shadow;
  result_.counters.checks += audit.outcome().checks;
  model_.restore();
  if (full && below(scrubs_.at(op, 8), verified_one_in) == 0) verify_intact(second);
  bounds_checked_before_ += shadow.bounds_checked();
  muted_ = false;
  if (audit.failed()) {
    const Mismatch& mismatch = *audit.outcome().mismatch;
    fail(FailureClass::crash_legal, "shadow: " + mismatch.site,
         "on the durable image of the last checkpoint, " + mismatch.message,
         history(mismatch.tree, mismatch.key));
  }
  if (audit.outcome().unanswered > 0) {
    alarm(audit.outcome().error, "shadow audit", "nothing is damaged");
  }
}

// What the image holds, read without the engine, against the model at that op.
std::string Player::compare_contents(u64 op, const DecodedImage& decoded) {
  std::string difference;
  model_.rewind(op);
  for (u32 i = 0; i < world_.count && difference.empty(); ++i) {
    const TreeName tree = world_.tree(i);
    const ModelMap& map = model_.tree(tree);
    const TreeShape& shape = *shape_->find(tree_spec(tree).id);
    const std::span<const std::byte* const> values = decoded.newest(shape.id);
    std::size_t at = 0;
    const auto lies_there = [&](const ModelMap::value_type& expected) {
      if (at == values.size()) return false;
      const DecodedKey key = key_of(shape, values[at]);
      if (expected.first != model_key({.lo = key.second, .hi = key.first})) return false;
      if (expected.second != payload_of(shape, values[at])) return false;
      ++at;
      return true;
    };
    const auto expected = map.walk(map.begin(), map.end(), lies_there);
    result_.counters.checks += at;
    if (at < values.size()) {
      ++result_.counters.checks;
      const DecodedKey key = key_of(shape, values[at]);
      difference =
          fmt::format("the image of {} differs from the model at key {}", tree_name(tree),
                      key_text(tree, engine_key(tree, model_key({.lo = key.second, .hi = key.first}))));
    } else if (expected != map.end()) {
      difference = fmt::format("the image of {} lacks key {}", tree_name(tree),
                               key_text(tree, engine_key(tree, expected->first)));
    }
  }
  model_.restore();
  return difference;
}

// Whether a tree can have come to its end at this op. Tables of a few values fill a level long before its
// values would; that is rare in what is generated, and legal. Since the durable checkpoint each bar can
// have added one table to the last level: a merge takes one in, and leaves one more at most.
bool Player::last_level_full(u64 op) {
  const DecodedImage decoded =
      decode_image(whole(disk_->truth_durable()), {.shape = shape_, .memo = &memory_->decoded});
  if (decoded.outcome != DecodeOutcome::ok || op < decoded.op) return false;
  const FormatOptions& format = options_.format;
  u64 limit = 1;
  for (u32 level = 0; level < format.levels; ++level) limit *= format.growth;
  const u64 added_max = (op - decoded.op) / format.beats + 1;
  for (u32 i = 0; i < world_.count; ++i) {
    u64 count = 0;
    for (const DecodedTable& table : decoded.tables) {
      count += table.tree == tree_spec(world_.tree(i)).id && table.level + 1 == format.levels ? 1 : 0;
    }
    // The engine itself must have it full: a merge leaves one table more at most.
    const Manifest& manifest = host_->tree(world_.tree(i)).manifest();
    if (count + added_max > limit && manifest.level(format.levels - 1).count() == limit) return true;
  }
  return false;
}

// The image says for itself what is reachable: no leak, no double use, levels in order.
void Player::check_structure(u64 op, bool values, const Image& image) {
  const bool structure = config_->oracles.has(Oracle::structure);
  const bool protect = config_->oracles.has(Oracle::protect);
  if (!structure && !protect) return;
  if (values) changes_at_values_ = result_.counters.changes;
  decode_image(image, {.values = values, .shape = shape_, .memo = &memory_->decoded}, &decoded_);
  const DecodedImage& decoded = decoded_;
  acquired_known_ = bit_count(decoded.acquired);
  written_known_ = host_->blocks_written();
  // Until the checkpoint is reusable-durable the engine must spare these blocks; afterwards too, since
  // a crash before the next checkpoint comes back to this one.
  if (protect) disk_->protect(decoded.protected_words());
  if (!structure) return;
  ++result_.counters.structure_checks;
  std::vector<std::string> violations = check_image(decoded);
  violations.insert(violations.begin(), decoded.violations.begin(), decoded.violations.end());
  if (decoded.outcome != DecodeOutcome::ok) {
    violations.insert(violations.begin(), decode_outcome_name(decoded.outcome));
  } else if (decoded.op != op) {
    violations.insert(violations.begin(),
                      fmt::format("the durable superblock holds op {}, expected {}", decoded.op, op));
  }
  if (values && violations.empty() && decoded.damaged.empty()) {
    const std::string difference = compare_contents(op, decoded);
    if (!difference.empty()) violations.push_back(difference);
  }
  if (values) decoded_.forget_values();
  for (const DamagedBlock& damaged : decoded.damaged) {
    violations.push_back(fmt::format("{} block at {} is damaged: {}", block_use_name(damaged.use),
                                     damaged.ref.address, damaged.reason));
  }
  if (violations.empty()) return;
  std::string story;
  for (const std::string& violation : violations) story += "  " + violation + "\n";
  // Without numbers, which vary from seed to seed.
  std::string site = violations.front();
  std::erase_if(site, [](char c) { return c >= '0' && c <= '9'; });
  fail(FailureClass::structure, site, violations.front(),
       "the image of checkpoint " + std::to_string(op) + ":\n" + story);
}

// No fault and no latency any more.
void Player::end_settings() {
  ended_ = true;
  result_.counters.crashes_unfired += crashes_.size();
  crashes_ = std::move(end_crashes_);
  end_crashes_.clear();
  options_.disk.faults = {};
  options_.heal_lines = 0;
  options_.disk.read = options_.disk.write = options_.disk.sync = options_.disk.superblock = {};
  reconfigure();
  line_ = Operation{};
  line_.id = {.number = u64_max, .child = 0};
  line_.kind = OperationKind::checkpoint;
}

// Goes on behind what has struck: each crash line does once, and after a heal nothing goes wrong any more.
template <class Act>
void Player::at_end(Act&& act) {
  for (u32 unasked = 0; unasked < recoveries_at_end_max;) {
    try {
      return act();
    } catch (const Recover& cause) {
      if (!cause.strike) ++unasked;
      recover_until_open(cause);
    } catch (const WentOut&) {
      ++unasked;
      recover_until_open({.line = line_.id, .strike = false, .heal = true});
    }
  }
  fail(FailureClass::sim, "recovery without end", "the end of the run was recovered again and again");
}

// The end: an open scope is discarded; with faults and latency off everything is audited, checkpointed,
// opened again, and audited again.
void Player::epilogue() {
  if (host_) scope_discard();
  effective_flush();  // Lines without a commit are committed below, in a twin as here.
  end_settings();
  maybe_close_scans();
  disk_->set_attribution({.op = line_.id, .context = 0});
  begin_call();
  heal();
  arm_next_crash();
  sweep_end_begins();
  if (standing_ != Standing::up) recover_until_open({.line = line_.id, .strike = false, .heal = true});
  disk_->set_attribution({.op = line_.id, .context = 0});
  verify_running();
  bool audited = !config_->oracles.has(Oracle::audit);
  const u64 op_before = host_->forest().checkpoint_op();
  at_end([&] {
    if (!std::exchange(audited, true)) {
      audit_full(FailureClass::oracle, "final audit");
      audit_objects(FailureClass::oracle, "final audit");
    }
    // Where a recovery has made it, another would be one more than a twin makes.
    if (host_->forest().checkpoint_op() <= op_before) line_checkpoint();
  });
  bool reopened = false, struck = false;
  at_end([&] {
    struck = std::exchange(reopened, true);
    if (!struck) recover({.line = line_.id, .strike = false});
    if (config_->oracles.has(Oracle::audit)) audit_objects(FailureClass::crash_legal, "last open");
  });
  result_.counters.crashes_unfired += crashes_.size();
  crashes_.clear();
  check_repairs();
  verify_end();
  // Nothing was lost and nothing was due: opening again and replaying writes no block.
  if (struck || host_->blocks_written() == 0 || !config_->oracles.has(Oracle::structure)) return;
  fail(FailureClass::structure, "a reopen wrote blocks",
       fmt::format("the reopen that ends the run wrote {} blocks", host_->blocks_written()));
}

}  // namespace tonearm::sim
