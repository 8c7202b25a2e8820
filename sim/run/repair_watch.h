// Who finds a block damaged on one of two sides: what it must submit next, and what it must count.
//
// The scrubber reads the first side of a block, with as many tries as an engine has, then the mirror; a read
// of the grid turns to the mirror when the first side is in vain. If one side has the block, the other one is
// written again. Each of these requests follows in the callback of the one before, so that what is known when
// a request completes, before its owner knows, decides which is due: that one must be submitted, and none
// else. What follows from that is exact, request by request and count by count.
//
// It is given up for a visit of which nobody can say what should lie there, and where two visits of one block
// meet: what their requests mean cannot be told apart. Then the counts are taken as they are from there.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "forest/scrubber.h"
#include "storage/storage.h"

namespace tonearm::sim {

class RepairWatch {
 public:
  // Of a block, when a request for it has completed and its owner does not know yet.
  struct Sight {
    bool known = true;      // What should be there,
    bool valid = true;      // and that is what was read; or what was to be written is.
    bool released = false;  // Nobody needs it any more.
    bool trailer = false;   // Then it is released when its checkpoint is not the last one any more.
    u128 checkpoint = 0;
    bool allowed = true;   // Repairs are.
    bool reading = false;  // Somebody else reads it, or is about to.
  };

  // Without a mirror the scrubber alone is watched. `failed_syncs`: how many there were before the engine.
  RepairWatch(u32 attempts_max, bool mirror, u64 failed_syncs)
      : attempts_max_(attempts_max), mirror_(mirror), failed_syncs_(failed_syncs) {}
  u64 failed_syncs() const { return failed_syncs_; }

  static bool concerns(IoTag tag) { return step_of(tag) != Step::none; }
  void submitted(IoTag tag, u64 address, u128 checkpoint);
  // After this its callback runs, and after that nothing is due any more: settle() before any other request
  // completes.
  void completed(IoTag tag, u64 address, const Sight& sight);
  void settle() {
    if (unsettled_) settle_last();
  }

  // What is wrong, or an empty text. Never from within a callback of the engine.
  std::string complaint(const Scrubber::Counters& scrubber, const Grid::Counters& grid);
  // That the scrubber has legally left damaged on one side: from these on since the last call.
  std::vector<u64> take_left() { return std::exchange(left_, {}); }
  // Visits that were given up since the last call.
  u64 take_unwatched() { return std::exchange(unwatched_, 0); }

 private:
  enum class Step : u8 { none, scrub_first, scrub_mirror, read_mirror, repair_first, repair_mirror };
  // By the scrubber, or, of repairs only, by a read of the grid.
  struct Visit {
    u64 address = 0;
    Step step = Step::none;
    u128 checkpoint = 0;
    u32 attempts = 1;
    u32 in_flight = 1;
    bool scrubs = false;
    bool first_valid = false;
    bool vague = false;
    bool released = false;  // When it completed last.
  };
  struct Due {
    u64 address = 0;
    Step step = Step::none;
    Step instead = Step::none;  // Just as well.
    bool must = true;
    bool scrubs = false;
    bool known = true;
  };
  struct Counts {
    u64 intact = 0, damaged = 0, retries = 0, repaired = 0, repaired_mirror = 0, unrepaired = 0;
    u64 repairs = 0, repairs_left = 0, repairs_failed = 0;
  };

  static Step step_of(IoTag tag);
  static const char* name_of(Step step);
  static Counts counts_of(const Scrubber::Counters& scrubber, const Grid::Counters& grid);
  Visit* visit_at(u64 address, bool scrubs);
  void grid_read(u64 address, const Sight& sight);
  void scrub_read(Visit& visit, const Sight& sight);
  void repair_written(Visit& visit, const Sight& sight);
  void again(const Visit& visit);
  void give_up(Visit& visit);
  void settle_last();
  void complain(u64 address, std::string what);

  u32 attempts_max_;
  bool mirror_;
  u64 failed_syncs_;
  std::vector<Visit> visits_;
  Due due_;
  bool unsettled_ = false;
  Counts counts_;
  bool vague_ = false;  // Some counts are not known.
  u64 unwatched_ = 0;
  std::vector<u64> left_;
  std::string complaint_;
};

}  // namespace tonearm::sim
