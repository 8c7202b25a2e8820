// Doubles that switch off one of the engine's defences each, from outside: the engine's own code runs as it
// is, and is told lies by what is below it.
//
// At the seam of the storage, requests that failed can be made to look well, and a durability that was asked
// for can be forgotten. The checksum is replaced when the test is linked (checksum_double.cpp): a block that
// comes back damaged, or is another one, can be forged. Then its header is that of the block expected there,
// and the checksum of its body is what that header says, whatever the body is. A copy of the superblock that
// is torn is sealed anew.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "sim/run/storage_seam.h"

namespace tonearm::sim {

// The next checksum of exactly these bytes, unless they are forgotten before, is `checksum`.
void checksum_forge(std::span<const std::byte> bytes, u128 checksum);
void checksum_forget(const std::byte* begin, const std::byte* end);
u64 checksums_forged();  // How often one was given.

struct Defences {
  bool block_checksums = true;
  bool superblock_seals = true;
  bool read_errors = true;
  bool write_errors = true;
  bool sync_errors = true;
  bool superblock_durability = true;  // Copies are durable when their writes complete.
  bool read_gives_up = true;          // A read that fails is tried again so often, and no more.
  bool read_answered = true;          // A read that fails is answered.
  bool place_forgiven = true;         // Once healed, a place where a read has failed is read like any other.
  bool writes_awaited = true;         // A write is done when it says so, not when a later one does.
  u32 idle_rounds = 0;                // What goes on behind a read does so after so many next ticks.
};

class Defenceless final : public StorageSeam, public Storage {
 public:
  explicit Defenceless(const Defences& defences) : defences_(defences) {}
  ~Defenceless() override { checksum_forget(nullptr, nullptr); }

  Storage& over(SimStorage& disk) override;
  void read(Read& read) override;
  void write(Write& write) override;
  void sync(Sync& sync) override;
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  void read_done(Read& read);
  void idle(NextTick& next_tick);
  void write_unawaited(Write& write);
  void unawaited_done(Write& write);
  void write_done(Write& write);
  void sync_done(Sync& sync);
  void forge(Read& read) const;

  Defences defences_;
  SimStorage* disk_ = nullptr;
  // Requests in flight, with what is to be called at last. Few.
  template <class Node>
  using Waiting = std::vector<std::pair<const Node*, Callback<Node&>>>;
  template <class Node>
  static void wait(Waiting<Node>& waiting, const Node& node);
  template <class Node>
  static Callback<Node&> take(Waiting<Node>& waiting, const Node& node);

  // Of a write that may be done before it is: the buffer is its caller's then.
  struct Unawaited {
    Write write;
    std::vector<std::byte> bytes;
    Write* caller = nullptr;  // Null: it has been told.
  };
  std::vector<std::unique_ptr<Unawaited>> unawaited_;  // In flight, in the order of submission.
  NextTick idle_tick_;
  u32 idle_left_ = 0;
  std::vector<Read*> idle_reads_;  // That have come, and whose caller does not know yet.
  Waiting<Read> reads_;
  Waiting<Write> writes_;
  Waiting<Sync> syncs_;
  std::set<u64> failed_;                           // Where a read has failed: offsets in the grid.
  std::map<u64, std::vector<std::byte>> written_;  // By offset in the grid: what is expected there.
};

}  // namespace tonearm::sim
