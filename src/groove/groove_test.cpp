// One groove, operation by operation: what each does to all trees, what it answers, what it refuses.
#include "groove/groove.h"

#include "groove/test_grooves.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

// The misuse ends the process, with these words.
template <class Misuse>
void says(const char* words, Misuse&& misuse) {
  const std::string text = sim::last_words(misuse);
  INFO("expected: " << words << "\nsaid: " << text);
  CHECK(text.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("groove: an insert is in every tree at once", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  Note note = a_note(7, 100);
  note.pinned = 3;
  note.size = 1600;
  note.kind = NoteKind::drawing;
  note.flags = 1;
  grooves.insert(note);
  CHECK(grooves.model.trees().size() == 8);  // Every index of the notes has an entry.
  grooves.check_trees();
  grooves.check_note(7);
  grooves.check_note(8);
  for (u32 bar = 0; bar < 6; ++bar) {
    grooves.commit_bar();
    grooves.check_trees();
    grooves.check_note(7);
  }
}

TEST_CASE("groove: every indexed field goes through all its changes", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  grooves.insert(a_note(1, 10));
  // One step an op: for each kind of index absent, present, changed, unchanged, absent, present.
  const u64 steps[] = {0, 1, 2, 2, 0, 1, 0};
  u64 round = 0;
  for (u32 field = 0; field < 6; ++field) {
    for (const u64 step : steps) {
      Note note = grooves.model.notes.at(1);
      if (field == 0) note.author = step;
      if (field == 1) note.pinned = step;
      if (field == 2) note.topic = u128{step} << 100;
      if (field == 3) note.kind = static_cast<NoteKind>(step);
      if (field == 4) note.size = step * 1600;
      if (field == 5) note.flags = static_cast<u8>(step);
      note.more[0] = ++round;  // Whatever it is about, something differs.
      grooves.update(note);
      grooves.check_trees();
      if (round % 3 == 0) grooves.commits(1);
      grooves.check_note(1);
    }
  }
  grooves.commits(30);
  grooves.check_trees();
  CHECK(marks[Mark::groove_index_added] == 6);  // pinned, size and flags, twice each.
  CHECK(marks[Mark::groove_index_removed] == 6);
  CHECK(marks[Mark::groove_index_moved] > 10);
}

TEST_CASE("groove: an index entry that stays is not written", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(1, 10));
  const auto puts = [&](u32 index) {
    return grooves->forest().tree(index).table_mutable().puts_since_bar_start();
  };
  std::vector<u32> before;
  const u32 trees = grooves->forest().tree_count();
  for (u32 index = 0; index < trees; ++index) before.push_back(puts(index));
  Note note = a_note(1, 10);
  note.pinned = 8;
  grooves.update(note);
  for (u32 index = 0; index < trees; ++index) {
    const u16 id = grooves->forest().tree(index).config().id;
    INFO("tree " << id);
    CHECK(puts(index) - before[index] == (id == 16 || id == 19 ? 1 : 0));
  }
}

TEST_CASE("groove: there is room for every entry to move with every change", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 id = 1; id <= 4; ++id) grooves.insert(a_note(id, id));
  grooves.commit_bar();
  const u32 batch = grooves.options().format.batch_values_max;
  for (u64 change = 1; change <= 200; ++change) {
    // All changes of an op about one object, then all about different ones.
    Note note = grooves.model.notes.at(change % 32 < 16 ? 1 : 1 + change % 4);
    note.author = change + 10;
    note.pinned = change;
    note.topic = u128{change} << 64;
    note.kind = static_cast<NoteKind>(change % 3);
    note.size = 1600 * change;
    note.flags = static_cast<u8>(change);
    grooves.update(note);
    if (change % batch == 0) {
      CHECK(grooves.notes().changes_left() == 0);
      CHECK(grooves->forest().tree(4).batch_left() == 0);  // notes.author
      grooves.commits(1);
      if (change % 20 == 0) grooves.check_trees();
    }
  }
  grooves.commits(20);
  grooves.check_trees();
}

TEST_CASE("groove: a removed object is gone from every tree, in every life", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  // Removed in the op of its insert, in a later op of the bar, in the next bar, after a checkpoint.
  u64 timestamp = 10;
  for (const u64 ops : {u64{0}, u64{1}, u64{4}, u64{30}}) {
    Note note = a_note(ops + 1, ++timestamp);
    note.pinned = 5;
    note.flags = 1;
    grooves.insert(note);
    grooves.commits(ops);
    grooves.remove(note.id);
    grooves.check_note(note.id);
    grooves.check_trees();
    grooves.commits(1);
    grooves.check_note(note.id);
    grooves.commits(5);
    grooves.check_note(note.id);
    grooves.commits(20);
    grooves.check_note(note.id);
    grooves.check_trees();
  }
  CHECK(marks[Mark::groove_removed] == 4);
  CHECK(marks[Mark::prefetch_tombstone_cached] > 0);
  CHECK(marks[Mark::prefetch_tombstone_memory] > 0);
}

TEST_CASE("groove: a removed key may be inserted again, in every life", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  u64 timestamp = 10;
  grooves.insert(a_note(1, timestamp));
  for (const u64 ops : {u64{0}, u64{1}, u64{4}, u64{30}}) {
    // With the timestamp that it had, and with another.
    for (const u64 later : {u64{0}, u64{1}}) {
      INFO("ops " << ops << " later " << later);
      grooves.remove(1);
      grooves.commits(ops);
      timestamp += later;
      Note note = a_note(1, timestamp);
      note.pinned = ops + later;
      grooves.insert(note);
      grooves.check_note(1);
      grooves.check_trees();
      grooves.commits(2);
      grooves.check_note(1);
      grooves.commits(10);
      grooves.check_note(1);
      grooves.check_trees();
    }
  }
  CHECK(marks[Mark::groove_inserted_again] >= 2);
}

TEST_CASE("groove: an upsert inserts, updates or does nothing", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  Note note = a_note(1, 10);
  grooves.fetch({1});
  CHECK(grooves.notes().upsert(note) == InsertResult::ok);
  CHECK(grooves.notes().changes_left() == 3);
  CHECK(grooves.notes().upsert(note) == InsertResult::ok);
  CHECK(grooves.notes().changes_left() == 3);
  CHECK(marks[Mark::groove_upsert_equal] == 1);
  note.author = 9;
  CHECK(grooves.notes().upsert(note) == InsertResult::ok);
  CHECK(grooves.notes().changes_left() == 2);
  grooves.model.notes[1] = note;
  grooves.check_trees();
  grooves.check_note(1);
}

TEST_CASE("groove: an orphaned id is used up for good", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  grooves.orphan(5);
  CHECK(marks[Mark::groove_orphaned] == 1);
  for (u32 bar = 0; bar < 8; ++bar) {
    grooves.check_note(5);
    grooves.check_trees();
    grooves.insert(a_note(100 + bar, 10 + bar));
    grooves.commit_bar();
  }
  // The cache has forgotten it; the id tree has not.
  REQUIRE_FALSE(grooves.reopen());
  grooves.check_note(5);
  CHECK(marks[Mark::prefetch_orphan] > 0);
  CHECK(marks[Mark::prefetch_orphan_cached] > 0);
}

TEST_CASE("groove: exists says what is now", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  grooves.insert(a_note(1, 10));
  CHECK(grooves.exists(10));
  CHECK_FALSE(grooves.exists(11));
  CHECK_FALSE(grooves.exists(0));
  CHECK_FALSE(grooves.exists(timestamp_max));
  CHECK_FALSE(grooves.exists(timestamp_max + 1));
  CHECK_FALSE(grooves.exists(u64_max));
  for (u32 ops = 0; ops < 40; ++ops) {
    grooves.commits(1);
    CHECK(grooves.exists(10));
    CHECK_FALSE(grooves.exists(9));
  }
  // Enqueued before the change, asked after it.
  grooves.fetch({1, 2});
  REQUIRE(grooves.notes().prefetch_exists_enqueue(10) == PrefetchResult::ok);
  REQUIRE(grooves.notes().prefetch_exists_enqueue(11) == PrefetchResult::ok);
  grooves.run_prefetch(grooves.notes());
  REQUIRE(grooves.notes().remove(1) == ChangeResult::ok);
  REQUIRE(grooves.notes().insert(a_note(2, 11)) == InsertResult::ok);
  CHECK_FALSE(grooves.notes().exists(10));
  CHECK(grooves.notes().exists(11));
  CHECK(marks[Mark::groove_exists_changed] == 2);
  for (u32 ops = 0; ops < 20; ++ops) {
    grooves.commits(1);
    CHECK_FALSE(grooves.exists(10));
    CHECK(grooves.exists(11));
  }
}

TEST_CASE("groove: objects without ids are keyed by timestamp, and not cached", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 timestamp = 1; timestamp <= 12; ++timestamp) {
    grooves.fetch_events({timestamp});
    CHECK(grooves.events().get(timestamp).kind == Found::not_found);
    Event event = an_event(timestamp, timestamp % 3);
    event.weight = timestamp % 2;
    CHECK(grooves.events().insert(event) == InsertResult::ok);
    grooves.model.events[timestamp] = event;
    if (timestamp % 3 == 0) grooves.commits(1);
  }
  grooves.commits(9);
  MarkCounter marks;
  grooves.fetch_events({0, 1, 2, 13, timestamp_max, u64_max});
  CHECK(marks[Mark::prefetch_cached] == 0);
  CHECK(marks[Mark::prefetch_invalid_key] == 2);
  CHECK(grooves.events().get(0).kind == Found::not_found);
  CHECK(grooves.events().get(13).kind == Found::not_found);
  CHECK(grooves.events().get(u64_max).kind == Found::not_found);
  const auto result = grooves.events().get(1);
  CHECK(result.kind == Found::found);
  CHECK(result.object.source == 1);
  CHECK(grooves.events().remove(1) == ChangeResult::ok);
  grooves.model.events.erase(1);
  Event event = grooves.model.events[2];
  event.weight = 70;
  CHECK(grooves.events().update(event) == ChangeResult::ok);
  CHECK(grooves.events().get(2).object.weight == 70);
  CHECK(grooves.events().get(1).kind == Found::not_found);
  grooves.model.events[2] = event;
  grooves.check_trees();
  grooves.commits(9);
  grooves.check_trees();
}

TEST_CASE("groove: what a user can get wrong is a result, and changes nothing", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  grooves.insert(a_note(1, 10));
  grooves.fetch({0, 1, 2, 3, 4, 5, u128_max});
  CHECK(grooves.notes().get(0).kind == Found::not_found);
  CHECK(grooves.notes().get(u128_max).kind == Found::not_found);
  CHECK(grooves.notes().insert(a_note(0, 11)) == InsertResult::id_invalid);
  CHECK(grooves.notes().insert(a_note(u128_max, 11)) == InsertResult::id_invalid);
  CHECK(grooves.notes().insert(a_note(0, 0)) == InsertResult::id_invalid);  // The first that applies.
  CHECK(grooves.notes().insert(a_note(2, 0)) == InsertResult::timestamp_invalid);
  CHECK(grooves.notes().insert(a_note(2, timestamp_max + 1)) == InsertResult::timestamp_invalid);
  CHECK(grooves.notes().insert(a_note(2, u64_max)) == InsertResult::timestamp_invalid);
  CHECK(grooves.notes().upsert(a_note(0, 11)) == InsertResult::id_invalid);
  CHECK(grooves.notes().upsert(a_note(2, 0)) == InsertResult::timestamp_invalid);
  CHECK(grooves.notes().insert_orphaned_id(0) == InsertResult::id_invalid);
  CHECK(grooves.notes().insert_orphaned_id(u128_max) == InsertResult::id_invalid);
  CHECK(grooves.notes().changes_left() == 3);
  grooves.check_trees();

  SECTION("an op that is full") {
    for (const u64 id : {2, 3, 4}) {
      CHECK(grooves.notes().insert(a_note(id, 10 + id)) == InsertResult::ok);
      grooves.model.notes[id] = a_note(id, 10 + id);
    }
    CHECK(grooves.notes().changes_left() == 0);
    CHECK(grooves.notes().insert(a_note(5, 0)) == InsertResult::timestamp_invalid);
    CHECK(grooves.notes().insert(a_note(5, 15)) == InsertResult::batch_full);
    CHECK(grooves.notes().upsert(a_note(5, 15)) == InsertResult::batch_full);
    CHECK(grooves.notes().upsert(a_note(1, 10)) == InsertResult::ok);  // Nothing to do.
    Note note = a_note(1, 10);
    note.author = 77;
    CHECK(grooves.notes().update(note) == ChangeResult::batch_full);
    CHECK(grooves.notes().upsert(note) == InsertResult::batch_full);
    CHECK(grooves.notes().remove(1) == ChangeResult::batch_full);
    CHECK(grooves.notes().insert_orphaned_id(5) == InsertResult::batch_full);
    CHECK(marks[Mark::groove_full] == 6);
    CHECK(grooves.notes().get(5).kind == Found::not_found);
    CHECK(grooves.notes().get(1).object.author == 1);
    grooves.check_trees();
    CHECK(grooves.events().changes_left() == 4);  // Each groove by itself.
    grooves.commits(1);
    CHECK(grooves.notes().changes_left() == 4);
    grooves.insert(a_note(5, 15));
    grooves.check_trees();
  }
  SECTION("the greatest key and timestamp") {
    grooves.insert(a_note(u128_max - 1, timestamp_max));
    grooves.check_note(u128_max - 1);
    CHECK(grooves.exists(timestamp_max));
    grooves.commits(12);
    grooves.check_trees();
    grooves.check_note(u128_max - 1);
    CHECK(grooves.exists(timestamp_max));
    grooves.remove(u128_max - 1);
    grooves.commits(12);
    grooves.check_trees();
    CHECK_FALSE(grooves.exists(timestamp_max));
  }
}

TEST_CASE("groove: where the timestamp is the key, one that may not be is a result, too", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  MarkCounter marks;
  Groove<Events>& events = grooves.events();
  const u64 invalid[] = {0, timestamp_max + 1, u64_max};
  grooves.fetch_events({invalid[0], invalid[1], invalid[2], timestamp_max});
  CHECK(marks[Mark::prefetch_invalid_key] == 3);
  for (const u64 timestamp : invalid) {
    INFO(timestamp);
    CHECK(events.get(timestamp).kind == Found::not_found);
    CHECK(events.insert(an_event(timestamp, 1)) == InsertResult::timestamp_invalid);
    CHECK(events.upsert(an_event(timestamp, 1)) == InsertResult::timestamp_invalid);
    REQUIRE(events.prefetch_exists_enqueue(timestamp) == PrefetchResult::ok);
    grooves.run_prefetch(events);
    CHECK_FALSE(events.exists(timestamp));
  }
  CHECK(events.changes_left() == 4);
  grooves.check_trees();
  CHECK(events.insert(an_event(timestamp_max, 1)) == InsertResult::ok);
  grooves.model.events[timestamp_max] = an_event(timestamp_max, 1);
  grooves.commits(12);
  grooves.check_trees();
}

TEST_CASE("groove: a range that ends before it begins, ids and timestamps that nobody may have, find nothing",
          "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 id = 1; id <= 40; ++id) {
    grooves.insert(a_note(id, id));
    if (id % 4 == 0) grooves.commits(1);
  }
  Groove<Notes>& notes = grooves.notes();
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    const ScanOptions all{.direction = direction, .timestamps = {}};
    const ScanOptions none{.direction = direction, .timestamps = {.min = 30, .max = 10}};
    const ScanOptions beyond{.direction = direction,
                             .timestamps = {.min = timestamp_max + 1, .max = u64_max}};
    const ScanOptions zero{.direction = direction, .timestamps = {.min = 0, .max = 0}};
    for (const ScanOptions& options : {none, beyond, zero}) {
      CHECK(grooves.timestamps(notes.scan<"author">(3, options)).empty());
      CHECK(grooves.timestamps(notes.scan_range<"author">(0, 9, options)).empty());
      CHECK(grooves.timestamps(notes.scan_ids(0, u128_max, options)).empty());
      CHECK(grooves.timestamps(notes.scan_id(3, options)).empty());
      CHECK(grooves.timestamps(notes.scan_timestamps(options)).empty());
    }
    CHECK(grooves.timestamps(notes.scan_range<"author">(9, 0, all)).empty());
    CHECK(grooves.timestamps(notes.scan_in_order_of<"author">(9, 0, {}, all)).empty());
    CHECK(grooves.timestamps(notes.scan_ids(9, 2, all)).empty());
    CHECK(grooves.timestamps(notes.scan_id(0, all)).empty());
    CHECK(grooves.timestamps(notes.scan_id(u128_max, all)).empty());
    CHECK(grooves.timestamps(notes.scan_ids(0, u128_max, all)).size() == 40);
  }
}

TEST_CASE("groove: what only a program can get wrong is an assertion that says so", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(1, 10));
  grooves.orphan(2);
  grooves.fetch({1, 2, 3});
  Groove<Notes>& notes = grooves.notes();
  says("prefetch the key in the op that asks for it", [&] { (void)notes.get(4); });
  says("prefetch the timestamp, by prefetch_exists_enqueue()", [&] { (void)notes.exists(10); });
  says("prefetch the key in the op that asks for it", [&] { (void)notes.insert(a_note(4, 14)); });
  says("insert: the key must not be found", [&] { (void)notes.insert(a_note(1, 11)); });
  says("insert: the key must not be found", [&] { (void)notes.insert(a_note(2, 12)); });  // Used up.
  says("upsert: the id is used up", [&] { (void)notes.upsert(a_note(2, 12)); });
  says("update: the timestamp never changes", [&] { (void)notes.upsert(a_note(1, 11)); });
  says("update: the timestamp never changes", [&] { (void)notes.update(a_note(1, 11)); });
  says("update: something must differ", [&] { (void)notes.update(a_note(1, 10)); });
  says("update: the key must be found", [&] { (void)notes.update(a_note(3, 13)); });
  says("remove: the key must be found", [&] { (void)notes.remove(3); });
  says("remove: the key must be found", [&] { (void)notes.remove(2); });
  says("insert_orphaned_id: the id must not be found", [&] { (void)notes.insert_orphaned_id(1); });
  says("insert_orphaned_id: the id must not be found", [&] { (void)notes.insert_orphaned_id(2); });

  const auto says_in_scope = [&](const char* words, auto&& misuse) {
    says(words, [&] {
      (void)grooves->scope_open();
      misuse();
    });
  };
  says_in_scope("insert_orphaned_id: not in a scope", [&] { (void)notes.insert_orphaned_id(3); });
  says_in_scope("prefetch before the scope is opened", [&] { notes.prefetch_setup(); });
  says_in_scope("prefetch before the scope is opened", [&] { (void)notes.prefetch_enqueue(1); });
  says_in_scope("prefetch before the scope is opened", [&] { notes.prefetch(grooves.callback()); });
  says_in_scope("a scope is open already", [&] { (void)grooves->scope_open(); });
  says_in_scope("close the scope first", [&] { grooves->compact(grooves->op() + 1, grooves.callback()); });
  says("no scope is open", [&] { grooves->scope_close(ScopeMode::persist); });

  // A key enqueued but not fetched yet.
  REQUIRE(notes.prefetch_enqueue(9) == PrefetchResult::ok);
  says("run the prefetch before asking", [&] { (void)notes.get(9); });
  // None of it happened here.
  CHECK(sim::last_words([&] { (void)notes.get(1); }).empty());
  grooves.check_trees();
}

TEST_CASE("groove: who does not wait for a prefetch or an op is told so", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(1, 10));
  grooves.fetch({1, 2});
  Groove<Notes>& notes = grooves.notes();
  const auto says_while_prefetching = [&](auto&& misuse) {
    says("wait until the prefetch is done", [&] {
      notes.prefetch(grooves.callback());
      misuse();
    });
  };
  says_while_prefetching([&] { (void)notes.get(1); });
  says_while_prefetching([&] { (void)notes.prefetch_enqueue(9); });
  says_while_prefetching([&] { notes.prefetch_setup(); });
  says_while_prefetching([&] { notes.prefetch(grooves.callback()); });
  says_while_prefetching([&] { (void)grooves->scope_open(); });
  says_while_prefetching([&] { grooves->compact(grooves->op() + 1, grooves.callback()); });

  const auto says_while_compacting = [&](auto&& misuse) {
    says("wait until the forest is done", [&] {
      grooves->compact(grooves->op() + 1, grooves.callback());
      misuse();
    });
  };
  says_while_compacting([&] { notes.prefetch_setup(); });
  says_while_compacting([&] { notes.prefetch(grooves.callback()); });
  says_while_compacting([&] { (void)notes.remove(1); });
  says_while_compacting([&] { grooves->compact(grooves->op() + 1, grooves.callback()); });
  says("ops are numbered one by one", [&] { grooves->compact(grooves->op() + 2, grooves.callback()); });
  says("a checkpoint is taken where checkpoint_due() says so",
       [&] { grooves->checkpoint(grooves.callback()); });
}

TEST_CASE("groove: luck in the cache is no prefetch", "[groove]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(1, 10));
  grooves.commits(1);
  CHECK(grooves.notes().get(1).kind == Found::found);  // Still the bar in which it was written.
  grooves.commit_bar();
  // It is in the cache, and nobody may rely on it.
  CHECK(sim::dies([&] { (void)grooves.notes().get(1); }));
  grooves.check_note(1);
}

}  // namespace tonearm
