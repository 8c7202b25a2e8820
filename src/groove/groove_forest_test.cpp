// All grooves of a file together: memory, options, scopes, crashes, errors, a random life.
#include "groove/groove_forest.h"

#include <cstdlib>
#include <string_view>

#include "groove/test_grooves.h"
#include "sim/disk/death.h"
#include "sim/disk/keyed.h"

namespace tonearm {

TEST_CASE("groove_forest: trees of all grooves, by id", "[groove_forest]") {
  const auto trees = TestForestOfGrooves::trees();
  const std::vector<std::pair<u16, std::string_view>> expected = {
      {3, "events"},        {4, "events.weight"}, {16, "notes"},        {17, "notes.id"},
      {18, "notes.author"}, {19, "notes.pinned"}, {20, "notes.topic"},  {21, "notes.kind"},
      {22, "notes.large"},  {23, "notes.draft"},  {25, "events.source"}};
  REQUIRE(trees.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(trees[i].id == expected[i].first);
    CHECK(trees[i].name == expected[i].second);
    const bool index = expected[i].second.find('.') != std::string_view::npos && trees[i].id != 17;
    CHECK(trees[i].values_per_change == (index ? 2 : 1));
    const TableUsage usage = index ? TableUsage::secondary_index : TableUsage::general;
    CHECK(trees[i].kernel->usage() == usage);
  }
  CHECK(trees[2].kernel->value_size() == sizeof(Note));
  CHECK(trees[6].kernel->value_size() == 32);
  CHECK(trees[9].kernel->value_size() == 8);
}

TEST_CASE("groove_forest: impossible options are refused by name", "[groove_forest]") {
  const auto refused = [](u32 GrooveOptions::*field, u32 value) -> std::string_view {
    GrooveForestOptions options = test_options();
    options.groove.*field = value;
    const OptionsError error = TestForestOfGrooves::validate(options);
    return error ? error.field : "";
  };
  for (const u32 good : {0U, 16U, 160U}) CHECK(refused(&GrooveOptions::cache_slots, good) == "");
  for (const u32 bad : {1U, 17U, (1U << 24) + 16}) {
    CHECK(refused(&GrooveOptions::cache_slots, bad) == "object_cache_slots");
  }
  CHECK(refused(&GrooveOptions::cache_hash_bits, 0) == "");
  CHECK(refused(&GrooveOptions::cache_hash_bits, 65) == "object_cache_hash_bits");
  CHECK(refused(&GrooveOptions::prefetch_keys_max, 1) == "");
  CHECK(refused(&GrooveOptions::prefetch_keys_max, 0) == "prefetch_keys_max");
  CHECK(refused(&GrooveOptions::prefetch_keys_max, (1U << 20) + 1) == "prefetch_keys_max");
  CHECK(refused(&GrooveOptions::prefetch_workers, 1) == "");
  CHECK(refused(&GrooveOptions::prefetch_workers, 0) == "prefetch_workers");
  CHECK(refused(&GrooveOptions::prefetch_workers, 1025) == "prefetch_workers");
  GrooveForestOptions options = test_options();
  options.format.beats = 3;
  CHECK(std::string_view(TestForestOfGrooves::validate(options).field) == "beats");
  options = test_options();
  options.format.block_size = 512;  // No index block of 32 values by twos fits.
  CHECK(std::string_view(TestForestOfGrooves::validate(options).field) == "block_size");
}

TEST_CASE("groove_forest: it needs exactly the memory it asks for", "[groove_forest]") {
  for (const u32 slots : {0U, 16U, 1024U}) {
    for (const u32 keys : {1U, 33U}) {
      GrooveForestOptions options = test_options();
      options.groove.cache_slots = slots;
      options.groove.prefetch_keys_max = keys;
      options.groove.prefetch_workers = keys;
      // Constructing asserts that it takes what memory_required() said, and no byte beyond is there.
      TestGrooves grooves(options);
      grooves.begin();
      grooves.insert(a_note(1, 10));
      grooves.commits(20);
      grooves.check_note(1);
    }
  }
}

TEST_CASE("groove_forest: the factor of an index is part of the format", "[groove_forest]") {
  TestGrooves grooves;
  grooves.begin();
  const u64 hash = grooves->forest().format_options().schema_hash;
  ForestOptions options{.format = test_options().format, .runtime = test_options().runtime};
  std::vector<TreeConfig> trees(TestForestOfGrooves::trees().begin(), TestForestOfGrooves::trees().end());
  options.trees = trees;
  const auto hash_of_trees = [&] {
    std::vector<std::byte> memory(Forest::memory_required(options) + Arena::align_max);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    Forest forest(grooves.storage(), options,
                  std::span(memory).subspan(skip, Forest::memory_required(options)));
    return forest.format_options().schema_hash;
  };
  CHECK(hash_of_trees() == hash);
  trees[1].values_per_change = 1;
  CHECK(hash_of_trees() != hash);
}

namespace {

// Changes of every kind, over what was there before, was removed before, and was done in the scope itself.
// The model becomes what it is if the scope is kept.
void change_in_scope(TestGrooves& grooves) {
  Groove<Notes>& notes = grooves.notes();
  REQUIRE(notes.insert(a_note(1, 101)) == InsertResult::ok);  // Over a removal.
  REQUIRE(notes.remove(2) == ChangeResult::ok);
  REQUIRE(notes.insert(a_note(2, 102)) == InsertResult::ok);
  Note changed = a_note(3, 3);
  changed.author = 4;
  changed.pinned = 9;
  REQUIRE(notes.update(changed) == ChangeResult::ok);
  changed.author = 5;
  REQUIRE(notes.update(changed) == ChangeResult::ok);
  REQUIRE(notes.remove(21) == ChangeResult::ok);
  for (u64 id = 30; id < 58; ++id) REQUIRE(notes.insert(a_note(id, id)) == InsertResult::ok);
  REQUIRE(notes.remove(30) == ChangeResult::ok);
  REQUIRE(grooves.events().insert(an_event(7, 1)) == InsertResult::ok);
  grooves.model.notes[1] = a_note(1, 101);
  grooves.model.notes[2] = a_note(2, 102);
  grooves.model.notes[3] = changed;
  grooves.model.notes.erase(21);
  for (u64 id = 31; id < 58; ++id) grooves.model.notes[id] = a_note(id, id);
  grooves.model.events[7] = an_event(7, 1);
}

void check_prefetched(TestGrooves& grooves, u64 ids) {
  for (u64 id = 1; id <= ids; ++id) {
    const auto result = grooves.notes().get(id);
    const auto note = grooves.model.notes.find(id);
    INFO("id " << id);
    REQUIRE((result.kind == Found::found) == (note != grooves.model.notes.end()));
    if (result.kind == Found::found) REQUIRE(bytes_of(result.object) == bytes_of(note->second));
  }
}

}  // namespace

TEST_CASE("groove_forest: a scope is over all grooves, and what it undoes is whole", "[groove_forest]") {
  // Without a cache all is stashed; with one set only, some of it is evicted.
  const u32 slots = GENERATE(0U, 16U);
  GrooveForestOptions options = test_options();
  options.groove.cache_slots = slots;
  options.format.batch_values_max = 40;
  options.format.values_per_block_max = 0;
  options.groove.prefetch_keys_max = 80;
  TestGrooves grooves(options);
  grooves.begin();
  MarkCounter marks;
  for (u64 id = 1; id <= 20; ++id) grooves.insert(a_note(id, id));
  grooves.commit_bar();
  grooves.insert(a_note(21, 21));
  grooves.remove(1);
  for (const ScopeMode mode : {ScopeMode::discard, ScopeMode::persist}) {
    grooves.notes().prefetch_setup();
    for (u64 id = 1; id <= 60; ++id) REQUIRE(grooves.notes().prefetch_enqueue(id) == PrefetchResult::ok);
    grooves.run_prefetch(grooves.notes());
    grooves.fetch_events({7, 8});
    const GrooveModel before = grooves.model;
    const u32 left = grooves.notes().changes_left();
    REQUIRE(grooves->scope_open());
    CHECK(grooves->scope_active());
    change_in_scope(grooves);
    CHECK(grooves.notes().changes_left() == left - 35);
    check_prefetched(grooves, 60);
    grooves->scope_close(mode);
    CHECK_FALSE(grooves->scope_active());
    if (mode == ScopeMode::discard) {
      grooves.model = before;
      CHECK(grooves.notes().changes_left() == left);
      CHECK(grooves.events().changes_left() == 40);
    }
    check_prefetched(grooves, 60);
    grooves.check_trees();
    grooves.commits(1);
  }
  CHECK(marks[Mark::cache_map_restored] > 0);
  CHECK(marks[Mark::cache_map_tombstone_restored] > 0);
  CHECK(marks[Mark::cache_map_insert_undone] > 0);
  CHECK((marks[Mark::cache_map_rolled_back_from_stash] > 0) == (slots > 0));
  grooves.commits(12);
  grooves.check_trees();
  for (u64 id = 1; id <= 60; ++id) grooves.check_note(id);
}

TEST_CASE("groove_forest: a discarded scope takes ids out of the key range again", "[groove_forest]") {
  TestGrooves grooves;
  grooves.begin();
  grooves.insert(a_note(100, 1));
  grooves.commit_bar();
  grooves.fetch({50, 200});
  REQUIRE(grooves->scope_open());
  REQUIRE(grooves.notes().insert(a_note(50, 50)) == InsertResult::ok);
  REQUIRE(grooves.notes().insert(a_note(200, 51)) == InsertResult::ok);
  grooves->scope_close(ScopeMode::discard);
  MarkCounter marks;
  CHECK(grooves.found(50) == Found::not_found);
  CHECK(grooves.found(200) == Found::not_found);
  CHECK(marks[Mark::prefetch_key_range] == 2);
}

TEST_CASE("groove_forest: other grooves do not open the file", "[groove_forest]") {
  TestGrooves grooves;
  grooves.begin();
  using Other = GrooveForest<Notes>;
  const GrooveForestOptions options = grooves.options();
  std::vector<std::byte> memory(Other::memory_required(options) + Arena::align_max);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
  Other other(grooves.storage(), options, std::span(memory).subspan(skip, Other::memory_required(options)));
  other.open(grooves.callback());
  grooves.pump();
  CHECK(other.error().kind == ErrorKind::options_mismatch);
  CHECK(std::string_view(other.error().field) == "schema_hash");
  GrooveForestOptions wider = options;
  wider.format.batch_values_max = 3;
  CHECK(grooves.reopen(wider).kind == ErrorKind::options_mismatch);
  // What belongs to a run may be another at every open.
  wider = options;
  wider.groove = {.cache_slots = 0, .cache_hash_bits = 3, .prefetch_keys_max = 7, .prefetch_workers = 1};
  CHECK_FALSE(grooves.reopen(wider));
}

TEST_CASE("groove_forest: after an error changes are refused, and answers go on", "[groove_forest]") {
  GrooveForestOptions options = test_options();
  options.runtime.blocks_count = 448;
  options.format.levels = 6;
  TestGrooves grooves(options);
  grooves.begin();
  u64 id = 0;
  Error error;
  while (!error && id < 4000) {
    for (u32 i = 0; i < 3; ++i) {
      ++id;
      grooves.insert(a_note(id, id));
    }
    error = grooves.commit();
  }
  REQUIRE(error.kind == ErrorKind::storage_full);
  MarkCounter marks;
  Groove<Notes>& notes = grooves.notes();
  // For ever, whatever a bar may hold.
  for (u64 key = 0; key <= id + 3; ++key) {
    grooves.check_note(key);
    if (key % 7 == 0) {
      grooves.fetch({key, id + 1});
      CHECK(notes.insert(a_note(id + 1, id + 1)) == InsertResult::refused);
      CHECK(notes.insert(a_note(0, 0)) == InsertResult::refused);
      CHECK(notes.upsert(a_note(key, 17)) == InsertResult::refused);
      CHECK(notes.update(a_note(key, 17)) == ChangeResult::refused);
      CHECK(notes.remove(key) == ChangeResult::refused);
      CHECK(notes.insert_orphaned_id(id + 1) == InsertResult::refused);
      CHECK(notes.get(id + 1).kind == Found::not_found);
    }
  }
  CHECK(grooves.exists(id));
  CHECK_FALSE(grooves.exists(id + 1));
  CHECK(marks[Mark::groove_refused] > 0);
  CHECK(marks[Mark::groove_after_error] > 0);
  CHECK(grooves.commit().kind == ErrorKind::storage_full);
  CHECK_FALSE(grooves->scope_open());
  CHECK_FALSE(grooves->scope_active());
  grooves.check_trees();

  options.runtime.blocks_count = 4096;
  REQUIRE_FALSE(grooves.reopen(options));
}

namespace {

// One op, decided by seed, op number and model alone, so that a replay does what was done.
class RandomOp {
 public:
  RandomOp(TestGrooves& grooves, u64 seed) : grooves_(grooves), stream_("op", seed) {}

  void play() {
    op_ = grooves_->op() + 1;
    drawn_ = 0;
    const bool scoped = below(4) == 0;
    prefetch();
    check_answers();
    if (!scoped) return changes();
    const GrooveModel before = grooves_.model;
    REQUIRE(grooves_->scope_open());
    changes();
    const bool discard = below(2) == 0;
    grooves_->scope_close(discard ? ScopeMode::discard : ScopeMode::persist);
    if (discard) grooves_.model = before;
    check_answers();
    if (discard) changes();
  }

 private:
  static constexpr u64 universe = 40;

  u64 below(u64 bound) { return sim::below(stream_.at(op_, drawn_++), bound); }

  void prefetch() {
    keys_.clear();
    grooves_.notes().prefetch_setup();
    grooves_.events().prefetch_setup();
    for (u32 i = 0; i < 10; ++i) {
      const u64 key = below(universe);
      keys_.push_back(key);
      REQUIRE(grooves_.notes().prefetch_enqueue(u128{key} << 60) == PrefetchResult::ok);
      REQUIRE(grooves_.notes().prefetch_exists_enqueue(key) == PrefetchResult::ok);
      REQUIRE(grooves_.events().prefetch_enqueue(key) == PrefetchResult::ok);
    }
    grooves_.run_prefetch(grooves_.notes());
    grooves_.run_prefetch(grooves_.events());
    REQUIRE_FALSE(grooves_.notes().prefetch_error());
    REQUIRE_FALSE(grooves_.events().prefetch_error());
  }

  void check_answers() {
    for (const u64 key : keys_) {
      const u128 id = u128{key} << 60;
      const auto note = grooves_.notes().get(id);
      const auto wanted = grooves_.model.notes.find(id);
      INFO("op " << op_ << " key " << key);
      if (wanted != grooves_.model.notes.end()) {
        REQUIRE(note.kind == Found::found);
        REQUIRE(bytes_of(note.object) == bytes_of(wanted->second));
      } else {
        REQUIRE(note.kind == (grooves_.model.orphans.contains(id) ? Found::orphaned : Found::not_found));
      }
      REQUIRE(grooves_.notes().exists(key) == timestamp_used(key));
      const auto event = grooves_.events().get(key);
      REQUIRE((event.kind == Found::found) == grooves_.model.events.contains(key));
      if (event.kind == Found::found) {
        REQUIRE(bytes_of(event.object) == bytes_of(grooves_.model.events.at(key)));
      }
    }
  }
  bool timestamp_used(u64 timestamp) const {
    for (const auto& [id, note] : grooves_.model.notes) {
      if (note.timestamp == timestamp) return true;
    }
    return false;
  }

  Note random_note(u128 id, u64 timestamp) {
    Note note = a_note(id, timestamp);
    note.author = below(3);
    note.pinned = below(3);
    note.topic = u128{below(3)} << 90;
    note.kind = static_cast<NoteKind>(below(3));
    note.size = below(3) * 900;
    note.flags = static_cast<u8>(below(4));
    note.more[2] = op_;
    note.more[3] = drawn_;
    return note;
  }

  void changes() {
    for (u32 i = 0; i < 3 && grooves_.notes().changes_left() > 0; ++i) {
      change_note(keys_[below(keys_.size())]);
      change_event(keys_[below(keys_.size())]);
    }
  }

  void change_note(u64 key) {
    const u128 id = u128{key} << 60;
    const auto found = grooves_.model.notes.find(id);
    if (key == 0 || grooves_.model.orphans.contains(id)) return;
    if (found == grooves_.model.notes.end()) {
      const u64 timestamp = below(2) == 0 ? key : universe * op_ + drawn_;  // Used before, or new.
      if (timestamp_used(timestamp)) return;
      if (below(60) == 0 && !grooves_->scope_active()) {
        REQUIRE(grooves_.notes().insert_orphaned_id(id) == InsertResult::ok);
        grooves_.model.orphans.insert(id);
        return;
      }
      const Note note = random_note(id, timestamp);
      REQUIRE(grooves_.notes().insert(note) == InsertResult::ok);
      grooves_.model.notes[id] = note;
    } else if (below(3) == 0) {
      REQUIRE(grooves_.notes().remove(id) == ChangeResult::ok);
      grooves_.model.notes.erase(id);
    } else {
      const Note note = random_note(id, found->second.timestamp);
      REQUIRE(grooves_.notes().upsert(note) == InsertResult::ok);
      grooves_.model.notes[id] = note;
    }
  }

  void change_event(u64 timestamp) {
    if (timestamp == 0 || grooves_.events().changes_left() == 0) return;
    const bool present = grooves_.model.events.contains(timestamp);
    if (present && below(3) == 0) {
      REQUIRE(grooves_.events().remove(timestamp) == ChangeResult::ok);
      grooves_.model.events.erase(timestamp);
      return;
    }
    Event event = an_event(timestamp, below(4));
    event.weight = static_cast<u32>(below(3));
    event.more[0] = below(2);
    REQUIRE(grooves_.events().upsert(event) == InsertResult::ok);
    grooves_.model.events[timestamp] = event;
  }

  TestGrooves& grooves_;
  sim::Stream stream_;
  u64 op_ = 0;
  u64 drawn_ = 0;
  std::vector<u64> keys_;
};

}  // namespace

TEST_CASE("groove_forest: a random life with crashes equals its model", "[groove_forest]") {
  GrooveForestOptions options = test_options();
  options.format.levels = 6;
  for (const u64 seed : {1, 2, 3}) {
    options.groove.cache_slots = seed == 1 ? 0 : 16;
    options.groove.cache_hash_bits = seed == 2 ? 0 : 64;
    options.groove.prefetch_workers = static_cast<u32>(seed);
    TestGrooves grooves(options);
    grooves.begin();
    RandomOp random(grooves, seed);
    std::map<u64, GrooveModel> states{{0, {}}};
    std::map<u64, u128> checkpoints;
    u64 replayed = 0;
    for (u64 op = 1; op <= 300; ++op) {
      random.play();
      states[op] = grooves.model;
      grooves.commits(1);
      if (op % 5 == 0) grooves.check_trees();
      checkpoints[grooves->forest().checkpoint_op()] = grooves->forest().checkpoint_id();
      if (op % 23 != 0) continue;

      // A crash: back to the checkpoint, and from there the same ops again.
      const u64 checkpoint = grooves->forest().checkpoint_op();
      REQUIRE_FALSE(grooves.reopen());
      REQUIRE(grooves->op() == checkpoint);
      grooves.model = states.at(checkpoint);
      grooves.check_trees();
      if (checkpoint == 0) grooves->mark_checkpoint_durable();
      for (; grooves->op() < op; ++replayed) {
        random.play();
        REQUIRE(grooves.model.trees() == states.at(grooves->op() + 1).trees());
        grooves.commits(1);
        const u64 at = grooves->forest().checkpoint_op();
        REQUIRE(checkpoints.at(at) == grooves->forest().checkpoint_id());
      }
    }
    CHECK(replayed > 50);
    CHECK_FALSE(grooves.model.orphans.empty());
    for (u64 key = 0; key < 40; ++key) grooves.check_note(u128{key} << 60);
    grooves.check_trees();
  }
}

TEST_CASE("groove_forest: a checkpoint does not depend on caches and workers", "[groove_forest]") {
  u128 id = 0;
  GrooveForestOptions options = test_options();
  options.format.levels = 6;
  for (const u32 variant : {0U, 1U, 2U}) {
    options.groove.cache_slots = variant * 16;
    options.groove.prefetch_workers = 1 + variant * 5;
    options.groove.prefetch_keys_max = 40 + variant;
    options.runtime.cache_blocks = 16 + variant * 64;
    TestGrooves grooves(options);
    grooves.begin();
    RandomOp random(grooves, 9);
    for (u64 op = 1; op <= 100; ++op) {
      random.play();
      grooves.commits(1);
    }
    if (variant == 0) id = grooves->forest().checkpoint_id();
    CHECK(grooves->forest().checkpoint_id() == id);
  }
}

}  // namespace tonearm
