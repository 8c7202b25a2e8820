// A forest over two storages: what one side has lost comes back from the other.
#include <deque>

#include "forest/scrubber.h"
#include "forest/test_blocks.h"

namespace tonearm {

namespace {

// The second side, in memory. Its requests complete in the event loop of the first one.
class MemoryMirror final : public Storage {
 public:
  explicit MemoryMirror(const ForestOptions& options)
      : bytes_(options.runtime.blocks_count * options.format.block_size) {}
  void over(Storage& first) { first_ = &first; }
  void crash() { pending_.clear(); }

  void read(Read& read) override { submit({.read = &read}); }
  void write(Write& write) override { submit({.write = &write}); }
  void sync(Sync& sync) override { submit({.sync = &sync}); }
  void next_tick(NextTick&) override { FAIL("ticks belong to the first side"); }

  std::byte* at(u64 offset) { return bytes_.data() + offset; }

  u64 syncs = 0;
  u64 writes = 0;
  bool syncs_fail = false;

 private:
  struct Pending {
    Read* read = nullptr;
    Write* write = nullptr;
    Sync* sync = nullptr;
    NextTick tick;
  };

  void submit(const Pending& pending) {
    pending_.push_back(pending);
    pending_.back().tick.done = Callback<NextTick&>::to<&MemoryMirror::complete>(this);
    first_->next_tick(pending_.back().tick);
  }
  void complete(NextTick&) {
    const Pending pending = pending_.front();
    pending_.pop_front();
    if (pending.read != nullptr) {
      std::memcpy(pending.read->buffer.data(), at(pending.read->offset), pending.read->buffer.size());
      pending.read->result = IoResult::ok;
      pending.read->done(*pending.read);
    } else if (pending.write != nullptr) {
      ++writes;
      std::memcpy(at(pending.write->offset), pending.write->buffer.data(), pending.write->buffer.size());
      pending.write->result = IoResult::ok;
      pending.write->done(*pending.write);
    } else {
      ++syncs;
      pending.sync->result = syncs_fail ? IoResult::failed : IoResult::ok;
      pending.sync->done(*pending.sync);
    }
  }

  Storage* first_ = nullptr;
  std::vector<std::byte> bytes_;
  std::deque<Pending> pending_;  // Nodes stay where they are.
};

struct MirroredForest {
  explicit MirroredForest(ForestOptions options = test_options()) : mirror(options), forest(with(options)) {
    mirror.over(forest.storage());
  }
  ForestOptions with(ForestOptions options) {
    options.mirror = &mirror;
    return options;
  }

  bool same(const BlockReference& block) {
    const std::vector<std::byte> first = BlockEditor(forest).read(block.address);
    return std::memcmp(first.data(), at(block), header_of(at(block)).size) == 0;
  }
  std::byte* at(const BlockReference& block) { return mirror.at(forest->grid().offset_of(block.address)); }
  void check_sides_equal() {
    for (const ReachedBlock& each : BlockEditor(forest).reached()) {
      INFO("block " << each.block.address << " of type " << static_cast<u32>(each.type));
      REQUIRE(header_of(at(each.block)).checksum == each.block.checksum);
      REQUIRE(same(each.block));
    }
  }

  MemoryMirror mirror;
  TestForest forest;
};

struct MirrorScrubber {
  explicit MirrorScrubber(TestForest& test_forest, u32 reads_max = 3)
      : forest(test_forest),
        options{.reads_max = reads_max, .damages_max = 16, .mirror = true},
        arena([&](Arena& measuring) { Scrubber::measure(measuring, forest->format_options(), options); }),
        scrubber(*forest, *arena, options) {}

  std::size_t tour() {
    scrubber.begin(3);
    while (scrubber.touring()) {
      scrubber.step();
      while (!scrubber.idle()) REQUIRE(forest.storage().step());
    }
    return scrubber.damages().size();
  }

  TestForest& forest;
  Scrubber::Options options;
  TestArena arena;
  Scrubber scrubber;
};

}  // namespace

TEST_CASE("both sides have every block that the forest reaches, and both are synced", "[mirror]") {
  MirroredForest test;
  test.forest.begin();
  u64 checkpoint = 0;
  for (u64 op = 0; op < 200; ++op) {
    random_op(test.forest, 4, 150, 30);
    const u64 syncs = test.mirror.syncs;
    test.forest.commits(1);
    CHECK(test.mirror.syncs - syncs == (test.forest->checkpoint_op() != checkpoint ? 1 : 0));
    checkpoint = test.forest->checkpoint_op();
  }
  test.check_sides_equal();
  test.forest.check_all(150, true);
  CHECK(test.forest->grid().counters().reads_mirror == 0);
}

TEST_CASE("a sync that fails on the mirror fails the checkpoint", "[mirror]") {
  MirroredForest test;
  test.forest.begin();
  test.mirror.syncs_fail = true;
  Error error;
  for (u64 op = 0; op < 40 && !error; ++op) {
    random_op(test.forest, 4, 150, 30);
    error = test.forest.commit();
  }
  CHECK(error.kind == ErrorKind::sync_failed);
  CHECK(test.forest->checkpoint_op() == 0);
}

TEST_CASE("what is damaged on the first side is answered and repaired by reads", "[mirror]") {
  MarkCounter marks;
  MirroredForest test;
  test.forest.begin();
  for (u64 op = 0; op < 200; ++op) {
    random_op(test.forest, 5, 150, 30);
    test.forest.commits(1);
  }
  u64 damaged = 0;
  BlockEditor editor(test.forest);
  for (const ReachedBlock& block : editor.reached()) {
    if (block.type != BlockType::value && block.type != BlockType::index) continue;
    editor.flip(block.block.address, 260);
    ++damaged;
  }
  REQUIRE(damaged > 20);
  test.forest.check_all(150, true);
  test.check_sides_equal();
  CHECK(marks[Mark::grid_read_repaired] == damaged);
  CHECK(test.forest->grid().counters().repairs == damaged);
  // And ops go on.
  for (u64 op = 0; op < 60; ++op) {
    random_op(test.forest, 5, 150, 30);
    test.forest.commits(1);
  }
  test.forest.check_all(150, true);
}

TEST_CASE("opening answers from the mirror and writes nothing", "[mirror]") {
  MarkCounter marks;
  MirroredForest test;
  fill(test.forest, 5, 200);
  BlockEditor editor(test.forest);
  std::vector<BlockReference> damaged;
  for (const ReachedBlock& block : editor.reached()) {
    if (block.type != BlockType::manifest && block.type != BlockType::free_set) continue;
    editor.flip(block.block.address, 260);
    damaged.push_back(block.block);
  }
  REQUIRE(damaged.size() >= 2);
  test.mirror.crash();
  const u64 mirror_writes = test.mirror.writes;
  REQUIRE_FALSE(test.forest.reopen());
  CHECK(marks[Mark::grid_read_mirrored] == damaged.size());
  CHECK(test.forest->grid().counters().writes == 0);
  CHECK(test.forest->grid().counters().repairs == 0);
  CHECK(test.mirror.writes == mirror_writes);
  for (const BlockReference& block : damaged) CHECK_FALSE(test.same(block));
  MirrorScrubber scrubbing(test.forest);
  CHECK(scrubbing.tour() == 0);
  CHECK(scrubbing.scrubber.counters().repaired == damaged.size());
  for (const BlockReference& block : damaged) CHECK(test.same(block));
}

TEST_CASE("a tour repairs every block that is damaged on one side, from the other", "[mirror]") {
  for (const u32 reads_max : {1U, 5U}) {
    MarkCounter marks;
    MirroredForest test;
    fill(test.forest, 5, 200);
    BlockEditor editor(test.forest);
    const std::vector<ReachedBlock> reached = editor.reached();
    u64 first = 0;
    u64 mirror = 0;
    for (u64 i = 0; i < reached.size(); ++i) {
      if (i % 3 == 0) editor.flip(reached[i].block.address, 40), ++first;
      if (i % 3 == 1) test.at(reached[i].block)[260] ^= std::byte{1}, ++mirror;
    }
    MirrorScrubber scrubbing(test.forest, reads_max);
    CHECK(scrubbing.tour() == 0);
    const Scrubber::Counters& counters = scrubbing.scrubber.counters();
    CHECK(counters.intact() == reached.size());
    CHECK(counters.repaired == first);
    CHECK(counters.repaired_mirror == mirror);
    CHECK(counters.damaged + counters.unrepaired == 0);
    CHECK(marks[Mark::scrub_repaired] == first);
    CHECK(marks[Mark::scrub_repaired_mirror] == mirror);
    test.check_sides_equal();
    CHECK(scrubbing.tour() == 0);
    CHECK(counters.repaired + counters.repaired_mirror == first + mirror);
  }
}

TEST_CASE("what is damaged on both sides is an error, and nothing is written", "[mirror]") {
  MirroredForest test;
  fill(test.forest, 5, 200);
  BlockEditor editor(test.forest);
  const std::vector<ReachedBlock> reached = editor.reached();
  const auto victim = std::find_if(reached.begin(), reached.end(),
                                   [](const ReachedBlock& block) { return block.type == BlockType::value; });
  REQUIRE(victim != reached.end());
  editor.flip(victim->block.address, 40);
  test.at(victim->block)[260] ^= std::byte{1};
  MirrorScrubber scrubbing(test.forest);
  CHECK(scrubbing.tour() == 1);
  CHECK(scrubbing.scrubber.damages()[0].block == victim->block);
  CHECK(scrubbing.scrubber.damages()[0].reason == std::string("invalid_checksum"));
  CHECK(scrubbing.scrubber.counters().repaired + scrubbing.scrubber.counters().repaired_mirror == 0);
}

TEST_CASE("reads, repairs and tours beside the ops never meet over a block", "[mirror]") {
  MirroredForest test(roomy_options());
  test.forest.begin();
  MirrorScrubber scrubbing(test.forest, 4);
  sim::DiskOptions disk = test.forest.storage().options();
  disk.policy = sim::CompletionPolicy::lifo;
  test.forest.storage().reconfigure(disk);
  BlockEditor editor(test.forest);
  for (u64 op = 0; op < 600; ++op) {
    const std::vector<ReachedBlock> reached = editor.reached();
    if (op % 3 == 0 && !reached.empty()) {
      const BlockReference& block = reached[op * 7 % reached.size()].block;
      // One side of each address, or both could be damaged.
      if (block.address % 2 == 0) test.at(block)[260] ^= std::byte{1};
      if (block.address % 2 == 1) editor.flip(block.address, 260);
    }
    if (!scrubbing.scrubber.touring()) scrubbing.scrubber.begin(op * 17);
    scrubbing.scrubber.step();
    random_op(test.forest, 6, 150, 30);
    const u64 number = test.forest->op() + 1;
    test.forest->compact(number, test.forest.callback());
    test.forest.pump();
    REQUIRE_FALSE(test.forest->error());
    if (test.forest->checkpoint_due(number)) REQUIRE_FALSE(test.forest.checkpoint());
    while (!scrubbing.scrubber.idle()) REQUIRE(test.forest.storage().step());
    if (number >= test.forest->checkpoint_op() + 4) test.forest->mark_checkpoint_durable();
  }
  const Scrubber::Counters& counters = scrubbing.scrubber.counters();
  CHECK(counters.damaged == 0);
  CHECK(counters.repaired + test.forest->grid().counters().repairs > 20);
  CHECK(counters.repaired_mirror > 10);
  while (scrubbing.scrubber.touring()) {
    scrubbing.scrubber.step();
    while (!scrubbing.scrubber.idle()) REQUIRE(test.forest.storage().step());
  }
  CHECK(scrubbing.tour() == 0);
  test.check_sides_equal();
  test.forest.check_all(150, true);
}

}  // namespace tonearm
