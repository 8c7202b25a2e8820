#include "grid/grid.h"

#include <catch2/catch.hpp>
#include <deque>

#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

constexpr u32 block_size = TestGrid::block_size;

struct Fixture {
  explicit Fixture(u32 read_iops = 2, u32 write_iops = 2)
      : storage(64 * block_size), grid(storage, TestGrid::options(read_iops, write_iops)) {
    grid->free_set().open_empty();
  }

  u64 acquire() {
    Reservation reservation = *grid->reserve(1);
    const u64 address = grid->acquire(reservation);
    grid->forfeit(reservation);
    return address;
  }
  BlockReference write(u8 fill = 1, u32 size = 700) {
    TestWrite write(acquire(), fill, size);
    grid->write(write.write);
    storage.run();
    REQUIRE(write.done_count == 1);
    REQUIRE(write.write.result == IoResult::ok);
    return write.reference;
  }
  // Written, and no longer cached.
  BlockReference write_cold(u8 fill = 1, u32 size = 700) {
    const BlockReference block = write(fill, size);
    std::vector<u64> fillers;
    for (u32 i = 0; i < 40; ++i) fillers.push_back(write(0xf1).address);
    for (const u64 address : fillers) grid->release(address);
    reuse_released();
    REQUIRE(grid->cached(block) == nullptr);
    return block;
  }
  void reuse_released() {
    grid->free_set().mark_checkpoint_not_durable();
    grid->free_set().mark_checkpoint_durable();
  }
  std::byte* medium(const BlockReference& block) { return &storage.bytes[(block.address - 1) * block_size]; }

  TestStorage storage;
  TestGrid grid;
};

// A disk without bytes: where requests go, and none of them completes.
class FarStorage final : public Storage {
 public:
  void read(Read& read) override { offsets.push_back(read.offset); }
  void write(Write& write) override { offsets.push_back(write.offset); }
  void sync(Sync&) override { FAIL("the grid never syncs"); }
  void next_tick(NextTick& next_tick) override { tick = &next_tick; }

  std::vector<u64> offsets;
  NextTick* tick = nullptr;
};

}  // namespace

TEST_CASE("a block beyond four gigabytes lies where its address says", "[grid]") {
  constexpr u64 blocks = (u64{4} << 30) / block_size;
  FarStorage storage;
  Grid::Options options = TestGrid::options(2, 2);
  options.runtime.blocks_count = blocks + 64;
  TestGrid grid(storage, options);
  grid->free_set().open_empty();
  Reservation reservation = *grid->reserve(blocks + 2);
  for (u64 address = 1; address <= blocks; ++address) (void)grid->acquire(reservation);
  TestRead read({.address = blocks, .checksum = 1});
  grid->read(read.read);
  REQUIRE(storage.tick != nullptr);
  storage.tick->done(*storage.tick);
  TestWrite write(grid->acquire(reservation), 1);
  grid->write(write.write);
  CHECK(storage.offsets == std::vector<u64>{(blocks - 1) * block_size, blocks * block_size});
  CHECK(storage.offsets[1] == u64{1} << 32);
}

TEST_CASE("what was written is cached, and reads of it never touch the storage", "[grid]") {
  Fixture f;
  const BlockReference block = f.write(9);
  const std::byte* data = f.grid->cached(block);
  REQUIRE(data != nullptr);
  REQUIRE(*body_of(data) == std::byte{9});
  REQUIRE(f.grid->cached({.address = block.address, .checksum = block.checksum + 1}) == nullptr);

  TestRead shared(block);
  TestRead own(block);
  own.read.buffer = own.buffer.bytes;
  f.grid->read(shared.read);
  f.grid->read(own.read);
  REQUIRE(f.grid->reads_in_flight() == 2);
  REQUIRE(shared.done_count == 0);  // Never inside the call.
  f.storage.drain();
  REQUIRE(shared.good());
  REQUIRE(own.good());
  REQUIRE(own.read.data == own.buffer.bytes);
  REQUIRE(f.storage.reads == 0);
  REQUIRE(f.grid->counters().reads_cache == 3);
  REQUIRE(f.grid->counters().reads_storage == 0);
  REQUIRE(f.grid->idle());
}

TEST_CASE("a read that bypasses the cache neither asks nor fills it", "[grid]") {
  Fixture f;
  const BlockReference warm = f.write();
  TestRead read(warm);
  read.read.cache_read = false;
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.good());
  REQUIRE(f.storage.reads == 1);

  const BlockReference cold = f.write_cold();
  for (const bool cache_write : {false, true}) {
    TestRead again(cold);
    again.read.cache_write = cache_write;
    f.grid->read(again.read);
    f.storage.run();
    REQUIRE(again.good());
    REQUIRE((f.grid->cached(cold) != nullptr) == cache_write);
  }
}

TEST_CASE("a read that would fill the cache does so when it joins one that would not", "[grid]") {
  Fixture f;
  const BlockReference block = f.write_cold();
  TestRead root(block);
  TestRead joined(block);
  root.read.cache_write = false;
  f.grid->read(root.read);
  f.grid->read(joined.read);
  f.storage.run();
  REQUIRE(root.good());
  REQUIRE(joined.good());
  REQUIRE(f.grid->cached(block) != nullptr);
}

TEST_CASE("reads of one block share one request", "[grid]") {
  const bool root_has_buffer = GENERATE(false, true);
  const MarksSeen marks;
  Fixture f;
  const BlockReference block = f.write_cold(5);
  std::deque<TestRead> reads;
  for (u32 i = 0; i < 4; ++i) {
    TestRead& read = reads.emplace_back(block);
    if ((i % 2 == 0) == root_has_buffer) read.read.buffer = read.buffer.bytes;
    f.grid->read(read.read);
  }
  const u32 before = f.storage.reads;
  f.storage.run();
  REQUIRE(f.storage.reads == before + 1);
  REQUIRE(marks[Mark::grid_read_coalesced] == 3);
  for (const TestRead& read : reads) {
    REQUIRE(read.good());
    REQUIRE(read.fill == std::byte{5});
    if (read.read.buffer != nullptr) REQUIRE(read.read.data == read.read.buffer);
    // Those without a buffer must not look into somebody else's, who may have changed it by then.
    if (read.read.buffer == nullptr) REQUIRE(read.read.data != reads[0].buffer.bytes);
  }
  REQUIRE(f.grid->idle());
}

TEST_CASE("with one slot reads wait in line", "[grid]") {
  const MarksSeen marks;
  Fixture f(1);
  std::vector<BlockReference> blocks;
  for (u8 i = 0; i < 3; ++i) blocks.push_back(f.write_cold(i));
  std::deque<TestRead> reads;
  for (const u32 i : {0, 1, 2, 1}) {
    reads.emplace_back(blocks[i]);
    reads.back().read.cache_write = false;
    f.grid->read(reads.back().read);
  }
  f.storage.drain();
  REQUIRE(marks[Mark::grid_read_queued] == 2);
  REQUIRE(marks[Mark::grid_read_coalesced] == 1);  // With one that waits.
  REQUIRE(f.grid->reads_in_flight() == 4);
  REQUIRE(f.storage.requests.size() == 1);
  // The slot goes to the next in line before the callback runs: its own new read comes last.
  TestRead again(blocks[0]);
  again.read.cache_read = false;
  reads[0].then = &f.grid.grid;
  reads[0].next = &again.read;
  f.storage.complete();
  REQUIRE(reads[0].good());
  REQUIRE(f.storage.requests.size() == 1);
  REQUIRE(f.storage.requests[0].read->offset == (blocks[1].address - 1) * block_size);
  // What the callback looked at is not what the slot reads into now.
  REQUIRE(f.storage.requests[0].read->buffer.data() != reads[0].read.data);
  f.storage.complete();
  REQUIRE(reads[1].good());
  REQUIRE(reads[3].good());
  REQUIRE(reads[2].done_count == 0);
  f.storage.run();
  REQUIRE(reads[2].good());
  REQUIRE(again.good());
  for (u8 i = 0; i < 3; ++i) REQUIRE(reads[i].fill == std::byte{i});
  REQUIRE(f.grid->idle());
}

TEST_CASE("a node may be used again in its own callback", "[grid]") {
  Fixture f;
  TestRead read(f.write());
  read.then = &f.grid.grid;
  read.next = &read.read;
  f.grid->read(read.read);
  for (u32 i = 0; i < 5; ++i) {
    Storage::NextTick* tick = f.storage.ticks.at(0);
    f.storage.ticks.clear();
    tick->done(*tick);
    REQUIRE(read.done_count == i + 1);
  }
}

TEST_CASE("a read of a block that is being written gets it from the write", "[grid]") {
  const MarksSeen marks;
  Fixture f(2, 1);
  TestWrite first(f.acquire(), 1);
  TestWrite second(f.acquire(), 2);
  f.grid->write(first.write);
  f.grid->write(second.write);  // Waits for the slot.
  REQUIRE(f.grid->writes_in_flight() == 2);
  REQUIRE(f.storage.requests.size() == 1);
  TestRead a(first.reference);
  TestRead b(second.reference);
  b.read.buffer = b.buffer.bytes;
  f.grid->read(a.read);
  f.grid->read(b.read);
  REQUIRE(a.done_count == 0);
  f.storage.drain();
  REQUIRE(a.good());
  REQUIRE(b.good());
  REQUIRE(b.read.data == b.buffer.bytes);
  REQUIRE(b.fill == std::byte{2});
  REQUIRE(marks[Mark::grid_read_from_write] == 2);
  REQUIRE(f.storage.reads == 0);
  f.storage.run();
  REQUIRE(first.done_count == 1);
  REQUIRE(second.done_count == 1);
  REQUIRE(f.grid->idle());
}

TEST_CASE("only what a block fills is written", "[grid]") {
  Fixture f;
  const BlockReference block = f.write(3, 400);
  REQUIRE(f.medium(block)[511] == std::byte{0});     // Zeroed up to the sector's end,
  REQUIRE(f.medium(block)[512] == std::byte{0xee});  // nobody's business behind it.
  TestRead read(block);
  read.read.cache_read = false;
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.good());
}

TEST_CASE("each kind of damage is retried, then named", "[grid]") {
  const MarksSeen marks;
  Fixture f;
  const BlockReference block = f.write_cold(1, 400);
  const BlockReference other = f.write_cold(2, 400);
  std::byte* medium = f.medium(block);
  const auto check_named = [&](BlockResult expected, Mark expected_mark) {
    const u32 before = f.storage.reads;
    const u64 counted = f.grid->counters().reads_storage;
    TestRead read(block);
    TestRead joined(block);
    joined.read.buffer = joined.buffer.bytes;
    f.grid->read(read.read);
    f.grid->read(joined.read);
    f.storage.run();
    for (const TestRead* each : {&read, &joined}) {
      REQUIRE(each->done_count == 1);
      REQUIRE(each->read.result == expected);
      REQUIRE(each->read.data == nullptr);
    }
    REQUIRE(f.storage.reads == before + 3);
    REQUIRE(f.grid->counters().reads_storage == counted + 1);
    REQUIRE(marks[expected_mark] == 3);
    REQUIRE(marks[Mark::grid_read_retried] == 2);
    REQUIRE(f.grid->cached(block) == nullptr);
    REQUIRE(f.grid->idle());
  };
  SECTION("header") {
    medium[100] ^= std::byte{1};
    check_named(BlockResult::invalid_checksum, Mark::read_block_invalid_checksum);
  }
  SECTION("no grid block") {
    header_of(medium).command = 3;
    header_of(medium).checksum = checksum_of({medium + 32, 224});
    check_named(BlockResult::unexpected_command, Mark::read_block_unexpected_command);
  }
  SECTION("body") {
    medium[300] ^= std::byte{1};
    check_named(BlockResult::invalid_checksum_body, Mark::read_block_invalid_checksum_body);
  }
  SECTION("misdirected") {
    std::memcpy(medium, f.medium(other), block_size);
    check_named(BlockResult::unexpected_checksum, Mark::read_block_unexpected_checksum);
  }
  SECTION("padding") {
    medium[411] = std::byte{1};
    check_named(BlockResult::invalid_padding, Mark::read_block_invalid_padding);
  }
  SECTION("unreadable") {
    f.storage.reads_failing = 3;
    check_named(BlockResult::read_failed, Mark::read_block_failed);
  }
}

TEST_CASE("passing trouble is not noticed by the reader", "[grid]") {
  Fixture f;
  const BlockReference block = f.write_cold(4);
  f.storage.reads_failing = 1;
  f.storage.reads_damaged = 1;
  TestRead read(block);
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.good());
  REQUIRE(read.fill == std::byte{4});
  REQUIRE(f.grid->counters().retries == 2);
  REQUIRE(f.grid->cached(block) != nullptr);
}

TEST_CASE("a damaged block read past the cache leaves the cached copy alone", "[grid]") {
  Fixture f;
  const BlockReference block = f.write();
  f.medium(block)[100] ^= std::byte{1};
  TestRead read(block);
  read.read.cache_read = false;
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.read.result == BlockResult::invalid_checksum);
  REQUIRE(f.grid->cached(block) != nullptr);
}

TEST_CASE("writes are tried again, and fail in the end", "[grid]") {
  Fixture f;
  f.storage.writes_failing = 2;
  const BlockReference block = f.write();
  REQUIRE(f.storage.writes == 3);
  REQUIRE(f.grid->cached(block) != nullptr);

  f.storage.writes_failing = 3;
  TestWrite write(f.acquire(), 1);
  f.grid->write(write.write);
  f.storage.run();
  REQUIRE(write.done_count == 1);
  REQUIRE(write.write.result == IoResult::failed);
  REQUIRE(f.grid->cached(write.reference) == nullptr);
  REQUIRE(f.grid->idle());
}

TEST_CASE("the cache evicts, demotes, and forgets an address that is acquired again", "[grid]") {
  const MarksSeen marks;
  Fixture f;
  std::vector<BlockReference> blocks;
  for (u8 i = 0; i < 16; ++i) blocks.push_back(f.write(i));
  REQUIRE(marks[Mark::grid_cache_tag_collision] == 15);  // No hash bits: all tags are equal.
  for (const BlockReference& block : blocks) REQUIRE(f.grid->cached(block) != nullptr);
  REQUIRE(marks[Mark::grid_cache_evicted] == 0);
  f.grid->release(blocks[7].address);
  REQUIRE(marks[Mark::grid_cache_demoted] == 1);
  REQUIRE(f.grid->cached(blocks[7]) != nullptr);
  f.grid->release(blocks[8].address);
  blocks.push_back(f.write(16));
  REQUIRE(marks[Mark::grid_cache_evicted] == 1);
  REQUIRE(f.grid->cached(blocks[8]) == nullptr);
  REQUIRE(f.grid->cached(blocks[7]) != nullptr);

  TestRead read(blocks[8]);  // Released and evicted, it may still be read.
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.good());

  f.reuse_released();
  REQUIRE(f.acquire() == blocks[7].address);
  REQUIRE(f.grid->cached(blocks[7]) == nullptr);
}

TEST_CASE("misuse of the grid is an assertion", "[grid]") {
  Fixture f;
  const BlockReference block = f.write_cold();
  const u64 address = f.acquire();
  const auto write_dies = [&](TestWrite& write) { return sim::dies([&] { f.grid->write(write.write); }); };
  TestWrite good(address, 1);

  TestWrite free_address(50, 1);
  REQUIRE(write_dies(free_address));
  TestWrite changed(address, 1);
  changed.block.bytes[300] ^= std::byte{1};
  REQUIRE(write_dies(changed));
  TestWrite foreign(address, 1);
  header_of(foreign.block.bytes).cluster = 1;
  header_of(foreign.block.bytes).checksum = checksum_of({foreign.block.bytes + 32, 224});
  REQUIRE(write_dies(foreign));

  f.grid->write(good.write);
  TestWrite second(address, 2);
  REQUIRE(write_dies(second));
  REQUIRE(write_dies(good));
  REQUIRE(sim::dies([&] { f.grid->release(address); }));
  f.storage.run();
  REQUIRE(write_dies(second));  // Written already.

  TestRead of_free({.address = 50, .checksum = 1});
  REQUIRE(sim::dies([&] { f.grid->read(of_free.read); }));
  TestRead beyond({.address = 65, .checksum = 1});
  REQUIRE(sim::dies([&] { f.grid->read(beyond.read); }));

  TestRead read(block);
  f.grid->read(read.read);
  REQUIRE(sim::dies([&] { f.grid->read(read.read); }));
  f.grid->release(block.address);
  f.reuse_released();
  REQUIRE(sim::dies([&] { (void)f.acquire(); }));  // Its block is being read.
  f.storage.drain();
  REQUIRE(sim::dies([&] { (void)f.acquire(); }));
  f.storage.run();
  REQUIRE(read.good());
  REQUIRE(f.acquire() == block.address);
}

}  // namespace tonearm
