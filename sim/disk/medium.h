// What reads see, what is durable, and the writes between the two.
//
// Under the `durable` profile both images are one. Under `cached` a completed on_sync write goes to
// the image that reads see and to a log; a sync moves the log's oldest part into the durable image.
// So a crash is: the durable image, then every undecided write in order, each as far as it landed.
// A newer write that landed is never undone by an older one, because it is applied after it.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "sim/disk/image.h"
#include "sim/disk/keyed.h"
#include "storage/storage.h"

namespace tonearm::sim {

enum class DurabilityProfile : u8 { durable, cached };

// What becomes of a write that is not durable yet.
// Of torn_unreadable one unit is garbage, and its sector cannot be read besides: see FaultyMedium.
enum class CrashOutcome : u8 { lost, landed, torn, torn_garbage, torn_unreadable };
inline constexpr u32 crash_outcome_count = 5;
constexpr bool has_garbage(CrashOutcome outcome) { return outcome >= CrashOutcome::torn_garbage; }
inline constexpr u32 crash_writes_max = 16;  // Of which a crash line can tell the outcome.

struct Fate {
  static constexpr u32 none = ~u32{0};

  CrashOutcome outcome = CrashOutcome::lost;
  u64 random = 0;      // Decides the units of a torn write.
  bool exact = false;  // Unless these do: bit i for unit i of the first 64, and the unit that is garbage.
  u64 units = 0;
  u32 garbage = none;
};

// Told of what becomes of the bytes of a disk: ranges of the image.
class DiskObserver {
 public:
  // A read is about to be answered. The last moment to settle() what is there.
  virtual void before_read(u64 begin, u64 end) = 0;
  virtual void write_submitted(u64 begin, u64 end) = 0;
  virtual void write_completed(u64 begin, u64 end) = 0;  // Reads see it from now on.
  // What a crash leaves there has changed: a write has become durable, or it was damaged.
  virtual void became_durable(u64 begin, u64 end) = 0;

 protected:
  ~DiskObserver() = default;
};

struct MediumWrite {
  u64 submission = 0;  // Overlapping writes are never in flight together, so this orders them.
  Attribution attribution;
  IoTag tag{};
  u32 n = 0;
  u64 offset = 0;
  std::span<const std::byte> data;
  // To the end of the block: it was another block's, and is nobody's once this write has landed.
  u64 tail = 0;
  u32 number = 0;  // Of those that a crash decides, which one: see SimStorage::undurable().
  bool completed = false;  // Whoever wrote it was told that it is done.
};

// A part of a disk that has a cache of its own: offsets of the image. By default all of it.
struct CacheRange {
  u64 begin = 0;
  u64 end = ~u64{0};

  bool has(u64 offset) const { return offset >= begin && offset < end; }
};

class Medium {
 public:
  Medium(const Image& image, DurabilityProfile profile, u32 tear_unit);

  const Image& image() const { return image_; }
  const Image& durable_image() const { return profile_ == DurabilityProfile::cached ? durable_ : image_; }
  u32 tear_unit() const { return tear_unit_; }
  void grow(u64 size);

  void set_observer(DiskObserver* observer) { observer_ = observer; }
  DiskObserver* observer() const { return observer_; }

  void complete(const MediumWrite& write, Durability durability);
  // What is in the cache of this range is written back, which a device may do at any time.
  void write_back(u64 offset, u64 length);
  // Not a write: what the medium holds there is another thing from now on, and belongs to whom it did. No
  // write to it may be undecided.
  void overwrite(u64 offset, std::span<const std::byte> bytes);

  // The undecided writes, in order of completion. Spans are valid until the next change.
  u64 logged_count() const { return log_.size(); }
  MediumWrite logged(u64 index) const;

  // A position in the stream of logged writes, and how many of those before it are undecided still.
  u64 position() const { return serials_; }
  u64 covered(u64 position) const;

  // Of what is covered, the writes in the range.
  void make_durable(u64 position, const CacheRange& range = {});
  // Decides the covered writes in the range; `fates`: one for each of them.
  void fail(u64 position, std::span<const Fate> fates, const CacheRange& range = {});
  // The same fate of a write of so many bytes with its units spelled out, if that is possible.
  Fate spelled(Fate fate, u64 size) const;
  // Of a fate with garbage: the unit that is.
  u64 garbage_unit(const Fate& fate, u64 size) const;
  // Everything undecided, in flight or logged, in order of submission, with its fate.
  void crash(std::span<const MediumWrite> writes, std::span<const Fate> fates);

 private:
  // A device's cache is finite: beyond this the older half of it is written back, which a device
  // may do at any time.
  static constexpr u64 cache_bytes_max = u64{16} << 20;

  // Of the data only the length is here. The bytes are a page that image_ had after the write, or,
  // where the write is not exactly one page, at data_offset of the log's bytes, which move.
  struct Logged {
    MediumWrite write;
    PageHold page;
    u64 data_offset = 0;
    u64 serial = 0;  // In the stream of logged writes; ascending.
  };

  static void land(Image& target, const MediumWrite& write);
  void apply(Image& target, const MediumWrite& write, Fate fate) const;
  void destage(u64 count, const CacheRange& range);  // Removes those in the range from the oldest of the log.
  void restore(u64 offset, u64 length);              // The image that reads see, from the durable one.
  void durable(const MediumWrite& write) const {
    if (observer_ != nullptr) observer_->became_durable(write.offset, write.offset + write.data.size());
  }

  Image image_;
  Image durable_;  // Unused under DurabilityProfile::durable.
  DurabilityProfile profile_;
  u32 tear_unit_;
  std::vector<Logged> log_;
  std::vector<std::byte> log_bytes_;
  u64 log_size_ = 0;  // Of the data of all logged writes.
  u64 serials_ = 0;   // Writes that were ever logged.
  DiskObserver* observer_ = nullptr;
};

}  // namespace tonearm::sim
