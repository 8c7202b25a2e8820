// Plays lines of grooves on the model alone, as a player would, and counts what becomes of them.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/model/model.h"
#include "sim/workload/groove_source.h"
#include "sim/workload/scan_play.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

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

  void add(const Counts& other) { add_counters(this, other); }

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
      case K::reseed:
      case K::heal: return;  // Nothing is damaged here.
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

}  // namespace tonearm::sim
