#include "storage/superblock.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "storage/test_superblock.h"

namespace tonearm {
namespace {

using sim::CrashOutcome;
using sim::Image;

TEST_CASE("format, checkpoint and open agree") {
  sim::PageStore pages;
  SimStorage disk(pages, disk_options(1), nullptr);
  Process first(disk);
  REQUIRE(first.open() == ErrorKind::not_found);
  REQUIRE(first.tap.writes == 0);
  first.tap.purposes.clear();
  REQUIRE(first.format() == ErrorKind::none);
  using enum IoPurpose;
  const std::vector<IoPurpose> format_io = {superblock_format, superblock_format, superblock_format,
                                            superblock_format, superblock_verify, superblock_verify,
                                            superblock_verify, superblock_verify};
  REQUIRE(first.tap.purposes == format_io);
  const SuperblockHeader root = first.superblock->working();
  REQUIRE(root.sequence == 1);
  REQUIRE(root.parent == 0);
  REQUIRE(root.cluster == 7);
  REQUIRE(root.state.op == 0);
  REQUIRE(root.state.storage_size == superblock_zone_size);

  REQUIRE(first.checkpoint(10) == ErrorKind::none);
  REQUIRE(first.checkpoint(20) == ErrorKind::none);
  const SuperblockHeader last = first.superblock->working();
  REQUIRE(last.sequence == 3);
  REQUIRE(last.state.grandparent_checkpoint_id == checkpoint_id_of(root.state));

  Process second(disk);
  REQUIRE(second.open() == ErrorKind::none);
  REQUIRE(second.tap.writes == 0);
  REQUIRE(std::memcmp(&second.superblock->working(), &last, sizeof(last)) == 0);
  REQUIRE(second.superblock->checkpoint_id() == first.superblock->checkpoint_id());
  REQUIRE(second.checkpoint(30) == ErrorKind::none);
  REQUIRE(second.superblock->working().parent == last.checksum);
}

// Crashes an open after each of its steps: whatever a torn repair leaves, the choice stands.
// Of the first four writes that are not durable.
std::vector<sim::CrashWrite> all_writes(CrashOutcome outcome) {
  std::vector<sim::CrashWrite> writes;
  for (u16 write = 0; write < 4; ++write) writes.push_back({.write = write, .outcome = outcome});
  return writes;
}

void crash_in_open(const Image& image, u64 op, CrashOutcome outcome, u64 seed) {
  const std::vector<sim::CrashWrite> outcomes = all_writes(outcome);
  for (u32 steps = 0;; ++steps) {
    SimStorage disk(image, disk_options(seed), nullptr);
    Process process(disk);
    process.superblock->open({}, process.callback());
    for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
    const bool complete = process.done;
    disk.crash({.op = {.number = steps}, .context = 2}, outcomes);
    REQUIRE(reopen(disk) == op);
    if (complete) break;
  }
}

TEST_CASE("a crash at any step of a checkpoint leaves the old one or the new one") {
  const Disk base;
  std::set<u64> opened;
  Marks marks;
  for (const CrashOutcome outcome :
       {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn, CrashOutcome::torn_garbage}) {
    const bool exact = outcome == CrashOutcome::lost || outcome == CrashOutcome::landed;
    const std::vector<sim::CrashWrite> outcomes = all_writes(outcome);
    for (u64 seed = 1; seed <= (exact ? 1u : 6u); ++seed) {
      bool complete = false;
      for (u32 steps = 0; !complete; ++steps) {
        SimStorage disk(base.storage.image(), disk_options(seed), nullptr);
        Process process(disk);
        REQUIRE(process.open() == ErrorKind::none);
        REQUIRE(process.op() == 10);
        process.checkpoint_begin(20);
        for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
        complete = process.done;
        const u32 submitted = process.tap.writes;
        const bool writing = process.tap.purposes.back() == IoPurpose::superblock_write;
        disk.crash({.op = {.number = steps}, .context = 1}, outcomes);
        const Image crashed = disk.image();
        const u64 op = reopen(disk);
        opened.insert(op);
        INFO("seed " << seed << " steps " << steps << " submitted " << submitted);
        const bool legal = op == 10 || op == 20;
        REQUIRE(legal);
        const u32 whole = submitted - (writing && outcome != CrashOutcome::landed ? 1 : 0);
        if (exact) REQUIRE((op == 20) == (whole >= superblock_quorum_open));
        if (whole >= superblock_quorum_open) REQUIRE(op == 20);
        crash_in_open(crashed, op, outcome, seed);
      }
    }
  }
  REQUIRE(opened == std::set<u64>{10, 20});
  for (const Mark mark :
       {Mark::superblock_copy_repaired, Mark::superblock_mixed_at_open, Mark::superblock_torn_at_open}) {
    INFO(mark_name(mark));
    REQUIRE(marks.seen.count(mark) > 0);
  }
}

TEST_CASE("a crash at any step of format leaves op 0 or a disk that can be formatted") {
  std::set<ErrorKind> outcomes_seen;
  for (const CrashOutcome outcome : {CrashOutcome::lost, CrashOutcome::landed, CrashOutcome::torn}) {
    bool complete = false;
    for (u32 steps = 0; !complete; ++steps) {
      sim::PageStore pages;
      SimStorage disk(pages, disk_options(steps + 1), nullptr);
      Process process(disk);
      process.superblock->format(7, {}, process.callback());
      for (u32 step = 0; step < steps && !process.done; ++step) REQUIRE(disk.step());
      complete = process.done;
      disk.crash({.op = {.number = steps}, .context = 1}, all_writes(outcome));
      Process next(disk);
      const ErrorKind kind = next.open();
      outcomes_seen.insert(kind);
      if (kind == ErrorKind::none) {
        REQUIRE(next.op() == 0);
      } else {
        const bool legal = kind == ErrorKind::not_found || kind == ErrorKind::quorum_lost;
        REQUIRE(legal);
        REQUIRE(next.tap.writes == 0);
        REQUIRE_FALSE(complete);
        REQUIRE(next.format() == ErrorKind::none);
      }
      REQUIRE(reopen(disk) == 0);
    }
  }
  REQUIRE(outcomes_seen.size() == 3);
}

// Every bit of a copy, each in one of the four.
TEST_CASE("any flipped bit in one copy is survived and repaired") {
  Disk disk;
  Process process(disk.storage);
  const std::vector<std::byte> whole = process.zone();
  for (u64 flip = 0; flip < 2 * superblock_zone_size; ++flip) {
    const u64 at = flip / 2;
    const u64 byte = at % superblock_copy_size;
    const u64 bit = 2 * (at / superblock_copy_size) + flip % 2;
    const u64 sector = at / 512 * 512;
    std::vector<std::byte> damaged(whole.begin() + static_cast<i64>(sector),
                                   whole.begin() + static_cast<i64>(sector) + 512);
    damaged[at - sector] ^= std::byte{static_cast<u8>(1u << bit)};
    process.overwrite(sector, damaged);
    Process next(disk.storage);
    INFO("byte " << byte << ", bit " << bit);
    REQUIRE(next.open() == ErrorKind::none);
    REQUIRE(next.op() == 10);
    REQUIRE(next.tap.writes == 1);
    REQUIRE(next.tap.purposes.back() == IoPurpose::superblock_repair);
    REQUIRE(next.superblock->working().copy == 0);
    const bool restored = process.zone() == whole;
    REQUIRE(restored);
  }
}

TEST_CASE("each format option that differs is named") {
  Disk disk;
  Process process(disk.storage);
  const auto mismatch = [&](auto FormatOptions::*field, const char* name) {
    FormatOptions given;
    const u64 stored = given.*field;
    given.*field += 2;
    INFO(name);
    REQUIRE(process.open(given) == ErrorKind::options_mismatch);
    const Error& error = process.superblock->error();
    REQUIRE(std::string(error.field) == name);
    REQUIRE(error.stored == stored);
    REQUIRE(error.given == stored + 2);
  };
  mismatch(&FormatOptions::sector_size, "sector_size");
  mismatch(&FormatOptions::block_size, "block_size");
  mismatch(&FormatOptions::levels, "levels");
  mismatch(&FormatOptions::growth, "growth");
  mismatch(&FormatOptions::beats, "beats");
  mismatch(&FormatOptions::checkpoint_interval, "checkpoint_interval");
  mismatch(&FormatOptions::batch_values_max, "batch_values_max");
  mismatch(&FormatOptions::coalescing_percent, "coalescing_percent");
  mismatch(&FormatOptions::manifest_extra_blocks, "manifest_extra_blocks");
  mismatch(&FormatOptions::values_per_block_max, "values_per_block_max");
  mismatch(&FormatOptions::value_blocks_max, "value_blocks_max");
  mismatch(&FormatOptions::reserved, "reserved");
  mismatch(&FormatOptions::schema_hash, "schema_hash");
  mismatch(&FormatOptions::reserved2, "reserved2");
  REQUIRE(process.tap.writes == 0);
  REQUIRE(process.open() == ErrorKind::none);
}

TEST_CASE("states that contradict themselves are recognised") {
  REQUIRE(checkpoint_state_valid(state_at(10)));
  const auto valid = [](auto change) {
    CheckpointState state = state_at(10);
    change(state);
    return checkpoint_state_valid(state);
  };
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.storage_size = superblock_zone_size; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.storage_size = superblock_zone_size - 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.acquired_size = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.released_size = 8; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.released_payload = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_block_count = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_block_count = 2; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_newest_address = 3; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.manifest_newest ^= 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.release = 0; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.snapshots = 1; }));
  REQUIRE_FALSE(valid([](CheckpointState& s) { s.reserved[0] = 1; }));
}

}  // namespace
}  // namespace tonearm
