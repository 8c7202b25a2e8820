// Random histories of segmented arrays that share one pool, against plain vectors.
#include "tree/segmented_array.h"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

struct Element {
  u64 key;
  u64 value;
  friend bool operator==(const Element&, const Element&) = default;
};

using Array = SegmentedArray<Element>;

u64 memory_size(u64 count_max, u32 node_size) {
  Arena measure;
  NodePool::measure(measure, 2 * Array::nodes_max(count_max, node_size), node_size);
  Array::measure(measure, count_max, node_size);
  Array::measure(measure, count_max, node_size);
  return measure.used();
}

class History {
 public:
  History(u32 seed, u64 count_max, u32 node_size)
      : random_(seed),
        count_max_(count_max),
        arena_(memory_size(count_max, node_size)),
        pool_(*arena_, 2 * Array::nodes_max(count_max, node_size), node_size),
        arrays_{Array(pool_, *arena_, count_max), Array(pool_, *arena_, count_max)} {
    REQUIRE(arena_.exhausted());
  }

  // Percent of the steps that insert; positions crowd at one place or spread.
  void phase(u32 steps, u32 insert_percent, bool crowd) {
    for (u32 i = 0; i < steps; ++i) {
      const u32 which = static_cast<u32>(random_() % 2);
      std::vector<Element>& model = models_[which];
      Array& array = arrays_[which];
      if (random_() % 100 < insert_percent) {
        if (model.size() == count_max_) continue;
        const u64 index = crowd ? model.size() / 3 : random_() % (model.size() + 1);
        insert(array, model, index);
      } else if (!model.empty()) {
        const u64 index = crowd ? model.size() / 3 : random_() % model.size();
        array.remove(index);
        model.erase(model.begin() + static_cast<std::ptrdiff_t>(index));
      }
      probe(array, model);
    }
    for (u32 i = 0; i < 2; ++i) compare(arrays_[i], models_[i]);
    REQUIRE(pool_.count_acquired() == arrays_[0].node_count() + arrays_[1].node_count());
  }

  void drain() {
    for (u32 i = 0; i < 2; ++i) {
      while (!models_[i].empty()) {
        const u64 index = random_() % models_[i].size();
        arrays_[i].remove(index);
        models_[i].erase(models_[i].begin() + static_cast<std::ptrdiff_t>(index));
        arrays_[i].assert_valid();
      }
      compare(arrays_[i], models_[i]);
    }
    REQUIRE(pool_.count_acquired() == 0);
  }

 private:
  // Keys stay in order, and equal ones are common.
  void insert(Array& array, std::vector<Element>& model, u64 index) {
    const u64 low = index == 0 ? 0 : model[index - 1].key;
    const u64 high = index == model.size() ? low + 4 : model[index].key;
    const Element element{.key = low + random_() % (high - low + 1), .value = random_()};
    array.insert(index, element);
    model.insert(model.begin() + static_cast<std::ptrdiff_t>(index), element);
    REQUIRE(array.at(index) == element);
  }

  void probe(const Array& array, const std::vector<Element>& model) {
    REQUIRE(array.count() == model.size());
    const u64 key = model.empty() ? 1 : model[random_() % model.size()].key + random_() % 2;
    const auto before = [&](const Element& element) { return element.key < key; };
    const auto found = std::partition_point(model.begin(), model.end(), before);
    REQUIRE(array.partition_point(before) == static_cast<u64>(found - model.begin()));
    const auto* const first = array.partition_find(before);
    REQUIRE((first != nullptr) == (found != model.end()));
    if (first != nullptr) REQUIRE(*first == *found);
  }

  static void compare(const Array& array, const std::vector<Element>& model) {
    array.assert_valid();
    REQUIRE(array.count() == model.size());
    bool equal = true;
    u64 index = 0;
    for (Array::Cursor cursor = array.cursor(); !cursor.end(); cursor.next(), ++index) {
      equal &= cursor.index() == index && cursor.get() == model[index] && array.at(index) == model[index];
    }
    REQUIRE(index == model.size());
    REQUIRE(equal);
  }

  std::mt19937 random_;
  u64 count_max_;
  TestArena arena_;
  NodePool pool_;
  std::array<Array, 2> arrays_;
  std::array<std::vector<Element>, 2> models_;
};

}  // namespace

TEST_CASE("a segmented array is an array, for every size of its nodes", "[segmented_array]") {
  for (const u32 node_size : {64U, 128U, 192U, 256U, 576U, 1024U, 4096U}) {
    for (u32 seed = 0; seed < 4; ++seed) {
      History history(seed, 700, node_size);
      history.phase(600, 90, seed % 2 == 0);
      history.phase(600, 30, false);
      history.phase(1500, 95, seed % 2 == 1);
      history.phase(500, 50, true);
      history.phase(500, 20, seed % 2 == 1);
      history.drain();
      history.phase(200, 80, false);
    }
  }
}

TEST_CASE("nodes of two elements", "[segmented_array]") {
  struct Wide {
    u64 words[4];
  };
  const u64 nodes = SegmentedArray<Wide>::nodes_max(50, 64);
  REQUIRE(nodes == 50);
  TestArena arena(1 << 16);
  NodePool pool(*arena, nodes, 64);
  SegmentedArray<Wide> array(pool, *arena, 50);
  std::mt19937 random(5);
  std::vector<u64> model;
  for (u32 step = 0; step < 5000; ++step) {
    const bool insert = model.empty() || (model.size() < 50 && random() % 5 < 3);
    const u64 index = random() % (model.size() + (insert ? 1 : 0));
    const auto place = model.begin() + static_cast<std::ptrdiff_t>(index);
    if (insert) {
      array.insert(index, Wide{.words = {step, step, step, step}});
      model.insert(place, step);
    } else {
      array.remove(index);
      model.erase(place);
    }
    array.assert_valid();
    for (u64 i = 0; i < model.size(); ++i) {
      if (array.at(i).words[3] != model[i]) FAIL("step " << step << " position " << i);
    }
  }
  REQUIRE(pool.count_acquired() == array.node_count());
}

TEST_CASE("an element of the array may be inserted again", "[segmented_array]") {
  TestArena arena(1 << 16);
  NodePool pool(*arena, 16, 64);
  Array array(pool, *arena, 32);
  for (u64 i = 0; i < 4; ++i) array.insert(i, {.key = i, .value = i});
  array.insert(0, array.at(3));
  REQUIRE(array.at(0) == Element{.key = 3, .value = 3});
  REQUIRE(array.at(4) == Element{.key = 3, .value = 3});
}

TEST_CASE("misuse of a pool or an array is asserted", "[segmented_array]") {
  TestArena arena(1 << 16);
  NodePool pool(*arena, 2, 64);
  const u32 node = pool.acquire();
  REQUIRE(sim::dies([&] {
    pool.release(node);
    pool.release(node);
  }));
  REQUIRE(sim::dies([&] {
    (void)pool.acquire();
    (void)pool.acquire();
  }));
  Array array(pool, *arena, 1);
  array.insert(0, {});
  REQUIRE(sim::dies([&] { array.insert(0, {}); }));
  REQUIRE(sim::dies([&] { array.remove(1); }));
  REQUIRE(sim::dies([&] { (void)array.at(1); }));
}

TEST_CASE("a node of the pool is not used after its release", "[node_pool]") {
  Arena measure;
  NodePool::measure(measure, 4);
  TestArena arena(measure.used());
  NodePool pool(*arena, 4);
  const auto use = [](const std::byte* at) {
    volatile std::byte byte = *at;
    (void)byte;
  };
  const u32 node = pool.acquire();
  std::byte* data = pool.data(node);
  CHECK_FALSE(sim::uses_poisoned([&] { use(data + pool.node_size() - 1); }));
  CHECK(sim::uses_poisoned([&] { use(data + pool.node_size()); }) == poison_works);  // Never acquired.
  pool.release(node);
  CHECK(sim::uses_poisoned([&] { use(data + 100); }) == poison_works);
  REQUIRE(pool.acquire() == node);
  CHECK_FALSE(sim::uses_poisoned([&] { use(data + 100); }));
}

}  // namespace tonearm
