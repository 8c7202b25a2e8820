#include "table/table_memory.h"

#include <catch2/catch.hpp>

#include "base/mark.h"
#include "table/test_values.h"

namespace tonearm {
namespace {

using namespace test;

struct Marks {
  Marks() { old = set_mark_hook({.context = this, .hit = &hit}); }
  ~Marks() { set_mark_hook(old); }
  static void hit(void* context, Mark mark, u16, const Key*) {
    ++static_cast<Marks*>(context)->counts[static_cast<u32>(mark)];
  }
  u32 count(Mark mark) const { return counts[static_cast<u32>(mark)]; }
  MarkHook old;
  std::array<u32, mark_count> counts{};
};

// Two tables as a tree has them, over one buffer full of garbage.
template <class T>
struct Fixture {
  explicit Fixture(u32 value_count_max) {
    layout.tree_id = 3;
    layout.key_size = kernel_of<T>().key_size();
    layout.value_size = kernel_of<T>().value_size();
    layout.value_count_max = value_count_max;
    Arena measure;
    TableMemory::measure(measure, layout);
    TableMemory::measure(measure, layout);
    buffer.resize(measure.used() + 2 * Arena::align_max, std::byte{0xA5});
    scratch_values.resize(value_count_max);
    scratch.bytes = std::as_writable_bytes(std::span(scratch_values));
    void* aligned = buffer.data();
    std::size_t space = buffer.size();
    REQUIRE(std::align(Arena::align_max, measure.used(), aligned, space) != nullptr);
    arena.emplace(std::span(static_cast<std::byte*>(aligned), measure.used()));
    first.emplace(*arena, layout, kernel_of<T>(), scratch, TableMemory::State::mutable_);
    second.emplace(*arena, layout, kernel_of<T>(), scratch, TableMemory::State::immutable);
    REQUIRE(arena->used() == measure.used());
  }

  static void put(TableMemory& table, const Row& row) {
    const auto value = value_of(T{}, row);
    table.put(reinterpret_cast<const std::byte*>(&value));
  }
  static std::vector<Row> rows(std::span<const std::byte> values) {
    return rows_of<T>(values.data(), values.size() / sizeof(typename T::Value));
  }

  TableLayout layout;
  ScratchMemory scratch;
  std::vector<typename T::Value> scratch_values;
  std::vector<std::byte> buffer;
  std::optional<Arena> arena;
  std::optional<TableMemory> first;
  std::optional<TableMemory> second;
};

constexpr u32 domain = 40;

// Newest version among rows in order of arrival.
std::optional<Row> newest(const std::vector<Row>& rows, const Key& key) {
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    if (row->key == key) return *row;
  }
  return std::nullopt;
}

// What get may answer: the newest version; or, where index versions may have cancelled out, what is
// left of them.
template <class T>
void check_get(const TableMemory& table, const std::vector<Row>& puts) {
  for (u32 index = 0; index < domain; ++index) {
    const Key key = domain_key(T{}, index);
    const std::byte* found = table.get(key);
    const std::optional<Row> expected = newest(puts, key);
    if (found != nullptr) {
      REQUIRE(expected.has_value());
      REQUIRE(row_of<T>(found) == *expected);
    } else if (expected.has_value()) {
      REQUIRE(T::usage == TableUsage::secondary_index);
      // Cancelled: as if none of an even number of versions had been put.
      const auto versions =
          std::count_if(puts.begin(), puts.end(), [&](const Row& row) { return row.key == key; });
      REQUIRE(versions % 2 == 0);
    }
  }
}

template <class T>
void check_runs(const TableMemory& table) {
  u32 count = 0;
  for (u32 index = 0; index < table.run_count(); ++index) {
    const std::vector<Row> rows = Fixture<T>::rows(table.run(index));
    REQUIRE(!rows.empty());
    for (u64 at = 1; at < rows.size(); ++at) REQUIRE(rows[at - 1].key < rows[at].key);
    count += static_cast<u32>(rows.size());
  }
  REQUIRE(count == table.count());
}

// One op: puts, in scopes of which some are discarded, reads and scans in between.
template <class T>
void run_op(Random& random, TableMemory& table, RowSource<T>& source, std::vector<Row>& puts, u32 puts_max) {
  u32 left = random.below(puts_max + 1);
  while (left > 0) {
    if (random.chance(20)) {
      table.sort_suffix();
      check_runs<T>(table);
    }
    const u32 count = 1 + random.below(left);
    left -= count;
    const TableMemory::ValueContext context = table.value_context();
    const std::vector<Row> puts_before = puts;
    const std::vector<bool> present_before = source.present();
    const bool ascending = random.chance(20);
    for (u32 index = 0; index < count; ++index) {
      puts.push_back(ascending ? source.at(index % domain) : source.next());
      Fixture<T>::put(table, puts.back());
    }
    if (random.chance(20)) check_get<T>(table, puts);
    if (random.chance(30)) {
      table.restore(context);
      REQUIRE(table.count() == context.count);
      puts = puts_before;
      source.present() = present_before;
    }
  }
  check_get<T>(table, puts);
  table.op_end();
  check_runs<T>(table);
  check_get<T>(table, puts);
}

}  // namespace

TEMPLATE_TEST_CASE("two memory tables follow a model through many bars", "[table_memory]", KvTraits,
                   IndexTraits, IdTraits, WideTraits) {
  Marks marks;
  Random random(7);
  for (u32 round = 0; round < 60; ++round) {
    const u32 beats = 2 + 2 * random.below(3);
    const u32 batch = 1 + random.below(30);
    Fixture<TestType> f(beats * batch);
    TableMemory* mutable_table = &*f.first;
    TableMemory* immutable_table = &*f.second;
    RowSource<TestType> source(random, domain, 30);
    std::vector<Row> immutable_puts;
    for (u32 bar = 1; bar <= 12; ++bar) {
      std::vector<Row> puts;
      for (u32 beat = 0; beat < beats; ++beat) run_op(random, *mutable_table, source, puts, batch);
      REQUIRE(mutable_table->puts_since_bar_start() == puts.size());
      const bool fits = immutable_table->count() + puts.size() <= immutable_table->capacity();
      if (!immutable_table->flushed() && fits && random.chance(50)) {
        const u32 puts_total =
            immutable_table->puts_since_bar_start() + mutable_table->puts_since_bar_start();
        immutable_table->absorb(*mutable_table, bar);
        immutable_puts.insert(immutable_puts.end(), puts.begin(), puts.end());
        REQUIRE(immutable_table->absorbed());
        REQUIRE(immutable_table->puts_since_bar_start() == puts_total);
        REQUIRE(mutable_table->empty());
        REQUIRE(mutable_table->puts_since_bar_start() == 0);
      } else {
        if (!immutable_table->flushed()) immutable_table->mark_flushed();
        immutable_table->make_mutable();
        REQUIRE(immutable_table->empty());
        mutable_table->make_immutable(bar);
        std::swap(mutable_table, immutable_table);
        immutable_puts = puts;
        REQUIRE(!immutable_table->absorbed());
      }
      REQUIRE(mutable_table->state() == TableMemory::State::mutable_);
      REQUIRE(mutable_table->run_count() == 0);
      REQUIRE(immutable_table->snapshot_min() == bar);
      REQUIRE(immutable_table->flushed() == immutable_table->empty());
      REQUIRE(Fixture<TestType>::rows(immutable_table->values()) == resolve<TestType>(immutable_puts));
      REQUIRE(immutable_table->run_count() == (immutable_table->empty() ? 0 : 1));
      check_get<TestType>(*immutable_table, immutable_puts);
      REQUIRE(!f.scratch.busy);
    }
  }
  const bool general = TestType::usage == TableUsage::general;
  CHECK((marks.count(Mark::table_memory_superseded) > 0) == general);
  CHECK((marks.count(Mark::table_memory_annihilated) > 0) == !general);
  CHECK(marks.count(Mark::table_memory_absorbed) > 0);
}

TEST_CASE("reads change neither the raw put count nor the table that results", "[table_memory]") {
  Random random(8);
  for (u32 round = 0; round < 50; ++round) {
    Fixture<IndexTraits> read(64);
    Fixture<IndexTraits> quiet(64);
    RowSource<IndexTraits> source(random, 10, 0);
    for (u32 index = 0; index < 64; ++index) {
      const Row row = source.next();
      read.put(*read.first, row);
      quiet.put(*quiet.first, row);
      if (random.chance(30)) read.first->sort_suffix();
      if (index % 16 == 15) {
        read.first->op_end();
        quiet.first->op_end();
      }
    }
    REQUIRE(read.first->puts_since_bar_start() == 64);
    REQUIRE(quiet.first->puts_since_bar_start() == 64);
    read.first->make_immutable(1);
    quiet.first->make_immutable(1);
    REQUIRE(read.rows(read.first->values()) == quiet.rows(quiet.first->values()));
  }
}

SCENARIO("cancellation empties a memory table", "[table_memory]") {
  GIVEN("a put and its tombstone in one op") {
    Marks marks;
    Fixture<IndexTraits> f(6);
    const Row row{.key = Key::of(u128{4} << 64 | 9)};
    const Row tombstone{.key = row.key, .tombstone = true};
    f.put(*f.first, row);
    f.put(*f.first, tombstone);
    REQUIRE(row_of<IndexTraits>(f.first->get(row.key)) == tombstone);
    WHEN("the suffix is sorted") {
      f.first->sort_suffix();
      THEN("nothing is left, and the table takes puts again") {
        REQUIRE(f.first->empty());
        REQUIRE(f.first->run_count() == 0);
        REQUIRE(f.first->get(row.key) == nullptr);
        REQUIRE(marks.count(Mark::table_memory_emptied) == 1);
        f.put(*f.first, row);
        REQUIRE(f.first->count() == 1);
        REQUIRE(f.first->run_count() == 1);
        REQUIRE(f.first->puts_since_bar_start() == 3);
        REQUIRE(row_of<IndexTraits>(f.first->get(row.key)) == row);
        f.first->make_immutable(1);
        REQUIRE(!f.first->flushed());
      }
    }
    WHEN("it becomes immutable") {
      f.first->op_end();
      f.first->make_immutable(5);
      THEN("it is born flushed") {
        REQUIRE(f.first->flushed());
        REQUIRE(f.first->values().empty());
        f.first->make_mutable();
        f.put(*f.first, row);
        REQUIRE(f.first->puts_since_bar_start() == 1);
      }
    }
  }
  GIVEN("a put in the immutable table and its tombstone in the mutable one") {
    Fixture<IndexTraits> f(4);
    const Row row{.key = Key::of(u128{4} << 64 | 9)};
    f.second->make_mutable();
    f.put(*f.second, row);
    f.second->make_immutable(1);
    f.put(*f.first, {.key = row.key, .tombstone = true});
    f.first->op_end();
    WHEN("the one absorbs the other") {
      f.second->absorb(*f.first, 2);
      THEN("both are empty, and there is nothing to flush") {
        REQUIRE(f.second->empty());
        REQUIRE(f.second->flushed());
        REQUIRE(f.first->empty());
      }
    }
  }
}

TEST_CASE("a later put of one op wins over an earlier one, sorted or not", "[table_memory]") {
  Fixture<KvTraits> f(8);
  f.put(*f.first, {.key = Key::of(5), .payload = 1});
  f.first->op_end();
  f.put(*f.first, {.key = Key::of(5), .payload = 2});
  f.put(*f.first, {.key = Key::of(3), .payload = 3});
  f.put(*f.first, {.key = Key::of(5), .payload = 4});
  CHECK(row_of<KvTraits>(f.first->get(Key::of(5))).payload == 4);
  f.first->sort_suffix();
  CHECK(row_of<KvTraits>(f.first->get(Key::of(5))).payload == 4);
  CHECK(f.first->run_count() == 2);
  CHECK(f.first->count() == 3);
  f.first->make_immutable(1);
  CHECK(f.first->count() == 2);
  CHECK(row_of<KvTraits>(f.first->get(Key::of(5))).payload == 4);
}

}  // namespace tonearm
