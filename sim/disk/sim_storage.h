// The simulated disk: latency, reordering, volatile caches, failed syncs and crashes, all from
// keyed randomness, over a copy-on-write image and a virtual clock.
//
// One event-loop step is either one completion or one drain of the next-tick queue. Next-tick
// callbacks run first-in first-out at the same virtual time, after the completion that queued them
// returned; with nothing ready the clock jumps to the next ready time.
//
// Under the other policies the clock goes on with the ready time of what they choose. Completion
// order under `latency` is (ready tick, tie value, submission number); ties, priorities and latencies
// are all keyed by the request and come from the latency seed.
//
// Durability. A completed write is visible to reads at once. Under the `durable` profile it is
// durable too, and sync is trivial. Under `cached`, an on_sync write is durable when a later sync
// completes that was submitted after the write completed; until then a crash may lose or tear it.
//
// Crash. For each write that is not durable, every tear unit (512 or 4096 bytes) reaches the medium
// or not; the unit in flight may also be garbage, and then unreadable where unreadable faults are. An
// outcome is drawn per write: lost, landed, torn (any subset of units), or torn with one such unit.
//
// Mirror. With `mirror` there is a second side of the grid, a device of its own with its own cache and syncs,
// behind the first side in the image. It is used through mirror(), and shares clock, queue and fault plan
// with the first: requests of the two sides have different purposes, so that none is taken for another.
//
// Physical plausibility. What the model says cannot happen is asserted never to happen: two writes
// in flight over one sector, a read over a write in flight, a read of a grid block of which no
// sector was ever written, a write to a block that the durable checkpoint protects, unless it repairs.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bounded_array.h"
#include "base/types.h"
#include "sim/disk/disk_options.h"
#include "sim/disk/fault.h"
#include "sim/disk/fault_plan.h"
#include "sim/disk/faulty_medium.h"
#include "sim/disk/image.h"
#include "sim/disk/keyed.h"
#include "sim/disk/medium.h"
#include "sim/disk/request_counter.h"
#include "sim/disk/trace.h"
#include "storage/storage.h"
#include "storage/superblock.h"

namespace tonearm::sim {

// What an explicit crash does to one of the writes that are not durable.
struct CrashWrite {
  static constexpr u32 units_max = 32;

  u32 units = 0;  // Of a torn write, if `exact`: bit i for unit i that lands; none behind the 32nd.
  u16 write = 0;  // Which one, by order of submission.
  CrashOutcome outcome = CrashOutcome::lost;
  bool exact : 1 = false;
  u8 garbage : 7 = 0;  // Of torn_garbage and torn_unreadable: that unit.

  friend bool operator==(const CrashWrite&, const CrashWrite&) = default;
};
static_assert(sizeof(CrashWrite) == 8);  // Lines have a dozen of them, and are made by the million.

class SimStorage final : public Storage {
 public:
  // The trace may be null (a shadow engine's disk is not part of the run's identity).
  SimStorage(PageStore& pages, const DiskOptions& options, Trace* trace);
  // A disk with these contents: a shadow over a snapshot. The image may be smaller than the options
  // say (a raised storage limit), not larger.
  SimStorage(const Image& image, const DiskOptions& options, Trace* trace);
  SimStorage(const SimStorage&) = delete;
  SimStorage& operator=(const SimStorage&) = delete;

  void read(Read& read) override;
  void write(Write& write) override;
  void sync(Sync& sync) override;
  void next_tick(NextTick& next_tick) override;
  Storage& mirror() {
    ASSERT(options_.mirror);
    return mirror_;
  }

  // Requests submitted from now on belong to this; a request submitted inside a completion or
  // next-tick callback inherits from what completed. step() restores it.
  void set_attribution(const Attribution& attribution);
  const Attribution& attribution() const { return attribution_; }

  // One event-loop step. False if nothing is pending.
  bool step();
  u64 steps() const { return steps_; }  // Taken so far.
  u64 now() const { return now_; }      // Ticks.
  // Submitted so far, to the first side; and those of them that were the scrubber's, and of lookups.
  u64 grid_reads() const { return grid_reads_; }
  u64 scrub_reads() const { return scrub_reads_; }
  u64 lookup_reads() const { return lookup_reads_; }
  // To either side; without repairs and what the harness itself writes.
  u64 grid_writes() const { return grid_writes_; }
  bool pending() const { return !pending_.empty() || !ticks_.empty(); }

  // Drops all queues (no callback will ever run) and decides every write that is not durable. The
  // engine must not be used afterwards; its buffers must still be alive during the call.
  // `writes`: what is explicit; the rest is drawn, keyed by `attribution`.
  // Only where `unreadable` may one leave sectors unreadable by chance: who cannot say so afterwards may not.
  void crash(const Attribution& attribution, std::span<const CrashWrite> writes = {},
             bool unreadable = false);

  // Explicit faults: this happens to the request with this identity. The first of its kind has n = 0.
  void strike(const FiredFault& fault);
  // Lines will ask for faults: what they need is kept from now on, a former content for instance.
  void expect_faults();
  // The image has lost writes before it was this disk's: what was never written may be read, until the next
  // crash.
  void expect_lost_writes() { writes_were_lost_ = true; }
  // The simulator asserts that nobody but the scrubber reads a block of the grid that is being read: where
  // all references to a block are alike, one read is for all.
  void expect_shared_reads() { reads_are_shared_ = true; }
  // The request with this identity takes so many ticks.
  void set_latency(const Attribution& attribution, IoTag tag, u32 n, u64 ticks) {
    explicit_latencies_.push_back({.attribution = attribution, .tag = tag, .n = n, .ticks = ticks});
  }
  u64 explicit_faults_waiting() const {
    return plan_.waiting() + explicit_latencies_.size();
  }  // Asked for and not fired.

  // Latencies, policy, queue depth and fault ratios may change at any time (from the next request
  // on); the disk may grow; everything else must be as it was.
  void reconfigure(const DiskOptions& options);
  const DiskOptions& options() const { return options_; }

  // The medium as reads see it now. A snapshot of what is durable: see durable_image().
  const Image& image() const { return medium_.image(); }
  // What a crash with every undecided write lost would leave. Copy it to keep it: it changes with the disk.
  const Image& durable_image() const { return medium_.durable_image(); }
  // Where the grid zone begins in the image: the superblock zone in whole blocks.
  u64 grid_offset() const { return grid_offset_; }
  u64 offset_of(u64 address, bool mirror = false) const {
    return (mirror ? mirror_offset_ : grid_offset_) + (address - 1) * options_.block_size;
  }

  // Bytes in the image from a block to the same one on the mirror.
  u64 side_distance() const {
    ASSERT(options_.mirror);
    return mirror_offset_ - grid_offset_;
  }

  // Of an offset in the grid, on whichever side.
  u64 address_at(u64 offset) const {
    return (offset - (offset >= mirror_offset_ ? mirror_offset_ : grid_offset_)) / options_.block_size + 1;
  }

  // The simulator asserts that no write touches these blocks (of the durable checkpoint). Bit
  // address - 1. Replaces the previous set; empty: no check. A crash leaves the set as it is.
  void protect(std::span<const u64> words);

  // --- what the faults did. The truth is what would be there if every acknowledged write had landed where
  // and when it was acknowledged to; a crash and a write that failed change it as they change the medium.
  const Image& truth() const { return faulty_ ? faulty_->truth().image() : medium_.image(); }
  const Image& truth_durable() const {
    return faulty_ ? faulty_->truth().durable_image() : medium_.durable_image();
  }
  // Of the block, the bytes [0, size) are not those of the truth, or a sector cannot be read.
  bool damaged(u64 address, u64 size, bool mirror = false) const;
  bool damaged_superblock(u32 copy) const;
  bool damage() const;  // Anything is.
  // The medium is as the truth again, and readable.
  void heal();
  // How often in a row, up to now, reads (writes) of the block brought (left) something other than what
  // the medium holds (was to be written).
  u32 bad_reads(u64 address, bool mirror = false) const;
  u32 bad_writes(u64 address, bool mirror = false) const;
  // The superblock copies as they were last delivered by reads that completed since begin_deliveries(); none:
  // never read since, or the last read failed.
  void begin_deliveries();
  std::optional<std::span<const std::byte>> delivered_copy(u32 copy) const;
  // Whether all copies were read more than once, and the last time as the time before. A copy that
  // cannot be read is as good as one of zeros.
  bool delivered_alike() const;
  // Blocks of trailers and manifest log that faults delivered since begin_deliveries(), in order.
  std::span<const Brought> brought() const;
  // Told of every fault that strikes a request, but not of what a crash decides.
  void set_fault_listener(void* context, void (*listener)(void*, const FiredFault&));

  const FaultCounts& faults_fired() const { return plan_.counts_fired; }
  const FaultCounts& faults_armed() const { return plan_.counts_armed; }        // Could have fired.
  const FaultCounts& faults_expected() const { return plan_.counts_expected; }  // See expected_unit.
  u64 fault_count(FaultKind kind) const { return plan_.counts_fired.of(kind); }
  // What became of the first writes that the last crash decided; in words that a crash line has.
  using CrashWrites = BoundedArray<CrashWrite, crash_writes_max>;
  const CrashWrites& last_crash() const { return last_crash_; }
  // Writes whose outcome a crash now would decide: in flight, or completed and not durable.
  u64 writes_undurable() const;
  // Those, by order of submission, numbered as a crash line does. Valid until the next call.
  std::span<const MediumWrite> undurable();
  // What lies there turns out to be this: see DiskObserver. Or that the sector cannot be read.
  void settle(u64 offset, std::span<const std::byte> bytes);
  void settle_unreadable(u64 sector_offset);
  void settle_readable(u64 sector_offset);
  // Numbers of the sectors that cannot be read until they are written, ascending.
  std::span<const u64> unreadable_sectors() const {
    return faulty_ ? faulty_->unreadable_sectors() : std::span<const u64>();
  }
  void set_observer(DiskObserver* observer) {
    observer_ = observer;
    medium_.set_observer(observer);
  }
  // Pending requests in words, for a stuck run.
  std::string describe_pending() const;
  // Told of every read and write of a block that completes.
  using BlockListener = void (*)(void*, RequestKind, IoTag, u64 address, IoResult);
  void set_block_listener(void* context, BlockListener listener) {
    block_context_ = context;
    block_listener_ = listener;
  }
  // Told of every read and write of a block that is submitted.
  using SubmitListener = void (*)(void*, IoTag, u64 address);
  void set_submit_listener(void* context, SubmitListener listener) {
    submit_context_ = context;
    submit_listener_ = listener;
  }
  // Shown what every read of a block brings, before its `done`.
  using DeliveryListener = void (*)(void*, u64 address, const Read&);
  void set_delivery_listener(void* context, DeliveryListener listener) {
    delivery_context_ = context;
    delivery_listener_ = listener;
  }
  // Shown every write that fails, before its `done`; address 0: of the superblock zone.
  using FailureListener = void (*)(void*, u64 address, const Write&);
  void set_failure_listener(void* context, FailureListener listener) {
    failure_context_ = context;
    failure_listener_ = listener;
  }
  // Asked of every write that repairs a block, when it is submitted, whether it writes what is true: it must.
  using RepairListener = bool (*)(void*, u64 address, const Write&);
  void set_repair_listener(void* context, RepairListener listener) {
    repair_context_ = context;
    repair_listener_ = listener;
  }
  // Told when a write of the superblock zone is submitted and when it completes (before its `done`).
  void set_superblock_listener(void* context, void (*listener)(void*, bool completed));

 private:
  // Constant while the request is in flight. The node's token is (slot, submission).
  struct Request {
    void* node = nullptr;  // Read, Write or Sync; its caller's.
    Attribution attribution;
    u64 submission = 0;
    u64 covered = 0;        // Of a sync: the position in the medium's log when it was submitted,
    u64 covered_truth = 0;  // and in that of the truth.
    CacheRange range;       // Of a sync: the side.
    const std::byte* buffer = nullptr;
    IoTag tag{};
    u32 n = 0;
    RequestKind kind{};
    bool fails = false;
    bool lies = false;
  };

  // What is looked at for every submission and every step, apart from the rest.
  struct Pending {
    u64 ready = 0;  // Tick; while it waits for the device: its latency.
    u64 rank = 0;   // By policy; lower first.
    u64 tie = 0;
    u64 begin = 0;  // In the image; a sync has an empty range.
    u64 end = 0;
    u32 slot = 0;
    RequestKind kind{};
    bool superblock = false;
    bool repairs = false;
    bool scrubs = false;
  };

  // The second side.
  class Mirror final : public Storage {
   public:
    explicit Mirror(SimStorage& disk) : disk_(&disk) {}
    void read(Read& read) override { disk_->read_from(read, true); }
    void write(Write& write) override { disk_->write_to(write, true); }
    void sync(Sync& sync) override { disk_->sync_of(sync, true); }
    void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

   private:
    SimStorage* disk_;
  };

  struct Tick {
    NextTick* node = nullptr;
    Attribution attribution;
  };

  struct Streams {
    explicit Streams(const DiskOptions& options);
    std::array<Stream, 3> latency, tie;  // By kind of request.
    Stream slow, priority, failed_sync_outcome, crash_mode, crash_outcome;
  };

  void read_from(Read& read, bool mirror);
  void write_to(Write& write, bool mirror);
  void sync_of(Sync& sync, bool mirror);
  u64 begin_of(Zone zone, u64 offset, u64 length, bool mirror) const;
  CacheRange cache_of(bool mirror) const {
    return mirror ? CacheRange{.begin = mirror_offset_, .end = u64_max}
                  : CacheRange{.begin = 0, .end = mirror_offset_};
  }
  u64 end_of(Zone zone) const;
  u32 next_n(IoTag tag, RequestKind kind);
  u64 latency_of(const LatencyProfile& profile, u64 random) const;
  u64 slow_factor(RequestKind kind, u32 n) const;
  u64 rank_of(IoTag tag, u64 tie) const;
  void check_plausible(const Pending& pending) const;
  u64 explicit_latency(u64 drawn, IoTag tag, u32 n);
  Request& submit(Pending pending, void* node, IoTag tag, const LatencyProfile& profile);
  void enter_device();
  u32 choose() const;
  void complete(u32 index);
  void complete_read(const Request& request, const Pending& pending);
  void complete_write(const Request& request, const Pending& pending);
  void complete_sync(const Request& request);
  void tell_of_block(const Pending& pending, IoTag tag, IoResult result) const {
    if (block_listener_ == nullptr || pending.superblock) return;
    block_listener_(block_context_, pending.kind, tag, address_at(pending.begin), result);
  }
  void drain_ticks();
  void record(EventKind kind, u64 a, u64 b, u64 c) {
    if (trace_ != nullptr) trace_->record(now_, kind, a, b, c);
  }

  FaultTarget target_of(const Request& request, bool superblock) const;
  void maybe_faulty();
  void draw_sync_faults(Request& request);
  void tell_of_faults(u64 offset);
  void deliver(const Read& read, u64 offset);
  u64 tail_of(const Pending& pending) const;
  std::span<const Fate> failed_fates(const Medium& medium, u64 covered, const CacheRange& range, bool count);
  void fail_covered(const Request& request);
  void collect_undecided();
  bool leaves_unreadable(const Fate& fate, u64 index) const;
  Fate crash_fate(const Attribution& attribution, u64 index, u64 count) const;
  void count_fate(const MediumWrite& write, const Fate& fate);

  // Constant, but for reconfigure().
  DiskOptions options_;
  Streams streams_;
  Trace* trace_;
  u64 grid_offset_;
  u64 mirror_offset_;  // In the image; behind everything if there is none.
  Mirror mirror_{*this};
  void* repair_context_ = nullptr;
  RepairListener repair_listener_ = nullptr;
  void* submit_context_ = nullptr;
  SubmitListener submit_listener_ = nullptr;
  void* listener_context_ = nullptr;
  void (*listener_)(void*, bool) = nullptr;
  void* block_context_ = nullptr;
  BlockListener block_listener_ = nullptr;
  void* delivery_context_ = nullptr;
  DeliveryListener delivery_listener_ = nullptr;
  void* failure_context_ = nullptr;
  FailureListener failure_listener_ = nullptr;
  DiskObserver* observer_ = nullptr;
  std::vector<u64> protected_;

  Medium medium_;
  FaultPlan plan_;
  std::optional<FaultyMedium> faulty_;  // Only once something other than a failed sync may go wrong.
  void* fault_context_ = nullptr;
  void (*fault_listener_)(void*, const FiredFault&) = nullptr;
  struct Delivered {
    std::array<std::byte, superblock_copy_size> bytes;
    bool valid = false;
  };
  struct Readings {
    std::array<Delivered, superblock_copies> last, before;
    u32 copy = superblock_copies;  // The one read last.
    bool again = false;
  };
  std::unique_ptr<Readings> delivered_;  // Since begin_deliveries().
  // Blocks that were written and lost under a running engine may be read; until the next crash.
  bool writes_were_lost_ = false;
  bool reads_are_shared_ = false;

  // In order of submission; the first `device_count_` are in the device, the others wait for it.
  std::vector<Pending> pending_;
  u32 device_count_ = 0;
  std::vector<Request> slots_;
  std::vector<u32> free_slots_;
  std::vector<Tick> ticks_;
  std::vector<Tick> draining_;  // Empty outside a drain.
  u64 now_ = 0;
  u64 steps_ = 0;
  u64 submissions_ = 0;
  u64 grid_reads_ = 0;
  u64 scrub_reads_ = 0;
  u64 grid_writes_ = 0;
  u64 lookup_reads_ = 0;
  bool stepping_ = false;

  Attribution attribution_;
  Attribution attribution_outside_;  // While stepping: what step() restores.
  RequestCounter counter_;

  struct ExplicitLatency {
    Attribution attribution;
    IoTag tag;
    u32 n;
    u64 ticks;
  };
  std::vector<ExplicitLatency> explicit_latencies_;  // Few; looked at by every submission.

  // Scratch of decisions, kept for its memory.
  struct Undecided {
    MediumWrite write;
    bool on_medium = false;
    bool on_truth = false;
  };
  std::vector<Undecided> undecided_;
  std::vector<MediumWrite> writes_;
  std::vector<Fate> fates_;
  std::vector<Fate> picked_;
  CrashWrites last_crash_;
};

}  // namespace tonearm::sim
