#include "grid/checkpoint_trailer.h"

#include <catch2/catch.hpp>
#include <random>
#include <string_view>

#include "grid/test_storage.h"
#include "sim/disk/sim_storage.h"

namespace tonearm {

namespace {

constexpr u32 block_size = 1024;
constexpr u32 chunk = block_size - block_header_size;
constexpr u64 size_max = 20 * chunk + 8;

u64 trailer_memory() {
  Arena measure;
  CheckpointTrailer::measure(measure, size_max, block_size);
  return measure.used();
}

struct Trailer {
  explicit Trailer(Grid& grid) : arena(trailer_memory()), trailer(grid, *arena, size_max) {
    REQUIRE(arena.exhausted());
    REQUIRE(trailer.payload().size() == size_max);
  }
  void done() { ++done_count; }
  Callback<> callback() { return Callback<>::to<&Trailer::done>(this); }
  CheckpointTrailer* operator->() { return &trailer; }

  TestArena arena;
  CheckpointTrailer trailer;
  u32 done_count = 0;
};

std::vector<std::byte> payload_of(u64 size, u64 seed = 1) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> payload(size);
  for (std::byte& byte : payload) byte = static_cast<std::byte>(random());
  return payload;
}

// A disk with one grid that writes, and another one, just opened, that reads.
struct Fixture {
  Fixture()
      : storage(64 * block_size),
        grid(storage, TestGrid::options(2, 2)),
        opened(storage, TestGrid::options(2, 2)) {
    grid->free_set().open_empty();
    Reservation hole = *grid->reserve(3);
    (void)grid->acquire(hole);
    grid->forfeit(hole);
  }

  TrailerReference write(const std::vector<std::byte>& payload) {
    Trailer trailer(grid.grid);
    std::copy(payload.begin(), payload.end(), trailer->payload().begin());
    const u32 blocks = CheckpointTrailer::blocks_for(payload.size(), block_size);
    Reservation reservation = *grid->reserve(std::max(blocks, 1U));
    trailer->write(payload.size(), reservation, trailer.callback());
    REQUIRE(trailer.done_count == 0);
    storage.run();
    REQUIRE(trailer.done_count == 1);
    REQUIRE_FALSE(trailer->error());
    REQUIRE(reservation.left == std::max(blocks, 1U) - blocks);
    grid->forfeit(reservation);
    addresses.assign(trailer->addresses().begin(), trailer->addresses().end());
    REQUIRE(addresses.size() == blocks);
    return trailer->reference();
  }

  Error open(const TrailerReference& reference) {
    Trailer trailer(opened.grid);
    trailer->open(reference, trailer.callback());
    REQUIRE(trailer.done_count == 0);
    storage.run();
    REQUIRE(trailer.done_count == 1);
    REQUIRE(opened->idle());
    if (!trailer->error()) {
      REQUIRE(std::vector(trailer->addresses().begin(), trailer->addresses().end()) == addresses);
      read.assign(trailer->payload().begin(),
                  trailer->payload().begin() + static_cast<std::ptrdiff_t>(reference.size));
    }
    return trailer->error();
  }

  std::byte* medium(u64 address) { return &storage.bytes[(address - 1) * block_size]; }
  // Seals a block of the chain again after a change; what refers to it does not know.
  BlockReference reseal(u64 address) {
    AlignedBlock block;
    std::memcpy(block.bytes, medium(address), block_size);
    const BlockHeader header = header_of(block.bytes);
    const BlockSeal seal{.type = header.block_type,
                         .address = address,
                         .snapshot = 0,
                         .size = header.size,
                         .cluster = header.cluster};
    const Checksum checksum = block_seal(block.bytes, seal, 512);
    std::memcpy(medium(address), block.bytes, block_size);
    return {.address = address, .checksum = checksum};
  }

  TestStorage storage;
  TestGrid grid;
  TestGrid opened;
  std::vector<u64> addresses;
  std::vector<std::byte> read;
};

void require_damaged(const Error& error, u64 address, std::string_view reason) {
  REQUIRE(error.kind == ErrorKind::block_damaged);
  REQUIRE(error.address == address);
  REQUIRE(error.reason == reason);
}

}  // namespace

TEST_CASE("a trailer comes back as it was written", "[checkpoint_trailer]") {
  for (const u64 size :
       {u64{0}, u64{1}, u64{chunk - 1}, u64{chunk}, u64{chunk + 1}, u64{2 * chunk}, size_max}) {
    Fixture f;
    const MarksSeen marks;
    const std::vector<std::byte> payload = payload_of(size);
    const TrailerReference reference = f.write(payload);
    REQUIRE(marks[Mark::checkpoint_trailer_chained] == (size > chunk ? 1 : 0));
    REQUIRE(reference.size == size);
    REQUIRE(reference.checksum == checksum_of(payload));
    REQUIRE(f.addresses.size() == (size + chunk - 1) / chunk);
    for (u32 i = 0; i < f.addresses.size(); ++i) REQUIRE(f.addresses[i] == 2 + i);
    REQUIRE(reference.last.address == (size == 0 ? 0 : f.addresses.back()));
    REQUIRE_FALSE(f.open(reference));
    REQUIRE(f.read == payload);
    REQUIRE(f.opened->counters().reads_storage == f.addresses.size());
  }
}

TEST_CASE("an empty trailer makes its mark", "[checkpoint_trailer]") {
  const MarksSeen marks;
  Fixture f;
  const TrailerReference reference = f.write({});
  REQUIRE(marks[Mark::checkpoint_unchanged_trailer] == 1);
  REQUIRE(reference.checksum == checksum_empty());
  REQUIRE(reference.last == BlockReference{});
  TrailerReference wrong = reference;
  wrong.checksum = 0;
  require_damaged(f.open(wrong), 0, "an empty trailer's checksum");
}

TEST_CASE("a trailer read goes past the cache", "[checkpoint_trailer]") {
  Fixture f;
  const TrailerReference reference = f.write(payload_of(3 * chunk));
  REQUIRE_FALSE(f.open(reference));
  REQUIRE_FALSE(f.open(reference));
  REQUIRE(f.opened->counters().reads_storage == 6);
  REQUIRE(f.opened->counters().reads_cache == 0);

  // Nor does it take the blocks from the cache that the writes left.
  Trailer trailer(f.grid.grid);
  trailer->open(reference, trailer.callback());
  f.storage.run();
  REQUIRE(trailer.done_count == 1);
  REQUIRE(f.grid->counters().reads_storage == 3);
  REQUIRE(f.grid->counters().reads_cache == 0);
}

TEST_CASE("damage in a trailer's chain names the block", "[checkpoint_trailer]") {
  Fixture f;
  const TrailerReference reference = f.write(payload_of(3 * chunk - 5));
  for (u32 i = 0; i < 3; ++i) {
    std::byte& byte = f.medium(f.addresses[i])[300];
    byte ^= std::byte{1};
    const Error error = f.open(reference);
    require_damaged(error, f.addresses[i], "invalid_checksum_body");
    REQUIRE(error.checksum == header_of(f.medium(f.addresses[i])).checksum);
    byte ^= std::byte{1};
  }
  REQUIRE_FALSE(f.open(reference));
  f.storage.reads_failing = 3;
  require_damaged(f.open(reference), f.addresses[2], "read_failed");
}

TEST_CASE("authentic blocks that do not form the chain are refused", "[checkpoint_trailer]") {
  Fixture f;
  TrailerReference reference = f.write(payload_of(2 * chunk));
  const u64 last = f.addresses[1];
  CheckpointTrailer::Metadata& metadata = metadata_of<CheckpointTrailer::Metadata>(f.medium(last));
  const auto resealed = [&] {
    TrailerReference changed = reference;
    changed.last = f.reseal(last);
    return changed;
  };

  SECTION("more blocks than the size says") {
    reference.size = chunk;
    require_damaged(f.open(reference), last, "the first trailer block refers to another one");
  }
  SECTION("fewer blocks than the size says") {
    reference.size = 3 * chunk;
    require_damaged(f.open(reference), f.addresses[0], "the trailer's chain ends too early");
  }
  SECTION("another size of the last block") {
    reference.size = 2 * chunk - 1;
    require_damaged(f.open(reference), last, "a trailer block has another size");
  }
  SECTION("another payload") {
    reference.checksum += 1;
    require_damaged(f.open(reference), last, "the trailer's payload has another checksum");
  }
  SECTION("a reference out of range") {
    for (const u64 address : {u64{0}, u64{65}, u64_max}) {
      TrailerReference wrong = reference;
      wrong.last.address = address;
      require_damaged(f.open(wrong), address, "address out of range");
      if (address == 0) continue;
      metadata.previous_address = address;
      require_damaged(f.open(resealed()), last, "address out of range");
    }
  }
  SECTION("the last block there is") {
    TrailerReference wrong = reference;
    wrong.last.address = 64;
    require_damaged(f.open(wrong), 64, "invalid_checksum");
    metadata.previous_address = 64;
    require_damaged(f.open(resealed()), 64, "invalid_checksum");
  }
  SECTION("another type") {
    header_of(f.medium(last)).block_type = BlockType::manifest;
    require_damaged(f.open(resealed()), last, "not a trailer block");
  }
  SECTION("reserved bytes") {
    metadata.reserved[55] = 1;
    require_damaged(f.open(resealed()), last, "a trailer block's reserved bytes are not zero");
  }
  SECTION("a payload larger than there is room for") {
    reference.size = size_max + 1;
    const Error error = f.open(reference);
    REQUIRE(error.kind == ErrorKind::storage_size);
    REQUIRE(error.stored == size_max + 1);
    REQUIRE(error.given == size_max);
  }
  SECTION("a block for nothing") {
    reference.size = 0;
    reference.checksum = checksum_empty();
    require_damaged(f.open(reference), last, "an empty trailer has a block");
  }
}

TEST_CASE("a trailer block that cannot be written is reported after all others", "[checkpoint_trailer]") {
  Fixture f;
  Trailer trailer(f.grid.grid);
  Reservation reservation = *f.grid->reserve(3);
  f.storage.writes_failing = 6;  // Three attempts each of the first two, which run at once.
  trailer->write(3 * chunk, reservation, trailer.callback());
  f.storage.run();
  REQUIRE(trailer.done_count == 1);
  REQUIRE(f.grid->idle());
  REQUIRE(trailer->error().kind == ErrorKind::write_failed);
  REQUIRE(trailer->error().address == 2);

  // The next one is not affected.
  trailer->write(0, reservation, trailer.callback());
  f.storage.run();
  REQUIRE(trailer.done_count == 2);
  REQUIRE_FALSE(trailer->error());
}

// The free set through its trailers and back, over a disk that reorders.
TEST_CASE("the free set survives a checkpoint", "[checkpoint_trailer]") {
  const sim::DiskOptions disk{
      .sector_size = 512,
      .block_size = block_size,
      .blocks_count = 64,
      .read = {.latency_ticks_min = 1, .latency_ticks_mean = 20},
      .write = {.latency_ticks_min = 1, .latency_ticks_mean = 40},
      .seed = 5,
  };
  sim::PageStore pages;
  sim::SimStorage storage(pages, disk, nullptr);
  const auto run = [&] {
    while (storage.step()) continue;
  };
  TestGrid grid(storage, TestGrid::options(2, 2));
  grid->free_set().open_empty();
  Reservation reservation = *grid->reserve(20);
  while (reservation.left > 0) (void)grid->acquire(reservation);
  grid->forfeit(reservation);
  for (u64 address = 2; address < 20; address += 3) grid->release(address);

  Trailer acquired(grid.grid);
  Trailer released(grid.grid);
  const u64 acquired_size = grid->free_set().encode_acquired(acquired->payload());
  const u64 released_size = grid->free_set().encode_released(released->payload());
  Reservation trailers = *grid->reserve(2);
  acquired->write(acquired_size, trailers, acquired.callback());
  released->write(released_size, trailers, released.callback());
  run();
  grid->forfeit(trailers);
  REQUIRE(acquired.done_count + released.done_count == 2);

  TestGrid reopened(storage, TestGrid::options(1, 1));
  Trailer acquired_read(reopened.grid);
  Trailer released_read(reopened.grid);
  acquired_read->open(acquired->reference(), acquired_read.callback());
  released_read->open(released->reference(), released_read.callback());
  run();
  REQUIRE_FALSE(acquired_read->error());
  REQUIRE_FALSE(released_read->error());
  const std::vector<u64> addresses = {acquired_read->addresses()[0], released_read->addresses()[0]};
  REQUIRE(addresses == std::vector<u64>{21, 22});
  FreeSet& set = reopened->free_set();
  REQUIRE(set.open(acquired_read->payload().first(acquired_size),
                   released_read->payload().first(released_size), addresses) == FreeSet::OpenResult::opened);
  REQUIRE(set.count_acquired() == 22);
  REQUIRE(set.count_released() == 8);
  set.mark_checkpoint_durable();
  REQUIRE(set.count_acquired() == 16);
  REQUIRE(set.count_released() == 2);
  REQUIRE(set.is_free(2));
  REQUIRE(set.is_released(21));
}

}  // namespace tonearm
