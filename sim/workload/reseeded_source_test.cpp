// Lines of a seed that go on as another seed would.
#include "sim/workload/reseeded_source.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr const char* worlds[] = {"tree", "groove", "forest", "scan_tree", "scan"};

RunOptions options_of(const Workload& workload, u64 seed) {
  RunOptions options;
  workload.draw(seed, &options);
  options.ops = 400;
  options.phase_lines = 50;
  finish_options(&options);
  return options;
}

std::string text_of(const OperationSource& source, u64 from, u64 to) {
  std::string text;
  Operation line;
  for (u64 i = from; i < to; ++i) {
    source.at(i, &line);
    print_operation(line, &text);
  }
  return text;
}

}  // namespace

TEST_CASE("reseed: what came before stays, and what follows is another seed's", "[reseed]") {
  for (const char* name : worlds) {
    const Workload& workload = *find_workload(name);
    const RunOptions options = options_of(workload, 11);
    const auto plain = workload.source(11, options, {});
    for (const u64 from : {u64{0}, u64{1}, u64{137}, u64{399}, u64{400}}) {
      CAPTURE(name, from);
      const ReseededSource source(workload, 11, options, {{.from = from, .seed = 12}});
      REQUIRE(source.count() == 401);
      CHECK(text_of(source, 0, from) == text_of(*plain, 0, from));
      const std::string number = std::to_string(std::max<u64>(1, from));
      CHECK(text_of(source, from, from + 1) == number + ".1 reseed seed=0xc\n");
      const std::string follows = text_of(source, from + 1, 401);
      if (from < 399) CHECK(follows != text_of(*plain, from, 400));
      // Asked for in any order, and again.
      CHECK(text_of(source, from + 1, 401) == follows);
      const ReseededSource same(workload, 11, options, {{.from = from, .seed = 11}});
      CHECK(text_of(same, from + 1, 401) == text_of(*plain, from, 400));
    }
  }
}

TEST_CASE("reseed: in the middle of a run it is as if it had been there from the start", "[reseed]") {
  for (const char* name : worlds) {
    CAPTURE(name);
    const Workload& workload = *find_workload(name);
    const RunOptions options = options_of(workload, 21);
    ReseededSource grown(workload, 21, options, {});
    REQUIRE(text_of(grown, 0, 400) == text_of(*workload.source(21, options, {}), 0, 400));
    grown.reseed(100, 5);
    grown.reseed(101, 6);  // At once: the second one counts.
    grown.reseed(302, 7);
    const Reseeds reseeds{{.from = 100, .seed = 5}, {.from = 100, .seed = 6}, {.from = 300, .seed = 7}};
    CHECK(grown.reseeds() == reseeds);
    const ReseededSource whole(workload, 21, options, reseeds);
    REQUIRE(grown.count() == 403);
    CHECK(text_of(grown, 0, 403) == text_of(whole, 0, 403));
    const ReseededSource second(workload, 21, options, {{.from = 100, .seed = 6}});
    CHECK(text_of(grown, 102, 302) == text_of(second, 101, 301));
    std::set<std::pair<u64, u32>> ids;
    Operation line;
    for (u64 i = 0; i < grown.count(); ++i) {
      grown.at(i, &line);
      CHECK(ids.insert({line.id.number, line.id.child}).second);
    }
  }
}

TEST_CASE("reseed: components have none", "[reseed]") {
  for (const Workload& workload : workloads()) {
    CHECK(can_reseed(workload.name) == (find_alphabet(workload.name) == nullptr));
  }
}

}  // namespace tonearm::sim
