#include "sim/workload/tree_workload.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sim/model/model.h"
#include "sim/scenario/settings.h"
#include "sim/workload/scan_play.h"
#include "sim/workload/swarm.h"

namespace tonearm::sim {

namespace {

bool same(const Operation& a, const Operation& b) {
  bool equal = a.id == b.id && a.kind == b.kind && a.tree == b.tree && a.direction == b.direction &&
               a.cold == b.cold && a.persist == b.persist && a.key == b.key && a.key_end == b.key_end &&
               a.value == b.value && a.limit == b.limit && a.count == b.count &&
               a.writes.count() == b.writes.count() && a.changes.count() == b.changes.count();
  for (u32 i = 0; equal && i < a.changes.count(); ++i) {
    equal = a.changes[i].setting == b.changes[i].setting && a.changes[i].value == b.changes[i].value;
  }
  return equal;
}

// What the runner does with the lines, without an engine.
struct Play {
  Model model;
  RunOptions options;
  u64 op = 0;
  u64 writes = 0, writes_index = 0, skipped = 0, full = 0, in_scope_reads = 0;
  u64 size_max = 0;
  bool reads = false;
  ScanPlay scans;
  u64 scans_skipped = 0;

  void end_scope(bool persist) {
    if (model.scope_active()) model.scope_close(persist);
  }
  void commit(const Operation& line, u64 times) {
    for (u64 i = 0; i < times; ++i) model.commit(++op, line.id, static_cast<u32>(i));
    model.checkpoint_verified(op);
    size_max = std::max(size_max, model.size());
  }
  void write(const Operation& line) {
    ++writes;
    const ModelKey key = model_key(line.key);
    if (line.tree == TreeName::index) ++writes_index;
    if (model.batch_used(line.tree) == options.format.batch_values_max) {
      ++full;
    } else if (line.tree == TreeName::index &&
               model.get(line.tree, key).has_value() == (line.kind == OperationKind::put)) {
      ++skipped;
    } else if (line.kind == OperationKind::put) {
      model.put(line.tree, key, line.value);
    } else {
      model.remove(line.tree, key);
    }
  }
  void play(const Operation& line) {
    if (!scans.play(line, model, options.runtime.scans_max, op)) ++scans_skipped;
    switch (line.kind) {
      case OperationKind::put:
      case OperationKind::remove: write(line); break;
      case OperationKind::get:
      case OperationKind::scan: in_scope_reads += model.scope_active() ? 1 : 0; break;
      case OperationKind::commit:
        end_scope(false);
        commit(line, line.count);
        break;
      case OperationKind::checkpoint: {
        end_scope(false);
        const FormatOptions& format = options.format;
        do commit(line, 1);
        while (!checkpoint_trigger(format, op));
        break;
      }
      case OperationKind::scope:
        if (model.scope_active()) FAIL("a scope in a scope");
        model.scope_open();
        break;
      case OperationKind::end:
        if (!model.scope_active()) FAIL("an end without a scope");
        end_scope(line.persist);
        break;
      case OperationKind::crash:
      case OperationKind::reopen: model.forget_op(); break;
      case OperationKind::fault:
      case OperationKind::heal:
      case OperationKind::reseed:
      case OperationKind::latency:
      case OperationKind::insert:
      case OperationKind::update:
      case OperationKind::upsert:
      case OperationKind::orphan:
      case OperationKind::exists:
      case OperationKind::prefetch:
      case OperationKind::scan_open:
      case OperationKind::scan_next:
      case OperationKind::scan_probe:
      case OperationKind::scan_abort:
      case OperationKind::scan_close: break;
      case OperationKind::query:
      case OperationKind::page:
      case OperationKind::call: FAIL("not generated"); break;
    }
  }
};

}  // namespace

TEST_CASE("line i is a function of the seed and i", "[workload]") {
  for (u64 seed = 0; seed < 40; ++seed) {
    RunOptions options;
    draw_tree(seed, &options);
    const TreeSource source(seed, options);
    const TreeSource twin(seed, options);
    REQUIRE(source.count() == options.ops);
    Operation forward;
    Operation backward;
    for (u64 i = 0; i < source.count(); i += 7) {
      source.at(i, &forward);
      twin.at(source.count() - 1 - i, &backward);  // Another order, a used target.
      twin.at(i, &backward);
      const bool fine = same(forward, backward) && forward.id == OpId{.number = i + 1};
      if (!fine) FAIL("seed " << seed << " line " << i);
    }
  }
}

TEST_CASE("another seed makes other lines", "[workload]") {
  RunOptions options;
  draw_tree(1, &options);
  const TreeSource a(1, options);
  const TreeSource b(2, options);
  u64 equal = 0;
  for (u64 i = 0; i < 1000; ++i) {
    Operation one;
    Operation other;
    a.at(i, &one);
    b.at(i, &other);
    equal += same(one, other) ? 1 : 0;
  }
  CHECK(equal < 500);
}

TEST_CASE("keys are in order, different, valid and near the limits", "[workload]") {
  for (u64 seed = 0; seed < 60; ++seed) {
    for (const u64 universe : {u64{1}, u64{2}, u64{33}, u64{2048}, u64{20'000}}) {
      const KeySpace keys(seed, universe);
      for (u32 t = 0; t < world_tree.count; ++t) {
        const TreeName tree = static_cast<TreeName>(t);
        for (u64 number = 0; number < universe; ++number) {
          const Key key = keys.key(tree, number);
          const bool ordered = number == 0 || keys.key(tree, number - 1) < key;
          const bool valid = key_valid(tree, key) && key_valid(tree, KeySpace::neighbour(tree, key, true)) &&
                             key_valid(tree, KeySpace::neighbour(tree, key, false));
          if (!ordered || !valid)
            FAIL("seed " << seed << " universe " << universe << " tree " << t << " key " << number);
        }
        REQUIRE(KeySpace::neighbour(tree, key_max(tree), true) == key_max(tree));
        REQUIRE(KeySpace::neighbour(tree, Key{}, false) == Key{});
      }
    }
  }
}

TEST_CASE("generated lines are what the contract asks for", "[workload]") {
  constexpr u64 seeds = 300;
  u64 kinds[operation_kind_count] = {};
  u64 phases[phase_count] = {};
  u64 skips_under_third = 0, second_checkpoint = 0, deep = 0, lines = 0, full = 0, writes = 0, cold = 0,
      reads = 0;
  u64 index_writes = 0, index_skips = 0, follow = 0, times = 0;
  for (u64 seed = 0; seed < seeds; ++seed) {
    Play play;
    draw_tree(seed, &play.options);
    const RunOptions& o = play.options;
    const TreeSource source(seed, o);
    std::set<u64> values;
    OperationKind last = OperationKind::commit;
    u64 level_values = 0;
    for (u64 i = 0; i < source.count(); ++i) {
      Operation line;
      source.at(i, &line);
      ++kinds[static_cast<u32>(line.kind)];
      ++phases[static_cast<u32>(source.phase_at(i))];
      // Millions of lines: only what is wrong becomes an assertion.
      if (!key_valid(line.tree, line.key)) FAIL("key of line " << i << " of seed " << seed);
      if (line.kind == OperationKind::put && line.tree != TreeName::index) {
        if (line.value == 0 || !values.insert(line.value).second)
          FAIL("value of line " << i << " of seed " << seed);
      }
      if (line.kind == OperationKind::scan) {
        if (!key_valid(line.tree, line.key_end)) FAIL("end of line " << i << " of seed " << seed);
        if (line.key_end < line.key) FAIL("range of line " << i << " of seed " << seed);
      }
      if (line.kind == OperationKind::get || line.kind == OperationKind::scan) {
        ++reads;
        cold += line.cold ? 1 : 0;
      }
      if (line.kind == OperationKind::crash && last == OperationKind::crash) ++follow;
      if (line.kind == OperationKind::commit && line.count > 1) ++times;
      for (const SettingChange& change : line.changes) {
        const Setting& setting = settings()[change.setting];
        REQUIRE(setting.reopenable);
        REQUIRE(change.value >= setting.min);
        REQUIRE(change.value <= setting.max);
        RunOptions changed = o;
        setting.set(changed, change.value);
        REQUIRE_FALSE(validate(changed.format, changed.runtime));
      }
      last = line.kind;
      play.play(line);
    }
    lines += source.count();
    full += play.full;
    writes += play.writes;
    index_writes += play.writes_index;
    index_skips += play.skipped;
    level_values = play.model.size();
    if (3 * (play.skipped + play.full + play.in_scope_reads) < source.count()) {
      ++skips_under_third;
    } else {
      WARN("seed " << seed << ": skipped " << play.skipped << ", full " << play.full << ", read in a scope "
                   << play.in_scope_reads << " of " << source.count());
    }
    const u64 second = 2 * u64{o.format.checkpoint_interval} - 1 + o.format.beats;
    if (play.op > second + o.format.beats) ++second_checkpoint;
    const u64 level_0 = u64{o.format.growth} * o.format.beats * o.format.batch_values_max;
    if (play.size_max / 3 > level_0 || play.writes > 6 * level_0) ++deep;
    REQUIRE(level_values <= 3 * (o.key_universe + 2));
  }
  INFO("index writes " << index_writes << ", skipped " << index_skips << "; writes " << writes
                       << ", batch full " << full << "; second checkpoint " << second_checkpoint << "; deep "
                       << deep << "; lines " << lines << "; skips fine " << skips_under_third
                       << "; crash chains " << follow);
  const OperationKind never[] = {OperationKind::fault, OperationKind::latency, OperationKind::reseed};
  for (const OperationKind kind : operation_kinds(world_tree)) {
    const bool generated = std::find(std::begin(never), std::end(never), kind) == std::end(never);
    CAPTURE(operation_kind_name(kind));
    CHECK((kinds[static_cast<u32>(kind)] > seeds / 2) == (generated && !of_scan(kind)));
  }
  for (u32 phase = 0; phase < phase_count; ++phase) {
    CAPTURE(phase_name(static_cast<Phase>(phase)));
    CHECK(phases[phase] > lines / 100);
  }
  CHECK(skips_under_third == seeds);
  CHECK(second_checkpoint * 100 >= seeds * 95);
  CHECK(deep * 100 >= seeds * 55);
  CHECK(index_skips * 3 < index_writes);
  CHECK(full * 8 < writes);
  CHECK(full > 0);
  CHECK(follow > 0);
  CHECK(times > 0);
  CHECK(cold * 3 > reads);
  CHECK(cold * 3 < 2 * reads);
}

TEST_CASE("a kind without weight does not occur", "[workload]") {
  for (u64 seed = 0; seed < 30; ++seed) {
    for (u32 disabled = 0; disabled < 9; ++disabled) {
      RunOptions o;
      draw_tree(seed, &o);
      u32* const weights[] = {&o.weight_put,   &o.weight_remove, &o.weight_get,
                              &o.weight_scan,  &o.weight_commit, &o.weight_checkpoint,
                              &o.weight_scope, &o.weight_crash,  &o.weight_reopen};
      constexpr OperationKind of[] = {OperationKind::put,   OperationKind::remove, OperationKind::get,
                                      OperationKind::scan,  OperationKind::commit, OperationKind::checkpoint,
                                      OperationKind::scope, OperationKind::crash,  OperationKind::reopen};
      *weights[disabled] = 0;
      o.ops = 500;
      const TreeSource source(seed, o);
      for (u64 i = 0; i < source.count(); ++i) {
        Operation line;
        source.at(i, &line);
        if (line.kind == of[disabled]) FAIL("seed " << seed << " line " << i << " kind " << disabled);
      }
      CHECK(source.count() == 500);
    }
  }
}

TEST_CASE("episodes come in most seeds, and end where they belong", "[workload]") {
  constexpr u64 seeds = 200;
  u64 none = 0, opening_crash = 0, aimed = 0, spelled = 0;
  for (u64 seed = 0; seed < seeds; ++seed) {
    RunOptions with;
    draw_tree(seed, &with);
    RunOptions without = with;
    without.episode_lines = 0;
    const TreeSource source(seed, with);
    const TreeSource plain(seed, without);
    u64 different = 0, aimed_before = aimed;
    for (u64 i = 0; i < source.count(); ++i) {
      Operation line;
      Operation other;
      source.at(i, &line);
      plain.at(i, &other);
      different += same(line, other) ? 0 : 1;
      if (line.kind != OperationKind::crash || !line.superblock || same(line, other)) continue;
      ++aimed;
      spelled += line.writes.empty() ? 0 : 1;
    }
    if (different == 0) ++none;
    Operation first;
    source.at(0, &first);
    opening_crash += first.kind == OperationKind::crash ? 1 : 0;
    CAPTURE(seed, different, source.count());
    if (with.episode_lines == 0) CHECK(different == 0);
    CHECK(3 * different < source.count());
    if (with.weight_crash == 0) CHECK(aimed == aimed_before);
  }
  INFO("none " << none << ", opening crashes " << opening_crash << ", aimed " << aimed << ", spelled "
               << spelled);
  CHECK(none > 0);
  CHECK(none < seeds / 8);
  CHECK(opening_crash > seeds / 2);
  CHECK(opening_crash < seeds);
  CHECK(aimed > seeds / 2);
  CHECK(3 * spelled > aimed);
  CHECK(3 * spelled < 2 * aimed);
}

TEST_CASE("scan_tree leaves scans open in every way", "[workload]") {
  u64 lines = 0, of_scans = 0, skipped = 0;
  ScanCounts counts;
  for (u64 seed = 0; seed < 60; ++seed) {
    Play play;
    draw_scan_tree(seed, &play.options);
    play.model.reset(play.options.format.beats);
    const TreeSource source(seed, play.options);
    const u64 before = lines;
    Operation line;
    for (u64 i = 0; i < source.count(); ++i) {
      source.at(i, &line);
      play.play(line);
      ++lines;
      of_scans += of_scan(line.kind) ? 1 : 0;
    }
    CAPTURE(seed);
    CHECK(3 * (play.skipped + play.scans_skipped) < lines - before);
    skipped += play.scans_skipped;
    counts.add(play.scans.counts);
  }
  INFO(counts.text() << "lines " << lines << ", of scans " << of_scans << ", skipped " << skipped);
  CHECK(7 * of_scans > lines);
  CHECK(2 * of_scans < lines);
  CHECK(5 * skipped < of_scans);
  CHECK(counts.together > counts.opened / 3);
  CHECK(counts.open_refused > 100);
  CHECK(counts.next_rows > 2 * of_scans / 3);
  CHECK(counts.next_ends > 100);
  CHECK(counts.probes_drop > counts.probes / 5);
  CHECK(counts.probes_end > 100);
  CHECK(counts.aborted > 100);
}

TEST_CASE("the workload tree has none of that", "[workload]") {
  for (u64 seed = 0; seed < 100; ++seed) {
    RunOptions options;
    draw_tree(seed, &options);
    REQUIRE(options.weight_scan_open == 0);
    REQUIRE(options.runtime.scans_max == RuntimeOptions{}.scans_max);
  }
}

}  // namespace tonearm::sim
