// The shrinker with failures that are made up: what a scenario needs to fail is known here, so it is known
// what must be left.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/scenario/settings.h"
#include "sim/shrink/shrinker.h"
#include "sim/shrink/simpler.h"

namespace tonearm::sim {

namespace {

using Fails = std::function<bool(const Scenario&)>;

Scenario parsed(const std::string& text) {
  auto scenario = parse_scenario(text);
  REQUIRE(std::holds_alternative<Scenario>(scenario));
  return std::get<Scenario>(std::move(scenario));
}

// `count` lines, of which some are needed: put kv of keys 1000, 1007, ...
Scenario many_lines(u64 count) {
  std::string text = "tonearm 1\nworkload tree\nexpect pass\nseed 0x7\nset cache_blocks=16 levels=3\n---\n";
  for (u64 i = 0; i < count; ++i) {
    switch (i % 4) {
      case 0:
        text += std::to_string(i + 10) + " put kv key=" + std::to_string(1000 + i) + " value=77\n";
        break;
      case 1: text += std::to_string(i + 10) + " get kv key=" + std::to_string(1000 + i) + " cold\n"; break;
      case 2: text += std::to_string(i + 10) + " commit times=9\n"; break;
      default: text += std::to_string(i + 10) + " crash at=40\n";
    }
  }
  return parsed(text);
}

struct Shrunk {
  Scenario scenario;
  ShrinkCounts counts;
};
Shrunk shrink(const Scenario& scenario, u32 batch, const Fails& fails, u64 trials_max = u64_max) {
  REQUIRE(fails(scenario));
  u64 trials = 0;
  Shrinker shrinker(
      scenario, batch,
      [&](std::span<Scenario> candidates) {
        std::vector<Trial> answers;
        for (const Scenario& candidate : candidates) {
          ++trials;
          answers.push_back(fails(candidate) ? Trial::same : Trial::other);
        }
        return answers;
      },
      [&] { return trials >= trials_max; }, [](const char*, const Scenario&) {});
  shrinker.run();
  REQUIRE(fails(shrinker.best()));
  REQUIRE(shrinker.counts().trials == trials);
  return {.scenario = shrinker.best(), .counts = shrinker.counts()};
}

u64 count_of(const Scenario& scenario, OperationKind kind) {
  return static_cast<u64>(std::count_if(scenario.operations.begin(), scenario.operations.end(),
                                        [kind](const Operation& line) { return line.kind == kind; }));
}

// What has been printed can be parsed, and is the same again.
void require_round_trip(const Scenario& scenario) {
  const std::string text = print_scenario(scenario);
  REQUIRE(print_scenario(parsed(text)) == text);
}

}  // namespace

TEST_CASE("of many lines those are left that a failure needs", "[shrink]") {
  // Two puts that lie apart, a commit between them, and a crash behind both.
  const Fails fails = [](const Scenario& scenario) {
    u32 stage = 0;
    for (const Operation& line : scenario.operations) {
      const bool put = line.kind == OperationKind::put;
      if (put && (stage == 0 || stage == 2)) ++stage;
      if (line.kind == OperationKind::commit && stage == 1) ++stage;
      if (line.kind == OperationKind::crash && stage == 3) return true;
    }
    return false;
  };
  const Shrunk shrunk = shrink(many_lines(4000), 1, fails);
  REQUIRE(shrunk.scenario.operations.size() == 4);
  CHECK(count_of(shrunk.scenario, OperationKind::put) == 2);
  CHECK(shrunk.scenario.operations[1].count == 1);  // commit times
  CHECK(shrunk.scenario.operations[3].count == 0);  // crash at
  CHECK(settings_changed(shrunk.scenario) == 0);
  CHECK(shrunk.scenario.operations[0].key == Key::of(1));
  CHECK(shrunk.scenario.operations[0].id == OpId{.number = 1, .child = 0});
  CHECK(shrunk.counts.trials < 400);
  require_round_trip(shrunk.scenario);
}

TEST_CASE("no line more can go, whatever the failure needs", "[shrink]") {
  for (u64 need = 1; need < 40; ++need) {
    CAPTURE(need);
    // As many lines of this shape, wherever they are: no run of lines can go as a whole for long.
    const Fails fails = [need](const Scenario& scenario) {
      return count_of(scenario, OperationKind::get) >= need && count_of(scenario, OperationKind::commit) >= 2;
    };
    CHECK(shrink(many_lines(300), 1, fails).scenario.operations.size() == need + 2);
  }
}

TEST_CASE("what is found does not depend on how many candidates are played at a time", "[shrink]") {
  const Fails fails = [](const Scenario& scenario) {
    u64 sum = 0;
    for (const Operation& line : scenario.operations) sum += line.kind == OperationKind::put ? 1 : 0;
    return sum % 7 == 3 && scenario.options.format.levels == 3;
  };
  // 303 puts: 303 % 7 == 2, so one more.
  Scenario scenario = many_lines(1212);
  while (!fails(scenario)) scenario.operations.pop_back();
  const std::string one = print_scenario(shrink(scenario, 1, fails).scenario);
  CHECK(print_scenario(shrink(scenario, 2, fails).scenario) == one);
  CHECK(print_scenario(shrink(scenario, 7, fails).scenario) == one);
  CHECK(one.find("levels=3") != std::string::npos);
  CHECK(parsed(one).operations.size() < scenario.operations.size());
}

TEST_CASE("settings that matter stay, the others go", "[shrink]") {
  Scenario scenario = many_lines(40);
  u64 differing = 0;
  for (const Setting& setting : settings()) {
    if (setting.type != SettingType::ratio) continue;
    setting.set(scenario.options, u64{1} << 32 | 50);
    ++differing;
  }
  finish_options(&scenario.options);
  REQUIRE(settings_changed(scenario) >= differing);
  const std::optional<u16> needed = find_setting("vary.cache_miss");
  REQUIRE(needed);
  const Fails fails = [&](const Scenario& candidate) {
    return settings()[*needed].get(candidate.options) != settings()[*needed].get(RunOptions());
  };
  const Shrunk shrunk = shrink(scenario, 2, fails);
  CHECK(shrunk.scenario.operations.empty());
  CHECK(settings_changed(shrunk.scenario) == 1);
}

TEST_CASE("lines that an engine counts by their commits shrink to commits", "[shrink]") {
  // Fails at the put behind exactly so many ops: no run of lines with a commit can go.
  constexpr u64 ops = 250 * 9;
  const Fails fails = [](const Scenario& scenario) {
    u64 commits = 0;
    for (const Operation& line : scenario.operations) {
      if (line.kind == OperationKind::commit) commits += line.count;
      if (line.kind == OperationKind::put && commits == ops) return true;
    }
    return false;
  };
  const Shrunk shrunk = shrink(many_lines(1400), 1, fails);
  REQUIRE(shrunk.scenario.operations.size() == 2);
  CHECK(shrunk.scenario.operations[0].kind == OperationKind::commit);
  CHECK(shrunk.scenario.operations[0].count == ops);
  CHECK(shrunk.counts.trials < 300);
}

TEST_CASE("tables that take many lines to fill become smaller", "[shrink]") {
  // Three bars of full ops.
  const Fails fails = [](const Scenario& scenario) {
    const FormatOptions& format = scenario.options.format;
    return count_of(scenario, OperationKind::put) >= u64{3} * format.beats * format.batch_values_max;
  };
  Scenario scenario = many_lines(4000);
  scenario.options.format.beats = 8;
  scenario.options.format.checkpoint_interval = 16;
  scenario.options.format.batch_values_max = 40;
  const Shrunk shrunk = shrink(scenario, 1, fails);
  CHECK(shrunk.scenario.operations.size() == 6);
}

TEST_CASE("faults that came by chance are spelled out when what goes in bulk is gone", "[shrink]") {
  // A chance makes two faults a line.
  const auto faults_of = [](const Scenario& scenario) {
    const u64 asked = count_of(scenario, OperationKind::fault);
    const bool chance = scenario.options.disk.faults[FaultKind::rot].ratio.numerator != 0;
    return asked + (chance ? 2 * scenario.operations.size() : 0);
  };
  Scenario scenario = many_lines(4000);
  scenario.options.disk.faults[FaultKind::rot].ratio = {.numerator = 1, .denominator = 2};
  scenario.options.disk.faults[FaultKind::stale_read].ratio = {.numerator = 1, .denominator = 2};
  const auto fails = [&](const Scenario& each) {
    return faults_of(each) >= 1 && count_of(each, OperationKind::put) >= 1;
  };
  u64 frozen_lines = 0;
  Shrinker shrinker(
      scenario, 1,
      [&](std::span<Scenario> candidates) {
        return std::vector<Trial>{fails(candidates[0]) ? Trial::same : Trial::other};
      },
      [] { return false; }, [](const char*, const Scenario&) {});
  shrinker.set_freeze([&](const Scenario& best) -> std::optional<Scenario> {
    CHECK(best.options.disk.faults[FaultKind::stale_read].ratio.numerator == 0);
    Scenario frozen = best;
    frozen.options.disk.faults = {};
    for (u64 i = 0; i < 2 * best.operations.size(); ++i) {
      Operation fault;
      fault.kind = OperationKind::fault;
      fault.fault.kind = FaultKind::rot;
      fault.request.attribution.op = best.operations.front().id;
      frozen.operations.push_back(fault);
    }
    assign_ids(&frozen.operations);
    frozen_lines = frozen.operations.size();
    return frozen;
  });
  shrinker.run();
  CHECK(fails(shrinker.best()));
  CHECK(frozen_lines > 0);
  CHECK(frozen_lines < 300);
  CHECK(shrinker.best().operations.size() == 2);
}

TEST_CASE("a shrinker that is stopped keeps the best so far", "[shrink]") {
  const Fails fails = [](const Scenario& scenario) { return count_of(scenario, OperationKind::put) >= 5; };
  const Scenario scenario = many_lines(2000);
  const Shrunk early = shrink(scenario, 1, fails, 6);
  CHECK(early.counts.trials <= 7);
  CHECK(early.scenario.operations.size() < scenario.operations.size());
  CHECK(early.scenario.operations.size() > 5);
}

TEST_CASE("every simpler form of a line is a line, and simpler to the end", "[shrink]") {
  const Scenario scenario = parsed(
      "tonearm 1\nworkload forest\nexpect pass\nseed 0x7\n---\n"
      "1 insert things id=9 a=4 m=77 timestamp=5\n2 update things id=9 a=7 b=0 c=9\n"
      "3 upsert notes id=0xffee topic=0xffffffffffffffffff kind=3\n4 get things id=9\n"
      "5 scan notes.topic from=0xffee/1 to=0xffff/9 desc limit=3 cold\n6 commit times=100\n"
      "7 crash at=100 superblock writes=lost,torn\n8 reopen cache_blocks=16 read_iops=1\n"
      "9 insert events timestamp=8 source=4\n10 prefetch things timestamp=5\n"
      "11 query things a=1 & (b=7..9@4..8 - c=2 - id=3) & (d=..4 | e=5.. | timestamp=6..9) desc limit=3 "
      "cold\n"
      "12 scan_open n=3 notes draft | topic=0xffff..\n13 scan_next n=1,2,7 count=9\n");
  for (const Operation& line : scenario.operations) {
    Operation now = line;
    u32 steps = 0;
    for (std::vector<Operation> forms = simpler_lines(now); !forms.empty(); forms = simpler_lines(now)) {
      for (const Operation& form : forms) {
        Scenario one = scenario;
        one.operations = {form};
        require_round_trip(one);
      }
      now = forms.back();  // The least simplification: the longest way.
      REQUIRE(++steps < 300);
    }
  }
}

TEST_CASE("numbers of objects and of queries about them shrink alike", "[shrink]") {
  const Scenario scenario = parsed(
      "tonearm 1\nworkload forest\nexpect pass\nseed 0x7\n---\n"
      "1 insert things id=900 a=77\n2 insert things id=500 a=88 b=5\n"
      "3 query things a=77..80 & id=..900 & b=4..\n4 update things id=500 a=99\n");
  std::string text;
  const std::vector<std::vector<Operation>> forms = small_numbers(scenario.operations);
  for (const Operation& line : forms.front()) print_operation(line, &text);
  CHECK(text ==
        "1 insert things id=2 a=1\n2 insert things id=1 a=3 b=2\n"
        "3 query things a=1..2 & id=..2 & b=1..\n4 update things id=1 a=4\n");
}

TEST_CASE("small numbers keep the order of keys", "[shrink]") {
  const Scenario scenario = parsed(
      "tonearm 1\nworkload tree\nexpect pass\nseed 0x7\n---\n"
      "1 put kv key=500 value=9\n2 put kv key=20 value=8\n3 scan kv from=20 to=400\n4 scan kv from=30\n"
      "5 put index key=70/5000\n6 remove index key=9/6000\n");
  std::string text;
  const std::vector<std::vector<Operation>> forms = small_numbers(scenario.operations);
  for (const Operation& line : forms.front()) print_operation(line, &text);
  CHECK(text ==
        "1 put kv key=4 value=1\n2 put kv key=1 value=2\n3 scan kv from=1 to=3\n4 scan kv from=2\n"
        "5 put index key=1/1\n6 remove index key=0/2\n");
}

TEST_CASE("faults go one by one, and what is left is as simple as can be and still names its request",
          "[shrink]") {
  std::string text = "tonearm 1\nworkload tree\nexpect pass\nseed 0x7\n---\n";
  for (u64 i = 10; i < 40; i += 3) {
    const std::string id = std::to_string(i + 1);
    text += std::to_string(i) + " fault 100/" + id + "/lookup(1,2)#3 rot zeroed at=4096 sectors=8\n";
    text += id + " get kv key=5\n";
  }
  text += "100 crash at=3 writes=torn,landed,torn_garbage\n101 commit\n";
  // One fault at the request of a get that is there, and a crash that lets the third write land or more.
  const Fails fails = [](const Scenario& scenario) {
    const auto crash = std::find_if(scenario.operations.begin(), scenario.operations.end(),
                                    [](const Operation& line) { return line.kind == OperationKind::crash; });
    if (crash == scenario.operations.end() || crash->writes.count() < 3) return false;
    if (crash->writes[2].outcome == CrashOutcome::lost) return false;
    return std::any_of(scenario.operations.begin(), scenario.operations.end(), [&](const Operation& fault) {
      const bool meant = fault.kind == OperationKind::fault && fault.request.recovery == crash->id &&
                         fault.request.attribution == attribution_of(fault.request.attribution.op, crash->id);
      return meant &&
             std::any_of(scenario.operations.begin(), scenario.operations.end(), [&](const Operation& line) {
               return line.kind == OperationKind::get && line.id == fault.request.attribution.op;
             });
    });
  };
  const Shrunk shrunk = shrink(parsed(text), 1, fails);
  const std::string printed = print_scenario(shrunk.scenario);
  CHECK(printed.substr(printed.find("---\n") + 4) ==
        "1 fault 3/2/lookup(1,2)#3 rot bit\n2 get kv key=1\n3 crash at=0 writes=lost,lost,landed\n");
  require_round_trip(shrunk.scenario);
}

}  // namespace tonearm::sim
