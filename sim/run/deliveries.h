// What the disk has delivered of each block that is not as it should be, and with it the reasons that a
// reader can have for an error.
//
// Of each delivery only what a reader can say about it is kept: that the read failed, what is wrong with the
// bytes in the order in which they must be looked at, or which intact block they are. That is another reading
// of the format than the engine's. Which delivery a reader goes by, of several that went wrong, is not
// judged. Of writes that failed the last one of each place is kept, by which an error of it is judged.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace tonearm::sim {

class Deliveries {
 public:
  explicit Deliveries(u32 sector_size) : sector_size_(sector_size) {}

  void clear() {
    blocks_.clear();
    writes_.clear();
  }
  void read(u64 address, const Storage::Read& read);
  // Address 0: a superblock copy.
  void write_failed(u64 address, const Storage::Write& write);

  // Empty: something was delivered for the block, or is the truth about it, that gives this reason to who
  // expects that checksum.
  std::string why_not(u64 address, u128 checksum, std::string_view reason,
                      std::span<const std::byte> truth) const;
  // Empty: the error names what the last write of its place that failed was to write.
  std::string why_not_written(const Error& error) const;

 private:
  // Null: an intact block, with that checksum. `padded`: zeros follow it up to the end of its last sector.
  struct Reading {
    const char* fault = nullptr;
    u128 checksum = 0;
    bool padded = true;

    friend bool operator==(const Reading&, const Reading&) = default;
  };
  // Kept of a block: every fault, of which there are few, and of intact blocks those that came last.
  static constexpr u32 readings_max = 16;

  Reading reading_of(std::span<const std::byte> block) const;
  void add(u64 address, const Reading& reading);
  static const char* reason_of(const Reading& reading, u128 expected);

  u32 sector_size_;
  std::map<u64, std::vector<Reading>> blocks_;
  struct Unwritten {
    u128 checksum = 0;
    std::string what;
  };
  std::map<u64, Unwritten> writes_;
};

}  // namespace tonearm::sim
