#include "forest/scrubber.h"

#include "forest/test_blocks.h"

namespace tonearm {

namespace {

struct TestScrubber {
  TestScrubber(TestForest& test_forest, u32 reads_max)
      : forest(test_forest),
        options{.reads_max = reads_max, .damages_max = 16},
        arena([&](Arena& measuring) { Scrubber::measure(measuring, forest->format_options(), options); }),
        scrubber(*forest, *arena, options) {}

  // A tour with nothing else between its steps.
  std::vector<Scrubber::Damage> tour(u64 origin) {
    scrubber.begin(origin);
    while (scrubber.touring()) {
      scrubber.step();
      while (!scrubber.idle()) REQUIRE(forest.storage().step());
    }
    return {scrubber.damages().begin(), scrubber.damages().end()};
  }
  void drain() {
    drained = false;
    scrubber.drain(
        Callback<>::plain(this, [](void* self) { static_cast<TestScrubber*>(self)->drained = true; }));
    CHECK_FALSE(drained);
    while (!drained) REQUIRE(forest.storage().step());
    CHECK(scrubber.idle());
  }

  TestForest& forest;
  Scrubber::Options options;
  TestArena arena;
  Scrubber scrubber;
  bool drained = false;
};

// Like TestForest::commit, with reads of the scrubber in flight as long as that may be.
void commit_beside(TestForest& forest, TestScrubber& scrubbing) {
  const u64 op = forest->op() + 1;
  forest->compact(op, forest.callback());
  forest.pump();
  INFO("op " << op << ": " << forest->error().reason << " at " << forest->error().address);
  REQUIRE_FALSE(forest->error());
  if (forest->checkpoint_due(op)) {
    forest->checkpoint(forest.callback());
    forest.pump();
    REQUIRE_FALSE(forest->error());
  }
  if (forest->checkpoint_durable() || op < forest->checkpoint_op() + 4) return;
  scrubbing.drain();
  forest->mark_checkpoint_durable();
}

}  // namespace

TEST_CASE("a tour reads every block once from the disk, whatever its origin, and caches none") {
  MarkCounter marks;
  TestForest forest(test_options());
  fill(forest, 4, 200);
  const std::vector<ReachedBlock> reached = BlockEditor(forest).reached();
  const u64 tables = forest->manifest_log().table_count();
  for (const u32 reads_max : {1U, 3U, 16U}) {
    TestScrubber scrubbing(forest, reads_max);
    for (const u64 origin : {u64{0}, u64{1}, tables / 2, tables - 1, tables, u64_max}) {
      INFO("reads " << reads_max << " origin " << origin);
      const Scrubber::Counters before = scrubbing.scrubber.counters();
      const u64 reads_before = forest.storage().grid_reads();
      CHECK(scrubbing.tour(origin).empty());
      const Scrubber::Counters& after = scrubbing.scrubber.counters();
      CHECK(after.intact() - before.intact() == reached.size());
      CHECK(after.index - before.index == tables);
      CHECK(after.trailer - before.trailer >= 1);
      CHECK(after.manifest - before.manifest >= 1);
      CHECK(forest.storage().grid_reads() - reads_before == reached.size());
      CHECK(after.tours == before.tours + 1);
      CHECK(after.released + after.damaged + after.retries == 0);
    }
  }
  CHECK(marks[Mark::scrub_tour_done] == 18);
  CHECK(marks[Mark::scrub_skipped_released] == 0);
  // Nothing of it is cached, and what is cached does not answer a tour.
  const Key key = Key::of(forest.model(kv).begin()->first);
  CHECK(forest.tree(kv).lookup_from_levels_cache(key).kind == Tree::CacheLookup::Kind::possible);
  (void)forest.get(kv, static_cast<u64>(key.lo), false);
  CHECK(forest.tree(kv).lookup_from_levels_cache(key).kind == Tree::CacheLookup::Kind::positive);
  TestScrubber scrubbing(forest, 2);
  const u64 reads_before = forest.storage().grid_reads();
  const u64 cached_before = forest->grid().counters().reads_cache;
  CHECK(scrubbing.tour(0).empty());
  CHECK(forest.storage().grid_reads() - reads_before == reached.size());
  CHECK(forest->grid().counters().reads_cache == cached_before);
}

TEST_CASE("a forest without tables has a tour too") {
  TestForest forest(test_options());
  forest.begin();
  TestScrubber scrubbing(forest, 2);
  CHECK(scrubbing.tour(5).empty());
  CHECK(scrubbing.scrubber.counters().intact() == 0);
  CHECK(scrubbing.scrubber.counters().tours == 1);
  scrubbing.drain();
}

TEST_CASE("a tour names exactly the damaged block") {
  MarkCounter marks;
  for (const BlockType type :
       {BlockType::index, BlockType::value, BlockType::manifest, BlockType::free_set}) {
    for (const u64 byte : {u64{40}, u64{260}}) {
      TestForest forest(test_options());
      fill(forest, 5, 200);
      BlockEditor editor(forest);
      const std::vector<ReachedBlock> reached = editor.reached();
      std::vector<ReachedBlock> of_type;
      for (const ReachedBlock& block : reached) {
        if (block.type == type) of_type.push_back(block);
      }
      REQUIRE_FALSE(of_type.empty());
      const ReachedBlock& victim = of_type[of_type.size() / 2];
      editor.flip(victim.block.address, byte);
      INFO("type " << static_cast<u32>(type) << " byte " << byte << " address " << victim.block.address);
      TestScrubber scrubbing(forest, 3);
      const std::vector<Scrubber::Damage> damages = scrubbing.tour(7);
      REQUIRE(damages.size() == 1);
      CHECK(damages[0].block == victim.block);
      CHECK(damages[0].type == type);
      CHECK((damages[0].tree != 0) == (type == BlockType::index || type == BlockType::value));
      CHECK(damages[0].reason == std::string(byte == 40 ? "invalid_checksum" : "invalid_checksum_body"));
      const Scrubber::Counters& counters = scrubbing.scrubber.counters();
      CHECK(counters.damaged == 1);
      CHECK(counters.retries == forest->runtime_options().read_attempts_max - 1);
      // Only what an index block would have led to is not read.
      if (type != BlockType::index) CHECK(counters.intact() == reached.size() - 1);
      if (type == BlockType::index) CHECK(counters.intact() < reached.size() - 1);
    }
  }
  CHECK(marks[Mark::scrub_damage_found] == 8);
}

TEST_CASE("more damage than the list holds is counted") {
  TestForest forest(test_options());
  fill(forest, 5, 200);
  BlockEditor editor(forest);
  u64 count = 0;
  for (const ReachedBlock& block : editor.reached()) {
    if (block.type != BlockType::value) continue;
    editor.flip(block.block.address, 300);
    ++count;
  }
  TestScrubber scrubbing(forest, 4);
  CHECK(scrubbing.tour(0).size() == scrubbing.options.damages_max);
  CHECK(scrubbing.scrubber.counters().damaged == count);
  CHECK(scrubbing.scrubber.counters().value == 0);
}

TEST_CASE("tours while ops are compacted and checkpoints taken find nothing wrong") {
  MarkCounter marks;
  for (const u32 reads_max : {1U, 4U}) {
    TestForest forest(roomy_options());
    forest.begin();
    TestScrubber scrubbing(forest, reads_max);
    // What was submitted last comes first: the scrubber's reads are in flight until an op is done.
    sim::DiskOptions disk = forest.storage().options();
    disk.policy = sim::CompletionPolicy::lifo;
    forest.storage().reconfigure(disk);
    u64 in_flight_ops = 0;
    for (u64 op = 0; op < 1200; ++op) {
      if (!scrubbing.scrubber.touring()) scrubbing.scrubber.begin(op * 17);
      scrubbing.scrubber.step();
      random_op(forest, 6, 150, 30);
      commit_beside(forest, scrubbing);
      in_flight_ops += scrubbing.scrubber.idle() ? 0 : 1;
    }
    scrubbing.drain();
    CHECK(in_flight_ops > 300);
    CHECK(scrubbing.scrubber.counters().damaged == 0);
    CHECK(scrubbing.scrubber.counters().released > 0);
    CHECK(scrubbing.scrubber.counters().tours > 3);
    forest.check_all(150, true);
  }
  CHECK(marks[Mark::scrub_skipped_released] > 0);
}

TEST_CASE("damage in a block that was released meanwhile is nobody's business") {
  MarkCounter marks;
  ForestOptions options = roomy_options();
  options.runtime.cache_blocks = 16384;  // Every block: the engine itself does not notice the damage.
  TestForest forest(options);
  forest.begin();
  TestScrubber scrubbing(forest, 8);
  sim::DiskOptions disk = forest.storage().options();
  disk.policy = sim::CompletionPolicy::lifo;
  forest.storage().reconfigure(disk);
  BlockEditor editor(forest);
  std::vector<BlockReference> flipped;
  const Scrubber::Counters& counters = scrubbing.scrubber.counters();
  for (u64 op = 0; op < 300; ++op) {
    for (const ReachedBlock& block : editor.reached()) {
      // An index block says where to go on, so those stay intact.
      if (block.type == BlockType::index) continue;
      if (std::find(flipped.begin(), flipped.end(), block.block) != flipped.end()) continue;
      editor.flip(block.block.address, 40);
      flipped.push_back(block.block);
    }
    if (!scrubbing.scrubber.touring()) scrubbing.scrubber.begin(op);
    const std::size_t known = scrubbing.scrubber.damages().size();
    scrubbing.scrubber.step();
    random_op(forest, 9, 60, 30);
    commit_beside(forest, scrubbing);
    scrubbing.drain();
    CHECK(counters.value + counters.manifest + counters.trailer == 0);
    for (const Scrubber::Damage& damage : scrubbing.scrubber.damages().subspan(known)) {
      if (damage.type == BlockType::value || damage.type == BlockType::manifest) {
        CHECK_FALSE(forest->grid().free_set().is_free(damage.block.address));
      }
    }
  }
  CHECK(counters.damaged > 100);
  CHECK(counters.released > 10);
  CHECK(marks[Mark::scrub_skipped_released] > 0);
}

}  // namespace tonearm
