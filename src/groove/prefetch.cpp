#include "groove/prefetch.h"

#include <bit>
#include <new>

#include "base/checksum.h"
#include "base/mark.h"
#include "base/span.h"
#include "base/variation.h"
#include "groove/object_traits.h"

namespace tonearm {

namespace {

// At most half full, so that probes stay short and always end.
u64 slots_for(u32 keys_max) { return std::bit_ceil(2 * u64{keys_max} + 2); }

bool timestamp_valid(u128 timestamp) { return timestamp >= 1 && timestamp <= timestamp_max; }
bool id_valid(u128 id) { return id != 0 && id != u128_max; }

IdTraits::Value id_value(const std::byte* bytes) {
  IdTraits::Value value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

Mark level_mark(u32 level) {
  if (level == 0) return Mark::prefetch_level0;
  return level == 1 ? Mark::prefetch_level1 : Mark::prefetch_deep;
}

}  // namespace

Prefetch::Memory::Memory(Arena& arena, const Options& options)
    : entries(arena.take<Entry>(options.keys_max)),
      slots(arena.take<u32>(slots_for(options.keys_max))),
      workers(arena.take<Worker>(options.workers)) {}

void Prefetch::measure(Arena& arena, const Options& options) {
  ASSERT(arena.measuring());
  Memory(arena, options);
}

Prefetch::Prefetch(Arena& arena, const Options& options, const Trees& trees, PrefetchCache& cache)
    : trees_(trees), cache_(&cache), keys_max_(options.keys_max), memory_(arena, options) {
  ASSERT(options.keys_max >= 1);
  ASSERT(options.workers >= 1);
  for (u32& slot : memory_.slots) slot = 0;
  for (Worker& worker : memory_.workers) new (&worker) Worker{.prefetch = this};
}

// --- the keys

u32 Prefetch::home(u128 key, Kind kind) const {
  const u64 hash = hash_of(key, static_cast<u64>(kind));
  return static_cast<u32>(hash & (memory_.slots.size() - 1));
}

u32 Prefetch::find(u128 key, Kind kind) const {
  u32 slot = home(key, kind);
  while (memory_.slots[slot] != 0) {
    const Entry& entry = memory_.entries[memory_.slots[slot] - 1];
    if (entry.key == key && entry.kind == kind) break;
    slot = (slot + 1) & static_cast<u32>(memory_.slots.size() - 1);
  }
  return slot;
}

void Prefetch::setup() {
  ASSERT(!running_ && "wait until the prefetch is done");
  for (u32 i = 0; i < count_; ++i) memory_.slots[memory_.entries[i].slot] = 0;
  count_ = 0;
  next_ = 0;
  error_ = {};
}

void Prefetch::op_end() {
  setup();
  keys_this_op_ = 0;
}

PrefetchResult Prefetch::enqueue(u128 key, Kind kind) {
  ASSERT(!running_ && "wait until the prefetch is done");
  const u32 slot = find(key, kind);
  if (memory_.slots[slot] != 0) {
    mark(Mark::prefetch_duplicate, trees_.objects->config().id);
    return PrefetchResult::ok;
  }
  if (keys_this_op_ == keys_max_) {
    mark(Mark::prefetch_full, trees_.objects->config().id);
    return PrefetchResult::prefetch_full;
  }
  ASSERT(count_ <= keys_this_op_);
  ++keys_this_op_;
  memory_.entries[count_] = {.key = key, .slot = slot, .kind = kind, .result = Result::pending};
  memory_.slots[slot] = ++count_;
  return PrefetchResult::ok;
}

std::optional<Prefetch::Result> Prefetch::result(u128 key, Kind kind) const {
  const u32 number = memory_.slots[find(key, kind)];
  if (number == 0) return {};
  return memory_.entries[number - 1].result;
}

// --- the run

void Prefetch::run(Callback<> done) {
  ASSERT(!running_ && "wait until the prefetch is done");
  ASSERT(done);
  ASSERT(waiting_ == 0);
  running_ = true;
  span_begins(SpanKind::prefetch, this, {.tree = trees_.objects->config().id});
  done_ = done;
  const bool any = next_ < count_;
  first_ = next_;
  // Legal, because the answer to a key depends on no other key.
  const u16 tree = trees_.objects->config().id;
  backwards_ = variation(Variation::prefetch_backwards, tree, first_) != 0;
  const bool narrow = variation(Variation::prefetch_narrow, tree, first_) != 0;
  for (Worker& worker : memory_.workers.first(narrow ? 1 : memory_.workers.size())) work(worker);
  if (waiting_ > 1) mark(Mark::prefetch_parallel, trees_.objects->config().id);
  if (waiting_ > 0) return;
  if (any) mark(Mark::prefetch_synchronous, trees_.objects->config().id);
  finish();
}

// Takes keys until one has to wait. After an error none is begun.
void Prefetch::work(Worker& worker) {
  while (next_ < count_ && !error_) {
    worker.entry = backwards_ ? first_ + count_ - 1 - next_ : next_;
    ++next_;
    if (start(worker) == Step::answered) continue;
    ++waiting_;
    span_begins(SpanKind::prefetch_worker, &worker, {.tree = trees_.objects->config().id});
    return;
  }
}

void Prefetch::lookup_done(Worker& worker) {
  ASSERT(running_);
  ASSERT(waiting_ > 0);
  const Tree::Lookup& lookup = worker.lookup;
  Step step = Step::answered;
  if (lookup.error) {
    mark(Mark::prefetch_failed, lookup.tree->config().id, &lookup.key);
    if (!error_) error_ = lookup.error;
  } else {
    if (lookup.found) mark(level_mark(lookup.level), lookup.tree->config().id, &lookup.key);
    const std::byte* value = lookup.found ? lookup.value.data() : nullptr;
    step = worker.finds_id ? id_found(worker, value) : object_found(worker, value);
  }
  if (step == Step::waits) return;
  span_ends(SpanKind::prefetch_worker, &worker);
  --waiting_;
  work(worker);
  if (waiting_ > 0) return;
  mark(Mark::prefetch_asynchronous, trees_.objects->config().id);
  finish();
}

// On the next tick: `done` never runs inside the call, nor inside the completion of a read.
void Prefetch::finish() {
  ASSERT(waiting_ == 0);
  ASSERT(error_ || next_ == count_);
  next_tick_.done = Callback<Storage::NextTick&>::to<&Prefetch::tick_done>(this);
  trees_.objects->storage().next_tick(next_tick_);
}

void Prefetch::tick_done(Storage::NextTick&) {
  ASSERT(running_);
  running_ = false;
  span_ends(SpanKind::prefetch, this);
  const Callback<> done = done_;
  done_ = {};
  done();
}

// --- one key

Prefetch::Step Prefetch::answer(const Worker& worker, Result result) {
  Entry& entry = memory_.entries[worker.entry];
  ASSERT(entry.result == Result::pending);
  ASSERT(result != Result::pending);
  ASSERT((result == Result::exists) <= (entry.kind == Kind::exists));
  entry.result = result;
  return Step::answered;
}

Prefetch::Step Prefetch::start(Worker& worker) {
  const Entry& entry = memory_.entries[worker.entry];
  const u16 tree = trees_.objects->config().id;
  const bool by_id = entry.kind == Kind::key && trees_.ids != nullptr;
  if (!(by_id ? id_valid(entry.key) : timestamp_valid(entry.key))) {
    mark(Mark::prefetch_invalid_key, tree);
    return answer(worker, Result::not_found);
  }
  // Legal not to ask the cache: the trees, their memory tables included, hold all that it knows.
  if (entry.kind == Kind::key &&
      variation(Variation::prefetch_uncached, tree, static_cast<u64>(entry.key)) == 0) {
    const Key key = Key::of(entry.key);
    const u16 key_tree = by_id ? trees_.ids->config().id : tree;
    switch (cache_->protect(entry.key)) {
      case PrefetchCache::Known::unknown: break;
      case PrefetchCache::Known::object:
        mark(Mark::prefetch_cached, key_tree, &key);
        return answer(worker, Result::cached);
      case PrefetchCache::Known::orphan:
        mark(Mark::prefetch_orphan_cached, key_tree, &key);
        return answer(worker, Result::cached);
      case PrefetchCache::Known::tombstone:
        mark(Mark::prefetch_tombstone_cached, key_tree, &key);
        return answer(worker, Result::cached);
    }
  }
  return by_id ? find_id(worker) : find_object(worker, static_cast<u64>(entry.key));
}

Prefetch::Step Prefetch::find_id(Worker& worker) {
  const Key key = Key::of(memory_.entries[worker.entry].key);
  Tree& ids = *trees_.ids;
  worker.finds_id = true;
  if (!ids.key_range() || !ids.key_range()->contains(key)) {
    mark(Mark::prefetch_key_range, ids.config().id, &key);
    return answer(worker, Result::not_found);
  }
  if (const std::byte* value = ids.lookup_from_memory(key)) {
    mark(Mark::prefetch_memory, ids.config().id, &key);
    if (!ids.kernel().is_tombstone(value)) return id_found(worker, value);
    mark(Mark::prefetch_tombstone_memory, ids.config().id, &key);
    return id_found(worker, nullptr);
  }
  const Tree::CacheLookup cached = ids.lookup_from_levels_cache(key);
  switch (cached.kind) {
    case Tree::CacheLookup::Kind::negative: return id_found(worker, nullptr);
    case Tree::CacheLookup::Kind::positive:
      mark(level_mark(cached.level), ids.config().id, &key);
      return id_found(worker, cached.value);
    case Tree::CacheLookup::Kind::possible: return look_up(worker, ids, key, cached.level);
  }
  UNREACHABLE();
}

// Null: no such id, or it was removed.
Prefetch::Step Prefetch::id_found(Worker& worker, const std::byte* bytes) {
  if (bytes == nullptr) return answer(worker, Result::not_found);
  const IdTraits::Value value = id_value(bytes);
  ASSERT(value.id == memory_.entries[worker.entry].key);
  ASSERT(!IdTraits::is_tombstone(value));
  if (value.timestamp_and_flag == 0) {
    const Key key = Key::of(value.id);
    mark(Mark::prefetch_orphan, trees_.ids->config().id, &key);
    cache_->orphaned(value.id);
    return answer(worker, Result::cached);
  }
  return find_object(worker, value.timestamp_and_flag);
}

Prefetch::Step Prefetch::find_object(Worker& worker, u64 timestamp) {
  const Key key = Key::of(timestamp);
  Tree& objects = *trees_.objects;
  worker.finds_id = false;
  if (const std::byte* value = objects.lookup_from_memory(key)) {
    mark(Mark::prefetch_memory, objects.config().id, &key);
    if (!objects.kernel().is_tombstone(value)) return object_found(worker, value);
    mark(Mark::prefetch_tombstone_memory, objects.config().id, &key);
    return object_found(worker, nullptr);
  }
  const Tree::CacheLookup cached = objects.lookup_from_levels_cache(key);
  switch (cached.kind) {
    case Tree::CacheLookup::Kind::negative: return object_found(worker, nullptr);
    case Tree::CacheLookup::Kind::positive:
      mark(level_mark(cached.level), objects.config().id, &key);
      return object_found(worker, cached.value);
    case Tree::CacheLookup::Kind::possible: return look_up(worker, objects, key, cached.level);
  }
  UNREACHABLE();
}

// Null: no object, or it was removed.
Prefetch::Step Prefetch::object_found(Worker& worker, const std::byte* value) {
  const Entry& entry = memory_.entries[worker.entry];
  if (entry.kind == Kind::exists) {
    return answer(worker, value != nullptr ? Result::exists : Result::not_found);
  }
  if (value == nullptr) {
    ASSERT(trees_.ids == nullptr && "every id in the id tree has its object in the object tree");
    return answer(worker, Result::not_found);
  }
  cache_->found(entry.key, value);
  return answer(worker, Result::cached);
}

Prefetch::Step Prefetch::look_up(Worker& worker, Tree& tree, const Key& key, u32 level) {
  worker.lookup.key = key;
  worker.lookup.level_min = level;
  worker.lookup.done = Callback<Tree::Lookup&>::plain(&worker, [](void* context, Tree::Lookup&) {
    Worker& self = *static_cast<Worker*>(context);
    self.prefetch->lookup_done(self);
  });
  tree.lookup_from_levels_storage(worker.lookup);
  return Step::waits;
}

}  // namespace tonearm
