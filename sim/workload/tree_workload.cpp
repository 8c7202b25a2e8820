#include "sim/workload/tree_workload.h"

#include <algorithm>

#include "base/assert.h"
#include "base/math.h"
#include "sim/scenario/settings.h"
#include "sim/workload/salts.h"

namespace tonearm::sim {

namespace {

constexpr u32 scan_rows_max = 32;

u64 drawn_weights(const RunOptions& o) {
  return u64{o.weight_put} + o.weight_remove + o.weight_get + o.weight_scan;
}

bool percent(u64 random, u32 percent) { return below(random, 100) < percent; }

}  // namespace

TreeSource::TreeSource(u64 seed, const RunOptions& options, const Reseeds& reseeds)
    : options_(options),
      keys_(seed, options.key_universe),
      lines_("lines", seed, reseeds),
      ladders_("ladders", stream_seed(seed, "ladders")),
      phases_(seed, options, reseeds),
      schedule_(seed, options, drawn_weights(options), 0, false, reseeds),
      episodes_(seed, options, keys_) {
  const RunOptions& o = options_;
  const Stream habits("habits", stream_seed(seed, "habits"));
  const u64 trees = std::max<u64>(1, u64{o.weight_kv} + o.weight_index + o.weight_id);
  const u64 writes = u64{o.weight_put} + o.weight_remove;
  const u64 all = schedule_.total();
  writes_total_ = writes * (u64{o.weight_kv} + o.weight_id) / trees;
  total_ = writes_total_ + o.weight_get + o.weight_scan;

  const u64 table_lines =
      writes_total_ == 0 ? 0 : u64{o.format.beats} * o.format.batch_values_max * all / writes_total_;
  if (o.ladder_victims > 0 && writes_total_ > 0) {
    const u64 wanted = table_lines * between(habits.at(3), 1, 3) / o.ladder_victims;
    ladder_lines_ = std::clamp<u64>(wanted, 8, std::max<u64>(8, o.ops / 32));
  }

  if (o.weight_index > 0 && o.weight_put > 0) {
    index_every_ = std::max<u64>(2, all * trees / (writes * o.weight_index));
    index_visits_ = chance(habits.at(4), {1, 4}) ? 3 : 1;
    index_cycles_ = 1 + 2 * below(habits.at(5), 3);
    if (o.weight_remove == 0) index_cycles_ = index_visits_ = 1;
    const u64 visits = std::max<u64>(1, o.ops / index_every_ / index_visits_);
    const u64 cycles = o.weight_remove == 0 ? 1 : between(habits.at(6), 2, 10);
    index_window_ = std::clamp<u64>(visits / cycles, 1, keys_.universe());
    index_windows_ = std::max<u64>(1, keys_.universe() / index_window_);
  }
}

void TreeSource::at(u64 index, Operation* operation) const {
  reset(operation);
  operation->id.number = index + 1;
  const u64 random = lines_.at(index);
  EpisodePlace at{};
  if (schedule_.in_episode(index, &at) && episodes_.line(at, operation)) return;
  ScopePlace place = ScopePlace::outside;
  if (schedule_.commit_or_scope(index, operation, &place)) return;
  if (place == ScopePlace::outside && schedule_.rare(index, random, operation)) return;
  if (place == ScopePlace::outside && burst(index, operation)) return;
  const bool in_scope = place == ScopePlace::inside;
  if (ladder(index, in_scope, operation)) return;
  if (index_write(index, operation)) return;
  read_or_write(index, random, in_scope, operation);
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
      const bool deleting = phases_.deleting(phase);
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
  const PhaseRange phase = phases_.at(index);
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
    case OperationKind::heal:
    case OperationKind::reseed:
    case OperationKind::latency:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch:
    case OperationKind::query:
    case OperationKind::page:
    case OperationKind::scan_open:
    case OperationKind::scan_next:
    case OperationKind::scan_probe:
    case OperationKind::scan_abort:
    case OperationKind::scan_close:
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
      const u64 begin = phases_.number(phase, random);
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
