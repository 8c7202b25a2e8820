// Every place where an error of the storage, or a damaged block, enters the engine: the error that comes out
// names the block, its checksum and the reason, the engine refuses what it must with that same error, and
// opened again on a disk in order it is whole. (Scrubber and verification: their own tests.)
#include <algorithm>
#include <string>

#include "forest/test_forest.h"

namespace tonearm {

namespace {

using Way = ErrorStorage::Way;
constexpr u64 universe = 40;

const char* reason_of(Way way) {
  switch (way) {
    case Way::fails: return "read_failed";
    case Way::header: return "invalid_checksum";
    case Way::body: return "invalid_checksum_body";
    case Way::another: return "unexpected_checksum";
  }
  return "";
}
constexpr Way ways[] = {Way::fails, Way::header, Way::body, Way::another};

// The oldest block of the manifest log must have left the cache when it is compacted.
ForestOptions small_cache() {
  ForestOptions options = test_options();
  options.runtime.cache_blocks = 16;
  return options;
}

struct ErrorForest : TestForest {
  ErrorForest() : TestForest(small_cache(), sim::DurabilityProfile::cached) {
    begin();
    states[0] = models();
  }

  // One op; what there is after it is known.
  Error op() {
    random_op(*this, 7, universe, 20);
    states[(**this).op() + 1] = models();
    return commit();
  }
  void ops_to(u64 last) {
    while ((**this).op() < last) REQUIRE_FALSE(op());
  }
  // Ops until one ends in an error.
  Error first_error() {
    for (u32 i = 0; i < 200; ++i) {
      if (const Error error = op()) return error;
    }
    return {};
  }
  Checksum checksum_at(u64 address) {
    std::vector<std::byte> block(test_options().format.block_size);
    storage().truth().read(storage().grid_offset() + (address - 1) * block.size(), block);
    return header_of(block.data()).checksum;
  }

  void check_damaged(const Error& error, Way way) {
    CHECK(errors().struck() >= (**this).runtime_options().read_attempts_max);
    REQUIRE(error.kind == ErrorKind::block_damaged);
    CHECK(error.checksum == checksum_at(error.address));
    CHECK(error.reason == std::string(reason_of(way)));
  }
  // Everything but queries, with the same error, whatever the storage does by now.
  void check_refuses(const Error& first) {
    errors().stop();
    const u64 written = (**this).grid().counters().writes;
    const auto same = [&first](const Error& error) {
      return error.kind == first.kind && error.address == first.address && error.checksum == first.checksum &&
             error.reason == std::string(first.reason);
    };
    CHECK(put(1, 2) == PutResult::failed);
    CHECK(remove(1) == PutResult::failed);
    CHECK_FALSE((**this).scope_open());
    CHECK(same(commit()));
    CHECK(same(checkpoint()));
    CHECK(same((**this).error()));
    CHECK((**this).grid().counters().writes == written);
  }
  // The last checkpoint that held, and all of it.
  void check_reopens(u64 checkpoint) {
    errors().stop();
    REQUIRE_FALSE(reopen());
    CHECK((**this).checkpoint_op() == checkpoint);
    set_models(states.at(checkpoint));
    check_all(universe, true);
  }

  std::map<u64, std::array<std::map<u64, u64>, 2>> states;  // By op.
};

// A lookup past the caches.
Error lookup_error(ErrorForest& forest, u64 key) {
  bool done = false;
  Tree::Lookup lookup;
  lookup.key = Key::of(key);
  lookup.cache_read = false;
  lookup.done = Callback<Tree::Lookup&>::plain(
      &done, [](void* context, Tree::Lookup&) { *static_cast<bool*>(context) = true; });
  forest.tree(kv).lookup_from_levels_storage(lookup);
  while (!done) REQUIRE(forest.storage().step());
  CHECK_FALSE((lookup.error && lookup.found));
  return lookup.error;
}

Error scan_error(ErrorForest& forest) {
  TreeScan& scan = forest->scan_open(forest.tree(kv), {.min = Key::of(0), .max = Key::of(universe)},
                                     Direction::ascending, false);
  const std::byte* value = nullptr;
  TreeScan::Next next = scan.next(&value);
  while (next == TreeScan::Next::value || next == TreeScan::Next::read_again) {
    if (next == TreeScan::Next::read_again) scan.read(forest.callback()), forest.pump();
    next = scan.next(&value);
  }
  Error error;
  if (next == TreeScan::Next::failed) error = scan.error();
  scan.close();
  return error;
}

}  // namespace

TEST_CASE("forest error: a query that meets a damaged block ends in it, and nothing else does") {
  for (const Way way : ways) {
    INFO(reason_of(way));
    ErrorForest forest;
    forest.ops_to(19);
    forest.errors().strike(IoPurpose::lookup, way);
    u32 failed = 0;
    for (u64 key = 0; key < universe; ++key) {
      const Error error = lookup_error(forest, key);
      if (!error) continue;
      ++failed;
      forest.check_damaged(error, way);
    }
    CHECK(failed > 0);
    forest.errors().strike(IoPurpose::scan, way);
    const Error error = scan_error(forest);
    forest.check_damaged(error, way);
    forest.errors().stop();
    CHECK_FALSE(forest->error());
    CHECK(forest.put(1, 2) == PutResult::ok);
    CHECK_FALSE(forest.commit());
    forest.check_all(universe, true);
  }
}

TEST_CASE("forest error: compaction of tables and of the manifest log stops at what it cannot read") {
  for (const IoPurpose purpose : {IoPurpose::compact_read, IoPurpose::manifest_compact}) {
    for (const Way way : ways) {
      INFO(io_purpose_name(purpose) << " " << reason_of(way));
      ErrorForest forest;
      forest.ops_to(11);
      forest.errors().strike(purpose, way);
      const Error error = forest.first_error();
      forest.check_damaged(error, way);
      const u64 checkpoint = forest->checkpoint_op();
      forest.check_refuses(error);
      forest.check_reopens(checkpoint);
    }
  }
}

TEST_CASE("forest error: open ends at a block of the trailers or of the manifest log") {
  for (const IoPurpose purpose : {IoPurpose::trailer_read, IoPurpose::manifest_read}) {
    for (const Way way : ways) {
      INFO(io_purpose_name(purpose) << " " << reason_of(way));
      ErrorForest forest;
      forest.ops_to(19);
      const u64 checkpoint = forest->checkpoint_op();
      REQUIRE(checkpoint > 0);
      forest.errors().strike(purpose, way);
      const Error error = forest.reopen();
      forest.check_damaged(error, way);
      CHECK(forest.put(1, 2) == PutResult::failed);
      CHECK_FALSE(forest->scope_open());
      CHECK(forest.open().address == error.address);  // It does not look again.
      forest.check_reopens(checkpoint);
    }
  }
}

TEST_CASE("forest error: a write of a block that goes on failing is an error of the op or the checkpoint") {
  for (const IoPurpose purpose :
       {IoPurpose::compact_write, IoPurpose::manifest_write, IoPurpose::trailer_write}) {
    INFO(io_purpose_name(purpose));
    ErrorForest forest;
    forest.ops_to(12);
    forest.errors().strike(purpose, Way::fails);
    const Error error = forest.first_error();
    CHECK(forest.errors().struck() >= forest->runtime_options().read_attempts_max);
    REQUIRE(error.kind == ErrorKind::write_failed);
    CHECK(error.address >= 1);
    CHECK(error.checksum == forest.checksum_at(error.address));
    CHECK(forest->checkpoint_op() == 7);
    forest.check_refuses(error);
    forest.check_reopens(7);
  }
}

TEST_CASE(
    "forest error: a checkpoint does not advance without its sync, its copies, and their verification") {
  struct Case {
    IoPurpose purpose;
    ErrorKind kind;
    u32 struck;
    bool landed;  // The superblock has been written all the same.
  };
  for (const Case& each : {Case{IoPurpose::checkpoint_sync, ErrorKind::sync_failed, 1, false},
                           Case{IoPurpose::superblock_write, ErrorKind::write_failed, 3, false},
                           Case{IoPurpose::superblock_verify, ErrorKind::checkpoint_failed, 12, true}}) {
    INFO(io_purpose_name(each.purpose));
    ErrorForest forest;
    forest.ops_to(18);
    REQUIRE(forest->checkpoint_op() == 7);
    forest.errors().strike(each.purpose, Way::fails);
    const Error error = forest.op();
    CHECK(forest.errors().struck() == each.struck);
    REQUIRE(error.kind == each.kind);
    CHECK(error.address == 0);
    CHECK(forest->checkpoint_op() == 7);
    forest.check_refuses(error);
    forest.check_reopens(each.landed ? 15 : 7);
  }
}

TEST_CASE("forest error: format and open end at a superblock that cannot be read or written") {
  struct Case {
    IoPurpose purpose;
    ErrorKind kind;
  };
  for (const Case& each : {Case{IoPurpose::superblock_format, ErrorKind::write_failed},
                           Case{IoPurpose::superblock_verify, ErrorKind::checkpoint_failed}}) {
    INFO(io_purpose_name(each.purpose));
    TestForest forest(test_options());
    forest.errors().strike(each.purpose, Way::fails);
    forest->format(forest.callback());
    forest.pump();
    CHECK(forest.errors().struck() >= 3);
    CHECK(forest->error().kind == each.kind);
    CHECK(forest.put(1, 2) == PutResult::failed);
  }
  ErrorForest forest;
  forest.ops_to(19);
  forest.errors().strike(IoPurpose::superblock_read, Way::fails);
  CHECK(forest.reopen().kind == ErrorKind::not_found);
  CHECK(forest.errors().struck() == 12);
  CHECK(forest.put(1, 2) == PutResult::failed);
  forest.check_reopens(15);
}

}  // namespace tonearm
