// Memory that was given back is not touched again: under the address sanitizer its use is reported.
#include "base/sanitizer.h"

#include <catch2/catch.hpp>

#include "grid/grid.h"
#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

// Not inlined: of an object it can see the compiler leaves out the check.
[[gnu::noinline]] void use(const std::byte* at) {
  volatile std::byte byte = *at;
  (void)byte;
}

struct Fixture {
  Fixture() : storage(64 * TestGrid::block_size), grid(storage, TestGrid::options(1, 1)) {
    grid->free_set().open_empty();
    Reservation reservation = *grid->reserve(1);
    TestWrite write(grid->acquire(reservation), 7);
    grid->forfeit(reservation);
    grid->write(write.write);
    storage.run();
    block = write.reference;
  }
  // Frees the address and acquires it again, upon which the block leaves the cache.
  void recycle() {
    grid->release(block.address);
    grid->free_set().mark_checkpoint_not_durable();
    grid->free_set().mark_checkpoint_durable();
    grid->free_set().mark_checkpoint_not_durable();
    grid->free_set().mark_checkpoint_durable();
    Reservation reservation = *grid->reserve(1);
    REQUIRE(grid->acquire(reservation) == block.address);
    grid->forfeit(reservation);
  }

  TestStorage storage;
  TestGrid grid;
  BlockReference block;
};

}  // namespace

TEST_CASE("a use of poisoned memory is reported, and of memory taken back is not", "[sanitizer]") {
  alignas(8) static std::byte pool[64];
  poison(pool, 32);
  CHECK(sim::uses_poisoned([] { use(pool + 31); }) == poison_works);
  CHECK_FALSE(sim::uses_poisoned([] { use(pool + 32); }));
  unpoison(pool, 32);
  CHECK_FALSE(sim::uses_poisoned([] { use(pool + 31); }));
}

TEST_CASE("a cache slot is not used after its block left, nor behind its block", "[sanitizer]") {
  Fixture f;
  const std::byte* data = f.grid->cached(f.block);
  REQUIRE(data != nullptr);
  const u64 end = header_of(data).size;
  CHECK_FALSE(sim::uses_poisoned([&] { use(data + end - 1); }));
  CHECK(sim::uses_poisoned([&] { use(data + end); }) == poison_works);
  f.recycle();
  CHECK(f.grid->cached(f.block) == nullptr);
  CHECK(sim::uses_poisoned([&] { use(data); }) == poison_works);
  CHECK(sim::uses_poisoned([&] { use(data + end - 1); }) == poison_works);
  // A shorter block: what was behind it is gone too.
  TestWrite shorter(f.block.address, 8, 300);
  f.grid->write(shorter.write);
  f.storage.run();
  data = f.grid->cached(shorter.reference);
  REQUIRE(data != nullptr);
  CHECK_FALSE(sim::uses_poisoned([&] { use(data + 299); }));
  CHECK(sim::uses_poisoned([&] { use(data + 300); }) == poison_works);
}

TEST_CASE("what a read shows is not used after its callback", "[sanitizer]") {
  Fixture f;
  TestRead read(f.block);
  read.read.cache_read = false;
  f.grid->read(read.read);
  f.storage.run();
  REQUIRE(read.good());  // The callback looked at it.
  const std::byte* data = read.read.data;
  CHECK(sim::uses_poisoned([&] { use(data); }) == poison_works);
  // Into a buffer of its owner: that is his.
  TestRead own(f.block);
  own.read.cache_read = false;
  own.read.buffer = own.buffer.bytes;
  f.grid->read(own.read);
  f.storage.run();
  REQUIRE(own.good());
  CHECK_FALSE(sim::uses_poisoned([&] { use(own.read.data); }));
}

}  // namespace tonearm
