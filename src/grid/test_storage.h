// For tests of this layer: a disk in memory whose requests complete when, and as, the test says.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "base/mark.h"
#include "grid/grid.h"
#include "storage/storage.h"

namespace tonearm {

class TestStorage final : public Storage {
 public:
  explicit TestStorage(u64 size) : bytes(size, std::byte{0xee}) {}

  struct Request {
    Read* read = nullptr;
    Write* write = nullptr;
  };

  void read(Read& read) override {
    REQUIRE(read.zone == Zone::grid);
    REQUIRE(read.offset + read.buffer.size() <= bytes.size());
    requests.push_back({.read = &read});
    ++reads;
  }
  void write(Write& write) override {
    const bool repairs = write.tag.purpose == IoPurpose::repair;
    REQUIRE(write.durability == (repairs ? Durability::on_completion : Durability::on_sync));
    REQUIRE(write.offset + write.buffer.size() <= bytes.size());
    requests.push_back({.write = &write});
    ++writes;
  }
  void sync(Sync&) override { FAIL("the grid never syncs"); }
  void next_tick(NextTick& next_tick) override { ticks.push_back(&next_tick); }

  void drain() {
    while (!ticks.empty()) {
      NextTick* next = ticks.front();
      ticks.erase(ticks.begin());
      next->done(*next);
    }
  }
  void complete(std::size_t index = 0) {
    const Request request = requests.at(index);
    requests.erase(requests.begin() + static_cast<std::ptrdiff_t>(index));
    if (request.read != nullptr) {
      complete_read(*request.read);
    } else {
      complete_write(*request.write);
    }
    drain();
  }
  void run() {
    drain();
    while (!requests.empty()) complete();
  }

  std::vector<std::byte> bytes;
  std::vector<Request> requests;  // In flight, oldest first.
  std::vector<NextTick*> ticks;
  u32 reads = 0;
  u32 writes = 0;
  u32 reads_failing = 0;  // So many of the next fail.
  u32 reads_damaged = 0;  // So many of the next deliver a wrong byte, of an intact medium.
  u32 writes_failing = 0;

 private:
  void complete_read(Read& read) {
    std::memcpy(read.buffer.data(), &bytes[read.offset], read.buffer.size());
    read.result = IoResult::ok;
    if (reads_failing > 0) {
      --reads_failing;
      std::memset(read.buffer.data(), 0xdd, read.buffer.size());
      read.result = IoResult::failed;
    } else if (reads_damaged > 0) {
      --reads_damaged;
      read.buffer[130] ^= std::byte{4};
    }
    read.done(read);
  }
  void complete_write(Write& write) {
    write.result = IoResult::ok;
    if (writes_failing > 0) {
      --writes_failing;
      write.result = IoResult::failed;
    } else {
      std::memcpy(&bytes[write.offset], write.buffer.data(), write.buffer.size());
    }
    write.done(write);
  }
};

// Memory for one component, filled with what an earlier one may have left.
class TestArena {
 public:
  explicit TestArena(u64 size)
      : size_(size), memory_(size + Arena::align_max, std::byte{0xa5}), arena_(span()) {}
  Arena& operator*() { return arena_; }
  bool exhausted() const { return arena_.used() == size_; }

 private:
  std::span<std::byte> span() {
    const u64 misaligned = reinterpret_cast<std::uintptr_t>(memory_.data()) % Arena::align_max;
    return {memory_.data() + (Arena::align_max - misaligned) % Arena::align_max, size_};
  }
  u64 size_;
  std::vector<std::byte> memory_;
  Arena arena_;
};

struct TestGrid {
  static constexpr u128 cluster = 77;
  static constexpr u32 sector_size = 512;
  static constexpr u32 block_size = 1024;

  static Grid::Options options(u32 read_iops, u32 write_iops) {
    Grid::Options options{.format = {}, .runtime = {}, .released_prior_max = 64};
    options.format.sector_size = sector_size;
    options.format.block_size = block_size;
    options.runtime.blocks_count = 64;
    options.runtime.cache_blocks = 16;
    options.runtime.cache_hash_bits = 0;
    options.runtime.read_iops = read_iops;
    options.runtime.write_iops = write_iops;
    options.runtime.read_attempts_max = 3;
    return options;
  }
  static u64 size(const Grid::Options& options) {
    Arena measure;
    Grid::measure(measure, options);
    return measure.used();
  }

  TestGrid(Storage& storage, const Grid::Options& options)
      : arena(size(options)), grid(storage, *arena, options) {
    REQUIRE(arena.exhausted());
    grid.set_cluster(cluster);
  }
  Grid* operator->() { return &grid; }

  TestArena arena;
  Grid grid;
};

struct AlignedBlock {
  alignas(4096) std::byte bytes[4096];
};

struct TestRead {
  explicit TestRead(BlockReference block) {
    read.block = block;
    read.tag.purpose = IoPurpose::lookup;
    read.done = Callback<Grid::Read&>::to<&TestRead::done>(this);
  }
  void done(Grid::Read&) {
    ++done_count;
    if (read.data != nullptr) {
      header = header_of(read.data);
      fill = *body_of(read.data);
    }
    if (then != nullptr) then->read(*next);
  }
  bool good() const {
    return done_count == 1 && read.result == BlockResult::valid && header.address == read.block.address &&
           header.checksum == read.block.checksum;
  }

  Grid::Read read;
  u32 done_count = 0;
  BlockHeader header{};
  std::byte fill{};
  Grid* then = nullptr;  // Reads `next` in the callback.
  Grid::Read* next = nullptr;
  AlignedBlock buffer;
};

struct TestWrite {
  // Seals a block for the address.
  TestWrite(u64 address, u8 fill, u32 size = 700) {
    block_init(block.bytes);
    std::memset(body_of(block.bytes), fill, size - block_header_size);
    const BlockSeal seal{.type = BlockType::value,
                         .address = address,
                         .snapshot = 0,
                         .size = size,
                         .cluster = TestGrid::cluster};
    reference = {.address = address, .checksum = block_seal(block.bytes, seal, TestGrid::sector_size)};
    write.block = block.bytes;
    write.tag.purpose = IoPurpose::compact_write;
    write.done = Callback<Grid::Write&>::to<&TestWrite::done>(this);
  }
  void done(Grid::Write&) { ++done_count; }

  Grid::Write write;
  u32 done_count = 0;
  BlockReference reference;
  AlignedBlock block;
};

class MarksSeen {
 public:
  MarksSeen() : old_(set_mark_hook({.context = counts_, .hit = &hit})) {}
  ~MarksSeen() { (void)set_mark_hook(old_); }
  MarksSeen(const MarksSeen&) = delete;
  u32 operator[](Mark event) const { return counts_[static_cast<u32>(event)]; }

 private:
  static void hit(void* context, Mark event, u16, const Key*) {
    ++static_cast<u32*>(context)[static_cast<u32>(event)];
  }
  u32 counts_[mark_count] = {};
  MarkHook old_;
};

}  // namespace tonearm
