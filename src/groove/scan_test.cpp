// Scans of grooves against filters written by hand: what each leaf and each merge of them must find.
#include <algorithm>

#include "groove/scan_lookup.h"
#include "groove/test_grooves.h"
#include "sim/disk/death.h"
#include "table/test_values.h"

namespace tonearm {
namespace {

using test::Random;

GrooveForestOptions options_of(Random& random) {
  GrooveForestOptions options = test_options();
  options.format.block_size = 4096;
  options.format.values_per_block_max = 4;
  options.format.batch_values_max = 16;
  options.groove.prefetch_keys_max = 64;
  options.groove.scan_sort_timestamps = random.chance(50) ? 1 + random.below(6) : 1 + random.below(200);
  options.groove.lookup_workers = 1 + random.below(6);
  options.runtime.scans_max = 8;
  return options;
}

// Hot and cold values, and some that nobody has.
u64 value_of(Random& random) { return random.chance(70) ? random.below(4) : random.below(60); }

Note random_note(Random& random, u128 id, u64 timestamp) {
  Note note{};
  note.id = id;
  note.topic = random.chance(20) ? u128_max : u128{value_of(random)} << 80;
  note.author = random.chance(5) ? u64_max : value_of(random);
  note.pinned = value_of(random);
  note.size = 16 * (40 + random.below(60));
  note.kind = static_cast<NoteKind>(random.below(3));
  note.flags = random.chance(10) ? 1 : 0;
  note.timestamp = timestamp;
  note.more[0] = random.next();
  return note;
}

struct Changes {
  Changes(Random& source, TestGrooves& target) : random(source), grooves(target) {}

  void one() {
    const u128 id = 1 + random.below(300);
    const bool present = grooves.model.notes.contains(id);
    if (grooves.model.orphans.contains(id)) return;
    if (!present && random.chance(3)) return grooves.orphan(id);
    if (!present) return grooves.insert(random_note(random, id, timestamp += 1 + random.below(3)));
    if (random.chance(30)) return grooves.remove(id);
    Note note = random_note(random, id, grooves.model.notes[id].timestamp);
    if (random.chance(50)) note.author = grooves.model.notes[id].author;
    grooves.update(note);
  }
  void op(u32 changes) {
    for (u32 i = 0; i < changes; ++i) one();
    grooves.commits(1);
  }

  Random& random;
  TestGrooves& grooves;
  u64 timestamp = 0;
};

// A tree of predicates: what the groove is asked, and what a note must be like.
struct Predicate {
  enum class Kind : u8 { leaf, any, all, without };
  Kind kind = Kind::leaf;
  std::vector<Predicate> operands;
  u32 field = 0;
  u64 min = 0;
  u64 max = 0;
  TimestampRange timestamps;

  static bool between(u128 value, u128 min, u128 max) { return min <= value && value <= max; }
  static u128 topic(u64 value) { return value == 60 ? u128_max : u128{value} << 80; }

  bool leaf_holds(const Note& note) const {
    if (!timestamps.contains(note.timestamp)) return false;
    switch (field) {
      case 0: return between(note.author, min, max);
      case 1: return note.pinned != 0 && between(note.pinned, min, max);
      case 2: return between(note.topic, topic(min), topic(max));
      case 3: return between(static_cast<u64>(note.kind), min, max);
      case 4: return note.size > 1000 && between(note.size / 16, 40 + min, 40 + max);
      case 5: return (note.flags & 1) != 0;
      case 6: return between(note.id, min, max);
      default: return true;
    }
  }
  bool holds(const Note& note) const {
    const auto operand_holds = [&](const Predicate& operand) { return operand.holds(note); };
    switch (kind) {
      case Kind::leaf: return leaf_holds(note);
      case Kind::any: return std::any_of(operands.begin(), operands.end(), operand_holds);
      case Kind::all: return std::all_of(operands.begin(), operands.end(), operand_holds);
      case Kind::without: return operands[0].holds(note) && !operands[1].holds(note);
    }
    UNREACHABLE();
  }
  u32 leaves() const {
    u32 count = kind == Kind::leaf ? 1 : 0;
    for (const Predicate& operand : operands) count += operand.leaves();
    return count;
  }

  Scan* build(TestGrooves& grooves, Direction direction, bool cold) const {
    const ScanOptions options{.direction = direction, .timestamps = timestamps, .cold = cold};
    Groove<Notes>& notes = grooves.notes();
    if (kind != Kind::leaf) return build_merge(grooves, direction, cold);
    switch (field) {
      case 0:
        return min == max ? notes.scan<"author">(min, options)
                          : notes.scan_range<"author">(min, max, options);
      case 1: return notes.scan_range<"pinned">(min, max, options);
      case 2: return notes.scan_range<"topic">(topic(min), topic(max), options);
      case 3:
        return notes.scan_range<"kind">(static_cast<NoteKind>(min), static_cast<NoteKind>(max), options);
      case 4: return notes.scan_range<"large">(40 + min, 40 + max, options);
      case 5: return notes.scan<"draft">(options);
      case 6: return notes.scan_ids(min, max, options);
      default: return notes.scan_timestamps(options);
    }
  }
  Scan* build_merge(TestGrooves& grooves, Direction direction, bool cold) const {
    std::vector<Scan*> scans;
    for (const Predicate& operand : operands) scans.push_back(operand.build(grooves, direction, cold));
    ScanBuilder& builder = grooves->scans();
    switch (kind) {
      case Kind::leaf: break;
      case Kind::any: return builder.merge_union(scans);
      case Kind::all: return builder.merge_intersection(scans);
      case Kind::without: return builder.merge_difference(scans[0], scans[1]);
    }
    UNREACHABLE();
  }
};

Predicate random_predicate(Random& random, u64 timestamp_last, u32 depth) {
  Predicate predicate;
  if (depth == 0 || random.chance(20)) {
    predicate.field = random.below(8);
    predicate.min = predicate.field == 6 ? random.below(320) : value_of(random);
    predicate.max = random.chance(60) ? predicate.min : predicate.min + random.below(30);
    if (predicate.field == 0 && random.chance(5)) predicate.min = predicate.max = u64_max;
    if (predicate.field == 2) predicate.max = std::min<u64>(predicate.max, 60);
    if (predicate.field == 3) predicate.max = std::min<u64>(predicate.max, 255);
    if (predicate.field == 7 || random.chance(25)) {
      predicate.timestamps.min = random.below(static_cast<u32>(timestamp_last + 2));
      predicate.timestamps.max =
          predicate.timestamps.min + random.below(static_cast<u32>(timestamp_last + 2));
    }
    return predicate;
  }
  predicate.kind = static_cast<Predicate::Kind>(1 + random.below(3));
  const u32 count = predicate.kind == Predicate::Kind::without ? 2 : 2 + random.below(2);
  for (u32 i = 0; i < count; ++i) {
    predicate.operands.push_back(random_predicate(random, timestamp_last, depth - 1));
  }
  return predicate;
}

// In the order of the scan.
std::vector<Note> naive(const TestGrooves& grooves, const Predicate& predicate, Direction direction) {
  std::vector<Note> found;
  for (const auto& [id, note] : grooves.model.notes) {
    if (predicate.holds(note)) found.push_back(note);
  }
  std::sort(found.begin(), found.end(), [&](const Note& a, const Note& b) {
    return direction == Direction::ascending ? a.timestamp < b.timestamp : b.timestamp < a.timestamp;
  });
  return found;
}

// All objects of a scan, by a buffer of some size; released.
std::vector<Note> looked_up(TestGrooves& grooves, Scan* scan, u32 buffer_size, bool cold) {
  REQUIRE(scan != nullptr);
  ScanLookup<Notes> lookup(grooves.notes(), *scan, cold);
  std::vector<Note> buffer(buffer_size);
  std::vector<Note> all;
  do {
    lookup.read(buffer, grooves.callback());
    grooves.pump();
    REQUIRE((lookup.state() == LookupState::buffer_finished || lookup.state() == LookupState::scan_finished));
    REQUIRE((lookup.state() == LookupState::scan_finished || lookup.count() == buffer_size));
    all.insert(all.end(), buffer.begin(), buffer.begin() + lookup.count());
  } while (lookup.state() == LookupState::buffer_finished);
  grooves->scans().release(scan);
  return all;
}

std::string bytes_of_all(const std::vector<Note>& notes) {
  std::string bytes;
  for (const Note& note : notes) bytes += bytes_of(note);
  return bytes;
}

}  // namespace

TEST_CASE("queries equal a filter written by hand, while everything changes", "[groove_scan]") {
  const MarkCounter marks;
  u64 found = 0;
  u64 queries = 0;
  u64 exceeded = 0;
  for (u32 seed = 1; seed <= 4; ++seed) {
    Random random(seed);
    TestGrooves grooves(options_of(random));
    grooves.begin();
    Changes changes(random, grooves);
    for (u32 op = 0; op < 90; ++op) {
      changes.op(op < 30 ? 16 : random.below(16));
      for (u32 i = 0; i < 6; ++i) {
        const Predicate predicate = random_predicate(random, changes.timestamp, random.below(4));
        const Direction direction = random.chance(50) ? Direction::ascending : Direction::descending;
        const bool cold = random.chance(30);
        Scan* const scan = predicate.build(grooves, direction, cold);
        if (predicate.leaves() > grooves.options().runtime.scans_max) {
          REQUIRE(scan == nullptr);
          REQUIRE(grooves->scans().error() == ScanError::scans_max_exceeded);
          REQUIRE(grooves->scans().leaves_open() == 0);
          ++exceeded;
          continue;
        }
        REQUIRE(scan != nullptr);
        const std::vector<Note> expected = naive(grooves, predicate, direction);
        const std::vector<Note> given = looked_up(grooves, scan, 1 + random.below(12), cold);
        REQUIRE(given.size() == expected.size());
        REQUIRE(bytes_of_all(given) == bytes_of_all(expected));
        REQUIRE(grooves->scans().leaves_open() == 0);
        ++queries;
        found += given.size();
      }
    }
    grooves.check_trees();
  }
  CHECK(queries > 1500);
  CHECK(exceeded > 20);
  CHECK(found > 20'000);
  for (const Mark mark : {Mark::scan_orphan_skipped, Mark::scan_sorted_again, Mark::scan_union_of_aborted,
                          Mark::scan_difference_pending, Mark::scan_intersection_pending,
                          Mark::lookup_buffer_finished, Mark::lookup_resumed_seeking, Mark::lookup_parallel,
                          Mark::lookup_object_memory, Mark::scan_probe_table_skipped}) {
    INFO(mark_name(mark));
    CHECK(marks[mark] > 0);
  }
}

TEST_CASE("a result buffer of one, of exactly the result, of one more", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 id = 1; id <= 40; ++id) {
    grooves.insert(a_note(id, 2 * id));
    if (id % 4 == 0) grooves.commits(1);
  }
  const auto author = [&] { return grooves.notes().scan<"author">(3); };  // 3, 8, ..., 38: eight of them.
  CHECK(looked_up(grooves, author(), 1, false).size() == 8);
  for (const u32 size : {8, 9}) {
    Scan* const scan = author();
    ScanLookup<Notes> lookup(grooves.notes(), *scan);
    std::vector<Note> buffer(size);
    lookup.read(buffer, grooves.callback());
    grooves.pump();
    CHECK(lookup.count() == 8);
    CHECK(buffer[0].id == 3);
    CHECK(buffer[7].id == 38);
    if (size == 8) {
      REQUIRE(lookup.state() == LookupState::buffer_finished);  // Nobody has asked whether there is more.
      lookup.read(buffer, grooves.callback());
      grooves.pump();
      CHECK(lookup.count() == 0);
    }
    CHECK(lookup.state() == LookupState::scan_finished);
    grooves->scans().release(scan);
  }
}

TEST_CASE("pages in different ops give each object once, whatever changes between them", "[groove_scan]") {
  Random random(9);
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    TestGrooves grooves(options_of(random));
    grooves.begin();
    Changes changes(random, grooves);
    for (u32 op = 0; op < 24; ++op) changes.op(16);
    std::map<u64, u64> seen;
    TimestampRange rest;
    const u64 last = changes.timestamp;
    for (;;) {
      const ScanOptions options{.direction = direction, .timestamps = rest};
      Scan* const scan =
          grooves->scans().merge_union(grooves.notes().scan_range<"author">(u64{0}, u64{3}, options),
                                       grooves.notes().scan<"draft">(options));
      ScanLookup<Notes> lookup(grooves.notes(), *scan);
      std::vector<Note> page(7);
      lookup.read(page, grooves.callback());
      grooves.pump();
      grooves->scans().release(scan);
      for (u32 i = 0; i < lookup.count(); ++i) ++seen[page[i].timestamp];
      if (lookup.state() == LookupState::scan_finished) break;
      (direction == Direction::ascending ? rest.min : rest.max) = page[6].timestamp;
      (direction == Direction::ascending ? ++rest.min : --rest.max);
      // Payloads change, indexed fields do not: so what is to be found stays the same.
      for (u32 i = 0; i < 10; ++i) {
        const u128 id = 1 + random.below(300);
        const auto note = grooves.model.notes.find(id);
        if (note == grooves.model.notes.end()) continue;
        Note changed = note->second;
        ++changed.more[1];
        changed.pinned = value_of(random);
        grooves.update(changed);
      }
      grooves.commits(1);
    }
    u64 expected = 0;
    for (const auto& [id, note] : grooves.model.notes) {
      if (note.author > 3 && (note.flags & 1) == 0) continue;
      REQUIRE(note.timestamp <= last);
      REQUIRE(seen[note.timestamp] == 1);
      ++expected;
    }
    CHECK(expected > 50);
    CHECK(seen.size() == expected);
  }
}

TEST_CASE("an intersection of operands of different density reads few blocks", "[groove_scan]") {
  // 4000 events of one source; 4 of them have a weight.
  GrooveForestOptions options = test_options();
  options.format.block_size = 4096;
  options.format.values_per_block_max = 8;
  options.format.batch_values_max = 32;
  options.format.growth = 8;
  options.groove.prefetch_keys_max = 64;
  options.runtime.blocks_count = 16384;
  TestGrooves grooves(options);
  grooves.begin();
  std::vector<u64> weighted;
  for (u64 timestamp = 1; timestamp <= 4000; ++timestamp) {
    grooves.fetch_events({timestamp});
    Event event = an_event(timestamp, 7);
    if (timestamp % 1000 == 500) {
      event.weight = 3;
      weighted.push_back(timestamp);
    }
    REQUIRE(grooves.events().insert(event) == InsertResult::ok);
    if (timestamp % 32 == 0) grooves.commits(1);
  }
  const auto blocks_of = [&](Scan* scan, std::vector<u64>* timestamps) {
    const u64 before = grooves.blocks_read();
    *timestamps = grooves.timestamps(scan);
    return grooves.blocks_read() - before;
  };
  for (const Direction direction : {Direction::ascending, Direction::descending}) {
    const ScanOptions cold{.direction = direction, .timestamps = {}, .cold = true};
    std::vector<u64> timestamps;
    const u64 all_blocks = blocks_of(grooves.events().scan<"source">(7, cold), &timestamps);
    CHECK(timestamps.size() == 4000);
    const MarkCounter marks;
    const u64 both_blocks =
        blocks_of(grooves->scans().merge_intersection(grooves.events().scan<"source">(7, cold),
                                                      grooves.events().scan<"weight">(3, cold)),
                  &timestamps);
    CHECK(timestamps.size() == 4);
    INFO(both_blocks << " of " << all_blocks);
    CHECK(all_blocks > 400);
    CHECK(both_blocks * 20 < all_blocks);
    CHECK(marks[Mark::scan_probe_tables_leapt] > 0);  // Nobody else probes here.
  }
}

TEST_CASE("an orphaned id is found by no scan, whatever timestamps are wanted", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.orphan(5);
  grooves.insert(a_note(6, 60));
  grooves.commits(1);
  for (const u64 min : {0, 1, 60, 61}) {
    const ScanOptions options{.direction = Direction::descending, .timestamps = {.min = min}};
    const std::vector<u64> one = min <= 60 ? std::vector<u64>{60} : std::vector<u64>{};
    Groove<Notes>& notes = grooves.notes();
    CHECK(grooves.timestamps(notes.scan_id(5, options)).empty());
    CHECK(grooves.timestamps(notes.scan_id(6, options)) == one);
    CHECK(grooves.timestamps(notes.scan_ids(5, 6, options)) == one);
    CHECK(grooves.timestamps(notes.scan_timestamps(options)) == one);
    // A probe that lags behind the range does not widen it.
    Scan* const scan = notes.scan_id(6, options);
    scan->probe(u64_max);
    scan->probe(60);
    CHECK(grooves.timestamps(scan) == one);
  }
}

TEST_CASE("a scan in the order of an index stops where its filter says so", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 id = 1; id <= 40; ++id) {
    grooves.insert(a_note(id, id));
    if (id % 4 == 0) grooves.commits(1);
  }
  struct Stop {
    static ScanDecision decide(void* context, const std::byte*) {
      u32& left = *static_cast<u32*>(context);
      if (--left == 0) return ScanDecision::include_last;
      return left % 2 == 0 ? ScanDecision::include : ScanDecision::exclude;
    }
  };
  Groove<Notes>& notes = grooves.notes();
  const auto all = grooves.timestamps(notes.scan_in_order_of<"author">(2, 3));
  CHECK(all == std::vector<u64>{2, 7, 12, 17, 22, 27, 32, 37, 3, 8, 13, 18, 23, 28, 33, 38});
  u32 left = 11;
  const auto some = grooves.timestamps(notes.scan_in_order_of<"author">(2, 3, {&left, &Stop::decide}));
  CHECK(some == std::vector<u64>{2, 12, 22, 32, 3, 13});
  const auto backwards = grooves.timestamps(
      notes.scan_in_order_of<"author">(2, 3, {}, {.direction = Direction::descending, .timestamps = {}}));
  CHECK(std::equal(all.rbegin(), all.rend(), backwards.begin(), backwards.end()));
}

TEST_CASE("objects keyed by timestamp come from their cache too, unless it is to be cold", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 timestamp = 1; timestamp <= 8; ++timestamp) {
    grooves.fetch_events({timestamp});
    REQUIRE(grooves.events().insert(an_event(timestamp, timestamp % 2)) == InsertResult::ok);
    if (timestamp % 4 == 0) grooves.commits(1);
  }
  grooves.commits(30);  // Into the levels.
  grooves.fetch_events({3});
  for (const bool cold : {false, true}) {
    const MarkCounter marks;
    Scan* const scan = grooves.events().scan<"source">(1);
    ScanLookup<Events> lookup(grooves.events(), *scan, cold);
    std::array<Event, 5> buffer;
    lookup.read(buffer, grooves.callback());
    grooves.pump();
    REQUIRE(lookup.count() == 4);
    for (u32 i = 0; i < 4; ++i) CHECK(bytes_of(buffer[i]) == bytes_of(an_event(2 * i + 1, 1)));
    CHECK(marks[Mark::lookup_object_cached] == (cold ? 0 : 1));
    grooves->scans().release(scan);
  }
}

TEST_CASE("a damaged block ends a scan and a lookup, and nothing of the buffer counts", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  for (u64 id = 1; id <= 60; ++id) {
    grooves.insert(a_note(id, id));
    if (id % 4 == 0) grooves.commits(1);
  }
  grooves.commits(8);
  std::vector<Note> buffer(20);
  const auto read_all = [&](Scan* scan, ScanLookup<Notes>& lookup) {
    lookup.read(buffer, grooves.callback());
    grooves.pump();
    CHECK(lookup.state() == LookupState::failed);
    CHECK(lookup.count() == 0);
    CHECK(lookup.error().kind == ErrorKind::block_damaged);
    grooves->scans().release(scan);
    CHECK(grooves->scans().leaves_open() == 0);
  };
  grooves.storage().failing_tree = Notes::object_tree;
  Scan* scan = grooves.notes().scan<"author">(1, {.direction = {}, .timestamps = {}, .cold = true});
  ScanLookup<Notes> lookup(grooves.notes(), *scan, true);
  read_all(scan, lookup);
  grooves.storage().failing_purpose = IoPurpose::scan;
  for (const u16 tree : {u16{17}, u16{18}}) {
    grooves.storage().failing_tree = tree;
    const ScanOptions cold{.direction = Direction::descending, .timestamps = {}, .cold = true};
    scan = grooves->scans().merge_union(grooves.notes().scan<"author">(1, cold),
                                        grooves.notes().scan_ids(1, 60, cold));
    ScanLookup<Notes> both(grooves.notes(), *scan, true);
    read_all(scan, both);
  }
}

TEST_CASE("nothing changes while a scan is open", "[groove_scan]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(1, 1));
  grooves.fetch({1, 2});
  Scan* const scan = grooves.notes().scan<"draft">();
  CHECK(sim::dies([&] { (void)grooves.notes().insert(a_note(2, 2)); }));
  CHECK(sim::dies([&] { (void)grooves.notes().remove(1); }));
  CHECK(sim::dies([&] { (void)grooves->scope_open(); }));
  CHECK(sim::dies([&] { grooves->compact(grooves->op() + 1, grooves.callback()); }));
  grooves->scans().release(scan);
  CHECK_FALSE(sim::dies([&] { (void)grooves.notes().remove(1); }));
}

}  // namespace tonearm
