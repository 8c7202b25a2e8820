// What the tests of the superblock share: a process with a superblock over a disk that outlives it.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/mark.h"
#include "sim/disk/sim_storage.h"
#include "storage/superblock.h"

namespace tonearm {

using sim::SimStorage;

// Passes requests on to a simulated disk, counts them, and fails those it is told to.
class Tap final : public Storage {
 public:
  explicit Tap(SimStorage& disk) : disk_(disk) {}

  void read(Read& read) override {
    purposes.push_back(read.tag.purpose);
    if (reads_failing_after > 0) {
      --reads_failing_after;
      return disk_.read(read);
    }
    if (fails(reads_failing, read.offset)) return answer(read, read_answer_, IoResult::failed);
    disk_.read(read);
  }
  void write(Write& write) override {
    purposes.push_back(write.tag.purpose);
    CHECK(write.zone == Zone::superblock);
    CHECK(write.durability == Durability::on_completion);
    if (fails(writes_failing, write.offset)) return answer(write, write_answer_, IoResult::failed);
    if (fails(writes_lost, write.offset)) return answer(write, write_answer_, IoResult::ok);
    ++writes;
    disk_.write(write);
  }
  void sync(Sync& sync) override { disk_.sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_.next_tick(next_tick); }

  std::vector<IoPurpose> purposes;
  u32 writes = 0;
  u32 reads_failing_after = 0;                         // So many reads are left alone before.
  std::array<u32, superblock_copies> reads_failing{};  // Failures to come, by slot.
  std::array<u32, superblock_copies> writes_failing{};
  std::array<u32, superblock_copies> writes_lost{};  // Acknowledged, never on the medium.

 private:
  static bool fails(std::array<u32, superblock_copies>& failing, u64 offset) {
    u32& left = failing[offset / superblock_copy_size];
    if (left == 0) return false;
    --left;
    return true;
  }
  template <class Request>
  struct Answer {
    Request* request = nullptr;
    IoResult result = IoResult::ok;
    NextTick tick;
    void run(NextTick&) { request->result = result, request->done(*request); }
  };
  template <class Request>
  void answer(Request& request, Answer<Request>& node, IoResult result) {
    node.request = &request;
    node.result = result;
    node.tick.done = Callback<NextTick&>::to<&Answer<Request>::run>(&node);
    disk_.next_tick(node.tick);
  }

  SimStorage& disk_;
  Answer<Read> read_answer_;
  Answer<Write> write_answer_;
};

inline sim::DiskOptions disk_options(u64 seed) {
  sim::DiskOptions options;
  options.blocks_count = 64;
  options.sector_size = 512;
  options.profile = sim::DurabilityProfile::cached;
  options.seed = seed;
  return options;
}

// One process: a superblock over a disk that outlives it.
struct Process {
  Tap tap;
  SimStorage& disk;
  std::vector<std::byte> bytes;
  std::optional<Arena> arena;
  std::optional<Superblock> superblock;
  bool done = false;

  explicit Process(SimStorage& disk_given) : tap(disk_given), disk(disk_given) {
    Arena measure;
    Superblock::measure(measure);
    bytes.assign(measure.used() + Arena::align_max, std::byte{0xa5});
    const u64 misaligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % Arena::align_max;
    arena.emplace(std::span(bytes).subspan(Arena::align_max - misaligned));
    superblock.emplace(tap, *arena);
    REQUIRE(arena->used() == measure.used());
  }

  void on_done() {
    REQUIRE_FALSE(done);
    done = true;
  }
  Callback<> callback() { return Callback<>::to<&Process::on_done>(this); }

  ErrorKind run() {
    REQUIRE_FALSE(done);
    for (u32 steps = 0; !done; ++steps) {
      REQUIRE(steps < 1000);
      REQUIRE(disk.step());
    }
    done = false;
    return superblock->error().kind;
  }

  ErrorKind format(const FormatOptions& options = {}) {
    return superblock->format(7, options, callback()), run();
  }
  ErrorKind open(const FormatOptions& options = {}) { return superblock->open(options, callback()), run(); }
  void checkpoint_begin(u64 op);
  ErrorKind checkpoint(u64 op) { return checkpoint_begin(op), run(); }
  u64 op() const { return superblock->working().state.op; }
  std::vector<std::byte> zone();
  void overwrite(u64 offset, std::span<const std::byte> sector);
};

inline CheckpointState state_at(u64 op) {
  CheckpointState state = checkpoint_state_empty(7);
  state.op = op;
  state.op_id = 1000 + op;
  state.acquired_size = 8;
  state.acquired_last_address = 2;
  state.acquired_last = 42;
  state.acquired_payload = 43;
  state.storage_size += 2 * 4096;
  state.manifest_block_count = 1;
  state.manifest_oldest_address = state.manifest_newest_address = 1;
  state.manifest_oldest = state.manifest_newest = 44 + op;
  return state;
}

inline void Process::checkpoint_begin(u64 op) { superblock->checkpoint(state_at(op), callback()); }

struct Flag {
  bool set = false;
  void read(Storage::Read& read) { set = read.result == IoResult::ok; }
  void write(Storage::Write& write) { set = write.result == IoResult::ok; }
};

inline std::vector<std::byte> Process::zone() {
  std::vector<std::byte> contents(superblock_zone_size);
  for (u64 slot = 0; slot < superblock_copies; ++slot) {
    Flag flag;
    Storage::Read read{
        .buffer = std::span(contents).subspan(slot * superblock_copy_size, superblock_copy_size),
        .offset = slot * superblock_copy_size,
        .zone = Zone::superblock,
        .tag = {.purpose = IoPurpose::audit},
        .done = Callback<Storage::Read&>::to<&Flag::read>(&flag)};
    disk.read(read);
    while (!flag.set) REQUIRE(disk.step());
  }
  return contents;
}

inline void Process::overwrite(u64 offset, std::span<const std::byte> sector) {
  Flag flag;
  Storage::Write write{.buffer = sector,
                       .offset = offset,
                       .zone = Zone::superblock,
                       .durability = Durability::on_completion,
                       .tag = {.purpose = IoPurpose::audit},
                       .done = Callback<Storage::Write&>::to<&Flag::write>(&flag)};
  disk.write(write);
  while (!flag.set) REQUIRE(disk.step());
}

struct Marks {
  std::multiset<Mark> seen;
  MarkHook old;
  Marks() : old(set_mark_hook({.context = this, .hit = &Marks::hit})) {}
  ~Marks() { (void)set_mark_hook(old); }
  Marks(const Marks&) = delete;
  static void hit(void* context, Mark mark, u16, const Key*) {
    static_cast<Marks*>(context)->seen.insert(mark);
  }
};

// A disk that holds checkpoint 10, sequence 2.
struct Disk {
  sim::PageStore pages;
  SimStorage storage;
  explicit Disk(u64 seed = 1) : storage(pages, disk_options(seed), nullptr) {
    Process process(storage);
    REQUIRE(process.format() == ErrorKind::none);
    REQUIRE(process.checkpoint(10) == ErrorKind::none);
  }
};

// Opens twice after a crash; the second must find nothing to repair. Returns the op.
inline u64 reopen(SimStorage& disk) {
  Process first(disk);
  REQUIRE(first.open() == ErrorKind::none);
  Process second(disk);
  REQUIRE(second.open() == ErrorKind::none);
  REQUIRE(second.tap.writes == 0);
  REQUIRE(second.superblock->checkpoint_id() == first.superblock->checkpoint_id());
  return first.op();
}

}  // namespace tonearm
