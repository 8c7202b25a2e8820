// A groove: objects of one plain struct, their ids, and an index of every field that is worth one.
//
// What trees it has and what they hold is said by a description (groove/description.h). Objects, ids and
// indexes never disagree: each change goes to all of them, in one call that changes all or nothing.
//
// An op, in this order and as often as wanted:
//
//     prefetch_setup(); prefetch_enqueue(key) ...; prefetch(done)      asynchronous: reads what is needed
//     get, exists, insert, update, upsert, remove, insert_orphaned_id  synchronous: about those keys only
//
// then the forest's compact(op) once. What is asked or changed must have been prefetched since the last
// prefetch_setup(), or touched before in this bar: get() asserts it, and so does every change, which is
// about what get() would say.
//
// Two together answer: the object cache, for what a bar touched (object_cache.h), and the prefetch, for
// what it did not find (prefetch.h).
//
// Which objects there are is asked by scans: see groove_scans.h for the questions, scan_lookup.h for the
// answers.
//
// Whoever reads may do so beside others: prefetches of different grooves, lookups of scans (several of one
// groove, too) and scans that are read wait at the same time, and come to what they would come to alone.
//
// Results for what a user can get wrong; assertions for what only the program around can.
#pragma once

#include <cstring>
#include <optional>

#include "groove/groove_scans.h"
#include "groove/groove_trees.h"
#include "groove/object_cache.h"

namespace tonearm {

// The first that applies, in this order. Nothing has changed unless it is `ok`.
enum class [[nodiscard]] InsertResult : u8 {
  ok,
  refused,            // The forest has an error: see Forest::error().
  id_invalid,         // 0, or the greatest u128.
  timestamp_invalid,  // 0, or over timestamp_max.
  batch_full,         // The op has changed batch_values_max objects.
};

enum class [[nodiscard]] ChangeResult : u8 {
  ok,
  refused,
  batch_full,
};

enum class Found : u8 {
  found,
  orphaned,  // The id is used up, and names no object.
  not_found,
};

template <class Description>
class Groove : public GrooveScans<Description> {
 public:
  using Object = typename Description::Object;
  using Key = typename Description::Key;  // The id, or the timestamp if there are none.

  struct GetResult {
    Found kind;
    Object object;  // All zero unless found.
  };

  static void measure(Arena& arena, const FormatOptions& format, const GrooveOptions& options) {
    Cache::measure(arena, format, options);
    Prefetch::measure(arena, prefetch_options(options));
  }
  Groove(Arena& arena, Forest& forest, ScanBuilder& scans, const FormatOptions& format,
         const GrooveOptions& options)
      : GrooveScans<Description>(scans, forest),
        forest_(&forest),
        changes_max_(format.batch_values_max),
        lookup_workers_(options.lookup_workers),
        trees_(forest),
        cache_(arena, format, options),
        prefetch_(arena, prefetch_options(options), trees_.for_prefetch(), cache_) {
    ASSERT(!validate(options));
  }
  Groove(const Groove&) = delete;

  // --- prefetching; not in a scope, not while the forest is busy
  // Forgets the keys of before (and the error), not what of prefetch_keys_max the op has used.
  void prefetch_setup();
  // Any key will do: enqueued already (which costs nothing), absent, or one that no object may have.
  PrefetchResult prefetch_enqueue(Key key) { return enqueue(key, Prefetch::Kind::key); }
  PrefetchResult prefetch_exists_enqueue(u64 timestamp) { return enqueue(timestamp, Prefetch::Kind::exists); }
  // Looks up what was enqueued since the last run. `done` never runs inside the call.
  void prefetch(Callback<> done);
  // Set: a block is damaged. Nothing may be asked or changed until the next prefetch_setup().
  const Error& prefetch_error() const { return prefetch_.error(); }
  bool prefetching() const { return prefetch_.running(); }

  // --- answers, of keys that were prefetched or touched before in this bar
  GetResult get(Key key);
  // Whether there is an object with this timestamp, the changes of this op included. The timestamp must
  // have been prefetched by prefetch_exists_enqueue().
  bool exists(u64 timestamp);

  // --- changes
  // The key must not be found. No other object may have the timestamp.
  InsertResult insert(const Object& object);
  // The key must be found. The timestamp must be that of the object, and some other byte must differ.
  ChangeResult update(const Object& object);
  // insert(), or update() unless nothing differs: then nothing happens.
  InsertResult upsert(const Object& object);
  // The key must be found.
  ChangeResult remove(Key key);
  // Uses up an id for good. It must not be found. Not in a scope.
  InsertResult insert_orphaned_id(u128 id);

  // How many objects this op may still change. A discarded scope gives back what it took.
  u32 changes_left() const { return changes_max_ - changes_; }

  // --- for ScanLookup
  ObjectLookup::Source lookup_source() {
    ASSERT(!scope_active_ && "no scan is looked up in a scope");
    ASSERT(!forest_->busy() && "wait until the forest is done");
    ObjectsAtHand* const cache = Description::has_id ? nullptr : &cache_;
    return {.objects = &trees_.objects(), .cache = cache, .workers = lookup_workers_};
  }

  // --- driven by the forest of grooves
  void scope_open();
  void scope_close(ScopeMode mode);
  void op_end(bool bar_ends);

 private:
  using Cache = ObjectCache<Description>;
  using Known = PrefetchCache::Known;

  static Prefetch::Options prefetch_options(const GrooveOptions& options) {
    return {.keys_max = options.prefetch_keys_max, .workers = options.prefetch_workers};
  }
  static tonearm::Key timestamp_of(const Object& object) { return tonearm::Key::of(object.timestamp); }

  PrefetchResult enqueue(u128 key, Prefetch::Kind kind);
  void assert_answers() const;
  // Unknown: not found, by the prefetch.
  Known find(Key key, Object* object);
  bool refused() const;
  InsertResult why_not(const Object& object) const;
  bool take_change();
  void insert_checked(const Object& object, Known before);
  void update_checked(const Object& before, const Object& after);

  Forest* forest_;
  u32 changes_max_;
  u32 lookup_workers_;
  GrooveTrees<Description> trees_;
  Cache cache_;
  Prefetch prefetch_;
  u32 changes_ = 0;  // Of this op.
  u32 changes_at_scope_ = 0;
  bool scope_active_ = false;
};

// --- prefetching

template <class Description>
void Groove<Description>::prefetch_setup() {
  ASSERT(!scope_active_ && "prefetch before the scope is opened");
  ASSERT(!forest_->busy() && "wait until the forest is done");
  if (forest_->error()) {
    // No op ends any more, and yet anything may be asked, for ever. What the cache forgets here is in memory
    // tables, where a prefetch finds it.
    mark(Mark::groove_after_error, Description::object_tree);
    cache_.compact();
    prefetch_.op_end();
  }
  prefetch_.setup();
}

template <class Description>
PrefetchResult Groove<Description>::enqueue(u128 key, Prefetch::Kind kind) {
  ASSERT(!scope_active_ && "prefetch before the scope is opened");
  return prefetch_.enqueue(key, kind);
}

template <class Description>
void Groove<Description>::prefetch(Callback<> done) {
  ASSERT(!scope_active_ && "prefetch before the scope is opened");
  ASSERT(!forest_->busy() && "wait until the forest is done");
  prefetch_.run(done);
}

// --- answers

template <class Description>
void Groove<Description>::assert_answers() const {
  ASSERT(!prefetch_.running() && "wait until the prefetch is done");
  ASSERT(!prefetch_.error() && "after a failed prefetch nothing may be asked: begin with prefetch_setup()");
}

template <class Description>
PrefetchCache::Known Groove<Description>::find(Key key, Object* object) {
  assert_answers();
  const Known known = cache_.find(key, object);
  if (known != Known::unknown) return known;
  const std::optional<Prefetch::Result> result = prefetch_.result(key, Prefetch::Kind::key);
  ASSERT(result && "prefetch the key in the op that asks for it");
  ASSERT(*result == Prefetch::Result::not_found && "run the prefetch before asking");
  return known;
}

template <class Description>
typename Groove<Description>::GetResult Groove<Description>::get(Key key) {
  GetResult result{.kind = Found::not_found, .object = zeroed<Object>()};
  switch (find(key, &result.object)) {
    case Known::object: result.kind = Found::found; break;
    case Known::orphan: result.kind = Found::orphaned; break;
    case Known::tombstone:
    case Known::unknown: break;
  }
  return result;
}

template <class Description>
bool Groove<Description>::exists(u64 timestamp) {
  assert_answers();
  const std::optional<Prefetch::Result> result = prefetch_.result(timestamp, Prefetch::Kind::exists);
  ASSERT(result && "prefetch the timestamp, by prefetch_exists_enqueue(), in the op that asks for it");
  ASSERT(*result != Prefetch::Result::pending && "run the prefetch before asking");
  const bool existed = *result == Prefetch::Result::exists;
  // What this op has changed since is in the mutable table.
  const tonearm::Key key = tonearm::Key::of(timestamp);
  const std::byte* newest = trees_.objects().table_mutable().get(key);
  if (newest == nullptr) return existed;
  const bool exists = !trees_.objects().kernel().is_tombstone(newest);
  if (exists != existed) mark(Mark::groove_exists_changed, Description::object_tree, &key);
  return exists;
}

// --- changes

template <class Description>
bool Groove<Description>::refused() const {
  if (!forest_->error()) return false;
  mark(Mark::groove_refused, Description::object_tree);
  return true;
}

template <class Description>
InsertResult Groove<Description>::why_not(const Object& object) const {
  if (refused()) return InsertResult::refused;
  if constexpr (Description::has_id) {
    if (object.id == 0 || object.id == u128_max) return InsertResult::id_invalid;
  }
  if (object.timestamp == 0 || object.timestamp > timestamp_max) return InsertResult::timestamp_invalid;
  return InsertResult::ok;
}

// False: the op is full.
template <class Description>
bool Groove<Description>::take_change() {
  ASSERT(!forest_->busy() && "wait until the forest is done");
  ASSERT(forest_->scan_buffers().used() == 0 && "release the scans before changing what they read");
  ASSERT(changes_ <= changes_max_);
  if (changes_ == changes_max_) {
    mark(Mark::groove_full, Description::object_tree);
    return false;
  }
  ++changes_;
  return true;
}

template <class Description>
InsertResult Groove<Description>::insert(const Object& object) {
  if (const InsertResult result = why_not(object); result != InsertResult::ok) return result;
  Object before;
  const Known known = find(Cache::key_of(object), &before);
  ASSERT((known == Known::tombstone || known == Known::unknown) && "insert: the key must not be found");
  if (!take_change()) return InsertResult::batch_full;
  insert_checked(object, known);
  return InsertResult::ok;
}

template <class Description>
ChangeResult Groove<Description>::update(const Object& object) {
  if (refused()) return ChangeResult::refused;
  Object before;
  const Known known = find(Cache::key_of(object), &before);
  ASSERT(known == Known::object && "update: the key must be found");
  ASSERT(std::memcmp(&object, &before, sizeof object) != 0 && "update: something must differ");
  if (!take_change()) return ChangeResult::batch_full;
  update_checked(before, object);
  return ChangeResult::ok;
}

template <class Description>
InsertResult Groove<Description>::upsert(const Object& object) {
  if (const InsertResult result = why_not(object); result != InsertResult::ok) return result;
  Object before;
  const Known known = find(Cache::key_of(object), &before);
  ASSERT(known != Known::orphan && "upsert: the id is used up");
  if (known == Known::object && std::memcmp(&object, &before, sizeof object) == 0) {
    mark(Mark::groove_upsert_equal, Description::object_tree);
    return InsertResult::ok;
  }
  if (!take_change()) return InsertResult::batch_full;
  if (known == Known::object) {
    update_checked(before, object);
  } else {
    insert_checked(object, known);
  }
  return InsertResult::ok;
}

template <class Description>
ChangeResult Groove<Description>::remove(Key key) {
  if (refused()) return ChangeResult::refused;
  Object object;
  const Known known = find(key, &object);
  ASSERT(known == Known::object && "remove: the key must be found");
  if (!take_change()) return ChangeResult::batch_full;
  const tonearm::Key timestamp = timestamp_of(object);
  mark(Mark::groove_removed, Description::object_tree, &timestamp);
  trees_.remove(object);
  cache_.remove(key);
  return ChangeResult::ok;
}

template <class Description>
InsertResult Groove<Description>::insert_orphaned_id(u128 id) {
  static_assert(Description::orphaned_ids, "groove: insert_orphaned_id needs OrphanedIds in the description");
  ASSERT(!scope_active_ && "insert_orphaned_id: not in a scope");
  Object object = zeroed<Object>();
  object.id = id;
  object.timestamp = 1;  // No timestamp is at fault.
  if (const InsertResult result = why_not(object); result != InsertResult::ok) return result;
  const Known known = find(id, &object);
  ASSERT((known == Known::tombstone || known == Known::unknown) &&
         "insert_orphaned_id: the id must not be found");
  if (!take_change()) return InsertResult::batch_full;
  const tonearm::Key key = tonearm::Key::of(id);
  mark(Mark::groove_orphaned, Description::id_tree, &key);
  trees_.orphan(id);
  cache_.upsert_orphan(id);
  return InsertResult::ok;
}

template <class Description>
void Groove<Description>::insert_checked(const Object& object, Known before) {
  const tonearm::Key timestamp = timestamp_of(object);
  if (before == Known::tombstone) {
    mark(Mark::groove_inserted_again, Description::object_tree, &timestamp);
  }
  trees_.insert(object);
  cache_.upsert(object);
}

// The cache comes last: the trees are told the difference to what it holds.
template <class Description>
void Groove<Description>::update_checked(const Object& before, const Object& after) {
  ASSERT(after.timestamp == before.timestamp && "update: the timestamp never changes");
  trees_.update(before, after);
  cache_.upsert(after);
}

// --- scopes and ops

template <class Description>
void Groove<Description>::scope_open() {
  ASSERT(!scope_active_);
  ASSERT(!prefetch_.running() && "wait until the prefetch is done");
  scope_active_ = true;
  changes_at_scope_ = changes_;
  cache_.scope_open();
}

template <class Description>
void Groove<Description>::scope_close(ScopeMode mode) {
  ASSERT(scope_active_);
  ASSERT(changes_at_scope_ <= changes_);
  scope_active_ = false;
  if (mode == ScopeMode::discard) changes_ = changes_at_scope_;
  cache_.scope_close(mode);
}

template <class Description>
void Groove<Description>::op_end(bool bar_ends) {
  ASSERT(!scope_active_);
  changes_ = 0;
  prefetch_.op_end();
  if (bar_ends) cache_.compact();
}

}  // namespace tonearm
