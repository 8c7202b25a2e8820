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
// There may be a second storage, the mirror, that has every block at the same offset. A write is done
// when both sides have it. What cannot be read from the first side, or is not the block, is read from the
// mirror with as many tries, and the first side is written again with it before the read is answered:
// grid_mirror.cpp. The mirror is looked at by nobody else but the scrubber.
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

enum class GridSide : u8 { first, mirror };
inline constexpr u32 grid_sides = 2;

class Grid {
 public:
  struct Options {
    FormatOptions format;
    RuntimeOptions runtime;
    u64 released_prior_max;     // See FreeSet::Options.
    Storage* mirror = nullptr;  // Null: there is one side.
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
    bool in_flight = false;
  };

  // One request to the storage: I/O of the read or write at its address, or idle.
  struct ReadSlot {
    Storage::Read io;
    Storage::Write repair_io;
    Read* read = nullptr;
    std::byte* buffer = nullptr;
    Grid* grid = nullptr;
    GridSide side = GridSide::first;  // From which it is being read.
    u32 repair_attempts = 0;
    bool repairing = false;  // It has been read, and the first side is being written.

    void done(Storage::Read&) { grid->read_done(*this); }
    void repair_done(Storage::Write&) { grid->repair_done(*this); }
  };
  struct WriteSlot {
    Storage::Write io;
    Storage::Write mirror_io;
    Write* write = nullptr;
    Grid* grid = nullptr;
    u32 attempts[grid_sides] = {};
    u32 sides_left = 0;
    IoResult result = IoResult::ok;

    void done(Storage::Write&) { grid->write_done(*this, GridSide::first); }
    void mirror_done(Storage::Write&) { grid->write_done(*this, GridSide::mirror); }
  };

  // Somebody with requests of its own (forest/scrubber.h) is at this block: see visit_begin().
  struct Visit {
    u64 address = 0;
    Callback<Visit&> begin;                // Runs if visit_begin() said false.
    const std::byte* repairing = nullptr;  // Set: the visitor is writing this to one of the sides.

    // Private to the grid.
    QueueLink<Visit> link;
    bool waits = false;
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
  // The same in two steps, for who may need several: looking changes nothing, and is no use of the block.
  BlockCache::Found look(const BlockReference& block) const { return cache_.look(block); }
  const std::byte* cached(BlockReference block, const BlockCache::Found& found) {
    if (variation(Variation::cache_miss, block.address) != 0) return nullptr;
    if (found.block == nullptr) return nullptr;
    cache_.use(found);
    ++counters_.reads_cache;
    return found.block;
  }

  // Forwarded to the free set; release also demotes the block in the cache.
  [[nodiscard]] std::optional<Reservation> reserve(u32 count) { return free_set_.reserve(count); }
  [[nodiscard]] u64 acquire(Reservation& reservation);
  void forfeit(const Reservation& reservation) { free_set_.forfeit(reservation); }
  void release(u64 address);
  FreeSet& free_set() { return free_set_; }
  const FreeSet& free_set() const { return free_set_; }

  Storage& storage() { return storage_; }
  bool mirrored() const { return mirror_ != nullptr; }
  Storage& storage(GridSide side) { return side == GridSide::first ? storage_ : *mirror_; }
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

  // --- repairs. A block that is written again needs its address for itself: nobody else reads it, and never
  // are both sides of it being written, or a crash could take both.
  // Not while the file is being opened, and not after an error: whoever knows about that says so.
  void allow_repairs(bool allowed) { repairs_allowed_ = allowed; }
  // False: the block is being written again; `begin` runs when that is done, never inside the call.
  [[nodiscard]] bool visit_begin(Visit& visit);
  void visit_end(Visit& visit);
  // Whether the visitor may write one of the sides again, with `repairing` set while it does.
  bool may_repair(const Visit& visit) const;
  // What is written again is the whole block, because a sector behind its end may be what cannot be read.
  // There may be anything there: zeros, then.
  std::span<const std::byte> whole_block(std::byte* block) const;

  struct Counters {
    u64 reads_storage = 0;   // Blocks read from storage; a block tried again counts once.
    u64 reads_cache = 0;     // Answered by the cache.
    u64 reads_mirror = 0;    // Blocks read from the mirror, because the first side does not have them.
    u64 writes = 0;          // Blocks written; on both sides counts once.
    u64 retries = 0;         // Of reads of the first side, and of writes.
    u64 repairs = 0;         // Blocks that a read wrote again.
    u64 repairs_left = 0;    // That it did not, because a visitor was there, or
    u64 repairs_failed = 0;  // because the write failed.
  };
  const Counters& counters() const { return counters_; }

 private:
  Grid(Storage& storage, Arena& arena, const Options& options, const Memory& memory);

  using ReadQueue = Queue<Read, &Read::link>;

  void read_begin(Read& read);
  void read_issue(ReadSlot& slot, Read& read);
  void read_attempt(ReadSlot& slot);
  void read_done(ReadSlot& slot);
  void read_end(ReadSlot& slot, BlockResult result);
  bool turn_to_mirror(ReadSlot& slot);
  bool repair(ReadSlot& slot);
  void repair_attempt(ReadSlot& slot);
  void repair_done(ReadSlot& slot);
  const std::byte* find_repair(const BlockReference& block) const;
  void resolve(Read& root, const std::byte* data, BlockResult result);
  void resolve_one(Read& read, const std::byte* data, BlockResult result);
  // The read in flight, issued or waiting, that another one of the same block may join.
  Read* find_root(const BlockReference& block) const;
  // Null: the read waits. A completion gives its slot to the next in line, so some slot is busy then.
  ReadSlot* read_slot_for(const Read& read) const;
  WriteSlot* write_slot_for(const Write& write) const;

  void write_issue(WriteSlot& slot, Write& write);
  void write_attempt(WriteSlot& slot, GridSide side);
  void write_done(WriteSlot& slot, GridSide side);
  Write* find_write(u64 address) const;

  void cache_insert(const std::byte* block);
  void block_copy(std::byte* target, const std::byte* source) const;

  // Constant after construction.
  Storage& storage_;
  Storage* mirror_;
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
  u32 reads_issued_ = 0;  // Of those, the ones that have a slot.
  u32 writes_in_flight_ = 0;
  Queue<Visit, &Visit::link> visits_;
  bool repairs_allowed_ = false;
  u64 resolving_ = 0;  // Address of the block that a callback is looking at, or 0.

  BlockCache cache_;
  FreeSet free_set_;
  Counters counters_;
};

}  // namespace tonearm
