#include "sim/workload/groove_source.h"

#include <algorithm>

#include "base/assert.h"
#include "sim/workload/salts.h"

namespace tonearm::sim {

namespace {

constexpr u64 scope_lead = 2;
constexpr u32 aim_depth_max = 6;  // A line that aims at a line that aims at a line ...
constexpr u64 aim_tries = 8;
constexpr u32 scan_rows_max = 32;
constexpr u64 orphans_one_in = 8;  // An orphan never goes: most ids are left alone.

bool percent(u64 random, u32 percent) { return below(random, 100) < percent; }

bool inserts(OperationKind kind) { return kind == OperationKind::insert || kind == OperationKind::upsert; }
bool changes(OperationKind kind) {
  return inserts(kind) || kind == OperationKind::update || kind == OperationKind::remove ||
         kind == OperationKind::orphan;
}

bool asks(OperationKind kind) {
  return kind == OperationKind::scan || kind == OperationKind::query || kind == OperationKind::page;
}

u64 changing_weights(const RunOptions& o) {
  return u64{o.weight_insert} + o.weight_update + o.weight_upsert + o.weight_remove + o.weight_orphan;
}
u64 drawn_weights(const RunOptions& o) {
  return changing_weights(o) + o.weight_get + o.weight_exists + o.weight_prefetch + o.weight_scan +
         o.weight_query + o.weight_page;
}

}  // namespace

GrooveSource::GrooveSource(u64 seed, const RunOptions& options, const World& world, const Reseeds& reseeds)
    : options_(options),
      world_(&world),
      space_(seed, options),
      lines_("lines", seed, reseeds),
      ladders_("ladders", stream_seed(seed, "ladders")),
      phases_(seed, options, reseeds),
      schedule_(seed, options, drawn_weights(options), scope_lead, true, reseeds),
      changes_total_(changing_weights(options)),
      total_(drawn_weights(options)),
      grooves_total_(u64{options.weight_things} + options.weight_notes + options.weight_events) {
  ASSERT(world.groove_count > 0);
  ASSERT(changes_total_ > 0);
  if (options.ladder_victims == 0) return;
  const Stream habits("habits", stream_seed(seed, "habits"));
  const u64 table_lines =
      u64{options.format.beats} * options.format.batch_values_max * schedule_.total() / changes_total_;
  const u64 wanted = table_lines * between(habits.at(3), 1, 3) / options.ladder_victims;
  ladder_lines_ = std::clamp<u64>(wanted, 8, std::max<u64>(8, options.ops / 32));
}

void GrooveSource::at(u64 index, Operation* operation) const {
  reset(operation);
  operation->id.number = index + 1;
  const u64 random = lines_.at(index);
  ScopePlace place = ScopePlace::outside;
  if (schedule_.commit_or_scope(index, operation, &place)) return;
  // Between two scopes, some lines do what those in them do.
  const bool like_scoped = place == ScopePlace::between && below(remix(random, salt_scope + 300), 2) == 0;
  if (place == ScopePlace::inside || like_scoped) return scoped(index, random, operation);
  if (place == ScopePlace::outside && schedule_.rare(index, random, operation)) return;
  if (place == ScopePlace::outside && burst(index, operation)) return;
  if (ladder(index, operation)) return;
  look(index, target_of(index, 0), random, operation);
}

// --- what a line wants

GrooveName GrooveSource::drawn_groove(u64 random) const {
  if (world_->groove_count == 1) return world_->first_groove;
  const u64 drawn = below(random, grooves_total_);
  if (drawn < options_.weight_things) return GrooveName::things;
  return drawn < u64{options_.weight_things} + options_.weight_notes ? GrooveName::notes : GrooveName::events;
}

GrooveSource::Wish GrooveSource::wish_of(u64 index) const {
  const RunOptions& o = options_;
  const u64 random = lines_.at(index);
  const std::pair<OperationKind, u32> weights[] = {
      {OperationKind::insert, o.weight_insert}, {OperationKind::update, o.weight_update},
      {OperationKind::upsert, o.weight_upsert}, {OperationKind::remove, o.weight_remove},
      {OperationKind::orphan, o.weight_orphan}, {OperationKind::get, o.weight_get},
      {OperationKind::exists, o.weight_exists}, {OperationKind::prefetch, o.weight_prefetch},
      {OperationKind::scan, o.weight_scan},     {OperationKind::query, o.weight_query},
      {OperationKind::page, o.weight_page}};
  u64 drawn = below(remix(random, salt_kind), total_);
  Wish wish{.kind = OperationKind::insert, .groove = drawn_groove(remix(random, salt_tree))};
  for (const auto& [kind, weight] : weights) {
    wish.kind = kind;
    if (drawn < weight) break;
    drawn -= weight;
  }
  if (wish.kind == OperationKind::query || wish.kind == OperationKind::page)
    wish.kind = asking_kind(index, wish.kind, random);
  wish.kind = phase_kind(phases_.at(index), wish.kind, random);
  if (wish.kind == OperationKind::orphan && !groove_spec(wish.groove).orphans) wish.kind = OperationKind::get;
  if (before_scope(index) && below(remix(random, salt_scope), 4) == 0) wish.kind = OperationKind::prefetch;
  return wish;
}

// Of the same op. A scope inserts only what is known to be absent: some of these lines ask for it.
bool GrooveSource::before_scope(u64 index) const {
  const u64 period = schedule_.period();
  if (period == 0) return false;
  const Schedule::Chunk chunk = schedule_.chunk_of(index / period);
  return chunk.scope_begin < period && index % period < chunk.scope_begin;
}

OperationKind GrooveSource::phase_kind(const PhaseRange& phase, OperationKind kind, u64 random) const {
  if (!changes(kind) || kind == OperationKind::orphan) return kind;
  const u64 sixteenth = below(remix(random, salt_phase), 16);
  // What is loaded may be there already, in part.
  const bool upserts = options_.weight_upsert > 0 && (sixteenth % 4 != 0 || options_.weight_remove == 0);
  if (options_.weight_upsert == 0 && sixteenth < 10 && phase.kind != Phase::reinsert) return kind;
  const OperationKind insert =
      options_.weight_insert == 0 || upserts ? OperationKind::upsert : OperationKind::insert;
  switch (phase.kind) {
    case Phase::load: return sixteenth > 3 ? insert : kind;
    case Phase::mass_delete:
      return options_.weight_remove > 0 && sixteenth > 3 ? OperationKind::remove : kind;
    case Phase::reinsert:
      if (phases_.deleting(phase)) return options_.weight_remove > 0 ? OperationKind::remove : kind;
      return insert;
    case Phase::quiet: return sixteenth > 0 ? OperationKind::get : kind;
    case Phase::new_minimum:
    case Phase::new_maximum:
    case Phase::ascending:
    case Phase::descending: return sixteenth > 5 ? insert : kind;
    case Phase::hotspot:
    case Phase::mixed: return kind;
  }
  UNREACHABLE();
}

// --- which object

// Whether the earlier line must have left the object so that this one applies.
bool GrooveSource::leaves(const Wish& earlier, const Wish& wish) const {
  if (earlier.groove != wish.groove) return false;
  if (wish.kind == OperationKind::insert) {
    return earlier.kind == OperationKind::remove;
  }
  return inserts(earlier.kind) || earlier.kind == OperationKind::update;
}

// Commits, scope lines and those of open scans have wishes too, which nobody plays.
bool GrooveSource::data_line(u64 index) const {
  const u64 period = schedule_.period();
  if (period == 0) return true;
  const Schedule::Chunk chunk = schedule_.chunk_of(index / period);
  const u64 at = index % period;
  return at != chunk.commit && (at < chunk.scope_begin || at > chunk.scope_end) &&
         (at < chunk.burst_begin || at >= chunk.burst_end);
}

// Of every magnitude alike.
u64 GrooveSource::distance(u64 index, u64 random) const {
  const u64 bits = below(random, 11);
  return 1 + below(remix(random, 1), std::min(index, u64{2} << bits));
}

bool GrooveSource::aim(u64 index, const Wish& wish, u32 depth, u64* number) const {
  if (depth == aim_depth_max || index == 0) return false;
  const u64 random = remix(lines_.at(index), salt_key_side);
  for (u64 i = 0; i < aim_tries; ++i) {
    const u64 earlier = index - distance(index, remix(random, i));
    if (!leaves(wish_of(earlier), wish) || !data_line(earlier)) continue;
    *number = target_of(earlier, depth + 1).number;
    return true;
  }
  return false;
}

GrooveSource::Target GrooveSource::target_of(u64 index, u32 depth) const {
  const u64 random = lines_.at(index);
  const PhaseRange phase = phases_.at(index);
  Target target{.wish = wish_of(index), .number = 0, .era = era_of(index)};
  target.number = phases_.number(phase, random);
  const OperationKind kind = target.wish.kind;
  // What a phase inserts in its order is fresh anyway; what it removes in its order was there.
  const bool sweeping =
      phase.kind != Phase::mixed && phase.kind != Phase::hotspot && phase.kind != Phase::quiet;
  const u64 drawn = remix(random, salt_key_kind);
  const bool careless = percent(drawn, options_.bias_surprise);
  if (kind == OperationKind::orphan) target.number -= target.number % orphans_one_in;
  if (careless || kind == OperationKind::upsert || kind == OperationKind::orphan) return target;
  if (kind == OperationKind::prefetch && before_scope(index) && below(remix(drawn, 3), 4) != 0) {
    aim(index, {.kind = OperationKind::insert, .groove = target.wish.groove}, depth, &target.number);
    return target;
  }
  if (kind == OperationKind::insert) {
    if (!sweeping || below(remix(drawn, 1), 2) == 0 || percent(remix(drawn, 2), options_.bias_removed)) {
      aim(index, target.wish, depth, &target.number);
    }
    return target;
  }
  const bool swept = sweeping && kind == OperationKind::remove;
  if (!swept || below(remix(drawn, 1), 2) == 0 || percent(remix(drawn, 2), options_.bias_recent)) {
    aim(index, target.wish, depth, &target.number);
  }
  return target;
}

// --- the line

void GrooveSource::fill(const Target& target, u64 random, Operation* operation) const {
  operation->kind = target.wish.kind;
  operation->tree = groove_spec(target.wish.groove).objects;
  set_key(target, random, operation);
  if (inserts(operation->kind)) set_timestamp(target, random, operation);
  set_fields(target, random, operation);
}

void GrooveSource::set_key(const Target& target, u64 random, Operation* operation) const {
  const GrooveSpec& groove = groove_spec(target.wish.groove);
  const u64 rare = remix(random, salt_limit);
  const bool limit = percent(rare, options_.bias_limit);
  const bool read = !changes(operation->kind);
  const bool beside =
      read && percent(remix(random, salt_end),
                      options_.bias_neighbour + (operation->kind == OperationKind::prefetch ? 20 : 0));
  const u64 side = remix(rare, 1) & 1;
  if (groove.has_id) {
    u128 id = space_.id(target.number);
    if (beside) id = side == 0 ? id - 1 : id + 1;
    if (limit) id = side == 0 ? 0 : u128_max;
    operation->key = Key::of(id);
  } else if (!inserts(operation->kind)) {
    u64 timestamp = space_.key_timestamp(target.number);
    if (beside) timestamp = side == 0 ? timestamp - 1 : timestamp + 1;
    if (limit) timestamp = side == 0 ? 0 : timestamp_max + below(remix(rare, 2), 2);
    operation->key = Key::of(timestamp);
  }
}

void GrooveSource::set_timestamp(const Target& target, u64 random, Operation* operation) const {
  const u64 drawn = remix(random, salt_setting);
  const bool keyed = !groove_spec(target.wish.groove).has_id;
  if (keyed) {
    operation->timestamped = true;
    operation->value = space_.key_timestamp(target.number);
  } else if (options_.timestamps == Timestamps::any) {
    operation->timestamped = true;
    operation->value = space_.any_timestamp(target.number, drawn);
    // Now and then that of another object, which may be there.
    if (below(remix(drawn, 1), 64) == 0) {
      operation->value = space_.any_timestamp(below(remix(drawn, 2), space_.universe()), drawn);
    }
  }
  if (!percent(remix(drawn, 3), options_.bias_limit) || below(remix(drawn, 4), 2) == 0) return;
  // The first two are good, where timestamps need not ascend.
  static constexpr u64 limits[] = {1, timestamp_max, 0, timestamp_max + 1, u64_max};
  const u64 first = keyed || options_.timestamps == Timestamps::any ? 0 : 2;
  operation->timestamped = true;
  operation->value = limits[first + below(remix(drawn, 5), std::size(limits) - first)];
}

void GrooveSource::set_fields(const Target& target, u64 random, Operation* operation) const {
  const GrooveName groove = target.wish.groove;
  const u32 count = static_cast<u32>(groove_spec(groove).fields.size());
  const u64 drawn = remix(random, salt_shape);
  const auto set = [&](u32 field) {
    set_field(operation, field, space_.value(groove, field, remix(drawn, 100 + field), target.era));
  };
  if (inserts(operation->kind)) {
    for (u32 field = 0; field < count; ++field) {
      if (space_.used(groove, field)) set(field);
    }
  } else if (operation->kind == OperationKind::update) {
    const u64 wanted = below(remix(drawn, 1), 8) == 0 ? count : between(remix(drawn, 2), 1, 3);
    for (u64 i = 0; i < wanted; ++i) {
      u32 field =
          wanted == count ? static_cast<u32>(i) : static_cast<u32>(below(remix(drawn, 10 + i), count));
      // Of those that the run does not use mostly none.
      if (!space_.used(groove, field) && below(remix(drawn, 30 + i), 8) != 0) field = (field + 1) % count;
      set(field);
      operation->named |= static_cast<u16>(1U << field);
    }
  }
}

// The timestamp that the line gives to what it inserts.
u64 GrooveSource::inserted_at(u64 index, const Target& target) const {
  Operation line;
  line.id.number = index + 1;
  line.kind = OperationKind::insert;
  line.tree = groove_spec(target.wish.groove).objects;
  set_timestamp(target, lines_.at(index), &line);
  return inserted_timestamp(line);
}

// All lines of a chunk look at the same one: what it changes is asked for before it and behind it, in one op.
bool GrooveSource::watched_timestamp(u64 index, GrooveName groove, u64* timestamp) const {
  const u64 period = schedule_.period();
  if (period == 0) return false;
  const u64 begin = index / period * period;
  const bool keyed = !groove_spec(groove).has_id;
  const u64 first = below(remix(schedule_.chunk_of(index / period).random, salt_end), period);
  for (u64 i = 0; i < aim_tries; ++i) {
    const u64 watched = begin + (first + i) % period;
    const Wish wish = wish_of(watched);
    const bool changed = inserts(wish.kind) || (keyed && wish.kind == OperationKind::remove);
    if (!changed || wish.groove != groove || !data_line(watched)) continue;
    const Target target = target_of(watched, 0);
    *timestamp = keyed ? space_.key_timestamp(target.number) : inserted_at(watched, target);
    return true;
  }
  return false;
}

// Most likely of an object, by an earlier line that inserts one.
u64 GrooveSource::some_timestamp(u64 index, const Target& target, u64 random) const {
  u64 timestamp = inserted_at(index, target);
  for (u64 i = 0; i < aim_tries && index > 0; ++i) {
    const u64 earlier = index - distance(index, remix(random, i));
    const Wish wish = wish_of(earlier);
    if (wish.groove != target.wish.groove || !inserts(wish.kind) || !data_line(earlier)) continue;
    timestamp = inserted_at(earlier, target_of(earlier, aim_depth_max / 2));
    break;
  }
  const u64 side = remix(random, salt_key_side);
  if (percent(side, options_.bias_neighbour)) timestamp += (side & 1) != 0 ? 1 : u64_max;
  return timestamp;
}

// A line outside of scopes.
void GrooveSource::look(u64 index, const Target& target, u64 random, Operation* operation) const {
  const OperationKind kind = target.wish.kind;
  if (kind == OperationKind::scan) return scan(index, target, random, operation);
  if (asks(kind)) return query(index, target, random, operation);
  fill(target, random, operation);
  const u64 drawn = remix(random, salt_rare + 100);
  const bool by_timestamp =
      kind == OperationKind::exists ||
      (kind == OperationKind::prefetch && groove_spec(target.wish.groove).has_id && below(drawn, 3) == 0);
  if (!by_timestamp) return;
  if (kind == OperationKind::prefetch) operation->timestamped = true;
  static constexpr u64 limits[] = {0, timestamp_max, timestamp_max + 1, u64_max};
  u64 timestamp = 0;
  if (percent(remix(drawn, 1), 2 * options_.bias_limit)) {
    timestamp = limits[below(remix(drawn, 2), std::size(limits))];
  } else if (below(remix(drawn, 4), 2) == 0 || !watched_timestamp(index, target.wish.groove, &timestamp)) {
    timestamp = some_timestamp(index, target, drawn);
  }
  operation->key = Key::of(timestamp);
}

// About an object that a line of this op before the scope made known.
void GrooveSource::scoped(u64 index, u64 random, Operation* operation) const {
  const u64 period = schedule_.period();
  const u64 begin = index / period * period;
  const Schedule::Chunk chunk = schedule_.chunk_of(index / period);
  ASSERT(chunk.scope_begin >= scope_lead);
  Operation known;
  u64 earlier = 0;
  for (u64 i = 0; i < aim_tries; ++i) {
    earlier = begin + below(remix(random, salt_scope + 200 + i), chunk.scope_begin);
    at(earlier, &known);
    const bool timestamp =
        known.kind == OperationKind::exists || (known.kind == OperationKind::prefetch && known.timestamped);
    if (known.of_groove() && !timestamp) break;
  }
  if (!known.of_groove()) {
    Target target = target_of(index, 0);
    if (asks(target.wish.kind)) target.wish.kind = OperationKind::get;  // A scope answers no scans.
    return fill(target, random, operation);
  }
  static constexpr OperationKind gone[] = {OperationKind::insert, OperationKind::insert,
                                           OperationKind::upsert, OperationKind::get};
  static constexpr OperationKind there[] = {OperationKind::update, OperationKind::update,
                                            OperationKind::remove, OperationKind::upsert,
                                            OperationKind::upsert, OperationKind::get};
  const u64 drawn = remix(random, salt_scope_end);
  // What was only looked at may be missing, and new to the cache.
  static constexpr OperationKind looked[] = {OperationKind::upsert, OperationKind::upsert,
                                             OperationKind::insert, OperationKind::update};
  const bool removed = known.kind == OperationKind::remove;
  const bool changed = changes(known.kind);
  const OperationKind kind = removed   ? gone[below(drawn, std::size(gone))]
                             : changed ? there[below(drawn, std::size(there))]
                                       : looked[below(drawn, std::size(looked))];
  fill({.wish = {.kind = kind, .groove = known.groove()},
        .number = target_of(earlier, 0).number,
        .era = era_of(index)},
       random, operation);
  const u128 key = object_key(known);
  if (inserts(kind) && !groove_spec(known.groove()).has_id) {
    operation->value = static_cast<u64>(key);
  } else {
    operation->key = Key::of(key);
  }
}

bool GrooveSource::ladder(u64 index, Operation* operation) const {
  if (ladder_lines_ == 0) return false;
  const u64 step = index / ladder_lines_;
  if (index % ladder_lines_ != below(ladders_.at(step, 2), ladder_lines_)) return false;
  static constexpr OperationKind rungs[] = {
      OperationKind::insert, OperationKind::update, OperationKind::remove, OperationKind::get,
      OperationKind::insert, OperationKind::upsert, OperationKind::remove, OperationKind::get};
  const u64 victim = ladders_.at(step % options_.ladder_victims, 1);
  Target target{.wish = {.kind = rungs[step / options_.ladder_victims % std::size(rungs)],
                         .groove = drawn_groove(victim)},
                .number = below(remix(victim, salt_key), space_.universe()),
                .era = era_of(index)};
  if (below(remix(victim, salt_limit), 4) == 0) target.number = (victim & 1) != 0 ? 0 : space_.universe() - 1;
  const OperationKind kind = target.wish.kind;
  if (kind == OperationKind::remove && options_.weight_remove == 0) return false;
  fill(target, ladders_.at(step, 3), operation);
  return true;
}

// Short ranges, or a limit: a scan costs the same however many rows there are.
void GrooveSource::scan(u64 index, const Target& target, u64 random, Operation* operation) const {
  const GrooveName groove = target.wish.groove;
  u32 trees = 0;
  while (trees < world_->count && tree_spec(world_->tree(trees)).groove != groove) ++trees;
  const u32 first = trees;
  while (trees < world_->count && tree_spec(world_->tree(trees)).groove == groove) ++trees;
  const TreeName tree =
      world_->tree(first + static_cast<u32>(below(remix(random, salt_tree + 50), trees - first)));
  operation->kind = OperationKind::scan;
  operation->tree = tree;
  operation->cold = percent(remix(random, salt_cold), options_.bias_cold);
  operation->direction =
      (remix(random, salt_direction) & 1) != 0 ? Direction::descending : Direction::ascending;
  const u64 rows = remix(random, salt_limit);
  operation->limit = 1 + static_cast<u32>(below(rows, u64{1} << below(remix(rows, 1), 6)));
  ASSERT(operation->limit <= scan_rows_max);

  const u64 shape = remix(random, salt_shape);
  const auto key = [&](u64 salt) {
    const u64 drawn = remix(shape, salt);
    u64 timestamp = std::min(some_timestamp(index, target, drawn), timestamp_max);
    const KeyShape of = tree_spec(tree).shape;
    const u64 end = below(remix(drawn, 1), 4);  // In an index, mostly all of a value.
    if ((of == KeyShape::index || of == KeyShape::wide_index) && end < 3)
      timestamp = salt == 1 ? 0 : timestamp_max;
    return space_.key(tree, salt == 1 ? target.number : below(drawn, space_.universe()), timestamp, drawn,
                      target.era);
  };
  operation->key = key(1);
  operation->key_end = key(2);
  switch (below(shape, 8)) {
    case 0: operation->key_end = operation->key; break;
    case 1: operation->key_end = key_max(tree); break;
    case 2: operation->key = Key{}; break;
    case 3:
      operation->key = Key{};
      operation->key_end = key_max(tree);
      if (space_.universe() <= 512 && below(remix(shape, 3), 16) == 0) operation->limit = 0;
      break;
    case 4:
    case 5: {  // All rows of one value, or from one timestamp on.
      operation->key_end = operation->key;
      if (tree_spec(tree).shape == KeyShape::index) operation->key_end.lo |= timestamp_max;
      if (tree_spec(tree).shape == KeyShape::wide_index) operation->key_end.lo = timestamp_max;
      break;
    }
    default: break;
  }
  if (operation->key_end < operation->key) std::swap(operation->key, operation->key_end);
}

}  // namespace tonearm::sim
