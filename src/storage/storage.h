// The engine's one seam to the world: a disk of two zones, with reads, writes, syncs and a queue
// for work that must not run inside the call that asked for it.
//
// Every request is a node that its caller owns. The node and its buffer must stay where they are,
// unmodified, until `done` runs; `done` runs exactly once, later, never inside the call that
// submitted the request. (After a crash it never runs: the queues are dropped with the engine.)
//
// Buffers, lengths and offsets are multiples of the sector size. No write may overlap another
// write in flight. A read that overlaps a write in flight has no defined result: do not do it.
#pragma once

#include <span>

#include "base/callback.h"
#include "base/queue.h"
#include "base/types.h"

namespace tonearm {

enum class Zone : u8 {
  superblock,  // Four copies, each superblock_copy_size bytes.
  grid,        // Blocks; block address a (>= 1) lies at offset (a - 1) * block_size.
};

enum class Durability : u8 {
  on_completion,  // As with FUA or O_DSYNC: durable when `done` runs.
  on_sync,        // Durable once a later sync completes that was submitted after `done` ran.
};

// What a request is for: schedulers may use it, simulators key their decisions by it.
enum class IoPurpose : u8 {
  superblock_format,
  superblock_read,
  superblock_write,
  superblock_verify,
  superblock_repair,
  trailer_read,
  trailer_write,
  manifest_read,
  manifest_write,
  manifest_compact,
  lookup,
  scan,
  compact_read,
  compact_write,
  checkpoint_sync,
  next_tick,
  audit,  // Readers outside the engine proper.
  scrub,
  mirror_read,  // The other side of the grid zone: see grid/grid.h.
  mirror_write,
  mirror_scrub,
  mirror_sync,
  mirror_repair,
  repair,  // Of the first side, from the other one.
};
const char* io_purpose_name(IoPurpose purpose);
inline constexpr u32 io_purpose_count = 24;

struct IoTag {
  IoPurpose purpose;
  u8 level = 0;  // Of the tree; 0 where there is none.
  u16 tree = 0;  // 0 where there is none.
};

enum class [[nodiscard]] IoResult : u8{
    ok,
    failed,  // Read: the buffer's contents are unspecified. Write: the range's are, until rewritten.
};

class Storage {
 public:
  struct Read {
    std::span<std::byte> buffer;
    u64 offset = 0;  // Bytes from the start of the zone.
    Zone zone = Zone::grid;
    IoTag tag{};
    Callback<Read&> done;
    IoResult result = IoResult::ok;  // Set before `done` runs.
    u64 token[2] = {};               // For the storage's own use while the request is in flight.
  };

  struct Write {
    std::span<const std::byte> buffer;
    u64 offset = 0;
    Zone zone = Zone::grid;
    Durability durability = Durability::on_sync;
    IoTag tag{};
    Callback<Write&> done;
    IoResult result = IoResult::ok;
    u64 token[2] = {};
  };

  // Makes durable every on_sync write that completed before the sync was submitted. When it fails,
  // those writes may be lost, and a later sync that succeeds says nothing about them.
  struct Sync {
    IoTag tag{};
    Callback<Sync&> done;
    IoResult result = IoResult::ok;
    u64 token[2] = {};
  };

  // Runs `done` soon: first-in first-out, at the same (virtual) time, after the call or completion
  // that queued it has returned.
  struct NextTick {
    Callback<NextTick&> done;
    QueueLink<NextTick> link;
    u64 token[2] = {};
  };

  virtual ~Storage() = default;
  virtual void read(Read& read) = 0;
  virtual void write(Write& write) = 0;
  virtual void sync(Sync& sync) = 0;
  virtual void next_tick(NextTick& next_tick) = 0;
};

}  // namespace tonearm
