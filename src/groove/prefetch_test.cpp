// Prefetching: which way each key takes to its answer, alone and together, and what damage does to it.
#include "groove/prefetch.h"

#include "groove/test_grooves.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

// Every third id exists; spread over the levels.
void fill(TestGrooves& grooves, u64 count = 60) {
  for (u64 i = 1; i <= count; ++i) {
    grooves.insert(a_note(i * 3, i * 10));
    if (i % 4 == 0) grooves.commits(1);
  }
  grooves.commit_bar();
}

u64 everywhere(const MarkCounter& marks) {
  return marks[Mark::prefetch_memory] + marks[Mark::prefetch_level0] + marks[Mark::prefetch_level1] +
         marks[Mark::prefetch_deep];
}

}  // namespace

TEST_CASE("prefetch: a key is found wherever it is", "[prefetch]") {
  MarkCounter marks;
  GrooveForestOptions options = test_options();
  for (const u32 slots : {0U, 16U}) {
    options.groove.cache_slots = slots;
    TestGrooves grooves(options);
    grooves.begin();
    fill(grooves, 240);
    grooves.insert(a_note(1000, 5000));
    grooves.commit_bar();
    grooves.check_note(1000);
    for (u64 id = 0; id <= 730; ++id) {
      grooves.check_note(id);
      if (id % 10 == 9) grooves.commits(1);
    }
    grooves.check_note(1000);
  }
  CHECK(marks[Mark::prefetch_cached] > 0);
  CHECK(marks[Mark::prefetch_memory] > 0);
  CHECK(marks[Mark::prefetch_level0] > 0);
  CHECK(marks[Mark::prefetch_level1] > 0);
  CHECK(marks[Mark::prefetch_deep] > 0);
  CHECK(marks[Mark::prefetch_key_range] > 0);
  CHECK(marks[Mark::prefetch_asynchronous] > 0);
  CHECK(marks[Mark::prefetch_synchronous] > 0);
}

TEST_CASE("prefetch: many keys at once, absent and invalid ones and duplicates among them", "[prefetch]") {
  GrooveForestOptions options = test_options();
  for (const u32 workers : {1U, 2U, 7U, 64U}) {
    options.groove.prefetch_workers = workers;
    TestGrooves grooves(options);
    grooves.begin();
    fill(grooves);
    MarkCounter marks;
    grooves.notes().prefetch_setup();
    for (u32 round = 0; round < 2; ++round) {
      for (u64 id = 100; id < 135; ++id) {
        REQUIRE(grooves.notes().prefetch_enqueue(id) == PrefetchResult::ok);
      }
      for (const u128 id : {u128{0}, u128_max, u128_max - 1, u128{1}}) {
        REQUIRE(grooves.notes().prefetch_enqueue(id) == PrefetchResult::ok);
      }
    }
    CHECK(marks[Mark::prefetch_duplicate] == 39);
    grooves.run_prefetch(grooves.notes());
    REQUIRE_FALSE(grooves.notes().prefetch_error());
    CHECK(marks[Mark::prefetch_invalid_key] == 2);
    CHECK(marks[Mark::prefetch_key_range] == 2);
    CHECK(marks[Mark::prefetch_asynchronous] == 1);
    CHECK((marks[Mark::prefetch_parallel] > 0) == (workers > 1));
    for (u64 id = 100; id < 135; ++id) {
      CHECK(grooves.notes().get(id).kind == (id % 3 == 0 ? Found::found : Found::not_found));
    }
    for (const u128 id : {u128{0}, u128_max, u128_max - 1, u128{1}}) {
      CHECK(grooves.notes().get(id).kind == Found::not_found);
    }
  }
}

TEST_CASE("prefetch: nothing to wait for still completes later", "[prefetch]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  grooves.notes().prefetch_setup();
  grooves.run_prefetch(grooves.notes());  // No keys: pump() checks that it was not inside the call.
  CHECK(marks[Mark::prefetch_synchronous] == 0);
  grooves.insert(a_note(1, 10));
  grooves.commit_bar();
  grooves.fetch({1, 2, 0});
  CHECK(marks[Mark::prefetch_synchronous] > 0);
  CHECK(marks[Mark::prefetch_asynchronous] == 0);
}

TEST_CASE("prefetch: keys may be added, in several runs", "[prefetch]") {
  TestGrooves grooves;
  grooves.begin();
  fill(grooves);
  grooves.fetch({3});
  REQUIRE(grooves.notes().prefetch_enqueue(6) == PrefetchResult::ok);
  REQUIRE(grooves.notes().prefetch_enqueue(7) == PrefetchResult::ok);
  REQUIRE(grooves.notes().prefetch_enqueue(3) == PrefetchResult::ok);
  grooves.run_prefetch(grooves.notes());
  CHECK(grooves.notes().get(3).kind == Found::found);
  CHECK(grooves.notes().get(6).kind == Found::found);
  CHECK(grooves.notes().get(7).kind == Found::not_found);
}

TEST_CASE("prefetch: an op has so many keys, whatever it forgets of them", "[prefetch]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  Groove<Notes>& notes = grooves.notes();
  const u32 keys = grooves.options().groove.prefetch_keys_max;
  for (u32 op = 0; op < 6; ++op) {
    notes.prefetch_setup();
    for (u64 key = 1; key < keys; ++key) REQUIRE(notes.prefetch_enqueue(key) == PrefetchResult::ok);
    REQUIRE(notes.prefetch_exists_enqueue(1) == PrefetchResult::ok);
    CHECK(notes.prefetch_enqueue(keys) == PrefetchResult::prefetch_full);
    CHECK(notes.prefetch_exists_enqueue(2) == PrefetchResult::prefetch_full);
    CHECK(notes.prefetch_enqueue(1) == PrefetchResult::ok);  // It is there already.
    CHECK(notes.prefetch_exists_enqueue(1) == PrefetchResult::ok);
    grooves.run_prefetch(notes);
    CHECK(notes.get(1).kind == Found::not_found);
    CHECK_FALSE(notes.exists(1));
    CHECK(sim::dies([&] { (void)notes.get(keys); }));
    notes.prefetch_setup();
    CHECK(notes.prefetch_enqueue(1) == PrefetchResult::prefetch_full);
    CHECK(grooves.events().prefetch_enqueue(1) == PrefetchResult::ok);  // Each groove by itself.
    grooves.commits(1);
  }
  CHECK(marks[Mark::prefetch_full] == 18);
}

TEST_CASE("prefetch: a bar full of keys stays in reach, in no cache at all", "[prefetch]") {
  GrooveForestOptions options = test_options();
  for (const u32 slots : {0U, 16U}) {
    options.groove.cache_slots = slots;
    options.groove.cache_hash_bits = 0;
    TestGrooves grooves(options);
    grooves.begin();
    fill(grooves);
    // In each op of a bar as many other objects as it may fetch; then one is removed.
    const u32 keys = options.groove.prefetch_keys_max;
    for (u32 op = 0; op < options.format.beats; ++op) {
      grooves.notes().prefetch_setup();
      for (u32 i = 0; i < keys; ++i) {
        REQUIRE(grooves.notes().prefetch_enqueue(op * keys + i) == PrefetchResult::ok);
      }
      grooves.run_prefetch(grooves.notes());
      for (u32 i = 0; i < keys; ++i) {
        const u64 id = op * keys + i;
        CHECK(grooves.notes().get(id).kind ==
              (grooves.model.notes.contains(id) ? Found::found : Found::not_found));
      }
      const u64 first = op * keys + (3 - op * keys % 3) % 3;
      if (grooves.model.notes.contains(first)) {
        REQUIRE(grooves.notes().remove(first) == ChangeResult::ok);
        grooves.model.notes.erase(first);
      }
      grooves.commits(1);
    }
    grooves.check_trees();
  }
}

TEST_CASE("prefetch: it is seen by nobody", "[prefetch]") {
  // The same ops with and without: equal checkpoints, equal trees.
  u128 ids[2];
  for (const bool extra : {false, true}) {
    TestGrooves grooves;
    grooves.begin();
    for (u64 i = 1; i <= 100; ++i) {
      if (extra) {
        grooves.notes().prefetch_setup();
        for (u64 id = 0; id < 20; ++id) {
          REQUIRE(grooves.notes().prefetch_enqueue(id * i) == PrefetchResult::ok);
        }
        REQUIRE(grooves.notes().prefetch_exists_enqueue(i * 3) == PrefetchResult::ok);
        grooves.run_prefetch(grooves.notes());
      }
      grooves.insert(a_note(i, i));
      if (i > 7 && i % 2 == 0) grooves.remove(i - 7);
      grooves.commits(1);
    }
    grooves.check_trees();
    ids[extra] = grooves->forest().checkpoint_id();
  }
  CHECK(ids[0] == ids[1]);
}

TEST_CASE("prefetch: a damaged block is an error, and no answer", "[prefetch]") {
  const u16 tree = GENERATE(u16{16}, u16{17});
  GrooveForestOptions options = test_options();
  options.groove.cache_slots = 0;
  options.runtime.read_attempts_max = 2;
  TestGrooves grooves(options);
  grooves.begin();
  fill(grooves);
  grooves.insert(a_note(1000, 5000));
  grooves.commits(1);
  MarkCounter marks;
  grooves.storage().failing_tree = tree;
  grooves.notes().prefetch_setup();
  for (u64 id = 3; id <= 90; id += 3) {
    REQUIRE(grooves.notes().prefetch_enqueue(id) == PrefetchResult::ok);
  }
  grooves.run_prefetch(grooves.notes());
  REQUIRE(grooves.notes().prefetch_error().kind == ErrorKind::block_damaged);
  CHECK(grooves.notes().prefetch_error().address > 0);
  CHECK(marks[Mark::prefetch_failed] > 0);
  CHECK(sim::dies([&] { (void)grooves.notes().get(1000); }));
  CHECK(sim::dies([&] { (void)grooves.notes().remove(1000); }));
  // Run again it looks for nothing more.
  grooves.run_prefetch(grooves.notes());
  CHECK(grooves.notes().prefetch_error().kind == ErrorKind::block_damaged);
  // What needs no block is answered as ever.
  grooves.check_note(1000);
  grooves.check_note(0);
  CHECK(grooves->error().kind == ErrorKind::none);
  // And so is the rest, once it can be read.
  grooves.storage().failing_tree = 0;
  for (u64 id = 3; id <= 15; id += 3) grooves.check_note(id);
  grooves.commits(1);
  for (u64 id = 0; id < 30; ++id) grooves.check_note(id);
  grooves.check_trees();
  CHECK(everywhere(marks) > 0);
}

TEST_CASE("prefetch: a failed one does not keep the op from ending", "[prefetch]") {
  GrooveForestOptions options = test_options();
  options.groove.cache_slots = 0;
  TestGrooves grooves(options);
  grooves.begin();
  fill(grooves);
  grooves.storage().failing_tree = 17;
  grooves.notes().prefetch_setup();
  REQUIRE(grooves.notes().prefetch_enqueue(3) == PrefetchResult::ok);
  grooves.run_prefetch(grooves.notes());
  REQUIRE(grooves.notes().prefetch_error());
  grooves.storage().failing_tree = 0;
  grooves.commits(1);
  CHECK_FALSE(grooves.notes().prefetch_error());
  grooves.check_note(3);
}

}  // namespace tonearm
