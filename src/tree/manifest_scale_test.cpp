// The containers of the manifest at the size of production: growth 8, seven levels, 2.4 million tables.
#include <catch2/catch.hpp>
#include <memory>
#include <random>

#include "base/options.h"
#include "tree/manifest_level.h"
#include "tree/table_extents.h"

namespace tonearm {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr u32 levels = 5;  // 37,448 tables: each access costs ten.
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr u32 levels = 5;
#else
constexpr u32 levels = 7;
#endif
#else
constexpr u32 levels = 7;
#endif
constexpr u32 growth = 8;
constexpr u64 operations = 100'000;

TableInfo table_of(u64 number) {
  TableInfo table{};
  table.key_min = Key::of(u128{number} * 16);
  table.key_max = Key::of(u128{number} * 16 + 9);
  table.address = number + 1;
  table.snapshot_min = 1;
  table.snapshot_max = snapshot_max_live;
  table.value_count = 1;
  table.tree_id = 1;
  return table;
}

// Memory that is not touched before it is used.
class Buffer {
 public:
  explicit Buffer(u64 size) : size_(size), bytes_(new std::byte[size + Arena::align_max]) {}
  std::span<std::byte> span() {
    const u64 misaligned = reinterpret_cast<std::uintptr_t>(bytes_.get()) % Arena::align_max;
    return {bytes_.get() + (Arena::align_max - misaligned) % Arena::align_max, size_};
  }

 private:
  u64 size_;
  std::unique_ptr<std::byte[]> bytes_;
};

// One level of so many tables and the extents of all: table `number` is there iff its bit is set.
struct Scale {
  explicit Scale(u64 tables)
      : tables_max(tables),
        buffer(size(tables)),
        arena(buffer.span()),
        pool(arena, ManifestLevel::nodes_max(tables)),
        level(pool, arena, tables),
        extents(arena, tables),
        present(tables) {
    REQUIRE(arena.used() == size(tables));
  }
  static u64 size(u64 tables) {
    Arena measure;
    NodePool::measure(measure, ManifestLevel::nodes_max(tables));
    ManifestLevel::measure(measure, tables);
    TableExtents::measure(measure, tables);
    return measure.used();
  }

  void insert(u64 number) {
    level.insert(table_of(number));
    extents.insert(number + 1, {.block = number % 1000 + 1, .entry = 0});
    present[number] = true;
    ++count;
  }
  void remove(u64 number) {
    level.remove(table_of(number));
    extents.remove(number + 1);
    present[number] = false;
    --count;
  }
  // In the table, or in the gap behind it.
  bool answers(u64 number, u64 offset) const {
    const TableInfo* found = level.find(Key::of(u128{number} * 16 + offset));
    if (extents.contains(number + 1) != present[number]) return false;
    if (!present[number] || offset > 9) return found == nullptr;
    return found != nullptr && *found == table_of(number);
  }

  u64 tables_max;
  Buffer buffer;
  Arena arena;
  NodePool pool;
  ManifestLevel level;
  TableExtents extents;
  std::vector<bool> present;
  u64 count = 0;
};

}  // namespace

TEST_CASE("the manifest's containers hold the tables of production", "[manifest_level][scale]") {
  FormatOptions format;
  format.growth = growth;
  format.levels = levels;
  const u64 tables = tree_tables_max(format, u64_max);
  if (levels == 7) REQUIRE(tables == 2'396'744);

  Scale scale(tables);
  for (u64 number = 0; number < tables; ++number) scale.insert(number);
  REQUIRE(scale.level.count() == tables);
  WARN(tables << " tables: " << (Scale::size(tables) >> 20) << " MiB reserved, "
              << (scale.pool.count_acquired() * scale.pool.node_size() >> 20) << " MiB of nodes in use");

  std::mt19937_64 random(1);
  u64 wrong = 0;
  u64 removed = 0;
  for (u64 i = 0; i < operations; ++i) {
    const u64 number = random() % tables;
    if (i % 4 == 0) {
      removed += scale.present[number] ? 1 : 0;
      scale.present[number] ? scale.remove(number) : scale.insert(number);
    } else {
      wrong += scale.answers(number, random() % 16) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
  CHECK(removed > operations / 8);
  CHECK(scale.level.count() == scale.count);
  CHECK(scale.extents.count() == scale.count);
  scale.level.assert_valid();

  // The next ones at the ends and in the middle.
  for (const u64 number : {u64{0}, tables / 2, tables - 2}) {
    u64 after = number + 1;
    while (after < tables && !scale.present[after]) ++after;
    const KeyRange all{.min = Key{}, .max = Key{.lo = u128_max, .hi = u128_max}};
    const Key exclusive = Key::of(u128{number} * 16 + 9);
    const TableInfo* next = scale.level.next(all, &exclusive, Direction::ascending);
    REQUIRE((next == nullptr) == (after == tables));
    if (next != nullptr) REQUIRE(*next == table_of(after));
  }
}

}  // namespace tonearm
