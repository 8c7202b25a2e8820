#include "sim/cli/bench_work.h"

#include <fmt/format.h>

#include <string_view>

#include "base/assert.h"
#include "sim/cli/prepared_run.h"
#include "sim/cli/problems.h"
#include "sim/run/runner.h"
#include "sim/scenario/number.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr u32 rows_max = 32;

class TreeWork final : public BenchWork {
 public:
  TreeWork(u64 count, u64 live, u64 lines_per_op)
      : count_(count), universe_(live * 10 / 9), lines_per_op_(lines_per_op), stream_("bench", 1) {}

  u64 fill_lines() const override { return universe_ * 2; }
  u64 count() const override { return count_; }

  void at(u64 index, Operation* line) const override {
    reset(line);
    line->id = {.number = index + 1, .child = 0};
    line->tree = TreeName::kv;
    if (index % lines_per_op_ == lines_per_op_ - 1) {
      line->kind = OperationKind::commit;
      return;
    }
    const u64 random = stream_.at(index);
    line->key = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    line->value = index;
    const u64 kind = index < fill_lines() ? 0 : below(random, 100);
    if (kind < 45) {
      line->kind = OperationKind::put;
    } else if (kind < 50) {
      line->kind = OperationKind::remove;
    } else if (kind < 95) {
      line->kind = OperationKind::get;
    } else {
      line->kind = OperationKind::scan;
      line->limit = 1 + static_cast<u32>(below(remix(random, 2), rows_max));
      line->direction = (random & 1) != 0 ? Direction::ascending : Direction::descending;
      (line->direction == Direction::ascending ? line->key_end : line->key) =
          line->direction == Direction::ascending ? Key::of(universe_ * 8) : Key{};
      if (line->direction == Direction::descending)
        line->key_end = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    }
  }

 private:
  u64 count_;
  u64 universe_;
  u64 lines_per_op_;
  Stream stream_;
};

// Of one leaf that asks an index of notes for one value, or for several.
QueryNode note_leaf(TreeName tree, u128 min, u128 max) {
  QueryNode leaf;
  leaf.tree = tree;
  leaf.min = min;
  leaf.max = max;
  return leaf;
}

// The fields of notes, by their place in the schema.
enum NoteField : u32 { author, pinned, topic, kind, size, flags };

class ForestWork : public BenchWork {
 public:
  ForestWork(u64 count, u64 live, u64 lines_per_op)
      : count_(count), universe_(live * 10 / 9), lines_per_op_(lines_per_op), stream_("bench.forest", 1) {}

  u64 fill_lines() const override { return universe_ * 2; }
  u64 count() const override { return count_; }

  void at(u64 index, Operation* line) const override {
    reset(line);
    line->id = {.number = index + 1, .child = 0};
    if (index % lines_per_op_ == lines_per_op_ - 1) {
      line->kind = OperationKind::commit;
      return;
    }
    const u64 random = stream_.at(index);
    line->tree = TreeName::notes;
    line->key = Key::of(below(remix(random, 1), universe_) * 7 + 3);
    const u64 choice = index < fill_lines() ? 0 : below(random, 100);
    if (choice < 45) {
      line->kind = OperationKind::upsert;
      const u64 of_key = stream_.at(static_cast<u64>(line->key.lo), 1);
      const u32 drawn = static_cast<u32>(below(remix(random, 3), 6));
      for (const NoteField field : {author, pinned, topic, kind, size, flags})
        draw(field == drawn ? random : of_key, field, line);
    } else if (choice < 50) {
      line->kind = OperationKind::remove;
    } else if (choice < 95) {
      line->kind = OperationKind::get;
    } else {
      scan(random, line);
    }
  }

 protected:
  static constexpr u64 authors = 1000;
  static constexpr u64 kinds = 8;

  u64 count_;
  u64 universe_;
  u64 lines_per_op_;
  Stream stream_;

 private:
  static void draw(u64 random, NoteField field, Operation* line) {
    const u64 bits = remix(random, 16 + field);
    switch (field) {
      case author: line->fields[field] = below(bits, authors); return;
      case pinned: line->fields[field] = (bits & 1) != 0 ? 0 : below(bits, 100); return;
      case topic: line->wide_field = u128{below(bits, 500)} << 64 | 7; return;
      case kind: line->fields[field] = below(bits, kinds); return;
      case size: line->fields[field] = below(bits, 2000); return;
      case flags: line->fields[field] = below(bits, 4); return;
    }
  }
  // The objects of one author; one in four those that two indexes agree on.
  static void scan(u64 random, Operation* line) {
    line->kind = OperationKind::query;
    line->key = {};
    line->limit = 1 + static_cast<u32>(below(remix(random, 2), rows_max));
    line->value = rows_max;
    line->direction = (random & 1) != 0 ? Direction::ascending : Direction::descending;
    QueryTree query;
    const u64 value = remix(random, 4);
    if (below(remix(random, 5), 4) == 0) {
      query.nodes.push(note_leaf(TreeName::notes_kind, below(value, kinds), below(value, kinds)));
      query.nodes.push(note_leaf(TreeName::notes_draft, 0, 0));
      query.wrap(0, QueryKind::intersection, 2);
    } else {
      query.nodes.push(note_leaf(TreeName::notes_author, below(value, authors), below(value, authors)));
    }
    ASSERT(encode_query(query, &line->query));
  }
};

// The same objects, then queries alone, all of one shape and within one op.
class ScanWork final : public ForestWork {
 public:
  ScanWork(u64 count, u64 live, u64 lines_per_op, ScanFigure figure)
      : ForestWork(count, live, lines_per_op), figure_(figure) {}

  void at(u64 index, Operation* line) const override {
    if (index < fill_lines()) return ForestWork::at(index, line);
    reset(line);
    line->id = {.number = index + 1, .child = 0};
    line->kind = OperationKind::query;
    line->tree = TreeName::notes;
    line->limit = rows_max;
    line->value = rows_max;
    line->cold = figure_ == ScanFigure::lookup_cold;
    const u64 random = stream_.at(index, 2);
    line->direction = (random & 1) != 0 ? Direction::ascending : Direction::descending;
    QueryTree query;
    shape(random, &query);
    ASSERT(encode_query(query, &line->query));
  }

 private:
  void shape(u64 random, QueryTree* query) const {
    const u64 one = below(remix(random, 1), authors);
    const u64 other = below(remix(random, 2), authors);
    const u64 of_kind = below(remix(random, 3), kinds);
    const auto leaf = [&](TreeName tree, u128 min, u128 max) {
      query->nodes.push(note_leaf(tree, min, max));
    };
    switch (figure_) {
      case ScanFigure::point:
      case ScanFigure::lookup_warm:
      case ScanFigure::lookup_cold: return leaf(TreeName::notes_author, one, one);
      case ScanFigure::range: return leaf(TreeName::notes_author, one, one + 9);
      case ScanFigure::intersection_balanced:
        leaf(TreeName::notes_kind, of_kind, of_kind);
        leaf(TreeName::notes_draft, 0, 0);
        return query->wrap(0, QueryKind::intersection, 2);
      case ScanFigure::intersection_skewed:
        leaf(TreeName::notes_author, one, one);
        leaf(TreeName::notes_draft, 0, 0);
        return query->wrap(0, QueryKind::intersection, 2);
      case ScanFigure::any:
        leaf(TreeName::notes_author, one, one);
        leaf(TreeName::notes_author, other, other);
        return query->wrap(0, QueryKind::any, 2);
      case ScanFigure::difference:
        leaf(TreeName::notes_kind, of_kind, of_kind);
        leaf(TreeName::notes_draft, 0, 0);
        return query->wrap(0, QueryKind::difference, 2);
    }
    UNREACHABLE();
  }

  ScanFigure figure_;
};

Bench bench_of(std::string_view name, bool tiny) {
  const bool forest = name != "tree";
  const char* const known = name == "tree" ? "tree" : name == "forest" ? "forest" : "scan";
  Bench bench{.name = known,
              .geometry = tiny ? "tiny" : "default",
              .workload = forest ? "groove" : "tree",
              .live = tiny ? 1800U : 20'000U,
              .lines_per_op = tiny ? 10U : 61U,
              .options = {}};
  RunOptions& o = bench.options;
  o.disk.read = o.disk.write = o.disk.sync = {.latency_ticks_min = 10, .latency_ticks_mean = 30, .stall = {}};
  o.disk.profile = DurabilityProfile::cached;
  o.groove = GrooveName::notes;
  if (forest) o.runtime.blocks_count = 8192;
  o.object_cache_slots = 16'384;
  if (tiny) {
    o.format.sector_size = o.format.block_size = 512;
    if (forest) o.format.block_size = 1024;  // Of 512 bytes none indexes the blocks of a table of objects.
    o.format.batch_values_max = 6;
    o.runtime.cache_blocks = 16;
    o.runtime.blocks_count = forest ? 32'768 : 16'384;
    o.object_cache_slots = 16;
    o.prefetch_keys_max = 16;
  }
  return bench;
}

void apply_settings(const std::vector<std::string>& set, Bench* bench) {
  for (const std::string& assignment : set) {
    const std::size_t equals = assignment.find('=');
    const std::optional<u16> setting = find_setting(assignment.substr(0, equals));
    if (equals == std::string::npos || !setting)
      throw UsageError(fmt::format("--set: found {}, expected KEY=VALUE", quoted(assignment)));
    const SettingValue value = parse_setting(settings()[*setting], assignment.substr(equals + 1));
    if (!value.error.empty())
      throw UsageError(fmt::format("--set: found {}, expected {}", quoted(assignment), value.error));
    settings()[*setting].set(bench->options, value.value);
  }
  finish_options(&bench->options);
  bench->options.disk.seed = 1;
  if (const std::string error = validate_run(bench->workload, bench->options); !error.empty())
    throw UsageError(error);
}

}  // namespace

std::vector<Bench> parse_benches(const std::string& name, const std::vector<std::string>& set) {
  std::vector<Bench> benches;
  for (const std::string bench : {"tree", "forest", "scan"}) {
    for (const bool tiny : {false, true}) {
      if (!name.empty() && name != bench && name != bench + (tiny ? "-tiny" : "-default")) continue;
      benches.push_back(bench_of(bench, tiny));
      apply_settings(set, &benches.back());
    }
  }
  if (!benches.empty()) return benches;
  throw UsageError(
      fmt::format("bench: found {}, expected tree, forest or scan, or one of them with -default or -tiny "
                  "behind it",
                  quoted(name)));
}

std::unique_ptr<BenchWork> bench_work(const Bench& bench, u64 lines) {
  if (std::string_view(bench.name) != "tree")
    return std::make_unique<ForestWork>(lines, bench.live, bench.lines_per_op);
  return std::make_unique<TreeWork>(lines, bench.live, bench.lines_per_op);
}

std::unique_ptr<BenchWork> scan_work(const Bench& bench, u64 lines, ScanFigure figure) {
  return std::make_unique<ScanWork>(lines, bench.live, bench.lines_per_op, figure);
}

const char* scan_figure_name(ScanFigure figure) {
  switch (figure) {
    case ScanFigure::point: return "point";
    case ScanFigure::range: return "range";
    case ScanFigure::intersection_balanced: return "intersection_balanced";
    case ScanFigure::intersection_skewed: return "intersection_skewed";
    case ScanFigure::any: return "union";
    case ScanFigure::difference: return "difference";
    case ScanFigure::lookup_warm: return "lookup_warm";
    case ScanFigure::lookup_cold: return "lookup_cold";
  }
  UNREACHABLE();
}

}  // namespace tonearm::sim
