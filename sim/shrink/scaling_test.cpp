// What can only go together, with failures that are made up as in shrinker_test.cpp.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "sim/scenario/settings.h"
#include "sim/shrink/scaling.h"
#include "sim/shrink/shrinker.h"

namespace tonearm::sim {

namespace {

using Fails = std::function<bool(const Scenario&)>;

Scenario scenario_with(const std::string& settings, const std::string& lines) {
  auto parsed = parse_scenario("tonearm 1\nworkload tree\n" + settings + "---\n" + lines);
  REQUIRE(std::holds_alternative<Scenario>(parsed));
  return std::get<Scenario>(std::move(parsed));
}

Scenario shrunk(const Scenario& scenario, const Fails& fails) {
  REQUIRE(fails(scenario));
  const auto play = [&](std::span<Scenario> candidates) {
    std::vector<Trial> answers;
    for (const Scenario& candidate : candidates) {
      answers.push_back(fails(candidate) ? Trial::same : Trial::other);
    }
    return answers;
  };
  Shrinker shrinker(
      scenario, 1, play, [] { return false; }, [](const char*, const Scenario&) {});
  shrinker.run();
  REQUIRE(fails(shrinker.best()));
  return shrinker.best();
}

std::string puts(u64 count) {
  std::string text;
  for (u64 i = 0; i < count; ++i) text += "put kv key=" + std::to_string(100 + i) + " value=1\n";
  return text;
}

u64 count_of(const Scenario& scenario, OperationKind kind) {
  const auto& lines = scenario.operations;
  return static_cast<u64>(
      std::count_if(lines.begin(), lines.end(), [kind](const Operation& line) { return line.kind == kind; }));
}

// Puts of each op; the last is that which never commits.
std::vector<u64> puts_by_op(const Scenario& scenario) {
  std::vector<u64> by_op{0};
  for (const Operation& line : scenario.operations) {
    if (line.kind == OperationKind::put) ++by_op.back();
    if (line.kind == OperationKind::commit) by_op.push_back(0);
  }
  return by_op;
}

}  // namespace

TEST_CASE("ops that are full shrink with what an op may put", "[shrink]") {
  // Three ops in a row that are full, but do not put more than there is room for.
  const Fails fails = [](const Scenario& scenario) {
    const std::vector<u64> by_op = puts_by_op(scenario);
    const u64 full = scenario.options.format.batch_values_max;
    return std::count(by_op.begin(), by_op.end(), full) >= 3;
  };
  const std::string op = puts(60) + "commit\n";
  const Scenario small = shrunk(scenario_with("set batch_values_max=60\n", op + op + op), fails);
  CHECK(small.operations.size() <= 6);
  CHECK(small.options.format.batch_values_max == 1);
}

TEST_CASE("an op with one change more than there is room for shrinks to the least one", "[shrink]") {
  const Fails fails = [](const Scenario& scenario) {
    return count_of(scenario, OperationKind::put) == scenario.options.format.batch_values_max + 1;
  };
  const Scenario small = shrunk(scenario_with("set batch_values_max=21\n", puts(22)), fails);
  CHECK(small.operations.size() < 8);  // Nobody wishes for fewer.
}

TEST_CASE("lines that can only go in pairs do, and commits become part of others", "[shrink]") {
  // Sixteen ops, as many gets as scans, and eight puts.
  const Fails fails = [](const Scenario& scenario) {
    u64 commits = 0;
    for (const Operation& line : scenario.operations) {
      if (line.kind == OperationKind::commit) commits += line.count;
    }
    const bool even = count_of(scenario, OperationKind::get) == count_of(scenario, OperationKind::remove);
    return commits == 16 && even && count_of(scenario, OperationKind::put) >= 8;
  };
  std::string text;
  for (u64 i = 0; i < 8; ++i) text += "put kv key=1 value=1\ncommit times=2\n";
  const Scenario small = shrunk(scenario_with("", "get kv key=1\n" + text + "remove kv key=1\n"), fails);
  CHECK(small.operations.size() == 9);
  CHECK(count_of(small, OperationKind::commit) == 1);
}

TEST_CASE("of keys that are thinned out all lines stay or none", "[shrink]") {
  std::string text;
  for (const u32 key : {7U, 3U, 7U, 5U, 1U, 3U, 7U}) {
    text += "put kv key=" + std::to_string(key) + " value=1\nget kv key=" + std::to_string(key) + "\n";
  }
  const Scenario scenario =
      scenario_with("set batch_values_max=60 values_per_block_max=9\n", text + "commit\n");
  const auto counts = [](const Scenario& of) {
    std::map<u64, u64> by_key;
    for (const Operation& line : of.operations) {
      if (line.kind != OperationKind::commit) ++by_key[static_cast<u64>(line.key.lo)];
    }
    return by_key;
  };
  const std::map<u64, u64> before = counts(scenario);
  u64 fewer = 0;
  for (const Scaling& scaling : scalings()) {
    const std::optional<Scenario> smaller = scaled(scenario, scaling);
    if (!smaller) continue;
    CHECK(smaller->operations.size() < scenario.operations.size());
    CHECK(validate_options(smaller->options).empty());
    ++fewer;
    if (scaling.thinning != Thinning::keys) continue;
    for (const auto& [key, count] : counts(*smaller)) CHECK(count == before.at(key));
  }
  CHECK(fewer > 10);
}

}  // namespace tonearm::sim
