// Fetches what an op will ask for, so that asking is synchronous.
//
// The caller enqueues keys, then runs the prefetch: `workers` of them are looked up at the same time. A
// worker takes the next key, in the order of enqueueing, and goes as far as it can without waiting:
//
//     the object cache    what it knows (an object, an orphan, a removal) is the answer
//     the id's key range  an id outside was never there
//     id tree             memory tables, cached blocks, then blocks that must be read
//     object tree         the same, by the timestamp that the id tree named
//
// and takes the next. Found objects go to the object cache; what is not found is known here until the op
// ends. So every key ends in a definite answer, or the prefetch in error(), when a block is damaged.
//
// Nothing here knows types: an object is bytes, a key is a number. Objects keyed by timestamp have no id
// tree. An *exists* key is a timestamp of which only is asked whether there is an object.
#pragma once

#include <optional>
#include <span>

#include "base/arena.h"
#include "base/callback.h"
#include "forest/forest.h"

namespace tonearm {

enum class [[nodiscard]] PrefetchResult : u8{
    ok,
    prefetch_full,  // The op has enqueued prefetch_keys_max keys already. Nothing changed.
};

// What a prefetch needs of the object cache.
class PrefetchCache {
 public:
  enum class Known : u8 { unknown, object, orphan, tombstone };
  // What it knows it keeps until the end of the bar.
  virtual Known protect(u128 key) = 0;
  virtual void found(u128 key, const std::byte* object) = 0;  // Asserts that the object has this key.
  virtual void orphaned(u128 id) = 0;

 protected:
  ~PrefetchCache() = default;
};

class Prefetch {
 public:
  enum class Kind : u8 { key, exists };
  enum class Result : u8 {
    pending,    // Not prefetched yet, or nobody will know: see error().
    cached,     // The object cache knows.
    not_found,  // There was none when the key was prefetched.
    exists,     // There was an object with this timestamp.
  };
  struct Trees {
    Tree* objects;
    Tree* ids;  // Null: keyed by timestamp.
  };
  struct Options {
    u32 keys_max;  // In an op.
    u32 workers;
  };

  static void measure(Arena& arena, const Options& options);
  Prefetch(Arena& arena, const Options& options, const Trees& trees, PrefetchCache& cache);
  Prefetch(const Prefetch&) = delete;

  // Forgets the keys and the error of before, not what the op has used of its budget.
  void setup();
  // A key that is here already is no second one, and costs nothing. Not while the prefetch runs.
  PrefetchResult enqueue(u128 key, Kind kind);
  // Looks up what was enqueued since the last run. `done` never runs inside the call.
  void run(Callback<> done);
  bool running() const { return running_; }
  // The first damaged block: some key has no answer.
  const Error& error() const { return error_; }
  // Nothing: the key was not enqueued since setup().
  std::optional<Result> result(u128 key, Kind kind) const;

  void op_end();  // Forgets all keys; the next op may prefetch as many again.

 private:
  struct Entry {
    u128 key;
    u32 slot;
    Kind kind;
    Result result;
  };
  struct Worker {
    Prefetch* prefetch = nullptr;
    u32 entry = 0;
    bool finds_id = false;  // The lookup at hand is in the id tree.
    Tree::Lookup lookup;
  };
  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<Entry> entries;  // In order of enqueueing.
    std::span<u32> slots;      // By hash: number of the entry plus one; 0: free.
    std::span<Worker> workers;
  };
  // Whether a key has its answer, or its worker waits for a lookup.
  enum class [[nodiscard]] Step : u8{answered, waits};

  u32 home(u128 key, Kind kind) const;
  u32 find(u128 key, Kind kind) const;  // The slot that holds the key, or where it would be.
  void work(Worker& worker);
  Step start(Worker& worker);
  Step find_id(Worker& worker);
  Step id_found(Worker& worker, const std::byte* value);
  Step find_object(Worker& worker, u64 timestamp);
  Step object_found(Worker& worker, const std::byte* value);
  Step look_up(Worker& worker, Tree& tree, const Key& key, u32 level);
  Step answer(const Worker& worker, Result result);
  void lookup_done(Worker& worker);
  void finish();
  void tick_done(Storage::NextTick& next_tick);

  Trees trees_;
  PrefetchCache* cache_;
  u32 keys_max_;
  Memory memory_;
  u32 count_ = 0;
  u32 keys_this_op_ = 0;  // Those forgotten by setup() included.
  u32 first_ = 0;         // The run at hand began with this entry.
  u32 next_ = 0;          // The entries before were taken by workers.
  u32 waiting_ = 0;       // Workers.
  bool backwards_ = false;
  bool running_ = false;
  Error error_;
  Callback<> done_;
  Storage::NextTick next_tick_;
};

}  // namespace tonearm
