// Between a grid and its disk: reads that fail, and blocks that are read otherwise than they were written.
//
// A fault belongs to an address and lasts for a number of reads, or for ever. The tap keeps what it did to
// each request under the tag that the caller gave it, so that what the grid says can be judged. Writes that
// fail have written all the same: their contents count as undefined. A repair ends the fault of its block.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "grid/block.h"
#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

enum class ReadFault : u8 {
  none,
  fails,
  header,    // A bit of the header.
  body,      // A bit of the body, if it has one.
  padding,   // A bit between the body and the end of its last sector, if there is room.
  behind,    // A bit behind that: nobody may look at it.
  another,   // An intact block of another address.
  no_block,  // Its checksum is right, and it is no block.
  too_long,  // Its checksum is right, and its body ends behind the block.
};
inline constexpr u64 read_fault_count = 9;
const char* read_fault_name(ReadFault fault);

inline bool is_repair(IoPurpose purpose) {
  return purpose == IoPurpose::repair || purpose == IoPurpose::mirror_repair;
}

class GridTap final : public Storage {
 public:
  // `side`: of that disk.
  GridTap(SimStorage& disk, Storage& side)
      : disk_(disk), side_(side), block_size_(disk.options().block_size) {}

  // Of the next `times` reads of the address; 0: of all.
  void fault(u64 address, ReadFault kind, u64 times, u64 detail);
  void heal() { faults_.clear(); }
  void heal(u64 address) { faults_.erase(address); }
  void fail_writes(u64 times) { writes_failing_ = times; }

  // `other`: intact, and of another address.
  struct Delivered {
    BlockResult result = BlockResult::valid;  // But for the checksum that is expected.
    bool other = false;
    BlockResult seen(bool stale) const;  // By who expects it, or what the address held before.
  };
  // What became of the requests with one tag.
  struct Seen {
    std::vector<Delivered> reads;  // What they were given, oldest first.
    u64 writes = 0;
    u64 writes_failed = 0;
  };
  Seen& seen(u16 tag) { return seen_[tag]; }
  void forget(u16 tag) { seen_.erase(tag); }

  u32 reads_in_flight() const { return reads_in_flight_; }
  u32 repairs_in_flight() const;
  std::set<u64> writing() const;  // Addresses that are written for the first time.
  bool repairing(u64 address) const;
  bool busy(u64 address) const;  // It is being read or written.
  u64 reads_seen() const { return reads_seen_; }

  // Looks at each write before the disk does, and at what has been read before the grid does.
  std::function<void(const Write&)> on_write;
  std::function<void(const Read&)> on_read;
  // A block that was written, to be read in place of another; null: there is none.
  std::function<const std::byte*(u64 address)> another;

  void read(Read& read) override;
  void write(Write& write) override;
  void sync(Sync& sync) override { side_.sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_.next_tick(next_tick); }

 private:
  struct Fault {
    ReadFault kind = ReadFault::none;
    u64 times = 0;
    u64 detail = 0;
  };
  struct ReadNode {
    GridTap* tap = nullptr;
    Read io;
    Read* given = nullptr;
    void done(Read&) { tap->read_done(*this); }
  };
  struct WriteNode {
    GridTap* tap = nullptr;
    Write io;
    Write* given = nullptr;
    bool fails = false;
    void done(Write&) { tap->write_done(*this); }
  };
  template <class Node>
  Node& take(std::vector<std::unique_ptr<Node>>& nodes);
  void read_done(ReadNode& node);
  void write_done(WriteNode& node);
  Delivered spoil(const Fault& fault, u64 address, std::span<std::byte> block) const;

  u64 address_of(u64 offset) const { return offset / block_size_ + 1; }

  SimStorage& disk_;
  Storage& side_;
  u64 block_size_;
  std::map<u64, Fault> faults_;
  u64 writes_failing_ = 0;
  std::map<u16, Seen> seen_;
  std::vector<std::unique_ptr<ReadNode>> reads_;
  std::vector<std::unique_ptr<WriteNode>> writes_;
  u32 reads_in_flight_ = 0;
  u64 reads_seen_ = 0;
};

}  // namespace tonearm::sim
