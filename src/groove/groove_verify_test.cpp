// Verification of grooves: silent about whatever they do themselves, and exact about what went past them.
#include "groove/groove_verify.h"

#include "groove/groove_entries.h"
#include "groove/test_grooves.h"
#include "sim/disk/keyed.h"

namespace tonearm {

namespace {

using Kind = GrooveDisagreement::Kind;

struct Verified {
  Error error;
  GrooveDisagreement disagreement;
  ForestVerify::Counts counts;
};

Verified verify(TestGrooves& grooves,
                std::span<const GrooveVerify::Reader> readers = groove_readers<Notes, Events>) {
  const GrooveForestOptions& options = grooves.options();
  const ForestOptions forest{
      .format = options.format, .runtime = options.runtime, .trees = TestForestOfGrooves::trees()};
  Arena measuring;
  GrooveVerify::measure(measuring, forest);
  std::vector<std::byte> memory(measuring.used() + Arena::align_max);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
  Arena arena{std::span<std::byte>(memory).subspan(skip, measuring.used())};
  GrooveVerify verification(grooves->forest(), readers, arena);
  verification.run(grooves.callback());
  grooves.pump();
  return {verification.error(), verification.disagreement(), verification.counts()};
}

Tree& tree(TestGrooves& grooves, u16 id) {
  Forest& forest = grooves->forest();
  for (u32 i = 0; i < forest.tree_count(); ++i) {
    if (forest.tree(i).config().id == id) return forest.tree(i);
  }
  UNREACHABLE();
}

// Past the groove.
template <class Value>
void put(TestGrooves& grooves, u16 id, const Value& value) {
  REQUIRE(tree(grooves, id).put(reinterpret_cast<const std::byte*>(&value)) == PutResult::ok);
}
void remove(TestGrooves& grooves, u16 id, const Key& key) {
  REQUIRE(tree(grooves, id).remove(key) == PutResult::ok);
}

Note full_note(u128 id, u64 timestamp) {
  Note note = a_note(id, timestamp);
  note.pinned = 7;
  note.size = 2000;
  note.flags = 1;
  return note;
}

// Objects of each kind, then what the caller plants, and a checkpoint that has all of it, opened.
void prepare(TestGrooves& grooves) {
  grooves.begin();
  for (u64 i = 1; i <= 12; ++i) {
    grooves.insert(i % 2 == 0 ? full_note(100 + i, 1000 * i) : a_note(100 + i, 1000 * i));
    grooves.fetch_events({7 * i});
    REQUIRE(grooves.events().insert(an_event(7 * i, i % 3)) == InsertResult::ok);
    if (i % 4 == 0) grooves.orphan(900 + i);
    grooves.commits(1);
  }
}
void checkpoint(TestGrooves& grooves) {
  const u64 op = grooves->op();
  while (grooves->forest().checkpoint_op() < op) grooves.commits(1);
  REQUIRE(grooves.reopen().kind == ErrorKind::none);
}

void check_disagreement(TestGrooves& grooves, Kind kind, u16 tree, u64 timestamp, const std::string& reason) {
  const Verified verified = verify(grooves);
  CHECK(verified.error.kind == ErrorKind::inconsistent);
  CHECK(verified.error.reason == reason);
  CHECK(verified.disagreement.kind == kind);
  CHECK(verified.disagreement.tree == tree);
  CHECK(verified.disagreement.timestamp == timestamp);
}
void check_missing(TestGrooves& grooves, u16 tree, u64 timestamp) {
  check_disagreement(grooves, Kind::entry_missing, tree, timestamp, "an object's entry is missing");
}
void check_left(TestGrooves& grooves, u16 tree, u64 timestamp) {
  check_disagreement(grooves, Kind::entry_left, tree, timestamp, "an entry is of no object");
}
void check_differs(TestGrooves& grooves, u16 tree, u64 timestamp) {
  check_disagreement(grooves, Kind::entry_differs, tree, timestamp,
                     "an entry is not what its object demands");
}
void check_impossible(TestGrooves& grooves, const std::string& reason) {
  const Verified verified = verify(grooves);
  CHECK(verified.error.kind == ErrorKind::inconsistent);
  CHECK(verified.error.reason == reason);
  CHECK(verified.error.address >= 1);
  CHECK(verified.disagreement.kind == Kind::none);
}

}  // namespace

TEST_CASE("groove_verify: grooves agree at every checkpoint", "[groove_verify]") {
  TestGrooves grooves;
  grooves.begin();
  CHECK_FALSE(verify(grooves).error);
  u32 verified_count = 0;
  for (u64 op = 1; op <= 120; ++op) {
    const u64 random = hash_of(op);
    const u128 id = 1 + random % 40;
    const auto note = grooves.model.notes.find(id);
    if (note == grooves.model.notes.end() && !grooves.model.orphans.contains(id)) {
      random % 16 == 0 ? grooves.orphan(id) : grooves.insert(full_note(id, op * 10));
    } else if (note != grooves.model.notes.end() && random % 3 == 0) {
      grooves.remove(id);
    } else if (note != grooves.model.notes.end()) {
      Note changed = note->second;
      changed.author = op;
      changed.pinned = random >> 8 & 1;
      changed.size = random >> 20 & 2047;
      changed.flags = random >> 40 & 1;
      changed.more[0] = op;
      grooves.update(changed);
    }
    const u64 checkpoint_before = grooves->forest().checkpoint_op();
    grooves.commits(1);
    if (grooves->forest().checkpoint_op() == checkpoint_before) continue;
    const Verified verified = verify(grooves);
    INFO("op " << op << ": " << verified.error.reason);
    CHECK(verified.error.kind == ErrorKind::none);
    CHECK(verified.disagreement.kind == Kind::none);
    CHECK(verified.counts.index == grooves->forest().manifest_log().table_count());
    ++verified_count;
  }
  CHECK(verified_count > 10);
}

TEST_CASE("groove_verify: an entry or an id that is missing", "[groove_verify]") {
  TestGrooves grooves;
  prepare(grooves);
  const Note note = full_note(104, 4000);
  SECTION("of a field") {
    remove(grooves, 18, Key::of(u128{note.author} << 64 | 4000));
    checkpoint(grooves);
    check_missing(grooves, 18, 4000);
  }
  SECTION("of an optional field") {
    remove(grooves, 19, Key::of(u128{7} << 64 | 4000));
    checkpoint(grooves);
    check_missing(grooves, 19, 4000);
  }
  SECTION("of a field of 128 bits") {
    remove(grooves, 20, {.lo = 4000, .hi = note.topic});
    checkpoint(grooves);
    check_missing(grooves, 20, 4000);
  }
  SECTION("of a derived index") {
    remove(grooves, 22, Key::of(u128{125} << 64 | 4000));
    checkpoint(grooves);
    check_missing(grooves, 22, 4000);
  }
  SECTION("that says existence only") {
    remove(grooves, 23, Key::of(4000));
    checkpoint(grooves);
    check_missing(grooves, 23, 4000);
  }
  SECTION("of an id") {
    remove(grooves, 17, Key::of(104));
    checkpoint(grooves);
    check_missing(grooves, 17, 4000);
  }
  SECTION("because the id was made an orphan") {
    put(grooves, 17, IdTraits::Value{.id = 104, .timestamp_and_flag = 0, .zero = 0});
    checkpoint(grooves);
    check_missing(grooves, 17, 4000);
  }
  SECTION("of several: the first tree, and the least timestamp in it") {
    remove(grooves, 23, Key::of(4000));
    remove(grooves, 19, Key::of(u128{7} << 64 | 10'000));
    remove(grooves, 19, Key::of(u128{7} << 64 | 6000));
    checkpoint(grooves);
    check_missing(grooves, 19, 6000);
  }
  SECTION("of another groove") {
    remove(grooves, 25, Key::of(u128{2} << 64 | 14));
    checkpoint(grooves);
    check_missing(grooves, 25, 14);
  }
}

TEST_CASE("groove_verify: an entry or an id that is left", "[groove_verify]") {
  TestGrooves grooves;
  prepare(grooves);
  SECTION("of an object that is gone") {
    remove(grooves, 3, Key::of(21));
    checkpoint(grooves);
    check_left(grooves, 25, 21);
  }
  SECTION("of an object that never was, far away") {
    put(grooves, 18, IndexTraits::Value{.field = 1, .timestamp_and_flag = timestamp_max});
    checkpoint(grooves);
    check_left(grooves, 18, timestamp_max);
  }
  SECTION("of a field that is zero") {
    put(grooves, 19, IndexTraits::Value{.field = 0, .timestamp_and_flag = 3000});
    checkpoint(grooves);
    check_left(grooves, 19, 3000);
  }
  SECTION("beside the right one") {
    put(grooves, 18, IndexTraits::Value{.field = 77, .timestamp_and_flag = 4000});
    checkpoint(grooves);
    check_left(grooves, 18, 4000);
  }
  SECTION("that says existence only") {
    put(grooves, 23, ExistenceTraits::Value{.timestamp_and_flag = 3000});
    checkpoint(grooves);
    check_left(grooves, 23, 3000);
  }
  SECTION("an id of no object, and one of another's object") {
    const u64 timestamp = GENERATE(u64{1}, u64{4000}, u64{999'999});
    put(grooves, 17, IdTraits::Value{.id = 555, .timestamp_and_flag = timestamp, .zero = 0});
    checkpoint(grooves);
    check_left(grooves, 17, timestamp);
  }
}

TEST_CASE("groove_verify: an entry or an id that differs", "[groove_verify]") {
  TestGrooves grooves;
  prepare(grooves);
  Note note = full_note(104, 4000);
  SECTION("in the low or the high half of 128 bits") {
    remove(grooves, 20, {.lo = 4000, .hi = note.topic});
    const u128 other = GENERATE(u128{1}, u128{1} << 100) ^ note.topic;
    put(grooves, 20, WideIndexTraits::Value{.field = other, .timestamp_and_flag = 4000, .zero = 0});
    checkpoint(grooves);
    check_differs(grooves, 20, 4000);
  }
  SECTION("because the object changed, and its index did not") {
    note.author += 1;
    put(grooves, 16, note);
    checkpoint(grooves);
    check_differs(grooves, 18, 4000);
  }
  SECTION("because the object has another id") {
    note.id = 4242;
    put(grooves, 16, note);
    checkpoint(grooves);
    check_differs(grooves, 17, 4000);
  }
  SECTION("because two ids changed places") {
    put(grooves, 17, IdTraits::Value{.id = 104, .timestamp_and_flag = 6000, .zero = 0});
    put(grooves, 17, IdTraits::Value{.id = 106, .timestamp_and_flag = 4000, .zero = 0});
    checkpoint(grooves);
    check_differs(grooves, 17, 4000);
  }
}

TEST_CASE("groove_verify: what no groove can have written", "[groove_verify]") {
  TestGrooves grooves;
  prepare(grooves);
  SECTION("an object without a timestamp") {
    put(grooves, 16, a_note(1, 0));
    checkpoint(grooves);
    check_impossible(grooves, "no object may have this timestamp");
  }
  SECTION("an object without an id, or with the greatest one") {
    put(grooves, 16, a_note(GENERATE(u128{0}, u128_max), 5));
    checkpoint(grooves);
    check_impossible(grooves, "no object may have this id");
  }
  SECTION("an id that is none") {
    put(grooves, 17, IdTraits::Value{.id = 0, .timestamp_and_flag = 4000, .zero = 0});
    checkpoint(grooves);
    check_impossible(grooves, "no object may have this id");
  }
  SECTION("an id with a fourth word") {
    put(grooves, 17, IdTraits::Value{.id = 104, .timestamp_and_flag = 4000, .zero = 1});
    checkpoint(grooves);
    check_impossible(grooves, "an id's unused bytes are not zero");
  }
  SECTION("a wide entry with a fourth word") {
    put(grooves, 20, WideIndexTraits::Value{.field = 1, .timestamp_and_flag = 4000, .zero = 1});
    checkpoint(grooves);
    check_impossible(grooves, "an entry's unused bytes are not zero");
  }
  SECTION("entries without a timestamp") {
    if (GENERATE(true, false)) {
      put(grooves, 18, IndexTraits::Value{.field = 1, .timestamp_and_flag = 0});
    } else {
      put(grooves, 23, ExistenceTraits::Value{.timestamp_and_flag = 0});
    }
    checkpoint(grooves);
    check_impossible(grooves, "no object may have this timestamp");
  }
}

TEST_CASE("groove_verify: an orphan where there may be none", "[groove_verify]") {
  // The readers of a groove without orphans, over the trees of one that has them.
  struct Strict : GrooveDescription<"strict", Note, ObjectTree<16>, IdTree<17>, Ignored<&Note::author>,
                                    Ignored<&Note::pinned>, Ignored<&Note::topic>, Ignored<&Note::kind>,
                                    Ignored<&Note::size>, Ignored<&Note::flags>, Ignored<&Note::unused>,
                                    Ignored<&Note::more>> {};
  TestGrooves grooves;
  prepare(grooves);
  checkpoint(grooves);
  std::array<GrooveVerify::Reader, TestForestOfGrooves::tree_count> readers = groove_readers<Notes, Events>;
  readers[3] = groove_readers<Strict>[1];
  const Verified verified = verify(grooves, readers);
  CHECK(verified.error.reason == std::string("an orphan in a groove that has none"));
}

}  // namespace tonearm
