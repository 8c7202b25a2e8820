#include "sim/disk/sim_storage.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <set>

#include "sim/disk/death.h"
#include "sim/disk/disk_fixture.h"

namespace tonearm::sim {

namespace {

constexpr CompletionPolicy policies[] = {CompletionPolicy::latency, CompletionPolicy::fifo,
                                         CompletionPolicy::lifo,    CompletionPolicy::uniform,
                                         CompletionPolicy::starve,  CompletionPolicy::priority};

constexpr LatencyProfile slow{.latency_ticks_min = 5, .latency_ticks_mean = 100};

DiskOptions options_with(CompletionPolicy policy = CompletionPolicy::latency) {
  return {.sector_size = 512,
          .block_size = 4096,
          .blocks_count = 256,
          .read = slow,
          .write = slow,
          .sync = slow,
          .superblock = slow,
          .policy = policy,
          .seed = 42};
}

constexpr IoTag scan{.purpose = IoPurpose::scan, .level = 1, .tree = 2};

// Some of everything: writes, reads of them, ticks and syncs, over several operations.
void play(Disk& disk, u64 rounds) {
  for (u64 round = 0; round < rounds; ++round) {
    disk.storage.set_attribution({.op = {.number = round}});
    for (u64 i = 1; i <= 20; ++i) disk.write(i, static_cast<u8>(round + i));
    if (round % 4 == 1) disk.sync();
    disk.run();
    for (u64 i = 1; i <= 20; ++i) disk.read(i, i % 3 == 0 ? scan : IoTag{.purpose = IoPurpose::lookup});
    for (u64 i = 21; i <= 24; ++i) disk.write(i, 1);
    disk.next_tick();
    disk.run();
  }
}

}  // namespace

TEST_CASE("a completion never runs inside the call that submitted it", "[sim_storage]") {
  for (const CompletionPolicy policy : policies) {
    Disk disk({.block_size = 4096, .blocks_count = 16, .policy = policy});  // Zero latency.
    Disk::Io& write = disk.write(1, 7);
    REQUIRE_FALSE(write.done);
    disk.run();
    REQUIRE(write.done);
    Disk::Io& read = disk.read(1);
    Disk::Io& sync = disk.sync();
    Disk::Io& tick = disk.next_tick();
    REQUIRE_FALSE(read.done);
    REQUIRE_FALSE(sync.done);
    REQUIRE_FALSE(tick.done);
    disk.run();
    REQUIRE(read.bytes == Disk::filled(4096, 7));
    REQUIRE(read.read.result == IoResult::ok);
    REQUIRE(sync.sync.result == IoResult::ok);
    REQUIRE(disk.storage.now() == 0);
    REQUIRE(disk.storage.steps() == 4);
    REQUIRE_FALSE(disk.storage.pending());
    REQUIRE_FALSE(disk.storage.step());
  }
}

TEST_CASE("every policy delivers every request once, and time never goes back", "[sim_storage]") {
  std::set<std::vector<u32>> orders;
  for (const CompletionPolicy policy : policies) {
    DiskOptions options = options_with(policy);
    options.queue_depth = 8;
    Disk disk(options);
    play(disk, 10);
    std::vector<u32> sorted = disk.order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<u32> all(disk.ios.size());
    std::iota(all.begin(), all.end(), 0u);
    REQUIRE(sorted == all);
    u64 last = 0;
    for (const u32 id : disk.order) {
      REQUIRE(disk.ios[id]->tick_done >= last);
      last = disk.ios[id]->tick_done;
    }
    for (const auto& io : disk.ios) {
      if (io->read.buffer.empty()) continue;
      REQUIRE(
          std::all_of(io->bytes.begin(), io->bytes.end(), [&](std::byte b) { return b == io->bytes[0]; }));
    }
    orders.insert(disk.order);
  }
  REQUIRE(orders.size() == std::size(policies));
}

TEST_CASE("a slow episode begins and ends with operations, and leaves the others alone", "[sim_storage]") {
  const auto ticks_of = [](Ratio chance_of_slow) {
    DiskOptions options = options_with(CompletionPolicy::latency);
    options.slow = chance_of_slow;
    options.read = options.write = {.latency_ticks_min = 10};
    Disk disk(options);
    disk.write(1, 1);
    disk.run();
    std::vector<std::array<u64, 2>> ticks;  // By operation: of a read, of a write.
    for (u64 op = 1; op <= 800; ++op) {
      disk.storage.set_attribution({.op = {.number = op}, .context = 0});
      std::array<u64, 2> both{};
      for (u64& one : both) {
        const u64 before = disk.storage.now();
        if (&one == &both[0]) {
          disk.read(1);
        } else {
          disk.write(2, 1);
        }
        disk.run();
        one = disk.storage.now() - before;
      }
      ticks.push_back(both);
    }
    return ticks;
  };
  for (const auto& both : ticks_of({})) REQUIRE(both == std::array<u64, 2>{10, 10});
  const auto ticks = ticks_of({.numerator = 1, .denominator = 4});
  u64 slower[2] = {};
  u64 both_slow = 0;
  for (u64 op = 1; op <= ticks.size(); ++op) {
    const auto& both = ticks[op - 1];
    for (u32 i = 0; i < 2; ++i) {
      REQUIRE(both[i] >= 10);
      REQUIRE(both[i] <= 10 * 128);
      slower[i] += both[i] > 10 ? 1 : 0;
    }
    both_slow += both[0] > 10 && both[1] > 10 ? 1 : 0;
    // All operations of a period are alike.
    if ((op + 1) % 8 != 0 && op < ticks.size()) REQUIRE(ticks[op] == both);
  }
  // A quarter of the periods; of those two thirds each.
  for (const u64 count : slower) CHECK((count > 60 && count < 230));
  CHECK(both_slow > 0);
  CHECK(both_slow < slower[0]);
  CHECK(both_slow < slower[1]);
}

TEST_CASE("policies order as they say", "[sim_storage]") {
  const auto order_of = [](CompletionPolicy policy, u32 depth) {
    DiskOptions options = options_with(policy);
    options.queue_depth = depth;
    Disk disk(options);
    for (u64 i = 1; i <= 8; ++i) disk.write(i, 1);
    disk.run();
    return disk.order;
  };
  const std::vector<u32> ascending = {0, 1, 2, 3, 4, 5, 6, 7};
  REQUIRE(order_of(CompletionPolicy::fifo, 32) == ascending);
  REQUIRE(order_of(CompletionPolicy::lifo, 32) == std::vector<u32>(ascending.rbegin(), ascending.rend()));
  // Two in the device: the newer of them goes, the next waiting one comes in.
  REQUIRE(order_of(CompletionPolicy::lifo, 2) == std::vector<u32>{1, 2, 3, 4, 5, 6, 7, 0});
  REQUIRE(order_of(CompletionPolicy::latency, 1) == ascending);
  REQUIRE(order_of(CompletionPolicy::latency, 32) != ascending);
  REQUIRE(order_of(CompletionPolicy::uniform, 32) != ascending);

  SECTION("starve") {
    DiskOptions options = options_with(CompletionPolicy::starve);
    options.starved = IoPurpose::scan;
    Disk disk(options);
    for (u64 i = 1; i <= 8; ++i) disk.write(i, 1);
    disk.run();
    disk.order.clear();
    for (u64 i = 1; i <= 8; ++i) disk.read(i, i % 2 == 0 ? scan : IoTag{.purpose = IoPurpose::lookup});
    disk.run();
    for (u32 i = 0; i < 8; ++i) REQUIRE((disk.order[i] % 2 == 1) == (i >= 4));
  }
  SECTION("priorities are by tag and change between operations") {
    std::set<bool> lookup_first;
    for (u64 number = 0; number < 64 * 16; number += 64) {
      Disk disk(options_with(CompletionPolicy::priority));
      for (u64 i = 1; i <= 8; ++i) disk.write(i, 1);
      disk.run();
      disk.order.clear();
      disk.storage.set_attribution({.op = {.number = number}});
      for (u64 i = 1; i <= 8; ++i) disk.read(i, i % 2 == 0 ? scan : IoTag{.purpose = IoPurpose::lookup});
      disk.run();
      const bool first = disk.order[0] % 2 == 0;
      for (u32 i = 0; i < 8; ++i) REQUIRE((disk.order[i] % 2 == 0) == (first == (i < 4)));
      lookup_first.insert(first);
    }
    REQUIRE(lookup_first.size() == 2);
  }
}

TEST_CASE("the queue depth makes requests wait for the device", "[sim_storage]") {
  DiskOptions options = options_with();
  options.write = {.latency_ticks_min = 10};
  options.queue_depth = 2;
  Disk disk(options);
  for (u64 i = 1; i <= 6; ++i) disk.write(i, 1);
  REQUIRE(disk.storage.describe_pending().find("waiting") != std::string::npos);
  disk.run();
  REQUIRE(disk.storage.now() == 30);
}

TEST_CASE("stalls take a hundred times as long", "[sim_storage]") {
  DiskOptions options = options_with();
  options.write = {.latency_ticks_min = 10, .stall = {.numerator = 1, .denominator = 4}};
  Disk disk(options);
  for (u64 i = 1; i <= 32; ++i) disk.write(i, 1);
  disk.run();
  u32 stalled = 0;
  for (const auto& io : disk.ios) {
    REQUIRE((io->tick_done == 10 || io->tick_done == 1000));
    stalled += io->tick_done == 1000 ? 1 : 0;
  }
  REQUIRE(stalled > 0);
  REQUIRE(stalled < 20);
}

TEST_CASE("two runs are one; another seed is another", "[sim_storage]") {
  const auto digest_of = [](const DiskOptions& options) {
    Disk disk(options);
    play(disk, 12);
    disk.storage.crash({.op = {.number = 99}});
    return disk.trace.digests().digest;
  };
  for (const CompletionPolicy policy : policies) {
    DiskOptions options = options_with(policy);
    options.profile = DurabilityProfile::cached;
    const u64 digest = digest_of(options);
    REQUIRE(digest == digest_of(options));
    options.seed_latency = 5;
    REQUIRE(digest != digest_of(options));
  }
}

TEST_CASE("one more request shifts no draw of the others", "[sim_storage]") {
  const auto ticks_of = [](bool more) {
    Disk disk(options_with());
    for (u64 i = 1; i <= 4; ++i) disk.write(i, 1);
    disk.run();
    const u64 start = disk.storage.now();
    disk.storage.set_attribution({.op = {.number = 5}});
    if (more) disk.write(9, 1);  // Another kind.
    Disk::Io& first = disk.read(1);
    if (more) disk.read(4, scan);  // Another tag.
    if (more) disk.storage.set_attribution({.op = {.number = 6}});
    if (more) disk.read(3);  // Another operation.
    disk.storage.set_attribution({.op = {.number = 5}});
    Disk::Io& second = disk.read(2);
    disk.run();
    return std::pair{first.tick_done - start, second.tick_done - start};
  };
  REQUIRE(ticks_of(false) == ticks_of(true));
  REQUIRE(ticks_of(false).first != ticks_of(false).second);
}

TEST_CASE("what a completion submits inherits its attribution", "[sim_storage]") {
  Disk disk(options_with());
  const Attribution a{.op = {.number = 1}};
  const Attribution b{.op = {.number = 2, .child = 3}, .context = 4};
  disk.storage.set_attribution(a);
  // A write, then a tick, then a read, each from the callback of the one before.
  disk.write(1, 1).then = [](Disk::Io& io) {
    io.disk->next_tick().then = [](Disk::Io& tick) { tick.disk->read(1); };
  };
  disk.storage.set_attribution(b);
  disk.write(2, 1).then = [](Disk::Io& io) { io.disk->sync(); };
  REQUIRE(disk.storage.attribution() == b);
  while (disk.storage.step()) REQUIRE(disk.storage.attribution() == b);
  REQUIRE(disk.ios.size() == 5);
  for (const auto& io : disk.ios) {
    const bool second_chain = io->id == 1 || io->sync.done;
    REQUIRE(io->seen == (second_chain ? b : a));
  }
}

TEST_CASE("next ticks run first-in first-out, before any completion, at the same time", "[sim_storage]") {
  DiskOptions options = options_with();
  Disk disk(options);
  disk.write(1, 1);
  disk.next_tick().then = [](Disk::Io& io) { io.disk->next_tick(); };
  disk.next_tick();
  REQUIRE(disk.storage.step());
  REQUIRE(disk.order == std::vector<u32>{1, 2});
  REQUIRE(disk.storage.step());
  REQUIRE(disk.order == std::vector<u32>{1, 2, 3});
  REQUIRE(disk.storage.now() == 0);
  REQUIRE(disk.storage.step());
  REQUIRE(disk.order.back() == 0);
  REQUIRE(disk.storage.now() > 0);
}

TEST_CASE("what cannot happen on a disk is an assertion", "[sim_storage]") {
  Disk disk(options_with());
  disk.write(1, 1);
  disk.write(2, 1);
  SECTION("two writes over one sector") {
    REQUIRE(dies([&] { disk.write(1, 2); }));
    REQUIRE_FALSE(dies([&] { disk.write(3, 2); }));
    disk.run();
    REQUIRE_FALSE(dies([&] { disk.write(1, 2); }));
  }
  SECTION("a read over a write, in either order") {
    REQUIRE(dies([&] { disk.read(2); }));
    disk.run();
    disk.read(2);
    REQUIRE(dies([&] { disk.write(2, 2); }));
    REQUIRE_FALSE(dies([&] { disk.read(2); }));
  }
  SECTION("a read of a block that was never written") {
    disk.run();
    REQUIRE(dies([&] { disk.read(3); }));
    REQUIRE_FALSE(dies([&] { disk.read(1, {.purpose = IoPurpose::superblock_read}, Zone::superblock); }));
  }
  SECTION("a write to a protected block") {
    disk.run();
    const u64 words[] = {0b1001};
    disk.storage.protect(words);
    REQUIRE(dies([&] { disk.write(1, 1); }));
    REQUIRE(dies([&] { disk.write(4, 1); }));
    REQUIRE_FALSE(dies([&] { disk.write(2, 1); }));
    REQUIRE_FALSE(dies([&] { disk.write(200, 1); }));
    REQUIRE_FALSE(dies([&] { disk.read(1); }));
    disk.storage.protect({});
    REQUIRE_FALSE(dies([&] { disk.write(1, 1); }));
  }
  SECTION("requests outside of their zone, or not in sectors") {
    REQUIRE(dies([&] { disk.write(257, 1); }));
    REQUIRE(dies([&] { disk.write(9, 1, {.purpose = IoPurpose::superblock_write}, Zone::superblock); }));
    REQUIRE_FALSE(
        dies([&] { disk.write(8, 1, {.purpose = IoPurpose::superblock_write}, Zone::superblock); }));
    Storage::Sync no_callback;
    REQUIRE(dies([&] { disk.storage.sync(no_callback); }));
  }
  SECTION("a request submitted again while it is in flight, a tick queued twice") {
    disk.ios[0]->write.token[1] = 77;
    REQUIRE(dies([&] { disk.run(); }));
    disk.ios[0]->write.token[1] = 0;
    Disk::Io& tick = disk.next_tick();
    REQUIRE(dies([&] { disk.storage.next_tick(tick.tick); }));
  }
}

TEST_CASE("a shadow over a snapshot does not disturb the disk", "[sim_storage]") {
  Disk disk(options_with());
  disk.write(1, 1);
  disk.run();
  DiskOptions options = options_with();
  options.blocks_count = 512;  // A raised limit.
  const Digests before = disk.trace.digests();
  {
    SimStorage shadow(disk.storage.durable_image(), options, nullptr);
    Disk::Io io;
    io.disk = &disk;
    io.bytes = Disk::filled(4096, 9);
    for (const u64 offset : {u64{0}, u64{511} * 4096}) {
      io.write.buffer = io.bytes;
      io.write.offset = offset;
      io.write.done = Callback<Storage::Write&>::to<&Disk::Io::write_done>(&io);
      shadow.write(io.write);
      while (shadow.step()) {
      }
    }
    REQUIRE(disk.block(shadow.image(), 1) == 9);
    REQUIRE(disk.block(shadow.image(), 512) == 9);
  }
  REQUIRE(disk.block(1) == 1);
  REQUIRE(disk.trace.digests() == before);
}

TEST_CASE("the listener hears superblock writes when they begin and end", "[sim_storage]") {
  struct Heard {
    u32 begun = 0;
    u32 ended = 0;
  } heard;
  Disk disk(options_with());
  disk.storage.set_superblock_listener(&heard, [](void* context, bool completed) {
    auto& to = *static_cast<Heard*>(context);
    ++(completed ? to.ended : to.begun);
  });
  disk.write(1, 1);
  disk.run();
  REQUIRE(heard.begun == 0);
  disk.write(1, 1, {.purpose = IoPurpose::superblock_write}, Zone::superblock, Durability::on_completion);
  REQUIRE(heard.begun == 1);
  REQUIRE(heard.ended == 0);
  disk.run();
  REQUIRE(heard.ended == 1);
}

TEST_CASE("a stuck run can be described", "[sim_storage]") {
  DiskOptions options = options_with();
  options.write = {.latency_ticks_min = 10};
  Disk disk(options);
  disk.storage.set_attribution({.op = {.number = 17}});
  disk.write(2, 1, {.purpose = IoPurpose::compact_write, .level = 2, .tree = 3});
  disk.next_tick();
  REQUIRE(disk.storage.describe_pending() ==
          "write 17/compact_write(3,2)#0 grid offset=4096 length=4096 ready=10\nnext_tick 17\n");
}

TEST_CASE("timing may change in mid-run", "[sim_storage]") {
  DiskOptions options = options_with();
  options.write = {.latency_ticks_min = 10};
  Disk disk(options);
  disk.write(1, 1);
  options.write = {.latency_ticks_min = 50};
  options.blocks_count = 300;
  disk.storage.reconfigure(options);
  disk.write(300, 1);
  disk.run();
  REQUIRE(disk.ios[0]->tick_done == 10);
  REQUIRE(disk.ios[1]->tick_done == 50);
}

TEST_CASE("what a shorter write to a block leaves behind it is nobody's, and poison if asked for",
          "[sim_storage]") {
  for (const bool poisoned : {false, true}) {
    DiskOptions options = options_with();
    options.poison_recycled = poisoned;
    Disk disk(options);
    disk.write(3, 7);
    disk.write(4, 7);
    disk.run();
    Disk::Io& shorter = disk.add();
    shorter.bytes = Disk::filled(1024, 9);
    shorter.write.buffer = shorter.bytes;
    shorter.write.offset = 2 * u64{options.block_size};
    shorter.write.done = Callback<Storage::Write&>::to<&Disk::Io::write_done>(&shorter);
    disk.storage.write(shorter.write);
    disk.run();
    const Image& image = disk.storage.image();
    const u64 begin = disk.storage.grid_offset() + 2 * options.block_size;
    const u64 behind = options.block_size - 1024;
    CHECK(image.owned_any(begin + 512, 512));
    CHECK(image.written(begin + 1024, behind));
    CHECK_FALSE(image.owned_any(begin + 1024, behind));
    std::vector<std::byte> bytes(behind);
    image.read(begin + 1024, bytes);
    CHECK((bytes == Disk::filled(behind, 7)) != poisoned);
    CHECK(disk.block(4) == 7);  // The block behind it is as it was.
  }
}

}  // namespace tonearm::sim
