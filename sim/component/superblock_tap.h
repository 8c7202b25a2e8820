// Between a superblock and its disk: sees every request, and fails those it is told to.
//
// What the simulated disk does not do by itself: requests that fail, writes that are acknowledged and
// never happen, land in another copy's place or land in part, reads that return other bytes. Faults are
// per copy and last for a number of requests. One request at a time, as a superblock makes them.
#pragma once

#include <array>
#include <vector>

#include "sim/decode/superblock_copies.h"
#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

class SuperblockTap final : public Storage {
 public:
  static constexpr u32 copies = disk_format::copies;
  static constexpr u64 copy_size = disk_format::copy_size;

  // A twin: intact, of the same sequence, and of another header.
  enum class ReadFault : u8 { none, fails, garbled, other_copy, twin };
  // What a write that fails leaves behind: what was there, all of it, garbage. Of the others the caller
  // learns nothing: nothing written, another copy written, only the first sectors written.
  enum class WriteFault : u8 { none, fails_old, fails_new, fails_garbage, lost, misdirected, shorn };
  static constexpr u64 read_faults = 4;
  static constexpr u64 write_faults = 6;

  template <class Kind>
  struct Fault {
    Kind kind = Kind::none;
    u64 times = 0;  // Requests that meet it.
    u32 other = 0;  // The copy that is read or written instead; the sector, for garbled and shorn.
  };
  struct Plan {
    std::array<Fault<ReadFault>, copies> reads{};
    std::array<Fault<WriteFault>, copies> writes{};
  };

  struct WriteSeen {
    u32 slot;
    IoPurpose purpose;
    bool superblock_zone;
    bool on_completion;
    CopyBytes bytes;
  };

  explicit SuperblockTap(SimStorage& disk) : disk_(disk) {}

  // Of the next operation.
  void begin(const Plan& plan);
  const std::vector<WriteSeen>& writes_seen() const { return writes_seen_; }
  // As the caller was given them last; empty: could not be read, or was not asked for.
  CopiesAsRead delivered() const;
  // The time before.
  CopiesAsRead delivered_before() const;
  u64 readings() const { return readings_; }  // How often all copies were asked for.
  u64 reads_fired() const { return reads_fired_; }
  u64 writes_fired() const { return writes_fired_; }

  void read(Read& read) override;
  void write(Write& write) override;
  void sync(Sync& sync) override { disk_.sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_.next_tick(next_tick); }

 private:
  void read_done(Read& read);
  void write_done(Write& write);
  void answer(NextTick& tick);
  void answer_later();
  void write_through(const Write& write, std::span<const std::byte> bytes, u64 offset);

  SimStorage& disk_;
  Plan plan_;
  std::vector<WriteSeen> writes_seen_;
  std::array<CopyBytes, copies> delivered_;
  std::array<CopyBytes, copies> delivered_before_;
  u64 readings_ = 0;
  u32 slot_read_ = copies;
  u64 reads_fired_ = 0;
  u64 writes_fired_ = 0;

  // Of the request at hand.
  Read* read_given_ = nullptr;
  Write* write_given_ = nullptr;
  ReadFault read_fault_ = ReadFault::none;
  u32 fault_other_ = 0;
  IoResult result_ = IoResult::ok;
  Read read_;
  Write write_;
  NextTick tick_;
  CopyBytes bytes_;  // Written instead of what was given.
};

}  // namespace tonearm::sim
