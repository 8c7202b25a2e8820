#include "sim/run/op_states.h"

#include "sim/run/test_host.h"

namespace tonearm::sim {

namespace {

constexpr u64 half_bar = 2;  // Ops.
constexpr u64 ops = 42;      // Not one after which a checkpoint is taken: then nothing is compacted again.

// The next op: four keys, which come again, get this value.
u64 play(TestHost& host, u64 value) {
  const u64 op = host.forest().op() + 1;
  for (u64 i = 0; i < 4; ++i) {
    const Key key = Key::of((op * 4 + i) * 7 % 64);
    REQUIRE(host->put(TreeName::kv, key, value) == PutResult::ok);
  }
  host.commit();
  return op;
}

// After each half-bar, up to the last of `ops`.
OpStates states_of(TestHost& host) {
  OpStates states;
  while (host.forest().op() < ops) {
    const u64 op = play(host, 1);
    REQUIRE(states.agree(host.forest(), op));
  }
  return states;
}

}  // namespace

TEST_CASE("an op that is played again leaves what it left, behind a crash", "[op_states]") {
  TestHost host;
  OpStates states = states_of(host);
  host.crash();
  const u64 opened = host.forest().op();
  REQUIRE(opened > 0);
  u64 compared = 0;
  while (host.forest().op() < ops) {
    const u64 op = play(host, 1);
    if (!host.compacts()) continue;
    INFO("op " << op);
    CHECK(states.agree(host.forest(), op));
    ++compared;
  }
  CHECK(compared >= 3 * half_bar);
  for (u64 more = 0; more < 10; ++more) {  // And goes on.
    const u64 op = play(host, 1);
    CHECK(states.agree(host.forest(), op));
  }
}

TEST_CASE("an op that leaves other tables is found as soon as they are there", "[op_states]") {
  TestHost host, other;
  OpStates states = states_of(host);
  u64 first = 0;
  for (u64 op = 1; op <= 9; ++op) {
    play(other, 2);
    const bool agrees = states.agree(other.forest(), op);
    if (!agrees && first == 0) first = op;
    // Within a half-bar nobody looks: there are no whole tables yet, and a replay may be further.
    CHECK(agrees == (op < 7 || other.forest().compacting()));
  }
  CHECK(first == 7);  // The second half-bar of the second bar flushes the first one.
}

TEST_CASE("blocks are compared as well, acquired and released ones", "[op_states]") {
  TestHost host;
  OpStates states;
  const auto agree = [&](u64 op) { return states.agree(host.forest(), op); };
  while (host.forest().checkpoint_op() == 0) play(host, 1);
  CHECK(agree(1));
  CHECK(agree(1));
  FreeSet& free_set = host.forest().grid().free_set();
  Reservation reservation = *free_set.reserve(1);
  const u64 address = free_set.acquire(reservation);
  free_set.forfeit(reservation);
  CHECK_FALSE(agree(1));
  CHECK(agree(2));  // Seen for the first time.
  free_set.release(address);
  CHECK_FALSE(agree(2));
}

TEST_CASE("what does not come again is forgotten, and nothing else", "[op_states]") {
  TestHost host, other;
  OpStates states = states_of(host);
  states.forget(9);
  for (u64 op = 1; op <= ops; ++op) {
    play(other, 2);
    INFO("op " << op);
    CHECK(states.agree(other.forest(), op) == (op <= 9 || other.forest().compacting()));
  }
}

}  // namespace tonearm::sim
