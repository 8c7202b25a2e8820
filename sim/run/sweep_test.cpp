// Sweeps: that the outcomes of a crash are all met, each once; that a sweep leaves the run alone; and that
// what it judges is what a crash line would do.
#include <map>
#include <set>

#include "sim/disk/disk_fixture.h"
#include "sim/run/crash_state.h"
#include "sim/run/test_sweeps.h"
#include "sim/run/sweeper.h"

namespace tonearm::sim {

namespace {

constexpr u32 unit_size = 512;

DiskOptions four_units() {
  return {.sector_size = 512,
          .block_size = 2048,
          .blocks_count = 16,
          .profile = DurabilityProfile::cached,
          .tear_unit = unit_size};
}

using Bytes = std::vector<std::byte>;

// Two blocks that are durable, and over the first one two writes that are not: the second of them leaves
// two units as the first has made them. A third block was never written before.
struct CrashedDisk : Disk {
  CrashedDisk() : Disk(four_units()) {
    put(1, {10, 10, 10, 10}, true);
    put(2, {20, 20, 20, 20}, true);
    put(1, {11, 11, 10, 10}, false);
    put(1, {11, 12, 10, 12}, false);
    put(3, {30, 30, 30, 30}, false);
  }
  void put(u64 address, std::array<u8, 4> units, bool durable) {
    Io& io = write(address, 0);
    for (u64 i = 0; i < 4; ++i) {
      std::fill_n(io.bytes.begin() + static_cast<std::ptrdiff_t>(i * unit_size), unit_size,
                  std::byte(units[i]));
    }
    run();
    if (durable) sync(), run();
  }
  u64 offset(u64 address) const { return storage.grid_offset() + (address - 1) * 2048; }
};

// What is at this place; of a sector that cannot be read, this.
Bytes contents_of(const SimStorage& disk, u64 offset) {
  constexpr std::byte unreadable{0xee};
  Bytes bytes(2048);
  disk.image().read(offset, bytes);
  for (const u64 sector : disk.unreadable_sectors()) {
    const u64 at = sector * unit_size - offset;
    if (at < bytes.size()) {
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), unit_size, unreadable);
    }
  }
  return bytes;
}

// After each unit was read in order.
Bytes read_all(SimStorage& disk, Decisions& decisions, DecisionPath& path, u64 offset) {
  for (u64 at = 0; at < 2048; at += unit_size) {
    decisions.read(disk, path, offset + at, offset + at + unit_size);
  }
  return contents_of(disk, offset);
}

// Every outcome of a crash, as the block at this address tells them apart: decisions and bytes.
u64 walk(CrashedDisk& disk, u64 address, std::set<Bytes>* contents) {
  CrashState state(disk.storage);
  state.index();
  DecisionPath path;
  u64 count = 0;
  do {
    path.begin();
    SimStorage recovered(state.durable(), four_units(), nullptr);
    Decisions decisions(state);
    const Bytes bytes = read_all(recovered, decisions, path, disk.offset(address));
    CHECK(read_all(recovered, decisions, path, disk.offset(address)) == bytes);  // Decided once.
    contents->insert(bytes);
    ++count;
    // A crash line says the same, but for the bytes of garbage.
    SweepPoint point;
    decisions.publish(&point);
    CHECK(point.exact);
    CrashedDisk again;
    again.storage.crash({}, std::span(point.writes).first(point.count));
    const Bytes crashed = contents_of(again.storage, again.offset(address));
    const bool same = crashed == bytes;
    if (!decisions.any_garbage()) CHECK(same);
  } while (path.next());
  return count;
}

Swept sweep_seed(const char* workload, u64 seed, u64 ops, const SweepOptions& options) {
  SeedRun plain(seed, workload);
  plain.config.options.ops = ops;
  plain.config.options.disk.faults = {};  // A sweep judges what crashes leave of a sound medium.
  plain.changed();
  Swept swept = sweep_of(plain.config, options);
  check_passed(swept.result);
  CHECK(swept.result.digests == plain.play().digests);
  return swept;
}

}  // namespace

TEST_CASE("the outcomes of a crash are met, each once", "[sweep]") {
  CrashedDisk disk;
  std::set<Bytes> contents;
  SECTION("two writes over one block: old, new, one unit of the newer one garbage or unreadable") {
    // Units: {10, 11}, {10, 11, 12}, {10}, {10, 12}: twelve, and one of the four that is neither.
    const u64 count = walk(disk, 1, &contents);
    CHECK(count == 12 + 2 * (6 + 4 + 12 + 6));
    CHECK(contents.size() == count);
  }
  SECTION("where nobody has written, garbage is what is there already") {
    CHECK(walk(disk, 3, &contents) == 16 + 4 * 8);
    CHECK(contents.size() == 16 + 4 * 8);
  }
  SECTION("what is durable is decided") {
    CHECK(walk(disk, 2, &contents) == 1);
    CHECK(*contents.begin() == Disk::filled(2048, 20));
  }
}

TEST_CASE("what a recovery overwrites is decided for it, and open for the next crash until it is durable",
          "[sweep]") {
  CrashedDisk disk;
  CrashState state(disk.storage);
  state.index();
  REQUIRE(state.units().size() == 8);
  const u64 first = disk.offset(1);
  DecisionPath path;
  SimStorage recovered(state.durable(), four_units(), nullptr);
  Decisions decisions(state);
  decisions.overwritten(first, first + unit_size);
  decisions.read(recovered, path, first, first + 2 * unit_size);  // The second unit alone.
  decisions.made_durable(first + 2 * unit_size, first + 3 * unit_size);
  CrashState next(recovered);
  decisions.carry_into(&next);
  next.index();
  std::set<u64> open;
  for (const CrashState::Unit& unit : next.units()) open.insert((unit.offset - first) / unit_size);
  CHECK(open == std::set<u64>{0, 3, 8, 9, 10, 11});
}

TEST_CASE("a read that fails decides nothing but which sector has failed", "[sweep]") {
  CrashedDisk disk;
  CrashState state(disk.storage);
  state.index();
  DecisionPath path;
  std::set<u64> failed;
  u64 whole = 0;
  do {
    path.begin();
    SimStorage recovered(state.durable(), four_units(), nullptr);
    Decisions decisions(state);
    const u64 begin = disk.offset(1);
    decisions.read(recovered, path, begin, begin + 2048);
    CHECK(decisions.any_unreadable() == !recovered.unreadable_sectors().empty());
    if (!decisions.any_unreadable()) {
      ++whole;
      continue;
    }
    REQUIRE(recovered.unreadable_sectors().size() == 1);
    failed.insert(recovered.unreadable_sectors().front() - begin / unit_size);
    CHECK_FALSE(path.leads_on());
    // It fails again; another crash finds it so, and the rest as open as it was.
    decisions.read(recovered, path, begin, begin + 2048);
    CrashState next(recovered);
    decisions.carry_into(&next);
    next.index();
    CHECK(next.unreadable().size() == 1);
    CHECK(next.units().size() == state.units().size() - 1);
  } while (path.next());
  CHECK(failed == std::set<u64>{0, 1, 2, 3});
  CHECK(whole == 12 + 6 + 4 + 12 + 6);
}

// A second crash, while the sector is written again.
TEST_CASE("what could not be read can be if the write has landed", "[sweep]") {
  Disk disk(four_units());
  const u64 begin = disk.storage.grid_offset();
  disk.storage.settle_unreadable(begin + unit_size);
  disk.write(1, 7);
  CrashState state(disk.storage);
  state.index();
  REQUIRE(state.unreadable().size() == 1);
  DecisionPath path;
  u64 old = 0;
  u64 landed = 0;
  do {
    path.begin();
    SimStorage recovered(state.durable(), four_units(), nullptr);
    for (const u64 sector : state.unreadable()) recovered.settle_unreadable(sector);
    Decisions decisions(state);
    decisions.read(recovered, path, begin + unit_size, begin + 2 * unit_size);
    const bool unreadable = !recovered.unreadable_sectors().empty();
    ++(unreadable ? old : landed);
    Bytes unit(unit_size);
    recovered.image().read(begin + unit_size, unit);
    if (!unreadable) CHECK(unit == Disk::filled(unit_size, 7));
  } while (path.next());
  CHECK(old == 1);
  CHECK(landed == 1);
}

TEST_CASE("a path of decisions leads everywhere once", "[sweep]") {
  DecisionPath path;
  std::set<std::string> met;
  u64 count = 0;
  do {
    path.begin();
    std::string way;
    // The second choice depends on the first.
    const u32 chosen = path.choose(3);
    way += std::to_string(chosen);
    if (chosen != 1) way += std::to_string(path.choose(2 + chosen));
    CHECK_FALSE(path.leads_on());
    met.insert(way);
    ++count;
  } while (path.next());
  CHECK(count == 2 + 1 + 4);
  CHECK(met.size() == count);
  path.begin();
  path.sample(7);
  const u32 drawn = path.choose(100);
  DecisionPath other;
  other.sample(8);
  CHECK(drawn != other.choose(100));
}

TEST_CASE("a sweep judges every step and leaves the run alone", "[sweep]") {
  for (const char* workload : {"tree", "forest"}) {
    INFO(workload);
    const Swept swept = sweep_seed(workload, 5, 300, {.outcomes_max = 100});
    const SweepCounters& c = swept.sweep.counters[0];
    // Of format and of the end of the run, too; and those before which a crash line struck.
    CHECK(c.steps >= swept.result.counters.steps);
    CHECK(c.states > 20);
    CHECK(c.outcomes > c.states);
    CHECK(c.judged > 10);
    CHECK(c.replayed_ops > 10);
    CHECK(c.next_found > 20);
    CHECK(c.never_opened > 20);
    CHECK(c.garbage > 20);
    CHECK(c.unreadable > 20);
    CHECK(c.undecided_max > 1);
    CHECK(swept.sweep.depth == 0);
  }
}

TEST_CASE("a sweep of crashes in recoveries", "[sweep]") {
  const std::string lines = "put kv key=1 value=1\ncommit times=5\nput kv key=2 value=2\ncommit times=6\n";
  const Scenario scenario = require_scenario(sweep_header("durability=cached") + lines);
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  const RunConfig config = RunConfig::of(scenario, *source);
  const Swept once = sweep_of(config, {});
  const Swept twice = sweep_of(config, {.depth = 2});
  check_passed(once.result);
  check_passed(twice.result);
  CHECK(once.sweep.counters[1].steps == 0);
  CHECK(once.sweep.counters[0].outcomes == twice.sweep.counters[0].outcomes);
  const SweepCounters& c = twice.sweep.counters[1];
  CHECK(c.steps > once.sweep.counters[0].outcomes);
  CHECK(c.states > 100);
  CHECK(c.garbage > 100);
  CHECK(twice.sweep.second_cut == 0);
  CHECK(twice.sweep.complete());
}

TEST_CASE("what makes a step one to be judged", "[sweep]") {
  constexpr u64 grid = superblock_zone_size;
  StepTracker tracker(unit_size);
  const Legal legal{.formatted = true, .verified = 3};
  REQUIRE(tracker.enter(legal, 5));
  tracker.read(0, superblock_zone_size);
  tracker.read(grid + 1024, grid + 2048);
  CHECK(tracker.learn(1));
  CHECK_FALSE(tracker.learn(1));
  CHECK_FALSE(tracker.enter(legal, 5));
  SECTION("a unit that nobody has read does not") {
    tracker.changed(grid, grid + 1024);
    tracker.changed(grid + 2048, grid + 1'000'000);
    CHECK_FALSE(tracker.enter(legal, 5));
  }
  SECTION("a superblock copy does, and what is known of the rest stays") {
    tracker.changed(8192, 16384);
    CHECK(tracker.enter(legal, 5));
    CHECK_FALSE(tracker.learn(1));
    CHECK_FALSE(tracker.enter(legal, 5));
  }
  SECTION("a block of which one unit was read does") {
    tracker.changed(grid + 512, grid + 1536);
    CHECK(tracker.enter(legal, 5));
    CHECK(tracker.learn(1));
    tracker.changed(grid + 512, grid + 1536);  // By no recovery since.
    CHECK_FALSE(tracker.enter(legal, 5));
  }
  SECTION("another checkpoint that may be opened does") {
    CHECK(tracker.enter({.formatted = true, .verified = 3, .pending = 7}, 5));
    CHECK_FALSE(tracker.learn(1));
  }
  SECTION("another op in the log does") {
    CHECK(tracker.enter(legal, 6));
    CHECK(tracker.learn(1));
  }
}

// The argument at the top of sweeper.h, put to the test.
TEST_CASE("steps that need no judgement have the outcomes of the one before them", "[sweep]") {
  std::string lines;
  for (u64 op = 1; op <= 14; ++op) {
    lines += "put kv key=" + std::to_string(op * 7 % 10) + " value=" + std::to_string(op) +
             "\nput id key=" + std::to_string(op) + " value=1\nput index key=1/" + std::to_string(op) +
             "\ncommit\n";
  }
  for (const char* profile : {"durable", "cached"}) {
    const Scenario scenario = require_scenario(sweep_header(std::string("durability=") + profile) + lines);
    const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
    const RunConfig config = RunConfig::of(scenario, *source);
    const Swept some = sweep_of(config, {});
    const Swept all = sweep_of(config, {.every_step = true});  // Asserts it.
    check_passed(all.result);
    CHECK(all.sweep.counters[0].states == some.sweep.counters[0].states);
    CHECK(all.sweep.counters[0].steps > 5 * some.sweep.counters[0].states);
    CHECK(all.sweep.counters[0].judged > all.sweep.counters[0].steps / 2);
    CHECK(all.sweep.counters[0].replayed_ops > 5 * some.sweep.counters[0].replayed_ops);
  }
}

// What the sweep has judged, played by the crash lines that it would write.
TEST_CASE("a crash line crashes at the step that a sweep counts", "[sweep]") {
  const std::string before = "put kv key=1 value=1\ncommit times=4\n";
  u64 found = 0;
  u64 not_found = 0;
  for (u64 at = 0; at < 120; ++at) {
    // All units of the one copy in flight are new, or all but its last are.
    for (const char* units : {"0x3", "0x1"}) {
      const Played played = play(require_scenario(sweep_header("durability=durable") + before +
                                                  "crash at=" + std::to_string(at) + " writes=torn+" + units +
                                                  "\ncommit\nget kv key=1\n"));
      check_passed(played.result);
      const bool next = played.result.checkpoints.size() > played.result.counters.checkpoints;
      (std::string_view(units) == "0x3" ? found : not_found) += next ? 1 : 0;
    }
  }
  CHECK(found == not_found + 1);  // The second copy makes the quorum, or does not.
}

// Of a run whose only checkpoint is that of its end.
TEST_CASE("a crash line of the end strikes where a sweep finds the checkpoint of the end", "[sweep]") {
  const std::string lines = "put kv key=1 value=1\ncommit\n";
  const Scenario scenario = require_scenario(sweep_header("durability=durable") + lines);
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  const Swept swept = sweep_of(RunConfig::of(scenario, *source), {.outcomes_max = 100});
  check_passed(swept.result);
  CHECK(swept.sweep.counters[0].next_found > 20);
  CHECK(swept.sweep.counters[0].steps == swept.result.counters.steps);
  u64 struck = 0;
  u64 not_struck = 0;
  u64 next_found = 0;
  for (u64 at = 0; at < 200; ++at) {
    const Played played =
        play(require_scenario(sweep_header("durability=durable") + "crash end at=" + std::to_string(at) +
                              " writes=landed\n" + lines));
    check_passed(played.result);
    ++(played.result.counters.crashes == 1 ? struck : not_struck);
    CHECK(played.result.counters.crashes + played.result.counters.crashes_unfired == 1);
    next_found += played.result.checkpoints.size() > played.result.counters.checkpoints ? 1 : 0;
  }
  CHECK(struck > 50);
  CHECK(not_struck > 20);
  CHECK(next_found > 3);
}

TEST_CASE("a crash in the recovery of a crash in the end, and one more in the end", "[sweep]") {
  for (u64 at = 0; at < 60; at += 7) {
    const std::string crash = "crash end at=" + std::to_string(at) + " writes=torn_unreadable+0x1/1\n";
    const Played played = play(require_scenario(sweep_header("durability=cached") + "put kv key=1 value=1\n" +
                                                crash + "commit\n" + crash + "crash end at=0\n"));
    check_passed(played.result);
    CHECK(played.result.counters.crashes == 3);
  }
}

}  // namespace tonearm::sim
