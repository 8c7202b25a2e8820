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
#include "sim/workload/scan_play.h"
#include "sim/workload/swarm.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace {

constexpr u64 seeds = 150;

struct Generated {
  Generated(u64 seed, const char* name) : workload(name) {
    find_workload(name)->draw(seed, &options);
    world = &world_of(name, options.groove);
    source.emplace(seed, options, *world);
  }
  const char* workload;
  RunOptions options;
  const World* world;
  std::optional<GrooveSource> source;
};

// What became of an object's entry in an index.
enum class Transition : u8 { appears, vanishes, changes, stays, stays_absent };
constexpr u32 transition_count = 5;
// From the removal of an object to the insertion under its key.
enum class Span : u8 { same_op, same_bar, next_bar, same_interval, later, crashed };
constexpr u32 span_count = 6;

struct Counts {
  u64 lines = 0, skips = 0, scope_lines = 0, scope_skips = 0, commits = 0;
  u64 changes = 0, unchanged = 0, refused_batch = 0, refused_prefetch = 0, refused_invalid = 0;
  u64 orphans_got = 0;
  std::array<u64, operation_kind_count> kinds{}, kind_skips{};
  std::array<u64, tree_names_max> scanned{};
  std::array<std::array<u64, transition_count>, tree_names_max> transitions{};
  std::array<u64, span_count> spans{};

  void add(const Counts& other) {
    // All members are counters.
    static_assert(sizeof(Counts) % sizeof(u64) == 0);
    for (std::size_t i = 0; i < sizeof(Counts) / sizeof(u64); ++i) {
      u64 sum = 0, more = 0;
      std::memcpy(&sum, reinterpret_cast<const std::byte*>(this) + i * sizeof sum, sizeof sum);
      std::memcpy(&more, reinterpret_cast<const std::byte*>(&other) + i * sizeof more, sizeof more);
      sum += more;
      std::memcpy(reinterpret_cast<std::byte*>(this) + i * sizeof sum, &sum, sizeof sum);
    }
  }

  std::string text() const {
    std::string text;
    for (const OperationKind kind : operation_kinds(world_forest)) {
      const u32 k = static_cast<u32>(kind);
      text += std::string(operation_kind_name(kind)) + " " + std::to_string(kinds[k]) + ", skipped " +
              std::to_string(kind_skips[k]) + "\n";
    }
    for (u32 t = static_cast<u32>(TreeName::things); t < tree_names_max; ++t) {
      text += std::string(tree_name(static_cast<TreeName>(t))) + ": scans " + std::to_string(scanned[t]) +
              ", transitions";
      for (const u64 count : transitions[t]) text += " " + std::to_string(count);
      text += "\n";
    }
    text += "spans";
    for (const u64 count : spans) text += " " + std::to_string(count);
    const std::pair<const char*, u64> others[] = {{"lines", lines},
                                                  {"skips", skips},
                                                  {"in scopes", scope_lines},
                                                  {"of them skipped", scope_skips},
                                                  {"changes", changes},
                                                  {"unchanged", unchanged},
                                                  {"batch full", refused_batch},
                                                  {"prefetch full", refused_prefetch},
                                                  {"invalid", refused_invalid},
                                                  {"orphans got", orphans_got}};
    for (const auto& [name, count] : others) text += std::string("\n") + name + " " + std::to_string(count);
    return text;
  }
};

// Plays lines on the model alone, as a player would.
class ModelPlay : public Counts {
 public:
  explicit ModelPlay(const Generated& generated) : options_(generated.options), world_(generated.world) {
    model_.reset(options_.format.beats);
  }

  void play(const Operation& line) {
    ++lines;
    ++kinds[static_cast<u32>(line.kind)];
    using K = OperationKind;
    const bool applies = scans.play(line, model_, options_.runtime.scans_max, op_);
    switch (line.kind) {
      case K::commit: return commit(line, line.count);
      case K::checkpoint:
        return commit(line, options_.format.checkpoint_interval - op_ % options_.format.checkpoint_interval);
      case K::scope: return model_.scope_active() ? skip(line) : model_.scope_open();
      case K::end: return model_.scope_active() ? model_.scope_close(line.persist) : skip(line);
      case K::crash:
      case K::reopen:
        model_.forget_op();
        ++crashes_;
        return;
      case K::scan:
        ++scanned[static_cast<u32>(line.tree)];
        if (model_.scope_active()) skip(line);
        return;
      case K::fault:
      case K::latency:
      case K::call:
      case K::put: FAIL("not generated"); return;
      case K::insert:
      case K::update:
      case K::upsert:
      case K::remove:
      case K::orphan:
      case K::get:
      case K::exists:
      case K::prefetch: return object(line);
      case K::query:
      case K::page:
      case K::scan_open:
      case K::scan_next:
      case K::scan_probe:
      case K::scan_abort:
      case K::scan_close:
        if (!applies) skip(line);
        return;
    }
  }

  u64 objects_max = 0;
  ScanPlay scans;

 private:
  void skip(const Operation& line) {
    ++skips;
    ++kind_skips[static_cast<u32>(line.kind)];
    if (model_.scope_active()) ++scope_skips;
  }

  void commit(const Operation& line, u64 times) {
    if (model_.scope_active()) model_.scope_close(false);
    for (u64 i = 0; i < times; ++i) model_.commit(++op_, line.id, static_cast<u32>(i));
    ++commits;
    if (op_ > 200) model_.checkpoint_verified(op_ - 100);
    for (u32 g = 0; g < world_->groove_count; ++g) {
      const u64 objects = model_.tree(groove_spec(world_->groove(g)).objects).size();
      objects_max = std::max(objects_max, objects);
    }
  }

  void object(const Operation& line) {
    const GrooveName groove = line.groove();
    const bool exists =
        line.kind == OperationKind::exists || (line.kind == OperationKind::prefetch && line.timestamped);
    const Asked asked = exists ? Asked::exists : Asked::key;
    const u128 key = object_key(line);
    if (model_.scope_active()) {
      ++scope_lines;
      if (line.kind == OperationKind::prefetch || !model_.known(groove, asked, key)) return skip(line);
    } else if (!model_.prefetch(groove, asked, key, options_.prefetch_keys_max)) {
      ++refused_prefetch;
      return;
    }
    if (line.kind == OperationKind::get && model_.get_object(groove, key).presence == Presence::orphan)
      ++orphans_got;
    if (line.kind == OperationKind::get || exists || line.kind == OperationKind::prefetch) return;
    const ChangePlan plan = model_.plan(line, options_.format.batch_values_max);
    switch (plan.verdict) {
      case ChangeVerdict::skipped: return skip(line);
      case ChangeVerdict::id_invalid:
      case ChangeVerdict::timestamp_invalid: ++refused_invalid; return;
      case ChangeVerdict::unchanged: ++unchanged; return;
      case ChangeVerdict::batch_full: ++refused_batch; return;
      case ChangeVerdict::applies: break;
    }
    ++changes;
    count_transitions(plan.change);
    count_span(plan.change);
    model_.change(plan.change);
  }

  // The entries of an object in a tree, by asking a model that holds nothing else.
  static std::vector<std::optional<ModelKey>> entries(const ObjectChange& change, const Side& side) {
    std::vector<std::optional<ModelKey>> entries(tree_names_max);
    if (side.presence != Presence::object) return entries;
    Model alone;
    alone.change({.groove = change.groove, .before = {}, .after = side});
    for (u32 i = 0; i < tree_names_max; ++i) {
      const ModelMap& map = alone.tree(static_cast<TreeName>(i));
      if (!map.empty()) entries[i] = map.begin()->first;
    }
    return entries;
  }

  void count_transitions(const ObjectChange& change) {
    const bool update =
        change.before.presence == Presence::object && change.after.presence == Presence::object;
    if (!update) return;
    const auto before = entries(change, change.before);
    const auto after = entries(change, change.after);
    for (u32 i = 0; i < tree_names_max; ++i) {
      if (tree_spec(static_cast<TreeName>(i)).groove != change.groove) continue;
      const Transition transition = !before[i] && !after[i]   ? Transition::stays_absent
                                    : !before[i]              ? Transition::appears
                                    : !after[i]               ? Transition::vanishes
                                    : *before[i] == *after[i] ? Transition::stays
                                                              : Transition::changes;
      ++transitions[i][static_cast<u32>(transition)];
    }
  }

  void count_span(const ObjectChange& change) {
    const auto key = std::pair(change.groove, change.key());
    if (change.after.presence == Presence::absent) {
      removed_[key] = {op_, crashes_};
    } else if (change.before.presence == Presence::absent && removed_.contains(key)) {
      const auto [op, crashes] = removed_[key];
      const u64 beats = options_.format.beats;
      const u64 interval = options_.format.checkpoint_interval;
      const Span span = crashes != crashes_                           ? Span::crashed
                        : op == op_                                   ? Span::same_op
                        : (op + 1) / beats == (op_ + 1) / beats       ? Span::same_bar
                        : (op + 1) / beats + 1 == (op_ + 1) / beats   ? Span::next_bar
                        : (op + 1) / interval == (op_ + 1) / interval ? Span::same_interval
                                                                      : Span::later;
      ++spans[static_cast<u32>(span)];
    }
  }

  RunOptions options_;
  const World* world_;
  Model model_;
  u64 op_ = 0;
  u64 crashes_ = 0;
  std::map<std::pair<GrooveName, u128>, std::pair<u64, u64>> removed_;  // Op and crashes before.
};

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
      CHECK(play.objects_max <= generated.options.key_universe + 2);
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
  const OperationKind never[] = {OperationKind::fault, OperationKind::latency};
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
                          tree == TreeName::notes_draft || tree == TreeName::events_weight;
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

namespace {

struct Questions {
  ScanCounts counts;
  u64 lines = 0, queries = 0, of_scans = 0, skipped = 0;

  Questions(const char* workload, u64 seed_count) {
    for (u64 seed = 0; seed < seed_count; ++seed) {
      const Generated generated(seed, workload);
      ModelPlay play(generated);
      Operation line;
      for (u64 i = 0; i < generated.source->count(); ++i) {
        generated.source->at(i, &line);
        play.play(line);
      }
      INFO("seed " << seed << " " << workload << ": skips " << play.skips << " of " << play.lines);
      CHECK(3 * play.skips < play.lines);
      counts.add(play.scans.counts);
      lines += play.lines;
      for (u32 k = static_cast<u32>(OperationKind::query); k < operation_kind_count; ++k) {
        const bool scan = of_scan(static_cast<OperationKind>(k));
        (scan ? of_scans : queries) += play.kinds[k];
        skipped += play.kind_skips[k];
      }
    }
  }
  std::string text() const {
    return counts.text() + "lines " + std::to_string(lines) + ", queries and pages " +
           std::to_string(queries) + ", of scans " + std::to_string(of_scans) + ", skipped " +
           std::to_string(skipped);
  }
};

}  // namespace

TEST_CASE("queries of scan match much, little and nothing", "[groove source]") {
  const Questions asked("scan", 60);
  const ScanCounts& c = asked.counts;
  INFO(asked.text());
  CHECK(5 * asked.queries > asked.lines);
  CHECK(10 * asked.of_scans > asked.lines);
  CHECK(6 * asked.skipped < asked.queries + asked.of_scans);
  CHECK(c.refused > c.queries / 20);
  CHECK(c.refused < c.queries / 3);
  CHECK(c.empty > c.queries / 10);
  CHECK(c.empty < c.queries * 6 / 10);
  CHECK(c.partial > c.queries / 4);
  CHECK(c.all > c.queries / 100);
  CHECK(c.resumed > c.queries / 8);
  CHECK(c.exact > c.queries / 20);
  CHECK(c.one_more > c.queries / 30);
  CHECK(c.pages_later > 1500);
  CHECK(c.last_pages > c.pages / 10);
  CHECK(c.last_pages < c.pages * 7 / 10);
  CHECK(c.together > c.opened / 4);
  CHECK(c.open_refused > 100);
  CHECK(c.next_rows > 10'000);
  CHECK(c.next_ends > 1000);
  CHECK(c.probes_drop > c.probes / 8);
  CHECK(c.aborted > 100);
  for (u32 leaves = 1; leaves <= query_leaves_max; ++leaves) CHECK(c.by_leaves[leaves] > 10);
  for (u32 depth = 0; depth < 4; ++depth) CHECK(c.by_depth[depth] > 100);
  for (const u64 count : c.by_kind) CHECK(count > 1000);
}

TEST_CASE("grooves are asked now and then, too", "[groove source]") {
  const Questions asked("forest", 40);
  INFO(asked.text());
  CHECK(60 * (asked.queries + asked.of_scans) > asked.lines);
  CHECK(5 * (asked.queries + asked.of_scans) < asked.lines);
  CHECK(asked.counts.partial > 100);
  CHECK(asked.counts.pages_later > 100);
  CHECK(asked.counts.probes_drop > 10);
}

TEST_CASE("the swarm of grooves is as various as it should be", "[groove source]") {
  constexpr u64 count = 1000;
  u64 tiny = 0, crashing = 0, no_cache = 0, one_set = 0, any = 0, tight = 0, scopes = 0;
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
      REQUIRE(each->key_universe <= universe_max(each->format, world));
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
  for (const u64 each : grooves) CHECK(each > count / 4);
  for (u32 levels = 3; levels <= 6; ++levels) CHECK(tiny_levels[levels] > 0);
  CHECK(blocks_max <= u64{1} << 17);
}

}  // namespace tonearm::sim
