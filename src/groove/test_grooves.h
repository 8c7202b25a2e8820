// For tests of this layer: a forest of two grooves over a simulated disk, driven synchronously, with its
// model beside it. What the trees must hold is written here by hand, not by a description.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "groove/groove_forest.h"
#include "sim/disk/engine_code.h"
#include "sim/disk/sim_storage.h"

namespace tonearm {

enum class NoteKind : u8 { plain, list, drawing };

struct Note {
  u128 id;
  u128 topic;
  u64 author;
  u64 pinned;
  u64 size;
  NoteKind kind;
  u8 flags;
  u8 unused[6];
  u64 timestamp;
  u64 more[7];
};

constexpr std::optional<u64> large(const Note& note) {
  return note.size > 1000 ? std::optional<u64>(note.size / 16) : std::nullopt;
}
constexpr bool is_draft(const Note& note) { return (note.flags & 1) != 0; }

struct Notes
    : GrooveDescription<"notes", Note, ObjectTree<16>, IdTree<17>, Field<"author", 18, &Note::author>,
                        OptionalField<"pinned", 19, &Note::pinned>, Field<"topic", 20, &Note::topic>,
                        Field<"kind", 21, &Note::kind>, Derived<"large", 22, &large>,
                        DerivedExists<"draft", 23, &is_draft>, Ignored<&Note::size>, Ignored<&Note::flags>,
                        Ignored<&Note::unused>, Ignored<&Note::more>, OrphanedIds> {};

struct Event {
  u64 source;
  u32 weight;
  u32 unused;
  u64 timestamp;
  u64 more[5];
};

// A tree id below those of the notes: the forest sorts.
struct Events : GrooveDescription<"events", Event, ObjectTree<3>, Field<"source", 25, &Event::source>,
                                  OptionalField<"weight", 4, &Event::weight>, Ignored<&Event::unused>,
                                  Ignored<&Event::more>, NoCache> {};

using TestForestOfGrooves = GrooveForest<Notes, Events>;

// Tables of 16 or 32 values in blocks of 2; checkpoints at triggers 11, 19, 27, ...
inline GrooveForestOptions test_options() {
  GrooveForestOptions options;
  options.format = {.sector_size = 512,
                    .block_size = 2048,
                    .levels = 4,
                    .growth = 2,
                    .beats = 4,
                    .checkpoint_interval = 8,
                    .batch_values_max = 4,
                    .values_per_block_max = 2};
  options.runtime.blocks_count = 4096;
  options.runtime.cache_blocks = 16;
  options.runtime.read_iops = 8;
  options.groove = {.cache_slots = 16, .cache_hash_bits = 64, .prefetch_keys_max = 40, .prefetch_workers = 3};
  return options;
}

inline Note a_note(u128 id, u64 timestamp) {
  Note note{};
  note.id = id;
  note.topic = id << 70 | id;
  note.author = static_cast<u64>(id % 5);
  note.timestamp = timestamp;
  return note;
}
inline Event an_event(u64 timestamp, u64 source) {
  Event event{};
  event.source = source;
  event.timestamp = timestamp;
  return event;
}

class MarkCounter {
 public:
  MarkCounter()
      : old_(set_mark_hook({.context = counts_, .hit = [](void* context, Mark mark, u16, const Key*) {
                              ++static_cast<u64*>(context)[static_cast<u32>(mark)];
                            }})) {}
  ~MarkCounter() { set_mark_hook(old_); }
  MarkCounter(const MarkCounter&) = delete;
  u64 operator[](Mark mark) const { return counts_[static_cast<u32>(mark)]; }

 private:
  u64 counts_[mark_count] = {};
  MarkHook old_;
};

// Lookups (or scans) in one tree fail while that is asked for.
class FailingStorage final : public Storage {
 public:
  explicit FailingStorage(Storage& disk) : disk_(&disk) {}
  u16 failing_tree = 0;
  IoPurpose failing_purpose = IoPurpose::lookup;

  void read(Read& read) override {
    if (read.tag.purpose != failing_purpose || read.tag.tree != failing_tree) return disk_->read(read);
    failed_.push_back(&read);
    if (failed_.size() > 1) return;
    tick_.done = Callback<NextTick&>::to<&FailingStorage::fail>(this);
    disk_->next_tick(tick_);
  }
  void write(Write& write) override { disk_->write(write); }
  void sync(Sync& sync) override { disk_->sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  void fail(NextTick&) {
    const std::vector<Read*> reads = std::move(failed_);
    failed_.clear();
    for (Read* read : reads) {
      read->result = IoResult::failed;
      read->done(*read);
    }
  }
  Storage* disk_;
  std::vector<Read*> failed_;
  NextTick tick_;
};

// The objects that there must be, and what each tree must hold for them.
struct GrooveModel {
  std::map<u128, Note> notes;
  std::set<u128> orphans;
  std::map<u64, Event> events;

  using Rows = std::map<Key, std::string>;  // By key: the value's bytes.
  std::map<u16, Rows> trees() const;
};

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

inline std::map<u16, GrooveModel::Rows> GrooveModel::trees() const {
  std::map<u16, Rows> trees;
  const auto narrow = [&](u16 tree, u64 field, u64 timestamp) {
    const u64 value[] = {field, timestamp};
    trees[tree][Key::of(u128{field} << 64 | timestamp)] = bytes_of(value);
  };
  for (const auto& [id, note] : notes) {
    const u64 timestamp = note.timestamp;
    trees[16][Key::of(timestamp)] = bytes_of(note);
    trees[17][Key::of(id)] = bytes_of(id) + bytes_of(timestamp) + bytes_of(u64{0});
    narrow(18, note.author, timestamp);
    if (note.pinned != 0) narrow(19, note.pinned, timestamp);
    trees[20][Key{.lo = timestamp, .hi = note.topic}] =
        bytes_of(note.topic) + bytes_of(timestamp) + bytes_of(u64{0});
    narrow(21, static_cast<u64>(note.kind), timestamp);
    if (note.size > 1000) narrow(22, note.size / 16, timestamp);
    if (note.flags % 2 == 1) trees[23][Key::of(timestamp)] = bytes_of(timestamp);
  }
  for (const u128 id : orphans) trees[17][Key::of(id)] = bytes_of(id) + bytes_of(u128{0});
  for (const auto& [timestamp, event] : events) {
    trees[3][Key::of(timestamp)] = bytes_of(event);
    narrow(25, event.source, timestamp);
    if (event.weight != 0) narrow(4, event.weight, timestamp);
  }
  return trees;
}

class TestGrooves {
 public:
  explicit TestGrooves(const GrooveForestOptions& options = test_options())
      : options_(options), disk_(pages_, disk_options(options), nullptr), storage_(disk_) {
    construct();
  }
  ~TestGrooves() { disk_.crash({}); }

  TestForestOfGrooves& operator*() { return *engine_; }
  TestForestOfGrooves* operator->() { return &*engine_; }
  Groove<Notes>& notes() { return engine_->groove<Notes>(); }
  Groove<Events>& events() { return engine_->groove<Events>(); }
  FailingStorage& storage() { return storage_; }
  const GrooveForestOptions& options() const { return options_; }

  TestGrooves& begin() {
    engine_->format(callback());
    pump();
    const Error error = open();
    REQUIRE(error.kind == ErrorKind::none);
    engine_->mark_checkpoint_durable();
    return *this;
  }
  Error open() {
    engine_->open(callback());
    pump();
    return engine_->error();
  }
  // A crash. The model stays as it is: the caller says what is to be replayed.
  Error reopen(const GrooveForestOptions& options) {
    disk_.crash({});
    engine_.reset();
    options_ = options;
    disk_.reconfigure(disk_options(options));
    construct();
    return open();
  }
  Error reopen() { return reopen(options_); }

  Error commit() {
    const u64 op = engine_->op() + 1;
    engine_->compact(op, callback());
    pump();
    if (!engine_->error() && engine_->checkpoint_due(op)) {
      engine_->checkpoint(callback());
      pump();
    }
    if (engine_->error()) return engine_->error();
    // In a replay, too: it decides which addresses are free when.
    const u64 checkpoint = engine_->forest().checkpoint_op();
    if (op >= checkpoint + options_.format.beats) engine_->mark_checkpoint_durable();
    return {};
  }
  void commits(u64 count) {
    for (u64 i = 0; i < count; ++i) {
      const Error error = commit();
      INFO("op " << engine_->op() << ": " << error_name(error.kind));
      REQUIRE(error.kind == ErrorKind::none);
    }
  }
  // To the end of the bar: memory tables have swapped, and the caches forgot.
  void commit_bar() {
    do {
      commits(1);
    } while (engine_->op() % options_.format.beats != options_.format.beats - 1);
  }

  template <class Description>
  void run_prefetch(Groove<Description>& groove) {
    groove.prefetch(callback());
    pump();
  }
  void fetch(std::initializer_list<u128> ids) {
    notes().prefetch_setup();
    for (const u128 id : ids) REQUIRE(notes().prefetch_enqueue(id) == PrefetchResult::ok);
    run_prefetch(notes());
    REQUIRE(notes().prefetch_error().kind == ErrorKind::none);
  }
  void fetch_events(std::initializer_list<u64> timestamps) {
    events().prefetch_setup();
    for (const u64 timestamp : timestamps) {
      REQUIRE(events().prefetch_enqueue(timestamp) == PrefetchResult::ok);
    }
    run_prefetch(events());
    REQUIRE(events().prefetch_error().kind == ErrorKind::none);
  }
  Found found(u128 id) {
    fetch({id});
    return notes().get(id).kind;
  }
  bool exists(u64 timestamp) {
    notes().prefetch_setup();
    REQUIRE(notes().prefetch_exists_enqueue(timestamp) == PrefetchResult::ok);
    run_prefetch(notes());
    return notes().exists(timestamp);
  }

  // Fetched, done and noted in the model.
  void insert(const Note& note) {
    REQUIRE(found(note.id) == Found::not_found);
    REQUIRE(notes().insert(note) == InsertResult::ok);
    model.notes[note.id] = note;
  }
  void update(const Note& note) {
    REQUIRE(found(note.id) == Found::found);
    REQUIRE(notes().update(note) == ChangeResult::ok);
    model.notes[note.id] = note;
  }
  void remove(u128 id) {
    REQUIRE(found(id) == Found::found);
    REQUIRE(notes().remove(id) == ChangeResult::ok);
    model.notes.erase(id);
  }
  void orphan(u128 id) {
    REQUIRE(found(id) == Found::not_found);
    REQUIRE(notes().insert_orphaned_id(id) == InsertResult::ok);
    model.orphans.insert(id);
  }

  void check_note(u128 id) {
    fetch({id});
    const auto result = notes().get(id);
    const auto note = model.notes.find(id);
    INFO("id " << static_cast<u64>(id));
    if (note != model.notes.end()) {
      REQUIRE(result.kind == Found::found);
      REQUIRE(bytes_of(result.object) == bytes_of(note->second));
    } else {
      REQUIRE(result.kind == (model.orphans.contains(id) ? Found::orphaned : Found::not_found));
      REQUIRE(bytes_of(result.object) == bytes_of(Note{}));
    }
  }
  // Every tree, by a scan. Not in a scope.
  void check_trees() {
    const auto expected = model.trees();
    for (u32 index = 0; index < engine_->forest().tree_count(); ++index) {
      Tree& tree = engine_->forest().tree(index);
      INFO("tree " << tree.config().name << " op " << engine_->op());
      const auto rows = expected.find(tree.config().id);
      REQUIRE(scan(tree) == (rows == expected.end() ? GrooveModel::Rows{} : rows->second));
    }
  }

  // Read to its end, and released.
  std::vector<u64> timestamps(Scan* scan) {
    REQUIRE(scan != nullptr);
    std::vector<u64> all;
    for (;;) {
      u64 timestamp = 0;
      const Scan::Next next = scan->next(&timestamp);
      if (next == Scan::Next::value) {
        all.push_back(timestamp);
      } else if (next == Scan::Next::read_again) {
        scan->read(callback());
        pump();
      } else {
        REQUIRE(next == Scan::Next::end);
        break;
      }
    }
    engine_->scans().release(scan);
    return all;
  }
  u64 blocks_read() const { return engine_->forest().grid().counters().reads_storage; }

  Callback<> callback() { return Callback<>::to<&TestGrooves::done>(this); }
  void pump() {
    REQUIRE(done_ == 0);  // A completion never runs inside the call.
    for (u64 steps = 0; done_ == 0; ++steps) {
      REQUIRE(steps < 1'000'000);
      REQUIRE(disk_.step());
    }
    REQUIRE(done_ == 1);
    done_ = 0;
  }

  GrooveModel model;

 private:
  static sim::DiskOptions disk_options(const GrooveForestOptions& options) {
    sim::DiskOptions disk;
    disk.sector_size = options.format.sector_size;
    disk.block_size = options.format.block_size;
    disk.blocks_count = options.runtime.blocks_count;
    disk.read.latency_ticks_mean = 10;
    disk.write.latency_ticks_mean = 10;
    disk.seed = 5;
    return disk;
  }
  // Behind the buffer that the engine asks for is a guard.
  void construct() {
    const OptionsError error = TestForestOfGrooves::validate(options_);
    INFO((error ? error.field : "") << ": " << (error ? error.expected : ""));
    REQUIRE_FALSE(error);
    const u64 size = TestForestOfGrooves::memory_required(options_);
    memory_.assign(size + 2 * Arena::align_max, std::byte{0xcd});
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    engine_.emplace(storage_, options_, std::span(memory_).subspan(skip, size));
  }
  GrooveModel::Rows scan(Tree& tree) {
    TreeScan& scan = engine_->forest().scan_open(tree, {.min = {}, .max = tree.kernel().key_max()},
                                                 Direction::ascending, true);
    GrooveModel::Rows rows;
    for (;;) {
      const std::byte* value = nullptr;
      const TreeScan::Next next = scan.next(&value);
      if (next == TreeScan::Next::value) {
        rows[tree.kernel().key_of(value)] = {reinterpret_cast<const char*>(value),
                                             tree.kernel().value_size()};
      } else if (next == TreeScan::Next::read_again) {
        scan.read(callback());
        pump();
      } else {
        REQUIRE(next == TreeScan::Next::end);
        break;
      }
    }
    scan.close();
    return rows;
  }
  void done() { ++done_; }

  GrooveForestOptions options_;
  sim::PageStore pages_;
  sim::SimStorage disk_;
  FailingStorage storage_;
  std::vector<std::byte> memory_;
  std::optional<TestForestOfGrooves> engine_;
  u32 done_ = 0;
};

}  // namespace tonearm
