#include "tree/table_extents.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {
u64 memory_size(u64 count_max) {
  Arena measure;
  TableExtents::measure(measure, count_max);
  return measure.used();
}
}  // namespace

TEST_CASE("extents are a map", "[table_extents]") {
  for (const u64 count_max : {1U, 2U, 7U, 64U, 300U}) {
    TestArena arena(memory_size(count_max));
    TableExtents extents(*arena, count_max);
    REQUIRE(arena.exhausted());
    std::map<u64, TableExtents::Location> model;
    std::mt19937 random(static_cast<u32>(count_max));
    for (u32 step = 0; step < 20000; ++step) {
      const u64 table = 1 + random() % (2 * count_max);
      const TableExtents::Location location{.block = 1 + random() % 1000,
                                            .entry = static_cast<u32>(random() % 65536)};
      if (!model.contains(table)) {
        if (model.size() == count_max) continue;
        extents.insert(table, location);
        model[table] = location;
      } else if (random() % 3 == 0) {
        extents.update(table, location);
        model[table] = location;
      } else {
        extents.remove(table);
        model.erase(table);
      }
      if (step % 8 != 0) continue;
      bool equal = extents.count() == model.size();
      for (u64 at = 1; at <= 2 * count_max; ++at) {
        equal &= extents.contains(at) == model.contains(at);
        if (model.contains(at)) equal &= extents.at(at, model[at]);
        if (model.contains(at)) equal &= !extents.at(at, {model[at].block + 1, model[at].entry});
      }
      REQUIRE(equal);
    }
  }
}

TEST_CASE("an extent is inserted once and must be there to be changed", "[table_extents]") {
  TestArena arena(memory_size(2));
  TableExtents extents(*arena, 2);
  extents.insert(5, {.block = 1, .entry = 2});
  REQUIRE(sim::dies([&] { extents.insert(5, {.block = 1, .entry = 3}); }));
  REQUIRE(sim::dies([&] { extents.update(6, {.block = 1, .entry = 3}); }));
  REQUIRE(sim::dies([&] { extents.remove(6); }));
  extents.insert(6, {.block = 1, .entry = 3});
  REQUIRE(sim::dies([&] { extents.insert(7, {.block = 1, .entry = 4}); }));
}

}  // namespace tonearm
