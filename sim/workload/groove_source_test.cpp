#include "sim/workload/groove_source.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "sim/model/model.h"
#include "sim/scenario/settings.h"
#include "sim/workload/geometry.h"
#include "sim/workload/groove_play.h"
#include "sim/workload/swarm.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace {

constexpr u64 seeds = 150;

std::string text_of(const Operation& line) {
  std::string text;
  print_operation(line, &text);
  return text;
}

}  // namespace

TEST_CASE("groove lines are a pure function of their index", "[groove source]") {
  for (u64 seed = 0; seed < 20; ++seed) {
    for (const char* workload : {"groove", "forest", "scan"}) {
      const Generated generated(seed, workload);
      const Generated again(seed, workload);
      const u64 count = generated.source->count();
      Operation line, other;
      for (u64 i = 0; i < 400; ++i) {
        const u64 index = i * 7919 % count;
        generated.source->at(index, &line);
        again.source->at(count - 1 - index, &other);  // Another order.
        again.source->at(index, &other);
        REQUIRE(text_of(line) == text_of(other));
        REQUIRE(content_hash(line) == content_hash(other));
      }
    }
  }
}

TEST_CASE("groove scenarios survive print, parse, print, and the loss of any line", "[groove source]") {
  for (u64 seed = 0; seed < 12; ++seed) {
    static constexpr const char* names[] = {"groove", "forest", "scan"};
    const Generated generated(seed, names[seed % 3]);
    Scenario scenario;
    scenario.workload = generated.workload;
    scenario.seed = seed;
    scenario.options = generated.options;
    for (u64 i = 0; i < 600; ++i) generated.source->at(i, &scenario.operations.emplace_back());
    const std::string text = print_scenario(scenario);
    std::variant<Scenario, ScenarioError> parsed = parse_scenario(text);
    if (const ScenarioError* error = std::get_if<ScenarioError>(&parsed))
      FAIL(error->line << ": " << error->message);
    const Scenario& read = std::get<Scenario>(parsed);
    REQUIRE(print_scenario(read) == text);
    REQUIRE(read.operations.size() == scenario.operations.size());
    for (u64 i = 0; i < 600; ++i)
      REQUIRE(content_hash(read.operations[i]) == content_hash(scenario.operations[i]));
    const std::size_t header = print_header(scenario).size();
    for (u64 gone = 0; gone < 600; gone += 37) {
      std::size_t begin = header;
      for (u64 i = 0; i < gone; ++i) begin = text.find('\n', begin) + 1;
      const std::string rest = text.substr(0, begin) + text.substr(text.find('\n', begin) + 1);
      parsed = parse_scenario(rest);
      REQUIRE(std::holds_alternative<Scenario>(parsed));
      REQUIRE(print_scenario(std::get<Scenario>(parsed)) == rest);
    }
  }
}

namespace {

// Lines of many seeds, each played once.
const Counts& counted() {
  static const Counts all = [] {
    Counts sum;
    for (u64 seed = 0; seed < 2 * seeds; ++seed) {
      const Generated generated(seed / 2, seed % 2 == 0 ? "groove" : "forest");
      ModelPlay play(generated);
      Operation line;
      for (u64 i = 0; i < generated.source->count(); ++i) {
        generated.source->at(i, &line);
        REQUIRE(line.id.number == i + 1);
        play.play(line);
      }
      INFO("seed " << seed / 2 << " " << generated.workload << " " << generated.world->name << ": skips "
                   << play.skips << " of " << play.lines);
      CHECK(3 * play.skips < play.lines);
      CHECK(play.commits > 20);
      // A scope may insert what was asked for beside the keys of a groove that is keyed by timestamp.
      const u64 universe = generated.options.key_universe;
      const bool by_timestamp =
          generated.world->first_groove > GrooveName::notes || generated.world->groove_count > 1;
      CHECK(play.objects_max <= universe + (by_timestamp ? universe / 8 : 0) + 2);
      sum.add(play);
    }
    return sum;
  }();
  return all;
}

}  // namespace

TEST_CASE("groove lines mostly apply, and every refusal happens", "[groove source]") {
  const Counts& c = counted();
  INFO(c.text());
  CHECK(5 * c.skips < c.lines);
  CHECK(3 * c.scope_skips < c.scope_lines);
  u64 asking = 0;
  for (u32 k = static_cast<u32>(OperationKind::query); k < operation_kind_count; ++k) asking += c.kinds[k];
  CHECK(5 * c.changes > 2 * (c.lines - asking));
  CHECK(20 * c.refused_batch < c.changes);
  for (const u64 count : {c.refused_batch, c.refused_prefetch, c.refused_invalid, c.unchanged}) {
    CHECK(count > 1000);
  }
  CHECK(c.orphans_got > 100);
  const OperationKind never[] = {OperationKind::fault, OperationKind::heal, OperationKind::latency,
                                 OperationKind::reseed};
  for (const OperationKind kind : operation_kinds(world_forest)) {
    const bool generated = std::find(std::begin(never), std::end(never), kind) == std::end(never);
    CAPTURE(operation_kind_name(kind));
    CHECK((c.kinds[static_cast<u32>(kind)] > 300) == generated);
  }
}

TEST_CASE("groove lines take every index through every transition", "[groove source]") {
  const Counts& c = counted();
  INFO(c.text());
  for (u32 t = static_cast<u32>(TreeName::things); t < tree_names_max; ++t) {
    const TreeName tree = static_cast<TreeName>(t);
    CAPTURE(tree_name(tree));
    CHECK(c.scanned[t] > 300);
    const auto happened = [&](Transition transition) {
      return c.transitions[t][static_cast<u32>(transition)];
    };
    CHECK(happened(Transition::stays) > 1000);
    const bool optional = tree == TreeName::notes_pinned || tree == TreeName::notes_large ||
                          tree == TreeName::notes_draft || tree == TreeName::events_weight ||
                          tree == TreeName::readings_label || tree == TreeName::readings_square;
    for (const Transition transition :
         {Transition::appears, Transition::vanishes, Transition::stays_absent}) {
      CHECK((happened(transition) > 1000) == optional);
    }
    // What has no field to change: objects, ids, and an existence.
    const bool field = tree_spec(tree).secondary_index && tree != TreeName::notes_draft;
    CHECK((happened(Transition::changes) > 1000) == field);
  }
}

TEST_CASE("objects of grooves come again after every span of time", "[groove source]") {
  const Counts& c = counted();
  INFO(c.text());
  for (u32 i = 0; i < span_count; ++i) {
    CAPTURE(i);
    CHECK(c.spans[i] > 500);
  }
}

TEST_CASE("the swarm of grooves is as various as it should be", "[groove source]") {
  constexpr u64 count = 1000;
  u64 tiny = 0, crashing = 0, no_cache = 0, one_set = 0, any = 0, tight = 0, scopes = 0, using_last = 0;
  std::array<u64, groove_count> grooves{};
  std::array<u64, 11> tiny_levels{};
  u64 blocks_max = 0;
  for (u64 seed = 0; seed < count; ++seed) {
    RunOptions o;
    draw_groove(seed, &o);
    RunOptions forest;
    draw_forest(seed, &forest);
    CAPTURE(seed);
    for (const RunOptions* each : {&o, &forest}) {
      const World& world = world_of(each == &o ? "groove" : "forest", each->groove);
      const std::string complaint = validate_options(*each);
      REQUIRE(complaint == "");
      REQUIRE(index_fits(each->format, world));
      // The last level must be able to hold the keys, or is to be used or filled: of a flat forest.
      const bool uses = each->key_universe > universe_max(each->format, world);
      if (uses) REQUIRE(each->format.levels <= 6);
      using_last += uses ? 1 : 0;
      REQUIRE(each->key_universe >= 32);
      REQUIRE(each->prefetch_keys_max >= 2);
      blocks_max = std::max(blocks_max, each->runtime.blocks_count);
    }
    ++grooves[static_cast<u32>(o.groove)];
    if (o.format.batch_values_max <= 8) {
      ++tiny;
      ++tiny_levels[o.format.levels];
      no_cache += o.object_cache_slots == 0 ? 1 : 0;
      one_set += o.object_cache_slots == 16 ? 1 : 0;
    }
    crashing += o.weight_crash > 0 ? 1 : 0;
    any += o.timestamps == Timestamps::any ? 1 : 0;
    scopes += o.weight_scope > 0 ? 1 : 0;
    const u64 drawn = u64{o.weight_insert} + o.weight_update + o.weight_upsert + o.weight_remove +
                      o.weight_orphan + o.weight_get + o.weight_exists + o.weight_prefetch + o.weight_scan;
    const u64 op_lines = 1 + drawn / o.weight_commit;
    tight += o.prefetch_keys_max < op_lines ? 1 : 0;
  }
  CHECK(tiny > count * 45 / 100);
  CHECK(tiny < count * 55 / 100);
  CHECK(no_cache > tiny / 10);
  CHECK(one_set > tiny / 3);
  CHECK(crashing > count * 4 / 10);
  CHECK(any > count * 4 / 10);
  CHECK(scopes > count / 2);
  CHECK(tight > count / 50);
  CHECK(using_last >= count * 15 / 100);  // Of two workloads.
  CHECK(using_last <= count * 90 / 100);
  for (const u64 each : grooves) CHECK(each > count / 5);
  for (u32 levels = 3; levels <= 6; ++levels) CHECK(tiny_levels[levels] > 0);
  CHECK(blocks_max <= u64{1} << 17);
}

}  // namespace tonearm::sim
