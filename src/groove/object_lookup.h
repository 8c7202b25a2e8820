// Turns the timestamps of a scan into objects, in the order of the scan, into the caller's buffer. ScanLookup
// is its typed face; here objects are bytes.
//
//     idle --read--> scanning <--> looking_up --> buffer_finished --read--> ...
//                                           \---> scan_finished, failed
//
// Several workers look up at the same time. Each takes the next timestamp together with the next place in the
// buffer, so that it does not matter who is done first; what memory or a cached block knows is copied at
// once. The first worker that cannot go on decides what comes next, the last one that is done begins it:
//
//     scanning          the scan has to read
//     buffer_finished   the buffer is full: read() goes on behind it, into the same buffer or another one
//     scan_finished     there is nothing more
//     failed            a block is damaged. Nothing in the buffer counts.
//
// A buffer that was filled exactly is `buffer_finished`: whether there is more was not asked.
#pragma once

#include <array>
#include <span>

#include "groove/groove_options.h"
#include "scan/scan.h"
#include "tree/tree.h"

namespace tonearm {

// Objects by timestamp, as far as they are at hand.
class ObjectsAtHand {
 public:
  virtual bool copy(u64 timestamp, std::byte* object) = 0;

 protected:
  ~ObjectsAtHand() = default;
};

enum class LookupState : u8 { idle, scanning, looking_up, buffer_finished, scan_finished, failed };

class ObjectLookup {
 public:
  struct Source {
    Tree* objects;
    ObjectsAtHand* cache;  // Null: none.
    u32 workers;
  };

  // `cold`: no cached object or block may answer.
  ObjectLookup(const Source& source, Scan& scan, bool cold);
  ObjectLookup(const ObjectLookup&) = delete;

  // Only if idle or buffer_finished. `buffer`: at least one object. `done` never runs inside the call.
  void read(std::span<std::byte> buffer, Callback<> done);

  LookupState state() const { return state_; }
  u32 count() const { return count_; }  // Objects in the buffer, once read() is done.
  const Error& error() const { return error_; }

 private:
  struct Worker {
    ObjectLookup* owner = nullptr;
    u32 slot = 0;
    Tree::Lookup lookup;
  };

  void begin();
  void work(Worker& worker);
  bool next(u64* timestamp);
  bool find_at_hand(u64 timestamp, u32 slot, u32* level_min);
  void store(u64 timestamp, u32 slot, const std::byte* object);
  void submit(Worker& worker, u64 timestamp, u32 level_min);
  void lookup_done(Worker& worker);
  void worker_done();
  void scan_read() { begin(); }
  void tick_done(Storage::NextTick&) { begin(); }

  Source source_;
  Scan* scan_;
  bool cold_;
  u32 object_size_;
  LookupState state_ = LookupState::idle;
  std::span<std::byte> buffer_;
  u32 capacity_ = 0;
  u32 count_ = 0;
  u32 working_ = 0;
  Callback<> done_;
  Error error_;
  Storage::NextTick next_tick_;
  std::array<Worker, lookup_workers_max> workers_;
};

}  // namespace tonearm
