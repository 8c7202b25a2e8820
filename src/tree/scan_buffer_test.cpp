#include "tree/scan_buffer.h"

#include <catch2/catch.hpp>
#include <set>

#include "base/sanitizer.h"
#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

constexpr FormatOptions format = {.sector_size = 512, .block_size = 1024, .levels = 3};

struct TestPool {
  explicit TestPool(u32 count, const FormatOptions& options = format)
      : arena(size(count, options)), pool(*arena, options, count) {
    REQUIRE(arena.exhausted());
  }
  ~TestPool() { (*arena).give_back(); }
  static u64 size(u32 count, const FormatOptions& options) {
    Arena arena;
    ScanBufferPool::measure(arena, options, count);
    return arena.used();
  }
  TestArena arena;
  ScanBufferPool pool;
};

}  // namespace

TEST_CASE("scan buffers: as many as there are, each once, in any order") {
  TestPool test(3);
  ScanBufferPool& pool = test.pool;
  MarksSeen marks;
  CHECK(pool.max() == 3);
  CHECK(pool.used() == 0);
  std::vector<ScanBuffer*> taken;
  for (u32 i = 0; i < 3; ++i) {
    taken.push_back(pool.acquire());
    REQUIRE(taken.back() != nullptr);
    CHECK(pool.used() == i + 1);
  }
  CHECK(marks[Mark::scan_buffers_full] == 0);
  CHECK(pool.acquire() == nullptr);
  CHECK(marks[Mark::scan_buffers_full] == 1);
  CHECK(taken[0] != taken[1]);
  CHECK(taken[0] != taken[2]);
  CHECK(taken[1] != taken[2]);

  pool.release(*taken[1]);
  CHECK(pool.used() == 2);
  CHECK(&pool.acquire_assume_capacity() == taken[1]);
  CHECK(pool.acquire() == nullptr);
  for (const u32 i : {2U, 0U, 1U}) pool.release(*taken[i]);
  CHECK(pool.used() == 0);
}

TEST_CASE("scan buffers: every block of every level of every buffer is another one") {
  TestPool test(4);
  std::set<std::ptrdiff_t> blocks;  // From the first one on.
  const std::byte* first = nullptr;
  for (u32 i = 0; i < 4; ++i) {
    const ScanBuffer& buffer = test.pool.acquire_assume_capacity();
    CHECK(buffer.level_count == 3);
    CHECK(buffer.memory.size() == u64{3} * 2 * 1024);
    for (u32 level = 0; level < 3; ++level) {
      for (const std::byte* block : {buffer.levels[level].index_block, buffer.levels[level].value_block}) {
        CHECK(block >= buffer.memory.data());
        CHECK(block + 1024 <= buffer.memory.data() + buffer.memory.size());
        CHECK(reinterpret_cast<std::uintptr_t>(block) % 512 == 0);
        if (first == nullptr) first = block;
        CHECK(blocks.insert(block - first).second);
      }
    }
  }
  CHECK(blocks.size() == 4 * 3 * 2);
  std::ptrdiff_t end = *blocks.begin();
  for (const std::ptrdiff_t block : blocks) {
    CHECK(end <= block);
    end = block + 1024;
  }
}

TEST_CASE("scan buffers: there may be as many levels as a tree can have") {
  FormatOptions options = format;
  options.levels = levels_max;
  TestPool test(2, options);
  const ScanBuffer& buffer = test.pool.acquire_assume_capacity();
  CHECK(buffer.level_count == levels_max);
  CHECK(buffer.levels.back().value_block + 1024 == buffer.memory.data() + buffer.memory.size());
}

TEST_CASE("scan buffers: reset takes all of them back") {
  TestPool test(2);
  ScanBuffer* first = test.pool.acquire();
  (void)test.pool.acquire();
  test.pool.reset();
  CHECK(test.pool.used() == 0);
  CHECK(test.pool.acquire() == first);
  CHECK(test.pool.acquire() != nullptr);
  CHECK(test.pool.acquire() == nullptr);
}

TEST_CASE("scan buffers: misuse ends the process") {
  TestPool test(2);
  ScanBuffer& buffer = test.pool.acquire_assume_capacity();
  ScanBuffer foreign;
  CHECK(sim::dies([&] { test.pool.release(foreign); }));
  CHECK(sim::dies([&] {
    test.pool.release(buffer);
    test.pool.release(buffer);
  }));
  buffer.scanned = true;
  CHECK(sim::dies([&] { test.pool.release(buffer); }));
  CHECK(sim::dies([&] { test.pool.reset(); }));
  buffer.scanned = false;
  (void)test.pool.acquire();
  CHECK(sim::dies([&] { (void)test.pool.acquire_assume_capacity(); }));
  if (poison_works) CHECK(sim::uses_poisoned([&] { buffer.memory[17] = std::byte{1}; }));
}

}  // namespace tonearm
