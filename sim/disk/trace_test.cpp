#include "sim/disk/trace.h"

#include <catch2/catch.hpp>

namespace tonearm::sim {

namespace {

void play(Trace& trace, u64 count, u64 tick_step) {
  for (u64 i = 0; i < count; ++i) {
    if (i % 3 == 0) {
      trace.record(i * tick_step, EventKind::answer, i, i + 1, i + 2);
    } else {
      trace.record(i * tick_step, EventKind::submit_read, i, 4096, 0);
    }
  }
}

}  // namespace

TEST_CASE("digests are a function of the events, however often they are asked for", "[trace]") {
  for (const u64 count : {0u, 1u, 255u, 256u, 257u, 1023u, 1024u, 1025u, 5000u}) {
    Trace quiet;
    play(quiet, count, 1);
    Trace curious;
    for (u64 i = 0; i < count; ++i) {
      if (i % 3 == 0) {
        curious.record(i, EventKind::answer, i, i + 1, i + 2);
      } else {
        curious.record(i, EventKind::submit_read, i, 4096, 0);
      }
      if (i % 7 == 0) (void)curious.digests();
    }
    REQUIRE(quiet.digests() == curious.digests());
    REQUIRE(quiet.count() == count);
    quiet.reset();
    play(quiet, count, 1);
    REQUIRE(quiet.digests() == curious.digests());
  }
}

TEST_CASE("the digest sees every field of every event", "[trace]") {
  const auto digest = [](u64 tick, EventKind kind, u64 a, u64 b, u64 c) {
    Trace trace;
    play(trace, 300, 1);
    trace.record(tick, kind, a, b, c);
    play(trace, 300, 1);
    return trace.digests().digest;
  };
  const u64 value = digest(1, EventKind::fault, 2, 3, 4);
  REQUIRE(value == digest(1, EventKind::fault, 2, 3, 4));
  REQUIRE(value != digest(0, EventKind::fault, 2, 3, 4));
  REQUIRE(value != digest(1, EventKind::crash, 2, 3, 4));
  REQUIRE(value != digest(1, EventKind::fault, 0, 3, 4));
  REQUIRE(value != digest(1, EventKind::fault, 2, 0, 4));
  REQUIRE(value != digest(1, EventKind::fault, 2, 3, 0));
}

TEST_CASE("answers ignore ticks and everything but operations and answers", "[trace]") {
  Trace a;
  Trace b;
  play(a, 1000, 1);
  play(b, 1000, 5);
  b.record(9, EventKind::decision, 1, 2, 3);
  REQUIRE(a.digests().answers == b.digests().answers);
  REQUIRE(a.digests().digest != b.digests().digest);
  b.record(9, EventKind::operation, 1, 2, 3);
  REQUIRE(a.digests().answers != b.digests().answers);
  a.record(9, EventKind::answer, 1, 2, 3);
  REQUIRE(a.digests().answers != b.digests().answers);
}

// The identity of runs, equal on every machine.
TEST_CASE("digests are frozen", "[trace]") {
  Trace trace;
  play(trace, 2000, 3);
  REQUIRE(trace.digests().answers == 0xb976f9428ea83336u);
  REQUIRE(trace.digests().digest == 0xa0aac8e6d4e24667u);
}

TEST_CASE("the tail is the newest events, oldest first", "[trace]") {
  Trace trace;
  REQUIRE(trace.tail(20).empty());
  play(trace, 5, 1);
  REQUIRE(trace.tail(20).size() == 5);
  play(trace, 3000, 1);
  const std::vector<Event> tail = trace.tail(20);
  REQUIRE(tail.size() == 20);
  for (u64 i = 0; i < 20; ++i) REQUIRE(tail[i].a == 2980 + i);
  REQUIRE(trace.tail(100'000).size() == 1024);
}

TEST_CASE("a listener gets every event with its index", "[trace]") {
  struct Seen {
    u64 count = 0;
    u64 sum = 0;
  } seen;
  Trace trace;
  trace.record(0, EventKind::decision, 1, 0, 0);
  trace.set_listener(&seen, [](void* context, u64 index, const Event& event) {
    auto& to = *static_cast<Seen*>(context);
    REQUIRE(index == to.count + 1);
    ++to.count;
    to.sum += event.a;
  });
  trace.record(0, EventKind::decision, 10, 0, 0);
  trace.record(0, EventKind::decision, 20, 0, 0);
  REQUIRE(seen.count == 2);
  REQUIRE(seen.sum == 30);
}

TEST_CASE("events and requests read like sentences", "[trace]") {
  constexpr IoTag tag{.purpose = IoPurpose::compact_write, .level = 2, .tree = 3};
  REQUIRE(request_text({.op = {.number = 17}}, tag, 4) == "17/compact_write(3,2)#4");
  REQUIRE(request_text({.op = {.number = 17, .child = 1}}, {.purpose = IoPurpose::checkpoint_sync}, 0) ==
          "17.1/checkpoint_sync#0");
  REQUIRE(Trace::describe(
              {.tick = 12, .a = 4096, .b = 512, .c = pack_tag(tag, 4), .kind = EventKind::submit_write}) ==
          "      12 submit_write compact_write(3,2)#4 offset=4096 length=512");
  REQUIRE(Trace::describe(
              {.tick = 12, .a = 4096, .b = 1, .c = pack_tag(tag, 4), .kind = EventKind::complete_write}) ==
          "      12 complete_write compact_write(3,2)#4 offset=4096 failed");
  for (u32 kind = 0; kind <= static_cast<u32>(EventKind::decision); ++kind) {
    REQUIRE_FALSE(Trace::describe({.c = u64_max, .kind = static_cast<EventKind>(kind)}).empty());
  }
}

}  // namespace tonearm::sim
