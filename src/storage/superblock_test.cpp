#include "storage/superblock.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mark.h"
#include "sim/disk/sim_storage.h"

namespace tonearm {
namespace {

using sim::CrashOutcome;
using sim::Image;
using sim::SimStorage;

// Passes requests on to a simulated disk, counts them, and fails those it is told to.
class Tap final : public Storage {
 public:
  explicit Tap(SimStorage& disk) : disk_(disk) {}

  void read(Read& read) override {
    purposes.push_back(read.tag.purpose);
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

sim::DiskOptions disk_options(u64 seed) {
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

CheckpointState state_at(u64 op) {
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

void Process::checkpoint_begin(u64 op) { superblock->checkpoint(state_at(op), callback()); }

struct Flag {
  bool set = false;
  void read(Storage::Read& read) { set = read.result == IoResult::ok; }
  void write(Storage::Write& write) { set = write.result == IoResult::ok; }
};

std::vector<std::byte> Process::zone() {
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

void Process::overwrite(u64 offset, std::span<const std::byte> sector) {
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

TEST_CASE("format, checkpoint and open agree") {
  sim::PageStore pages;
  SimStorage disk(pages, disk_options(1), nullptr);
  Process first(disk);
  REQUIRE(first.open() == ErrorKind::not_found);
  REQUIRE(first.tap.writes == 0);
  first.tap.purposes.clear();
  REQUIRE(first.format() == ErrorKind::none);
  using enum IoPurpose;
  const std::vector<IoPurpose> format_io = {superblock_format, superblock_format, superblock_format,
                                            superblock_format, superblock_verify, superblock_verify,
                                            superblock_verify, superblock_verify};
  REQUIRE(first.tap.purposes == format_io);
  const SuperblockHeader root = first.superblock->working();
  REQUIRE(root.sequence == 1);
  REQUIRE(root.parent == 0);
  REQUIRE(root.cluster == 7);
  REQUIRE(root.state.op == 0);
  REQUIRE(root.state.storage_size == superblock_zone_size);

  REQUIRE(first.checkpoint(10) == ErrorKind::none);
  REQUIRE(first.checkpoint(20) == ErrorKind::none);
  const SuperblockHeader last = first.superblock->working();
  REQUIRE(last.sequence == 3);
  REQUIRE(last.state.grandparent_checkpoint_id == checkpoint_id_of(root.state));

  Process second(disk);
  REQUIRE(second.open() == ErrorKind::none);
  REQUIRE(second.tap.writes == 0);
  REQUIRE(std::memcmp(&second.superblock->working(), &last, sizeof(last)) == 0);
  REQUIRE(second.superblock->checkpoint_id() == first.superblock->checkpoint_id());
  REQUIRE(second.checkpoint(30) == ErrorKind::none);
  REQUIRE(second.superblock->working().parent == last.checksum);
}

// Opens twice after a crash; the second must find nothing to repair. Returns the op.
u64 reopen(SimStorage& disk) {
  Process first(disk);
  REQUIRE(first.open() == ErrorKind::none);
  Process second(disk);
  REQUIRE(second.open() == ErrorKind::none);
  REQUIRE(second.tap.writes == 0);
  REQUIRE(second.superblock->checkpoint_id() == first.superblock->checkpoint_id());
  return first.op();
}

// Crashes an open after each of its steps: whatever a torn repair leaves, the choice stands.
// Of the first four writes that are not durable.
std::vector<sim::CrashWrite> all_writes(CrashOutcome outcome) {
  std::vector<sim::CrashWrite> writes;
  for (u16 write = 0; write < 4; ++write) writes.push_back({.write = write, .outcome = outcome});
  return writes;
}

void crash_in_open(const Image& image, u64 op, CrashOutcome outcome, u64 seed) {
  const std::vector<sim::CrashWrite> outcomes = all_writes(outcome);
  for (u32 steps = 0;; ++steps) {
    SimStorage disk(image, disk_options(seed), nullptr);
    Process process(disk);
    process.superblock->open({}, process.callback());
    for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
    const bool complete = process.done;
    disk.crash({.op = {.number = steps}, .context = 2}, outcomes);
    REQUIRE(reopen(disk) == op);
    if (complete) break;
  }
}

TEST_CASE("a crash at any step of a checkpoint leaves the old one or the new one") {
  const Disk base;
  std::set<u64> opened;
  Marks marks;
  for (const CrashOutcome outcome :
       {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn, CrashOutcome::torn_garbage}) {
    const bool exact = outcome == CrashOutcome::lost || outcome == CrashOutcome::landed;
    const std::vector<sim::CrashWrite> outcomes = all_writes(outcome);
    for (u64 seed = 1; seed <= (exact ? 1u : 6u); ++seed) {
      bool complete = false;
      for (u32 steps = 0; !complete; ++steps) {
        SimStorage disk(base.storage.image(), disk_options(seed), nullptr);
        Process process(disk);
        REQUIRE(process.open() == ErrorKind::none);
        REQUIRE(process.op() == 10);
        process.checkpoint_begin(20);
        for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
        complete = process.done;
        const u32 submitted = process.tap.writes;
        const bool writing = process.tap.purposes.back() == IoPurpose::superblock_write;
        disk.crash({.op = {.number = steps}, .context = 1}, outcomes);
        const Image crashed = disk.image();
        const u64 op = reopen(disk);
        opened.insert(op);
        INFO("seed " << seed << " steps " << steps << " submitted " << submitted);
        const bool legal = op == 10 || op == 20;
        REQUIRE(legal);
        const u32 whole = submitted - (writing && outcome != CrashOutcome::landed ? 1 : 0);
        if (exact) REQUIRE((op == 20) == (whole >= superblock_quorum_open));
        if (whole >= superblock_quorum_open) REQUIRE(op == 20);
        crash_in_open(crashed, op, outcome, seed);
      }
    }
  }
  REQUIRE(opened == std::set<u64>{10, 20});
  for (const Mark mark :
       {Mark::superblock_copy_repaired, Mark::superblock_mixed_at_open, Mark::superblock_torn_at_open}) {
    INFO(mark_name(mark));
    REQUIRE(marks.seen.count(mark) > 0);
  }
}

TEST_CASE("a crash at any step of format leaves op 0 or a disk that can be formatted") {
  std::set<ErrorKind> outcomes_seen;
  for (const CrashOutcome outcome : {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn}) {
    bool complete = false;
    for (u32 steps = 0; !complete; ++steps) {
      sim::PageStore pages;
      SimStorage disk(pages, disk_options(steps + 1), nullptr);
      Process process(disk);
      process.superblock->format(7, {}, process.callback());
      for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
      complete = process.done;
      disk.crash({.op = {.number = steps}, .context = 1}, all_writes(outcome));
      Process next(disk);
      const ErrorKind kind = next.open();
      outcomes_seen.insert(kind);
      if (kind == ErrorKind::none) {
        REQUIRE(next.op() == 0);
      } else {
        const bool legal = kind == ErrorKind::not_found || kind == ErrorKind::quorum_lost;
        REQUIRE(legal);
        REQUIRE(next.tap.writes == 0);
        REQUIRE_FALSE(complete);
        REQUIRE(next.format() == ErrorKind::none);
      }
      REQUIRE(reopen(disk) == 0);
    }
  }
  REQUIRE(outcomes_seen.size() == 3);
}

TEST_CASE("any flipped bit in one copy is survived and repaired") {
  Disk disk;
  Process process(disk.storage);
  const std::vector<std::byte> whole = process.zone();
  for (u64 at = 0; at < superblock_zone_size; ++at) {
    const u64 byte = at % superblock_copy_size;
    const u64 sector = at / 512 * 512;
    std::vector<std::byte> damaged(whole.begin() + static_cast<i64>(sector),
                                   whole.begin() + static_cast<i64>(sector) + 512);
    damaged[at - sector] ^= std::byte{static_cast<u8>(1u << (byte % 8))};
    process.overwrite(sector, damaged);
    Process next(disk.storage);
    INFO("byte " << byte);
    REQUIRE(next.open() == ErrorKind::none);
    REQUIRE(next.op() == 10);
    REQUIRE(next.tap.writes == 1);
    REQUIRE(next.tap.purposes.back() == IoPurpose::superblock_repair);
    REQUIRE(next.superblock->working().copy == 0);
    const bool restored = process.zone() == whole;
    REQUIRE(restored);
  }
}

TEST_CASE("each format option that differs is named") {
  Disk disk;
  Process process(disk.storage);
  const auto mismatch = [&](auto FormatOptions::*field, const char* name) {
    FormatOptions given;
    const u64 stored = given.*field;
    given.*field += 2;
    INFO(name);
    REQUIRE(process.open(given) == ErrorKind::options_mismatch);
    const Error& error = process.superblock->error();
    REQUIRE(std::string(error.field) == name);
    REQUIRE(error.stored == stored);
    REQUIRE(error.given == stored + 2);
  };
  mismatch(&FormatOptions::sector_size, "sector_size");
  mismatch(&FormatOptions::block_size, "block_size");
  mismatch(&FormatOptions::levels, "levels");
  mismatch(&FormatOptions::growth, "growth");
  mismatch(&FormatOptions::beats, "beats");
  mismatch(&FormatOptions::checkpoint_interval, "checkpoint_interval");
  mismatch(&FormatOptions::batch_values_max, "batch_values_max");
  mismatch(&FormatOptions::coalescing_percent, "coalescing_percent");
  mismatch(&FormatOptions::manifest_extra_blocks, "manifest_extra_blocks");
  mismatch(&FormatOptions::values_per_block_max, "values_per_block_max");
  mismatch(&FormatOptions::value_blocks_max, "value_blocks_max");
  mismatch(&FormatOptions::reserved, "reserved");
  mismatch(&FormatOptions::schema_hash, "schema_hash");
  mismatch(&FormatOptions::reserved2, "reserved2");
  REQUIRE(process.tap.writes == 0);
  REQUIRE(process.open() == ErrorKind::none);
}

TEST_CASE("failed requests are tried again, within a bound") {
  Disk disk;
  Process process(disk.storage);
  SECTION("a read that fails twice") {
    process.tap.reads_failing = {2, 0, 2, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.tap.writes == 0);
  }
  SECTION("copies that cannot be read are written again") {
    Marks marks;
    process.tap.reads_failing = {3, 0, 3, 0};
    REQUIRE(process.open() == ErrorKind::none);
    REQUIRE(process.op() == 10);
    REQUIRE(process.tap.writes == 2);
    REQUIRE(marks.seen.count(Mark::superblock_copy_repaired) == 2);
    REQUIRE(marks.seen.count(Mark::superblock_torn_at_open) == 0);
  }
  SECTION("three copies lost are too many") {
    process.tap.reads_failing = {3, 3, 3, 0};
    REQUIRE(process.open() == ErrorKind::quorum_lost);
    REQUIRE(process.tap.writes == 0);
  }
  SECTION("a repair that goes on failing") {
    process.tap.reads_failing = {3, 0, 0, 0};
    process.tap.writes_failing = {3, 0, 0, 0};
    REQUIRE(process.open() == ErrorKind::write_failed);
    REQUIRE(reopen(disk.storage) == 10);
  }
  SECTION("a checkpoint's write that fails twice") {
    REQUIRE(process.open() == ErrorKind::none);
    process.tap.writes_failing = {2, 1, 0, 2};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(process.op() == 20);
  }
  SECTION("a checkpoint's write that goes on failing") {
    REQUIRE(process.open() == ErrorKind::none);
    process.tap.writes_failing = {0, 3, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::write_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(reopen(disk.storage) == 10);
  }
}

TEST_CASE("a checkpoint needs three copies that read back good") {
  Disk disk;
  Process process(disk.storage);
  REQUIRE(process.open() == ErrorKind::none);
  SECTION("three") {
    process.tap.reads_failing = {0, 3, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(process.op() == 20);
  }
  SECTION("three, and an older one") {
    process.tap.writes_lost = {0, 1, 0, 0};
    REQUIRE(process.checkpoint(20) == ErrorKind::none);
    REQUIRE(reopen(disk.storage) == 20);
  }
  SECTION("none: every write was lost") {
    process.tap.writes_lost = {1, 1, 1, 1};
    REQUIRE(process.checkpoint(20) == ErrorKind::checkpoint_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(reopen(disk.storage) == 10);
  }
  SECTION("two") {
    process.tap.reads_failing = {0, 3, 0, 3};
    REQUIRE(process.checkpoint(20) == ErrorKind::checkpoint_failed);
    REQUIRE(process.op() == 10);
    REQUIRE(process.superblock->error().kind == ErrorKind::checkpoint_failed);
    REQUIRE(reopen(disk.storage) == 20);
  }
}

TEST_CASE("states that contradict themselves are recognised") {
  REQUIRE(checkpoint_state_valid(state_at(10)));
  const auto valid = [](auto change) {
    CheckpointState state = state_at(10);
    change(state);
    return checkpoint_state_valid(state);
  };
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.storage_size = superblock_zone_size; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.storage_size = superblock_zone_size - 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.acquired_size = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.released_size = 8; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.released_payload = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_block_count = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_block_count = 2; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_newest_address = 3; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_newest ^= 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.release = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.snapshots = 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.reserved[0] = 1; }));
}

}  // namespace
}  // namespace tonearm
