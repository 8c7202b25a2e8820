// Between a grid and its disk: reads that fail, and blocks that are read otherwise than they were written.
//
// A fault belongs to an address and lasts for a number of reads, or for ever. The tap keeps what it did to
// each request under the tag that the caller gave it, so that what the grid says can be judged. Writes that
// fail have written all the same: their contents count as undefined.
#pragma once

#include <functional>
#include <map>
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

class GridTap final : public Storage {
 public:
  explicit GridTap(SimStorage& disk) : disk_(disk), block_size_(disk.options().block_size) {}

  // Of the next `times` reads of the address; 0: of all.
  void fault(u64 address, ReadFault kind, u64 times, u64 detail);
  void heal() { faults_.clear(); }
  void heal(u64 address) { faults_.erase(address); }
  void fail_writes(u64 times) { writes_failing_ = times; }

  // What the reads with this tag were given, oldest first. `other`: intact, and of another address.
  struct Delivered {
    BlockResult result = BlockResult::valid;  // But for the checksum that is expected.
    bool other = false;
    BlockResult seen(bool stale) const;  // By who expects it, or what the address held before.
  };
  std::vector<Delivered>& delivered(u16 tag) { return delivered_[tag]; }
  u64 writes_failed(u16 tag) { return writes_failed_[tag]; }
  void forget(u16 tag) {
    delivered_.erase(tag);
    writes_failed_.erase(tag);
  }

  u32 reads_in_flight() const { return reads_in_flight_; }
  u32 writes_in_flight() const { return writes_in_flight_; }
  u64 reads_seen() const { return reads_seen_; }

  // Looks at each write before the disk does.
  std::function<void(const Write&)> on_write;
  // A block that was written, to be read in place of another; null: there is none.
  std::function<const std::byte*(u64 address)> another;

  void read(Read& read) override;
  void write(Write& write) override;
  void sync(Sync& sync) override { disk_.sync(sync); }
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

  SimStorage& disk_;
  u64 block_size_;
  std::map<u64, Fault> faults_;
  u64 writes_failing_ = 0;
  std::map<u16, std::vector<Delivered>> delivered_;
  std::map<u16, u64> writes_failed_;
  std::vector<std::unique_ptr<ReadNode>> reads_;
  std::vector<std::unique_ptr<WriteNode>> writes_;
  u32 reads_in_flight_ = 0;
  u32 writes_in_flight_ = 0;
  u64 reads_seen_ = 0;
};

}  // namespace tonearm::sim
