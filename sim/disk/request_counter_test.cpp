#include "sim/disk/request_counter.h"

#include <catch2/catch.hpp>

namespace tonearm::sim {

namespace {

constexpr IoTag tag{.purpose = IoPurpose::lookup, .level = 1, .tree = 2};

u32 next(RequestCounter& counter, u64 number) {
  REQUIRE_FALSE(counter.crowded());
  return counter.next({.op = {.number = number}}, tag, RequestKind::read);
}

}  // namespace

TEST_CASE("every key counts on its own", "[request_counter]") {
  RequestCounter counter;
  REQUIRE(next(counter, 1) == 0);
  REQUIRE(next(counter, 1) == 1);
  REQUIRE(next(counter, 2) == 0);
  REQUIRE(counter.next({.op = {.number = 1, .child = 1}}, tag, RequestKind::read) == 0);
  REQUIRE(counter.next({.op = {.number = 1}, .context = 5}, tag, RequestKind::read) == 0);
  REQUIRE(counter.next({.op = {.number = 1}}, tag, RequestKind::write) == 0);
  REQUIRE(counter.next({.op = {.number = 1}}, {.purpose = IoPurpose::scan, .level = 1, .tree = 2},
                       RequestKind::read) == 0);
  REQUIRE(counter.next({.op = {.number = 1}}, {.purpose = IoPurpose::lookup, .level = 1, .tree = 3},
                       RequestKind::read) == 0);
  REQUIRE(next(counter, 1) == 2);
  REQUIRE(counter.size() == 7);
  counter.clear();
  REQUIRE(counter.size() == 0);
  REQUIRE(next(counter, 1) == 0);
}

TEST_CASE("sweeping keeps what is live and grows only when it must", "[request_counter]") {
  RequestCounter counter;
  u32 sweeps = 0;
  for (u64 number = 0; number < 100'000; ++number) {
    for (u32 n = 0; n < 2; ++n) {
      if (counter.crowded()) {
        counter.sweep(
            [number](const Attribution& a) { return a.op.number + 10 >= number || a.op.number == 3; });
        ++sweeps;
      }
      REQUIRE(next(counter, number) == n);
    }
  }
  REQUIRE(sweeps > 500);
  REQUIRE(counter.size() <= 128);
  counter.sweep([](const Attribution& a) { return a.op.number == 3; });
  REQUIRE(counter.size() == 1);
  REQUIRE(next(counter, 3) == 2);

  RequestCounter full;
  for (u64 number = 0; number < 10'000; ++number) {
    if (full.crowded()) full.sweep([](const Attribution&) { return true; });
    REQUIRE(next(full, number) == 0);
  }
  for (u64 number = 0; number < 10'000; ++number) {
    if (full.crowded()) full.sweep([](const Attribution&) { return true; });
    REQUIRE(next(full, number) == 1);
  }
}

}  // namespace tonearm::sim
