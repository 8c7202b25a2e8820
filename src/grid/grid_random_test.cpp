// Random histories of a grid over the simulated disk, against a map of what each address holds.
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>

#include "grid/grid.h"
#include "grid/test_storage.h"
#include "sim/disk/sim_storage.h"

namespace tonearm {

namespace {

class History {
 public:
  explicit History(u32 seed)
      : random_(seed), storage_(pages_, disk(seed), nullptr), grid_(storage_, options(seed)) {
    grid_->free_set().open_empty();
  }

  void step() {
    switch (random_() % 8) {
      case 0:
      case 1: write(); break;
      case 2:
      case 3:
      case 4: read(); break;
      case 5: release(); break;
      default:
        for (u64 steps = random_() % 6; steps > 0; --steps) storage_.step();
    }
  }

  // Lets everything finish, compares, and makes the released addresses free.
  void settle() {
    while (storage_.step()) continue;
    REQUIRE(grid_->idle());
    for (const TestRead& read : reads_) {
      REQUIRE(read.good());
      REQUIRE(read.fill == live_.at(read.read.block.address).fill);
    }
    for (const TestWrite& write : writes_) REQUIRE(write.done_count == 1);
    reads_.clear();
    writes_.clear();
    grid_->free_set().mark_checkpoint_not_durable();
    grid_->free_set().mark_checkpoint_durable();
    std::erase_if(live_, [&](const auto& entry) { return grid_->free_set().is_free(entry.first); });
  }

  const Grid::Counters& counters() { return grid_->counters(); }

 private:
  struct Live {
    BlockReference block;
    std::byte fill;
  };

  static sim::DiskOptions disk(u32 seed) {
    return {
        .sector_size = TestGrid::sector_size,
        .block_size = TestGrid::block_size,
        .blocks_count = 64,
        .read = {.latency_ticks_min = 1, .latency_ticks_mean = 20},
        .write = {.latency_ticks_min = 1, .latency_ticks_mean = 40},
        .policy = seed % 2 == 0 ? sim::CompletionPolicy::latency : sim::CompletionPolicy::uniform,
        .seed = seed,
    };
  }
  static Grid::Options options(u32 seed) {
    Grid::Options options = TestGrid::options(1 + seed % 3, 1 + seed % 2);
    options.runtime.cache_hash_bits = seed % 3 * 32;
    return options;
  }

  void write() {
    std::optional<Reservation> reservation = grid_->reserve(1);
    if (!reservation) return;
    const u64 address = grid_->acquire(*reservation);
    grid_->forfeit(*reservation);
    const u8 fill = static_cast<u8>(random_());
    TestWrite& write = writes_.emplace_back(address, fill, 257 + static_cast<u32>(random_() % 760));
    REQUIRE(live_.emplace(address, Live{.block = write.reference, .fill = std::byte{fill}}).second);
    grid_->write(write.write);
  }

  // Being written, written or released: all may be read.
  void read() {
    if (live_.empty()) return;
    const Live& live = std::next(live_.begin(), static_cast<i64>(random_() % live_.size()))->second;
    if (const std::byte* data = grid_->cached(live.block); data != nullptr) {
      REQUIRE(*body_of(data) == live.fill);
    }
    TestRead& read = reads_.emplace_back(live.block);
    if (random_() % 2 == 0) read.read.buffer = read.buffer.bytes;
    read.read.cache_read = random_() % 4 != 0;
    read.read.cache_write = random_() % 4 != 0;
    grid_->read(read.read);
  }

  void release() {
    if (live_.empty()) return;
    const u64 address = std::next(live_.begin(), static_cast<i64>(random_() % live_.size()))->first;
    if (!grid_->writing(address) && !grid_->free_set().is_released(address)) grid_->release(address);
  }

  std::mt19937_64 random_;
  sim::PageStore pages_;
  sim::SimStorage storage_;
  TestGrid grid_;
  std::map<u64, Live> live_;
  std::deque<TestWrite> writes_;
  std::deque<TestRead> reads_;
};

}  // namespace

TEST_CASE("reads return what was written, in any order of completion", "[grid]") {
  for (u32 seed = 0; seed < 12; ++seed) {
    History history(seed);
    for (u32 i = 0; i < 2000; ++i) {
      history.step();
      if (i % 100 == 99) history.settle();
    }
    REQUIRE(history.counters().reads_cache > 0);
    REQUIRE(history.counters().reads_storage > 0);
  }
}

}  // namespace tonearm
