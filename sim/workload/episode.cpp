#include "sim/workload/episode.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u64 keys_max = 4;          // Of an episode.
constexpr u64 format_crashes = 2;    // In a row, at most.
constexpr u64 open_steps = 6;        // Of the event loop: an open reads four copies,
constexpr u64 format_steps = 8;      // and format writes them, and reads them back.
constexpr u64 superblock_steps = 6;  // Of the event loop: four writes, and some of what reads them back.

// Line `place` of what an episode does; the parts take their lines off it one after the other.
class Lines {
 public:
  explicit Lines(u64 place) : left_(place) {}
  // Whether the line is one of the next so many; its number among them is `at`.
  bool next(u64 count) {
    at = left_;
    if (done_ || left_ >= count) {
      if (!done_) left_ -= count;
      return false;
    }
    return done_ = true;
  }
  u64 at = 0;

 private:
  u64 left_;
  bool done_ = false;
};

}  // namespace

Episodes::Episodes(u64 seed, const RunOptions& options, const KeySpace& keys)
    : options_(options), keys_(keys) {
  const Stream habits("episodes", stream_seed(seed, "episodes"));
  first_ = habits.at(1);
  for (u32 kind = 0; kind < episode_count; ++kind) {
    if (can(static_cast<Episode>(kind)) && chance(habits.at(2, kind), {9, 10})) enabled_ |= 1U << kind;
  }
}

bool Episodes::can(Episode kind) const {
  const RunOptions& o = options_;
  const bool changes = o.weight_put > 0 && o.weight_remove > 0;
  switch (kind) {
    case Episode::emptied: return changes;
    case Episode::cancelled: return changes && o.weight_index > 0;
    case Episode::still: return o.weight_checkpoint > 0;
    case Episode::torn: return o.weight_crash > 0;
  }
  UNREACHABLE();
}

// In turn, so that a few episodes are enough for all.
Episode Episodes::kind_of(u64 number) const {
  ASSERT(enabled_ != 0);
  u64 turn = (first_ + number) % static_cast<u64>(std::popcount(enabled_));
  for (u32 kind = 0;; ++kind) {
    if ((enabled_ >> kind & 1) != 0 && turn-- == 0) return static_cast<Episode>(kind);
  }
}

bool Episodes::line(const EpisodePlace& at, Operation* operation) const {
  if (enabled_ == 0) return false;
  if (at.number == 0) return overture(at, operation);
  switch (kind_of(at.number)) {
    case Episode::emptied: return emptied(at.place, at.random, operation);
    case Episode::cancelled: {
      if (at.place > 0) return cancelled(at.place - 1, at.random, operation);
      checkpoint(operation);  // A bar of its own.
      return true;
    }
    case Episode::still: return still(at.place, at.random, operation);
    case Episode::torn: return torn(at.place, at.random, operation);
  }
  UNREACHABLE();
}

// The first lines of a run: there is nothing yet that could keep a table from being emptied, or a trailer
// from being empty, and there is a format to crash in.
bool Episodes::overture(const EpisodePlace& at, Operation* operation) const {
  const auto has = [this](Episode kind) { return (enabled_ >> static_cast<u32>(kind) & 1) != 0; };
  Lines lines(at.place);
  if (lines.next(has(Episode::torn) ? 1 + below(at.random, format_crashes) : 0)) {
    operation->kind = OperationKind::crash;
    // Mostly before two copies are there. The next one strikes in the format after the open that finds none.
    const u64 random = remix(at.random, salt_limit + 100 + lines.at);
    operation->count = below(random, below(remix(random, 1), 8) == 0 ? format_steps : 2);
    if (lines.at > 0) operation->count += open_steps;
    return true;
  }
  if (lines.next(has(Episode::cancelled) ? 4 : 0)) return cancelled(lines.at, at.random, operation);
  if (lines.next(has(Episode::still) ? 1 : 0)) {
    checkpoint(operation);
    return true;
  }
  if (lines.next(has(Episode::emptied) ? emptied_lines(at.random) : 0))
    return emptied(lines.at, at.random, operation);
  if (lines.next(has(Episode::torn) ? torn_lines(at.random) : 0)) return torn(lines.at, at.random, operation);
  return false;
}

u64 Episodes::emptied_keys(u64 random) const {
  const u64 most = std::min<u64>({keys_max, options_.format.batch_values_max, keys_.universe()});
  return 1 + below(remix(random, salt_count), most);
}

bool Episodes::emptied(u64 place, u64 random, Operation* operation) const {
  const u64 count = emptied_keys(random);
  const u64 from = below(remix(random, salt_key), keys_.universe() - count + 1);
  const TreeName tree = tree_of(remix(random, salt_tree));
  Lines lines(place);
  if (lines.next(count)) {
    change(OperationKind::put, tree, from + lines.at, operation);
    return true;
  }
  const bool flushed = lines.next(1);
  if (!flushed && lines.next(count)) {
    change(OperationKind::remove, tree, from + lines.at, operation);
    return true;
  }
  if (!flushed && !lines.next(1)) return false;
  checkpoint(operation);
  return true;
}

bool Episodes::cancelled(u64 place, u64 random, Operation* operation) const {
  const u64 number = below(remix(random, salt_key + 100), keys_.universe());
  switch (place) {
    case 0: change(OperationKind::put, TreeName::index, number, operation); return true;
    case 1: operation->kind = OperationKind::commit; return true;  // An op may be full with one change.
    case 2: change(OperationKind::remove, TreeName::index, number, operation); return true;
    case 3: checkpoint(operation); return true;
    default: return false;
  }
}

bool Episodes::still(u64 place, u64 random, Operation* operation) const {
  if (place >= 2 + below(random, 2)) return false;
  checkpoint(operation);
  return true;
}

bool Episodes::torn(u64 place, u64 random, Operation* operation) const {
  if (place >= torn_lines(random)) return false;
  if (place % 2 == 0) {
    crash(remix(random, salt_limit + 100 + place), operation);
  } else {
    checkpoint(operation);
  }
  return true;
}

// --- lines

// A seed without checkpoint lines gets as far by its commits.
void Episodes::checkpoint(Operation* operation) const {
  operation->kind = options_.weight_checkpoint > 0 ? OperationKind::checkpoint : OperationKind::commit;
  if (options_.weight_checkpoint == 0) operation->count = options_.format.checkpoint_interval;
}

void Episodes::change(OperationKind kind, TreeName tree, u64 number, Operation* operation) const {
  operation->kind = kind;
  operation->tree = tree;
  operation->key = keys_.key(tree, number);
  if (kind == OperationKind::put && tree != TreeName::index) operation->value = operation->id.number;
}

void Episodes::crash(u64 random, Operation* operation) const {
  operation->kind = OperationKind::crash;
  operation->superblock = true;
  operation->count = below(random, superblock_steps);
  // The oldest write that is not durable is a copy mostly. What a copy holds is hardly longer than a tear
  // unit, so that one that is torn by chance is mostly whole.
  if (below(remix(random, 1), 2) != 0) return;
  operation->writes.push(
      {.units = 0, .write = 0, .outcome = CrashOutcome::torn_garbage, .exact = true, .garbage = 0});
}

TreeName Episodes::tree_of(u64 random) const {
  const RunOptions& o = options_;
  const u64 drawn = below(random, u64{o.weight_kv} + o.weight_index + o.weight_id);
  if (drawn < o.weight_kv) return TreeName::kv;
  return drawn < u64{o.weight_kv} + o.weight_index ? TreeName::index : TreeName::id;
}

}  // namespace tonearm::sim
