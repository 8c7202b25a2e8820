// A medium on which things go wrong, and the truth beside it.
//
// The truth is a second medium that holds what would be there if every acknowledged write had landed
// where and when it was acknowledged to. What a caller is told about changes both alike: a write that
// failed leaves the same mixture, a crash and a failed sync have the same outcome. What lies changes
// the medium alone: rot, unreadable sectors, lost and misdirected writes, lying syncs. The damage is
// the difference of the two.
//
// A former content of every place is kept beside them, for stale reads.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "sim/disk/fault_plan.h"
#include "sim/disk/medium.h"

namespace tonearm::sim {

class FaultyMedium {
 public:
  // The medium as it is now is the truth.
  FaultyMedium(Medium& medium, FaultPlan& plan, const DiskOptions& options, u64 grid_offset);

  const Medium& truth() const { return truth_; }

  // One request each, with whatever strikes it. `length` bytes from `offset` of the image.
  IoResult read(const FaultTarget& target, u64 offset, std::span<std::byte> buffer);
  IoResult write(const FaultTarget& target, const MediumWrite& write, Durability durability);
  bool sync_lies(const FaultTarget& target, u64 covered, const CacheRange& range);
  void make_durable(u64 covered, u64 covered_truth, bool lies, const CacheRange& range);
  // Of the truth alone; the caller decides the medium.
  void fail(u64 covered, std::span<const Fate> fates, const CacheRange& range) {
    truth_.fail(covered, fates, range);
  }
  void crash(std::span<const MediumWrite> writes, std::span<const Fate> fates);  // Of the truth.
  void crash_unreadable(std::span<const MediumWrite> writes, std::span<const Fate> fates);
  void grow(u64 size);
  void heal();
  // Of the truth, too: what lies there, and was not known before.
  void settle(u64 offset, std::span<const std::byte> bytes) { truth_.overwrite(offset, bytes); }
  void lose_sector(u64 sector) { unreadable_from_now(sector, sector + 1); }
  void find_sector(u64 sector) { readable_again(sector * sector_size_, sector_size_); }
  std::span<const u64> unreadable_sectors() const { return unreadable_; }  // Ascending.

  // The bytes of the range differ, or a sector of `readable_length` from its beginning cannot be read.
  bool damaged(u64 offset, u64 length, u64 readable_length) const;
  bool damage() const;
  // Address 0 stands for the superblock, those behind the last one for the blocks of the mirror. The longest
  // streaks since begin_streaks().
  u32 bad_reads(u64 address) const { return streak(bad_reads_, address); }
  u32 bad_writes(u64 address) const { return streak(bad_writes_, address); }
  void begin_streaks();
  // What opening was given instead of what the truth of the first side holds, since begin_streaks(): by
  // chance that may be just what it needs, an older block for an older checkpoint, that a fault brought, that
  // a lying sync has left there or that a crash has left on the other side.
  std::span<const Brought> brought() const { return brought_; }

 private:
  // How often in a row it went wrong for a block: up to now, and at most. The scrubber's requests go beside
  // those of everybody else, and what one of them is told is no news to the other.
  struct Streak {
    u64 address;
    bool scrub;
    u32 count;
    u32 most;
  };
  // An error that comes back when the place is tried again.
  struct Transient {
    u64 begin, end;
    u64 random;
    u32 left;
    bool write;
  };
  struct Place {
    u64 offset;
    u64 length;
  };

  static constexpr std::byte nobodys_byte{0xa5};  // Where what lies there is nobody's.

  static u32 streak(const std::vector<Streak>& streaks, u64 address);
  void count_streak(std::vector<Streak>& streaks, const FaultTarget& target, u64 offset, bool bad);
  u64 address_of(u64 offset) const { return (offset - grid_offset_) / block_size_ + 1; }
  // Of a side of the grid, each for itself.
  u64 side_begin(u64 offset) const;
  u64 side_end(u64 offset) const;
  u64 zone_end(Zone zone, u64 offset) const;
  Place place_of(const Fault& fault, u64 length) const;
  u64 owned_prefix(u64 offset, u64 length) const;
  void bring(u64 from, std::span<std::byte> bytes) const;
  bool other_place(Fault* fault, const FaultTarget& target, u64 offset, u64 random) const;

  bool error_strikes(FaultKind kind, const FaultTarget& target, u64 begin, u64 end, u64* random);
  void land(const MediumWrite& write, Durability durability);
  void land_nobodys(const MediumWrite& write, Durability durability);
  void remember(u64 offset, u64 length);
  void mix(const MediumWrite& write, Durability durability, u64 random);
  void write_elsewhere(const MediumWrite& write, Durability durability, Place place);

  Fault draw_shape(FaultKind kind, const FaultTarget& target, u64 offset, u64 length, u64 random) const;
  bool bend(const Fault& fault, Zone zone, std::span<std::byte> bytes);
  void maybe_unreadable(const FaultTarget& target, u64 offset, u64 length);
  void maybe_rot(const FaultTarget& target, u64 offset, u64 length);
  bool rot(const Fault& fault, Zone zone, u64 offset, u64 length);
  bool deliver_another(const FaultTarget& target, u64 offset, std::span<std::byte> buffer);

  bool is_truth(u64 offset, std::span<const std::byte> bytes) const;
  bool unreadable(u64 offset, u64 length) const;
  void readable_again(u64 offset, u64 length);
  void unreadable_from_now(u64 begin, u64 end);
  void suspect(u64 offset, u64 length);
  // What a crash would leave there has changed, and no write says so.
  void tell(u64 begin, u64 end) const {
    if (medium_->observer() != nullptr) medium_->observer()->became_durable(begin, end);
  }
  bool differs(u64 offset, u64 length) const;

  Medium* medium_;
  FaultPlan* plan_;
  u64 grid_offset_;
  u32 sector_size_;
  u32 block_size_;
  u64 mirror_offset_;  // In the image; behind everything if there is none.
  Medium truth_;
  Image former_;
  std::vector<u64> unreadable_;  // Sectors, ascending.
  std::vector<u64> suspects_;    // Bit by sector: the only ones that may differ from the truth.
  std::vector<Transient> transients_;
  std::vector<Streak> bad_reads_;
  std::vector<Streak> bad_writes_;
  std::vector<Brought> brought_;
  std::vector<std::byte> scratch_;
  std::vector<std::byte> straight_;  // What bend() was given.
};

}  // namespace tonearm::sim
