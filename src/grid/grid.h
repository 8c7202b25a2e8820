// The block store: write-once blocks over a Storage zone, authenticated reads, a bounded number of
// requests in flight, one block cache, and the free set.
//
// read():   never completes inside the call. In this order: a write in flight of the same block
//           serves it; a read in flight of the same block is joined; the cache serves it; else one
//           of `read_iops` slots reads it, or it waits in line. Damaged or failed reads are tried
//           again up to `read_attempts_max` times, then `result` says what was wrong.
// write():  the block is sealed (block.h) and its address acquired; written once per acquisition,
//           with Durability::on_sync; inserted in the cache when done.
// cached(): the synchronous path of point lookups.
//
// The cache (block_cache.h) holds copies of authenticated blocks only. A released block is demoted,
// not evicted: it may be read until its address is reused, and that is when it leaves the cache.
//
// Reads that bring no buffer are read into one of `read_iops` + 1 buffers. The one more is what the
// callbacks of a finished read look at while its slot is busy with the next.
#pragma once

#include <optional>
#include <span>

#include "base/arena.h"
#include "base/error.h"
#include "base/options.h"
#include "base/queue.h"
#include "base/variation.h"
#include "grid/block.h"
#include "grid/block_cache.h"
#include "grid/free_set.h"
#include "storage/storage.h"

namespace tonearm {

class Grid {
 public:
  struct Options {
    FormatOptions format;
    RuntimeOptions runtime;
    u64 released_prior_max;  // See FreeSet::Options.
  };

  struct Read {
    BlockReference block;
    IoTag tag{};
    bool cache_read = true;   // May the cache answer?
    bool cache_write = true;  // Insert into the cache when read from storage?
    // Where to put the block (block_size bytes, aligned to 4096), or null: then `data` points into
    // the grid's memory, valid only until `done` returns. Behind the block's end there may be anything.
    std::byte* buffer = nullptr;
    Callback<Read&> done;

    BlockResult result = BlockResult::valid;  // Set before `done` runs.
    const std::byte* data = nullptr;          // The authenticated block, if result is valid.

    // Private to the grid.
    QueueLink<Read> link;
    Queue<Read, &Read::link> joined;  // Reads of the same block that this one will answer.
    Storage::NextTick next_tick;
    u32 attempts = 0;
    u32 repeated = 0;  // Attempts up to the last that found the block in order: Variation::read_repeated.
    bool in_flight = false;
    Grid* grid = nullptr;
  };

  struct Write {
    std::byte* block = nullptr;  // Sealed. Stays the caller's; unmodified until `done`.
    IoTag tag{};
    Callback<Write&> done;

    IoResult result = IoResult::ok;

    // Private to the grid.
    QueueLink<Write> link;
    u32 attempts = 0;
    bool in_flight = false;
  };

  // One request to the storage: I/O of the read or write at its address, or idle.
  struct ReadSlot {
    Storage::Read io;
    Read* read = nullptr;
    std::byte* buffer = nullptr;
    Grid* grid = nullptr;

    void done(Storage::Read&) { grid->read_done(*this); }
  };
  struct WriteSlot {
    Storage::Write io;
    Write* write = nullptr;
    Grid* grid = nullptr;

    void done(Storage::Write&) { grid->write_done(*this); }
  };

  struct Memory {
    Memory(Arena& arena, const Options& options);
    std::span<ReadSlot> read_slots;
    std::span<WriteSlot> write_slots;
    std::span<std::byte> buffers;  // read_iops + 1 blocks.
  };

  static void measure(Arena& arena, const Options& options);
  Grid(Storage& storage, Arena& arena, const Options& options);
  Grid(const Grid&) = delete;

  void read(Read& read);
  void write(Write& write);

  // The block if the cache has it, else null. Valid until the next call of any method but this one.
  const std::byte* cached(BlockReference block) {
    // Legal: the storage has every block that the cache has, and nobody may rely on being cached.
    if (variation(Variation::cache_miss, block.address) != 0) return nullptr;
    const std::byte* data = cache_.get(block);
    if (data != nullptr) ++counters_.reads_cache;
    return data;
  }

  // Who will ask for several cached blocks says so for all of them first: they lie far apart.
  void prefetch(u64 address) const { cache_.prefetch(address); }

  // Forwarded to the free set; release also demotes the block in the cache.
  [[nodiscard]] std::optional<Reservation> reserve(u32 count) { return free_set_.reserve(count); }
  [[nodiscard]] u64 acquire(Reservation& reservation);
  void forfeit(const Reservation& reservation) { free_set_.forfeit(reservation); }
  void release(u64 address);
  FreeSet& free_set() { return free_set_; }
  const FreeSet& free_set() const { return free_set_; }

  Storage& storage() { return storage_; }
  u32 block_size() const { return block_size_; }
  u32 sector_size() const { return sector_size_; }
  u64 blocks_count() const { return free_set_.blocks_count(); }
  // Identity of the data file, stamped into blocks; set at open.
  u128 cluster() const { return cluster_; }
  void set_cluster(u128 cluster) { cluster_ = cluster; }

  bool idle() const { return reads_in_flight() == 0 && writes_in_flight() == 0; }
  u32 reads_in_flight() const { return reads_in_flight_; }    // Waiting and joined ones included.
  u32 writes_in_flight() const { return writes_in_flight_; }  // Waiting ones included.
  bool reading(u64 address) const;

  // --- for a reader with requests of its own, past queues and cache (forest/scrubber.h)
  u64 offset_of(u64 address) const { return (address - 1) * block_size_; }
  // What was wrong with these bytes, if they should be the block.
  BlockResult authenticate(const BlockReference& expected, const std::byte* block, IoResult io) const;
  bool writing(u64 address) const { return find_write(address) != nullptr; }

  struct Counters {
    u64 reads_storage = 0;  // Blocks read from storage; a block tried again counts once.
    u64 reads_cache = 0;    // Answered by the cache.
    u64 writes = 0;         // Blocks written.
    u64 retries = 0;        // Of reads and writes.
  };
  const Counters& counters() const { return counters_; }

 private:
  Grid(Storage& storage, Arena& arena, const Options& options, const Memory& memory);

  using ReadQueue = Queue<Read, &Read::link>;

  void read_begin(Read& read);
  void read_issue(ReadSlot& slot, Read& read);
  void read_attempt(ReadSlot& slot);
  void read_done(ReadSlot& slot);
  void resolve(Read& root, const std::byte* data, BlockResult result);
  void resolve_one(Read& read, const std::byte* data, BlockResult result);
  // The read in flight, issued or waiting, that another one of the same block may join.
  Read* find_root(const BlockReference& block) const;
  // Null: the read waits. A completion gives its slot to the next in line, so some slot is busy then.
  ReadSlot* read_slot_for(const Read& read) const;
  WriteSlot* write_slot_for(const Write& write) const;

  void write_issue(WriteSlot& slot, Write& write);
  void write_attempt(WriteSlot& slot);
  void write_done(WriteSlot& slot);
  Write* find_write(u64 address) const;

  void cache_insert(const std::byte* block);
  void block_copy(std::byte* target, const std::byte* source) const;

  // Constant after construction.
  Storage& storage_;
  u32 block_size_;
  u32 sector_size_;
  u32 attempts_max_;
  u128 cluster_ = 0;

  std::span<ReadSlot> read_slots_;
  std::span<WriteSlot> write_slots_;
  // Holds the block that callbacks are looking at, between the completions of the storage.
  std::byte* resolve_buffer_ = nullptr;
  ReadQueue reads_deferred_;  // Until the next tick.
  ReadQueue reads_waiting_;   // For a slot.
  Queue<Write, &Write::link> writes_waiting_;
  u32 reads_in_flight_ = 0;
  u32 writes_in_flight_ = 0;
  u64 resolving_ = 0;  // Address of the block that a callback is looking at, or 0.

  BlockCache cache_;
  FreeSet free_set_;
  Counters counters_;
};

}  // namespace tonearm
