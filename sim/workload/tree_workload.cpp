#include "sim/workload/tree_workload.h"

#include <algorithm>

#include "base/assert.h"
#include "base/math.h"
#include "sim/scenario/settings.h"
#include "sim/workload/salts.h"

namespace tonearm::sim {

namespace {

constexpr u64 crash_follow_max = 2;  // Crash lines in a row after the one that was drawn.
constexpr u32 scan_rows_max = 32;
constexpr Ratio crash_follows = {3, 8};
constexpr Ratio crash_in_checkpoint = {1, 3};
constexpr Ratio crash_storm = {1, 8};
constexpr Ratio crash_in_format = {1, 5};
constexpr u64 format_steps = 24;  // Of the event loop, about: all of format and some of the first open.
constexpr u64 storm_lines = 5;
constexpr u64 superblock_steps = 20;  // About as many as four writes and four reads take.

bool percent(u64 random, u32 percent) { return below(random, 100) < percent; }

}  // namespace

TreeSource::TreeSource(u64 seed, const RunOptions& options)
    : options_(options),
      keys_(seed, options.key_universe),
      lines_("lines", stream_seed(seed, "lines")),
      chunks_("chunks", stream_seed(seed, "chunks")),
      phases_("phases", stream_seed(seed, "phases")),
      ladders_("ladders", stream_seed(seed, "ladders")),
      rare_seed_(stream_seed(seed, "rare")) {
  const RunOptions& o = options_;
  const Stream habits("habits", stream_seed(seed, "habits"));
  const u64 trees = std::max<u64>(1, u64{o.weight_kv} + o.weight_index + o.weight_id);
  const u64 writes = u64{o.weight_put} + o.weight_remove;
  const u64 drawn = writes + o.weight_get + o.weight_scan;
  const u64 others = drawn + o.weight_checkpoint + o.weight_scope + o.weight_crash + o.weight_reopen;
  rare_total_ = std::max<u64>(1, others + o.weight_commit);
  if (o.weight_commit > 0) period_ = std::max<u64>(1, 1 + others / o.weight_commit);
  writes_total_ = writes * (u64{o.weight_kv} + o.weight_id) / trees;
  total_ = writes_total_ + o.weight_get + o.weight_scan;

  const u64 scope_weight = period_ == 0 ? 0 : std::min(rare_total_ / 2, o.weight_scope * period_ / 2);
  scope_chance_ = {static_cast<u32>(scope_weight), static_cast<u32>(rare_total_)};
  static constexpr Ratio times[] = {{0, 1}, {1, 64}, {1, 16}};
  times_chance_ = times[below(habits.at(1), std::size(times))];
  times_max_ = below(habits.at(2), 4) == 0 ? 2 * u64{o.format.checkpoint_interval} : 2 * u64{o.format.beats};

  // Three of four phases exist, load and mixed always.
  phase_mask_ = 1U << static_cast<u32>(Phase::load) | 1U << static_cast<u32>(Phase::mixed);
  for (u32 phase = 0; phase < phase_count; ++phase) {
    if (chance(habits.at(10, phase), {3, 4})) phase_mask_ |= 1U << phase;
  }

  const u64 table_lines =
      writes_total_ == 0 ? 0 : u64{o.format.beats} * o.format.batch_values_max * rare_total_ / writes_total_;
  if (o.ladder_victims > 0 && writes_total_ > 0) {
    const u64 wanted = table_lines * between(habits.at(3), 1, 3) / o.ladder_victims;
    ladder_lines_ = std::clamp<u64>(wanted, 8, std::max<u64>(8, o.ops / 32));
  }

  if (o.weight_index > 0 && o.weight_put > 0) {
    index_every_ = std::max<u64>(2, rare_total_ * trees / (writes * o.weight_index));
    index_visits_ = chance(habits.at(4), {1, 4}) ? 3 : 1;
    index_cycles_ = 1 + 2 * below(habits.at(5), 3);
    if (o.weight_remove == 0) index_cycles_ = index_visits_ = 1;
    const u64 visits = std::max<u64>(1, o.ops / index_every_ / index_visits_);
    const u64 cycles = o.weight_remove == 0 ? 1 : between(habits.at(6), 2, 10);
    index_window_ = std::clamp<u64>(visits / cycles, 1, keys_.universe());
    index_windows_ = std::max<u64>(1, keys_.universe() / index_window_);
  }

  for (const char* name : {"cache_blocks", "cache_hash_bits", "read_iops", "write_iops", "compaction_blocks",
                           "read_attempts_max"}) {
    const std::optional<u16> setting = find_setting(name);
    ASSERT(setting);
    reopen_settings_[reopen_setting_count_++] = *setting;
  }
}

void TreeSource::at(u64 index, Operation* operation) const {
  static const Operation blank{};
  *operation = blank;
  operation->id.number = index + 1;
  const u64 random = lines_.at(index);
  bool in_scope = false;
  if (commit_or_scope(index, operation, &in_scope)) return;
  if (!in_scope && rare(index, random, operation)) return;
  if (ladder(index, in_scope, operation)) return;
  if (index_write(index, operation)) return;
  read_or_write(index, random, in_scope, operation);
}

TreeSource::Chunk TreeSource::chunk_of(u64 chunk) const {
  Chunk plan{
      .commit = period_ - 1, .scope_begin = period_, .scope_end = period_, .random = chunks_.at(chunk)};
  if (below(plan.random, 4) == 0) plan.commit = below(remix(plan.random, salt_jitter), period_);
  // A scope holds at least one line.
  if (plan.commit >= 3 && chance(remix(plan.random, salt_scope), scope_chance_)) {
    plan.scope_begin = below(remix(plan.random, salt_scope + 100), plan.commit - 2);
    const u64 length_max = std::min<u64>(plan.commit - 1 - plan.scope_begin, 24);
    plan.scope_end = plan.scope_begin + between(remix(plan.random, salt_scope_end), 2, length_max);
  }
  return plan;
}

bool TreeSource::commit_or_scope(u64 index, Operation* operation, bool* in_scope) const {
  if (period_ == 0) return false;
  const u64 at = index % period_;
  const Chunk chunk = chunk_of(index / period_);
  if (at == chunk.commit) {
    operation->kind = OperationKind::commit;
    const u64 random = remix(chunk.random, salt_times);
    if (chance(random, times_chance_)) {
      operation->count = 2 + below(remix(random, 1), below(remix(random, 2), 4) == 0 ? times_max_ : 6);
    }
    return true;
  }
  if (at == chunk.scope_begin) {
    operation->kind = OperationKind::scope;
    return true;
  }
  if (at == chunk.scope_end) {
    operation->kind = OperationKind::end;
    operation->persist = (chunk.random & 1) != 0;
    return true;
  }
  *in_scope = at > chunk.scope_begin && at < chunk.scope_end;
  return false;
}

// Apart from the draw of the line, because a line asks about its predecessors too.
u64 TreeSource::rare_drawn(u64 index) const {
  return below(remix(rare_seed_ + index, salt_rare), rare_total_);
}

bool TreeSource::rare(u64 index, u64 random, Operation* operation) const {
  const u64 drawn = rare_drawn(index);
  const u64 crash_end = options_.weight_crash;
  const u64 reopen_end = crash_end + options_.weight_reopen;
  if (crash_end > 0 && index == 0 && chance(remix(rare_seed_, salt_phase), crash_in_format)) {
    operation->kind = OperationKind::crash;
    operation->count = below(remix(random, salt_limit), format_steps);
    return true;
  }
  if (crash_end > 0 && options_.weight_checkpoint > 0 && storm(index, random, operation)) return true;
  if (drawn < crash_end) {
    crash(random, false, operation);
    return true;
  }
  if (drawn < reopen_end) {
    reopen(random, operation);
    return true;
  }
  if (drawn < reopen_end + options_.weight_checkpoint) {
    operation->kind = OperationKind::checkpoint;
    return true;
  }
  if (options_.weight_crash == 0) return false;
  // A checkpoint is the rarest thing to crash in: now and then one comes right behind a crash line.
  if (options_.weight_checkpoint > 0 && index > 0 && rare_drawn(index - 1) < crash_end &&
      chance(remix(random, salt_count), crash_in_checkpoint)) {
    operation->kind = OperationKind::checkpoint;
    return true;
  }
  // A crash line soon after another one strikes in the recovery.
  for (u64 back = 1; back <= crash_follow_max && back <= index; ++back) {
    if (rare_drawn(index - back) < crash_end) {
      if (!chance(remix(random, salt_count + back), crash_follows)) return false;
      crash(random, true, operation);
      return true;
    }
  }
  return false;
}

void TreeSource::crash(u64 random, bool follows, Operation* operation) const {
  operation->kind = OperationKind::crash;
  const u64 size = below(remix(random, salt_count), 8);
  u64 bound = 1;  // Event-loop steps until it strikes.
  if (follows) {
    bound = size < 2 ? 6 : size < 6 ? 40 : 300;
  } else if (size > 0) {
    bound = size < 3 ? 8 : size < 6 ? 64 : size < 7 ? 300 : 1000;
  }
  operation->count = below(remix(random, salt_limit), bound);
  if (follows || below(remix(random, salt_times), 4) != 0) return;
  operation->superblock = true;
  operation->count = below(remix(random, salt_limit), superblock_steps);
}

// Superblock copies of several ages come about only when checkpoint after checkpoint is cut short: a
// crash line now and then begins a storm of them.
bool TreeSource::storm(u64 index, u64 random, Operation* operation) const {
  for (u64 back = 1; back <= storm_lines && back <= index; ++back) {
    const u64 drawn = rare_drawn(index - back);
    if (drawn >= options_.weight_crash || !chance(remix(rare_seed_ + index - back, salt_jitter), crash_storm))
      continue;
    if (back % 2 == 1) {
      operation->kind = OperationKind::checkpoint;
    } else {
      operation->kind = OperationKind::crash;
      operation->superblock = true;
      operation->count = below(remix(random, salt_limit), superblock_steps);
    }
    return true;
  }
  return false;
}

void TreeSource::reopen(u64 random, Operation* operation) const {
  operation->kind = OperationKind::reopen;
  const u64 changes = below(remix(random, salt_count), 4);
  const u64 first = below(remix(random, salt_setting), reopen_setting_count_);
  for (u64 i = 0; i < changes; ++i) {
    const u64 salt = remix(random, salt_setting + 1000 + i);
    // Distinct: a step of 5 visits all six.
    const u16 setting = reopen_settings_[(first + 5 * i) % reopen_setting_count_];
    u64 value = 0;
    switch ((first + 5 * i) % reopen_setting_count_) {
      case 0: value = 16 * (1 + below(salt, u64{1} << below(remix(salt, 1), 6))); break;
      case 1: value = below(salt, 65); break;
      case 4: value = between(salt, compaction_blocks_min, 32); break;
      default: value = between(salt, 1, 16); break;
    }
    operation->changes.push({.setting = setting, .value = value});
  }
}

// --- reads and writes

OperationKind TreeSource::phase_kind(const PhaseRange& phase, OperationKind kind, u64 random) const {
  const bool write = kind == OperationKind::put || kind == OperationKind::remove;
  const RunOptions& o = options_;
  if (!write) return kind;
  const bool can_put = o.weight_put > 0;
  const bool can_remove = o.weight_remove > 0;
  const u64 sixteenth = below(remix(random, salt_phase), 16);
  switch (phase.kind) {
    case Phase::load: return can_put && sixteenth > 0 ? OperationKind::put : kind;
    case Phase::mass_delete: return can_remove && sixteenth > 1 ? OperationKind::remove : kind;
    case Phase::reinsert: {
      const bool deleting = phase.at < std::max<u64>(1, options_.phase_lines / 2);
      if (deleting) return can_remove ? OperationKind::remove : kind;
      return can_put ? OperationKind::put : kind;
    }
    case Phase::quiet: return o.weight_get > 0 && sixteenth > 0 ? OperationKind::get : kind;
    case Phase::new_minimum:
    case Phase::new_maximum:
    case Phase::ascending:
    case Phase::descending: return can_put && sixteenth > 3 ? OperationKind::put : kind;
    case Phase::hotspot:
    case Phase::mixed: return kind;
  }
  UNREACHABLE();
}

TreeSource::Wish TreeSource::wish_of(const PhaseRange& phase, u64 random) const {
  const RunOptions& o = options_;
  Wish wish{.kind = OperationKind::commit, .tree = TreeName::kv};
  if (total_ == 0) return wish;
  const u64 drawn = below(remix(random, salt_kind), total_);
  const u64 tree = remix(random, salt_tree);
  if (drawn < writes_total_) {
    // The index has its own lines.
    wish.tree = below(tree, u64{o.weight_kv} + o.weight_id) < o.weight_kv ? TreeName::kv : TreeName::id;
    const u64 writes = u64{o.weight_put} + o.weight_remove;
    wish.kind = below(remix(tree, 1), writes) < o.weight_put ? OperationKind::put : OperationKind::remove;
    wish.kind = phase_kind(phase, wish.kind, random);
    return wish;
  }
  wish.kind = drawn < writes_total_ + o.weight_get ? OperationKind::get : OperationKind::scan;
  const u64 at = below(tree, u64{o.weight_kv} + o.weight_index + o.weight_id);
  wish.tree = at < o.weight_kv                         ? TreeName::kv
              : at < u64{o.weight_kv} + o.weight_index ? TreeName::index
                                                       : TreeName::id;
  return wish;
}

void TreeSource::read_or_write(u64 index, u64 random, bool in_scope, Operation* operation) const {
  const PhaseRange phase = phase_of(index);
  Wish wish = wish_of(phase, random);
  // A scan is not answered in a scope, and a scope without changes shows nothing.
  if (in_scope && wish.kind == OperationKind::scan && writes_total_ > 0) {
    wish.kind = options_.weight_put > 0 ? OperationKind::put : OperationKind::remove;
    if (wish.tree == TreeName::index) wish.tree = options_.weight_kv > 0 ? TreeName::kv : TreeName::id;
  }
  operation->kind = wish.kind;
  operation->tree = wish.tree;
  switch (wish.kind) {
    case OperationKind::put:
      operation->key = chosen_key(index, phase, wish.tree, random, false);
      operation->value = index + 1;
      return;
    case OperationKind::remove: operation->key = chosen_key(index, phase, wish.tree, random, false); return;
    case OperationKind::get:
      operation->key = chosen_key(index, phase, wish.tree, random, true);
      operation->cold = percent(remix(random, salt_cold), options_.bias_cold);
      return;
    case OperationKind::scan: scan(index, phase, random, operation); return;
    case OperationKind::commit:
    case OperationKind::checkpoint:
    case OperationKind::scope:
    case OperationKind::end:
    case OperationKind::crash:
    case OperationKind::reopen:
    case OperationKind::fault:
    case OperationKind::latency:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch:
    case OperationKind::call: return;
  }
}

// Short ranges, or a limit: a scan costs the same however many keys there are.
void TreeSource::scan(u64 index, const PhaseRange& phase, u64 random, Operation* operation) const {
  const TreeName tree = operation->tree;
  operation->cold = percent(remix(random, salt_cold), options_.bias_cold);
  operation->direction =
      (remix(random, salt_direction) & 1) != 0 ? Direction::descending : Direction::ascending;
  const u64 rows = remix(random, salt_limit);
  operation->limit = 1 + static_cast<u32>(below(rows, u64{1} << below(remix(rows, 1), 6)));
  ASSERT(operation->limit <= scan_rows_max);

  const u64 shape = remix(random, salt_shape);
  Key from = chosen_key(index, phase, tree, random, true);
  u64 number = 0;
  if (options_.ladder_victims > 0 && below(remix(shape, 1), 8) == 0) {
    const TreeName owner = victim(below(remix(shape, 2), options_.ladder_victims), &number);
    if (owner == tree) from = keys_.key(tree, number);
  }
  operation->key = from;
  operation->key_end = from;
  switch (below(shape, 8)) {
    case 0: break;  // A single key.
    case 1: operation->key_end = key_max(tree); break;
    case 2: operation->key = Key{}; break;
    case 3:
      operation->key = Key{};
      operation->key_end = key_max(tree);
      if (keys_.universe() <= 512 && below(remix(shape, 3), 16) == 0) operation->limit = 0;
      break;
    case 4:
      if (tree == TreeName::index) {
        operation->key = KeySpace::field_min(from);
        operation->key_end = KeySpace::field_max(from);
        break;
      }
      [[fallthrough]];
    default: {
      const u64 begin = plain_number(phase, random);
      const u64 end = std::min(keys_.universe() - 1, begin + below(remix(random, salt_end), scan_rows_max));
      operation->key = keys_.key(tree, begin);
      operation->key_end = keys_.key(tree, end);
      if (from < operation->key_end && operation->key < from && below(shape, 2) == 0) operation->key = from;
      if (below(remix(shape, 4), 2) == 0) operation->limit = 0;
      if (percent(remix(shape, 5), options_.bias_neighbour)) {
        operation->key_end = KeySpace::neighbour(tree, operation->key_end, (shape & 1) != 0);
      }
      break;
    }
  }
  if (operation->key_end < operation->key) std::swap(operation->key, operation->key_end);
}

}  // namespace tonearm::sim
