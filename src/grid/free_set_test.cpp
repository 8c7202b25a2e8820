#include "grid/free_set.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "grid/test_storage.h"
#include "sim/disk/death.h"

namespace tonearm {

namespace {

using OpenResult = FreeSet::OpenResult;

class Set {
 public:
  explicit Set(u64 blocks_count, u64 released_prior_max = 1000) {
    const FreeSet::Options options{.blocks_count = blocks_count, .released_prior_max = released_prior_max};
    Arena measure;
    FreeSet::Memory(measure, options);
    // Remains of something else: the set must not take them for its own.
    memory_.resize(measure.used() + Arena::align_max, std::byte{0xa5});
    std::byte* base = memory_.data();
    base += Arena::align_max - reinterpret_cast<std::uintptr_t>(base) % Arena::align_max;
    Arena arena({base, measure.used()});
    set_ = std::make_unique<FreeSet>(arena, options);
    REQUIRE(arena.used() == measure.used());
  }
  FreeSet& operator*() { return *set_; }
  FreeSet* operator->() { return set_.get(); }

 private:
  std::vector<std::byte> memory_;
  std::unique_ptr<FreeSet> set_;
};

struct Encoded {
  explicit Encoded(FreeSet& set)
      : acquired(FreeSet::encode_size_max(set.blocks_count())), released(acquired.size()) {
    acquired.resize(set.encode_acquired(acquired));
    released.resize(set.encode_released(released));
  }
  std::vector<std::byte> acquired;
  std::vector<std::byte> released;
};

u64 acquire_one(FreeSet& set) {
  std::optional<Reservation> reservation = set.reserve(1);
  REQUIRE(reservation);
  const u64 address = set.acquire(*reservation);
  set.forfeit(*reservation);
  return address;
}

void acquire_all(FreeSet& set) {
  std::optional<Reservation> reservation = set.reserve(static_cast<u32>(set.count_free()));
  REQUIRE(reservation);
  while (reservation->left > 0) (void)set.acquire(*reservation);
  set.forfeit(*reservation);
}

// The lifecycle told with sets of addresses.
struct Model {
  std::set<u64> acquired;  // Released ones included.
  std::set<u64> released;
  std::set<u64> prior;
  bool durable = true;

  void check(const FreeSet& set) const {
    REQUIRE(set.count_acquired() == acquired.size());
    REQUIRE(set.count_released() == released.size() + prior.size());
    REQUIRE(set.checkpoint_durable() == durable);
    REQUIRE(set.highest_acquired() == (acquired.empty() ? 0 : *acquired.rbegin()));
    for (u64 address = 1; address <= set.blocks_count(); ++address) {
      if (set.is_free(address) == acquired.contains(address)) FAIL("is_free of " << address);
      if (set.is_released(address) != (released.contains(address) || prior.contains(address))) {
        FAIL("is_released of " << address);
      }
    }
  }
};

// Drives a set and its model through random histories.
class History {
 public:
  History(u64 seed, u64 blocks_count) : random_(seed), blocks_count_(blocks_count) {
    set_ = std::make_unique<Set>(blocks_count, blocks_count);
    (*set_)->open_empty();
  }

  void step() {
    const u64 kind = random_() % 8;
    if (kind < 4) {
      beat();
    } else if (kind < 6) {
      release(random_() % 40);
    } else if (model_.durable) {
      if (kind == 6) reopen();
      set_not_durable();
    } else {
      set_durable();
    }
    model_.check(**set_);
  }

 private:
  struct Job {
    Reservation reservation;
    std::vector<u64> addresses;  // What the reservation promises, in order.
    std::size_t next = 0;
  };

  // Some jobs reserve, then acquire in any order, then forfeit.
  void beat() {
    FreeSet& set = **set_;
    std::vector<Job> jobs;
    u64 cursor = 1;
    for (u64 i = random_() % 5; i > 0; --i) {
      const u32 count = 1 + static_cast<u32>(random_() % (random_() % 4 == 0 ? blocks_count_ : 30));
      Job job;
      u64 at = cursor;
      for (; at <= blocks_count_ && job.addresses.size() < count; ++at) {
        if (!model_.acquired.contains(at)) job.addresses.push_back(at);
      }
      const std::optional<Reservation> reservation = set.reserve(count);
      REQUIRE(reservation.has_value() == (job.addresses.size() == count));
      if (!reservation) continue;
      cursor = job.addresses.back() + 1;
      job.reservation = *reservation;
      jobs.push_back(job);
      if (random_() % 4 == 0) acquire(jobs.back());
    }
    REQUIRE(set.reservation_count() == jobs.size());
    for (u64 i = random_() % 200; i > 0 && !jobs.empty(); --i) acquire(jobs[random_() % jobs.size()]);
    std::shuffle(jobs.begin(), jobs.end(), random_);
    for (Job& job : jobs) {
      set.forfeit(job.reservation);
      if (&job != &jobs.back()) acquire(jobs.back());
    }
    REQUIRE(set.reservation_count() == 0);
  }

  void acquire(Job& job) {
    REQUIRE(job.reservation.left == job.addresses.size() - job.next);
    if (job.reservation.left == 0) return;
    const u64 address = (*set_)->acquire(job.reservation);
    REQUIRE(address == job.addresses[job.next++]);
    REQUIRE(model_.acquired.insert(address).second);
  }

  void release(u64 count) {
    for (; count > 0; --count) {
      std::vector<u64> candidates;
      for (const u64 address : model_.acquired) {
        if (!(*set_)->is_released(address)) candidates.push_back(address);
      }
      if (candidates.empty()) return;
      const u64 address = candidates[random_() % candidates.size()];
      (*set_)->release(address);
      (model_.durable ? model_.released : model_.prior).insert(address);
    }
  }

  void set_not_durable() {
    if (!model_.durable) return;
    (*set_)->mark_checkpoint_not_durable();
    model_.durable = false;
  }

  void set_durable() {
    (*set_)->mark_checkpoint_durable();
    for (const u64 address : model_.released) model_.acquired.erase(address);
    model_.released = model_.prior;
    model_.prior.clear();
    model_.durable = true;
  }

  // Encodes, acquires trailer blocks that the bitmap does not know, and opens another set from that.
  void reopen() {
    const Encoded encoded(**set_);
    std::vector<u64> trailer;
    for (u64 i = random_() % 4; i > 0 && (*set_)->count_free() > 0; --i) {
      trailer.push_back(acquire_one(**set_));
      REQUIRE(model_.acquired.insert(trailer.back()).second);
      model_.prior.insert(trailer.back());
    }
    // The limit may grow at open; what lies beyond the old one is free.
    blocks_count_ += random_() % 3 == 0 ? 64 * (random_() % 3) : 0;
    set_ = std::make_unique<Set>(blocks_count_, blocks_count_);
    REQUIRE((*set_)->open(encoded.acquired, encoded.released, trailer) == OpenResult::opened);
    model_.durable = false;
  }

  std::mt19937_64 random_;
  u64 blocks_count_;
  std::unique_ptr<Set> set_;
  Model model_;
};

}  // namespace

TEST_CASE("random lifecycles agree with a model of sets", "[free_set]") {
  for (u64 seed = 0; seed < 60; ++seed) {
    // The larger ones have several shards, the last of them incomplete.
    History history(seed, seed % 6 == 5 ? 64 * (65 + seed) : 64 * (1 + seed % 6));
    for (u32 i = 0; i < 60; ++i) history.step();
  }
}

TEST_CASE("addresses do not depend on the order in which jobs acquire", "[free_set]") {
  std::vector<std::vector<u64>> outcomes;
  for (u32 order = 0; order < 2; ++order) {
    Set set(64);
    set->open_empty();
    Reservation a = *set->reserve(3);
    Reservation b = *set->reserve(2);
    std::vector<u64> addresses(5);
    if (order == 0) {
      for (u32 i = 0; i < 3; ++i) addresses[i] = set->acquire(a);
      for (u32 i = 3; i < 5; ++i) addresses[i] = set->acquire(b);
    } else {
      for (u32 i = 3; i < 5; ++i) addresses[i] = set->acquire(b);
      for (u32 i = 0; i < 3; ++i) addresses[i] = set->acquire(a);
    }
    outcomes.push_back(addresses);
  }
  REQUIRE(outcomes[0] == std::vector<u64>{1, 2, 3, 4, 5});
  REQUIRE(outcomes[1] == outcomes[0]);
}

TEST_CASE("a released block is reused after the next durable checkpoint, not before", "[free_set]") {
  const MarksSeen marks;
  Set set(64);
  set->open_empty();
  REQUIRE(acquire_one(*set) == 1);
  REQUIRE(acquire_one(*set) == 2);
  set->release(1);
  REQUIRE(acquire_one(*set) == 3);
  set->mark_checkpoint_not_durable();
  set->release(2);  // In the checkpoint that is about to become durable.
  REQUIRE(marks[Mark::free_set_released_before_durable] == 1);
  REQUIRE(acquire_one(*set) == 4);
  REQUIRE(marks[Mark::free_set_reused] == 0);
  set->mark_checkpoint_durable();
  REQUIRE(set->is_free(1));
  REQUIRE(set->is_released(2));
  REQUIRE(acquire_one(*set) == 1);
  REQUIRE(marks[Mark::free_set_reused] == 1);
  REQUIRE(acquire_one(*set) == 5);
  set->mark_checkpoint_not_durable();
  set->mark_checkpoint_durable();
  REQUIRE(acquire_one(*set) == 2);
  REQUIRE(marks[Mark::free_set_reused] == 2);
}

TEST_CASE("full shards are skipped and come back", "[free_set]") {
  for (u64 blocks_count : {64U, 4096U, 4096U + 64U, 3U * 4096U, 65U * 4096U + 128U}) {
    const MarksSeen marks;
    Set set(blocks_count);
    set->open_empty();
    acquire_all(*set);
    REQUIRE(marks[Mark::free_set_shard_full] == (blocks_count + 4095) / 4096);
    REQUIRE(set->count_free() == 0);
    REQUIRE_FALSE(set->reserve(1));
    set->release(blocks_count);
    set->mark_checkpoint_not_durable();
    set->mark_checkpoint_durable();
    REQUIRE_FALSE(set->reserve(2));
    REQUIRE(acquire_one(*set) == blocks_count);
    REQUIRE_FALSE(set->reserve(1));

    const Encoded encoded(*set);
    Set reopened(blocks_count);
    REQUIRE(reopened->open(encoded.acquired, encoded.released, {}) == OpenResult::opened);
    REQUIRE_FALSE(reopened->reserve(1));
  }
}

TEST_CASE("a failed reservation leaves everything as it was", "[free_set]") {
  Set set(64);
  set->open_empty();
  Reservation a = *set->reserve(60);
  REQUIRE_FALSE(set->reserve(5));
  Reservation b = *set->reserve(4);
  REQUIRE(set->acquire(b) == 61);
  REQUIRE(set->reservation_count() == 2);
  set->forfeit(a);
  REQUIRE(set->acquire(b) == 62);
  set->forfeit(b);
  REQUIRE(acquire_one(*set) == 1);
}

TEST_CASE("a limit may shrink to what is acquired", "[free_set]") {
  Set large(64 * 100);
  large->open_empty();
  for (u32 i = 0; i < 64; ++i) (void)acquire_one(*large);
  {
    const Encoded encoded(*large);
    Set small(64);
    REQUIRE(small->open(encoded.acquired, encoded.released, {}) == OpenResult::opened);
    REQUIRE(small->count_free() == 0);
  }
  REQUIRE(acquire_one(*large) == 65);
  const Encoded encoded(*large);
  Set small(64);
  REQUIRE(small->open(encoded.acquired, encoded.released, {}) == OpenResult::beyond_limit);
  REQUIRE_FALSE(small->opened());
}

TEST_CASE("payloads that contradict themselves are refused", "[free_set]") {
  Set source(128, 2);
  source->open_empty();
  for (u32 i = 0; i < 3; ++i) (void)acquire_one(*source);
  source->release(2);
  const Encoded encoded(*source);
  Set set(128, 2);
  const auto open = [&](std::vector<u64> trailer) {
    return set->open(encoded.acquired, encoded.released, trailer);
  };
  // Released, not acquired.
  REQUIRE(set->open(encoded.released, encoded.acquired, {}) == OpenResult::contradiction);
  REQUIRE(set->open(std::span(encoded.acquired).first(7), encoded.released, {}) == OpenResult::malformed);
  REQUIRE(set->open(encoded.acquired, std::span(encoded.released).first(7), {}) == OpenResult::malformed);
  REQUIRE(open({0}) == OpenResult::contradiction);
  REQUIRE(open({129}) == OpenResult::beyond_limit);
  REQUIRE(open({3}) == OpenResult::contradiction);  // Acquired by somebody else.
  REQUIRE(open({5, 5}) == OpenResult::contradiction);
  REQUIRE(open({6, 5}) == OpenResult::contradiction);
  REQUIRE(open({4, 5, 6}) == OpenResult::contradiction);  // More than may be released before durability.
  REQUIRE_FALSE(set->opened());
  REQUIRE(open({4, 6}) == OpenResult::opened);
  REQUIRE(set->count_acquired() == 5);
  REQUIRE(set->count_released() == 3);
  REQUIRE_FALSE(set->checkpoint_durable());
  set->mark_checkpoint_durable();
  REQUIRE(set->is_free(2));
  REQUIRE(set->is_released(4));
}

TEST_CASE("misuse of the free set is an assertion", "[free_set]") {
  Set set(64, 1);
  REQUIRE(sim::dies([&] { (void)set->reserve(1); }));  // Not open.
  set->open_empty();
  REQUIRE(sim::dies([&] { set->open_empty(); }));
  Reservation a = *set->reserve(1);
  Reservation b = *set->reserve(1);
  REQUIRE(sim::dies([&] { (void)Encoded(*set); }));
  REQUIRE(set->acquire(a) == 1);
  REQUIRE(sim::dies([&] { (void)set->acquire(a); }));  // Used up.
  REQUIRE(sim::dies([&] { set->mark_checkpoint_not_durable(); }));
  set->forfeit(a);
  REQUIRE(sim::dies([&] { (void)set->reserve(1); }));  // While b is not forfeited.
  set->forfeit(b);
  REQUIRE(sim::dies([&] { (void)set->acquire(b); }));  // Of an earlier session.
  REQUIRE(sim::dies([&] { set->forfeit(b); }));
  REQUIRE(sim::dies([&] { (void)set->reserve(0); }));

  REQUIRE(sim::dies([&] { set->release(2); }));  // Free.
  REQUIRE(sim::dies([&] { set->release(65); }));
  (void)acquire_one(*set);
  (void)acquire_one(*set);
  set->release(1);
  REQUIRE(sim::dies([&] { set->release(1); }));
  REQUIRE(sim::dies([&] { set->mark_checkpoint_durable(); }));
  set->mark_checkpoint_not_durable();
  REQUIRE(sim::dies([&] { set->mark_checkpoint_not_durable(); }));
  REQUIRE(sim::dies([&] { set->release(1); }));
  set->release(2);
  REQUIRE(sim::dies([&] { set->release(2); }));
  REQUIRE(sim::dies([&] { set->release(3); }));      // Beyond the capacity.
  REQUIRE(sim::dies([&] { (void)Encoded(*set); }));  // Not durable.
  set->mark_checkpoint_durable();
  REQUIRE(set->is_free(1));
}

}  // namespace tonearm
