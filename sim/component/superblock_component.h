// The component of workload `superblock`: see superblock.cpp. Its checks are in superblock_checks.cpp.
#pragma once

#include <deque>
#include <optional>

#include "sim/component/disk_component.h"
#include "sim/component/superblock_tap.h"
#include "sim/component/tested.h"
#include "sim/decode/superblock_copies.h"
#include "storage/superblock.h"

namespace tonearm::sim {

using Copies = std::array<CopyBytes, disk_format::copies>;

// What was asked, as answers name it: 32 times this, and the kind of the error, or that a crash struck.
enum class SuperblockAsked : u8 { format = 1, open = 2, checkpoint = 3 };
inline constexpr u64 superblock_answer_struck = 31;

// A header as copy `number`.
CopyBytes numbered(const CopyBytes& header, u32 number);
inline u128 checksum_in(const CopyBytes& header) { return disk_format::load<u128>(header, 0); }
inline bool equal(disk_format::Bytes a, disk_format::Bytes b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}
std::string describe(const CopiesAsRead& copies);

class SuperblockComponent final : public DiskComponent {
 public:
  explicit SuperblockComponent(Referee& referee)
      : DiskComponent(referee),
        tap_(disk_),
        content_("superblock content", stream_seed(referee.seed(), "superblock content")) {}

  void play(const Operation& line) override;
  void finish() override;

 private:
  using Arguments = std::array<u64, verb_arguments_max>;

  void damage(std::string_view verb, const Arguments& a);
  void alter(u64 slots, u64 field, u64 how, u64 value);

  // --- operations; false: it ended in an error, or was struck
  bool format(u128 cluster, bool fresh);
  bool open(const FormatOptions& given);
  void checkpoint(u64 ops, u64 shape);
  void checkpoint_refused(const PlainState& state);
  CopyBytes next_header(const PlainState& state) const;
  void write_done(SuperblockAsked asked, const CopyBytes& header, bool struck);
  ErrorKind expected_of_write(const CopyBytes& header);
  void opened(const CopiesVerdict& verdict, const CopiesAsRead& read, const FormatOptions& given);
  void open_struck(const FormatOptions& given);
  void check_error(const Error& error, Error expected);
  void check_error_of_open(const CopiesVerdict& verdict, const CopiesAsRead& read,
                           const FormatOptions& given);
  void check_legal(const CopiesVerdict& verdict);
  void check_repairs(const CopiesVerdict& verdict, CopiesAsRead view);
  bool read_alike() const;
  bool made_whole(const CopiesVerdict& verdict) const;
  void legal_whole();
  void check_writes(const CopyBytes& header, IoPurpose purpose);
  void check_write(const SuperblockTap::WriteSeen& write, const CopyBytes& header, IoPurpose purpose);
  void check_medium(const CopyBytes& header);
  void check_working();

  // --- the process and its disk
  void start();
  void drop() override;
  std::string story() const override { return describe(view_of(before_)); }
  template <class Begin>
  bool run(Begin begin);
  Copies medium() const;
  void write_medium(u32 slot, const CopyBytes& bytes);
  static CopiesAsRead view_of(const Copies& copies);

  u64 requests(u32 slot) const;  // Of the writes of one copy.
  bool lasting(u32 slot) const;  // The writes of the copy fail until it is given up.
  u32 touched() const;           // Copies that a fault of the plan may leave in any state.
  bool faults_fired() const { return tap_.reads_fired() + tap_.writes_fired() > 0; }

  void answer(SuperblockAsked asked, u64 outcome, u64 detail) {
    referee_->answer(static_cast<u64>(asked) * 32 + outcome, detail);
  }

  SuperblockTap tap_;
  Stream content_;
  OpId line_;
  Tested<Superblock> engine_;
  bool opened_ = false;
  bool struck_ = false;  // The last operation, by a crash.

  SuperblockTap::Plan plan_next_;  // Of faults.
  SuperblockTap::Plan plan_;       // Of the operation at hand.
  Copies before_;                  // The copies on the disk before it.

  CopyBytes current_;                       // Verified last, or opened.
  std::deque<CopyBytes> history_;           // Newest first: whatever was written.
  std::optional<std::vector<u128>> legal_;  // Checksums that may be found; none: it was damaged.
};

}  // namespace tonearm::sim
