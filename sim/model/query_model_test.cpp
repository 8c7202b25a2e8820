#include "sim/model/query_model.h"

#include <catch2/catch.hpp>
#include <map>

#include "sim/model/scan_model.h"
#include "sim/scenario/scenario_fixture.h"

namespace tonearm::sim {

namespace {

constexpr u32 objects_max = 120;

// Few values of each kind, so that many objects have the same, and limits.
u64 small(const Draw& draw, std::string_view what, u64 i) {
  static constexpr u64 values[] = {0, 0, 1, 2, 3, 7, 999, 1000, 1001, 1016, 1017, u64_max};
  return values[draw(what, i, std::size(values))];
}

Object random_object(const Draw& draw, u64 i, GrooveName groove) {
  const GrooveSpec& spec = groove_spec(groove);
  Object object;
  object.id = spec.has_id ? 1 + i : 0;
  object.timestamp = 1 + 3 * i + draw("timestamp", i, 3);
  for (u32 f = 0; f < spec.fields.size(); ++f) {
    const u64 value = small(draw, "field", 16 * i + f);
    if (spec.fields[f].bytes == 16) {
      object.wide = u128{value % 3} << 64 | value;
    } else {
      object.fields[f] = value & static_cast<u64>(field_max(spec.fields[f]));
    }
  }
  return object;
}

// As random_query() makes them, with values that objects have.
QueryTree near_query(const Draw& draw, u64 i, GrooveName groove) {
  QueryTree tree = random_query(draw, i, groove);
  for (u32 n = 0; n < tree.nodes.count(); ++n) {
    QueryNode& leaf = tree.nodes[n];
    if (leaf.kind != QueryKind::leaf || draw("far", 64 * i + n, 8) == 0) continue;
    const u64 at = 64 * i + n;
    if (query_narrows(leaf.tree) && !query_existence(leaf.tree)) {
      leaf.min = std::min<u128>(small(draw, "min", at), query_value_max(leaf.tree));
      leaf.max = draw("point", at, 2) == 0 ? leaf.min : query_value_max(leaf.tree);
      if (leaf.tree == TreeName::notes_topic) leaf.max = u128_max;
    } else if (!query_existence(leaf.tree)) {
      leaf.min = 1 + draw("begin", at, objects_max);
      leaf.max = leaf.min + draw("length", at, objects_max);
    }
    if (leaf.timestamp_min == 0 && leaf.timestamp_end == timestamp_max) continue;
    leaf.timestamp_min = draw("first", at, 3 * objects_max);
    leaf.timestamp_end = leaf.timestamp_min + draw("last", at, 3 * objects_max);
  }
  return tree;
}

// Limits, directions and pages of what matches.
void check_answer(const Draw& draw, u64 i, const Model& model, GrooveName groove, const QueryTree& query,
                  std::vector<u64> expected) {
  QueryPlan plan{.groove = groove};
  if (!encode_query(query, &plan.query)) return;
  plan.limit = static_cast<u32>(1 + draw("answer limit", i, 80));
  if (draw("answer descending", i, 2) == 0) {
    plan.direction = Direction::descending;
    std::reverse(expected.begin(), expected.end());
  }
  if (draw("answer page", i, 2) == 0) {
    const u64 beyond = draw("answer beyond", i, 3 * objects_max + 4);
    plan.beyond = beyond;
    std::erase_if(expected, [&](u64 timestamp) {
      return plan.direction == Direction::ascending ? timestamp <= beyond : timestamp >= beyond;
    });
  }
  if (expected.size() > plan.limit) expected.resize(plan.limit);
  REQUIRE(query_answer(model, plan) == expected);
}

}  // namespace

TEST_CASE("query model: indexes and objects agree on every query") {
  u64 matched = 0;
  for (u32 g = 0; g < groove_count; ++g) {
    const GrooveName groove = static_cast<GrooveName>(g);
    const Draw draw(g);
    Model model;
    model.reset(4);
    std::map<u64, Object> objects;
    const auto put = [&](const Object& object) {
      const Side before = model.get_object(groove, key_of(groove, object));
      model.change({.groove = groove, .before = before, .after = {Presence::object, object}});
      objects[object.timestamp] = object;
    };
    for (u64 i = 0; i < objects_max; ++i) put(random_object(draw, i, groove));
    if (groove_spec(groove).orphans) {
      Object orphan;
      orphan.id = 3 * objects_max;
      model.change({.groove = groove, .before = {}, .after = {Presence::orphan, orphan}});
    }
    for (u64 i = 0; i < 4000; ++i) {
      if (i % 16 == 0) {  // An update between them: another object's fields.
        Object object = random_object(draw, draw("updated", i, objects_max), groove);
        const u64 timestamp = object.timestamp;
        const u128 id = object.id;
        object = random_object(draw, 1000 + i, groove);
        object.timestamp = timestamp;
        object.id = id;
        put(object);
      }
      const QueryTree query = near_query(draw, i, groove);
      std::vector<u64> expected;
      for (const auto& [timestamp, object] : objects) {
        if (query_holds(groove, query, object)) expected.push_back(timestamp);
      }
      std::string text;
      print_query(query, &text);
      INFO(text);
      REQUIRE(query_matches(model, groove, query) == expected);
      check_answer(draw, i, model, groove, query, expected);
      matched += !expected.empty() && expected.size() < objects.size() ? 1 : 0;
    }
  }
  CHECK(matched > 3000);
}

TEST_CASE("query model: fields that an index leaves out") {
  const auto query_of = [](const std::string& text) {
    return require_scenario("tonearm 1\nworkload forest\n---\nquery notes " + text + "\n").operations.at(0);
  };
  Model model;
  model.reset(4);
  Object note;  // Zeros everywhere.
  note.id = 7;
  note.timestamp = 5;
  model.change({.groove = GrooveName::notes, .before = {}, .after = {Presence::object, note}});
  const std::pair<const char*, bool> rows[] = {
      {"author=0", true},
      {"pinned=0", false},
      {"pinned=..", false},
      {"kind=0", true},
      {"topic=0", true},
      {"topic=0@5", true},
      {"topic=0@6..", false},
      {"large=..", false},
      {"draft", false},
      {"id=7", true},
      {"id=8..", false},
      {"timestamp=..", true},
      {"timestamp=6..", false},
      {"kind=0 - draft", true},
      {"kind=0 & draft", false},
      {"draft | author=0", true},
      {"draft - author=0", false},
      {"id=.. - author=1 - pinned=..", true},
  };
  for (const auto& [text, holds] : rows) {
    INFO(text);
    const QueryPlan plan = query_plan(query_of(text));
    CHECK(query_answer(model, plan).size() == (holds ? 1 : 0));
    CHECK(query_holds(GrooveName::notes, decode_query(GrooveName::notes, plan.query), note) == holds);
  }
}

TEST_CASE("query model: limits and pages, both ways") {
  Model model;
  model.reset(4);
  for (u64 timestamp = 1; timestamp <= 10; ++timestamp) {
    Object event;
    event.timestamp = timestamp;
    event.fields[1] = timestamp % 2;
    model.change({.groove = GrooveName::events, .before = {}, .after = {Presence::object, event}});
  }
  QueryPlan plan = query_plan(require_scenario("tonearm 1\nworkload forest\n---\n"
                                               "query events weight=1 limit=2 buffer=3\n")
                                  .operations.at(0));
  using Answer = std::vector<u64>;
  CHECK(plan.buffer == 3);
  CHECK(query_answer(model, plan) == Answer{1, 3});
  plan.beyond = 3;
  CHECK(query_answer(model, plan) == Answer{5, 7});
  plan.beyond = 7;
  CHECK(query_answer(model, plan) == Answer{9});
  plan.beyond = 9;
  CHECK(query_answer(model, plan).empty());
  plan.direction = Direction::descending;
  CHECK(query_answer(model, plan) == Answer{7, 5});
  plan.beyond = 4;
  plan.limit = 0;
  CHECK(query_answer(model, plan) == Answer{3, 1});
  plan.beyond = {};
  CHECK(query_answer(model, plan) == Answer{9, 7, 5, 3, 1});
}

TEST_CASE("query model: the least and the greatest timestamp", "[query model]") {
  Model model;
  model.reset(4);
  for (const u64 timestamp : {u64{1}, timestamp_max}) {
    Object event;
    event.timestamp = timestamp;
    event.fields[0] = 1;
    model.change({.groove = GrooveName::events, .before = {}, .after = {Presence::object, event}});
  }
  const std::pair<const char*, std::vector<u64>> rows[] = {
      {"source=1", {1, timestamp_max}},
      {"timestamp=..", {1, timestamp_max}},
      {"source=1 - source=1..6", {}},
      {"source=1 - source=1@2..", {1}},
      {"source=1 - source=1@..2", {timestamp_max}},
      {"source=1 & timestamp=2..", {timestamp_max}},
      {"source=1 & source=1..6 & timestamp=..", {1, timestamp_max}},
      {"source=1@..1 | source=1@2..", {1, timestamp_max}},
  };
  for (const auto& [text, expected] : rows) {
    for (const char* options : {" limit=5", "", " desc limit=5", " desc"}) {
      INFO(text << options);
      std::vector<u64> answer = query_answer(
          model, query_plan(require_scenario(std::string("tonearm 1\nworkload forest\n---\nquery events ") +
                                             text + options + "\n")
                                .operations.at(0)));
      if (std::string_view(options).starts_with(" desc")) std::reverse(answer.begin(), answer.end());
      CHECK(answer == expected);
    }
  }
}

namespace {

// Any order of steps yields what filtering the whole list by the greatest probe so far yields.
template <class Scan, class Key>
void check_scan(const Draw& draw, u64 i, Scan scan, const std::vector<Key>& rows, Direction direction,
                u64 keys) {
  const auto in_front = [&](const Key& a, const Key& b) {
    return direction == Direction::ascending ? a < b : b < a;
  };
  std::size_t at = 0;
  for (u64 step = 0; step < 40; ++step) {
    const u64 n = 64 * i + step;
    if (draw("step", n, 4) == 0) {
      const Key key = static_cast<Key>(draw("probe", n, keys));
      scan.probe(key);
      while (at < rows.size() && in_front(rows[at], key)) ++at;
    } else if (draw("abort", n, 200) == 0) {
      scan.abort();
      at = rows.size();
    } else {
      const auto next = scan.next();
      REQUIRE(next.has_value() == (at < rows.size()));
      if (!next) continue;
      if constexpr (std::is_same_v<Scan, TreeScanModel>) {
        REQUIRE(next->first == ModelKey(rows[at]));
      } else {
        REQUIRE(*next == rows[at]);
      }
      ++at;
    }
  }
}

}  // namespace

TEST_CASE("scan model: probes in any order drop what lies in front of them") {
  const Draw draw(3);
  for (u64 i = 0; i < 3000; ++i) {
    const Direction direction = i % 2 == 0 ? Direction::ascending : Direction::descending;
    const u64 keys = 1 + draw("keys", i, 60);
    ModelMap map;
    std::vector<u64> all;
    for (u64 key = 0; key < keys; ++key) {
      if (draw("present", 64 * i + key, 3) == 0) continue;
      map.try_emplace(u128{key}, key);
      all.push_back(key);
    }
    const u64 min = draw("min", i, keys);
    const u64 max = min + draw("max", i, keys - min);
    std::vector<u64> within;
    for (const u64 key : all) {
      if (key >= min && key <= max) within.push_back(key);
    }
    const QueryScanModel query(all, direction);
    if (direction == Direction::descending) {
      std::reverse(all.begin(), all.end());
      std::reverse(within.begin(), within.end());
    }
    check_scan(draw, i, TreeScanModel(map, u128{min}, u128{max}, direction), within, direction, keys);
    check_scan(draw, i, query, all, direction, keys);
  }
}

}  // namespace tonearm::sim
