#include "sim/workload/schedule.h"

#include <algorithm>

#include "base/assert.h"
#include "base/math.h"
#include "sim/scenario/settings.h"
#include "sim/workload/salts.h"
#include "sim/workload/scan_burst.h"

namespace tonearm::sim {

namespace {

constexpr u64 scope_lines_max = 24;
constexpr u64 scope_breaks_max = 3;   // In a span: one more scope each.
constexpr u64 burst_lines_mean = 12;  // About.
constexpr u64 crash_follow_max = 2;   // Crash lines in a row after the one that was drawn.
constexpr Ratio crash_follows = {3, 8};
constexpr Ratio crash_in_checkpoint = {1, 3};
constexpr Ratio crash_storm = {1, 8};
constexpr Ratio crash_in_format = {1, 5};
constexpr u64 format_steps = 24;  // Of the event loop, about: all of format and some of the first open.
constexpr u64 storm_lines = 5;
constexpr u64 superblock_steps = 20;  // About as many as four writes and four reads take.

constexpr const char* reopen_names[] = {"blocks_count",      "cache_blocks",       "cache_hash_bits",
                                        "read_iops",         "write_iops",         "compaction_blocks",
                                        "read_attempts_max", "manifest_node_size", "object_cache_slots",
                                        "object_hash_bits",  "prefetch_keys_max",  "prefetch_workers"};
constexpr u32 reopen_names_of_trees = 8;
constexpr u64 reopen_growths = 16;  // Of the disk, in a run.

u64 total_weight(const RunOptions& o, u64 drawn) {
  return drawn + o.weight_scan_open + o.weight_checkpoint + o.weight_scope + o.weight_crash +
         o.weight_reopen + o.weight_commit;
}

u64 chunk_lines(const RunOptions& o, u64 drawn) {
  if (o.weight_commit == 0) return 0;
  return std::max<u64>(1, 1 + (total_weight(o, drawn) - o.weight_commit) / o.weight_commit);
}

u64 chunks_per_episode(const RunOptions& o, u64 period) {
  if (period == 0 || o.episode_lines == 0) return 0;
  return std::max(2 * div_ceil(episode_lines_max, period), div_ceil(o.episode_lines, period));
}

}  // namespace

Schedule::Schedule(u64 seed, const RunOptions& o, u64 drawn, u64 scope_lead, bool grooves,
                   const Reseeds& reseeds)
    : period_(chunk_lines(o, drawn)),
      episode_every_(chunks_per_episode(o, period_)),
      episode_chunks_(episode_every_ == 0 ? 0 : div_ceil(episode_lines_max, period_)),
      total_(std::max<u64>(1, total_weight(o, drawn))),
      chunks_("chunks", seed, reseeds, period_),
      episodes_("chunks", seed, reseeds, episode_every_ * period_),
      rare_("rare", seed, reseeds),
      weight_crash_(o.weight_crash),
      weight_reopen_(o.weight_reopen),
      weight_checkpoint_(o.weight_checkpoint),
      weight_heal_(o.weight_heal),
      prefetch_keys_max_(o.prefetch_keys_max),
      blocks_count_(o.runtime.blocks_count),
      lines_(std::max<u64>(1, o.ops)),
      reopen_first_(o.disk.mirror ? 1 : 0),
      scope_lead_(scope_lead),
      long_scopes_(grooves) {
  const Stream habits("habits", stream_seed(seed, "habits"));
  const u64 scope_weight = period_ == 0 ? 0 : std::min(total_ / 2, o.weight_scope * period_ / 2);
  scope_chance_ = {static_cast<u32>(scope_weight), static_cast<u32>(total_)};
  // As many lines as the weight says, if the bursts are as long as they are on average.
  const u64 burst_weight =
      period_ == 0 ? 0 : std::min(total_, o.weight_scan_open * period_ / burst_lines_mean);
  burst_chance_ = {static_cast<u32>(burst_weight), static_cast<u32>(total_)};
  static constexpr Ratio times[] = {{0, 1}, {1, 64}, {1, 16}};
  times_chance_ = times[below(habits.at(1), std::size(times))];
  times_max_ = below(habits.at(2), 4) == 0 ? 2 * u64{o.format.checkpoint_interval} : 2 * u64{o.format.beats};

  const u32 names = grooves ? static_cast<u32>(std::size(reopen_names)) : reopen_names_of_trees;
  for (u32 i = reopen_first_; i < names; ++i) {
    const std::optional<u16> setting = find_setting(reopen_names[i]);
    ASSERT(setting);
    reopen_settings_[reopen_setting_count_++] = *setting;
  }
}

Schedule::Chunk Schedule::chunk_of(u64 chunk) const {
  Chunk plan{.commit = period_ - 1,
             .scope_begin = period_,
             .scope_end = period_,
             .burst_begin = period_,
             .burst_end = period_,
             .random = chunks_.at(chunk)};
  if (below(plan.random, 4) == 0) plan.commit = below(remix(plan.random, salt_jitter), period_);
  if (of_episode(chunk)) return plan;
  // A scope holds at least one line.
  if (plan.commit >= 3 + scope_lead_ && chance(remix(plan.random, salt_scope), scope_chance_)) {
    plan.scope_begin =
        scope_lead_ + below(remix(plan.random, salt_scope + 100), plan.commit - 2 - scope_lead_);
    const bool whole = long_scopes_ && below(remix(plan.random, salt_scope + 101), 3) == 0;
    const u64 room = plan.commit - 1 - plan.scope_begin;
    const u64 length_max = whole ? room : std::min<u64>(room, scope_lines_max);
    plan.scope_end = plan.scope_begin + between(remix(plan.random, salt_scope_end), 2, length_max);
  }
  if (chance(remix(plan.random, salt_scope + 102), burst_chance_)) plan_burst(&plan);
  return plan;
}

// In front of the scope or behind it, where more room is.
void Schedule::plan_burst(Chunk* plan) const {
  const u64 random = remix(plan->random, salt_scope + 103);
  const bool scope = plan->scope_begin < period_;
  u64 begin = 0;
  u64 room = scope ? plan->scope_begin : plan->commit;
  if (scope && plan->commit - plan->scope_end - 1 > room) {
    begin = plan->scope_end + 1;
    room = plan->commit - begin;
  }
  if (room < 2) return;
  const u64 length_max = std::min(room, burst_lines_max);
  const u64 length = below(random, 4) == 0 ? length_max : between(remix(random, 1), 2, length_max);
  plan->burst_begin = begin + below(remix(random, 2), room - length + 1);
  plan->burst_end = plan->burst_begin + length;
}

bool Schedule::in_burst(u64 index, u64* place, u64* random) const {
  if (period_ == 0 || burst_chance_.numerator == 0) return false;
  const Chunk chunk = chunk_of(index / period_);
  const u64 at = index % period_;
  if (at < chunk.burst_begin || at >= chunk.burst_end) return false;
  *place = at - chunk.burst_begin;
  *random = remix(chunk.random, salt_scope + 104);
  return true;
}

bool Schedule::in_episode(u64 index, EpisodePlace* at) const {
  if (period_ == 0 || !of_episode(index / period_)) return false;
  const u64 number = index / period_ / episode_every_;
  at->number = number;
  at->place = index - number * episode_every_ * period_;
  at->random = remix(episodes_.at(number), salt_scope + 200);
  return at->place < episode_lines_max;
}

bool Schedule::commit_or_scope(u64 index, Operation* operation, ScopePlace* place) const {
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
  if (at < chunk.scope_begin || at > chunk.scope_end) return false;
  return span(chunk, at, operation, place);
}

// The lines between the first and the last one of a span. Half of the spans are one scope. Each break of the
// others has a part of the lines: there a scope ends, and the next one begins, at once or some lines later.
bool Schedule::span(const Chunk& chunk, u64 at, Operation* operation, ScopePlace* place) {
  const u64 random = remix(chunk.random, salt_scope + 105);
  const u64 lines = chunk.scope_end - chunk.scope_begin - 1;
  const u64 breaks =
      below(random, 2) == 0 ? 0 : std::min(lines / 2, 1 + below(remix(random, 1), scope_breaks_max));
  *place = ScopePlace::inside;
  if (breaks == 0) return false;
  const u64 line = at - chunk.scope_begin - 1;
  u64 part = 0;
  while (line >= (part + 1) * lines / breaks) ++part;
  const u64 begin = part * lines / breaks;
  const u64 length = (part + 1) * lines / breaks - begin;
  const u64 drawn = remix(random, 2 + part);
  const u64 end = begin + below(drawn, length - 1);
  const u64 between_lines =
      below(remix(drawn, 1), 2) == 0 ? 0 : below(remix(drawn, 2), begin + length - 1 - end);
  const u64 next = end + 1 + between_lines;
  if (line == end) {
    operation->kind = OperationKind::end;
    operation->persist = (remix(drawn, 3) & 1) != 0;
    return true;
  }
  if (line == next) {
    operation->kind = OperationKind::scope;
    return true;
  }
  if (line > end && line < next) *place = ScopePlace::between;
  return false;
}

// Apart from the draw of the line, because a line asks about its predecessors too.
u64 Schedule::rare_drawn(u64 index) const { return below(remix(rare_seed(index), salt_rare), total_); }

bool Schedule::rare(u64 index, u64 random, Operation* operation) const {
  const u64 drawn = rare_drawn(index);
  const u64 crash_end = weight_crash_;
  const u64 reopen_end = crash_end + weight_reopen_;
  if (crash_end > 0 && index == 0 && chance(remix(rare_seed(0), salt_phase), crash_in_format)) {
    operation->kind = OperationKind::crash;
    operation->count = below(remix(random, salt_limit), format_steps);
    return true;
  }
  if (crash_end > 0 && weight_checkpoint_ > 0 && storm(index, random, operation)) return true;
  if (drawn < crash_end) {
    crash(random, false, operation);
    return true;
  }
  if (drawn < reopen_end) {
    reopen(index, random, operation);
    return true;
  }
  if (drawn < reopen_end + weight_checkpoint_) {
    operation->kind = OperationKind::checkpoint;
    return true;
  }
  // In the place of another line, so that nothing else is drawn otherwise.
  if (drawn < reopen_end + weight_checkpoint_ + weight_heal_) {
    operation->kind = OperationKind::heal;
    return true;
  }
  if (weight_crash_ == 0) return false;
  // A checkpoint is the rarest thing to crash in: now and then one comes right behind a crash line.
  if (weight_checkpoint_ > 0 && index > 0 && rare_drawn(index - 1) < crash_end &&
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

void Schedule::crash(u64 random, bool follows, Operation* operation) const {
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
bool Schedule::storm(u64 index, u64 random, Operation* operation) const {
  for (u64 back = 1; back <= storm_lines && back <= index; ++back) {
    const u64 drawn = rare_drawn(index - back);
    if (drawn >= weight_crash_ || !chance(remix(rare_seed(index - back), salt_jitter), crash_storm)) continue;
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

void Schedule::reopen(u64 index, u64 random, Operation* operation) const {
  operation->kind = OperationKind::reopen;
  // As a user may who has read the manual: one number, some, or all of them.
  const u64 size = remix(random, salt_count);
  const u64 changes = below(size, 2) == 0 ? below(remix(size, 1), 4) : std::min(reopen_setting_count_, 8U);
  const u64 first = below(remix(random, salt_setting), reopen_setting_count_);
  constexpr u64 step = 5;  // Distinct: a step without a common factor visits all of them.
  for (u64 i = 0; i < changes; ++i) {
    const u64 at = (first + step * i) % reopen_setting_count_;
    const u64 value = reopen_value(reopen_first_ + at, index, remix(random, salt_setting + 1000 + i));
    operation->changes.push({.setting = reopen_settings_[at], .value = value});
  }
}

u64 Schedule::reopen_value(u64 setting, u64 index, u64 random) const {
  switch (setting) {
    case 0: return blocks_count_ + 64 * (1 + index * reopen_growths / lines_);  // It never shrinks.
    case 1: return 16 * (1 + below(random, u64{1} << below(remix(random, 1), 6)));
    case 2:
    case 9: return below(random, 65);
    case 5:
      return below(remix(random, 1), 2) == 0 ? compaction_blocks_min
                                             : between(random, compaction_blocks_min, 32);
    case 7: return u64{manifest_node_size_min} << below(random, 5);
    case 8: return 16 * below(random, u64{1} << below(remix(random, 1), 6));
    case 10: return u64{prefetch_keys_max_} << below(random, 3);
    default: return between(random, 1, 16);
  }
}

}  // namespace tonearm::sim
