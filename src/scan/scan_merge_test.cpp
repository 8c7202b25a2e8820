#include "scan/scan_merge.h"

#include <catch2/catch.hpp>
#include <functional>
#include <iterator>

#include "base/mark.h"
#include "scan/test_scans.h"

namespace tonearm {
namespace {

using namespace test;
using Kind = ScanMerge::Kind;

Timestamps combined(Kind kind, const Timestamps& a, const Timestamps& b) {
  Timestamps result;
  const auto into = std::back_inserter(result);
  switch (kind) {
    case Kind::set_union: std::set_union(a.begin(), a.end(), b.begin(), b.end(), into); break;
    case Kind::intersection: std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), into); break;
    case Kind::difference: std::set_difference(a.begin(), a.end(), b.begin(), b.end(), into); break;
  }
  return result;
}

// Dense or sparse, in runs or not, over a part of the domain or all of it; some are empty, some have
// everything.
Timestamps given(Random& random, u64 domain) {
  const u32 percent = random.chance(10) ? 0 : random.chance(15) ? 100 : random.below(101);
  const u32 run = random.chance(50) ? 1 : 1 + random.below(50);
  const u64 min = random.chance(50) ? 1 : 1 + random.below(static_cast<u32>(domain));
  const u64 max = random.chance(50) ? domain : min + random.below(static_cast<u32>(domain));
  Timestamps all;
  bool in_run = random.chance(percent);
  for (u64 timestamp = min; timestamp <= max && timestamp <= domain; ++timestamp) {
    if (timestamp % run == 0) in_run = random.chance(percent);
    if (in_run) all.push_back(timestamp);
  }
  return all;
}

// A tree of set operations over given scans, and what it must say.
struct Built {
  Built(Random& source, Direction order) : random(source), direction(order) {
    domain = 1 + random.below(random.chance(20) ? 2000 : 120);
    dry_percent = random.chance(40) ? 0 : random.below(90);
    root = build(random.below(4), &expected);
    if (direction == Direction::descending) std::reverse(expected.begin(), expected.end());
  }
  bool before(u64 a, u64 b) const { return direction == Direction::ascending ? a < b : b < a; }

  Random& random;
  Direction direction;
  u64 domain = 0;
  u32 dry_percent = 0;
  TickStorage storage;
  std::vector<std::unique_ptr<GivenScan>> leaves;
  std::vector<std::unique_ptr<ScanMerge>> merges;
  Timestamps expected;
  Scan* root = nullptr;

 private:
  Scan* build(u32 depth, Timestamps* result) {
    if (depth == 0 || random.chance(20)) {
      *result = given(random, domain);
      leaves.push_back(std::make_unique<GivenScan>(storage, random, *result, direction, dry_percent));
      return leaves.back().get();
    }
    const Kind kind = static_cast<Kind>(random.below(3));
    const u32 count = kind == Kind::difference ? 2 : 2 + random.below(3);
    std::vector<Scan*> operands;
    for (u32 i = 0; i < count; ++i) {
      Timestamps operand;
      operands.push_back(build(depth - 1, &operand));
      *result = i == 0 ? operand : combined(kind, *result, operand);
    }
    merges.push_back(std::make_unique<ScanMerge>());
    merges.back()->open(kind, operands, storage);
    return merges.back().get();
  }
};

struct MarkCounter {
  MarkCounter() {
    old = set_mark_hook({.context = counts, .hit = [](void* context, Mark mark, u16, const Key*) {
                           ++static_cast<u64*>(context)[static_cast<u32>(mark)];
                         }});
  }
  ~MarkCounter() { set_mark_hook(old); }
  MarkCounter(const MarkCounter&) = delete;
  u64 operator[](Mark mark) const { return counts[static_cast<u32>(mark)]; }

  u64 counts[mark_count] = {};
  MarkHook old;
};

struct Fixture {
  Random random{1};
  TickStorage storage;
  Reader reader{storage};
  std::vector<std::unique_ptr<GivenScan>> leaves;
  std::vector<std::unique_ptr<ScanMerge>> merges;

  GivenScan* leaf(Timestamps timestamps, u32 dry_percent = 0, Direction direction = Direction::ascending) {
    leaves.push_back(
        std::make_unique<GivenScan>(storage, random, std::move(timestamps), direction, dry_percent));
    return leaves.back().get();
  }
  ScanMerge* merge(Kind kind, std::vector<Scan*> operands) {
    merges.push_back(std::make_unique<ScanMerge>());
    merges.back()->open(kind, operands, storage);
    return merges.back().get();
  }
};

Timestamps up_to(u64 max) {
  Timestamps all;
  for (u64 timestamp = 1; timestamp <= max; ++timestamp) all.push_back(timestamp);
  return all;
}

}  // namespace

TEST_CASE("merged scans equal the standard library's set operations", "[scan_merge]") {
  Random random(1);
  const MarkCounter marks;
  u64 found = 0;
  u64 reads = 0;
  for (u32 round = 0; round < 4000; ++round) {
    Built built(random, random.chance(50) ? Direction::ascending : Direction::descending);
    Reader reader(built.storage);
    const Timestamps all = reader.rest(*built.root);
    REQUIRE(all == built.expected);
    found += all.size();
    reads += reader.reads;
    u64 timestamp = 0;
    REQUIRE(reader.next(*built.root, &timestamp) == Scan::Next::end);  // For ever.
  }
  CHECK(found > 10'000);
  CHECK(reads > 10'000);
  CHECK(marks[Mark::scan_union_of_aborted] > 0);
  CHECK(marks[Mark::scan_difference_pending] > 0);
  CHECK(marks[Mark::scan_intersection_pending] > 0);
}

TEST_CASE("probes leave out what is before them and nothing else, in every state", "[scan_merge]") {
  Random random(2);
  const MarkCounter marks;
  u64 lagging = 0;
  u64 in_needs_data = 0;
  for (u32 round = 0; round < 6000; ++round) {
    Built built(random, random.chance(50) ? Direction::ascending : Direction::descending);
    Reader reader(built.storage);
    const u32 probe_percent = random.below(60);
    const bool aborts = random.chance(5);
    Timestamps all;
    u64 at = 0;  // In `expected`: what comes next.
    for (;;) {
      if (random.chance(probe_percent)) {
        const u64 probed = random.below(static_cast<u32>(built.domain + 3));
        if (at > 0 && built.before(probed, built.expected[at - 1])) ++lagging;
        if (built.root->state() == Scan::State::needs_data) ++in_needs_data;
        built.root->probe(probed);
        while (at < built.expected.size() && built.before(built.expected[at], probed)) ++at;
      }
      if (aborts && random.chance(5)) {
        built.root->abort();
        at = built.expected.size();
      }
      u64 timestamp = 0;
      const Scan::Next next = built.root->next(&timestamp);
      if (next == Scan::Next::read_again) {
        if (random.chance(20)) continue;  // Probe before the read.
        reader.read(*built.root);
      } else if (next == Scan::Next::end) {
        REQUIRE(at == built.expected.size());
        break;
      } else {
        REQUIRE(at < built.expected.size());
        REQUIRE(timestamp == built.expected[at++]);
      }
    }
  }
  CHECK(lagging > 1000);
  CHECK(in_needs_data > 1000);
  CHECK(marks[Mark::scan_merge_read_nothing] > 0);
}

TEST_CASE("an operand that fails ends the merge, once and for ever", "[scan_merge]") {
  Random random(3);
  u64 failed = 0;
  for (u32 round = 0; round < 2000; ++round) {
    Built built(random, random.chance(50) ? Direction::ascending : Direction::descending);
    Reader reader(built.storage);
    const u32 failing = random.below(static_cast<u32>(built.leaves.size()));
    built.leaves[failing]->fails_at = random.below(static_cast<u32>(built.domain + 1));
    u64 timestamp = 0;
    u64 at = 0;
    Scan::Next next = reader.next(*built.root, &timestamp);
    for (; next == Scan::Next::value; next = reader.next(*built.root, &timestamp)) {
      REQUIRE(at < built.expected.size());
      REQUIRE(timestamp == built.expected[at++]);
    }
    if (next == Scan::Next::end) {
      REQUIRE(at == built.expected.size());
      continue;
    }
    ++failed;
    REQUIRE(built.root->state() == Scan::State::failed);
    REQUIRE(built.root->error().kind == ErrorKind::block_damaged);
    built.root->probe(1);
    built.root->abort();
    REQUIRE(built.root->next(&timestamp) == Scan::Next::failed);
  }
  CHECK(failed > 300);
}

TEST_CASE("an operand that a probe has ended does not end a union", "[scan_merge]") {
  Fixture f;
  // The union is probed to 50, where one of its operands has ended long ago.
  GivenScan* const low = f.leaf({1, 2, 3}, 50);
  GivenScan* const high = f.leaf({2, 50, 60, 70}, 50);
  ScanMerge* const both = f.merge(Kind::set_union, {low, high});
  ScanMerge* const all = f.merge(Kind::intersection, {both, f.leaf({50, 70})});
  CHECK(f.reader.rest(*all) == Timestamps{50, 70});
  CHECK(low->state() == Scan::State::aborted);
}

TEST_CASE("what is subtracted is read from where it matters", "[scan_merge]") {
  Fixture f;
  GivenScan* const subtracted = f.leaf(up_to(1000), 100);
  ScanMerge* const difference = f.merge(Kind::difference, {f.leaf({900, 1001}), subtracted});
  CHECK(f.reader.rest(*difference) == Timestamps{1001});
  CHECK(subtracted->read_from >= 900);
  CHECK(subtracted->reads <= 3);
}

TEST_CASE("an intersection reads its dense operand only where the sparse one is", "[scan_merge]") {
  Fixture f;
  Timestamps sparse;
  for (u64 i = 1; i <= 20; ++i) sparse.push_back(i * 1000);
  GivenScan* const dense = f.leaf(up_to(20'000), 100);  // Dry after each of them.
  ScanMerge* const both = f.merge(Kind::intersection, {dense, f.leaf(sparse)});
  CHECK(f.reader.rest(*both) == sparse);
  CHECK(dense->reads <= 2 * 20 + 1);
}

TEST_CASE("a probe may lag behind what a union has returned", "[scan_merge]") {
  Fixture f;
  ScanMerge* const both = f.merge(Kind::set_union, {f.leaf({1, 5, 9}), f.leaf({1, 5, 7})});
  u64 timestamp = 0;
  for (const u64 expected : {1, 5}) {
    REQUIRE(f.reader.next(*both, &timestamp) == Scan::Next::value);
    REQUIRE(timestamp == expected);
    both->probe(1);
  }
  CHECK(f.reader.rest(*both) == Timestamps{7, 9});
}

TEST_CASE("a merge of which nothing has to be read reads nothing, on a tick", "[scan_merge]") {
  Fixture f;
  ScanMerge* const both = f.merge(Kind::set_union, {f.leaf({1, 2}), f.leaf({3})});
  both->probe(10);  // Ends both.
  u64 timestamp = 0;
  REQUIRE(both->next(&timestamp) == Scan::Next::read_again);
  f.reader.read(*both);
  CHECK(both->next(&timestamp) == Scan::Next::end);
}

TEST_CASE("sixty-four operands merge as two do", "[scan_merge]") {
  Fixture f;
  for (const Kind kind : {Kind::set_union, Kind::intersection}) {
    std::vector<Scan*> operands;
    for (u64 i = 0; i < ScanMerge::operands_max; ++i) {
      Timestamps timestamps = up_to(300);
      timestamps.erase(timestamps.begin() + static_cast<long>(i));
      operands.push_back(f.leaf(timestamps, 30));
    }
    const Timestamps all = f.reader.rest(*f.merge(kind, operands));
    CHECK(all.size() == (kind == Kind::set_union ? 300 : 300 - ScanMerge::operands_max));
  }
}

}  // namespace tonearm
